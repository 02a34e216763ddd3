// SPDX-License-Identifier: Apache-2.0
/* The master of a companion misfit: tells it to do what this partition is called, and says whether it has outlived that. */
#include "kit.h"
#include "misfit/misfit.h"

#define PORT 0x300
#define SETTLE_MS 20u

static const char *const names[MISFIT_COUNT] = {
#define MISFIT_NAME(upper, lower) #lower,
	MISFITS(MISFIT_NAME)
#undef MISFIT_NAME
};

static volatile uint64_t interrupts;

static void count(struct kit_frame *frame)
{
	(void)frame;
	interrupts++;
}

static bool called(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return !*b && (!*a || *a == '-'); /* hang-2 is another that hangs */
}

int main(const struct kit_info *info)
{
	const uint64_t ms = kit_tsc_khz();
	uint8_t kind = 0, answer;

	for (uint8_t i = 0; i < MISFIT_COUNT; i++)
		if (called(info->name, names[i]))
			kind = i;
	kit_handle(0x60, count);
	answer = inb(PORT);
	kit_printf("provoke %s: answer %x, now number %u\n", info->name, answer, kind);
	for (uint64_t end = rdtsc() + SETTLE_MS * ms * (kind + 1u); rdtsc() < end;) /* so that all lines find room */
		pause();
	outb(PORT, kind);
	sti();
	for (uint64_t end = rdtsc() + SETTLE_MS * ms; rdtsc() < end;)
		pause();
	cli();
	kit_printf("RESULT provoke %s lives answer=%x interrupts=%s\n", info->name, inb(PORT),
	           interrupts ? "some" : "none");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Partitions on one CPU that use up their time, or do not get it, and their monitor, which is interrupted when it is called (tests/system/overrun.yaml):
 *
 *   RESULT overrun <whom> state=<n> reason=<n> restarts=<n> class=<last error> errors=<n>
 *   RESULT calls interrupts=<n> empty=<of them, with no event> whom=<bits of all events> strays=<interrupts that it does not expect>
 */
#include "hypercall.h"
#include "hostile/note.h"
#include "kit.h"

#define VECTOR 0x60
enum { WATCH, SPINNER, STEADY, TELLER, NOISY, VICTIM, COUNT };

static volatile uint64_t interrupts, empty, whom;

static void on_event(struct kit_frame *frame)
{
	const uint64_t events = (uint64_t)hypercall1(BH_EVENTS, 0);

	(void)frame;
	interrupts++;
	empty += events == 0;
	whom |= events;
}

static uint64_t status(uint64_t partition, uint64_t what)
{
	const uint64_t argument[6] = { partition, what };

	return (uint64_t)hypercall(BH_PARTITION_STATUS, argument);
}

static int watch(void)
{
	static const char *const names[COUNT] = { "watch", "spinner", "steady", "teller", "noisy", "victim" };
	const uint64_t end = rdtsc() + 6000 * kit_tsc_khz(), all = 1 << SPINNER | 1 << VICTIM;

	kit_handle(VECTOR, on_event);
	sti();
	while ((whom & all) != all && rdtsc() < end)
		wait_until(rdtsc() + kit_tsc_khz());
	cli();
	for (unsigned i = SPINNER; i < COUNT; i++) {
		const uint64_t word = status(i, BH_STATUS_LIFE), error = status(i, BH_STATUS_ERROR);

		kit_printf("RESULT overrun %s state=%lu reason=%lu restarts=%lu class=%lu errors=%lu\n", names[i],
		           word & 0xff, word >> 8 & 0xff, word >> 32, error & 0xff, error >> 8);
	}
	kit_printf("RESULT calls interrupts=%lu empty=%lu whom=%lx strays=%lu\n", interrupts, empty, whom,
	           kit_stray_interrupts);
	return 0;
}

int main(const struct kit_info *info)
{
	const uint64_t ms = kit_tsc_khz();

	switch (info->name[0]) {
	case 'w':
		return watch();
	case 'n': /* at a window's end it is in root mode more often than not */
		for (;;)
			kit_counter(BH_COUNTER_EXITS);
	case 's':
		if (info->name[1] == 't') /* less than its budget, and then it waits */
			for (uint64_t next = rdtsc();; wait_until(next += 10 * ms))
				for (uint64_t end = rdtsc() + ms / 4; rdtsc() < end;)
					pause();
		break;
	default:
		break;
	}
	for (;;)
		pause();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Gives the audit something to record: notes of its own at every edge of the call's arguments, storms of notes and of forbidden
 * accesses, calls it has no right to, and changes of schedule where it may.
 *
 *   NOTER call=<what> ...        what calls returned
 *   RESULT noter accepted=<notes> refused=<notes that the limit has kept out> forbidden=<accesses>
 */
#include "hypercall.h"
#include "kit.h"

#define END 0xe0du
#define STORM 2000u
#define PERIOD_MS 1100u /* the limit counts by the second */
#define MSR_NOT_THERE 0x12345u
#define PORT_NOT_THERE 0x1234u

static int64_t note(uint64_t a, uint64_t b)
{
	const uint64_t argument[6] = { a, b };

	return hypercall(BH_AUDIT, argument);
}

static void wait_ms(uint64_t ms)
{
	for (uint64_t end = rdtsc() + ms * kit_tsc_khz(); rdtsc() < end;)
		pause();
}

static void read_msr(void *argument)
{
	(void)argument;
	rdmsr(MSR_NOT_THERE);
}

static void edges(void)
{
	static const uint64_t values[] = { 0, 1, 0xffffffff, 0x100000000, 0x7fffffffffffffff, ~0ull };

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		kit_printf("NOTER call=edge a=%lx b=%lx result=%ld\n", values[i], values[5 - i],
		           note(values[i], values[5 - i]));
}

int main(const struct kit_info *info)
{
	uint64_t accepted = 0, refused = 0, faults = 0;

	(void)info;
	if (note(0, 0) == BH_ENOCALL) {
		for (unsigned i = 0; i < STORM; i++)
			refused += note(i, i) == BH_ENOCALL;
		kit_printf("RESULT noter mute refused=%lu\n", refused);
		return 3;
	}
	edges();
	wait_ms(PERIOD_MS);
	for (uint64_t i = 0; i < STORM; i++) {
		const int64_t result = note(0x50000 + (uint32_t)i, i);

		accepted += result == 0;
		refused += result == BH_EAGAIN;
	}
	for (unsigned i = 0; i < STORM; i++) {
		faults += kit_try(read_msr, 0) == 13;
		inb(PORT_NOT_THERE);
	}
	kit_printf("NOTER call=schedule result=%ld\n", hypercall1(BH_SET_SCHEDULE, 1));
	wait_ms(PERIOD_MS);
	inb(PORT_NOT_THERE); /* a new second: what was kept out in the last one is told */
	kit_printf("RESULT noter accepted=%lu refused=%lu forbidden=%lu\n", accepted, refused, faults + STORM + 1);
	kit_printf("NOTER call=end result=%ld\n", note(END, 0));
	wait_ms(PERIOD_MS);
	return 0;
}

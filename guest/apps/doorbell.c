// SPDX-License-Identifier: Apache-2.0
/*
 * How long an interrupt waits for its vCPU's window: vCPU 0, which may stay awake, sends one to vCPU 1, which waits in HLT, at moments that lie
 * anywhere in the frame.
 *
 *   RING <tsc> <ticks>
 *   RESULT doorbell n=<sent> min=<ticks> max=<ticks> late=<waited for more than LATE_US> tsc_khz=<n>
 */
#include "hostile/note.h"

#define ROUNDS 80u
#define STEP_US 10370u /* from ring to ring: through all phases of a frame of 10 ms, three times */
#define LATE_US 100u
#define VECTOR 0x51
#define SECOND 1u

static volatile uint64_t rung, heard, ready;

static void on_ring(struct kit_frame *frame)
{
	(void)frame;
	heard = rdtsc();
}

static void second(void)
{
	ready = 1;
	for (;;)
		wait_for_interrupt();
}

int main(const struct kit_info *info)
{
	uint64_t khz = kit_tsc_khz(), min = UINT64_MAX, max = 0, late = 0, next;
	(void)info;
	kit_handle(VECTOR, on_ring);
	kit_start_second(SECOND, second);
	for (next = rdtsc(); !ready && rdtsc() < next + 1000 * khz;)
		pause();
	next = rdtsc();
	for (unsigned i = 0; i < ROUNDS && ready; i++) {
		next += STEP_US * khz / 1000;
		wait_until(next);
		heard = 0;
		rung = rdtsc();
		wrmsr(X2APIC_ICR, (uint64_t)SECOND << 32 | VECTOR);
		while (!heard && rdtsc() < rung + 100 * khz)
			pause();
		uint64_t ticks = heard ? heard - rung : UINT64_MAX;
		min = ticks < min ? ticks : min;
		max = ticks > max ? ticks : max;
		kit_printf("RING %lu %lu\n", rung, ticks);
		late += ticks > LATE_US * khz / 1000;
	}
	kit_printf("RESULT doorbell n=%u min=%lu max=%lu late=%lu tsc_khz=%lu\n", ready ? ROUNDS : 0, min, max, late,
	           khz);
	return 0;
}

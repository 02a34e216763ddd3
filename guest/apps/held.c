// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts wait while interrupts are off. The second vCPU, with RFLAGS.IF = 0, sends itself one and spins while the first, on another CPU, goes on
 * sending others, so that a notification comes in while an interrupt is held back already; each handler looks at what it has interrupted.
 *
 *   RESULT held rounds=<n> self=<taken> sent=<n> taken=<n> early=<taken with IF = 0> late=<still not there after IF = 1>
 */
#include "hypercall.h"
#include "kit.h"

#define ROUNDS 100u
#define HOLD 8000u /* ticks with interrupts off */
#define VECTOR_SELF 0x51
#define VECTOR_SENT 0x61
#define SECOND 1u
#define RFLAGS_IF 0x200u

static volatile uint64_t self, taken, early, late, done;

static void look(const struct kit_frame *frame)
{
	if (!(frame->rflags & RFLAGS_IF))
		early++;
}

static void on_self(struct kit_frame *frame)
{
	look(frame);
	self++;
}

static void on_sent(struct kit_frame *frame)
{
	look(frame);
	taken++;
}

static void second(void)
{
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		wrmsr(X2APIC_SELF_IPI, VECTOR_SELF);
		for (uint64_t start = rdtsc(); rdtsc() - start < HOLD;)
			pause();
		sti();
		for (unsigned i = 0; i < 8; i++)
			pause();
		cli();
		if (self != n)
			late++;
	}
	done = 1;
}

int main(const struct kit_info *info)
{
	const uint64_t patience = 1000 * kit_tsc_khz();
	uint64_t sent = 0;
	(void)info;
	kit_handle(VECTOR_SELF, on_self);
	kit_handle(VECTOR_SENT, on_sent);
	kit_start_second(SECOND, second);
	for (uint64_t start = rdtsc(); !done && rdtsc() - start < patience; sent++) {
		wrmsr(X2APIC_ICR, (uint64_t)SECOND << 32 | VECTOR_SENT);
		for (uint64_t last = rdtsc(); rdtsc() - last < HOLD / 4;)
			pause();
	}
	kit_printf("RESULT held rounds=%u self=%lu sent=%lu taken=%lu early=%lu late=%lu\n", ROUNDS, self, sent, taken,
	           early, late);
	return 0;
}

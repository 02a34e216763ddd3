// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts from one running vCPU to another that runs on another CPU: from the write to the interrupt command register to the
 * handler's first look at the TSC, and the exits that the receiver had for them.
 *
 *   FIGURE ipi min=<ticks> med=<ticks> max=<ticks> n=<sent>
 *   RESULT ipi n=<sent> exits=<the receiver's>
 */
#include "hypercall.h"
#include "kit.h"

#define ROUNDS 1000u
#define VECTOR 0x51
#define SECOND 1u
#define REST 3000u /* ticks between two */

static volatile uint64_t heard, ready, exits, done;
static uint64_t sample[ROUNDS];

static void on_ipi(struct kit_frame *frame)
{
	(void)frame;
	heard = rdtsc();
}

/* Runs all the time. Its own counters tell of its exits: all but the two calls that read them. */
static void second(void)
{
	int64_t before = kit_counter(BH_COUNTER_EXITS);

	ready = 1;
	sti();
	while (!done)
		pause();
	cli();
	exits = (uint64_t)(kit_counter(BH_COUNTER_EXITS) - before - 1);
	done = 2;
}

int main(const struct kit_info *info)
{
	const uint64_t patience = 200 * kit_tsc_khz();
	unsigned n = 0;
	(void)info;
	kit_handle(VECTOR, on_ipi);
	kit_start_second(SECOND, second);
	for (uint64_t start = rdtsc(); !ready && rdtsc() - start < 10 * patience;)
		pause();
	for (; ready && n < ROUNDS; n++) {
		heard = 0;
		for (uint64_t start = rdtsc(); rdtsc() - start < REST;)
			pause();
		uint64_t start = rdtsc();
		wrmsr(X2APIC_ICR, (uint64_t)SECOND << 32 | VECTOR);
		while (!heard && rdtsc() - start < patience)
			pause();
		if (!heard)
			break;
		sample[n] = heard - start;
	}
	done = 1;
	for (uint64_t start = rdtsc(); done != 2 && rdtsc() - start < patience;)
		pause();
	if (n) {
		kit_sort(sample, n);
		kit_printf("FIGURE ipi min=%lu med=%lu max=%lu n=%u\n", sample[0], sample[n / 2], sample[n - 1], n);
	}
	kit_printf("RESULT ipi n=%u exits=%lu\n", n, exits);
	return 0;
}

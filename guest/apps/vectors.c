// SPDX-License-Identifier: Apache-2.0
/*
 * One of each way of an interrupt into a vCPU of a shared CPU, between two marks, for an emulator's trace (tools/benchvectors.py): from the
 * waiting guest, or from the interrupt command, to the handler. In this order: the timer while the guest runs, the same in HLT, and an
 * interrupt to the second vCPU, which runs on another CPU. Each was there some times before.
 *
 *   RESULT vectors n=<marked>
 */
#include "hypercall.h"
#include "kit.h"

#define VECTOR 0x51
#define SECOND 1u
#define TIMES 10u
#define REST 20000u /* ticks from one to the next */

static volatile uint64_t heard, ready, done, marked;
static volatile bool last;

static void on_interrupt(struct kit_frame *frame)
{
	(void)frame;
	if (last)
		mark();
	marked += last;
	heard = 1;
}

static void second(void)
{
	ready = 1;
	sti();
	while (!done)
		pause();
	cli();
}

static void rest(void)
{
	for (uint64_t start = rdtsc(); rdtsc() - start < REST;)
		pause();
}

static void timer(bool halted)
{
	kit_timer_at(rdtsc() + REST);
	if (last)
		mark();
	while (!heard && halted)
		wait_for_interrupt();
	sti();
	while (!heard)
		pause();
	cli();
}

static void command(void)
{
	if (last)
		mark();
	wrmsr(X2APIC_ICR, (uint64_t)SECOND << 32 | VECTOR);
	while (!heard)
		pause();
}

int main(const struct kit_info *info)
{
	(void)info;
	kit_timer_start(on_interrupt);
	kit_handle(VECTOR, on_interrupt);
	kit_start_second(SECOND, second);
	while (!ready)
		pause();
	for (unsigned kind = 0; kind < 3; kind++)
		for (unsigned n = 0; n < TIMES; n++) {
			last = 0;
			heard = 0;
			rest();
			last = n == TIMES - 1;
			if (kind < 2)
				timer(kind == 1);
			else
				command();
		}
	done = 1;
	kit_printf("RESULT vectors n=%lu\n", marked);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual local APIC of a shared CPU, which traps where a dedicated CPU's does not: every register with every bit, timers that are
 * always due or never, a second vCPU that is started, stopped and rung without end. What the windows of the neighbours
 * feel, they tell. SDM Vol. 3A, 11.5, 11.6 and 11.12.
 */
#include "hostile.h"

#define FIRST_REGISTER 0x800u
#define LAST_REGISTER 0x8ffu
#define ICR_LOW(icr) ((uint32_t)(icr))
#define LVT_ERROR 0x837u
#define TIMER_INITIAL 0x838u
#define TIMER_DIVIDE 0x83eu
#define TSC_DEADLINE 0x6e0u
#define LVT_PERIODIC (1u << 17)
#define LVT_DEADLINE (2u << 17)
#define TIMER_VECTOR 0x61u
#define RING_VECTOR 0x62u
#define NMI_VECTOR 2u
#define SECOND (1ull << 32) /* destination: APIC ID 1 */
#define ICR_NMI 0x4400u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define ICR_SELF (1u << 18)
#define ICR_ALL (2u << 18)
#define ICR_OTHERS (3u << 18)
#define ERROR_CODES (1u << 17 | 1u << 21 | 1u << 29 | 1u << 30) /* the kit expects an error code there */
#define RANDOM_VALUES 40u
#define TIMER_TICKS 300u
#define RINGS 200u
#define STARTS 20u
#define FAR 10000000000000000000ull
#define MINUTE 1200000000ull

static volatile uint64_t ticks, rings, nmis, rounds;
static volatile enum { RING, HALT } order;

static void do_read(void *argument)
{
	rdmsr(*(const uint32_t *)argument);
}

static void end_of_interrupt(struct kit_frame *frame)
{
	if (frame->vector < 32)
		wrmsr(X2APIC_EOI, 0);
}

static void on_tick(struct kit_frame *frame)
{
	(void)frame;
	if (++ticks % TIMER_TICKS == 0)
		wrmsr(X2APIC_LVT_TIMER, 1u << 16 | TIMER_VECTOR);
}

static void on_ring(struct kit_frame *frame)
{
	(void)frame;
	rings++;
}

static void on_nmi(struct kit_frame *frame)
{
	(void)frame;
	nmis++;
}

/* What was set off arrives. */
static void drain(void)
{
	for (unsigned i = 0; i < 300; i++) {
		sti();
		pause();
		cli();
	}
}

static void restore(struct attack *a)
{
	wrote(a, X2APIC_SVR, 0x1ff);
	for (uint32_t lvt = X2APIC_LVT_TIMER; lvt <= LVT_ERROR; lvt++)
		wrote(a, lvt, 1u << 16);
	wrote(a, TIMER_INITIAL, 0);
	wrote(a, X2APIC_TPR, 0);
	drain();
}

/* Would it bring an interrupt that looks like an exception with an error code, or reset a vCPU? */
static bool ours_to_leave(uint32_t number, uint64_t value)
{
	uint32_t vector = value & 0xff, mode = value >> 8 & 7;
	bool raises = number == X2APIC_ICR || number == X2APIC_SELF_IPI || number == X2APIC_LVT_TIMER ||
	              number == LVT_ERROR;
	return (raises && vector < 32 && ERROR_CODES >> vector & 1) ||
	       (number == X2APIC_ICR && (mode == 5 || mode == 6)); /* attack_starts() */
}

static void poke(struct attack *a, uint32_t number, uint64_t value)
{
	if (!ours_to_leave(number, value))
		wrote(a, number, value);
}

void attack_registers(struct attack *a, const struct kit_info *info)
{
	(void)info;
	kit_handle(NMI_VECTOR, on_nmi);
	for (uint8_t vector = 16; vector < 32; vector++)
		if (!(ERROR_CODES >> vector & 1))
			kit_handle(vector, end_of_interrupt);
	for (uint32_t number = FIRST_REGISTER; number <= LAST_REGISTER; number++) {
		attempt(a, do_read, &number);
		poke(a, number, 0);
		poke(a, number, ~0ull);
		poke(a, number, 0xffffffff);
		for (unsigned bit = 0; bit < 64; bit++) {
			poke(a, number, 1ull << bit);
			poke(a, number, bit < 32 ? 0xffffffff & ~(1ull << bit) : ~(1ull << bit));
		}
		for (unsigned i = 0; i < RANDOM_VALUES; i++)
			poke(a, number, random_number() >> (i & 1 ? 32 : 0));
		restore(a);
	}
	for (uint8_t vector = 16; vector < 32; vector++)
		kit_handle(vector, 0);
}

/* In the past, at the end of time, and each tick of the APIC's clock. */
void attack_timers(struct attack *a, const struct kit_info *info)
{
	static const uint64_t far[] = { FAR, ~0ull, ~0ull - 1, 1ull << 63, (1ull << 63) - 1, 1ull << 62, MINUTE };
	(void)info;
	kit_handle(TIMER_VECTOR, on_tick);
	wrote(a, X2APIC_LVT_TIMER, LVT_DEADLINE | TIMER_VECTOR);
	for (unsigned i = 0; i < sizeof far / sizeof far[0]; i++) {
		wrote(a, TSC_DEADLINE, i < sizeof far / sizeof far[0] - 1 ? far[i] : rdtsc() + far[i]);
		drain();
		wrote(a, TSC_DEADLINE, 1);
		wait_for_interrupt(); /* due at once */
		wrote(a, TSC_DEADLINE, far[i]);
		wrote(a, TSC_DEADLINE, rdtsc() - i);
		wait_for_interrupt();
	}
	for (uint32_t divide = 0; divide < 16; divide++) {
		ticks = 0;
		wrote(a, TIMER_DIVIDE, divide & 0xb);
		wrote(a, X2APIC_LVT_TIMER, LVT_PERIODIC | TIMER_VECTOR);
		wrote(a, TIMER_INITIAL, 1);
		while (ticks < TIMER_TICKS)
			wait_for_interrupt();
		wrote(a, TIMER_INITIAL, 0xffffffff);
		wrote(a, X2APIC_LVT_TIMER, TIMER_VECTOR);
		wrote(a, TIMER_INITIAL, divide + 1);
		drain();
	}
	restore(a);
	kit_handle(TIMER_VECTOR, 0);
}

/* The second vCPU runs when the first one waits. */
static void second(void)
{
	for (;;) {
		rounds++;
		while (order == HALT)
			__asm__ volatile("cli; hlt"); /* only an NMI ends it */
		wrmsr(X2APIC_ICR, RING_VECTOR);       /* to APIC ID 0 */
		wrmsr(X2APIC_ICR, ICR_OTHERS | RING_VECTOR);
		wrmsr(X2APIC_ICR, ICR_ALL | RING_VECTOR);
		wrmsr(X2APIC_ICR, 0xffffffffull << 32 | RING_VECTOR);
		for (unsigned i = 0; i < 3; i++)
			pause();
		sti();
		pause();
		cli();
	}
}

void attack_starts(struct attack *a, const struct kit_info *info)
{
	(void)info;
	kit_handle(RING_VECTOR, on_ring);
	order = RING;
	for (unsigned i = 0; i < STARTS; i++) {
		kit_start_second(1, second);
		for (unsigned k = 0; k < i; k++)
			wrote(a, X2APIC_ICR, SECOND | (k & 1 ? ICR_STARTUP | k : ICR_INIT));
		wrote(a, X2APIC_ICR, ICR_OTHERS | ICR_INIT);
		wrote(a, X2APIC_ICR, ICR_ALL | ICR_INIT);
		wrote(a, X2APIC_ICR, ICR_SELF | ICR_STARTUP);
	}
}

void attack_rings(struct attack *a, const struct kit_info *info)
{
	(void)info;
	kit_handle(RING_VECTOR, on_ring);
	kit_handle(NMI_VECTOR, on_nmi);
	order = RING;
	kit_start_second(1, second);
	for (unsigned i = 0; i < RINGS; i++) {
		for (unsigned k = 0; k < 20; k++)
			wrote(a, X2APIC_ICR, (k & 1 ? (uint64_t)ICR_ALL : SECOND) | RING_VECTOR);
		wait_for_interrupt();
	}
	order = HALT;
	for (unsigned i = 0; i < RINGS; i++) {
		wrote(a, X2APIC_ICR, SECOND | ICR_NMI);
		wrote(a, X2APIC_SELF_IPI, RING_VECTOR);
		wait_for_interrupt();
	}
	if (rounds == 0 || rings < RINGS)
		breach(a, "rings lost, of the second vCPU's", rings);
	kit_handle(RING_VECTOR, 0);
}

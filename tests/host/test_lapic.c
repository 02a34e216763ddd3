// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual local APIC (vmx/lapic.c) against SDM Vol. 3A, chapter 11: every register, the timer's modes, priorities, errors; and random
 * operations beside a model that keeps no state that could be computed anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmx/lapic.h"

#define TICKS 3000u /* TSC ticks a tick of the APIC's clock */
#define SVR_ON 0x1ffu
#define MASKED (1u << 16)
#define PERIODIC (1u << 17)
#define DEADLINE (2u << 17)
#define HUGE_TIME 10000000000000000000ull

static struct lapic l;

static void start(int x2apic)
{
	memset(&l, 0xa5, sizeof l); /* reset does not rely on what was there */
	l.x2apic = (uint8_t)x2apic;
	lapic_reset(&l, 0x23, TICKS);
}

static enum lapic_effect put(uint32_t offset, uint32_t value)
{
	return lapic_write(&l, offset, value, 1000);
}

static void enable(void)
{
	assert_int_equal(put(LAPIC_SVR, SVR_ON), LAPIC_DONE);
}

static uint32_t at_time(uint32_t offset, uint64_t now)
{
	uint32_t value = 0;

	assert_int_equal(lapic_read(&l, offset, now, &value), 1);
	return value;
}

static uint32_t read(uint32_t offset)
{
	return at_time(offset, 1000);
}

static int is_set(uint32_t base, uint32_t vector)
{
	return l.reg[(base + vector / 32 * 16) / 4] >> vector % 32 & 1;
}

static int highest(uint32_t base)
{
	for (int v = 255; v >= 0; v--)
		if (is_set(base, (uint32_t)v))
			return v;
	return -1;
}

static uint32_t bits_set(uint32_t base)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < 256; v++)
		n += (uint32_t)is_set(base, v);
	return n;
}

/* What `pending` and PPR must be, from IRR, ISR and TPR alone (11.8.3.1, 11.8.4). */
static void check_cache(void)
{
	const int irr = highest(LAPIC_IRR), isr = highest(LAPIC_ISR);
	const uint32_t tpr = read(LAPIC_TPR), service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;
	const uint32_t class = (tpr & 0xf0) > service ? tpr & 0xf0 : service;

	assert_int_equal(read(LAPIC_PPR) & 0xf0, class);
	assert_true((read(LAPIC_PPR) & 0xf) == 0 || (read(LAPIC_PPR) & 0xf) == (tpr & 0xf));
	assert_int_equal(l.pending, irr >= 0 && ((uint32_t)irr & 0xf0) > class ? irr : -1);
	assert_int_equal(l.reg[LAPIC_IRR / 4] & 0xffff, 0);
	assert_int_equal(l.reg[LAPIC_ISR / 4] & 0xffff, 0);
}

/* ---- registers ---- */

enum { R = 1, W = 2, RX = 4, WX = 8 }; /* readable, writable; X: in xAPIC mode (else x2APIC) */

static const struct {
	uint32_t first, last, access, writable; /* writable: bits that a write can change while the APIC is enabled */
	uint32_t ignored;                       /* read-only, not reserved */
} registers[] = {
	{ 0x020, 0x020, R | RX, 0, 0 }, /* ID */
	{ 0x030, 0x030, R | RX, 0, 0 }, /* version */
	{ 0x080, 0x080, R | W | RX | WX, 0xff, 0 },
	{ 0x0a0, 0x0a0, R | RX, 0, 0 },
	{ 0x0b0, 0x0b0, W | WX, 0, 0 },
	{ 0x0d0, 0x0d0, R | RX | WX, 0xff000000, 0 },
	{ 0x0e0, 0x0e0, RX | WX, 0xf0000000, 0 },
	{ 0x0f0, 0x0f0, R | W | RX | WX, 0x1ff, 0 },
	{ 0x100, 0x270, R | RX, 0, 0 },
	{ 0x280, 0x280, R | W | RX | WX, 0, 0 },
	{ 0x2f0, 0x2f0, R | W | RX | WX, 0x107ff, 0x1000 },
	{ 0x300, 0x300, R | W | RX | WX, 0xffffefff, 0x1000 },
	{ 0x310, 0x310, RX | WX, 0xff000000, 0 },
	{ 0x320, 0x320, R | W | RX | WX, 0x700ff, 0x1000 },
	{ 0x330, 0x340, R | W | RX | WX, 0x107ff, 0x1000 },
	{ 0x350, 0x360, R | W | RX | WX, 0x1a7ff, 0x5000 },
	{ 0x370, 0x370, R | W | RX | WX, 0x100ff, 0x1000 },
	{ 0x380, 0x380, R | W | RX | WX, 0xffffffff, 0 },
	{ 0x390, 0x390, R | RX, 0, 0 },
	{ 0x3e0, 0x3e0, R | W | RX | WX, 0xb, 0 },
	{ 0x3f0, 0x3f0, W, 0xff, 0 },
};
#define REGISTERS (sizeof registers / sizeof registers[0])

static size_t find(uint32_t offset)
{
	for (size_t i = 0; i < REGISTERS; i++)
		if (offset >= registers[i].first && offset <= registers[i].last && offset % 16 == 0)
			return i;
	return REGISTERS;
}

static void test_which_registers_there_are(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++)
		for (uint32_t offset = 0; offset < 0x1100; offset++) {
			const size_t i = find(offset);
			const uint32_t access = i == REGISTERS ? 0 : registers[i].access >> (x2apic ? 0 : 2) & 3;
			uint32_t value;

			start(x2apic);
			assert_int_equal(lapic_read(&l, offset, 1000, &value), access & R);
			assert_int_equal(put(offset, 0) != LAPIC_FAULT, access >> 1 & 1);
		}
}

/* Each bit of each register, alone: a fault if it is reserved and the mode checks, else it reads back or is dropped. */
static void test_each_bit(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++)
		for (size_t i = 0; i < REGISTERS; i++)
			for (uint32_t bit = 0; bit < 32; bit++) {
				const uint32_t offset = registers[i].first, value = 1u << bit;
				const uint32_t good = registers[i].writable;
				const uint32_t access = registers[i].access >> (x2apic ? 0 : 2);
				uint32_t before;

				if (!(access & W))
					continue;
				start(x2apic);
				enable();
				before = l.reg[offset / 4];
				if (x2apic && !((good | registers[i].ignored) & value)) {
					assert_int_equal(put(offset, value), LAPIC_FAULT);
					assert_int_equal(l.reg[offset / 4], before);
					continue;
				}
				assert_int_not_equal(put(offset, value), LAPIC_FAULT);
				if (access & R && offset != LAPIC_ESR)
					assert_int_equal(read(offset) & good, value & good);
				if (access & R && offset != LAPIC_DFR && offset != LAPIC_ESR)
					assert_int_equal(read(offset) & ~good, 0);
			}
}

static void test_effects(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		start(x2apic);
		enable();
		assert_int_equal(put(LAPIC_ICR, 0x4040), LAPIC_SEND);
		assert_int_equal(put(LAPIC_SELF_IPI, 0x40), x2apic ? LAPIC_SELF : LAPIC_FAULT);
		assert_int_equal(l.pending, x2apic ? 0x40 : -1);
		assert_int_equal(put(LAPIC_EOI, 0), LAPIC_DONE);
	}
}

static void test_reset(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		start(x2apic);
		enable(); /* much is going on, and then INIT comes */
		put(LAPIC_LVT_TIMER, PERIODIC | 0x40);
		put(LAPIC_TIMER_INITIAL, 5);
		put(LAPIC_TPR, 0x20);
		lapic_accept(&l, 3);
		for (uint32_t v = 16; v < 256; v++)
			lapic_accept(&l, v);
		lapic_deliver(&l, 255);
		lapic_reset(&l, 0x23, TICKS);
		assert_int_equal(l.x2apic, x2apic);
		assert_int_equal(read(LAPIC_ID), x2apic ? 0x23 : 0x23000000);
		assert_int_equal(read(LAPIC_VERSION), 0x60015);
		assert_int_equal(read(LAPIC_LDR), x2apic ? 0x20008 : 0);
		assert_int_equal(read(LAPIC_SVR), 0xff);
		assert_int_equal(read(LAPIC_TPR) | read(LAPIC_PPR) | read(LAPIC_ESR) | read(LAPIC_ICR), 0);
		if (!x2apic)
			assert_int_equal(read(LAPIC_DFR), 0xffffffff);
		for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
			assert_int_equal(read(lvt), MASKED);
		assert_int_equal(read(LAPIC_CMCI), MASKED);
		assert_int_equal(read(LAPIC_TIMER_INITIAL) | read(LAPIC_TIMER_CURRENT) | read(LAPIC_TIMER_DIVIDE), 0);
		for (uint32_t base = LAPIC_ISR; base <= LAPIC_IRR; base += 0x80)
			assert_int_equal(bits_set(base), 0);
		assert_true(l.deadline == LAPIC_NEVER && l.period == 0 && l.pending == -1 && l.esr_pending == 0);
		lapic_timer_expire(&l, UINT64_MAX - 1);
		assert_int_equal(l.pending, -1);
	}
}

/* 11.4.7.2: disabled by software, every LVT entry is masked and stays so, and nothing new is accepted; what is there stays. */
static void test_software_disable(void **state)
{
	static const uint32_t lvts[] = { LAPIC_CMCI,      LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PMC,
		                         LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, LAPIC_LVT_ERROR };

	(void)state;
	start(1);
	enable();
	lapic_accept(&l, 0x50);
	for (size_t i = 0; i < sizeof lvts / sizeof lvts[0]; i++) {
		put(lvts[i], 0x40);
		assert_int_equal(read(lvts[i]), 0x40);
	}
	put(LAPIC_SVR, 0xff);
	for (size_t i = 0; i < sizeof lvts / sizeof lvts[0]; i++) {
		assert_int_equal(read(lvts[i]), MASKED | 0x40);
		put(lvts[i], 0x41);
		assert_int_equal(read(lvts[i]), MASKED | 0x41);
	}
	assert_int_equal(l.pending, 0x50);
	lapic_accept(&l, 0x60);
	put(LAPIC_SELF_IPI, 0x60);
	assert_int_equal(bits_set(LAPIC_IRR), 1);
	enable();
	assert_int_equal(read(LAPIC_LVT_TIMER), MASKED | 0x41); /* the guest unmasks, not the APIC */
	lapic_accept(&l, 0x60);
	assert_int_equal(l.pending, 0x60);
}

/* ---- priorities ---- */

static void test_every_tpr_with_every_vector(void **state)
{
	(void)state;
	for (uint32_t tpr = 0; tpr < 256; tpr++)
		for (uint32_t v = 0; v < 256; v++) {
			start(1);
			enable();
			put(LAPIC_TPR, tpr);
			lapic_accept(&l, v);
			assert_int_equal(l.pending, v >= 16 && v >> 4 > tpr >> 4 ? (int)v : -1);
			assert_int_equal(bits_set(LAPIC_IRR), v >= 16);
			check_cache();
			put(LAPIC_TPR, 0); /* held back, not lost */
			assert_int_equal(l.pending, v >= 16 ? (int)v : -1);
		}
}

static void test_nesting_and_order_of_eoi(void **state)
{
	static const int vectors[] = { 0x31, 0x41, 0x52, 0xf0 };

	(void)state;
	start(1);
	enable();
	put(LAPIC_EOI, 0); /* nothing in service */
	for (size_t i = 0; i < 4; i++) {
		lapic_accept(&l, (uint32_t)vectors[i]);
		assert_int_equal(l.pending, vectors[i]);
		lapic_deliver(&l, (uint32_t)vectors[i]);
		assert_int_equal(l.pending, -1);
		lapic_accept(&l, (uint32_t)vectors[i] | 0xf); /* same class: waits */
		lapic_accept(&l, 0x32);
		assert_int_equal(l.pending, -1);
		check_cache();
	}
	for (size_t i = 4; i-- > 0;) {
		assert_int_equal(highest(LAPIC_ISR), vectors[i]);
		put(LAPIC_EOI, 0);
		assert_int_equal(l.pending, vectors[i] | 0xf);
		lapic_deliver(&l, (uint32_t)l.pending);
		put(LAPIC_EOI, 0);
		check_cache();
	}
	assert_int_equal(l.pending, 0x32);
	assert_int_equal(bits_set(LAPIC_ISR), 0);
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 16; v++) {
		start(1);
		enable();
		put(LAPIC_LVT_ERROR, 0xfe);
		lapic_accept(&l, v);
		assert_int_equal(read(LAPIC_ESR), 0); /* not before it is written */
		assert_int_equal(l.pending, 0xfe);
		lapic_deliver(&l, 0xfe);
		put(LAPIC_EOI, 0);
		put(LAPIC_SELF_IPI, v);
		assert_int_equal(l.pending, -1); /* armed again by a write to ESR */
		put(LAPIC_ESR, 0);
		assert_int_equal(read(LAPIC_ESR), 0x60);
		put(LAPIC_ESR, 0);
		assert_int_equal(read(LAPIC_ESR), 0);
		put(LAPIC_ICR, 0x4000 | v); /* send illegal vector; not so with NMI, INIT, SIPI */
		assert_int_equal(l.pending, 0xfe);
		put(LAPIC_ESR, 0);
		assert_int_equal(read(LAPIC_ESR), 0x20);
		for (uint32_t mode = 2; mode < 8; mode++)
			put(LAPIC_ICR, mode << 8 | v);
		put(LAPIC_ESR, 0);
		assert_int_equal(read(LAPIC_ESR), 0);
		assert_int_equal(put(LAPIC_ESR, 1), LAPIC_FAULT);
		check_cache();
	}
	start(1); /* masked, or with an illegal vector itself */
	lapic_accept(&l, 1);
	enable();
	put(LAPIC_LVT_ERROR, 0x0f);
	put(LAPIC_ESR, 0);
	lapic_accept(&l, 1);
	assert_int_equal(bits_set(LAPIC_IRR), 0);
	lapic_accept(&l, 256); /* no vector */
	assert_int_equal(bits_set(LAPIC_IRR), 0);
	put(LAPIC_ESR, 0);
	put(LAPIC_LVT_TIMER, 0x05); /* a local source with an illegal vector */
	put(LAPIC_TIMER_INITIAL, 1);
	lapic_timer_expire(&l, HUGE_TIME);
	put(LAPIC_ESR, 0);
	assert_int_equal(read(LAPIC_ESR), 0x40);
}

/* What the guest wrote to ICR reads back; busy never does. */
static void test_icr_reads_back(void **state)
{
	(void)state;
	start(1);
	lapic_note_icr(&l, 0xfffff, 0x12345678);
	assert_int_equal(read(LAPIC_ICR), 0xfefff);
	assert_int_equal(l.reg[LAPIC_ICR2 / 4], 0x12345678);
}

/* ---- timer ---- */

static void take(int vector)
{
	assert_int_equal(l.pending, vector);
	lapic_deliver(&l, (uint32_t)vector);
	lapic_write(&l, LAPIC_EOI, 0, 0);
	assert_int_equal(l.pending, -1);
}

static void test_one_shot_with_every_divisor(void **state)
{
	static const uint32_t codes[] = { 0, 1, 2, 3, 8, 9, 10, 11 }, divisors[] = { 2, 4, 8, 16, 32, 64, 128, 1 };
	static const uint32_t counts[] = { 1, 2, 1000, 0x7fffffff, 0x80000000, 0xffffffff };

	(void)state;
	for (size_t d = 0; d < 8; d++)
		for (size_t c = 0; c < 6; c++) {
			const uint64_t tick = (uint64_t)TICKS * divisors[d], end = 777 + tick * counts[c];

			start(1);
			enable();
			put(LAPIC_LVT_TIMER, 0x30);
			lapic_write(&l, LAPIC_TIMER_DIVIDE, codes[d], 5);
			assert_true(l.deadline == LAPIC_NEVER);
			lapic_write(&l, LAPIC_TIMER_INITIAL, counts[c], 777);
			assert_true(l.deadline == end && l.period == 0);
			assert_int_equal(at_time(LAPIC_TIMER_CURRENT, 777), counts[c]);
			assert_int_equal(at_time(LAPIC_TIMER_CURRENT, 777 + tick), counts[c] - 1);
			assert_int_equal(at_time(LAPIC_TIMER_CURRENT, end - 1), 1);
			assert_int_equal(at_time(LAPIC_TIMER_CURRENT, end), 0);
			assert_int_equal(at_time(LAPIC_TIMER_CURRENT, HUGE_TIME), 0);
			assert_int_equal(at_time(LAPIC_TIMER_INITIAL, end), counts[c]);
			lapic_timer_expire(&l, end - 1);
			assert_int_equal(l.pending, -1);
			lapic_timer_expire(&l, end);
			take(0x30);
			assert_true(l.deadline == LAPIC_NEVER);
			lapic_timer_expire(&l, HUGE_TIME);
			assert_int_equal(l.pending, -1);
		}
}

static void test_periodic(void **state)
{
	(void)state;
	start(1);
	enable();
	put(LAPIC_TIMER_DIVIDE, 11);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 1000);
	for (uint64_t n = 1; n < 100; n++) {
		lapic_timer_expire(&l, 1000 + n * 10 * TICKS - 1);
		assert_int_equal(l.pending, -1);
		lapic_timer_expire(&l, 1000 + n * 10 * TICKS);
		take(0x30);
		assert_int_equal(at_time(LAPIC_TIMER_CURRENT, 1000 + n * 10 * TICKS), 10);
	}
	/* Late by many periods, 2^62 of the shortest ones at most: one interrupt, at once, and back in step. */
	for (uint64_t late = 1; late < 1ull << 62; late *= 3) {
		start(1);
		enable();
		l.count_ticks = 1;
		put(LAPIC_TIMER_DIVIDE, 11);
		put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
		lapic_write(&l, LAPIC_TIMER_INITIAL, 7, 0);
		lapic_timer_expire(&l, 7 + late);
		take(0x30);
		assert_true(l.deadline > 7 + late && l.deadline - (7 + late) <= 7 && l.deadline % 7 == 0);
	}
	lapic_write(&l, LAPIC_TIMER_INITIAL, 0, 5); /* stops it */
	assert_true(l.deadline == LAPIC_NEVER && l.period == 0);
}

static void test_masked_timer_runs_without_interrupts(void **state)
{
	(void)state;
	start(1);
	enable();
	put(LAPIC_TIMER_DIVIDE, 11);
	put(LAPIC_LVT_TIMER, MASKED | PERIODIC | 0x30);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 0);
	lapic_timer_expire(&l, 10 * TICKS);
	assert_int_equal(bits_set(LAPIC_IRR), 0);
	assert_int_equal(l.deadline, 20 * TICKS);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30); /* unmasked, it is still in step */
	assert_int_equal(l.deadline, 20 * TICKS);
	lapic_timer_expire(&l, 20 * TICKS);
	take(0x30);
}

/* 11.5.4: the divisor takes effect at once; the count stays. */
static void test_divide_while_it_counts(void **state)
{
	(void)state;
	start(1);
	enable();
	put(LAPIC_TIMER_DIVIDE, 11);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 100, 0);
	lapic_write(&l, LAPIC_TIMER_DIVIDE, 10, 40 * TICKS); /* 1 to 128 */
	assert_int_equal(at_time(LAPIC_TIMER_CURRENT, 40 * TICKS), 60);
	assert_int_equal(l.deadline, 40 * TICKS + 60ull * 128 * TICKS);
	assert_int_equal(l.period, 100ull * 128 * TICKS);
	lapic_write(&l, LAPIC_TIMER_DIVIDE, 11, l.deadline + 5); /* due, and the divisor changes in the same instant */
	take(0x30);
	assert_int_equal(l.period, 100ull * TICKS);
	assert_in_range(at_time(LAPIC_TIMER_CURRENT, l.deadline - l.period), 0, 100);
}

static void test_modes(void **state)
{
	(void)state;
	start(1);
	enable();
	put(LAPIC_TIMER_DIVIDE, 11);
	/* One-shot and periodic: the count goes on, and what happens at its end the mode says then. */
	put(LAPIC_LVT_TIMER, 0x30);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 0);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
	lapic_timer_expire(&l, 10 * TICKS);
	take(0x30);
	assert_int_equal(l.deadline, 20 * TICKS);
	put(LAPIC_LVT_TIMER, 0x30);
	lapic_timer_expire(&l, 20 * TICKS);
	take(0x30);
	assert_true(l.deadline == LAPIC_NEVER);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30); /* it had come to its end: no restart */
	assert_true(l.deadline == LAPIC_NEVER && l.period == 0);
	/* To deadline mode: disarmed; the count registers are dead. */
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 0);
	lapic_write_deadline(&l, 5);
	assert_int_equal(l.deadline, 10 * TICKS); /* ignored in other modes */
	assert_int_equal(lapic_read_deadline(&l), 0);
	put(LAPIC_LVT_TIMER, DEADLINE | 0x30);
	assert_true(l.deadline == LAPIC_NEVER && l.period == 0);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 0);
	assert_true(l.deadline == LAPIC_NEVER);
	assert_int_equal(read(LAPIC_TIMER_INITIAL), 0);
	/* And back. */
	lapic_write_deadline(&l, 123456);
	assert_int_equal(at_time(LAPIC_TIMER_CURRENT, 5), 0);
	put(LAPIC_TIMER_DIVIDE, 0);
	assert_int_equal(lapic_read_deadline(&l), 123456);
	put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
	assert_true(l.deadline == LAPIC_NEVER && l.period == 0);
	assert_int_equal(lapic_read_deadline(&l), 0);
	/* The reserved mode does no harm. */
	put(LAPIC_LVT_TIMER, PERIODIC | DEADLINE | 0x30);
	lapic_write(&l, LAPIC_TIMER_INITIAL, 10, 0);
	lapic_write_deadline(&l, 5);
	lapic_timer_expire(&l, HUGE_TIME);
	assert_true(l.deadline == LAPIC_NEVER);
}

static void test_deadlines(void **state)
{
	static const uint64_t past[] = { 1, 999, 1000 };

	(void)state;
	start(1);
	enable();
	put(LAPIC_LVT_TIMER, DEADLINE | 0x30);
	for (size_t i = 0; i < 3; i++) { /* at once, and then it is disarmed */
		lapic_write_deadline(&l, past[i]);
		assert_int_equal(lapic_read_deadline(&l), past[i]);
		lapic_timer_expire(&l, 1000);
		take(0x30);
		assert_int_equal(lapic_read_deadline(&l), 0);
	}
	lapic_write_deadline(&l, HUGE_TIME);
	assert_true(lapic_read_deadline(&l) == HUGE_TIME);
	lapic_timer_expire(&l, HUGE_TIME - 1);
	assert_int_equal(l.pending, -1);
	lapic_timer_expire(&l, HUGE_TIME);
	take(0x30);
	lapic_write_deadline(&l, 2000);
	lapic_write_deadline(&l, 0); /* disarms */
	lapic_timer_expire(&l, HUGE_TIME);
	assert_int_equal(l.pending, -1);
	lapic_write_deadline(&l, UINT64_MAX);
	lapic_timer_expire(&l, UINT64_MAX - 1);
	assert_int_equal(l.pending, -1);
	put(LAPIC_LVT_TIMER, MASKED | DEADLINE | 0x30);
	lapic_write_deadline(&l, 5);
	lapic_timer_expire(&l, 5);
	assert_true(l.pending == -1 && lapic_read_deadline(&l) == 0);
}

/* ---- random operations ---- */

static uint64_t seed = 88172645463325252ull;
static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_step(uint64_t now)
{
	static const uint32_t offsets[] = { 0x80,  0x80,  0xb0,  0xb0,  0xf0,  0x280, 0x320, 0x320,
		                            0x370, 0x380, 0x380, 0x3e0, 0x3f0, 0x300, 0x350, 0 };
	const uint32_t r = (uint32_t)any(), vector = r >> 8 & 0xff;
	uint32_t offset, value;

	switch (r & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		lapic_accept(&l, vector);
		if (vector >= 16 && l.reg[LAPIC_SVR / 4] & 0x100)
			assert_true(is_set(LAPIC_IRR, vector));
		break;
	case 4:
	case 5:
	case 6:
		lapic_write(&l, LAPIC_EOI, 0, now);
		break;
	case 7:
	case 8:
	case 9:
		if (l.pending >= 0) {
			const uint32_t v = (uint32_t)l.pending;

			lapic_deliver(&l, v);
			assert_true(is_set(LAPIC_ISR, v) && !is_set(LAPIC_IRR, v));
			assert_int_equal(highest(LAPIC_ISR), v);
		}
		break;
	case 10:
		lapic_timer_expire(&l, now);
		assert_true(l.deadline > now);
		break;
	case 11:
		lapic_write_deadline(&l, r & 0x100 ? now + (r >> 16) : any());
		break;
	default:
		offset = r & 0x1000 ? offsets[r >> 20 & 15] : r >> 20 & 0x3f0;
		value = (uint32_t)any() & (r & 0x2000 ? 0xffu : r & 0x4000 ? 0x700ffu : 0xffffffffu);
		if (offset == LAPIC_SVR && r & 0x38000)
			value = SVR_ON;
		if (offset == LAPIC_TPR)
			value &= 0x3f;
		if (offset == 0 && r >> 16 == 0)
			lapic_reset(&l, 0x23, TICKS);
		else
			lapic_write(&l, offset, value, now);
	}
}

static void test_random_operations(void **state)
{
	uint64_t now = 0, taken = 0;

	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		start(x2apic);
		enable();
		for (uint32_t step = 0; step < 1000000; step++) {
			const int16_t before = l.pending;

			now += any() >> (any() % 48 + 16) & 0xffffff;
			random_step(now);
			check_cache();
			assert_int_equal(bits_set(LAPIC_TMR), 0);
			assert_true(l.period == 0 ||
			            (l.deadline != LAPIC_NEVER && l.period <= 0xffffffffull * 128 * TICKS));
			taken += before >= 0 && l.pending != before;
		}
	}
	assert_in_range(taken, 100000, 2000000); /* the steps do something */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_registers_there_are),
		cmocka_unit_test(test_each_bit),
		cmocka_unit_test(test_effects),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_software_disable),
		cmocka_unit_test(test_every_tpr_with_every_vector),
		cmocka_unit_test(test_nesting_and_order_of_eoi),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_icr_reads_back),
		cmocka_unit_test(test_one_shot_with_every_divisor),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_masked_timer_runs_without_interrupts),
		cmocka_unit_test(test_divide_while_it_counts),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_random_operations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

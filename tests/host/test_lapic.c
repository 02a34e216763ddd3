// SPDX-License-Identifier: Apache-2.0
/* The virtual local APIC (vmx/lapic.c) against SDM Vol. 3A, chapter 11: every register and each of its bits, priorities, errors. */
#include "lapic_test.h"

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

/* A message that says "level" sets the bit in TMR, by which the EOI is told; one that says "edge" takes it away. */
static void test_level(void **state)
{
	uint32_t level[8] = { 0 };

	(void)state;
	for (uint32_t v = 16; v < 256; v++) {
		start(1);
		enable();
		l.level = level;
		level[v / 32] = 1u << v % 32;
		lapic_accept(&l, v);
		lapic_accept(&l, v ^ 1);
		assert_int_equal(bits_set(LAPIC_TMR), 1);
		for (uint32_t n = 0; n < 4; n++)
			assert_int_equal(lapic_level_vectors(&l, n), v / 64 == n ? 1ull << v % 64 : 0);
		for (uint32_t i = 0; i < 2; i++) {
			const uint32_t vector = (uint32_t)highest(LAPIC_IRR);

			l.pending = (int16_t)vector;
			lapic_deliver(&l, vector);
			assert_int_equal(put(LAPIC_EOI, 0), vector == v ? LAPIC_ENDED : LAPIC_DONE);
			if (vector == v)
				assert_int_equal(l.ended, v);
		}
		level[v / 32] = 0;
		lapic_accept(&l, v);
		assert_int_equal(bits_set(LAPIC_TMR), 0);
		lapic_deliver(&l, v);
		assert_int_equal(put(LAPIC_EOI, 0), LAPIC_DONE);
	}
}

static void test_to_x2apic(void **state)
{
	(void)state;
	start(0);
	enable();
	put(LAPIC_ICR2, 0x12000000);
	put(LAPIC_LDR, 0x12000000);
	put(LAPIC_TPR, 0x20);
	lapic_accept(&l, 0x40);
	lapic_to_x2apic(&l, 0x23);
	assert_int_equal(read(LAPIC_ID), 0x23);
	assert_int_equal(read(LAPIC_LDR), 0x20008);
	assert_int_equal(l.reg[LAPIC_ICR2 / 4], 0);
	assert_int_equal(read(LAPIC_TPR), 0x20);
	assert_int_equal(l.pending, 0x40);
	assert_int_equal(put(LAPIC_LDR, 0), LAPIC_FAULT);
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
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_to_x2apic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

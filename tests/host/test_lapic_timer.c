// SPDX-License-Identifier: Apache-2.0
/*
 * The timer of the virtual local APIC in all modes; and random operations on all of it beside a model that keeps no state which could be
 * computed anew.
 */
#include "lapic_test.h"

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
	/* Late by many periods: one interrupt, at once, and back in step. */
	for (uint64_t late = 1; late < 1ull << 62; late *= 3) {
		start(1);
		enable();
		l.count_ticks = 1;
		put(LAPIC_TIMER_DIVIDE, 11);
		put(LAPIC_LVT_TIMER, PERIODIC | 0x30);
		lapic_write(&l, LAPIC_TIMER_INITIAL, 7000, 0);
		lapic_timer_expire(&l, 7000 + late);
		take(0x30);
		assert_true(l.deadline > 7000 + late && l.deadline - (7000 + late) <= 7000 && l.deadline % 7000 == 0);
	}
	lapic_write(&l, LAPIC_TIMER_INITIAL, 1, 0); /* the first time is as written, then its guest must get on */
	assert_true(l.deadline == 1 && l.period == 4096);
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

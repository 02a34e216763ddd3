// SPDX-License-Identifier: Apache-2.0
/*
 * Posted interrupts (core/posted.c) with senders and takers on threads, under ThreadSanitizer: nothing is lost, nothing comes twice, and
 * who has something waiting was kicked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

/* Four CPUs with four slots each, whatever a configuration says; a CPU is a thread. */
#define CONFIG_CPUS 4
#define CONFIG_VCPUS_PER_CPU 4
#define CORE_CPU_H /* in the place of core/cpu.h: */
static _Thread_local struct {
	uint32_t index;
} me;
#define this_cpu (&me)
#define wrmsr hardware_wrmsr
#include "core/x86.h"
#undef wrmsr

static uint32_t kicks[CONFIG_CPUS], notified[CONFIG_CPUS];
static void wrmsr(uint32_t msr, uint64_t value)
{
	if (msr == 0x830 && (uint32_t)value == (1u << 14 | 0xf2) && value >> 32 < CONFIG_CPUS)
		__atomic_fetch_add(&kicks[value >> 32], 1, __ATOMIC_SEQ_CST);
	if (msr == 0x830 && (uint32_t)value == (1u << 14 | 0xf3) && value >> 32 < CONFIG_CPUS)
		__atomic_fetch_add(&notified[value >> 32], 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < 4; i++) /* the receiver may be faster than the sender's next instruction */
		sched_yield();
}

#define MSR_X2APIC_ICR 0x830u
#define CORE_CORE_H /* in the place of core/core.h: */
static const uint32_t cpu_apic_id[CONFIG_CPUS] = { 0, 1, 2, 3 };
#include "core/posted.c"

#define ROUNDS 100000u
#define SENDERS 3u

static uint32_t sent[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU][256], taken[CONFIG_VCPUS_PER_CPU][256], seen_kicks;
static uint32_t done;

/* A sender sends a vector only when its last one was taken, so that each must come. Its vectors are its own. */
static void *sender(void *number)
{
	const uint32_t n = (uint32_t)(uintptr_t)number;

	me.index = n;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint32_t slot = (i + n) % CONFIG_VCPUS_PER_CPU, vector = 16 + i % 70 * 3 + n;

		while (__atomic_load_n(&taken[slot][vector], __ATOMIC_ACQUIRE) != sent[0][slot][vector])
			sched_yield();
		sent[0][slot][vector]++;
		posted_send(0, slot, vector);
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void take_all(void)
{
	uint64_t slots_left = posted_take_slots(0);

	for (; slots_left; slots_left &= slots_left - 1) {
		const uint32_t slot = (uint32_t)__builtin_ctzll(slots_left);

		for (uint32_t word = 0; word < 4; word++)
			for (uint64_t bits = posted_take(0, slot, word); bits; bits &= bits - 1)
				__atomic_fetch_add(&taken[slot][word * 64 + (uint32_t)__builtin_ctzll(bits)], 1,
				                   __ATOMIC_RELEASE);
	}
}

/* CPU 0 looks only when it was kicked, as in HLT. */
static void test_nothing_is_lost(void **state)
{
	pthread_t thread[SENDERS];

	(void)state;
	me.index = 0;
	for (uint32_t slot = 0; slot < CONFIG_VCPUS_PER_CPU; slot++)
		posted_close(0, slot);
	for (uintptr_t n = 0; n < SENDERS; n++)
		pthread_create(&thread[n], 0, sender, (void *)(n + 1));
	for (uint64_t idle = 0; __atomic_load_n(&done, __ATOMIC_SEQ_CST) < SENDERS && idle < 3000000;) {
		const uint32_t now = __atomic_load_n(&kicks[0], __ATOMIC_SEQ_CST);

		if (now == seen_kicks) {
			idle++;
			sched_yield();
			continue;
		}
		idle = 0;
		seen_kicks = now;
		take_all();
	}
	assert_int_equal(done, SENDERS); /* else: a kick is missing, everybody waits */
	for (uint32_t n = 0; n < SENDERS; n++)
		pthread_join(thread[n], 0);
	take_all();
	for (uint32_t slot = 0; slot < CONFIG_VCPUS_PER_CPU; slot++)
		for (uint32_t v = 0; v < 256; v++)
			assert_int_equal(taken[slot][v], sent[0][slot][v]);
	assert_false(posted_any(0));
	assert_in_range(kicks[0], 1, SENDERS * ROUNDS);
}

static void test_one_kick_until_somebody_looks(void **state)
{
	(void)state;
	me.index = 1;
	memset(kicks, 0, sizeof kicks);
	posted_close(2, 3);
	posted_close(2, 0);
	for (uint32_t v = 16; v < 256; v++)
		posted_send(2, 3, v);
	assert_int_equal(kicks[2], 1);
	posted_wake(2, 0);
	assert_int_equal(kicks[2], 2);
	posted_wake(2, 0);
	posted_send(1, 0, 0x40); /* to itself: it looks anyway */
	assert_int_equal(kicks[0] + kicks[1] + kicks[2] + kicks[3], 2);
	assert_true(posted_any(2) && posted_any(1) && !posted_any(3));
	assert_int_equal(posted_take_slots(2), 9);
	assert_int_equal(posted_take(2, 3, 0), 0xffffffffffff0000);
	for (uint32_t word = 1; word < 4; word++)
		assert_int_equal(posted_take(2, 3, word), 0xffffffffffffffff);
	assert_int_equal(posted_take(2, 3, 0), 0);
	posted_send(2, 3, 0x40);
	assert_int_equal(kicks[2], 3);
}

/* The CPU's part of CPU 0: what arrives is in the requests, and the notification clears ON (SDM Vol. 3C, 30.6). */
static uint32_t running = CONFIG_VCPUS_PER_CPU;
static void take_notifications(void)
{
	if (running < CONFIG_VCPUS_PER_CPU) {
		__atomic_and_fetch(&posted_descriptor[0][running].control, ~POSTED_ON, __ATOMIC_SEQ_CST);
		posted_wake(0, running); /* so that take_all() looks at it */
	}
}

/* vCPUs that begin and end to take notifications while vectors are sent to them: none is left behind. */
static void test_nothing_is_lost_between_open_and_close(void **state)
{
	pthread_t thread[SENDERS];
	uint32_t turn = 0, seen = 0;

	(void)state;
	me.index = 0;
	done = 0;
	memset(kicks, 0, sizeof kicks);
	memset(sent, 0, sizeof sent);
	memset(taken, 0, sizeof taken);
	for (uintptr_t n = 0; n < SENDERS; n++)
		pthread_create(&thread[n], 0, sender, (void *)(n + 1));
	for (uint64_t idle = 0; __atomic_load_n(&done, __ATOMIC_SEQ_CST) < SENDERS && idle < 3000000; idle++) {
		const uint32_t now = __atomic_load_n(&kicks[0], __ATOMIC_SEQ_CST) +
		                     __atomic_load_n(&notified[0], __ATOMIC_SEQ_CST);

		if (now != seen) {
			seen = now;
			idle = 0;
			take_notifications();
			take_all();
		}
		if (++turn % 64)
			continue;
		if (running < CONFIG_VCPUS_PER_CPU) { /* as make_current() does */
			posted_close(0, running);
			if (posted_waiting(0, running))
				posted_wake(0, running);
		}
		running = turn / 64 % (CONFIG_VCPUS_PER_CPU + 1);
		if (running < CONFIG_VCPUS_PER_CPU) {
			posted_open(0, running);
			if (posted_waiting(0, running))
				posted_wake(0, running);
		}
		take_all();
	}
	assert_int_equal(done, SENDERS);
	for (uint32_t n = 0; n < SENDERS; n++)
		pthread_join(thread[n], 0);
	assert_true(notified[0] > 100 && kicks[0] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_nothing_is_lost_between_open_and_close),
		cmocka_unit_test(test_one_kick_until_somebody_looks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

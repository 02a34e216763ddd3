// SPDX-License-Identifier: Apache-2.0
/* The trace: the ring for itself, what a reader can tell of it, and what scheduled and dedicated CPUs write into it. */
#include "scheduled_test.h"

#include "hypercall/abi.h"
#include "vmx/trace.h"

#define ENTRIES 64u
#define WHO_SINGLE TRACE_WHO(3, 0)
#define WHO_PAIR TRACE_WHO(2, 0)

static union {
	uint8_t bytes[TRACE_HEADER + (ENTRIES + 1) * sizeof(struct trace_record)];
	uint64_t align;
} memory;
#define own ((struct trace_ring *)memory.bytes)

static struct trace begin(uint64_t guard)
{
	struct trace t;

	memset(&memory, 0, sizeof memory);
	trace_begin(&t, own, 3, ENTRIES, guard);
	assert_int_equal(own->magic, TRACE_MAGIC);
	assert_int_equal(own->version, TRACE_VERSION);
	assert_int_equal(own->cpu, 3);
	return t;
}

static void test_records_come_round(void **state)
{
	struct trace t = begin(1000);

	(void)state;
	for (uint64_t n = 0; n < 5 * ENTRIES + 7; n++) {
		trace_put(&t, 1000 + n, TRACE_EXIT, (uint32_t)n & 127, 0x102, n);
		assert_int_equal(own->head, n + 1);
		for (uint64_t back = 0; back <= n && back < ENTRIES; back++) {
			const struct trace_record *r = &own->record[(n - back) % ENTRIES];

			assert_int_equal(r->tsc, 1000 + n - back);
			assert_int_equal(r->argument, n - back);
			assert_int_equal(r->type, TRACE_EXIT);
			assert_int_equal(r->who, 0x102);
			assert_int_equal(r->detail, (n - back) & 127);
		}
	}
	assert_int_equal(own->record[ENTRIES].tsc, 0);
}

/* A guest cannot write there; but if something does, the core goes on writing where it should. */
static void test_nothing_is_read_back(void **state)
{
	struct trace t = begin(1000);

	(void)state;
	own->head = ~0ull;
	own->entries = ~0u;
	own->late.shift = 63;
	trace_put(&t, 5, TRACE_WAKE, 0, 0, 0);
	trace_count_late(&own->late, ~0ull);
	assert_int_equal(own->record[0].tsc, 5);
	assert_int_equal(own->head, 1);
}

static void test_fields_do_not_wrap(void **state)
{
	struct trace t = begin(1000);

	(void)state;
	trace_put(&t, 1, TRACE_EXIT, 256, 0, 1ull << 32);
	assert_int_equal(own->record[0].detail, 255);
	assert_int_equal(own->record[0].argument, UINT32_MAX);
}

static void test_lateness(void **state)
{
	static const uint64_t guards[] = { 0, 1, 47, 48, 1000, 2000, 60000, 3000000, 1ull << 40 };
	struct trace_late *late = &own->late;

	(void)state;
	for (size_t i = 0; i < sizeof guards / sizeof *guards; i++) {
		uint64_t sum = 0;

		begin(guards[i]);
		assert_true(guards[i] >> late->shift < TRACE_BUCKETS * 3 / 4);
		assert_true(guards[i] < 48 || guards[i] >> late->shift >= TRACE_BUCKETS * 3 / 8);
		trace_count_late(late, guards[i]);
		trace_count_late(late, 0);
		trace_count_late(late, 2 * guards[i] + 63);
		assert_int_equal(late->windows, 3);
		assert_int_equal(late->min, 0);
		assert_int_equal(late->max, 2 * guards[i] + 63);
		assert_int_equal(late->sum, 3 * guards[i] + 63);
		assert_true(late->bucket[0] >= 1 && late->bucket[guards[i] >> late->shift] >= 1);
		for (uint32_t n = 0; n < TRACE_BUCKETS; n++)
			sum += late->bucket[n];
		assert_int_equal(sum, 3);
	}
}

/* ---- what CPUs write ---- */

#define ring ((const struct trace_ring *)CORE_MEMORY_BASE)

static const struct trace_record *last(uint32_t back)
{
	return &ring->record[(ring->head - 1 - back) % ENTRIES];
}

static void expect(uint32_t back, enum trace_type type, uint32_t detail, uint16_t who, uint32_t argument)
{
	const struct trace_record *r = last(back);

	assert_int_equal(r->type, type);
	assert_int_equal(r->detail, detail);
	assert_int_equal(r->who, who);
	assert_int_equal(r->argument, argument);
}

static void test_window_begins(void **state)
{
	(void)state;
	start();
	assert_int_equal(ring->epoch, EPOCH);
	assert_int_equal(ring->guard, 50 * US);
	assert_int_equal(ring->shared, 1);
	expect(0, TRACE_SWITCH, 0, WHO_PAIR, 0);
	expect(1, TRACE_WINDOW, 0, WHO_PAIR, 0);
	assert_int_equal(last(2)->type, TRACE_EXIT);
	assert_int_equal(last(2)->who, TRACE_NOBODY);
	at(EPOCH + 401 * US);
	expect(0, TRACE_SWITCH, 0, TRACE_NOBODY, 0);
	at(SINGLE_STARTS + 77); /* the decision was late, and so is the entry */
	expect(0, TRACE_SWITCH, 0, WHO_SINGLE, 0);
	expect(1, TRACE_WINDOW, 1, WHO_SINGLE, 77);
	assert_int_equal(ring->late.windows, 2);
	assert_int_equal(ring->late.max, 77);
	assert_int_equal(ring->idle, scheduled->sched.idle.used);
}

/* The switch itself makes the start late, and is in it. */
static uint64_t cost;
static void take_time(void)
{
	seam.tsc += cost;
}

static void test_the_switch_is_in_the_lateness(void **state)
{
	(void)state;
	start();
	at(EPOCH + 401 * US);
	cost = 10;
	seam.on_instruction = take_time;
	at(SINGLE_STARTS);
	seam.on_instruction = 0;
	assert_int_equal(last(1)->type, TRACE_WINDOW);
	assert_true(last(1)->argument >= 3 * cost);
	assert_int_equal(last(1)->argument, last(1)->tsc - SINGLE_STARTS);
	assert_true(last(1)->argument + EARLY > scheduled->sched.late);
}

static void test_exit_wait_wake_interrupt(void **state)
{
	(void)state;
	start();
	prepare_guest();
	this_cpu->running->start = (uint32_t)(EPOCH + 10 * US - 123);
	seam.tsc = EPOCH + 10 * US;
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
	expect(0, TRACE_EXIT, EXIT_REASON_WRMSR, WHO_PAIR, 123);
	halt_with(1);
	assert_int_equal(last(0)->type, TRACE_EXIT); /* in a step of its own: the second vCPU waits for a SIPI */
	expect(1, TRACE_SWITCH, 0, TRACE_NOBODY, 0);
	assert_int_equal(last(2)->type, TRACE_EXIT);
	expect(3, TRACE_WAIT, 0, WHO_PAIR, (uint32_t)(40 * US));
	posted_send(SEAM_CPU_SCHEDULED, 0, 0x70);
	kick();
	expect(0, TRACE_SWITCH, 0, WHO_PAIR, 0);
	assert_int_equal(last(1)->type, TRACE_EXIT);
	expect(2, TRACE_INTERRUPT, 0x70, WHO_PAIR, 0);
	expect(3, TRACE_WAKE, 0, WHO_PAIR, 0);
}

static void test_a_cut_window_is_recorded(void **state)
{
	(void)state;
	start();
	seam.smis = 5;
	at(EPOCH + 401 * US);
	seam.tsc = SINGLE_STARTS + 150 * US; /* its end would lie behind the frame's */
	exits(EXIT_REASON_PREEMPTION_TIMER, 0);
	assert_int_equal(scheduled->sched.windows_cut, 1);
	expect(3, TRACE_CUT, 1, TRACE_NOBODY, 5);
	assert_int_equal(ring->windows_cut, 1);
	at(EPOCH + 3 * FRAME + 1);
	assert_int_equal(ring->windows_lost, 4);
	assert_int_equal(last(3)->type, TRACE_CUT);
	assert_int_equal(last(3)->detail, 4);
}

static void test_another_schedule(void **state)
{
	(void)state;
	start();
	scheduled->sched.schedule = 1; /* as if it had changed at a frame's begin */
	at(EPOCH + 401 * US);
	assert_int_equal(last(2)->type, TRACE_SCHEDULE);
	assert_int_equal(last(2)->detail, 1);
	assert_int_equal(last(2)->argument, 0);
	assert_int_equal(ring->schedule, 1);
}

static void test_dedicated(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	assert_int_equal(ring->epoch, 0);
	assert_int_equal(ring->shared, 0);
	vcpu->regs[REG_RAX] = BH_VERSION;
	seam_exit(vcpu, EXIT_REASON_VMCALL, 0);
	expect(0, TRACE_SWITCH, 0, TRACE_WHO(0, 0), 0);
	assert_int_equal(last(1)->detail, EXIT_REASON_VMCALL);
	seam_exit(vcpu, EXIT_REASON_VMCALL, 0);
	assert_int_equal(last(0)->type, TRACE_EXIT);
	assert_int_equal(ring->head, 3);
}

/* While a CPU loads its partitions, frames pass that nobody could have been there for. */
static void run(void *epoch)
{
	scheduled_run(*(uint64_t *)epoch);
}

static void test_the_first_frame_is_the_next(void **state)
{
	uint64_t epoch = EPOCH;

	(void)state;
	seam_reset(&seam_models[1]);
	drain();
	seam_reset(&seam_models[1]);
	this_cpu->index = SEAM_CPU_SCHEDULED;
	seam.tsc_step = 0;
	seam.tsc = EPOCH + 3 * FRAME + 5;
	assert_int_equal(seam_run(run, &epoch), END_LAUNCH);
	assert_true(idles());
	check_entry();
	assert_int_equal(ring->late.windows, 0);
	at(EPOCH + 4 * FRAME + 9);
	assert_true(runs(0));
	assert_int_equal(ring->late.windows, 1);
	assert_int_equal(ring->late.max, 9);
	assert_int_equal(scheduled->sched.windows_lost + scheduled->sched.windows_cut, 0);
}

/* The clock of decisions is a little ahead; a start is never before its plan all the same. */
static void test_a_start_ahead_of_its_plan_is_in_time(void **state)
{
	(void)state;
	start();
	at(EPOCH + 401 * US);
	at(SINGLE_STARTS - EARLY);
	assert_true(runs(2));
	assert_int_equal(ring->late.max, 0);
	assert_int_equal(last(1)->type, TRACE_WINDOW);
	assert_int_equal(last(1)->argument, 0);
}

/* ---- the counters, which need no trace ---- */

static int64_t counter(uint64_t which)
{
	return scheduled_counter(this_cpu->running, which);
}

static void test_counters(void **state)
{
	(void)state;
	start();
	seam.smis = 7;
	assert_int_equal(counter(BH_COUNTER_SMIS), 7);
	seam.smis = UINT64_MAX;
	assert_int_equal(counter(BH_COUNTER_SMIS), BH_EINVAL);
	seam.tsc = EPOCH + 100 * US;
	assert_int_equal(counter(BH_COUNTER_USED), 100 * US); /* with what the last decision could not know of */
	at(EPOCH + 401 * US);
	at(SINGLE_STARTS + 77);
	assert_int_equal(counter(BH_COUNTER_WINDOWS), 2);
	assert_int_equal(counter(BH_COUNTER_LATE_MAX), 77 + EARLY);
	assert_int_equal(counter(BH_COUNTER_WINDOWS_CUT), 0);
	assert_int_equal(counter(BH_COUNTER_WINDOWS_LOST), 0);
	assert_int_equal(counter(BH_COUNTER_OVERRUN_MAX), 0);
	assert_int_equal(counter(BH_COUNTER_USED), 0);
	assert_true(counter(BH_COUNTER_IDLE) >= (int64_t)(99 * US));
	assert_int_equal(counter(BH_COUNTER_SWITCH_MAX + 1), BH_EINVAL);
	assert_int_equal(counter(BH_COUNTER_USED - 1), BH_EINVAL);
	scheduled_print_status();
	assert_non_null(strstr(seam.text, "CPU 4: 2 windows, 0 cut, 0 lost, latest 204, overrun 0, idle "));
	assert_null(strstr(seam.text, "SMIs")); /* this CPU does not count them */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_come_round),
		cmocka_unit_test(test_nothing_is_read_back),
		cmocka_unit_test(test_fields_do_not_wrap),
		cmocka_unit_test(test_lateness),
		cmocka_unit_test(test_window_begins),
		cmocka_unit_test(test_the_switch_is_in_the_lateness),
		cmocka_unit_test(test_exit_wait_wake_interrupt),
		cmocka_unit_test(test_a_cut_window_is_recorded),
		cmocka_unit_test(test_another_schedule),
		cmocka_unit_test(test_dedicated),
		cmocka_unit_test(test_the_first_frame_is_the_next),
		cmocka_unit_test(test_a_start_ahead_of_its_plan_is_in_time),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

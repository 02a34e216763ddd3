// SPDX-License-Identifier: Apache-2.0
/*
 * The validator of CPU time against a model that knows nothing of its arithmetic: time is an array of ticks, and
 * what the tables promise is tried out, tick by tick. Random frames, windows, budgets and rates. What it accepts then runs
 * in the scheduler itself, which must give each vCPU its budget, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"
#include "sched/sched.h"

#define ROUNDS 100000
#define TICK 10u /* microseconds: the model's unit, so that frames can be short there */
#define FRAME_MAX 480u
#define TICKS_MAX (4 * FRAME_MAX) /* twice the longest period */
#define WINDOWS 6u
#define VCPUS 5u
#define NOBODY 255u

/* One scheduled CPU with two partitions, the first with three vCPUs. */
struct table {
	struct config config;
	struct config_cpu cpu;
	struct config_slot slots[VCPUS];
	struct config_schedule schedule;
	struct config_frame frame;
	struct config_window windows[WINDOWS];
	struct config_partition partitions[2];
	struct config_vcpu vcpus[VCPUS]; /* by slot */
};

static uint32_t state = 1;

static uint32_t roll(uint32_t n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

static uint32_t pick_period(uint32_t frame)
{
	static const uint32_t factor[] = { 2, 3, 4, 6, 8 };

	return roll(16) == 0 ? 10 + roll(400) : roll(3) != 0 ? frame * (1 + roll(2)) : frame / factor[roll(5)];
}

static void make_windows(struct table *t)
{
	uint32_t at = 0;

	t->frame = (struct config_frame){ .length = 120 * (1 + roll(4)) };
	while (t->frame.window_count < WINDOWS && at < t->frame.length) {
		struct config_window *w = &t->windows[t->frame.window_count++];
		w->start = at + roll(30);
		w->length = roll(40) == 0 ? roll(5) : 3 + roll(t->frame.length / 3);
		w->partition = (uint16_t)((t->frame.window_count + (roll(4) == 0)) % 2);
		at = w->start + w->length + t->config.guard - (roll(30) == 0);
	}
	if (at > t->frame.length && roll(10) != 0)
		t->frame.window_count--;
}

/* By priority, as the tables have it; slots and IDs stay where they are. */
static void sort(struct config_vcpu *v, const struct config_vcpu *end)
{
	for (bool sorted = false; !sorted;) {
		sorted = true;
		for (struct config_vcpu *w = v; w + 1 < end; w++) {
			struct config_vcpu x = w[0];
			if (x.priority <= w[1].priority)
				continue;
			w[0].priority = w[1].priority, w[0].budget = w[1].budget, w[0].period = w[1].period;
			w[1].priority = x.priority, w[1].budget = x.budget, w[1].period = x.period;
			sorted = false;
		}
	}
}

static void make(struct table *t)
{
	memset(t, 0, sizeof *t);
	t->config = (struct config){ .cpu_count = 1, .partition_count = 2, .schedule_count = 1, .guard = 1 + roll(4) };
	t->cpu = (struct config_cpu){ .slot_count = VCPUS, .scheduled = 1 };
	t->partitions[0].vcpu_count = 3;
	t->partitions[1].vcpu_count = VCPUS - 3;
	make_windows(t);
	for (unsigned i = 0; i < VCPUS; i++) {
		struct config_vcpu *v = &t->vcpus[i];
		unsigned partition = i >= 3;
		t->slots[i] = (struct config_slot){ (uint16_t)partition, (uint16_t)(i - 3 * partition) };
		*v = (struct config_vcpu){
			.slot = (uint16_t)i, .apic_id = t->slots[i].vcpu, .priority = (uint8_t)roll(3), .background = 1
		};
		if (roll(10) != 0) {
			v->period = pick_period(t->frame.length);
			v->budget = 4 + roll(v->period / 24 + 1);
		} else if (roll(4) != 0) {
			v->priority = 3; /* without a budget it would starve those below */
		}
	}
	sort(t->vcpus, t->vcpus + 3);
	sort(t->vcpus + 3, t->vcpus + VCPUS);
	t->partitions[1].rate_period = roll(2) != 0 ? 0 : pick_period(t->frame.length);
}

/* Whose each tick of the frame is. False: a tick is claimed twice, guards included, or lies outside. */
static bool lay_out(const struct table *t, uint8_t *owner)
{
	bool taken[FRAME_MAX] = { false };

	memset(owner, NOBODY, FRAME_MAX);
	for (unsigned i = 0; i < t->frame.window_count; i++) {
		const struct config_window *w = &t->windows[i];
		if (w->length < t->config.guard)
			return false;
		for (uint32_t tick = w->start; tick < w->start + w->length + t->config.guard; tick++) {
			if (tick >= t->frame.length || taken[tick])
				return false;
			taken[tick] = true;
			if (tick < w->start + w->length)
				owner[tick] = (uint8_t)w->partition;
		}
	}
	return true;
}

/* Which of the partition's vCPUs runs: the highest that is awake and has budget left. */
static int choose(const struct table *t, unsigned partition, const uint32_t *left, const bool *awake)
{
	int best = -1;

	for (unsigned i = 0; i < VCPUS; i++)
		if (t->slots[i].partition == partition && awake[i] && (t->vcpus[i].budget == 0 || left[i] > 0) &&
		    (best < 0 || t->vcpus[i].priority < t->vcpus[best].priority))
			best = (int)i;
	return best;
}

/*
 * Runs the plan. `watched` always wants to run; the others are awake at random, or always. Returns whether it had its
 * whole budget in each of its periods.
 */
static bool served(const struct table *t, const uint8_t *owner, unsigned watched, bool always)
{
	uint32_t left[VCPUS] = { 0 };
	bool awake[VCPUS];

	for (uint32_t tick = 0; tick < TICKS_MAX; tick++) {
		for (unsigned i = 0; i < VCPUS; i++) {
			const struct config_vcpu *v = &t->vcpus[i];
			if (v->budget != 0 && tick % v->period == 0) {
				if (i == watched && left[i] != 0)
					return false;
				left[i] = v->budget;
			}
			if (tick % 16 == 0)
				awake[i] = i == watched || always || roll(3) != 0;
		}
		uint8_t partition = owner[tick % t->frame.length];
		int runs = partition == NOBODY ? -1 : choose(t, partition, left, awake);
		if (runs >= 0 && t->vcpus[runs].budget != 0)
			left[runs]--;
	}
	return true;
}

/* The plan as the scheduler has it (vmx/timeplan.c), one tick a tick. */
struct plan {
	struct sched s;
	struct sched_mode mode;
	struct sched_frame frame;
	struct sched_window windows[WINDOWS + 1];
	struct sched_entity_config configs[VCPUS];
	struct sched_entity entities[VCPUS];
};

static void schedule(struct plan *p, const struct table *t)
{
	memset(p, 0, sizeof *p);
	p->frame = (struct sched_frame){ .windows = p->windows, .window_count = t->frame.window_count };
	for (unsigned i = 0; i < t->frame.window_count; i++) {
		const struct config_window *w = &t->windows[i];
		p->windows[i] = (struct sched_window){ .start = w->start,
			                               .length = w->length,
			                               .first = w->partition == 0 ? 0 : 3,
			                               .end = w->partition == 0 ? 3 : VCPUS };
	}
	p->windows[t->frame.window_count].start = t->frame.length;
	for (unsigned i = 0; i < VCPUS; i++)
		p->configs[i] = (struct sched_entity_config){ .budget = t->vcpus[i].budget,
			                                      .period = t->vcpus[i].period,
			                                      .slack = t->vcpus[i].budget != 0 && roll(4) == 0 ?
			                                                       SCHED_EARLY :
			                                               roll(2) != 0 ? SCHED_BACKGROUND :
			                                                              0 };
	p->s = (struct sched){ .frames = &p->frame,
		               .configs = p->configs,
		               .entities = p->entities,
		               .mode = &p->mode,
		               .slack_turn = 7,
		               .entity_count = VCPUS };
	p->mode.count = 1;
	sched_init(&p->s, 0, 0);
}

/* Runs the plan there: `watched` never waits, the others at random. Its whole budget in each of its periods, and no more? */
static bool scheduled(const struct table *t, unsigned watched)
{
	static struct plan p;
	uint64_t due = 0, before = 0;

	schedule(&p, t);
	for (uint32_t tick = 0; tick <= TICKS_MAX; tick++) {
		for (unsigned i = 0; i < VCPUS && tick % 16 == 0; i++) {
			if (i == watched)
				continue;
			if (roll(3) != 0)
				sched_wake(&p.s, i);
			else
				sched_block(&p.s, i, roll(2) != 0 ? SCHED_NEVER : tick + roll(20));
			due = tick;
		}
		if (tick % t->vcpus[watched].period == 0)
			due = tick; /* brings the account up to date */
		if (tick < due)
			continue;
		due = sched_decide(&p.s, tick).until;
		if (tick % t->vcpus[watched].period == 0 && tick > 0) {
			if (p.entities[watched].budget.used - before != t->vcpus[watched].budget)
				return false;
			before = p.entities[watched].budget.used;
		}
	}
	return p.s.windows_cut == 0 && p.s.windows_lost == 0 && p.s.overrun_max == 0;
}

static bool rate_met(const struct table *t, uint32_t period)
{
	bool starts[TICKS_MAX] = { false };

	for (uint32_t at = 0; at < TICKS_MAX; at += t->frame.length)
		for (unsigned i = 0; i < t->frame.window_count; i++)
			if (t->windows[i].partition == 1 && at + t->windows[i].start < TICKS_MAX)
				starts[at + t->windows[i].start] = true;
	for (uint32_t at = 0; at + period <= TICKS_MAX; at += period)
		if (memchr(starts + at, 1, period) == NULL)
			return false;
	return true;
}

static bool owns_windows(const struct table *t, unsigned partition)
{
	for (unsigned i = 0; i < t->frame.window_count; i++)
		if (t->windows[i].partition == partition)
			return true;
	return false;
}

static unsigned slot_of(const struct config_fault *f)
{
	return f->partition * 3u + f->index;
}

/* The arithmetic is exact, rather than on the safe side, when the periods above the vCPU's divide its own. */
static bool exact(const struct table *t, unsigned slot)
{
	const struct config_vcpu *v = &t->vcpus[slot];

	for (unsigned i = 0; i < VCPUS; i++)
		if (t->slots[i].partition == t->slots[slot].partition && t->vcpus[i].budget != 0 &&
		    t->vcpus[i].priority <= v->priority && v->period % t->vcpus[i].period != 0)
			return false;
	return true;
}

/* The validator's verdict on the table in its own unit. */
static enum config_rule validate(const struct table *t, struct config_fault *fault)
{
	struct table us = *t;

	us.config.cpus = &us.cpu;
	us.config.partitions = us.partitions;
	us.config.schedules = &us.schedule;
	us.cpu.slots = us.slots;
	us.schedule.frames = &us.frame;
	us.frame.windows = us.windows;
	us.partitions[0].vcpus = us.vcpus;
	us.partitions[1].vcpus = us.vcpus + 3;
	us.config.guard *= TICK;
	us.frame.length *= TICK;
	us.partitions[1].rate_period *= TICK;
	for (unsigned i = 0; i < WINDOWS; i++) {
		us.windows[i].start *= TICK;
		us.windows[i].length *= TICK;
	}
	for (unsigned i = 0; i < VCPUS; i++) {
		us.vcpus[i].budget *= TICK;
		us.vcpus[i].period *= TICK;
	}
	return config_validate_time(&us.config, fault);
}

/* It, or one above it: of two that do not fit together, the validator names the one it comes to first. */
static bool somebody_misses(const struct table *t, const uint8_t *owner, unsigned slot)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (t->slots[i].partition == t->slots[slot].partition && t->vcpus[i].budget != 0 &&
		    t->vcpus[i].priority <= t->vcpus[slot].priority && !served(t, owner, i, true))
			return true;
	return false;
}

enum seen { GOOD, WINDOW, BUDGET, PERIOD, RATE, SEEN_COUNT };

static enum seen check_refusal(const struct table *t, const uint8_t *owner, bool laid, const struct config_fault *f)
{
	switch (f->rule) {
	case RULE_WINDOW:
	case RULE_WINDOW_FIT:
	case RULE_WINDOW_OVERLAP:
		assert_false(laid);
		return WINDOW;
	case RULE_BUDGET_FIT:
		assert_true(laid);
		if (owns_windows(t, f->partition) && exact(t, slot_of(f)))
			assert_true(somebody_misses(t, owner, slot_of(f)));
		return BUDGET;
	case RULE_RATE:
		assert_true(laid);
		assert_false(rate_met(t, t->partitions[1].rate_period));
		return RATE;
	case RULE_PERIOD:
		return PERIOD;
	default:
		fail_msg("rule %d", f->rule);
		return SEEN_COUNT;
	}
}

static void test_verdicts_hold_in_the_model(void **unused)
{
	unsigned seen[SEEN_COUNT] = { 0 };

	(void)unused;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct config_fault fault = { .schedule = CONFIG_NONE, .cpu = CONFIG_NONE };
		uint8_t owner[FRAME_MAX];
		struct table t;
		bool laid;

		make(&t);
		laid = lay_out(&t, owner);
		if (validate(&t, &fault) != RULE_OK) {
			seen[check_refusal(&t, owner, laid, &fault)]++;
			continue;
		}
		seen[GOOD]++;
		assert_true(laid);
		assert_true(t.partitions[1].rate_period == 0 || rate_met(&t, t.partitions[1].rate_period));
		for (unsigned i = 0; i < VCPUS; i++)
			if (t.vcpus[i].budget != 0 && owns_windows(&t, t.slots[i].partition)) {
				assert_true(served(&t, owner, i, true));
				assert_true(served(&t, owner, i, false));
				assert_true(scheduled(&t, i));
			}
	}
	print_message("%u good, refused for windows %u, budgets %u, periods %u, rates %u\n", seen[GOOD], seen[WINDOW],
	              seen[BUDGET], seen[PERIOD], seen[RATE]);
	for (unsigned i = 0; i < SEEN_COUNT; i++)
		assert_true(seen[i] > ROUNDS / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_verdicts_hold_in_the_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

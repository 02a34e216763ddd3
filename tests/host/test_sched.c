// SPDX-License-Identifier: Apache-2.0
/* The scheduler, rule by rule. What holds for all sequences of events is in prove_sched.c. */
#include "sched/sched.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define HUGE_TIME 10000000000000000000ull

/* Partition 0: entities 0 and 1; partition 1: entity 2; partition 2: entity 3. */
static struct sched s;
static struct sched_entity entities[SCHED_MAX_ENTITIES];
static struct sched_entity_config configs[SCHED_MAX_ENTITIES];
static struct sched_mode mode;
static const struct sched_window normal[] = { { 0, 300, 0, 2 }, { 400, 200, 2, 3 }, { .start = 1000 } };
static const struct sched_window degraded[] = { { 100, 50, 2, 3 }, { .start = 500 } };
static const struct sched_frame frames[] = { { normal, 2 }, { degraded, 1 } };

static void begin_at(uint64_t epoch, uint64_t now)
{
	s = (struct sched){ .frames = frames,
		            .configs = configs,
		            .entities = entities,
		            .mode = &mode,
		            .slack_turn = 1000,
		            .entity_count = 4 };
	mode = (struct sched_mode){ .margin = 8, .settle = 1100, .count = 2 };
	sched_init(&s, epoch, now);
}

static int setup(void **state)
{
	(void)state;
	memset(configs, 0, sizeof(configs));
	begin_at(0, 0);
	return 0;
}

/* A decision at `now` gives the CPU to `entity` until `until`. */
static void expect(uint64_t now, uint32_t entity, uint64_t until)
{
	const struct sched_decision d = sched_decide(&s, now);

	assert_int_equal(d.entity, entity);
	assert_int_equal(d.until, until);
	assert_int_equal(s.current, entity);
}

static void block(uint32_t entity)
{
	sched_block(&s, entity, SCHED_NEVER);
}

static void test_windows_on_time(void **state)
{
	(void)state;
	for (uint64_t frame = 0; frame < 3000; frame += 1000) {
		expect(frame, 0, frame + 300);
		assert_int_equal(s.began, SCHED_FRAME | SCHED_WINDOW);
		expect(frame + 300, SCHED_IDLE, frame + 400);
		assert_int_equal(s.began, 0);
		expect(frame + 400, 2, frame + 600);
		assert_int_equal(s.began, SCHED_WINDOW);
		assert_int_equal(s.late, 0);
		expect(frame + 600, SCHED_IDLE, frame + 1000);
	}
	assert_int_equal(entities[0].budget.used, 900);
	assert_int_equal(entities[2].budget.used, 600);
	assert_int_equal(s.idle.used, 500 + 2 * 100 + 400); /* the last gap is not over */
	assert_int_equal(s.windows_cut + s.windows_lost, 0);
}

static void test_superfluous_decisions_change_nothing(void **state)
{
	(void)state;
	for (uint64_t now = 0; now < 300; now += 7)
		expect(now, 0, 300);
	expect(300, SCHED_IDLE, 400);
	expect(300, SCHED_IDLE, 400);
	assert_int_equal(entities[0].budget.used, 300);
}

static void test_epoch_ahead(void **state)
{
	(void)state;
	configs[3].slack = SCHED_BACKGROUND;
	begin_at(5000, 4700);
	expect(4700, 3, 5000);
	expect(5000, 0, 5300);
	assert_int_equal(s.frame_start, 5000);
}

static void test_epoch_behind(void **state)
{
	(void)state;
	begin_at(1000, 3450);
	expect(3450, 2, 3650); /* 50 late, in full */
	assert_int_equal(s.frame_start, 3000);
	assert_int_equal(s.late, 50);
}

static void test_priority(void **state)
{
	(void)state;
	expect(0, 0, 300);
	sched_block(&s, 0, 100);
	expect(20, 1, 100); /* the timer of the more urgent one ends it */
	expect(100, 0, 300);
	block(0);
	expect(150, 1, 300);
	block(1);
	expect(160, SCHED_IDLE, 300);
	sched_wake(&s, 1);
	assert_int_equal(sched_preempts(&s, 1), 1);
	expect(170, 1, 300);
	sched_wake(&s, 0);
	assert_int_equal(sched_preempts(&s, 0), 1);
	expect(180, 0, 300);
	sched_wake(&s, 1);
	assert_int_equal(sched_preempts(&s, 1), 0);
}

static void test_timers(void **state)
{
	(void)state;
	expect(0, 0, 300);
	block(1);
	sched_block(&s, 0, HUGE_TIME);
	expect(10, SCHED_IDLE, 300);
	sched_wake(&s, 0);
	sched_block(&s, 0, 3); /* long past */
	expect(20, 0, 300);
	sched_block(&s, 0, 30);
	expect(30, 0, 300); /* now */
	sched_block(&s, 0, SCHED_NEVER - 1);
	expect(40, SCHED_IDLE, 300);
	sched_block(&s, 0, 450); /* in another's window */
	expect(400, 2, 600);
	expect(1000, 0, 1300);
}

static void test_budget(void **state)
{
	(void)state;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 100 };
	begin_at(0, 0);
	expect(0, 0, 40);
	expect(40, 1, 100); /* until it is full again */
	expect(100, 0, 140);
	expect(140, 1, 200);
	assert_int_equal(entities[0].budget.used, 80);
	assert_int_equal(s.overrun_max, 0);
	expect(200, 0, 240);
	expect(255, 1, 300); /* a late decision: the next period is not charged for it */
	assert_int_equal(s.overrun_max, 15);
}

static void test_budget_is_deferrable(void **state)
{
	(void)state;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 100 };
	begin_at(0, 0);
	expect(0, 0, 40);
	sched_block(&s, 0, 70);
	expect(10, 1, 70);
	expect(70, 0, 100);  /* 30 are left: to the end of the period */
	expect(100, 0, 140); /* and back to back */
}

static void test_budget_over_two_periods(void **state)
{
	(void)state;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 100 };
	begin_at(0, 0);
	expect(0, 0, 40);
	sched_block(&s, 0, 80);
	expect(1, 1, 80);
	expect(80, 0, 119); /* 20 of this period's, 19 more: not before then can the budget be spent */
	expect(119, 0, 140);
	expect(140, 1, 200);
}

static void test_budget_after_many_periods(void **state)
{
	(void)state;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 70 };
	begin_at(0, 0);
	expect(0, 0, 40);
	expect(40, 1, 70);
	expect(70, 0, 110);
	block(0);
	expect(80, 1, 300);
	sched_wake(&s, 0);
	expect(1000, 0, 1040);
	assert_int_equal(entities[0].budget.refill, 1050);
	assert_int_equal(entities[0].budget.left, 40);
}

static void test_late_start_keeps_the_length(void **state)
{
	(void)state;
	expect(0, 0, 300);
	expect(300, SCHED_IDLE, 400);
	expect(470, 2, 670);
	assert_int_equal(s.late, 70);
	expect(1090, 0, 1390);
	expect(1390, SCHED_IDLE, 1400);
	expect(1400, 2, 1600);
	assert_int_equal(s.late, 0);
	assert_int_equal(s.windows_cut, 0);
}

static void test_cut_and_lost(void **state)
{
	(void)state;
	expect(150, 0, 400); /* the gap behind the window is 100 */
	assert_int_equal(s.windows_cut, 1);
	assert_int_equal(s.missed, 1);
	expect(1001, 0, 1301); /* the second window passed without a decision */
	assert_int_equal(s.windows_lost, 1);
	assert_int_equal(s.missed, 1 | 1 << 2);
	expect(1900, 2, 2000); /* not into the next frame */
	assert_int_equal(s.windows_cut, 2);
}

static void test_long_absence(void **state)
{
	(void)state;
	expect(0, 0, 300);
	assert_int_equal(s.missed, 0);
	expect(1000000000000450ull, 2, 1000000000000650ull);
	assert_int_equal(s.windows_lost,
	                 2 * 1000000000000ull); /* one of the first frame, one of the last, two of each between */
	assert_true(s.missed == UINT64_MAX);    /* whole frames: everybody's */
	expect(1000000000000650ull, SCHED_IDLE, 1000000000001000ull);
}

static void test_background_in_turn(void **state)
{
	(void)state;
	configs[0].slack = configs[2].slack = configs[3].slack = SCHED_BACKGROUND;
	begin_at(0, 0);
	s.slack_turn = 150;
	expect(0, 0, 300);
	expect(300, 2, 400);
	expect(400, 2, 600); /* its own window: no part of its turn */
	expect(600, 2, 650);
	expect(650, 3, 800);
	expect(800, 0, 950);
	block(0);
	sched_block(&s, 2, 990);
	expect(960, 3, 990);
	expect(990, 3, 1000); /* who wakes waits for its turn */
	assert_int_equal(entities[2].turn.used, 150);
	assert_int_equal(entities[0].turn.used, 160);
}

static void test_slack_in_a_window(void **state)
{
	(void)state;
	configs[3].slack = SCHED_BACKGROUND;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 100 };
	begin_at(0, 0);
	block(1);
	expect(0, 0, 40);
	expect(40, 3, 100);
	expect(100, 0, 140);
	sched_block(&s, 0, 133);
	expect(110, 3, 133);
	expect(133, 0, 163);
	block(0);
	expect(140, 3, 300);
	sched_wake(&s, 0);
	assert_int_equal(sched_preempts(&s, 0), 1);
	block(3);
	block(0);
	expect(150, SCHED_IDLE, 300);
	sched_wake(&s, 3);
	assert_int_equal(sched_preempts(&s, 3), 1);
	expect(160, 3, 300);
	sched_wake(&s, 2);
	assert_int_equal(sched_preempts(&s, 2), 0); /* no right to slack */
}

static void test_slack_too_short(void **state)
{
	(void)state;
	configs[3].slack = SCHED_BACKGROUND;
	begin_at(0, 0);
	s.slack_min = 60;
	expect(0, 0, 300);
	expect(341, SCHED_IDLE, 400); /* 59 */
	expect(400, 2, 600);
	expect(600, 3, 1000);
	expect(970, 3, 1000); /* no switch: it goes on */
	expect(1000, 0, 1300);
	expect(1340, 3, 1400);
}

static void test_exhausted_owner_in_background(void **state)
{
	(void)state;
	configs[0] = (struct sched_entity_config){ .budget = 40, .period = 100, .slack = SCHED_BACKGROUND };
	begin_at(0, 0);
	block(1);
	expect(0, 0, 40);
	expect(40, 0, 100); /* goes on in slack, not charged */
	expect(100, 0, 140);
	assert_int_equal(entities[0].budget.used, 40);
	assert_int_equal(entities[0].turn.used, 60);
}

static void test_early(void **state)
{
	(void)state;
	configs[3].slack = SCHED_BACKGROUND;
	configs[2] = (struct sched_entity_config){ .budget = 50, .period = 500, .slack = SCHED_EARLY };
	begin_at(0, 0);
	block(2);
	expect(0, 0, 300);
	sched_wake(&s, 2);
	assert_int_equal(sched_preempts(&s, 2), 0); /* slack only: the other's window is not touched */
	expect(10, 0, 300);
	block(2);
	expect(300, 3, 400);
	sched_wake(&s, 2);
	assert_int_equal(sched_preempts(&s, 2), 1);
	expect(310, 2, 360);
	expect(360, 3, 400);
	expect(400, 3, 500); /* its window, but its budget is spent */
	expect(500, 2, 550);
	expect(550, 3, 600);
	block(2);
	sched_block(&s, 2, 1050);
	expect(1000, 0, 1300);
	expect(1300, 2, 1350);
}

static void test_switch_at_the_boundary(void **state)
{
	(void)state;
	expect(0, 0, 300);
	assert_int_equal(sched_request(&mode, 2, 10), SCHED_NO_SUCH);
	mode.word = 0;
	assert_int_equal(sched_request(&mode, 1, 1200), SCHED_ACCEPTED);
	assert_int_equal(sched_request(&mode, 0, 1201), SCHED_BUSY);
	expect(400, 2, 600);
	expect(1000, 0, 1300); /* earlier than the request says */
	expect(2000, SCHED_IDLE, 2100);
	assert_int_equal(s.schedule, 1);
	assert_int_equal(s.began, SCHED_FRAME);
	expect(2100, 2, 2150);
	assert_int_equal(sched_request(&mode, 0, 2208 + 1100), SCHED_ACCEPTED);
	expect(2600, 2, 2650);
	expect(3316, 2, 3366); /* very late, but there is room */
	expect(3500, 0, 3800);
	assert_int_equal(s.schedule, 0);
}

static void test_switch_restarts_the_periods(void **state)
{
	(void)state;
	configs[2] = (struct sched_entity_config){ .budget = 30, .period = 700 };
	begin_at(0, 0);
	mode.word = 808 | 1;
	expect(400, 2, 430);
	expect(430, SCHED_IDLE, 600);
	expect(1000, SCHED_IDLE, 1100);
	expect(1100, 2, 1130); /* the old period would have lasted to 1400 */
	assert_int_equal(entities[2].budget.refill, 1700);
}

static void test_switch_during_absence(void **state)
{
	(void)state;
	expect(0, 0, 300);
	mode.word = 2800 | 1;
	expect(7130, 2, 7180); /* old frames to 3000, new ones from there: 500 each */
	assert_int_equal(s.frame_start, 7000);
	assert_int_equal(s.late, 30);
	assert_int_equal(s.windows_lost, 1 + 2 * 2 + 8); /* of the first frame, of two old ones, of eight new ones */
}

static void test_empty_and_shortest_frames(void **state)
{
	static const struct sched_window nothing[] = { { .start = 1 } }, all[] = { { 0, 1, 2, 3 }, { .start = 1 } };
	static const struct sched_frame shortest[] = { { nothing, 0 }, { all, 1 } };

	(void)state;
	configs[3].slack = SCHED_BACKGROUND;
	begin_at(0, 0);
	s.frames = shortest;
	for (uint64_t now = 0; now < 20; now++)
		expect(now, 3, now + 1);
	mode.word = (20 & ~7u) | 1;
	for (uint64_t now = 24; now < 40; now++)
		expect(now, 2, now + 1);
}

static void test_most_entities(void **state)
{
	static const struct sched_window one[] = { { 0, 10, 63, 64 }, { .start = 1000 } };
	static const struct sched_frame frame = { one, 1 };

	(void)state;
	for (uint32_t i = 0; i < SCHED_MAX_ENTITIES; i++)
		configs[i].slack = SCHED_BACKGROUND;
	begin_at(0, 0);
	s.frames = &frame;
	s.entity_count = SCHED_MAX_ENTITIES;
	s.slack_turn = 5;
	sched_init(&s, 0, 0);
	expect(0, 63, 10);
	for (uint32_t i = 1; i <= 130; i++)
		expect(5 + 5 * i, i % 64, 10 + 5 * i);
	for (uint32_t i = 0; i < SCHED_MAX_ENTITIES; i++)
		sched_block(&s, i, 900 - i);
	expect(800, SCHED_IDLE, 900 - 63);
	expect(900 - 63, 63, 900 - 62);
	sched_block(&s, 63, SCHED_NEVER);
	expect(900 - 62, 62, 900 - 61);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_windows_on_time, setup),
		cmocka_unit_test_setup(test_superfluous_decisions_change_nothing, setup),
		cmocka_unit_test_setup(test_epoch_ahead, setup),
		cmocka_unit_test_setup(test_epoch_behind, setup),
		cmocka_unit_test_setup(test_priority, setup),
		cmocka_unit_test_setup(test_timers, setup),
		cmocka_unit_test_setup(test_budget, setup),
		cmocka_unit_test_setup(test_budget_is_deferrable, setup),
		cmocka_unit_test_setup(test_budget_over_two_periods, setup),
		cmocka_unit_test_setup(test_budget_after_many_periods, setup),
		cmocka_unit_test_setup(test_late_start_keeps_the_length, setup),
		cmocka_unit_test_setup(test_cut_and_lost, setup),
		cmocka_unit_test_setup(test_long_absence, setup),
		cmocka_unit_test_setup(test_background_in_turn, setup),
		cmocka_unit_test_setup(test_slack_in_a_window, setup),
		cmocka_unit_test_setup(test_slack_too_short, setup),
		cmocka_unit_test_setup(test_exhausted_owner_in_background, setup),
		cmocka_unit_test_setup(test_early, setup),
		cmocka_unit_test_setup(test_switch_at_the_boundary, setup),
		cmocka_unit_test_setup(test_switch_restarts_the_periods, setup),
		cmocka_unit_test_setup(test_switch_during_absence, setup),
		cmocka_unit_test_setup(test_empty_and_shortest_frames, setup),
		cmocka_unit_test_setup(test_most_entities, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* vmx/overrun.c around the real scheduler: who is asked for an error, and who is not. */
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "vmx/health.h"
#include "vmx/overrun.c" // NOLINT: as linked where CONFIG_OVERRUNS is not 0

#define ENTITIES 3u

struct life health_life[CONFIG_PARTITIONS];
uint32_t health_requests[CONFIG_PARTITIONS];
uint8_t health_busy[CONFIG_PARTITIONS];
static uint32_t asked[ENTITIES];

void health_ask(uint16_t partition, uint32_t requests)
{
	asked[partition] |= requests;
}

/* Partition n has entity n. The first has 100 of each 1000 ticks, in a window of 300. */
static const struct sched_window windows[] = {
	{ 0, 300, 0, 1 }, { 400, 200, 1, 2 }, { 700, 200, 2, 3 }, { .start = 1000 }
};
static const struct sched_frame frames[] = { { windows, 3 } };
static struct sched_entity_config configs[ENTITIES];
static struct sched_entity entities[ENTITIES];
static struct sched_mode mode;
static struct config_partition partitions[ENTITIES];
static struct sched s;

static int begin(void **state)
{
	(void)state;
	seam_reset(&seam_models[0]);
	memset(asked, 0, sizeof asked);
	memset(configs, 0, sizeof configs);
	memset(partitions, 0, sizeof partitions);
	configs[0] = (struct sched_entity_config){ .budget = 100, .period = 1000 };
	s = (struct sched){ .frames = frames,
		            .configs = configs,
		            .entities = entities,
		            .mode = &mode,
		            .slack_turn = 50,
		            .entity_count = ENTITIES };
	mode = (struct sched_mode){ .count = 1 };
	for (uint16_t i = 0; i < ENTITIES; i++) {
		this_cpu->vcpu[i].partition = &partitions[i];
		this_cpu->vcpu[i].partition_index = i;
		memset(this_cpu->vcpu[i].forbidden, 0, sizeof this_cpu->vcpu[i].forbidden);
		partitions[i].action[ERROR_OVERRUN] = partitions[i].action[ERROR_WINDOW] = ACTION_RECORD;
		life_begin(&health_life[i], 1, 0, 0);
	}
	sched_init(&s, 0, 0);
	return 0;
}

static void decide(uint64_t now, uint32_t entity)
{
	assert_int_equal(overrun_decide(&s, now).entity, entity);
}

#define OVERRUN HEALTH_ERROR(ERROR_OVERRUN)
#define WINDOW HEALTH_ERROR(ERROR_WINDOW)

static void test_used_up(void **state)
{
	(void)state;
	decide(0, 0);
	decide(99, 0);
	assert_int_equal(asked[0], 0);
	decide(100, SCHED_IDLE);
	assert_int_equal(asked[0], OVERRUN);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_OVERRUN], 1);
	decide(400, 1); /* no budget, no limit */
	decide(600, SCHED_IDLE);
	decide(700, 2);
	decide(900, SCHED_IDLE);
	decide(1000, 0); /* a period later again */
	decide(1110, SCHED_IDLE);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_OVERRUN], 2);
	assert_int_equal(asked[1] | asked[2], 0);
}

static void test_waits_in_time(void **state)
{
	(void)state;
	decide(0, 0);
	sched_block(&s, 0, 500);
	decide(100, SCHED_IDLE); /* to the tick, and it has nothing more to do */
	assert_int_equal(asked[0], 0);
}

static void test_woken_at_once(void **state)
{
	(void)state;
	decide(0, 0);
	sched_block(&s, 0, 100); /* its timer is due at that moment */
	decide(100, SCHED_IDLE);
	assert_int_equal(asked[0], OVERRUN);
}

static void test_over_the_end_of_a_period(void **state)
{
	(void)state;
	configs[0].period = 200;
	sched_init(&s, 0, 0);
	decide(0, 0);
	sched_block(&s, 0, 150);
	decide(20, SCHED_IDLE);
	decide(150, 0); /* 80 left, of which 50 fit into this period */
	decide(200, 0);
	assert_int_equal(asked[0], 0);
	decide(300, SCHED_IDLE);
	assert_int_equal(asked[0], OVERRUN);
}

/* Slack costs it nothing, so it cannot use up anything there. */
static void test_in_slack(void **state)
{
	(void)state;
	configs[0].slack = SCHED_BACKGROUND;
	sched_init(&s, 0, 0);
	decide(0, 0);
	decide(100, 0);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_OVERRUN], 1);
	decide(150, 0); /* the turn is over, and the next one begins */
	decide(200, 0);
	decide(400, 1);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_OVERRUN], 1);
}

static void test_nobody_asked_for_it(void **state)
{
	(void)state;
	partitions[0].action[ERROR_OVERRUN] = ACTION_IGNORE;
	decide(0, 0);
	decide(100, SCHED_IDLE);
	partitions[0].action[ERROR_OVERRUN] = ACTION_RESTART;
	life_change(&health_life[0], LIFE_RESTART, 0, 0, 0, 0); /* being loaded again, it uses its time, too */
	decide(1000, 0);
	decide(1100, SCHED_IDLE);
	assert_int_equal(asked[0], 0);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_OVERRUN], 0);
}

static void test_cut(void **state)
{
	(void)state;
	decide(0, 0);
	decide(501, 1); /* 100 is the gap behind it */
	assert_int_equal(asked[1], WINDOW);
	assert_int_equal(asked[0] & WINDOW, 0);
	assert_int_equal(s.missed, 0);
}

static void test_lost(void **state)
{
	(void)state;
	decide(0, 0);
	decide(750, 2); /* in time for this one, too late for that before */
	assert_int_equal(asked[1], WINDOW);
	decide(950, SCHED_IDLE);
	assert_int_equal(asked[2], 0);
}

/* Frames: everybody's, one at a decision. */
static void test_all_lost(void **state)
{
	(void)state;
	partitions[1].action[ERROR_WINDOW] = ACTION_IGNORE;
	decide(0, 0);
	decide(50000, 0);
	assert_int_equal(asked[0] & WINDOW, WINDOW);
	assert_int_equal(asked[2], 0);
	decide(50010, 0);
	assert_int_equal(asked[2], 0);
	decide(50020, 0);
	assert_int_equal(asked[2], WINDOW);
	assert_int_equal(asked[1], 0);
	decide(50030, 0);
	assert_int_equal(s.missed, 0);
	assert_int_equal(this_cpu->vcpu[0].forbidden[ERROR_WINDOW], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_used_up, begin),
		cmocka_unit_test_setup(test_waits_in_time, begin),
		cmocka_unit_test_setup(test_woken_at_once, begin),
		cmocka_unit_test_setup(test_over_the_end_of_a_period, begin),
		cmocka_unit_test_setup(test_in_slack, begin),
		cmocka_unit_test_setup(test_nobody_asked_for_it, begin),
		cmocka_unit_test_setup(test_cut, begin),
		cmocka_unit_test_setup(test_lost, begin),
		cmocka_unit_test_setup(test_all_lost, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

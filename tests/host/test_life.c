// SPDX-License-Identifier: Apache-2.0
/* core/life.c: each state with each event, and the limit of restarts at its edges. */
#include "core/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PERIOD 1000u

static struct life in_state(uint32_t state)
{
	struct life l = { 0 };

	life_begin(&l, state != BH_STATE_FAILED, state == BH_STATE_STOPPED, 5);
	if (state == BH_STATE_COLD_START)
		assert_int_equal(life_change(&l, LIFE_RESET, BH_REASON_MONITOR, 0, 0, 6), LIFE_LOAD);
	if (state == BH_STATE_STOPPED)
		l.fresh = 0;
	assert_int_equal(life_state(&l), state);
	return l;
}

/* What each event does in each state: the work, the state after it, and whether it counts as a restart. */
static void table(void **unused)
{
	static const struct {
		enum life_event event;
		uint32_t state;
		enum life_work work;
		uint32_t after;
	} rows[] = {
		{ LIFE_START, BH_STATE_COLD_START, LIFE_NOTHING, BH_STATE_COLD_START },
		{ LIFE_START, BH_STATE_RUNNING, LIFE_NOTHING, BH_STATE_RUNNING },
		{ LIFE_START, BH_STATE_STOPPED, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_START, BH_STATE_FAILED, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_STOP, BH_STATE_COLD_START, LIFE_PARK, BH_STATE_STOPPED },
		{ LIFE_STOP, BH_STATE_RUNNING, LIFE_PARK, BH_STATE_STOPPED },
		{ LIFE_STOP, BH_STATE_STOPPED, LIFE_NOTHING, BH_STATE_STOPPED },
		{ LIFE_STOP, BH_STATE_FAILED, LIFE_NOTHING, BH_STATE_FAILED },
		{ LIFE_RESET, BH_STATE_COLD_START, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESET, BH_STATE_RUNNING, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESET, BH_STATE_STOPPED, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESET, BH_STATE_FAILED, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESTART, BH_STATE_COLD_START, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESTART, BH_STATE_RUNNING, LIFE_LOAD, BH_STATE_COLD_START },
		{ LIFE_RESTART, BH_STATE_STOPPED, LIFE_NOTHING, BH_STATE_STOPPED },
		{ LIFE_RESTART, BH_STATE_FAILED, LIFE_NOTHING, BH_STATE_FAILED },
		{ LIFE_FAIL, BH_STATE_COLD_START, LIFE_PARK, BH_STATE_FAILED },
		{ LIFE_FAIL, BH_STATE_RUNNING, LIFE_PARK, BH_STATE_FAILED },
		{ LIFE_FAIL, BH_STATE_STOPPED, LIFE_NOTHING, BH_STATE_STOPPED },
		{ LIFE_FAIL, BH_STATE_FAILED, LIFE_NOTHING, BH_STATE_FAILED },
		{ LIFE_LOADED, BH_STATE_COLD_START, LIFE_RUN, BH_STATE_RUNNING },
		{ LIFE_LOADED, BH_STATE_RUNNING, LIFE_NOTHING, BH_STATE_RUNNING },
		{ LIFE_LOADED, BH_STATE_STOPPED, LIFE_NOTHING, BH_STATE_STOPPED },
		{ LIFE_LOADED, BH_STATE_FAILED, LIFE_NOTHING, BH_STATE_FAILED },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct life l = in_state(rows[i].state);
		const uint64_t before = l.word, changed = l.changed;
		const int counts = rows[i].work == LIFE_LOAD && rows[i].event != LIFE_START;

		assert_int_equal(life_change(&l, rows[i].event, 33, 3, PERIOD, 77), rows[i].work);
		assert_int_equal(life_state(&l), rows[i].after);
		assert_int_equal(l.word >> 32, (before >> 32) + (uint64_t)counts);
		if (rows[i].work == LIFE_NOTHING) {
			assert_int_equal(l.word, before);
			assert_int_equal(l.changed, changed);
		} else {
			assert_int_equal(l.word >> 8 & 0xff, 33);
			assert_int_equal((l.word >> 16 & 0xffff), (before >> 16 & 0xffff) + 1);
			assert_int_equal(l.changed, 77);
		}
	}
}

/* One that is held is loaded: its first start needs no more, the next ones do. */
static void held(void **unused)
{
	struct life l = { 0 };

	(void)unused;
	life_begin(&l, 1, 1, 1);
	assert_int_equal(life_state(&l), BH_STATE_STOPPED);
	assert_int_equal(life_change(&l, LIFE_START, 32, 0, 0, 2), LIFE_CLEAN);
	assert_int_equal(life_change(&l, LIFE_LOADED, 35, 0, 0, 3), LIFE_RUN);
	assert_int_equal(life_change(&l, LIFE_STOP, 34, 0, 0, 4), LIFE_PARK);
	assert_int_equal(life_change(&l, LIFE_START, 32, 0, 0, 5), LIFE_LOAD);
	life_begin(&l, 0, 1, 1); /* not the right payload */
	assert_int_equal(life_state(&l), BH_STATE_FAILED);
	assert_int_equal(life_change(&l, LIFE_START, 32, 0, 0, 5), LIFE_LOAD);
}

/* At most `limit` in any period, and as many as that: against a list of all that were allowed. */
static void limit(void **unused)
{
	(void)unused;
	srand(7);
	for (uint32_t most = 1; most <= RESTARTS_MAX; most++) {
		struct life l = { 0 };
		uint64_t now = 1, allowed[4096] = { 0 };
		unsigned count = 0;

		life_begin(&l, 1, 0, now);
		for (unsigned i = 0; i < 2000; i++) {
			unsigned recent = 0;
			enum life_work work;

			now += (uint64_t)rand() % (3 * PERIOD / most);
			for (unsigned j = 0; j < count; j++)
				recent += now - allowed[j] < PERIOD;
			work = life_change(&l, LIFE_RESTART, 0, most, PERIOD, now);
			assert_int_equal(work, recent < most ? LIFE_LOAD : LIFE_PARK);
			if (work == LIFE_LOAD)
				allowed[count++] = now;
			else
				assert_int_equal(life_state(&l), BH_STATE_FAILED);
			life_change(&l, LIFE_START, 32, most, PERIOD, now);
			life_change(&l, LIFE_LOADED, 35, most, PERIOD, now);
		}
	}
}

static void no_limit(void **unused)
{
	struct life l = { 0 };

	(void)unused;
	life_begin(&l, 1, 0, 1);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(life_change(&l, LIFE_RESTART, 0, 0, PERIOD, 1), LIFE_LOAD);
	assert_int_equal(l.word >> 32, 100000);
}

static void errors(void **unused)
{
	struct life l = { 0 };

	(void)unused;
	life_note_error(&l, ERROR_SILENCE);
	life_note_error(&l, ERROR_PORT);
	assert_int_equal(l.error, 2 << 8 | ERROR_PORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),    cmocka_unit_test(held),   cmocka_unit_test(limit),
		cmocka_unit_test(no_limit), cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}

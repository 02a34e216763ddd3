// SPDX-License-Identifier: Apache-2.0
#include "life.h"

static void set(struct life *l, uint32_t state, uint32_t reason, uint32_t restarts, uint64_t now)
{
	const uint64_t changes = ((l->word >> 16) + 1) & 0xffff;

	__atomic_store_n(&l->changed, now, __ATOMIC_RELAXED);
	__atomic_store_n(&l->word,
	                 state | (uint64_t)reason << 8 | changes << 16 | (uint64_t)(restarts & 0x7fffffff) << 32,
	                 __ATOMIC_RELEASE);
}

static uint32_t restarts_of(const struct life *l)
{
	return (uint32_t)(l->word >> 32);
}

/* Exact, in each span of that length: the one `limit` restarts ago must be that long ago. */
static int may_restart(struct life *l, uint32_t limit, uint64_t period, uint64_t now)
{
	uint64_t *oldest;

	if (!limit)
		return 1;
	oldest = &l->restarted[l->by_policy % limit];
	if (l->by_policy >= limit && now - *oldest < period)
		return 0;
	*oldest = now;
	l->by_policy++;
	return 1;
}

void life_begin(struct life *l, int right, int held, uint64_t now)
{
	l->fresh = (uint8_t)(right && held);
	set(l,
	    !right ? BH_STATE_FAILED :
	    held   ? BH_STATE_STOPPED :
	             BH_STATE_RUNNING,
	    right ? BH_REASON_START : ERROR_PAYLOAD, 0, now);
}

enum life_work life_change(struct life *l, enum life_event event, uint32_t reason, uint32_t restarts, uint64_t period,
                           uint64_t now)
{
	const uint32_t state = life_state(l), count = restarts_of(l);
	const int up = state == BH_STATE_RUNNING || state == BH_STATE_COLD_START;

	switch (event) {
	case LIFE_START:
		if (up)
			return LIFE_NOTHING;
		set(l, BH_STATE_COLD_START, reason, count, now);
		return l->fresh ? LIFE_CLEAN : LIFE_LOAD;
	case LIFE_RESET:
		break;
	case LIFE_RESTART:
		if (!up)
			return LIFE_NOTHING;
		if (may_restart(l, restarts, period, now))
			break;
		set(l, BH_STATE_FAILED, reason, count, now);
		return LIFE_PARK;
	case LIFE_LOADED:
		if (state != BH_STATE_COLD_START)
			return LIFE_NOTHING;
		l->fresh = 0;
		set(l, BH_STATE_RUNNING, reason, count, now);
		return LIFE_RUN;
	default:
		if (!up)
			return LIFE_NOTHING;
		set(l, event == LIFE_STOP ? BH_STATE_STOPPED : BH_STATE_FAILED, reason, count, now);
		return LIFE_PARK;
	}
	l->fresh = 0;
	set(l, BH_STATE_COLD_START, reason, count + 1, now);
	return LIFE_LOAD;
}

void life_note_error(struct life *l, enum error_class class)
{
	__atomic_store_n(&l->error, ((l->error >> 8) + 1) << 8 | class, __ATOMIC_RELAXED);
}

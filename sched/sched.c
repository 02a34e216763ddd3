// SPDX-License-Identifier: Apache-2.0
#include "sched.h"

/* Lower is more urgent: the owner's entities by their index, then early ones by theirs, then all background ones, then idling. */
#define RANK_EARLY SCHED_MAX_ENTITIES
#define RANK_BACKGROUND (2 * SCHED_MAX_ENTITIES)
#define RANK_IDLE (RANK_BACKGROUND + 1)

#define UNLIMITED (1ull << 63) /* more than there is time */
#define SCHEDULE_BITS ((uint64_t)SCHED_MAX_SCHEDULES - 1)
/* The common case stays short. */
#define NOINLINE __attribute__((noinline))
#define LIKELY(x) __builtin_expect(x, 1)

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t bit(uint32_t entity)
{
	return 1ull << entity;
}

static uint32_t lowest(uint64_t mask)
{
	return (uint32_t)__builtin_ctzll(mask);
}

void sched_init(struct sched *s, uint64_t epoch, uint64_t now)
{
	static const struct sched_window
		none; /* the list of windows is at its end: the first frame begins at the epoch */

	s->idle = (struct sched_account){ .left = UNLIMITED, .refill = SCHED_NEVER };
	s->paying = &s->idle;
	s->current = SCHED_IDLE;
	s->rank = RANK_IDLE;
	s->first = s->end = s->turn = s->schedule = 0;
	s->since = now;
	s->next = &none;
	s->edge = s->next_start = s->frame_start = epoch;
	s->ready = s->background = s->early = 0;
	s->slack_wake = SCHED_NEVER;
	s->late = s->late_max = s->overrun_max = s->windows = s->windows_cut = s->windows_lost = s->missed = 0;
	for (uint32_t i = 0; i < s->entity_count; i++) {
		const struct sched_entity_config *c = &s->configs[i];

		s->entities[i] = (struct sched_entity){ .turn.refill = SCHED_NEVER };
		s->entities[i].budget.left = c->budget ? c->budget : UNLIMITED;
		s->entities[i].budget.refill = c->budget ? epoch + c->period : SCHED_NEVER;
		s->ready |= bit(i);
		s->background |= c->slack & SCHED_BACKGROUND ? bit(i) : 0;
		s->early |= c->slack & SCHED_EARLY ? bit(i) : 0;
	}
}

/* A new period has begun. Divides only if it is not the one after the last that was looked at. */
static NOINLINE void renew(struct sched *s, uint32_t entity, uint64_t now)
{
	const struct sched_entity_config *c = &s->configs[entity];
	struct sched_account *a = &s->entities[entity].budget;

	a->refill += c->period;
	if (now >= a->refill)
		a->refill += ((now - a->refill) / c->period + 1) * c->period;
	a->left = c->budget;
}

static void spend(struct sched *s, uint64_t ticks)
{
	const uint64_t paid = min(ticks, s->paying->left);

	s->paying->left -= paid;
	s->overrun_max = max(s->overrun_max, ticks - paid);
}

static void charge_new_period(struct sched *s, uint64_t now)
{
	renew(s, s->current, now);
	spend(s, now - (s->paying->refill - s->configs[s->current].period));
}

/* More than was left, or over the end of a period: each period pays for what lies in it. */
static NOINLINE void charge_rest(struct sched *s, uint64_t now)
{
	if (now < s->paying->refill) {
		spend(s, now - s->since);
		return;
	}
	spend(s, s->paying->refill - s->since);
	charge_new_period(s, now);
}

/* All periods begin anew with the schedule's first frame: to fit its windows they must lie in it as the configuration has them. */
static void change_schedule(struct sched *s, uint32_t schedule, uint64_t now)
{
	s->schedule = schedule;
	for (uint32_t i = 0; i < s->entity_count; i++)
		if (s->configs[i].budget)
			s->entities[i].budget.refill = s->frame_start;
	if (s->paying->refill != SCHED_NEVER)
		charge_new_period(s, now);
}

/* The frame at next_start begins; or a later one, if all of it has passed. */
static NOINLINE void begin_frame(struct sched *s, uint64_t now)
{
	const uint64_t word = __atomic_load_n(&s->mode->word, __ATOMIC_RELAXED), from = word & ~SCHEDULE_BITS;
	const struct sched_frame *f;
	uint64_t length, skip_to = now;

	s->frame_start = s->next_start;
	if (s->frame_start < from && from <= now)
		skip_to = from - 1; /* but not over the boundary at which the schedule changes */
	if (s->frame_start >= from && s->schedule != (word & SCHEDULE_BITS))
		change_schedule(s, (uint32_t)(word & SCHEDULE_BITS), now);
	f = &s->frames[s->schedule];
	length = f->windows[f->window_count].start;
	if (skip_to - s->frame_start >= length) {
		const uint64_t frames = (skip_to - s->frame_start) / length;

		s->windows_lost += frames * f->window_count;
		s->missed = ~0ull;
		s->frame_start += frames * length;
	}
	s->next = f->windows;
	s->next_start = s->frame_start + s->next->start;
	s->began = SCHED_FRAME;
}

static NOINLINE void miss(struct sched *s, const struct sched_window *w)
{
	s->missed |= w->first < w->end ? bit(w->first) : 0;
}

/* The edge is reached: leave the window, or enter the one whose time it is. Passes the windows of three frames at most. */
static void cross_edge(struct sched *s, uint64_t now)
{
	const struct sched_window *w;
	uint64_t plan;

	while (now >= (plan = s->next_start)) {
		w = s->next;
		if (!LIKELY(w->length != 0)) {
			begin_frame(s, now);
			continue;
		}
		s->next = w + 1;
		s->next_start = s->frame_start + w[1].start;
		if (now < s->next_start) {
			s->began |= SCHED_WINDOW;
			s->late = now - plan;
			s->late_max = max(s->late_max, s->late);
			s->windows++;
			s->first = w->first;
			s->end = w->end;
			s->edge = now + w->length;
			if (!LIKELY(s->edge <= s->next_start)) {
				s->edge = s->next_start;
				s->windows_cut++;
				miss(s, w);
			}
			return;
		}
		s->windows_lost++;
		miss(s, w);
	}
	s->end = s->first;
	s->edge = s->next_start;
}

/* Can it run now, on its budget? Then for how long at most; else from when on perhaps. */
static int can_run(struct sched *s, uint32_t entity, uint64_t now, uint64_t *until)
{
	struct sched_entity *e = &s->entities[entity];

	if (now < e->wake) {
		*until = min(*until, e->wake);
		return 0;
	}
	if (now >= e->budget.refill)
		renew(s, entity, now);
	if (!e->budget.left) {
		*until = min(*until, e->budget.refill);
		return 0;
	}
	*until = min(*until, now + e->budget.left);
	return 1;
}

static struct sched_decision run(struct sched *s, uint32_t entity, uint32_t rank, struct sched_account *paying,
                                 uint64_t until)
{
	s->current = entity;
	s->rank = rank;
	s->paying = paying;
	return (struct sched_decision){ .until = until, .entity = entity };
}

static void slack_timers(struct sched *s, uint64_t now)
{
	uint64_t ready = 0, next = SCHED_NEVER;

	for (uint64_t m = ~s->ready & (s->background | s->early); m; m &= m - 1) {
		const uint64_t wake = s->entities[lowest(m)].wake;

		if (now >= wake)
			ready |= m & -m;
		else
			next = min(next, wake);
	}
	s->ready |= ready;
	s->slack_wake = next;
}

/* Slack from now to `end`. Who runs already may go on in the shortest. */
static NOINLINE struct sched_decision choose_in_slack(struct sched *s, uint64_t now, uint64_t end)
{
	const int too_short = end - now < s->slack_min;
	uint64_t until, m, behind;
	uint32_t i;

	if (now >= s->slack_wake)
		slack_timers(s, now);
	until = min(end, s->slack_wake);
	for (m = s->ready & s->early; m; m &= m - 1) {
		i = lowest(m);
		if ((!too_short || i == s->current) && can_run(s, i, now, &until))
			return run(s, i, RANK_EARLY + i, &s->entities[i].budget, until);
	}
	m = s->ready & s->background;
	i = s->turn;
	if (m && (!(m & bit(i)) || !s->entities[i].turn.left)) {
		behind = m & ~(bit(i) * 2 - 1);
		i = lowest(behind ? behind : m);
	}
	if (!m || (too_short && i != s->current))
		return run(s, SCHED_IDLE, RANK_IDLE, &s->idle, until);
	if (i != s->turn || !s->entities[i].turn.left) {
		s->turn = i;
		s->entities[i].turn.left = s->slack_turn;
	}
	return run(s, i, RANK_BACKGROUND, &s->entities[i].turn, min(until, now + s->entities[i].turn.left));
}

struct sched_decision sched_decide(struct sched *s, uint64_t now)
{
	struct sched_account *a = s->paying;
	const uint64_t ran = now - s->since;
	uint64_t until;

	a->used += ran;
	if (LIKELY(ran <= a->left && now < a->refill))
		a->left -= ran;
	else
		charge_rest(s, now);
	s->since = now;
	s->began = 0;
	if (now >= s->edge)
		cross_edge(s, now);
	until = s->edge;
	for (uint32_t i = s->first; i < s->end; i++)
		if (can_run(s, i, now, &until))
			return run(s, i, i, &s->entities[i].budget, until);
	return choose_in_slack(s, now, until);
}

void sched_block(struct sched *s, uint32_t entity, uint64_t wake)
{
	s->entities[entity].wake = wake;
	s->ready &= ~bit(entity);
	if ((s->background | s->early) & bit(entity))
		s->slack_wake = min(s->slack_wake, wake);
}

void sched_wake(struct sched *s, uint32_t entity)
{
	s->entities[entity].wake = 0;
	s->ready |= bit(entity);
}

int sched_preempts(const struct sched *s, uint32_t entity)
{
	uint32_t rank = RANK_IDLE;

	if (entity >= s->first && entity < s->end)
		rank = entity;
	else if (s->early & bit(entity))
		rank = RANK_EARLY + entity;
	else if (s->background & bit(entity))
		rank = RANK_BACKGROUND;
	return rank < s->rank;
}

enum sched_answer sched_request(struct sched_mode *m, uint32_t schedule, uint64_t now)
{
	uint64_t word = __atomic_load_n(&m->word, __ATOMIC_RELAXED);
	const uint64_t request = ((now + m->margin) & ~SCHEDULE_BITS) | schedule;

	if (schedule >= m->count)
		return SCHED_NO_SUCH;
	if (now < (word & ~SCHEDULE_BITS) + m->settle)
		return SCHED_BUSY;
	/* Who loses the race against another CPU's request is told the same. */
	return __atomic_compare_exchange_n(&m->word, &word, request, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ?
	               SCHED_ACCEPTED :
	               SCHED_BUSY;
}

// SPDX-License-Identifier: Apache-2.0
#include "sched.h"

/* Lower is more urgent: the owner's entities by their index, then early ones by theirs, then all background ones, then idling. */
#define RANK_EARLY SCHED_MAX_ENTITIES
#define RANK_BACKGROUND (2 * SCHED_MAX_ENTITIES)
#define RANK_IDLE (RANK_BACKGROUND + 1)

#define UNLIMITED (1ull << 63)
#define SCHEDULE_BITS ((uint64_t)SCHED_MAX_SCHEDULES - 1)

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t bit(uint32_t entity)
{
	return 1ull << entity;
}

void sched_init(struct sched *s, uint64_t epoch, uint64_t now)
{
	s->first = s->end = s->turn = s->schedule = 0;
	s->current = SCHED_IDLE;
	s->rank = RANK_IDLE;
	s->since = now;
	s->next = s->last = 0; /* all windows done: a frame begins at the epoch */
	s->edge = s->next_start = s->frame_start = s->frame_end = epoch;
	s->ready = s->background = s->early = s->turn_left = 0;
	s->slack_wake = SCHED_NEVER;
	s->late = s->late_max = s->overrun_max = s->windows_started = s->windows_cut = s->windows_lost = 0;
	s->idle_ticks = s->slack_ticks = 0;
	for (uint32_t i = 0; i < s->entity_count; i++) {
		const struct sched_entity_config *c = &s->configs[i];

		s->entities[i] = (struct sched_entity){ .left = c->budget ? c->budget : UNLIMITED,
		                                        .refill = c->budget ? epoch + c->period : SCHED_NEVER };
		s->ready |= bit(i);
		if (c->slack & SCHED_BACKGROUND)
			s->background |= bit(i);
		if (c->slack & SCHED_EARLY)
			s->early |= bit(i);
	}
}

/* A new period has begun. Divides only if it is not the one after the last that was looked at. */
static void renew(struct sched_entity *e, const struct sched_entity_config *c, uint64_t now)
{
	e->refill += c->period;
	if (now >= e->refill)
		e->refill += ((now - e->refill) / c->period + 1) * c->period;
	e->left = c->budget;
}

static void spend(struct sched *s, struct sched_entity *e, uint64_t ticks)
{
	if (ticks > e->left) {
		if (s->overrun_max < ticks - e->left)
			s->overrun_max = ticks - e->left;
		ticks = e->left;
	}
	e->left -= ticks;
}

static void charge(struct sched *s, uint64_t now)
{
	const uint64_t since = s->since, ran = now - since;
	const struct sched_entity_config *c;
	struct sched_entity *e;

	s->since = now;
	if (s->rank == RANK_IDLE) {
		s->idle_ticks += ran;
		return;
	}
	e = &s->entities[s->current];
	e->used += ran;
	if (s->rank == RANK_BACKGROUND) {
		s->slack_ticks += ran;
		s->turn_left -= min(ran, s->turn_left);
	} else if (e->refill == SCHED_NEVER) {
		return;
	} else if (now < e->refill) {
		spend(s, e, ran);
	} else { /* each period pays for what lies in it */
		c = &s->configs[s->current];
		spend(s, e, e->refill - since);
		renew(e, c, now);
		spend(s, e, now - (e->refill - c->period));
	}
}

/* The frame at next_start begins; or a later one, if all of it has passed. */
static void begin_frame(struct sched *s, uint64_t now)
{
	const uint64_t word = __atomic_load_n(&s->mode->word, __ATOMIC_RELAXED), from = word & ~SCHEDULE_BITS;
	const struct sched_frame *f;
	uint64_t start = s->next_start, skip_to = now;

	if (start >= from)
		s->schedule = (uint16_t)(word & SCHEDULE_BITS);
	else if (from <= now)
		skip_to = from - 1; /* but not over the boundary at which the schedule changes */
	f = &s->frames[s->schedule];
	if (skip_to - start >= f->length) {
		const uint64_t frames = (skip_to - start) / f->length;

		s->windows_lost += frames * f->window_count;
		start += frames * f->length;
	}
	s->frame_start = start;
	s->frame_end = start + f->length;
	s->next = f->windows;
	s->last = f->windows + f->window_count;
}

/* The edge is reached: leave the window, or enter the one whose time it is. At most the windows of three frames are passed. */
static uint8_t cross_edge(struct sched *s, uint64_t now)
{
	const struct sched_window *w = 0;
	uint64_t plan = 0;
	uint8_t began = 0;

	while (now >= s->next_start) {
		if (w)
			s->windows_lost++;
		plan = s->next_start;
		w = 0;
		if (s->next != s->last) {
			w = s->next++;
		} else {
			begin_frame(s, now);
			began = SCHED_FRAME;
		}
		s->next_start = s->next != s->last ? s->frame_start + s->next->start : s->frame_end;
	}
	if (!w) {
		s->end = s->first;
		s->edge = s->next_start;
		return began;
	}
	s->first = w->first;
	s->end = w->end;
	s->edge = now + w->length;
	if (s->edge > s->next_start) {
		s->edge = s->next_start;
		s->windows_cut++;
	}
	s->late = now - plan;
	if (s->late_max < s->late)
		s->late_max = s->late;
	s->windows_started++;
	return began | SCHED_WINDOW;
}

/* Can it run now, on its budget? Then for how long at most; else from when on perhaps. */
static int can_run(struct sched *s, uint32_t entity, uint64_t now, uint64_t *until)
{
	struct sched_entity *e = &s->entities[entity];

	if (now < e->wake) {
		*until = min(*until, e->wake);
		return 0;
	}
	if (now >= e->refill)
		renew(e, &s->configs[entity], now);
	if (!e->left) {
		*until = min(*until, e->refill);
		return 0;
	}
	*until = min(*until, now + e->left);
	return 1;
}

static void slack_timers(struct sched *s, uint64_t now)
{
	s->slack_wake = SCHED_NEVER;
	for (uint64_t m = ~s->ready & (s->background | s->early); m; m &= m - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(m);

		if (now >= s->entities[i].wake)
			s->ready |= bit(i);
		else
			s->slack_wake = min(s->slack_wake, s->entities[i].wake);
	}
}

static uint64_t run(struct sched *s, uint32_t entity, uint32_t rank, uint64_t until)
{
	s->current = (uint16_t)entity;
	s->rank = (uint16_t)rank;
	return until;
}

/* Slack from now to `end`. */
static uint64_t choose_in_slack(struct sched *s, uint64_t now, uint64_t end)
{
	const int too_short = end - now < s->slack_min; /* for a switch */
	uint64_t until, m, behind;
	uint32_t turn = s->turn;

	if (now >= s->slack_wake)
		slack_timers(s, now);
	until = min(end, s->slack_wake);
	for (m = s->ready & s->early; m; m &= m - 1) {
		const uint32_t i = (uint32_t)__builtin_ctzll(m);

		if ((!too_short || i == s->current) && can_run(s, i, now, &until))
			return run(s, i, RANK_EARLY + i, until);
	}
	m = s->ready & s->background;
	if (!(m & bit(turn)) || !s->turn_left) {
		behind = m & ~(bit(turn) * 2 - 1);
		turn = m ? (uint32_t)__builtin_ctzll(behind ? behind : m) : SCHED_IDLE;
	}
	if (!m || (too_short && turn != s->current))
		return run(s, SCHED_IDLE, RANK_IDLE, until);
	if (turn != s->turn || !s->turn_left) {
		s->turn = (uint16_t)turn;
		s->turn_left = s->slack_turn;
	}
	return run(s, turn, RANK_BACKGROUND, min(until, now + s->turn_left));
}

struct sched_decision sched_decide(struct sched *s, uint64_t now)
{
	struct sched_decision d = { 0 };
	uint32_t i;

	charge(s, now);
	if (now >= s->edge)
		d.began = cross_edge(s, now);
	d.until = s->edge;
	for (i = s->first; i < s->end; i++)
		if (can_run(s, i, now, &d.until))
			break;
	if (i < s->end)
		run(s, i, i, 0);
	else
		d.until = choose_in_slack(s, now, d.until);
	d.entity = s->current;
	return d;
}

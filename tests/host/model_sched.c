// SPDX-License-Identifier: Apache-2.0
#include "model_sched.h"
#include <stdio.h>
#include <string.h>

struct checked checked;

static const char *const kind_name[] = { "owner", "early", "background", "idle" };

static uint32_t frame_length(const struct plan *p, uint32_t schedule)
{
	return (uint32_t)p->frame[schedule].windows[p->frame[schedule].window_count].start;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

static uint32_t next_refill(const struct plan *p, const struct model *m, uint32_t i, uint32_t t)
{
	const uint32_t period = (uint32_t)p->entity[i].period;

	return p->entity[i].budget ? t - (t - m->schedule_start) % period + period : FOREVER;
}

static int can_run(const struct plan *p, const struct model *m, uint32_t i, uint32_t t)
{
	return m->wake[i] <= t && (!p->entity[i].budget || m->left[i]);
}

static void begin_windows(const struct plan *p, struct model *m, uint32_t t)
{
	const struct sched_frame *f = &p->frame[m->schedule];

	for (uint32_t i = m->windows_done; i < f->window_count; i++) {
		const uint32_t start = m->frame_start + (uint32_t)f->windows[i].start;
		const uint32_t limit = m->frame_start + (uint32_t)f->windows[i + 1].start;

		if (start > t)
			break;
		m->windows_done++;
		if (limit <= t) {
			m->lost++;
			continue;
		}
		m->owner = i;
		m->late = t - start;
		m->window_end = t + (uint32_t)f->windows[i].length;
		if (m->window_end > limit) {
			m->window_end = limit;
			m->cut++;
		}
	}
}

/* Nobody of the owner's runs at t: until when at least? */
static uint32_t slack_end(const struct plan *p, const struct model *m, uint32_t t)
{
	const struct sched_frame *f = &p->frame[m->schedule];
	const struct sched_window *w = &f->windows[m->owner];
	uint32_t end = m->frame_start + (uint32_t)f->windows[m->windows_done].start;

	if (t >= m->window_end)
		return end;
	end = m->window_end;
	for (uint32_t i = w->first; i < w->end; i++) {
		const uint32_t again = m->wake[i] > t ? m->wake[i] : next_refill(p, m, i, t);

		end = again < end ? again : end;
	}
	return end;
}

static void choose(const struct plan *p, struct model *m, uint32_t t)
{
	const struct sched_window *w = &p->frame[m->schedule].windows[m->owner];
	const uint32_t before = m->current;
	uint32_t i, n, long_enough;

	m->kind = OWNER;
	for (i = w->first; t < m->window_end && i < w->end; i++)
		if (can_run(p, m, i, t)) {
			m->current = i;
			return;
		}
	long_enough = slack_end(p, m, t) - t >= p->slack_min;
	m->kind = EARLY;
	for (i = 0; i < p->entities; i++)
		if (p->entity[i].slack & SCHED_EARLY && can_run(p, m, i, t) && (long_enough || i == before)) {
			m->current = i;
			return;
		}
	m->kind = BACKGROUND;
	for (n = m->turn_left ? 0 : 1; n <= p->entities; n++) {
		i = (m->turn + n) % p->entities;
		if (!(p->entity[i].slack & SCHED_BACKGROUND) || m->wake[i] > t)
			continue;
		if (!long_enough && i != before)
			break;
		if (n) {
			m->turn = i;
			m->turn_left = p->slack_turn;
		}
		m->current = i;
		return;
	}
	m->kind = IDLE;
	m->current = ENTITIES;
}

static void charge(struct model *m)
{
	switch (m->kind) {
	case IDLE:
		m->idle++;
		break;
	case BACKGROUND:
		m->slack[m->current]++;
		m->turn_left -= m->turn_left != 0;
		break;
	default:
		m->paid[m->current]++;
		m->left[m->current] -= m->left[m->current] != 0;
	}
}

static void model_unit(const struct plan *p, struct model *m, uint32_t t, int busy)
{
	if (t == m->frame_start + frame_length(p, m->schedule)) {
		m->lost += p->frame[m->schedule].window_count - m->windows_done;
		m->frame_start = t;
		m->windows_done = 0;
		if (t >= m->wanted_from && m->schedule != m->wanted) {
			m->schedule = m->wanted;
			m->schedule_start = t;
		}
	}
	for (uint32_t i = 0; i < p->entities; i++)
		if (p->entity[i].budget && (t - m->schedule_start) % p->entity[i].period == 0)
			m->left[i] = (uint32_t)p->entity[i].budget;
	if (!busy) {
		begin_windows(p, m, t);
		choose(p, m, t);
	}
	charge(m);
}

/* ---- the rig ---------------------------------------------------------------------------------------------------- */

static uint64_t clock_of(const struct plan *p, uint32_t t)
{
	return t == FOREVER ? SCHED_NEVER : p->epoch + t * p->scale;
}

void rig_init(struct rig *r, const struct plan *p)
{
	memset(r, 0, sizeof(*r));
	r->plan = p;
	for (uint32_t k = 0; k < p->schedules; k++) {
		r->frame[k] = (struct sched_frame){ r->window[k], p->frame[k].window_count };
		for (uint32_t i = 0; i <= p->frame[k].window_count; i++) {
			r->window[k][i] = p->frame[k].windows[i];
			r->window[k][i].start *= p->scale;
			r->window[k][i].length *= p->scale;
		}
	}
	for (uint32_t i = 0; i < p->entities; i++) {
		r->config[i] = p->entity[i];
		r->config[i].budget *= p->scale;
		r->config[i].period *= p->scale;
		r->m.left[i] = (uint32_t)p->entity[i].budget;
		for (uint32_t k = 0; k < p->schedules; k++)
			r->feasible[k][i] = plan_feasible(p, k, i);
	}
	r->mode = (struct sched_mode){ .margin = p->margin * p->scale,
		                       .settle = p->settle * p->scale,
		                       .count = (uint16_t)p->schedules };
	r->s = (struct sched){ .frames = r->frame,
		               .configs = r->config,
		               .entities = r->entity,
		               .mode = &r->mode,
		               .slack_turn = p->slack_turn * p->scale,
		               .slack_min = p->slack_min * p->scale,
		               .entity_count = p->entities };
	sched_init(&r->s, p->epoch, p->epoch);
	r->m.current = ENTITIES;
	r->m.kind = IDLE;
	r->until = p->epoch;
}

void rig_copy(struct rig *to, const struct rig *from)
{
	*to = *from;
	to->s.frames = to->frame;
	to->s.configs = to->config;
	to->s.entities = to->entity;
	to->s.mode = &to->mode;
	to->s.paying = (struct sched_account *)((char *)to + ((const char *)from->s.paying - (const char *)from));
	for (uint32_t k = 0; k < from->plan->schedules; k++) {
		to->frame[k].windows = to->window[k];
		if (from->s.next >= from->window[k] && from->s.next <= from->window[k] + WINDOWS)
			to->s.next = to->window[k] + (from->s.next - from->window[k]);
	}
}

static int broken(struct rig *r, const char *promise)
{
	if (!r->failed)
		r->failed = promise;
	return 0;
}

/* Who runs, on what account, and all counters: the same in the scheduler and in the model? */
static void compare(struct rig *r, int busy)
{
	const struct sched *s = &r->s;
	const struct model *m = &r->m;
	const uint32_t current = s->current == SCHED_IDLE ? ENTITIES : s->current;
	const enum kind kind = s->rank < SCHED_MAX_ENTITIES      ? OWNER :
	                       s->rank < 2 * SCHED_MAX_ENTITIES  ? EARLY :
	                       s->rank == 2 * SCHED_MAX_ENTITIES ? BACKGROUND :
	                                                           IDLE;

	if (current != m->current || kind != m->kind)
		broken(r, "same choice as the model");
	if (busy)
		return;
	if (s->schedule != m->schedule || s->frame_start != clock_of(r->plan, m->frame_start))
		broken(r, "schedule and frame as in the model: switched at the boundary");
	if (s->windows_cut != m->cut || s->windows_lost != m->lost || s->late != m->late * r->plan->scale)
		broken(r, "windows counted as in the model");
}

static void compare_used(struct rig *r)
{
	const uint64_t running = clock_of(r->plan, r->t) - r->s.since, k = r->plan->scale;

	if (r->s.idle.used + (r->s.paying == &r->s.idle ? running : 0) != r->m.idle * k)
		broken(r, "idle time counted as in the model");
	for (uint32_t i = 0; i < r->plan->entities; i++) {
		const struct sched_entity *e = &r->entity[i];

		if (e->budget.used + (r->s.paying == &e->budget ? running : 0) != r->m.paid[i] * k ||
		    e->turn.used + (r->s.paying == &e->turn ? running : 0) != r->m.slack[i] * k)
			broken(r, "used time counted as in the model");
	}
}

/* A window begins at its plan, or where the first decision after it is; lasts its length; and is its owner's. */
static void check_window(struct rig *r, int decided)
{
	const struct plan *p = r->plan;
	const struct sched_frame *f = &p->frame[r->m.schedule];
	const int began = decided && r->s.began & SCHED_WINDOW;
	int expected = 0;

	for (uint32_t i = 0; i < f->window_count; i++) {
		const struct sched_window *w = &f->windows[i];
		const uint32_t plan = r->m.frame_start + (uint32_t)w->start,
			       limit = r->m.frame_start + (uint32_t)f->windows[i + 1].start;
		const uint32_t on_time = r->t == plan,
			       first_chance = r->t > plan && r->t - plan <= r->busy && r->t < limit;

		if (on_time || first_chance) {
			expected = 1;
			if (!began || r->s.late != (r->t - plan) * p->scale)
				broken(r, "a window begins at its plan, or at the first decision after it");
			r->began = r->t;
			r->began_length = (uint32_t)w->length < limit - r->t ? (uint32_t)w->length : limit - r->t;
			checked.windows++;
			if (p->guard >= p->busy_max && r->began_length != w->length)
				broken(r, "no window is cut by a delay within the guard");
		}
		if (r->t < r->began || r->t - r->began >= r->began_length || r->began < plan || r->began >= limit)
			continue;
		for (uint32_t e = w->first; e < w->end; e++) {
			if (r->m.wake[e] > r->t || (p->entity[e].budget && r->charged[e] >= p->entity[e].budget))
				continue;
			if (r->s.current != e || r->s.paying != &r->entity[e].budget)
				broken(r, "each unit of a window is its owner's, by priority");
			break;
		}
	}
	if (began && !expected)
		broken(r, "a window begins only at its time");
	if (p->guard >= p->busy_max && (r->s.windows_cut || r->s.windows_lost))
		broken(r, "no window is lost or cut");
}

static void check_budgets(struct rig *r, int busy)
{
	const struct plan *p = r->plan;

	for (uint32_t i = 0; i < p->entities; i++) {
		const int pays = r->s.paying == &r->entity[i].budget;

		r->waited[i] |= r->m.wake[i] > r->t;
		r->got[i] += pays && !busy;
		r->charged[i] += (uint32_t)pays;
		if (!p->entity[i].budget)
			continue;
		if (r->got[i] > p->entity[i].budget)
			broken(r, "the budget is never exceeded in a period");
		if ((r->t + 1 - r->m.schedule_start) % p->entity[i].period)
			continue;
		if (!p->busy_max && !r->waited[i] && r->feasible[r->m.schedule][i]) {
			checked.budgets++;
			if (r->got[i] < p->entity[i].budget)
				broken(r, "who is feasible gets its budget in each period");
		}
		r->got[i] = r->charged[i] = r->waited[i] = 0;
	}
}

/* Of two background entities that can run none gets more than a turn ahead. (Without delays; these lengthen turns.) */
static void check_fairness(struct rig *r)
{
	const struct plan *p = r->plan;

	for (uint32_t i = 0; i < p->entities && !p->busy_max; i++)
		for (uint32_t j = 0; j < p->entities; j++) {
			if (i == j || !(p->entity[i].slack & p->entity[j].slack & SCHED_BACKGROUND))
				continue;
			if (r->m.wake[i] > r->t || r->m.wake[j] > r->t)
				r->ahead[i][j] = 0;
			else
				r->ahead[i][j] += (r->s.paying == &r->entity[i].turn) -
				                  (r->s.paying == &r->entity[j].turn);
			if (r->ahead[i][j] > (int32_t)p->slack_turn)
				broken(r, "slack goes round fairly");
		}
}

static void request(struct rig *r, uint32_t schedule, uint64_t now)
{
	const struct plan *p = r->plan;

	if (sched_request(&r->mode, schedule, now) != SCHED_ACCEPTED)
		return;
	checked.requests++;
	r->m.wanted = schedule;
	r->m.wanted_from = r->t + p->margin;
}

int rig_step(struct rig *r, struct event e)
{
	const struct plan *p = r->plan;
	const uint64_t now = clock_of(p, r->t);
	struct sched_decision d;
	int decided = 0;

	if (e.request)
		request(r, e.request - 1u, now);
	for (uint32_t i = 0; i < p->entities; i++)
		if (e.wake >> i & 1 && r->m.wake[i] > r->t) {
			sched_wake(&r->s, i);
			r->m.wake[i] = r->t;
			r->due |= (uint32_t)sched_preempts(&r->s, i);
		}
	if (!e.busy && (now >= r->until || r->due || e.extra)) {
		d = sched_decide(&r->s, now);
		if (d.until <= now || d.entity != r->s.current)
			return broken(r, "the next decision is later than this one");
		r->until = d.until;
		r->due = 0;
		checked.decisions++;
		decided = 1;
	}
	model_unit(p, &r->m, r->t, e.busy);
	compare(r, e.busy);
	for (uint32_t i = 0; i < p->entities && r->t == r->m.schedule_start; i++)
		r->got[i] = r->charged[i] = r->waited[i] = 0;
	if (!e.busy)
		check_window(r, decided);
	check_budgets(r, e.busy);
	check_fairness(r);
	r->busy = e.busy ? r->busy + 1 : 0;
	r->t++;
	if (!e.busy && e.block && r->s.current != SCHED_IDLE) {
		r->m.wake[r->s.current] = e.block == FOREVER ? FOREVER : r->t + e.block - 1;
		sched_block(&r->s, r->s.current, clock_of(p, r->m.wake[r->s.current]));
		r->due = 1;
	}
	compare_used(r);
	return !r->failed;
}

/* ---- feasibility ------------------------------------------------------------------------------------------------ */

/* Units of the windows of entity i's partition in [from, to) after the schedule's begin. */
static uint32_t supply(const struct plan *p, uint32_t schedule, uint32_t i, uint32_t from, uint32_t to)
{
	const struct sched_frame *f = &p->frame[schedule];
	uint32_t sum = 0;

	for (uint32_t t = from; t < to; t++)
		for (uint32_t w = 0; w < f->window_count; w++) {
			const uint32_t at = t % frame_length(p, schedule);

			sum += at >= f->windows[w].start && at < f->windows[w].start + f->windows[w].length &&
			       i >= f->windows[w].first && i < f->windows[w].end;
		}
	return sum;
}

int plan_feasible(const struct plan *p, uint32_t schedule, uint32_t i)
{
	const uint32_t period = (uint32_t)p->entity[i].period;
	const struct sched_frame *f = &p->frame[schedule];
	const struct sched_window *own = 0;
	uint32_t periods = frame_length(p, schedule); /* after so many all repeats; 0, if one above has no limit */

	for (uint32_t w = 0; w < f->window_count; w++)
		if (i >= f->windows[w].first && i < f->windows[w].end)
			own = &f->windows[w];
	if (!own || !p->entity[i].budget)
		return 0;
	for (uint32_t j = own->first; j < i; j++)
		periods *= (uint32_t)p->entity[j].period;
	for (uint32_t k = 0; k < periods; k++) {
		const uint32_t from = k * period, to = from + period;
		uint32_t demand = 0;

		for (uint32_t j = own->first; j <= i; j++) {
			const uint32_t pj = (uint32_t)p->entity[j].period;

			demand += ((to - 1) / pj - from / pj + 1) * (uint32_t)p->entity[j].budget;
		}
		if (supply(p, schedule, i, from, to) < demand)
			return 0;
	}
	return periods != 0;
}

void rig_describe(const struct rig *r)
{
	const struct plan *p = r->plan;

	printf("broken at %u: %s\n  scheduler: entity %d, model: %u (%s)\n", r->t, r->failed ? r->failed : "nothing",
	       (int)r->s.current, r->m.current, kind_name[r->m.kind]);
	printf("  scale %llu epoch %llu turn %u min %u busy %u guard %u margin %u settle %u\n",
	       (unsigned long long)p->scale, (unsigned long long)p->epoch, p->slack_turn, p->slack_min, p->busy_max,
	       p->guard, p->margin, p->settle);
	for (uint32_t i = 0; i < p->entities; i++)
		printf("  entity %u: budget %u of %u, slack %u\n", i, (uint32_t)p->entity[i].budget,
		       (uint32_t)p->entity[i].period, p->entity[i].slack);
	for (uint32_t k = 0; k < p->schedules; k++) {
		printf("  schedule %u, frame %u:", k, frame_length(p, k));
		for (uint32_t i = 0; i < p->frame[k].window_count; i++)
			printf(" [%u, +%u: %u..%u)", (uint32_t)p->window[k][i].start, (uint32_t)p->window[k][i].length,
			       p->window[k][i].first, p->window[k][i].end);
		printf("\n");
	}
}

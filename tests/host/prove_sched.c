// SPDX-License-Identifier: Apache-2.0
/*
 * The scheduler's promises, for all that can happen in small configurations, and for random larger ones.
 *
 * Exhaustive: for each configuration the states that scheduler, model and checks can reach together are enumerated until no
 * new one turns up, so that each result holds for event sequences of any length. In each unit of time any of these may
 * happen: nothing; who runs waits for one unit more, or for ever; one waiting entity or all of them are woken; in families with
 * delays: a unit without a decision, alone or with all woken in it; in the family with schedules: one is asked for. The bounds
 * are in families[]; what is promised is in model_sched.c.
 *
 * Random: configurations of up to 4 entities, 4 windows, 2 schedules, frames of up to 40 units; up to 2^36 ticks a unit; delays
 * of up to three frames; everything that is above, in any combination.
 *
 * prove_sched [RANDOM-CONFIGURATIONS [SEED]]
 */
#include "model_sched.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RANDOM_PLANS 100000u
#define RANDOM_UNITS 120u
#define STATES (1u << 19) /* of one configuration, at most */
#define KEY 80u

/* ---- reachable states ------------------------------------------------------------------------------------------- */

static struct rig queue[STATES];
static uint8_t keys[STATES][KEY];
static uint64_t table[2 * STATES];    /* hash table: number of the configuration, index */
static uint64_t plans, states, steps; /* of a family */
static uint64_t all_plans, all_states;
static uint32_t count;

static uint8_t relative(const struct rig *r, uint64_t when)
{
	const uint64_t now = r->t * r->plan->scale;

	return when >= SCHED_NEVER ? 255 : when <= now ? 0 : (uint8_t)((when - now) / r->plan->scale);
}

static uint8_t model_relative(const struct rig *r, uint32_t when)
{
	return when == FOREVER ? 255 : when <= r->t ? 0 : (uint8_t)(when - r->t);
}

/* All that the future can depend on, times relative to now. The epoch is 0. */
static void key_of(const struct rig *r, uint32_t cycle, uint8_t *k)
{
	const struct sched *s = &r->s;
	const struct model *m = &r->m;
	const uint64_t scale = r->plan->scale, from = r->mode.word & ~7ull;

	memset(k, 0, KEY);
	*k++ = (uint8_t)((r->t - m->schedule_start) % cycle), *k++ = (uint8_t)(r->t - m->frame_start);
	*k++ = (uint8_t)s->current, *k++ = (uint8_t)s->rank, *k++ = (uint8_t)(s->first << 4 | s->end);
	*k++ = (uint8_t)(s->schedule << 4 | s->turn), *k++ = (uint8_t)(r->t - s->since / scale),
	*k++ = relative(r, s->edge);
	*k++ = relative(r, s->next_start), *k++ = (uint8_t)(r->t - s->frame_start / scale), *k++ = (uint8_t)s->ready;
	*k++ = relative(r, s->slack_wake), *k++ = relative(r, r->until), *k++ = (uint8_t)(r->due << 4 | r->busy);
	*k++ = (uint8_t)(r->mode.word & 7), *k++ = relative(r, from), *k++ = relative(r, from + r->mode.settle);
	*k++ = (uint8_t)(m->windows_done << 4 | m->schedule), *k++ = model_relative(r, m->window_end);
	*k++ = (uint8_t)(m->owner << 4 | m->wanted), *k++ = model_relative(r, m->wanted_from);
	*k++ = (uint8_t)(m->turn << 4 | m->turn_left), *k++ = (uint8_t)(m->current << 4 | m->kind);
	*k++ = (uint8_t)(r->t < r->began + r->began_length ? r->t - r->began + 1 : 0);
	for (uint32_t i = 0; i < r->plan->entities; i++) {
		const struct sched_entity *e = &r->entity[i];

		*k++ = relative(r, e->wake), *k++ = relative(r, e->budget.refill);
		*k++ = (uint8_t)(r->plan->entity[i].budget ? e->budget.left / scale : 0);
		*k++ = (uint8_t)(e->turn.left / scale << 4 | m->left[i]), *k++ = model_relative(r, m->wake[i]);
		*k++ = (uint8_t)(r->plan->entity[i].budget ? r->got[i] << 4 | r->charged[i] : 0),
		*k++ = (uint8_t)r->waited[i];
		for (uint32_t j = 0; j < r->plan->entities; j++)
			*k++ = (uint8_t)r->ahead[i][j];
	}
}

static void add_state(const struct rig *r, uint32_t cycle)
{
	uint8_t key[KEY];
	uint64_t hash = 0xcbf29ce484222325ull, word;
	uint32_t at;

	key_of(r, cycle, key);
	for (uint32_t i = 0; i < KEY; i += 8) {
		memcpy(&word, key + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	for (at = (uint32_t)hash % (2 * STATES); table[at] >> 32 == plans + 1; at = (at + 1) % (2 * STATES))
		if (!memcmp(keys[(uint32_t)table[at]], key, KEY))
			return;
	if (count == STATES) {
		printf("more than %u states\n", STATES);
		exit(2);
	}
	memcpy(keys[count], key, KEY);
	rig_copy(&queue[count], r);
	table[at] = (plans + 1) << 32 | count++;
}

static uint32_t list_events(const struct rig *r, struct event *e)
{
	uint32_t n = 0;
	uint8_t waiting = 0;

	e[n++] = (struct event){ 0 };
	e[n++] = (struct event){ .block = 2 };
	e[n++] = (struct event){ .block = FOREVER };
	for (uint32_t i = 0; i < r->plan->entities; i++)
		if (r->m.wake[i] > r->t) {
			waiting |= (uint8_t)(1u << i);
			e[n++] = (struct event){ .wake = (uint8_t)(1u << i) };
		}
	if (waiting & (waiting - 1))
		e[n++] = (struct event){ .wake = waiting };
	if (r->busy < r->plan->busy_max) {
		e[n++] = (struct event){ .busy = 1 };
		if (waiting)
			e[n++] = (struct event){ .busy = 1, .wake = waiting };
	}
	if (r->plan->schedules > 1)
		for (uint8_t k = 0; k < r->plan->schedules; k++)
			e[n++] = (struct event){ .request = (uint8_t)(k + 1) };
	return n;
}

static void prove(const struct plan *p)
{
	static struct rig r;
	struct event e[16];
	uint32_t cycle = 1, step;

	for (uint32_t i = 0; i < p->entities; i++)
		for (step = cycle; p->entity[i].period && cycle % p->entity[i].period;)
			cycle += step;
	count = 0;
	rig_init(&r, p);
	add_state(&r, cycle);
	for (uint32_t at = 0; at < count; at++)
		for (uint32_t n = list_events(&queue[at], e); n--;) {
			rig_copy(&r, &queue[at]);
			steps++;
			if (!rig_step(&r, e[n])) {
				rig_describe(&r);
				exit(1);
			}
			add_state(&r, cycle);
		}
	states += count;
	plans++;
}

/* ---- families of configurations ----------------------------------------------------------------------------------- */

/* Entity 0 (and 1, of three) belongs to one partition, the last to another. */
static const struct sched_entity_config two[][ENTITIES] = {
	{ { 0, 0, 0 }, { 0, 0, SCHED_BACKGROUND } },
	{ { 1, 2, SCHED_EARLY }, { 2, 4, SCHED_BACKGROUND } },
	{ { 1, 3, SCHED_BACKGROUND }, { 2, 4, SCHED_BACKGROUND } },
};
static const struct sched_entity_config three[][ENTITIES] = {
	{ { 0, 0, 0 }, { 0, 0, SCHED_BACKGROUND }, { 0, 0, 0 } },
	{ { 1, 2, 0 }, { 0, 0, SCHED_BACKGROUND }, { 0, 0, SCHED_BACKGROUND } },
	{ { 1, 3, SCHED_EARLY }, { 2, 3, 0 }, { 0, 0, SCHED_BACKGROUND } },
	{ { 1, 4, SCHED_BACKGROUND }, { 1, 2, SCHED_BACKGROUND }, { 1, 4, SCHED_EARLY } },
};

/* All frames of up to `frame` units with up to `windows` windows, each with either owner and at least `guard` units behind it,
 * for each setup, with slack_min 0 and 2; turns of 2 units. Delays of up to `busy` units. Where there is a second schedule, it is a
 * frame of 2 units with a window of 1 for the second partition. */
static const struct family {
	const char *name;
	uint32_t frame, windows, guard, busy, schedules, entities, setups;
	const struct sched_entity_config (*setup)[ENTITIES];
} families[] = {
	{ "three entities", 4, 2, 0, 0, 1, 3, 4, three },
	{ "two entities", 6, 3, 0, 0, 1, 2, 2, two },
	{ "two, longer cycle", 4, 2, 0, 0, 1, 2, 3, two },
	{ "delays up to the guard, three", 5, 2, 1, 1, 1, 3, 2, three },
	{ "delays up to the guard, two", 6, 3, 1, 1, 1, 2, 2, two },
	{ "delays of 2, guard of 2", 6, 2, 2, 2, 1, 2, 2, two },
	{ "delays up to 5, no guard", 3, 2, 0, 5, 1, 2, 2, two },
	{ "two schedules", 3, 2, 0, 0, 2, 2, 2, two },
	{ "two schedules, delays up to 3", 3, 1, 0, 3, 2, 2, 2, two },
};

static void prove_setups(const struct family *f, struct plan *p)
{
	for (uint32_t k = 0; k < f->setups; k++)
		for (p->slack_min = 0; p->slack_min <= 2; p->slack_min += 2) {
			memcpy(p->entity, f->setup[k], sizeof(p->entity));
			prove(p);
		}
}

/* All ways to put windows behind the first `n`. */
static void add_window(const struct family *f, struct plan *p, uint32_t n, uint32_t from, uint32_t length)
{
	struct sched_window *w = &p->window[0][n];

	*w = (struct sched_window){ .start = length };
	p->frame[0] = (struct sched_frame){ p->window[0], (uint16_t)n };
	prove_setups(f, p);
	if (n == f->windows)
		return;
	for (uint32_t start = from; start < length; start++)
		for (uint32_t end = start + 1; end + f->guard <= length; end++)
			for (uint32_t owner = 0; owner < 2; owner++) {
				*w = (struct sched_window){ start, end - start, owner ? f->entities - 1 : 0,
					                    owner ? f->entities : f->entities - 1 };
				add_window(f, p, n + 1, end + f->guard, length);
			}
}

static void prove_family(const struct family *f)
{
	static struct plan p;
	const clock_t began = clock();

	memset(table, 0, sizeof(table));
	memset(&checked, 0, sizeof(checked));
	plans = states = steps = 0;
	p = (struct plan){ .entities = f->entities,
		           .schedules = f->schedules,
		           .slack_turn = 2,
		           .scale = f->schedules > 1 ? 8 : 1,
		           .margin = 1,
		           .settle = f->frame + f->busy,
		           .busy_max = f->busy,
		           .guard = f->guard };
	p.window[1][0] = (struct sched_window){ 0, 1, f->entities - 1, f->entities };
	p.window[1][1] = (struct sched_window){ .start = 2 };
	p.frame[1] = (struct sched_frame){ p.window[1], 1 };
	for (uint32_t length = 1; length <= f->frame; length++)
		add_window(f, &p, 0, 0, length);
	printf("%s: %lu configurations, %lu states, %lu steps; windows %lu, budgets %lu, requests %lu; %.1f s\n",
	       f->name, plans, states, steps, checked.windows, checked.budgets, checked.requests,
	       (double)(clock() - began) / CLOCKS_PER_SEC);
	all_plans += plans;
	all_states += states;
	fflush(stdout);
}

/* ---- random ------------------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) % sides);
}

static void random_frame(struct plan *p, uint32_t schedule)
{
	const uint32_t length = 1 + dice(40), split = dice(p->entities + 1);
	struct sched_window *w = p->window[schedule];
	uint32_t n = 0, at = dice(3) ? 0 : dice(length);

	while (n < WINDOWS && at + p->guard < length && dice(5)) {
		const uint32_t most = length - at - p->guard, size = 1 + dice(dice(3) && most > 8 ? 8 : most),
			       owner = dice(2);

		w[n++] = (struct sched_window){ at, size, owner ? split : 0, owner ? p->entities : split };
		at += size + p->guard + (dice(2) ? 0 : dice(8));
	}
	w[n] = (struct sched_window){ .start = length };
	p->frame[schedule] = (struct sched_frame){ w, (uint16_t)n };
	if (p->settle < length + p->busy_max)
		p->settle = length + p->busy_max;
}

static void random_plan(struct plan *p)
{
	*p = (struct plan){ .entities = 1 + dice(ENTITIES),
		            .schedules = 1 + dice(SCHEDULES),
		            .slack_turn = 1 + dice(9),
		            .slack_min = dice(2) ? 0 : dice(6),
		            .margin = 1 + dice(9),
		            .scale = 8ull << dice(34) };
	p->epoch = dice(1u << 30) * 8ull;
	if (dice(3))
		p->busy_max = dice(4) ? dice(4) : dice(120);
	p->guard = dice(2) ? p->busy_max : 0;
	for (uint32_t k = 0; k < p->schedules; k++)
		random_frame(p, k);
	for (uint32_t i = 0; i < p->entities; i++) {
		p->entity[i].slack = (uint8_t)dice(4);
		if (p->entity[i].slack & SCHED_EARLY || dice(2)) {
			p->entity[i].period = 1 + dice(dice(2) ? 10 : 60);
			p->entity[i].budget = 1 + dice((uint32_t)p->entity[i].period);
		}
	}
}

static void random_run(const struct plan *p)
{
	static struct rig r;
	const uint32_t often = 2 + dice(10); /* one of `often` units has an event */
	uint32_t busy = 0;

	rig_init(&r, p);
	for (uint32_t n = 0; n < RANDOM_UNITS; n++) {
		struct event e = { .extra = !dice(8) };

		if (!dice(often))
			e.wake = (uint8_t)dice(1u << p->entities);
		if (!dice(often))
			e.block = dice(3) ? 1 + dice(12) : FOREVER;
		if (!dice(2 * often) && p->schedules > 1)
			e.request = (uint8_t)(1 + dice(SCHEDULES));
		if (!busy && !r.busy && p->busy_max && !dice(often))
			busy = 1 + dice(p->busy_max);
		e.busy = busy != 0;
		busy -= busy != 0;
		if (!rig_step(&r, e)) {
			rig_describe(&r);
			exit(1);
		}
	}
}

static uint32_t frame_length(const struct plan *p, uint32_t schedule)
{
	return (uint32_t)p->frame[schedule].windows[p->frame[schedule].window_count].start;
}

/* Two CPUs with frames of one length, different windows and delays: do they switch at the same boundaries? */
static void random_pair(void)
{
	static struct plan p[2];
	struct sched_mode mode = { .margin = 8, .count = SCHEDULES };
	struct sched s[2];
	struct sched_entity entity[2][ENTITIES];
	uint64_t due[2] = { 0 }, changed[2][RANDOM_UNITS];
	uint32_t changes[2] = { 0 }, delay, length;

	random_plan(&p[0]);
	p[0].schedules = SCHEDULES;
	random_frame(&p[0], 1);
	p[1] = p[0];
	for (uint32_t k = 0; k < SCHEDULES; k++) { /* the second CPU: the frame without its windows */
		p[1].frame[k] = (struct sched_frame){ p[0].frame[k].windows + p[0].frame[k].window_count, 0 };
		p[0].frame[k].windows = p[0].window[k];
	}
	delay = dice(3) ? dice(8) : dice(100);
	mode.settle = 40 + delay;
	for (uint32_t c = 0; c < 2; c++) {
		s[c] = (struct sched){ .frames = p[c].frame,
			               .configs = p[c].entity,
			               .entities = entity[c],
			               .mode = &mode,
			               .slack_turn = 5,
			               .entity_count = p[c].entities };
		sched_init(&s[c], 0, 0);
	}
	for (uint64_t now = 0; now < RANDOM_UNITS * 10; now++) {
		if (!dice(20))
			checked.requests += sched_request(&mode, dice(SCHEDULES), now) == SCHED_ACCEPTED;
		for (uint32_t c = 0; c < 2; c++) {
			const uint32_t before = s[c].schedule;

			if (now < due[c])
				continue;
			due[c] = sched_decide(&s[c], now).until + dice(delay + 1);
			if (s[c].schedule == before || changes[c] == RANDOM_UNITS)
				continue;
			/* Frames that a long delay has skipped since are taken off: */
			length = frame_length(&p[c], s[c].schedule);
			changed[c][changes[c]++] = s[c].frame_start -
			                           (delay < length ? 0 : s[c].frame_start / length * length);
		}
	}
	if (changes[0] > changes[1] + 1 || changes[1] > changes[0] + 1) {
		printf("two CPUs switch %u and %u times\n", changes[0], changes[1]);
		exit(1);
	}
	for (uint32_t i = 0; i < changes[0] && i < changes[1]; i++)
		if (changed[0][i] != changed[1][i]) {
			printf("two CPUs switch at %lu and %lu\n", changed[0][i], changed[1][i]);
			exit(1);
		}
}

static void random_plans(uint32_t runs)
{
	static struct plan p;
	const clock_t began = clock();

	printf("random: seed %lu\n", seed);
	memset(&checked, 0, sizeof(checked));
	for (uint32_t n = 0; n < runs; n++) {
		random_plan(&p);
		random_run(&p);
		if (n % 8 == 0)
			random_pair();
	}
	printf("random: %u configurations of %u units; decisions %lu, windows %lu, budgets %lu, requests %lu; %.1f s\n",
	       runs, RANDOM_UNITS, checked.decisions, checked.windows, checked.budgets, checked.requests,
	       (double)(clock() - began) / CLOCKS_PER_SEC);
}

int main(int argc, char **argv)
{
	const uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], 0, 0) : RANDOM_PLANS;
	uint64_t first_seed;

	seed = first_seed = argc > 2 ? strtoull(argv[2], 0, 0) : (uint64_t)time(0);
	random_plans(runs);
	for (uint32_t i = 0; argc < 2 && i < sizeof(families) / sizeof(families[0]); i++)
		prove_family(&families[i]);
	printf("all %lu states of %lu configurations; %u random ones, seed %lu\n", all_states, all_plans, runs,
	       first_seed);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the scheduler is compared with: a model that looks at everything anew in each unit of time, and a rig that drives
 * both through the same events and checks besides what the scheduler promises. Units of time are ticks of the
 * model; the scheduler's clock runs `scale` times as fast and starts at `epoch`.
 */
#ifndef TESTS_HOST_MODEL_SCHED_H
#define TESTS_HOST_MODEL_SCHED_H

#include "sched/sched.h"

#define ENTITIES 4u
#define WINDOWS 4u
#define SCHEDULES 2u
#define FOREVER UINT32_MAX

struct plan {
	uint32_t entities, schedules;
	struct sched_entity_config entity[ENTITIES];
	struct sched_window window[SCHEDULES][WINDOWS + 1];
	struct sched_frame frame[SCHEDULES];
	uint32_t slack_turn, slack_min;
	uint32_t margin, settle; /* of schedule requests */
	uint64_t scale, epoch;   /* both multiples of 8 if there are schedules to switch between */
	uint32_t busy_max;       /* longest time without a decision */
	uint32_t guard;          /* the least gap behind a window */
};

enum kind { OWNER, EARLY, BACKGROUND, IDLE };

struct model {
	uint32_t schedule, schedule_start, frame_start;
	uint32_t wanted, wanted_from;
	uint32_t windows_done;      /* of this frame: begun or lost */
	uint32_t window_end, owner; /* owner: index of the window in force */
	uint32_t left[ENTITIES], wake[ENTITIES];
	uint32_t turn, turn_left;
	uint32_t current, kind;
	uint32_t late, cut, lost;
	uint32_t idle, paid[ENTITIES], slack[ENTITIES];
};

/* What happens in one unit. */
struct event {
	uint8_t wake;    /* mask of entities that are woken at its begin */
	uint8_t busy;    /* 1: no decision is possible in it */
	uint8_t extra;   /* 1: a superfluous decision */
	uint8_t request; /* schedule + 1 that is asked for; 0: none */
	uint32_t block;  /* whoever runs waits from its end on for block - 1 units, or FOREVER; 0: does not */
};

struct rig {
	const struct plan *plan;
	struct sched s;
	struct sched_entity entity[ENTITIES];
	struct sched_mode mode;
	struct sched_window window[SCHEDULES][WINDOWS + 1]; /* scaled */
	struct sched_frame frame[SCHEDULES];
	struct sched_entity_config config[ENTITIES];
	struct model m;
	uint32_t t;
	uint64_t until;
	uint32_t due, busy; /* a decision is due as soon as possible; units without one until now */
	/* What the checks remember. */
	uint32_t got[ENTITIES];            /* units of this period in which it ran on its budget */
	uint32_t charged[ENTITIES];        /* the same, and those without a decision */
	uint32_t waited[ENTITIES];         /* 1: it was blocked in this period */
	int feasible[SCHEDULES][ENTITIES]; /* as plan_feasible() says */
	int32_t ahead[ENTITIES][ENTITIES]; /* slack of one less that of the other while both could run */
	uint32_t began, began_length;      /* the last window's start and what it must last */
	const char *failed;                /* the promise that was broken */
};

/* How often there was something to check. */
struct checked {
	uint64_t decisions, windows, budgets, requests;
};
extern struct checked checked;

/* Is entity i certain to get its whole budget in each of its periods in which it does not wait? */
int plan_feasible(const struct plan *p, uint32_t schedule, uint32_t i);

void rig_init(struct rig *r, const struct plan *p);
void rig_copy(struct rig *to, const struct rig *from);
/* One unit; 0 if a promise was broken. */
int rig_step(struct rig *r, struct event e);
void rig_describe(const struct rig *r);

#endif

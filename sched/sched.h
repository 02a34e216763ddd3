// SPDX-License-Identifier: Apache-2.0
/*
 * Who runs on a scheduled CPU, until when. Pure logic: no hardware, no VMX; compiled for the core and for the host.
 *
 * Time belongs to windows in a major frame (ARINC 653's partition schedule). A window has one owner, a partition; those of its vCPUs that
 * live on this CPU share it by fixed priority, each with an optional budget. Budgets are deferrable: unused budget stays until the
 * end of its period, and is full again at each multiple of the period from the epoch. (Deferrable rather than sporadic: one word of
 * state a vCPU instead of a list of replenishments, and the back-to-back effect for which it is known cannot leave the window,
 * whose length is never cut.) Time that a window's owner does not use, and time outside windows, is slack: background vCPUs get it
 * in turn, at no cost to their budgets; else the CPU idles.
 *
 * All times are TSC ticks. Every function is bounded by the number of windows and vCPUs of this CPU, and does not depend on
 * the number of partitions in the machine. One CPU calls, for its own state; only sched_request() is for others.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stdint.h>

#define SCHED_IDLE UINT16_MAX
#define SCHED_NEVER UINT64_MAX

/* A vCPU as the scheduler sees it; constant. */
struct sched_entity_config {
	uint16_t partition;
	uint8_t priority;   /* inside its partition's windows; 0 is the highest. Equal ones: the lower index wins */
	uint8_t background; /* 1: may run in slack */
	uint64_t budget;    /* ticks in each period; 0: no limit */
	uint64_t period;    /* ticks; 0 with budget 0 */
};

struct sched_window {
	uint64_t start, length; /* from the frame's begin; sorted by start, no overlap, inside the frame */
	uint16_t partition;
};

/* One schedule's (operating mode's) frame on this CPU. */
struct sched_frame {
	uint64_t length;
	const struct sched_window *windows;
	uint16_t window_count;
};

struct sched_entity {
	uint64_t left;      /* budget in this period */
	uint64_t refill;    /* when it is full again; SCHED_NEVER without a budget */
	uint64_t wake;      /* a blocked one becomes runnable then; SCHED_NEVER: only by sched_wake() */
	uint64_t used;      /* ticks it has run in all, for the counters */
	uint8_t blocked;
};

struct sched {
	const struct sched_frame *frames; /* by schedule number */
	const struct sched_entity_config *configs;
	struct sched_entity *entities;
	uint16_t frame_count, entity_count;
	uint16_t schedule;      /* in force */
	uint16_t requested;     /* in force from the next frame boundary */
	uint16_t current;       /* entity that runs, or SCHED_IDLE */
	uint16_t window;        /* index in the frame, or window_count in a gap at its end; see in_window */
	uint16_t background;    /* who had slack last */
	uint8_t in_window;      /* 0: a gap before windows[window] */
	uint8_t charged_slack;  /* current runs in slack: its budget is not charged */
	uint64_t frame_start;
	uint64_t edge;          /* end of the window or gap */
	uint64_t since;         /* current runs since */
	/* Counters. */
	uint64_t windows_started, late_max, idle_ticks, slack_ticks, frames_skipped;
};

struct sched_decision {
	uint16_t entity;      /* or SCHED_IDLE */
	uint8_t window_began; /* a window started since the last decision, `late` ticks after its plan */
	uint8_t frame_began;
	uint64_t until;       /* decide again then at the latest; always later than now */
	uint64_t late;
};

/* Begin with schedule 0's frame at `epoch` (at most now). Entities are all runnable, budgets full. */
void sched_init(struct sched *s, const struct sched_frame *frames, uint16_t frame_count, const struct sched_entity_config *configs,
                struct sched_entity *entities, uint16_t entity_count, uint64_t epoch);

/*
 * Charge what has run since the last call, move on to the window of `now`, refill budgets, wake whose time has come, and
 * choose. `now` never goes back. If more than a frame has passed (an SMI, a debugger), whole frames are skipped and counted.
 */
struct sched_decision sched_decide(struct sched *s, uint64_t now);

/* Entity waits: for `wake` (SCHED_NEVER: none) or sched_wake(). Takes effect at the next decision. */
void sched_block(struct sched *s, uint16_t entity, uint64_t wake);
void sched_wake(struct sched *s, uint16_t entity);

/* Would waking `entity` now change who runs? 1: decide again. */
int sched_preempts(const struct sched *s, uint16_t entity);

/* Switch to another schedule at the next frame boundary. May be called by another CPU: a single word is written. Returns 0 if there
 * is no such schedule. */
int sched_request(struct sched *s, uint16_t schedule);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Who runs on a scheduled CPU, until when. Pure logic: no hardware, no VMX; compiled for the core and for the host.
 * The model with its reasons and an example is in docs/scheduling.md.
 *
 * Time belongs to windows in a major frame (ARINC 653's partition schedule). A window has one owner, a partition; those of its vCPUs that
 * live on this CPU share it by fixed priority, each with an optional budget. Budgets are deferrable: unused budget stays until the
 * end of its period, and is full again at each multiple of the period from the begin of the schedule. (Deferrable rather than
 * sporadic: one word of state a vCPU instead of a list of replenishments, and the back-to-back effect for which it is known cannot
 * leave the window, whose length is never cut.) Time that a window's owner does not use, and time outside windows, is slack: vCPUs with the
 * right to it run first, on their budgets; then background vCPUs in turn, at no cost to theirs; else the CPU idles.
 *
 * A window that begins `late` ticks after its plan also ends `late` ticks later. The gap that the plan leaves behind each window,
 * the guard, is what it moves into; only a start later than that gap is long cuts a window, which is counted.
 *
 * All times are TSC ticks, below 2^63. A decision looks at the vCPUs of the window's owner only, so that it does not cost more with
 * more partitions; slack looks at all that may have it when the timer of one expires. One CPU calls, for its own
 * state; only sched_request() is for others.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stdint.h>

#define SCHED_IDLE UINT32_MAX
#define SCHED_NEVER UINT64_MAX
#define SCHED_MAX_ENTITIES 64u /* on a CPU */
#define SCHED_MAX_SCHEDULES 8u

/* Rights to slack. */
#define SCHED_BACKGROUND 1u /* in turn with the other background vCPUs, not charged */
#define SCHED_EARLY 2u      /* before all of those, on its budget: its window opens early */

/* A vCPU as the scheduler sees it; constant. Those of one partition stand side by side, the highest priority first. */
struct sched_entity_config {
	uint64_t budget; /* ticks in each period, at most the period; 0: no limit */
	uint64_t period;
	uint8_t slack; /* SCHED_BACKGROUND, SCHED_EARLY (needs a budget) */
};

struct sched_window {
	uint64_t start;      /* from the frame's begin; sorted, start + length at most the next one's start */
	uint64_t length;     /* from the decision to the end: the owner's time and the switch to it */
	uint32_t first, end; /* the owner's entities; none: all of the window is slack */
};

/* One schedule's (operating mode's) frame on this CPU. */
struct sched_frame {
	const struct sched_window
		*windows; /* one more follows the last: its start is the frame's length, its own length 0 */
	uint16_t window_count;
};

/*
 * The schedule in force, one for all CPUs that switch together. They do so without waiting for each other: a request
 * names a time a little ahead, and each CPU obeys at its first frame boundary from then on. Same epoch, same frame length: same instant.
 */
struct sched_mode {
	uint64_t word;   /* that time, in multiples of SCHED_MAX_SCHEDULES, and in the bits below them the schedule */
	uint64_t margin; /* how far ahead: at least 8, and longer than a store takes to be seen by the other CPUs */
	uint64_t settle; /* no other request so long: the longest frame and the latest decision */
	uint16_t count;  /* of schedules */
};

enum sched_answer { SCHED_ACCEPTED, SCHED_NO_SUCH, SCHED_BUSY };

struct sched_account {
	uint64_t left;   /* to spend until refill; brought up to date when it is looked at */
	uint64_t refill; /* SCHED_NEVER: no budget */
	uint64_t used;   /* ticks in all, for the counters */
};

struct sched_entity {
	_Alignas(64) uint64_t wake;  /* runnable from then on; SCHED_NEVER: from sched_wake() on */
	struct sched_account budget; /* pays in its windows, and for early slack */
	struct sched_account turn;   /* pays for background slack */
};

struct sched {
	/* Set before sched_init(). */
	const struct sched_frame *frames; /* by schedule */
	const struct sched_entity_config *configs;
	struct sched_entity *entities;
	const struct sched_mode *mode;
	uint64_t slack_turn; /* ticks of a turn of a background vCPU; not 0 */
	uint64_t slack_min;  /* less than that is not worth a switch */
	uint32_t entity_count;

	/* State. */
	uint32_t current;             /* who runs, or SCHED_IDLE */
	uint32_t rank;                /* how urgent that is: see sched.c */
	uint32_t first, end;          /* entities of the owner of the window in force; none in a gap */
	uint32_t turn;                /* whose turn it is in slack */
	struct sched_account *paying; /* for the time since the last decision */
	uint64_t since;               /* that is: */
	uint64_t edge;                /* end of the window or gap in force */
	uint64_t next_start;          /* plan of */
	const struct sched_window *next;
	uint64_t frame_start;
	uint64_t ready;             /* bit n: entity n is known to be runnable */
	uint64_t background, early; /* masks of entities */
	uint64_t slack_wake;        /* no entity with a right to slack that is not ready wakes before */
	uint32_t schedule;          /* in force */
	uint32_t began;             /* at the last decision: SCHED_WINDOW, SCHED_FRAME */
	uint64_t late;              /* ticks after its plan that the last window began */

	/* Counters. */
	struct sched_account idle;
	uint64_t windows;      /* begun */
	uint64_t late_max;     /* the largest `late` */
	uint64_t overrun_max;  /* ticks that one has run beyond its budget or turn, by a late decision */
	uint64_t windows_cut;  /* begun too late for their length */
	uint64_t windows_lost; /* over before a decision */
	uint64_t
		missed; /* bit n: a window whose first entity is n was cut or lost; the caller clears it. All: whole frames were lost */
};

#define SCHED_WINDOW 1u
#define SCHED_FRAME 2u

struct sched_decision {
	uint64_t until;  /* decide again then at the latest; always later than now */
	uint32_t entity; /* or SCHED_IDLE */
};

/* Begin with schedule 0 at `epoch`, before, at or after `now`. Entities are runnable, their budgets full. */
void sched_init(struct sched *s, uint64_t epoch, uint64_t now);

/*
 * Charge who has run since the last call, move on to the window of `now`, and choose. `now` never goes back. A superfluous call
 * changes nothing. After a long time without a decision (an SMI, a debugger) frames are skipped.
 */
struct sched_decision sched_decide(struct sched *s, uint64_t now);

/* Entity waits: for `wake` (SCHED_NEVER: none) or sched_wake(). Takes effect at the next decision. */
void sched_block(struct sched *s, uint32_t entity, uint64_t wake);
void sched_wake(struct sched *s, uint32_t entity);

/* After sched_wake(): 1 if a decision is due now. (It may still choose the same: the woken one has no budget left.) */
int sched_preempts(const struct sched *s, uint32_t entity);

/* Switch to another schedule. From any CPU; one word is written. SCHED_BUSY: an earlier request is still under way. */
enum sched_answer sched_request(struct sched_mode *m, uint32_t schedule, uint64_t now);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a partition: state, reason, restarts, and what an event makes of them. Pure logic: no hardware; compiled for the core and for the
 * host. Times are TSC ticks, given by the caller. The CPU of the partition's vCPU 0 is the only writer; any CPU may read
 * life_word(), `changed` and `error`. docs/health.md has the table.
 */
#ifndef CORE_LIFE_H
#define CORE_LIFE_H

#include <stdint.h>

#include "config/config.h"
#include "hypercall/abi.h"

enum life_event {
	LIFE_START,   /* by a monitor, or as a standby */
	LIFE_STOP,    /* by itself or a monitor */
	LIFE_RESET,   /* by a monitor */
	LIFE_RESTART, /* by its policy, within the limit */
	LIFE_FAIL,    /* by its policy */
	LIFE_LOADED,  /* what LIFE_LOAD or LIFE_CLEAN asked for is done */
};

/* What is to be done with its vCPUs. */
enum life_work {
	LIFE_NOTHING,
	LIFE_PARK,  /* they rest */
	LIFE_LOAD,  /* they rest; then memory and vCPUs are made as at the first start */
	LIFE_CLEAN, /* the memory is as it should be: only the vCPUs */
	LIFE_RUN,   /* they begin */
};

struct life {
	uint64_t word;                    /* BH_STATUS_LIFE */
	uint64_t changed;                 /* BH_STATUS_CHANGED */
	uint64_t error;                   /* BH_STATUS_ERROR */
	uint64_t restarted[RESTARTS_MAX]; /* the last restarts by policy: number n at n % limit */
	uint64_t by_policy;               /* so many */
	uint8_t fresh;                    /* loaded, and has not run since */
};

/* At the machine's start: its memory is loaded (or its payload was not the right one), and it runs unless it is `held`. */
void life_begin(struct life *l, int right, int held, uint64_t now);

/* `restarts` in any `period` at most, for LIFE_RESTART; 0: no limit. */
enum life_work life_change(struct life *l, enum life_event event, uint32_t reason, uint32_t restarts, uint64_t period,
                           uint64_t now);

/* An error that was not ignored. */
void life_note_error(struct life *l, enum error_class class);

static inline uint32_t life_state(const struct life *l)
{
	return (uint32_t)__atomic_load_n(&l->word, __ATOMIC_ACQUIRE) & 0xff;
}

#endif

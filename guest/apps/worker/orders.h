// SPDX-License-Identifier: Apache-2.0
/* What the monitor tells those whom it watches, and what they tell it: a page each, in the memory `orders`, which nobody scrubs. */
#ifndef GUEST_APPS_WORKER_ORDERS_H
#define GUEST_APPS_WORKER_ORDERS_H

#include "../hostile/note.h"
#include "hypercall.h"

enum order {
	ORDER_LIVE,
	ORDER_SILENCE,
	ORDER_CRASH,
	ORDER_STOP,
	ORDER_HANG,
	ORDER_STORM,
	ORDER_RAISE,
	ORDER_SEAL,
	ORDER_CALLS,
};

struct orders {
	uint64_t order;
	uint64_t done;   /* the last one */
	uint64_t lives;  /* begun */
	uint64_t alive;  /* rounds of vCPU 0 */
	uint64_t second; /* and of another */
	uint64_t born, died;
	uint64_t result[4];
};

/* The only map beside its own memory. */
static inline volatile struct orders *orders_of(const struct kit_info *info)
{
	return (volatile struct orders *)info->map[0].gpa;
}

#endif

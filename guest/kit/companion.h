// SPDX-License-Identifier: Apache-2.0
/*
 * A companion's one call: docs/companions.md. It is an application of the kit at privilege level 3, with neither interrupts nor floating
 * point nor ports of its own; an exception ends it, and its partition.
 */
#ifndef GUEST_KIT_COMPANION_H
#define GUEST_KIT_COMPANION_H

#include "hypercall/abi.h"
#include "kit.h"

struct companion_request {
	uint64_t what; /* BH_REQUEST_* */
	uint64_t port, value, size;
};

/* What the last request is answered with, and what goes with every answer. */
struct companion_answer {
	uint64_t value;
	uint64_t line; /* BH_COMPANION_INTR while its interrupt line is up, or 0 */
	uint64_t next; /* TSC at which to be called though nothing is asked, or BH_COMPANION_NEVER */
};

/* Give the answer, wait for the next request. */
static inline void companion_wait(const struct companion_answer *answer, struct companion_request *request)
{
	uint64_t what = BH_COMPANION_WAIT, port = answer->value, value = answer->line, size = answer->next;

	__asm__ volatile("vmcall" : "+a"(what), "+D"(port), "+S"(value), "+d"(size) : : "memory");
	request->what = what;
	request->port = port;
	request->value = value;
	request->size = size;
}

#endif

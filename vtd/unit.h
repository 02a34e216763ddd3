// SPDX-License-Identifier: Apache-2.0
/* The registers of one remapping unit. Every wait is bounded: a unit that does not answer within UNIT_WAIT_MS ends the start. Boot CPU,
 * but for unit_take_fault() and unit_intact(). */
#ifndef VTD_UNIT_H
#define VTD_UNIT_H

#include "vtd/format.h"

#define UNIT_WAIT_MS 200u

struct unit {
	uint64_t registers, cap, ecap;
	/* Physical addresses. */
	uint64_t root, interrupts; /* tables; of the latter with its flags */
	uint64_t queue_at, done_at;
	/* The same memory as queue_at and done_at. */
	uint64_t *queue;
	volatile uint32_t *done;
	uint32_t tail; /* next free descriptor */
};

/* Read what it can do. 0, or what is wrong with it. */
const char *unit_probe(struct unit *u);

/* From any state, the firmware's or our own, to: both remappings on, with u->root and u->interrupts; protected memory regions off; no
 * fault pending. There is no moment in between at which a device that was blocked is not. */
void unit_enable(struct unit *u);

/* Forget all cached table entries, and wait until that is done. */
void unit_invalidate(struct unit *u);

/* Faults make an NMI at this CPU, until unit_mask_faults(). */
void unit_signal_faults(const struct unit *u, uint32_t apic_id);
void unit_mask_faults(const struct unit *u, int masked);

/* Take one record out; 0 if none is pending. */
int unit_take_fault(const struct unit *u, struct vtd_fault *fault);

int unit_intact(const struct unit *u);

#endif

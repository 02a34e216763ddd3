// SPDX-License-Identifier: Apache-2.0
/* PCI functions that partitions have: made ready for them. Linked only where the configuration has some. docs/devices.md. */
#ifndef CORE_ASSIGN_H
#define CORE_ASSIGN_H

#include <stdint.h>

/*
 * Find the functions, compare them with the configuration, reset them, and let their partitions see them; refuse() where they are not
 * what the configuration says. One that cannot be reset, or does not come back as it was, stays blocked and unseen. Boot CPU, after
 * vtd_init(), with nobody allowed to use the bus, and before any partition runs.
 */
void assign_init(void);

/* Those that stay blocked since the start: into the audit of the CPU that calls. */
void assign_record(void);

/* The partition is stopped, or to be loaded again: its functions may use the bus no more, and it does not see them any more; the reset of
 * each begins. The CPU of its vCPU 0, while none of its vCPUs runs. */
void assign_block(uint16_t partition);

/* ... and goes on with a step, of one function. Returns 1, and has done nothing, when all are over: what was reset is seen again, as new; what was not stays blocked.
 * At most 1.2 s; the same CPU. */
int assign_step(uint16_t partition);

#endif

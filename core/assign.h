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

#endif

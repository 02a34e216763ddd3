// SPDX-License-Identifier: Apache-2.0
/*
 * The two 2 MiB windows through which a CPU looks at memory that is not the core's: payloads, guests' memory while it
 * is set up, ACPI tables. There is no other mapping of such memory in any address space.
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include <stdint.h>

#define WINDOW_SLOT_SIZE (2ull << 20)

/* Show the 2 MiB page that holds host-physical `hpa` in slot 0 or 1 of this CPU, and return where `hpa` is to be seen.
 * Valid to the end of that page, until the next call for the slot. */
uint8_t *window(uint32_t slot, uint64_t hpa);

/* The same for a device's registers: uncached whatever the MTRRs say. */
uint8_t *window_device(uint32_t slot, uint64_t hpa);

/* Show both that page and the next one, so that an object of up to 2 MiB that begins at `hpa` lies in one piece. */
uint8_t *window_pair(uint64_t hpa);

/* Take both windows away. */
void window_close(void);

#endif

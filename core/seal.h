// SPDX-License-Identifier: Apache-2.0
/*
 * Access to pages of its own memory that a partition has given up until its next cold start. Linked only where a partition may
 * (CONFIG_SEALS); its memory is mapped in 4 KiB pages then. It has one vCPU: all of this runs on that one's CPU, in steps of less than W.
 */
#ifndef CORE_SEAL_H
#define CORE_SEAL_H

#include <stdint.h>

/* Take `rights` (RIGHT_WRITE, RIGHT_EXEC) from pages at `gpa`. Returns 0 if an argument is out of its range (hypercall/abi.h). */
int seal_pages(uint16_t partition, uint64_t gpa, uint64_t pages, uint64_t rights);

/* Does the configuration give what the page tables have just refused? */
int seal_denies(uint16_t partition, uint64_t gpa, uint32_t rights);

/* Give everything back: from *at, which is 0 first, on. Returns 1 if there is more. */
int seal_lift(uint16_t partition, uint64_t *at);

#endif

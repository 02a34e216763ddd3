// SPDX-License-Identifier: Apache-2.0
/*
 * From a guest's linear address to a guest-physical one by its own page tables (SDM Vol. 3A, chapter 4): none, 32-bit, PAE, 4-level. For
 * reading an instruction that the CPU has just executed: rights are not looked at, only where it lies. The tables are a guest's, and may
 * be anything; at most four entries are read. Pure logic.
 */
#ifndef VMX_LINEAR_H
#define VMX_LINEAR_H

#include <stdint.h>

enum linear_paging { LINEAR_NONE, LINEAR_32, LINEAR_PAE, LINEAR_4_LEVEL };

/* Read `size` bytes (4 or 8), a little-endian number, at a guest-physical address that is a multiple of it. Returns 0 if nothing is there. */
typedef int linear_read(void *context, uint64_t gpa, uint32_t size, uint64_t *value);

struct linear_space {
	enum linear_paging paging;
	uint64_t cr3;      /* PAE: not used */
	uint64_t pdpte[4]; /* PAE only: as the CPU holds them */
	int large;         /* 32-bit only: CR4.PSE, entries may map 4 MiB */
	linear_read *read;
	void *context;
};

/* Returns 0 if nothing is mapped there. */
int linear_translate(const struct linear_space *space, uint64_t linear, uint64_t *gpa);

#endif

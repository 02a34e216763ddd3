// SPDX-License-Identifier: Apache-2.0
#include "linear.h"

#define PRESENT 1u
#define PAGE_SIZE_BIT (1u << 7)
#define ADDRESS 0x000ffffffffff000ull

/* 8-byte entries, nine bits of the address a level; `table` is that of `level`. Levels from 4 down; 3 and 2 may map 1 GiB and 2 MiB. */
static int walk_64(const struct linear_space *space, uint64_t table, uint32_t level, uint64_t linear, uint64_t *gpa)
{
	for (; level; level--) {
		const uint32_t shift = 3 + 9 * level;
		uint64_t entry;

		if (!space->read(space->context, table + (linear >> shift & 511) * 8, 8, &entry) || !(entry & PRESENT))
			return 0;
		table = entry & ADDRESS;
		if (level == 1 || (level < 4 && entry & PAGE_SIZE_BIT)) {
			const uint64_t offset = (1ull << shift) - 1;

			*gpa = (table & ~offset) | (linear & offset);
			return 1;
		}
	}
	return 0;
}

/* 4-byte entries, two levels. A 4 MiB page has bits 39 to 32 of its address in bits 20 to 13 (PSE-36). */
static int walk_32(const struct linear_space *space, uint64_t linear, uint64_t *gpa)
{
	const uint64_t directory = space->cr3 & 0xfffff000u;
	uint64_t entry;

	if (!space->read(space->context, directory + (linear >> 22 & 1023) * 4, 4, &entry) || !(entry & PRESENT))
		return 0;
	if (space->large && entry & PAGE_SIZE_BIT) {
		*gpa = (entry >> 13 & 0xff) << 32 | (entry & 0xffc00000u) | (linear & 0x3fffff);
		return 1;
	}
	if (!space->read(space->context, (entry & 0xfffff000u) + (linear >> 12 & 1023) * 4, 4, &entry) ||
	    !(entry & PRESENT))
		return 0;
	*gpa = (entry & 0xfffff000u) | (linear & 0xfff);
	return 1;
}

int linear_translate(const struct linear_space *space, uint64_t linear, uint64_t *gpa)
{
	switch (space->paging) {
	case LINEAR_NONE:
		*gpa = linear;
		return 1;
	case LINEAR_32:
		return walk_32(space, linear, gpa);
	case LINEAR_PAE:
		if (!(space->pdpte[linear >> 30 & 3] & PRESENT))
			return 0;
		return walk_64(space, space->pdpte[linear >> 30 & 3] & ADDRESS, 2, linear, gpa);
	default:
		return walk_64(space, space->cr3 & ADDRESS, 4, linear, gpa);
	}
}

// SPDX-License-Identifier: Apache-2.0
/* The page-table builder: one walk from the root down for each leaf it writes. */
#include "pagetable.h"

#define INPUT_LIMIT (1ull << 48)
#define OUTPUT_LIMIT (1ull << 52)
#define TABLE_ADDRESS 0x000ffffffffff000ull
#define NOT_EXPRESSIBLE UINT64_MAX
#define ROOT_SHIFT 39u /* a root entry covers 512 GiB; each level below 9 bits less */

/* Indexed by RIGHT_*, which are the bits of an EPT entry. Write without read is a misconfiguration, execute without
 * read one on CPUs that lack it (SDM Vol. 3C, 29.3.3.1), so that both are refused everywhere. */
#define EPT_FORMAT(memory_type)                                                                              \
	{                                                                                                    \
		.table = 7, .leaf = (memory_type) << 3, .large = 1u << 7,                                    \
		.right = { NOT_EXPRESSIBLE, 1, NOT_EXPRESSIBLE, 3, NOT_EXPRESSIBLE, 5, NOT_EXPRESSIBLE, 7 }, \
		.present = 7                                                                                 \
	}
const struct pt_format pt_format_ept = EPT_FORMAT(6u); /* write-back */
const struct pt_format pt_format_ept_device = EPT_FORMAT(0u);

/* VT-d specification 9.8: only the two rights, no memory type. Writing alone is possible there, and refused all the same. */
const struct pt_format pt_format_vtd = {
	.table = 3,
	.large = 1u << 7,
	.right = { NOT_EXPRESSIBLE, 1, NOT_EXPRESSIBLE, 3, NOT_EXPRESSIBLE, NOT_EXPRESSIBLE, NOT_EXPRESSIBLE,
	           NOT_EXPRESSIBLE },
	.present = 3,
};

#define P 0x1ull
#define RW 0x2ull
#define A 0x20ull
#define D 0x40ull
#define NX (1ull << 63)

const struct pt_format pt_format_ia32e = {
	.table = P | RW | A,
	.leaf = A | D,
	.large = 1u << 7,
	.right = { NOT_EXPRESSIBLE, P | NX, NOT_EXPRESSIBLE, P | RW | NX, NOT_EXPRESSIBLE, P, NOT_EXPRESSIBLE, P | RW },
	.present = P,
};

static uint64_t *new_table(struct pt_pool *pool)
{
	uint64_t *table = pool->virt + (uint64_t)pool->used++ * PT_ENTRIES;

	for (uint32_t i = 0; i < PT_ENTRIES; i++)
		table[i] = 0;
	return table;
}

void pt_init(struct pt_pool *pool)
{
	pool->used = 0;
	(void)new_table(pool);
}

/* Write one leaf of 1 << leaf_shift bytes, adding the tables that lead to it. */
static enum pt_result map_leaf(const struct pt_format *format, struct pt_pool *pool, uint64_t in, uint64_t leaf,
                               uint32_t leaf_shift)
{
	uint64_t *entry = pool->virt + (in >> ROOT_SHIFT) % PT_ENTRIES;

	for (uint32_t shift = ROOT_SHIFT; shift > leaf_shift; shift -= 9) {
		if (!(*entry & format->present)) {
			if (pool->used >= pool->pages)
				return PT_FULL;
			*entry = (pool->phys + (uint64_t)pool->used * PT_ENTRIES * sizeof *entry) | format->table;
			(void)new_table(pool);
		} else if (*entry & format->large) { /* never set in a root entry */
			return PT_OVERLAP;
		}
		entry = pool->virt + ((*entry & TABLE_ADDRESS) - pool->phys) / sizeof *entry;
		entry += (in >> (shift - 9)) % PT_ENTRIES;
	}
	if (*entry & format->present) /* a leaf, or a table, which exists only where something is mapped */
		return PT_OVERLAP;
	*entry = leaf;
	return PT_OK;
}

static uint32_t largest_shift(uint64_t in, uint64_t out, uint64_t size, uint32_t max_shift)
{
	for (uint32_t shift = 30; shift > 12; shift -= 9) {
		uint64_t page = 1ull << shift;

		if (shift <= max_shift && size >= page && !((in | out) & (page - 1)))
			return shift;
	}
	return 12;
}

enum pt_result pt_map(const struct pt_format *format, struct pt_pool *pool, uint64_t in, uint64_t out, uint64_t size,
                      uint32_t rights, uint32_t max_shift)
{
	if (size == 0 || ((in | out | size) & 0xfff))
		return PT_ALIGN;
	if (in >= INPUT_LIMIT || size > INPUT_LIMIT - in || out >= OUTPUT_LIMIT || size > OUTPUT_LIMIT - out)
		return PT_RANGE;
	if (rights > 7 || format->right[rights] == NOT_EXPRESSIBLE)
		return PT_RIGHTS;
	for (uint64_t done = 0, page; done < size; done += page) {
		uint32_t shift = largest_shift(in + done, out + done, size - done, max_shift);
		uint64_t leaf = (out + done) | format->leaf | format->right[rights] | (shift > 12 ? format->large : 0);
		enum pt_result result = map_leaf(format, pool, in + done, leaf, shift);

		if (result != PT_OK)
			return result;
		page = 1ull << shift;
	}
	return PT_OK;
}

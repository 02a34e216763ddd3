// SPDX-License-Identifier: Apache-2.0
/*
 * One builder for four-level page tables: EPT, VT-d second level, and IA-32e paging for the core itself.
 * The formats differ in a few bits only, which struct pt_format holds. Pure logic: compiled for the loader, the core and
 * the host; memory for tables comes from a pool the caller gives.
 */
#ifndef EPT_PAGETABLE_H
#define EPT_PAGETABLE_H

#include <stdint.h>

#define PT_ENTRIES 512u

struct pt_format {
	uint64_t table;    /* bits of an entry that refers to a table */
	uint64_t leaf;     /* bits of every leaf: memory type, accessed, dirty */
	uint64_t large;    /* bit that makes an entry above level 1 a leaf */
	uint64_t right[8]; /* leaf bits for each combination of RIGHT_*; ~0: not expressible */
	uint64_t present;  /* an entry with none of these bits is absent */
};

extern const struct pt_format pt_format_ept;        /* SDM Vol. 3C, 29.3.2; memory type write-back */
extern const struct pt_format pt_format_ept_device; /* the same, uncacheable */
extern const struct pt_format pt_format_vtd;        /* second level of VT-d, legacy mode */
extern const struct pt_format pt_format_ia32e;      /* SDM Vol. 3A, 4.5.4; supervisor pages, accessed and dirty set */

/* The tables grow from a pool of zeroed pages. `virt` and `phys` name the same memory. */
struct pt_pool {
	uint64_t *virt;
	uint64_t phys;
	uint32_t pages; /* in the pool */
	uint32_t used;  /* page 0 is the root (PML4) once pt_init() ran */
};

enum pt_result {
	PT_OK,
	PT_FULL,    /* the pool has no page left */
	PT_ALIGN,   /* address or size is not a multiple of 4 KiB, or size 0 */
	PT_RANGE,   /* beyond 48 bits of input or 52 bits of output, or wraps */
	PT_OVERLAP, /* a part of the input range is mapped already */
	PT_RIGHTS,  /* the format cannot express these rights */
};

/* Zero the pool's first page and make it the root. pool->pages must be at least 1. */
void pt_init(struct pt_pool *pool);

/*
 * Map [in, in + size) to [out, out + size) with RIGHT_* `rights`, in the largest pages, at most 1 << max_shift
 * bytes (12, 21 or 30), that both addresses' alignment allows. Nothing is written beyond the pool. On an error some
 * of the range may be mapped: the caller refuses the whole table. Bounded by size and depth; no recursion.
 */
enum pt_result pt_map(const struct pt_format *format, struct pt_pool *pool, uint64_t in, uint64_t out, uint64_t size,
                      uint32_t rights, uint32_t max_shift);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The walker: reads a finished second-level table as the hardware would and proves what it can reach.
 * Independent of the builder on purpose (no shared code), and run over the same tables at build time, at boot and in tests.
 */
#ifndef EPT_WALK_H
#define EPT_WALK_H

#include <stdint.h>

/* One mapping a table is allowed to contain: [in, in+size) -> [out, out+size) with exactly these rights. */
struct walk_allowed {
	uint64_t in, out, size;
	uint32_t rights; /* RIGHT_* of config.h; with RIGHT_DEVICE its leaves are uncacheable, else write-back */
};

/* How the walker reads a table at a physical address. Returns a pointer to 512 entries, or 0 if the address is
 * outside the table memory (which is itself a fault: a table that leads out of its pool). */
typedef const volatile uint64_t *walk_read_table(void *context, uint64_t phys);

enum walk_result {
	WALK_OK,
	WALK_FOREIGN,  /* a leaf reaches a frame that is not in the allowed list at that address */
	WALK_RIGHTS,   /* a leaf gives other rights than declared */
	WALK_MISSING,  /* a declared page is not mapped */
	WALK_TABLE,    /* an entry refers to a table outside the table memory */
	WALK_RESERVED, /* a reserved bit is set, a wrong memory type, or a large leaf out of place */
};

struct walk_fault { /* where: filled in for every result but WALK_OK */
	uint64_t in;
	uint64_t entry;
	uint32_t level; /* 4 PML4 to 1 PT */
};

enum walk_kind { WALK_EPT, WALK_VTD };

/*
 * Walk the tables rooted at physical address `root`: EPT (four levels, SDM Vol. 3C 29.3.2), or VT-d's second level (VT-d specification
 * 9.8). Every present leaf must lie in exactly one element of `allowed`, with its rights and, in EPT, its memory type; the number of bytes mapped must equal the number allowed. `allowed` elements must
 * not overlap in `in`. max_phys_bits: the CPU's MAXPHYADDR. large_1g: 1 GiB leaves are valid on this CPU.
 */
enum walk_result walk_tables(enum walk_kind kind, uint64_t root, walk_read_table *read, void *context,
                             const struct walk_allowed *allowed, uint32_t allowed_count, uint32_t max_phys_bits,
                             int large_1g, struct walk_fault *fault);

static inline enum walk_result walk_ept(uint64_t root, walk_read_table *read, void *context,
                                        const struct walk_allowed *allowed, uint32_t allowed_count,
                                        uint32_t max_phys_bits, int large_1g, struct walk_fault *fault)
{
	return walk_tables(WALK_EPT, root, read, context, allowed, allowed_count, max_phys_bits, large_1g, fault);
}

const char *walk_result_name(enum walk_result result);

#endif

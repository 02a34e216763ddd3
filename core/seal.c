// SPDX-License-Identifier: Apache-2.0
#include "seal.h"

#include "config/config.h"
#include "core.h"
#include "ept/pagetable.h"
#include "panic.h"
#include "vmx/vmx.h"
#include "window.h"
#include "x86.h"

#define PAGES_MAX 16u
#define LIFTED_AT_ONCE 64u
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define ENTRY_LARGE (1ull << 7)

static uint8_t sealed[CONFIG_PARTITIONS];

/* The entry of a 4 KiB page, to be seen until the next use of the window; or 0. SDM Vol. 3C, 29.3.2. */
static volatile uint64_t *entry_of(uint16_t partition, uint64_t gpa)
{
	uint64_t table = ept_pointer[partition] & ENTRY_ADDRESS;

	for (uint32_t shift = 39; shift > 12; shift -= 9) {
		const uint64_t entry = ((volatile uint64_t *)window(0, table))[gpa >> shift & 511];

		if (!(entry & RIGHT_READ) || entry & ENTRY_LARGE)
			return 0;
		table = entry & ENTRY_ADDRESS;
	}
	return (volatile uint64_t *)window(0, table) + (gpa >> 12 & 511);
}

/* The map of the partition's own memory that holds all of it, or 0. */
static const struct config_map *own(uint16_t partition, uint64_t gpa, uint64_t size)
{
	const struct config_partition *p = &config.partitions[partition];

	for (uint32_t i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];

		if (config.memories[m->memory].owner == partition && gpa - m->gpa < m->size &&
		    size <= m->size - (gpa - m->gpa))
			return m;
	}
	return 0;
}

/* What the CPU has cached of the tables (SDM Vol. 3C, 29.4.3.1). All contexts where it cannot do less: that, each of them can (vmx/capability.c). */
static void flush(uint16_t partition)
{
	const int single = (rdmsr(MSR_IA32_VMX_EPT_VPID_CAP) & EPT_CAP_INVEPT_SINGLE) != 0;

	window_close();
	if (invept(single ? INVEPT_SINGLE_CONTEXT : INVEPT_ALL_CONTEXTS, single ? ept_pointer[partition] : 0, 0))
		vmx_failed("INVEPT", ept_pointer[partition]);
}

int seal_pages(uint16_t partition, uint64_t gpa, uint64_t pages, uint64_t rights)
{
	volatile uint64_t *entry;

	if (gpa & (PAGE_SIZE - 1) || pages - 1 >= PAGES_MAX || !rights ||
	    rights & ~(uint64_t)(RIGHT_WRITE | RIGHT_EXEC) ||
	    (gpa & (LARGE_PAGE_SIZE - 1)) + pages * PAGE_SIZE > LARGE_PAGE_SIZE ||
	    !own(partition, gpa, pages * PAGE_SIZE))
		return 0;
	entry = entry_of(partition, gpa);
	ASSERT(entry); /* core/partition.c has mapped it so */
	for (uint64_t i = 0; i < pages; i++)
		entry[i] &= ~rights;
	sealed[partition] = 1;
	flush(partition);
	return 1;
}

int seal_denies(uint16_t partition, uint64_t gpa, uint32_t rights)
{
	const struct config_map *m = own(partition, gpa, 1);

	return m && (m->rights & rights) == rights;
}

int seal_lift(uint16_t partition, uint64_t *at)
{
	const struct config_map *m = own(partition, *at, PAGE_SIZE);
	volatile uint64_t *entry;

	if (!sealed[partition])
		return 0;
	if (!m) { /* its end: own memory is one map, from 0 on */
		sealed[partition] = 0;
		flush(partition);
		return 0;
	}
	entry = entry_of(partition, *at);
	ASSERT(entry);
	for (uint32_t i = 0; i < LIFTED_AT_ONCE && *at < m->gpa + m->size; i++, *at += PAGE_SIZE)
		entry[i] |= m->rights;
	window_close();
	return 1;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Proof of the plan: each partition's EPT is built as the core will build it, at a made-up placement, and the
 * independent walker must find exactly what the configuration gives, no more. Its size is what the core must hold in
 * reserve.
 */
#include "mkconfig.h"
#include "../../ept/pagetable.h"
#include "../../ept/walk.h"

#include <inttypes.h>
#include <stdlib.h>

#define POOL_PHYS 0x100000ull /* where the tables themselves are made to stand: outside every memory */
#define FIRST_HPA GIB(16)
#define PHYS_BITS 46u
#define SMALL_SHIFT 12u
#define LARGE_SHIFT 21u

static const volatile uint64_t *read_table(void *context, uint64_t phys)
{
	const struct pt_pool *pool = context;
	uint64_t page = (phys - pool->phys) / PAGE_SIZE;

	if (phys < pool->phys || phys % PAGE_SIZE != 0 || page >= pool->used)
		return NULL;
	return pool->virt + page * PT_ENTRIES;
}

/*
 * The worst placement the loader's rule allows: each memory at an odd multiple of its alignment, so that no page is
 * larger than the alignment promises.
 */
static uint64_t *place(const struct plan *plan)
{
	uint64_t *hpa = allocate(plan->config.memory_count * sizeof *hpa);
	uint64_t next = FIRST_HPA;

	for (unsigned i = 0; i < plan->config.memory_count; i++) {
		const struct config_memory *m = &plan->memories[i];
		hpa[i] = (next + 2 * m->align - 1) / (2 * m->align) * (2 * m->align) + m->align;
		next = hpa[i] + m->size;
	}
	return hpa;
}

/* Enough for 4 KiB pages throughout, wherever the maps lie. */
static uint32_t pool_pages(const struct plan *plan, unsigned partition)
{
	const struct config_partition *p = &plan->partitions[partition];
	uint64_t pages = 1;

	for (unsigned i = 0; i < p->map_count; i++)
		pages += p->maps[i].size / LARGE_PAGE_SIZE + p->maps[i].size / GIB(1) + 6;
	for (unsigned i = 0; i < plan->config.device_count; i++)
		for (unsigned j = 0; j < CONFIG_BARS; j++) {
			const struct config_bar *b = &plan->devices[i].bars[j];
			pages += plan->devices[i].partition == partition ?
			                 b->size / LARGE_PAGE_SIZE + b->size / GIB(1) + 6 :
			                 0;
		}
	return (uint32_t)pages;
}

static void build_map(struct pt_pool *pool, const struct plan *plan, unsigned partition, const char *what,
                      unsigned number, struct walk_allowed *a, uint32_t max_shift)
{
	enum pt_result built = pt_map((a->rights & RIGHT_DEVICE) != 0 ? &pt_format_ept_device : &pt_format_ept, pool,
	                              a->in, a->out, a->size, a->rights & ~RIGHT_DEVICE, max_shift);

	if (built != PT_OK)
		fail(line_of("partitions/%u/name", partition),
		     "no page table can be built for %s %u of '%s' at 0x%" PRIx64 " (pagetable.h, result %d)", what,
		     number, plan->partitions[partition].name, a->in, (int)built);
}

static void prove_partition(struct plan *plan, unsigned partition, const uint64_t *hpa)
{
	const struct config_partition *p = &plan->partitions[partition];
	unsigned line = line_of("partitions/%u/name", partition);
	struct walk_allowed *allowed = allocate((p->map_count + DEVICE_SLOTS * CONFIG_BARS) * sizeof *allowed);
	struct pt_pool pool = { .phys = POOL_PHYS, .pages = pool_pages(plan, partition) };
	unsigned count = 0;
	struct walk_fault fault = { 0 };
	enum walk_result result;

	pool.virt = allocate(pool.pages * PAGE_SIZE);
	pt_init(&pool);
	for (unsigned i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		bool small = plan->config.itlb_multihit == ITLB_SMALL_PAGES && (m->rights & RIGHT_EXEC) != 0;
		small |= p->health != NULL && p->health->seals && plan->memories[m->memory].owner == partition;
		allowed[count] = (struct walk_allowed){
			.in = m->gpa, .out = hpa[m->memory] + m->offset, .size = m->size, .rights = m->rights
		};
		build_map(&pool, plan, partition, "map", i, &allowed[count++], small ? SMALL_SHIFT : LARGE_SHIFT);
	}
	for (unsigned i = 0; i < plan->config.device_count; i++)
		for (unsigned j = 0; plan->devices[i].partition == partition && j < CONFIG_BARS; j++) {
			const struct config_bar *b = &plan->devices[i].bars[j];
			if (b->size == 0 || b->io)
				continue;
			allowed[count] = (struct walk_allowed){ .in = b->gpa,
				                                .out = b->hpa,
				                                .size = b->size,
				                                .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_DEVICE };
			build_map(&pool, plan, partition, "BAR", j, &allowed[count++], LARGE_SHIFT);
		}
	result = walk_ept(pool.phys, read_table, &pool, allowed, count, PHYS_BITS, 1, &fault);
	if (result != WALK_OK)
		fail(line, "the page-table walker objects to '%s': %s at 0x%" PRIx64 ", entry 0x%" PRIx64 ", level %u",
		     p->name, walk_result_name(result), fault.in, fault.entry, fault.level);
	plan->extra[partition].ept_pages = pool.used;
	free(allowed);
	free(pool.virt);
}

/* What its devices reach: its memory, without what the core writes for it. In small pages, since a unit may know no others. */
static void prove_dma(struct plan *plan, unsigned partition, const uint64_t *hpa)
{
	const struct config_partition *p = &plan->partitions[partition];
	unsigned line = line_of("partitions/%u/name", partition), count = 0;
	struct walk_allowed *allowed = allocate(p->map_count * sizeof *allowed);
	struct pt_pool pool = { .phys = POOL_PHYS, .pages = pool_pages(plan, partition) };
	struct walk_fault fault = { 0 };
	enum walk_result result;

	pool.virt = allocate(pool.pages * PAGE_SIZE);
	pt_init(&pool);
	for (unsigned i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		if (plan->memories[m->memory].owner == CONFIG_CORE)
			continue;
		allowed[count] = (struct walk_allowed){ m->gpa, hpa[m->memory] + m->offset, m->size,
			                                m->rights & (RIGHT_READ | RIGHT_WRITE) };
		enum pt_result built = pt_map(&pt_format_vtd, &pool, m->gpa, allowed[count].out, m->size,
		                              allowed[count].rights, SMALL_SHIFT);
		if (built != PT_OK)
			fail(line,
			     "no DMA table can be built for map %u of '%s' at 0x%" PRIx64 " (pagetable.h, result %d)",
			     i, p->name, m->gpa, (int)built);
		count++;
	}
	result = walk_tables(WALK_VTD, pool.phys, read_table, &pool, allowed, count, PHYS_BITS, 1, &fault);
	if (result != WALK_OK)
		fail(line,
		     "the page-table walker objects to DMA of '%s': %s at 0x%" PRIx64 ", entry 0x%" PRIx64 ", level %u",
		     p->name, walk_result_name(result), fault.in, fault.entry, fault.level);
	plan->extra[partition].dma_pages = pool.used;
	free(allowed);
	free(pool.virt);
}

void prove(struct plan *plan)
{
	uint64_t *hpa = place(plan);

	for (unsigned i = 0; i < plan->config.partition_count; i++)
		prove_partition(plan, i, hpa);
	for (unsigned i = 0; i < plan->config.device_count; i++)
		if (plan->extra[plan->devices[i].partition].dma_pages == 0)
			prove_dma(plan, plan->devices[i].partition, hpa);
	free(hpa);
}

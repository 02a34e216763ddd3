// SPDX-License-Identifier: Apache-2.0
/* The core's address spaces, with the tables' final contents: the core changes two window PDEs in each, no more. */
#include "boot/loader.h"
#include "ept/pagetable.h"

#define PT_INPUT 0x0000ffffffffffffull /* the builder takes addresses without their sign extension */
#define UPPER_HALF_ENTRY 511u          /* of a PML4: where CORE_BASE and PERCPU_BASE are */
#define PD_PAGE 2u

static void map(struct pt_pool *pool, uint64_t in, uint64_t out, uint64_t size, uint32_t rights)
{
	enum pt_result result = pt_map(&pt_format_ia32e, pool, in & PT_INPUT, out, size, rights, 12);

	if (result != PT_OK)
		stop("core image: its memory plan does not fit its page tables (address 0x%lx, error %lu); rebuild the image",
		     (uint64_t)in, (uint64_t)result);
}

static void check_used(const struct pt_pool *pool)
{
	/* A CPU that sees none of the memories behind CORE_MEMORY_BASE has no table for them. */
	if (pool->used != pool->pages && !(CONFIG_CORE_MEMORIES && pool->used == CPU_TABLE_PAGES - 1))
		stop("core image: its memory plan needs %lu page tables instead of %lu; rebuild the image",
		     (uint64_t)pool->used, (uint64_t)pool->pages);
}

static struct pt_pool new_space(uint64_t at, uint32_t pages)
{
	struct pt_pool pool = { (uint64_t *)at, at, pages, 0 };

	pt_init(&pool);
	return pool;
}

/* The parts of this CPU in the memories that the core writes for partitions to read, and the memories of channels and doorbells that partitions
 * on it use. Last, for the order of tables. */
static void map_core_memories(struct pt_pool *pool, const struct handoff *h, uint32_t cpu)
{
	for (uint32_t i = 0; i < config.memory_count; i++) {
		const struct config_memory *m = &config.memories[i];
		uint64_t part = m->size / config.cpu_count;

		if (m->owner == CONFIG_CORE)
			map(pool, CORE_MEMORY_BASE + m->core_at, h->memory[i].hpa + cpu * part, part,
			    RIGHT_READ | RIGHT_WRITE);
		else if (m->core_cpus >> cpu & 1)
			map(pool, CORE_MEMORY_BASE + m->core_at, h->memory[i].hpa, m->size, m->core_rights);
	}
}

static uint64_t cpu_space(const struct core_header *core, const struct handoff *h, uint64_t tables, uint32_t cpu)
{
	struct pt_pool pool = new_space(tables, CPU_TABLE_PAGES);
	uint64_t run = h->core_hpa;
	uint64_t block = run + core->section[SECTION_PERCPU].start + (uint64_t)cpu * core->percpu_stride;

	/* Tables come into being in the order of handoff.h, since the sections are mapped first. */
	for (uint32_t i = 0; i < SECTION_COUNT; i++) {
		const struct core_section *s = &core->section[i];

		if (s->rights && s->size && (cpu == 0 || !(s->flags & SECTION_BOOT_CPU)))
			map(&pool, CORE_BASE + s->start, run + s->start, s->size, s->rights);
	}
	for (uint32_t i = 0; i < PERCPU_PIECES; i++) {
		const struct percpu_piece *p = &core->piece[i];

		if (p->size)
			map(&pool, PERCPU_BASE + p->va, block + p->offset, p->size, RIGHT_READ | RIGHT_WRITE);
	}
	map(&pool, PERCPU_BASE + core->window_pd_va, tables + PD_PAGE * PAGE_SIZE, PAGE_SIZE, RIGHT_READ | RIGHT_WRITE);
	if (CONFIG_CORE_MEMORIES)
		map_core_memories(&pool, h, cpu);
	check_used(&pool);
	return tables;
}

void build_spaces(const struct core_header *core, struct handoff *h)
{
	uint64_t tables = h->core_hpa + core->section[SECTION_TABLES].start;
	struct pt_pool transition = new_space(tables, TRANSITION_TABLE_PAGES);

	for (uint32_t cpu = 0; cpu < config.cpu_count; cpu++)
		h->cpu_cr3[cpu] = cpu_space(core, h,
		                            tables + (TRANSITION_TABLE_PAGES + cpu * CPU_TABLE_PAGES) * PAGE_SIZE, cpu);
	map(&transition, h->trampoline, h->trampoline, 2 * PAGE_SIZE, RIGHT_READ | RIGHT_EXEC);
	check_used(&transition);
	transition.virt[UPPER_HALF_ENTRY] = ((const uint64_t *)h->cpu_cr3[0])[UPPER_HALF_ENTRY];
	h->transition_cr3 = transition.phys;
}

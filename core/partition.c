// SPDX-License-Identifier: Apache-2.0
/* A partition's memory: its second-level tables, and its contents before the first entry. */
#include "audit.h"
#include "console.h"
#include "core.h"
#include "cpu.h"
#include "ept/pagetable.h"
#include "ept/walk.h"
#include "lib.h"
#include "panic.h"
#include "sha256.h"
#include "vmx/vmcs.h"
#include "vmx/capability.h"
#include "window.h"
#include "x86.h"

extern uint8_t core_start[];

static uint64_t ept_pages[CONFIG_EPT_PAGES][PT_ENTRIES] __attribute__((section(".ept"), aligned(4096)));
uint64_t ept_pointer[CONFIG_PARTITIONS];
#if CONFIG_SCHEDULED_CPUS
static uint64_t empty_table[PT_ENTRIES] __attribute__((section(".ept"), aligned(4096)));
uint64_t ept_pointer_empty;
#endif

uint64_t core_phys(const void *p)
{
	return handoff.core_hpa + ((uint64_t)p - (uint64_t)core_start);
}

static const volatile uint64_t *read_table(void *context, uint64_t phys)
{
	const struct pt_pool *pool = context;

	if (phys < pool->phys || phys >= pool->phys + (uint64_t)pool->used * PAGE_SIZE || phys & (PAGE_SIZE - 1))
		return 0;
	return pool->virt + (phys - pool->phys) / sizeof(uint64_t);
}

/* Largest page for a map: small for executable ones where the CPU has the iTLB multihit flaw and the config says so. */
static uint32_t max_shift(uint16_t partition, const struct config_map *map)
{
	if (CONFIG_SEALS && config.partitions[partition].health->seals &&
	    config.memories[map->memory].owner == partition)
		return 12; /* core/seal.c */
	if (map->rights & RIGHT_EXEC && vmx_itlb_multihit() && config.itlb_multihit == ITLB_SMALL_PAGES)
		return 12;
	return vmx_ept_1g() ? 30 : 21;
}

/* The registers of its devices; returns how many ranges that are. The configuration is checked: they are CONFIG_BARS_MAX at most. */
static uint32_t map_bars(uint16_t index, struct pt_pool *pool, struct walk_allowed *allowed)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < config.device_count * CONFIG_BARS; i++) {
		const struct config_device *d = &config.devices[i / CONFIG_BARS];
		const struct config_bar *b = &d->bars[i % CONFIG_BARS];
		enum pt_result r;

		if (d->partition != index || !b->size || b->io)
			continue;
		r = pt_map(&pt_format_ept_device, pool, b->gpa, b->hpa, b->size, RIGHT_READ | RIGHT_WRITE, 21);
		if (r != PT_OK)
			panic("EPT of %s, BAR at %lx: error %u", config.partitions[index].name, b->hpa, (uint32_t)r);
		allowed[count++] = (struct walk_allowed){ b->gpa, b->hpa, b->size,
			                                  RIGHT_READ | RIGHT_WRITE | RIGHT_DEVICE };
	}
	return count;
}

/* The tables of one partition, from `pool`, and the proof that they reach what the configuration says and nothing else. */
static void build_one(uint16_t index, struct pt_pool *pool)
{
	const struct config_partition *p = &config.partitions[index];
	struct walk_allowed allowed[CONFIG_MAPS_MAX + CONFIG_BARS_MAX];
	uint32_t count = p->map_count;
	struct walk_fault fault;
	enum walk_result result;

	pt_init(pool);
	for (uint32_t i = 0; i < p->map_count; i++) {
		const struct config_map *map = &p->maps[i];
		const uint64_t hpa = handoff.memory[map->memory].hpa + map->offset;
		const enum pt_result r = pt_map(&pt_format_ept, pool, map->gpa, hpa, map->size, map->rights,
		                                max_shift(index, map));

		if (r != PT_OK)
			panic("EPT of %s, map %u: error %u", p->name, i, (uint32_t)r);
		allowed[i] = (struct walk_allowed){ map->gpa, hpa, map->size, map->rights };
	}
	if (CONFIG_DEVICES)
		count += map_bars(index, pool, allowed + count);
	result = walk_ept(pool->phys, read_table, pool, allowed, count, cpuid(0x80000008, 0).r[0] & 0xff, vmx_ept_1g(),
	                  &fault);
	if (result != WALK_OK)
		panic("EPT of %s: %s at guest-physical %lx, entry %lx, level %u", p->name, walk_result_name(result),
		      fault.in, fault.entry, fault.level);
}

/* Two memories, or a memory and the core, may not share a byte: what the walker's proof rests on. */
void memory_check_placement(void)
{
	for (uint32_t i = 0; i < CONFIG_MEMORIES; i++) {
		const struct handoff_memory *a = &handoff.memory[i];

		if (a->size != config.memories[i].size || a->hpa & (config.memories[i].align - 1))
			panic("memory %s: the loader's placement is wrong", config.memories[i].name);
		if (a->hpa < handoff.core_hpa + handoff.core_size && handoff.core_hpa < a->hpa + a->size)
			panic("memory %s overlaps the core", config.memories[i].name);
		if (!mtrr_is_write_back(a->hpa, a->size))
			refuse("memory %s at %lx is not write-back by the MTRRs: give it another place (base:)",
			       config.memories[i].name, a->hpa);
		for (uint32_t j = 0; j < i; j++)
			if (a->hpa < handoff.memory[j].hpa + handoff.memory[j].size &&
			    handoff.memory[j].hpa < a->hpa + a->size)
				panic("memories %s and %s overlap", config.memories[i].name, config.memories[j].name);
	}
}

void ept_build(void)
{
	uint32_t used = 0;

	memory_check_placement();
#if CONFIG_SCHEDULED_CPUS
	ept_pointer_empty = core_phys(empty_table) | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4;
#endif
	for (uint16_t i = 0; i < CONFIG_PARTITIONS; i++) {
		struct pt_pool pool = { ept_pages[used], core_phys(ept_pages[used]), CONFIG_EPT_PAGES - used, 0 };

		build_one(i, &pool);
		ept_pointer[i] = pool.phys | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4;
		used += pool.used;
	}
	print("second-level tables: %u pages, proved: no frame of the core or of a foreign partition is reachable\n",
	      used);
}

uint64_t partition_translate(uint16_t partition, uint64_t gpa, uint64_t *bytes)
{
	const struct config_partition *p = &config.partitions[partition];

	for (uint32_t i = 0; i < p->map_count; i++) {
		const struct config_map *map = &p->maps[i];

		if (gpa - map->gpa < map->size) {
			*bytes = map->size - (gpa - map->gpa);
			return handoff.memory[map->memory].hpa + map->offset + (gpa - map->gpa);
		}
	}
	*bytes = 0;
	return 0;
}

/* Bytes from `hpa` to the end of its window page, at most `size`. */
static uint64_t step(uint64_t hpa, uint64_t size)
{
	const uint64_t room = WINDOW_SLOT_SIZE - (hpa & (WINDOW_SLOT_SIZE - 1));

	return size < room ? size : room;
}

static int digest_matches(const struct config_payload *payload, const struct handoff_memory *file)
{
	struct sha256 state;
	uint8_t digest[SHA256_SIZE];

	sha256_init(&state);
	for (uint64_t done = 0, n; done < payload->size; done += n) {
		n = step(file->hpa + done, payload->size - done);
		sha256_update(&state, window(0, file->hpa + done), n);
	}
	sha256_final(&state, digest);
	return !memcmp(digest, payload->sha256, sizeof digest);
}

static uint64_t scrub(uint16_t partition)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < CONFIG_MEMORIES; i++) {
		const struct handoff_memory *m = &handoff.memory[i];

		if (config.memories[i].owner != partition || audit_keeps(i))
			continue;
		for (uint64_t done = 0, n; done < m->size; done += n) {
			n = step(m->hpa + done, m->size - done);
			memset(window(0, m->hpa + done), 0, n);
		}
		total += m->size;
	}
	return total;
}

void memory_scrub_shared(void)
{
	scrub(CONFIG_SHARED);
	if (CONFIG_CORE_MEMORIES) {
		scrub(CONFIG_CORE);
		scrub(CONFIG_CHANNEL);
	}
	window_close();
}

static void copy_segment(uint16_t partition, const struct config_segment *segment, uint64_t file)
{
	for (uint64_t done = 0, n; done < segment->size; done += n) {
		uint64_t bytes;
		const uint64_t from = file + segment->offset + done;
		const uint64_t to = partition_translate(partition, segment->gpa + done, &bytes);

		ASSERT(bytes); /* config_validate() saw to it */
		n = step(from, step(to, segment->size - done < bytes ? segment->size - done : bytes));
		memcpy(window(1, to), window(0, from), n);
	}
}

int partition_load(uint16_t partition)
{
	const struct config_partition *p = &config.partitions[partition];
	const struct handoff_memory *file = &handoff.payload[partition];
	const uint64_t t0 = rdtsc();
	const int matches = digest_matches(&p->payload, file);
	const uint64_t t1 = rdtsc(), scrubbed = scrub(partition), t2 = rdtsc();

	for (uint32_t i = 0; matches && i < p->segment_count; i++)
		copy_segment(partition, &p->segments[i], file->hpa);
	window_close();
	if (!matches)
		audit(AUDIT_SECURITY, AUDIT_DIGEST, partition, 0, p->payload.size);
	print("%s: payload %lu bytes, digest %s in %lu ticks; scrubbed %lu bytes in %lu ticks; copied in %lu ticks\n",
	      p->name, p->payload.size, matches ? "right" : "WRONG", t1 - t0, scrubbed, t2 - t1, rdtsc() - t2);
	return matches;
}

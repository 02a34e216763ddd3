// SPDX-License-Identifier: Apache-2.0
#include "survivor.h"

#include "console.h"
#include "core.h"
#include "cpu.h"
#include "lib.h"
#include "window.h"

#if CONFIG_AUDIT_ENTRIES
#define SHOWN_RECORDS 8u /* of each CPU */

int survivor_holds(const struct audit_ring *ring, uint64_t n, uint32_t entries)
{
	const struct audit_record *r = &ring->record[n & (entries - 1)];

	return r->sequence == (uint32_t)(n + 1) && r->check == audit_check(r, AUDIT_WORDS(struct audit_record));
}

enum survivor survivor_examine(const struct audit_ring *ring, const struct audit_header *want)
{
	const struct audit_header *have = &ring->header;

	if (have->magic != AUDIT_MAGIC)
		return SURVIVOR_NONE;
	if (have->check != audit_check(have, AUDIT_WORDS(struct audit_header)))
		return SURVIVOR_DAMAGED;
	if (have->version != want->version || have->cpu != want->cpu || have->cpus != want->cpus ||
	    have->entries != want->entries || have->stride != want->stride || have->identity != want->identity)
		return SURVIVOR_FOREIGN;
	if (have->generation == UINT32_MAX || ring->head - 1 >= INT64_MAX ||
	    !survivor_holds(ring, ring->head - 1, want->entries))
		return SURVIVOR_DAMAGED;
	return SURVIVOR_WHOLE;
}

const struct audit_panic *survivor_panic(const struct audit_ring *ring, char text[AUDIT_TEXT])
{
	const struct audit_panic *p = &ring->panic;

	if (p->generation != ring->header.generation || p->check != audit_check(p, AUDIT_WORDS(struct audit_panic)))
		return 0;
	for (uint32_t i = 0; i < AUDIT_TEXT; i++)
		text[i] = (char)(p->text[i] >= ' ' && p->text[i] <= '~' ? p->text[i] : p->text[i] ? '?' : 0);
	text[AUDIT_TEXT - 1] = 0;
	return p;
}

static void show_panic(const struct audit_panic *p, const char *text, uint32_t cpu)
{
	print("last boot: PANIC on CPU %u: %s\n", cpu, text);
	print("last boot: at %lx, stack %lx, cr2 %lx, cr3 %lx, exception %x, error %lx\n", p->rip, p->rsp, p->cr2,
	      p->cr3, p->vector, p->error);
	print("last boot: exit reason %lx, qualification %lx, guest at %lx\n", p->exit_reason, p->exit_qualification,
	      p->guest_rip);
}

static void show_part(const struct audit_ring *ring, uint32_t cpu)
{
	char text[AUDIT_TEXT];
	const struct audit_panic *p = survivor_panic(ring, text);

	print("last boot: CPU %u: boot %u, %lu records, %lu kept out by limits, %s\n", cpu, ring->header.generation,
	      ring->head, ring->lost, p ? "ended by a panic" : "no panic");
	if (p)
		show_panic(p, text, cpu);
	for (uint64_t n = ring->head > SHOWN_RECORDS ? ring->head - SHOWN_RECORDS : 0; n < ring->head; n++) {
		const struct audit_record *r = &ring->record[n & (CONFIG_AUDIT_ENTRIES - 1)];

		if (survivor_holds(ring, n, CONFIG_AUDIT_ENTRIES))
			print("last boot: CPU %u: %lu: tick %lu, %s: %s, %x, %lx\n", cpu, n, r->tsc,
			      r->partition < CONFIG_PARTITIONS ? config.partitions[r->partition].name : "core",
			      audit_event_name(r->event), r->a, r->b);
	}
}

void audit_boot(void)
{
	static const char *const what[] = { 0, "damaged", "of another configuration" };
	const uint64_t at = handoff.memory[CONFIG_AUDIT_MEMORY].hpa;
	struct audit_header header = { .magic = AUDIT_MAGIC,
		                       .version = AUDIT_VERSION,
		                       .entries = CONFIG_AUDIT_ENTRIES,
		                       .cpus = CONFIG_CPUS,
		                       .stride = (uint32_t)(config.memories[CONFIG_AUDIT_MEMORY].size / CONFIG_CPUS),
		                       .identity = CONFIG_AUDIT_IDENTITY,
		                       .tsc_khz = tsc_khz };
	enum survivor found[CONFIG_CPUS] = { 0 }; /* of one CPU, gcc sees it used before */

	for (header.cpu = 0; header.cpu < CONFIG_CPUS; header.cpu++) {
		const struct audit_ring *ring = (const void *)window_pair(at + header.cpu * header.stride);

		found[header.cpu] = survivor_examine(ring, &header);
		if (found[header.cpu] == SURVIVOR_WHOLE) {
			show_part(ring, header.cpu);
			if (ring->header.generation > header.generation)
				header.generation = ring->header.generation;
		} else if (found[header.cpu] != SURVIVOR_NONE) {
			print("last boot: the audit of CPU %u is %s: dropped\n", header.cpu, what[found[header.cpu]]);
		}
	}
	header.generation++;
	for (header.cpu = 0; header.cpu < CONFIG_CPUS; header.cpu++) {
		struct audit_ring *ring = (void *)window_pair(at + header.cpu * header.stride);

		if (found[header.cpu] != SURVIVOR_WHOLE)
			memset(ring, 0, header.stride);
		ring->header = header;
		ring->header.check = audit_check(&header, AUDIT_WORDS(struct audit_header));
	}
}
#endif

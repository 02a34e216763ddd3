// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the audit (hypercall/audit.h) where it is mapped: for kit applications and Linux programs. The writers go on meanwhile, and
 * what they overwrite before it is read is told as missed. Nothing here is written to that memory, which would not go.
 */
#ifndef GUEST_KIT_AUDITREAD_H
#define GUEST_KIT_AUDITREAD_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall/audit.h"

#define AUDITREAD_CPUS 64u

/* Where the reader stands in each CPU's part. */
struct auditread {
	const volatile uint8_t *memory;
	uint32_t cpus, stride, entries;
	uint64_t next[AUDITREAD_CPUS]; /* number of the record to be read next */
};

struct auditread_record {
	struct audit_record record;
	uint64_t number, missed; /* so many before it were overwritten unread */
	uint32_t cpu;
};

static inline const volatile struct audit_ring *auditread_ring(const struct auditread *r, uint32_t cpu)
{
	return (const volatile struct audit_ring *)(r->memory + (size_t)cpu * r->stride);
}

static inline int auditread_header_whole(const volatile struct audit_header *h)
{
	return h->magic == AUDIT_MAGIC && h->version == AUDIT_VERSION && h->entries >= AUDIT_ENTRIES_MIN &&
	       h->entries <= AUDIT_ENTRIES_MAX && (h->entries & (h->entries - 1)) == 0 && h->cpus >= 1 &&
	       h->cpus <= AUDITREAD_CPUS && h->stride >= AUDIT_HEADER + h->entries * sizeof(struct audit_record) &&
	       h->stride <= 2u << 20 && h->check == audit_check(h, AUDIT_WORDS(struct audit_header));
}

/* Begin with the oldest record that is still there; `size`: bytes that are mapped. Returns 0 if that is no audit, or not all of one. */
static inline int auditread_begin(struct auditread *r, const volatile void *memory, uint64_t size)
{
	const volatile struct audit_header *h = (const volatile struct audit_header *)memory;

	*r = (struct auditread){ .memory = (const volatile uint8_t *)memory };
	if (size < AUDIT_HEADER || !auditread_header_whole(h) || h->cpu != 0 || (uint64_t)h->cpus * h->stride > size)
		return 0;
	r->cpus = h->cpus;
	r->stride = h->stride;
	r->entries = h->entries;
	for (uint32_t cpu = 1; cpu < r->cpus; cpu++) {
		h = &auditread_ring(r, cpu)->header;
		if (!auditread_header_whole(h) || h->cpu != cpu || h->entries != r->entries || h->stride != r->stride)
			return 0;
	}
	return 1;
}

/* The next record of one CPU, or 0 if there is none yet. Sequence and check find one that is overwritten while it is copied. */
static inline int auditread_peek(struct auditread *r, uint32_t cpu, struct auditread_record *to)
{
	const volatile struct audit_ring *ring = auditread_ring(r, cpu);

	*to = (struct auditread_record){ .cpu = cpu, .number = r->next[cpu] };
	for (uint32_t tries = 0; tries < 2 * r->entries; tries++) {
		const uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

		if (to->number >= head)
			return 0;
		if (head - to->number > r->entries) {
			to->missed += head - r->entries - to->number;
			to->number = head - r->entries;
		}
		to->record = ring->record[to->number & (r->entries - 1)];
		if (to->record.sequence == (uint32_t)(to->number + 1) &&
		    to->record.check == audit_check(&to->record, AUDIT_WORDS(struct audit_record)))
			return 1;
		to->missed++;
		to->number++;
	}
	return 0;
}

/* The oldest record by its time that was not read yet, of all CPUs; 0 if there is none. */
static inline int auditread_next(struct auditread *r, struct auditread_record *to)
{
	struct auditread_record candidate;
	int found = 0;

	for (uint32_t cpu = 0; cpu < r->cpus; cpu++)
		if (auditread_peek(r, cpu, &candidate) && (!found || candidate.record.tsc < to->record.tsc)) {
			*to = candidate;
			found = 1;
		}
	if (found)
		r->next[to->cpu] = to->number + 1;
	return found;
}

/* What limits have kept out on that CPU, since the memory was new. */
static inline uint64_t auditread_lost(const struct auditread *r, uint32_t cpu)
{
	return auditread_ring(r, cpu)->lost;
}

static inline const char *audit_class_name(uint8_t class)
{
	static const char *const names[] = { "unknown", "security", "safety", "user" };

	return names[class <= AUDIT_USER ? class : 0];
}

/* One line a record, for people and for tools/audit: arguments of a printf in this order. */
#define AUDITREAD_FORMAT "AUDIT %u %llu %llu %u %u %u %x %llx %s: %s"
#define AUDITREAD_ARGUMENTS(r)                                                                              \
	(r)->cpu, (unsigned long long)(r)->number, (unsigned long long)(r)->record.tsc, (r)->record.class,  \
		(r)->record.event, (r)->record.partition, (r)->record.a, (unsigned long long)(r)->record.b, \
		audit_class_name((r)->record.class), audit_event_name((r)->record.event)

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * What the core records of security and safety in the memory `audit` (hypercall/audit.h), each CPU in its own part. Root mode, for
 * the CPU itself. Where the configuration asks for no audit, there is no instruction of it: all of these are nothing then.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#if CONFIG_AUDIT_ENTRIES
#include <stdarg.h>
#include <stdint.h>

#include "hypercall/audit.h"

struct exception_frame;
struct sched;

/* Of one partition on this CPU: what it may still cause to be recorded until `until`, and what was kept out. */
struct audit_limit {
	uint64_t until, classes;
	uint32_t left, lost;
};

/* This CPU's own notes beside the ring. The core reads back nothing from the ring that an address depends on. */
struct audit_writer {
	struct audit_ring *ring; /* 0: not there yet */
	uint64_t head, mask;     /* as in the ring; entries - 1 */
	uint64_t missed;         /* windows cut and lost that are recorded */
	uint32_t schedule;
	struct audit_limit limit[CONFIG_PARTITIONS][2]; /* the second: of AUDIT_NOTE */
};

/* Pure: go on with a ring whose header is right; add a record. */
void audit_attach(struct audit_writer *a, struct audit_ring *ring, uint32_t entries);
void audit_put(struct audit_writer *a, uint64_t tsc, struct audit_record r);

/*
 * Pure: may the partition cause a record about error class `class` now? So many as `rate` in each `period` ticks; if not, that is counted,
 * and 0. Where a period begins anew, *told and *classes are what was kept out in the last one, to be recorded; else *told is 0.
 */
int audit_allow(struct audit_limit *l, uint64_t tsc, uint64_t period, uint32_t rate, uint32_t class, uint32_t *told,
                uint64_t *classes);

/*
 * Record an event. `partition`: index, or AUDIT_CORE; `a`, `b`: as AUDIT_EVENTS says. Events from AUDIT_LIMITED on count against the
 * partition's limit: returns 0 if one is kept out, else 1. Any CPU in root mode, any time; nothing before audit_init(). Bounded, no lock.
 */
int audit(enum audit_class class, enum audit_event event, uint16_t partition, uint32_t a, uint64_t b);

/* Not scrubbed with the other memories. */
#define audit_keeps(memory) ((memory) == CONFIG_AUDIT_MEMORY)

/* This CPU begins to record: before its first entry; audit_boot() (core/survivor.h) was here. */
void audit_init(void);

/* Right behind sched_decide(): a schedule, or a window that has come too late. */
void audit_decision(const struct sched *s);

/* The core ends on this CPU, by that message and, unless 0, that exception: kept for the next boot. core/panic.c only. */
void audit_panic(const char *format, va_list arguments, const struct exception_frame *f);
void audit_exception(const struct exception_frame *f);
#else
static inline int audit_nothing(void)
{
	return 0;
}
#define audit(class, event, partition, a, b) audit_nothing()
#define audit_init() ((void)0)
#define audit_decision(s) ((void)0)
#define audit_panic(format, arguments, f) ((void)0)
#define audit_exception(f) ((void)0)
#define audit_keeps(memory) 0
#endif

#endif

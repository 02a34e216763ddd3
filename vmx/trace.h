// SPDX-License-Identifier: Apache-2.0
/*
 * What a CPU records of itself in its part of the memory `trace` (hypercall/trace.h). Root mode, for the CPU itself. Where the
 * configuration asks for no trace, there is no instruction of it: all of these are empty then.
 */
#ifndef VMX_TRACE_H
#define VMX_TRACE_H

#include <stdint.h>

#include "hypercall/trace.h"

struct sched;
struct vcpu;

/* This CPU's own notes beside the ring. The core reads back nothing from the ring that an address depends on. */
struct trace {
	struct trace_ring *ring; /* 0: not there yet */
	const struct vcpu *running;
	uint64_t head;   /* as in the ring */
	uint64_t mask;   /* entries - 1 */
	uint64_t plan;   /* of the window that begins with the next entry; 0: none does */
	uint64_t missed; /* windows cut and lost that are recorded */
	uint16_t owner;  /* of that window, as in a record */
	uint8_t window;  /* its number in the frame */
	uint32_t schedule;
};

/* Pure: begin a ring of `entries` records, in memory that is zero; add a record; count an exit, a window that began so late. */
void trace_begin(struct trace *t, struct trace_ring *ring, uint32_t cpu, uint32_t entries, uint64_t guard);
void trace_put(struct trace *t, uint64_t tsc, enum trace_type type, uint32_t detail, uint16_t who, uint64_t argument);
void trace_count_exit(struct trace *t, uint32_t reason, uint32_t ticks);
void trace_count_late(struct trace_late *l, uint64_t late);

#define TRACE_NO_EXIT 0 /* instead of the vCPU that has left its guest */

#if CONFIG_TRACE_ENTRIES
/* Begin. `epoch`: TSC at which frames begin; 0 on a dedicated CPU. Before the CPU's first entry. */
void trace_init(uint64_t epoch);

/* The last thing before an entry: `exited` had left its guest for basic exit reason `reason`, and this_cpu->running goes on. */
void trace_entry(const struct vcpu *exited, uint32_t reason);

/* The same on a dedicated CPU; nothing on a scheduled one, where others may still come between. */
void trace_dedicated_entry(const struct vcpu *vcpu, uint32_t reason);

/* Right behind sched_decide(). */
void trace_decision(const struct sched *s);

void trace_interrupt(const struct vcpu *vcpu, uint32_t vector);
void trace_wake(const struct vcpu *vcpu);

/* `deadline`: TSC at which its timer wakes it, or SCHED_NEVER. */
void trace_wait(const struct vcpu *vcpu, uint64_t deadline);
#else
/* clang-format off */
static inline void trace_init(uint64_t epoch) { (void)epoch; }
static inline void trace_entry(const struct vcpu *exited, uint32_t reason) { (void)exited; (void)reason; }
static inline void trace_dedicated_entry(const struct vcpu *vcpu, uint32_t reason) { (void)vcpu; (void)reason; }
static inline void trace_decision(const struct sched *s) { (void)s; }
static inline void trace_interrupt(const struct vcpu *vcpu, uint32_t vector) { (void)vcpu; (void)vector; }
static inline void trace_wake(const struct vcpu *vcpu) { (void)vcpu; }
static inline void trace_wait(const struct vcpu *vcpu, uint64_t deadline) { (void)vcpu; (void)deadline; }
/* clang-format on */
#endif

#endif

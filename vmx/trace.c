// SPDX-License-Identifier: Apache-2.0
/* The trace's writer: single, so without any lock; a reader sees by `head` what it has lost. */
#include "trace.h"

#include "core/core.h"
#include "core/cpu.h"
#include "core/panic.h"
#include "core/smi.h"
#include "core/x86.h"
#include "sched/sched.h"
#include "vmcs.h"

/* ---- the ring: pure ---- */

void trace_begin(struct trace *t, struct trace_ring *ring, uint32_t cpu, uint32_t entries, uint64_t guard)
{
	ring->version = TRACE_VERSION;
	ring->cpu = cpu;
	ring->entries = entries;
	ring->guard = guard;
	ring->late.min = UINT64_MAX;
	while (guard >> ring->late.shift >= TRACE_BUCKETS * 3 / 4)
		ring->late.shift++;
	*t = (struct trace){ .ring = ring, .mask = entries - 1 };
	__atomic_store_n(&ring->magic, TRACE_MAGIC, __ATOMIC_RELEASE);
}

void trace_put(struct trace *t, uint64_t tsc, enum trace_type type, uint32_t detail, uint16_t who, uint64_t argument)
{
	t->ring->record[t->head & t->mask] = (struct trace_record){
		.tsc = tsc,
		.type = (uint8_t)type,
		.detail = (uint8_t)(detail < UINT8_MAX ? detail : UINT8_MAX),
		.who = who,
		.argument = (uint32_t)(argument < UINT32_MAX ? argument : UINT32_MAX),
	};
	__atomic_store_n(&t->ring->head, ++t->head, __ATOMIC_RELEASE);
}

void trace_count_exit(struct trace *t, uint32_t reason, uint32_t ticks)
{
	struct trace_reason *r = &t->ring->reason[reason < TRACE_REASONS ? reason : TRACE_REASONS - 1];

	r->count++;
	r->ticks += ticks;
	r->max = ticks > r->max ? ticks : r->max;
}

void trace_count_late(struct trace_late *l, uint64_t late)
{
	const uint64_t n = late >> l->shift;

	l->windows++;
	l->sum += late;
	l->min = late < l->min ? late : l->min;
	l->max = late > l->max ? late : l->max;
	l->bucket[n < TRACE_BUCKETS ? n : TRACE_BUCKETS - 1]++;
}

#if CONFIG_TRACE_ENTRIES
/* ---- what this CPU writes ---- */

static uint16_t who(const struct vcpu *vcpu)
{
	/* The idle vCPU is nobody's. */
	return (uint16_t)(vcpu->partition->vcpu_count ? TRACE_WHO(vcpu->partition_index, vcpu->index) : TRACE_NOBODY);
}

static void put(enum trace_type type, uint32_t detail, const struct vcpu *vcpu, uint64_t argument)
{
	trace_put(&this_cpu->trace, rdtsc(), type, detail, who(vcpu), argument);
}

void trace_init(uint64_t epoch)
{
	const struct config_memory *m = &config.memories[CONFIG_TRACE_MEMORY];
	const uint64_t part = m->size / CONFIG_CPUS;
	struct trace_ring *ring = (struct trace_ring *)(CORE_MEMORY_BASE + m->core_at);

	ASSERT(m->owner == CONFIG_CORE && part >= TRACE_HEADER + CONFIG_TRACE_ENTRIES * sizeof(struct trace_record));
	ring->stride = (uint32_t)part;
	ring->shared = epoch != 0;
	ring->tsc_khz = tsc_khz;
	ring->epoch = epoch;
	trace_begin(&this_cpu->trace, ring, this_cpu->index, CONFIG_TRACE_ENTRIES, config.guard * tsc_khz / 1000);
}

void trace_entry(const struct vcpu *exited, uint32_t reason)
{
	struct trace *t = &this_cpu->trace;
	const uint64_t now = rdtsc();

	if (exited) {
		const uint32_t ticks = (uint32_t)now - exited->start;

		trace_put(t, now, TRACE_EXIT, reason & EXIT_REASON_BASIC, who(exited), ticks);
		trace_count_exit(t, reason & EXIT_REASON_BASIC, ticks);
	}
	if (t->plan) {
		/* The clock of decisions is ahead by a step of the preemption timer: vmx/scheduled.c. */
		const uint64_t late = now > t->plan ? now - t->plan : 0;

		trace_put(t, now, TRACE_WINDOW, t->window, t->owner, late);
		trace_count_late(&t->ring->late, late);
		t->plan = 0;
	}
	if (this_cpu->running != t->running) {
		t->running = this_cpu->running;
		trace_put(t, now, TRACE_SWITCH, 0, who(t->running), 0);
	}
}

void trace_dedicated_entry(const struct vcpu *vcpu, uint32_t reason)
{
	if (!cpu_is_scheduled(this_cpu->index))
		trace_entry(vcpu, reason);
}

void trace_decision(const struct sched *s)
{
	struct trace *t = &this_cpu->trace;
	const uint64_t missed = s->windows_cut + s->windows_lost;

	if (missed != t->missed) {
		put(TRACE_CUT, (uint32_t)(missed - t->missed), this_cpu->running, smi_count());
		t->missed = missed;
	}
	if (s->schedule != t->schedule) {
		put(TRACE_SCHEDULE, s->schedule, this_cpu->running, t->schedule);
		t->ring->schedule = t->schedule = s->schedule;
	}
	if (!(s->began & SCHED_WINDOW))
		return;
	t->plan = s->since - s->late;
	t->window = (uint8_t)(s->next - s->frames[s->schedule].windows - 1);
	t->owner = who(&this_cpu->vcpu[s->first]);
	t->ring->idle = s->idle.used;
	t->ring->windows_cut = s->windows_cut;
	t->ring->windows_lost = s->windows_lost;
	t->ring->overrun_max = s->overrun_max;
}

void trace_interrupt(const struct vcpu *vcpu, uint32_t vector)
{
	put(TRACE_INTERRUPT, vector, vcpu, 0);
}

void trace_wake(const struct vcpu *vcpu)
{
	put(TRACE_WAKE, 0, vcpu, 0);
}

void trace_wait(const struct vcpu *vcpu, uint64_t deadline)
{
	const uint64_t now = rdtsc();

	put(TRACE_WAIT, 0, vcpu, deadline > now ? deadline - now : 0);
}
#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Validation of CPUs and their time: see validate.h. Who owns which CPU; on scheduled ones, that the windows fit with
 * their guards, that each vCPU can have what its budget promises, and each partition the rate that it asks for.
 * The loops fill in fault->schedule and fault->cpu as they go.
 */
#include "validate.h"

#include <stdbool.h>

#ifndef CONFIG_CPUS
#define CONFIG_VCPUS_PER_CPU CONFIG_MAX_SLOTS
#define CONFIG_WINDOWS_MAX CONFIG_MAX_WINDOWS
#endif

#define APIC_ID_LAST 254u /* 255 is the xAPIC broadcast */

static enum config_rule broken(struct config_fault *fault, enum config_rule rule, unsigned partition, unsigned index,
                               unsigned other, uint64_t need, uint64_t have)
{
	fault->rule = rule;
	fault->partition = (uint16_t)partition;
	fault->index = (uint16_t)index;
	fault->other = (uint16_t)other;
	fault->need = need;
	fault->have = have;
	return rule;
}

static const struct config_frame *frame_of(const struct config *c, unsigned schedule, unsigned cpu)
{
	return &c->schedules[schedule].frames[cpu];
}

static const struct config_vcpu *vcpu_of(const struct config *c, const struct config_slot *slot)
{
	return &c->partitions[slot->partition].vcpus[slot->vcpu];
}

/* Both directions agree: each vCPU's slot names it, and there are no more slots than vCPUs. */
static enum config_rule check_owners(const struct config *c, struct config_fault *fault)
{
	unsigned slots = 0, vcpus = 0;

	for (unsigned i = 0; i < c->cpu_count; i++) {
		const struct config_cpu *cpu = &c->cpus[i];
		if (cpu->scheduled > 1 || cpu->slot_count > (cpu->scheduled ? CONFIG_VCPUS_PER_CPU : 1u))
			return broken(fault, RULE_CPU_OWNER, CONFIG_NONE, CONFIG_NONE, i, 0, 0);
		slots += cpu->slot_count;
	}
	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &c->partitions[i];
		vcpus += p->vcpu_count;
		for (unsigned j = 0; j < p->vcpu_count; j++) {
			const struct config_vcpu *v = &p->vcpus[j];
			if (v->cpu >= c->cpu_count || v->slot >= c->cpus[v->cpu].slot_count ||
			    c->cpus[v->cpu].slots[v->slot].partition != i || c->cpus[v->cpu].slots[v->slot].vcpu != j)
				return broken(fault, RULE_CPU_OWNER, i, j, v->cpu, 0, 0);
			if (v->apic_id > APIC_ID_LAST)
				return broken(fault, RULE_APIC_ID, i, j, CONFIG_NONE, 0, 0);
			for (unsigned k = 0; k < j; k++)
				if (p->vcpus[k].apic_id == v->apic_id)
					return broken(fault, RULE_APIC_ID, i, j, k, 0, 0);
		}
	}
	if (slots != vcpus)
		return broken(fault, RULE_CPU_OWNER, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 0, 0);
	return RULE_OK;
}

/* Partitions stand together, and in each the highest priority first: the scheduler rests on it. */
static enum config_rule check_order(const struct config *c, unsigned cpu, struct config_fault *fault)
{
	for (unsigned i = 1; i < c->cpus[cpu].slot_count; i++) {
		const struct config_slot *a = &c->cpus[cpu].slots[i - 1], *b = a + 1;
		unsigned before = vcpu_of(c, a)->priority, after = vcpu_of(c, b)->priority;
		if (b->partition < a->partition ||
		    (b->partition == a->partition && (after < before || (after == before && b->vcpu < a->vcpu))))
			return broken(fault, RULE_SLOT, b->partition, b->vcpu, CONFIG_NONE, 0, 0);
	}
	return RULE_OK;
}

static bool period_valid(uint32_t us)
{
	return us >= CONFIG_FRAME_MIN_US && us <= CONFIG_FRAME_MAX_US;
}

static bool fits(uint32_t period, uint32_t frame)
{
	return frame % period == 0 || period % frame == 0;
}

static enum config_rule check_frame(const struct config *c, unsigned first, struct config_fault *at)
{
	const struct config_frame *f = frame_of(c, at->schedule, at->cpu);
	uint32_t length = frame_of(c, at->schedule, first)->length;

	if ((f->length != 0) != c->cpus[at->cpu].scheduled || (f->length == 0 && f->window_count != 0))
		return broken(at, RULE_SCHEDULE, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 0, 0);
	if (f->length == 0)
		return RULE_OK;
	if (!period_valid(f->length))
		return broken(at, RULE_FRAME, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 0, f->length);
	if (f->length != length)
		return broken(at, RULE_FRAME_DIFFERS, CONFIG_NONE, CONFIG_NONE, first, length, f->length);
	if (f->window_count > CONFIG_WINDOWS_MAX)
		return broken(at, RULE_FRAME, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, f->window_count,
		              CONFIG_WINDOWS_MAX);
	return RULE_OK;
}

static bool lives_on(const struct config_cpu *cpu, unsigned partition)
{
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].partition == partition)
			return true;
	return false;
}

static enum config_rule check_windows(const struct config *c, struct config_fault *at)
{
	const struct config_frame *f = frame_of(c, at->schedule, at->cpu);
	uint64_t last_end = 0;

	for (unsigned i = 0; i < f->window_count; i++) {
		const struct config_window *w = &f->windows[i];
		uint64_t end = (uint64_t)w->start + w->length;
		if (w->partition >= c->partition_count || !lives_on(&c->cpus[at->cpu], w->partition))
			return broken(at, RULE_WINDOW_OWNER,
			              w->partition < c->partition_count ? w->partition : CONFIG_NONE, i, CONFIG_NONE, 0,
			              0);
		if (w->length < c->guard)
			return broken(at, RULE_WINDOW, w->partition, i, CONFIG_NONE, c->guard, w->length);
		if (end + c->guard > f->length)
			return broken(at, RULE_WINDOW_FIT, w->partition, i, CONFIG_NONE, end + c->guard, f->length);
		if (i > 0 && w->start < last_end + c->guard)
			return broken(at, RULE_WINDOW_OVERLAP, w->partition, i, i - 1, c->guard,
			              w->start > last_end ? w->start - last_end : 0);
		last_end = end;
	}
	return RULE_OK;
}

static bool has_window(const struct config_frame *f, unsigned partition)
{
	for (unsigned i = 0; i < f->window_count; i++)
		if (f->windows[i].partition == partition)
			return true;
	return false;
}

/* What holds of a vCPU in whatever schedule. */
static enum config_rule check_vcpu(const struct config *c, unsigned partition, unsigned vcpu, struct config_fault *at)
{
	const struct config_vcpu *v = &c->partitions[partition].vcpus[vcpu];
	bool windows = false;

	at->cpu = v->cpu;
	if (!c->cpus[v->cpu].scheduled)
		return v->priority == 0 && v->background == 0 && v->early == 0 && v->budget == 0 && v->period == 0 ?
		               RULE_OK :
		               broken(at, RULE_DEDICATED, partition, vcpu, CONFIG_NONE, 0, 0);
	if (v->background > 1 || (v->budget != 0) != (v->period != 0) ||
	    (v->budget != 0 && (!period_valid(v->period) || v->budget > v->period || v->budget < c->guard)))
		return broken(at, RULE_BUDGET, partition, vcpu, CONFIG_NONE, v->budget, v->period);
	if (v->early > (v->budget != 0)) /* without a budget it could run whenever another partition waits */
		return broken(at, RULE_EARLY, partition, vcpu, CONFIG_NONE, 0, 0);
	for (unsigned i = 0; i < c->schedule_count; i++)
		windows |= has_window(frame_of(c, i, v->cpu), partition);
	if (!windows && !v->background)
		return broken(at, RULE_NO_TIME, partition, vcpu, CONFIG_NONE, 0, 0);
	if (!windows && v->budget != 0) /* budgets are of windows: slack is not charged */
		return broken(at, RULE_BUDGET_FIT, partition, vcpu, CONFIG_NONE, v->budget, 0);
	return RULE_OK;
}

/* The least time that the partition's windows give in any of the periods, counted from the frame's begin. Each round
 * takes up the windows where the last one left them: as many steps as windows and periods. */
static uint64_t least_supply(const struct config_frame *f, unsigned partition, uint32_t period)
{
	uint32_t span = period < f->length ? period : f->length;
	uint64_t least = UINT64_MAX;
	unsigned i = 0;

	if (span == 0) /* neither is: both were checked */
		return 0;
	for (uint32_t begin = 0; begin < f->length; begin += span) {
		uint32_t end = begin + span;
		uint64_t sum = 0;
		while (i < f->window_count && f->windows[i].start < end) {
			const struct config_window *w = &f->windows[i];
			uint32_t from = w->start > begin ? w->start : begin;
			uint32_t to = w->start + w->length < end ? w->start + w->length : end;
			if (w->partition == partition)
				sum += to - from;
			if (w->start + w->length > end) /* the next period has the rest of it */
				break;
			i++;
		}
		least = sum < least ? sum : least;
	}
	return least * (period / span);
}

/* The most that a vCPU may use of its budget within a period of another one. Both count periods from the epoch. */
static uint64_t demand(const struct config_vcpu *v, uint32_t within)
{
	uint64_t periods = within % v->period == 0 ? within / v->period :
	                   v->period % within == 0 ? 1 :
	                                             within / v->period + 2;

	return periods * v->budget;
}

/* Its budget, and all that vCPUs above it may use, fit into each of its periods. */
static enum config_rule check_budget(const struct config *c, unsigned slot, struct config_fault *at)
{
	const struct config_frame *f = frame_of(c, at->schedule, at->cpu);
	const struct config_slot *slots = c->cpus[at->cpu].slots, *mine = &slots[slot];
	const struct config_vcpu *v = vcpu_of(c, mine);
	uint64_t need = v->budget, have;

	if (v->budget == 0 || !has_window(f, mine->partition))
		return RULE_OK;
	if (!fits(v->period, f->length))
		return broken(at, RULE_PERIOD, mine->partition, mine->vcpu, CONFIG_NONE, f->length, v->period);
	have = least_supply(f, mine->partition, v->period);
	while (slot > 0 && slots[--slot].partition == mine->partition) {
		const struct config_vcpu *above = vcpu_of(c, &slots[slot]);
		if (above->budget == 0)
			return broken(at, RULE_BUDGET_FIT, mine->partition, mine->vcpu, slots[slot].vcpu, need, have);
		need += demand(above, v->period);
	}
	if (need > have)
		return broken(at, RULE_BUDGET_FIT, mine->partition, mine->vcpu, CONFIG_NONE, need, have);
	return RULE_OK;
}

static enum config_rule check_rate(const struct config *c, unsigned partition, struct config_fault *at)
{
	const struct config_frame *f = frame_of(c, at->schedule, at->cpu);
	uint32_t period = c->partitions[partition].rate_period;
	uint64_t next = 0; /* begin of the first period in which none has started */

	if (period == 0)
		return RULE_OK;
	if (!fits(period, f->length))
		return broken(at, RULE_PERIOD, partition, CONFIG_NONE, CONFIG_NONE, f->length, period);
	for (unsigned i = 0; i < f->window_count && f->windows[i].start < next + period; i++)
		if (f->windows[i].partition == partition && f->windows[i].start >= next)
			next += period;
	return next >= f->length ? RULE_OK : broken(at, RULE_RATE, partition, CONFIG_NONE, CONFIG_NONE, period, next);
}

static enum config_rule check_schedules(const struct config *c, unsigned first, struct config_fault *at)
{
	for (unsigned i = 0; i < c->cpu_count; i++) {
		at->cpu = (uint16_t)i;
		if (check_order(c, i, at) != RULE_OK)
			return at->rule;
	}
	for (unsigned s = 0; s < c->schedule_count; s++)
		for (unsigned i = 0; i < c->cpu_count; i++) {
			at->schedule = (uint16_t)s;
			at->cpu = (uint16_t)i;
			if (check_frame(c, first, at) != RULE_OK || check_windows(c, at) != RULE_OK)
				return at->rule;
		}
	at->schedule = CONFIG_NONE;
	for (unsigned i = 0; i < c->partition_count; i++)
		for (unsigned j = 0; j < c->partitions[i].vcpu_count; j++)
			if (check_vcpu(c, i, j, at) != RULE_OK)
				return at->rule;
	at->cpu = CONFIG_NONE;
	return RULE_OK;
}

/* Budgets and rates: all windows and vCPUs are sound by now. */
static enum config_rule check_promises(const struct config *c, struct config_fault *at)
{
	for (unsigned i = 0; i < c->partition_count; i++)
		if (c->partitions[i].rate_period != 0 && !period_valid(c->partitions[i].rate_period))
			return broken(at, RULE_RATE, i, CONFIG_NONE, CONFIG_NONE, c->partitions[i].rate_period, 0);
	for (unsigned s = 0; s < c->schedule_count; s++)
		for (unsigned i = 0; i < c->cpu_count; i++) {
			at->schedule = (uint16_t)s;
			at->cpu = (uint16_t)i;
			for (unsigned j = 0; c->cpus[i].scheduled && j < c->cpus[i].slot_count; j++)
				if (check_budget(c, j, at) != RULE_OK ||
				    check_rate(c, c->cpus[i].slots[j].partition, at) != RULE_OK)
					return at->rule;
		}
	return RULE_OK;
}

enum config_rule config_validate_time(const struct config *c, struct config_fault *fault)
{
	unsigned first = 0; /* scheduled CPU */

	if (check_owners(c, fault) != RULE_OK)
		return fault->rule;
	while (first < c->cpu_count && !c->cpus[first].scheduled)
		first++;
	if ((first < c->cpu_count) != (c->schedule_count > 0))
		return broken(fault, RULE_SCHEDULE, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 0, 0);
	if ((c->schedule_count > 0 && c->guard == 0) || c->guard > CONFIG_GUARD_MAX_US || (c->flush & ~FLUSH_ALL) != 0)
		return broken(fault, RULE_GUARD, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE, 0, 0);
	if (check_schedules(c, first, fault) != RULE_OK || check_promises(c, fault) != RULE_OK)
		return fault->rule;
	fault->schedule = fault->cpu = CONFIG_NONE;
	return RULE_OK;
}

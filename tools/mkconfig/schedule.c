// SPDX-License-Identifier: Apache-2.0
/*
 * Who runs on which CPU, and when: vCPUs, their budgets, the schedules' frames and windows; and the lines and numbers
 * behind what the validator finds in them.
 */
#include "mkconfig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_DEFAULT 20u
#define FLUSH_COUNT 4u

const char *const flush_names[FLUSH_COUNT] = { "l1d", "buffers", "branch_predictors", "return_stack" }; /* by bit */

static void build_switch(struct plan *plan)
{
	const struct in_file *in = plan->in;
	struct config *c = &plan->config;

	if (in->schedules_count == 0) {
		if (in->guard != NULL)
			fail(line_of("guard"),
			     "guard: without schedules all CPUs are dedicated, and there is nothing to guard");
		if (document_has("flush"))
			fail(line_of("flush"), "flush: without schedules all CPUs are dedicated, and never switch");
		return;
	}
	c->guard = GUARD_DEFAULT;
	if (in->guard != NULL)
		c->guard = parse_time(line_of("guard"), "guard", in->guard, 1, CONFIG_GUARD_MAX_US);
	c->flush = document_has("flush") ? 0 : FLUSH_ALL;
	for (unsigned i = 0; i < in->flush_count; i++)
		c->flush |= (uint8_t)(1u << parse_name(line_of("flush/%u", i), "flush", in->flush[i], flush_names,
		                                       FLUSH_COUNT));
}

void schedules_open(struct plan *plan)
{
	const struct in_file *in = plan->in;
	struct config *c = &plan->config;

	build_switch(plan);
	if (in->schedules_count > CONFIG_MAX_SCHEDULES)
		fail(line_of("schedules/%u", CONFIG_MAX_SCHEDULES), "%u schedules; the limit is %u",
		     in->schedules_count, CONFIG_MAX_SCHEDULES);
	c->schedule_count = (uint16_t)in->schedules_count;
	plan->frames = allocate(c->schedule_count * sizeof *plan->frames);
	plan->frame_extra = allocate(c->schedule_count * sizeof *plan->frame_extra);
	for (unsigned s = 0; s < c->schedule_count; s++) {
		plan->frames[s] = allocate(c->cpu_count * sizeof *plan->frames[s]);
		plan->frame_extra[s] = allocate(c->cpu_count * sizeof *plan->frame_extra[s]);
		for (unsigned i = 0; i < in->schedules[s].cpus_count; i++) {
			unsigned line = line_of("schedules/%u/cpus/%u/cpu", s, i);
			uint64_t cpu = parse_number(line, "cpu", in->schedules[s].cpus[i].cpu, 0, c->cpu_count - 1u);
			struct plan_frame *x = &plan->frame_extra[s][cpu];
			if (x->given)
				fail(line, "CPU %" PRIu64 " stands twice in schedule '%s'; the first is on line %u",
				     cpu, in->schedules[s].name, line_of("schedules/%u/cpus/%u/cpu", s, x->index));
			*x = (struct plan_frame){ .index = i, .given = true };
			plan->cpus[cpu].scheduled = 1;
		}
	}
}

/* "2 ms per 10 ms", or "unlimited". */
static void parse_budget(unsigned line, const char *string, struct config_vcpu *v)
{
	static const char per[] = " per ";
	const char *found = strstr(string, per);

	if (strcmp(string, "unlimited") == 0)
		return;
	if (found == NULL)
		fail(line, "budget: '%s' is neither 'unlimited' nor, for instance, '2 ms per 10 ms'", string);
	v->period = parse_time(line, "period", found + sizeof per - 1, CONFIG_FRAME_MIN_US, CONFIG_FRAME_MAX_US);
	v->budget = parse_time(line, "budget", text("%.*s", (int)(found - string), string), 1, v->period);
}

static void check_length(unsigned partition, const char *key, unsigned count, unsigned vcpus)
{
	if (count != 0 && count != vcpus)
		fail(line_of("partitions/%u/%s", partition, key), "%s: %u values for %u vCPUs", key, count, vcpus);
}

static void add_slot(struct plan *plan, unsigned partition, unsigned vcpu)
{
	unsigned line = line_of("partitions/%u/cpus/%u", partition, vcpu);
	struct config_vcpu *v = &plan->extra[partition].vcpus[vcpu];
	struct config_cpu *c;
	struct config_slot **slots;

	v->cpu = (uint16_t)parse_number(line, "cpus", plan->extra[partition].in->cpus[vcpu], 0,
	                                plan->config.cpu_count - 1u);
	c = &plan->cpus[v->cpu];
	slots = &plan->slots[v->cpu];
	if (!c->scheduled && c->slot_count > 0)
		fail(line,
		     "CPU %u already belongs to partition '%s' (line %u); only CPUs that 'schedules' names can be shared",
		     v->cpu, plan->in->partitions[(*slots)->partition].name,
		     line_of("partitions/%u/cpus/%u", (*slots)->partition, (*slots)->vcpu));
	if (c->slot_count == CONFIG_MAX_SLOTS)
		fail(line, "more than %u vCPUs on CPU %u", CONFIG_MAX_SLOTS, v->cpu);
	v->slot = c->slot_count++;
	c->slots = *slots = grow(*slots, v->slot, sizeof **slots);
	(*slots)[v->slot] = (struct config_slot){ .partition = (uint16_t)partition, .vcpu = (uint16_t)vcpu };
}

void vcpus_build(struct plan *plan, unsigned partition)
{
	const struct in_partition *in = plan->extra[partition].in;
	struct config_partition *p = &plan->partitions[partition];
	unsigned line = line_of("partitions/%u/background", partition);
	bool background = parse_truth(line, "background", in->background), scheduled = false;
	bool early = parse_truth(line_of("partitions/%u/early", partition), "early", in->early), opens = false;

	p->vcpu_count = (uint16_t)in->cpus_count;
	p->vcpus = plan->extra[partition].vcpus = allocate(in->cpus_count * sizeof *p->vcpus);
	check_length(partition, "priority", in->priority_count, in->cpus_count);
	check_length(partition, "budget", in->budget_count, in->cpus_count);
	for (unsigned i = 0; i < in->cpus_count; i++) {
		struct config_vcpu *v = &plan->extra[partition].vcpus[i];
		v->apic_id = (uint16_t)i;
		add_slot(plan, partition, i);
		scheduled |= plan->cpus[v->cpu].scheduled;
		v->background = background && plan->cpus[v->cpu].scheduled;
		if (in->priority_count != 0)
			v->priority = (uint8_t)parse_number(line_of("partitions/%u/priority/%u", partition, i),
			                                    "priority", in->priority[i], 0, UINT8_MAX);
		if (in->budget_count != 0)
			parse_budget(line_of("partitions/%u/budget/%u", partition, i), in->budget[i], v);
		v->early = early && v->budget != 0;
		opens |= v->early != 0;
	}
	if (background && !scheduled)
		fail(line, "background: no CPU of '%s' is scheduled; dedicated ones have no slack", p->name);
	if (early && !opens)
		fail(line_of("partitions/%u/early", partition),
		     "early: no vCPU of '%s' has a budget, which is what it runs on outside of its windows", p->name);
	if (in->rate != NULL)
		p->rate_period = parse_rate(line_of("partitions/%u/rate", partition), "rate", in->rate);
}

static bool belongs_before(const struct plan *plan, const struct config_slot *a, const struct config_slot *b)
{
	unsigned x = plan->partitions[a->partition].vcpus[a->vcpu].priority;
	unsigned y = plan->partitions[b->partition].vcpus[b->vcpu].priority;

	if (a->partition != b->partition)
		return a->partition < b->partition;
	return x != y ? x < y : a->vcpu < b->vcpu;
}

static void sort_slots(struct plan *plan, unsigned cpu)
{
	struct config_slot *slots = plan->slots[cpu];

	for (unsigned i = 1; i < plan->cpus[cpu].slot_count; i++) {
		struct config_slot slot = slots[i];
		unsigned j = i;
		for (; j > 0 && belongs_before(plan, &slot, &slots[j - 1]); j--)
			slots[j] = slots[j - 1];
		slots[j] = slot;
	}
	for (unsigned i = 0; i < plan->cpus[cpu].slot_count; i++)
		plan->extra[slots[i].partition].vcpus[slots[i].vcpu].slot = (uint16_t)i;
}

/* A window on its way into the table. */
struct draft {
	struct config_window window;
	unsigned origin;
};

static int by_start(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;

	if (x->window.start != y->window.start)
		return x->window.start < y->window.start ? -1 : 1;
	return x->origin < y->origin ? -1 : 1;
}

/* How often the window comes: the frame's length if it comes once. */
static uint32_t parse_every(const char *path, const struct in_window *in, uint32_t start, uint32_t frame)
{
	uint32_t every;

	if (in->every == NULL)
		return frame;
	every = parse_time(line_of("%s/every", path), "every", in->every, 1, frame);
	if (frame % every != 0)
		fail(line_of("%s/every", path), "every: %s does not divide the frame, %s", time_text(every),
		     time_text(frame));
	if (start >= every)
		fail(line_of("%s/start", path),
		     "start: %s lies beyond the first %s, in which the first of these windows starts", time_text(start),
		     time_text(every));
	return every;
}

static void build_frame(struct plan *plan, unsigned s, unsigned cpu, const char *const *names)
{
	struct plan_frame *x = &plan->frame_extra[s][cpu];
	struct config_frame *f = &plan->frames[s][cpu];
	const struct in_frame *in = &plan->in->schedules[s].cpus[x->index];
	const char *here = text("schedules/%u/cpus/%u", s, x->index);
	struct draft *drafts = NULL;
	unsigned count = 0;

	f->length = parse_time(line_of("%s/frame", here), "frame", in->frame, CONFIG_FRAME_MIN_US, CONFIG_FRAME_MAX_US);
	for (unsigned i = 0; i < in->windows_count; i++) {
		const struct in_window *w = &in->windows[i];
		const char *path = text("%s/windows/%u", here, i);
		struct draft draft = {
			.window.partition = (uint16_t)parse_name(line_of("%s/partition", path), "partition",
			                                         w->partition, names, plan->config.partition_count),
			.window.start = parse_time(line_of("%s/start", path), "start", w->start, 0, f->length),
			.window.length = parse_time(line_of("%s/length", path), "length", w->length, 1, f->length),
			.origin = i,
		};
		uint32_t every = parse_every(path, w, draft.window.start, f->length);
		if (count + f->length / every > CONFIG_MAX_WINDOWS)
			fail(line_of("%s", path), "%u windows or more on CPU %u in schedule '%s'; the limit is %u",
			     count + f->length / every, cpu, plan->in->schedules[s].name, CONFIG_MAX_WINDOWS);
		for (uint32_t begin = 0; begin < f->length; begin += every) {
			drafts = grow(drafts, count, sizeof *drafts);
			drafts[count++] = draft;
			draft.window.start += every;
		}
	}
	if (count > 0)
		qsort(drafts, count, sizeof *drafts, by_start);
	x->windows = allocate(count * sizeof *x->windows);
	x->origin = allocate(count * sizeof *x->origin);
	for (unsigned i = 0; i < count; i++) {
		x->windows[i] = drafts[i].window;
		x->origin[i] = drafts[i].origin;
	}
	free(drafts);
	f->windows = x->windows;
	f->window_count = (uint16_t)count;
}

void schedules_build(struct plan *plan)
{
	struct config *c = &plan->config;
	struct config_schedule *schedules = allocate(c->schedule_count * sizeof *schedules);
	const char **names = allocate(c->partition_count * sizeof *names);

	for (unsigned i = 0; i < c->cpu_count; i++)
		sort_slots(plan, i);
	for (unsigned i = 0; i < c->partition_count; i++)
		names[i] = plan->partitions[i].name;
	for (unsigned s = 0; s < c->schedule_count; s++) {
		schedules[s] = (struct config_schedule){ .name = plan->in->schedules[s].name,
			                                 .frames = plan->frames[s] };
		for (unsigned cpu = 0; cpu < c->cpu_count; cpu++)
			if (plan->frame_extra[s][cpu].given)
				build_frame(plan, s, cpu, names);
	}
	c->schedules = schedules;
}

unsigned time_fault_line(const struct plan *plan, const struct config_fault *f)
{
	const struct plan_frame *x = f->schedule != CONFIG_NONE && f->cpu != CONFIG_NONE ?
	                                     &plan->frame_extra[f->schedule][f->cpu] :
	                                     NULL;

	switch (f->rule) {
	case RULE_DEDICATED:
		return line_of("partitions/%u/%s/%u", f->partition,
		               plan->partitions[f->partition].vcpus[f->index].budget != 0 ? "budget" : "priority",
		               f->index);
	case RULE_SCHEDULE:
		return line_of("schedules/%u/cpus", f->schedule);
	case RULE_FRAME:
	case RULE_FRAME_DIFFERS:
		return line_of("schedules/%u/cpus/%u/frame", f->schedule, x->index);
	case RULE_WINDOW:
	case RULE_WINDOW_FIT:
	case RULE_WINDOW_OVERLAP:
	case RULE_WINDOW_OWNER:
		return line_of("schedules/%u/cpus/%u/windows/%u", f->schedule, x->index, x->origin[f->index]);
	case RULE_NO_TIME:
		return line_of("partitions/%u/cpus/%u", f->partition, f->index);
	case RULE_BUDGET:
	case RULE_BUDGET_FIT:
		return line_of("partitions/%u/budget/%u", f->partition, f->index);
	case RULE_PERIOD:
		return f->index != CONFIG_NONE ? line_of("partitions/%u/budget/%u", f->partition, f->index) :
		                                 line_of("partitions/%u/rate", f->partition);
	case RULE_RATE:
		return line_of("partitions/%u/rate", f->partition);
	default:
		return line_of("guard");
	}
}

static const char *window_text(const struct plan *plan, const struct config_window *w)
{
	return text("'%s' %s to %s", plan->partitions[w->partition].name, time_text(w->start),
	            time_text(w->start + w->length));
}

/* The numbers of a window that breaks a rule. */
static const char *window_detail(const struct plan *plan, const struct config_fault *f)
{
	const struct plan_frame *x = &plan->frame_extra[f->schedule][f->cpu];
	const struct config_window *w = &x->windows[f->index], *o = &x->windows[f->other == CONFIG_NONE ? 0 : f->other];
	const char *this = window_text(plan, w), *guard = time_text(plan->config.guard);

	if (f->rule == RULE_WINDOW_OWNER)
		return text("'%s', CPU %u", plan->partitions[w->partition].name, f->cpu);
	if (f->rule == RULE_WINDOW_OVERLAP)
		return text("%s, and before it %s, line %u; guard %s", this, window_text(plan, o),
		            line_of("schedules/%u/cpus/%u/windows/%u", f->schedule, x->index, x->origin[f->other]),
		            guard);
	if (f->rule == RULE_WINDOW)
		return text("%s: %s, guard %s", this, time_text(w->length), guard);
	return text("%s, guard %s: %s, frame %s", this, guard, time_text(f->need), time_text(f->have));
}

static const char *budget_detail(const struct plan *plan, const struct config_fault *f, const char *vcpu,
                                 const char *where)
{
	const struct config_vcpu *v = &plan->partitions[f->partition].vcpus[f->index];
	const char *budget = text("%s per %s", time_text(v->budget), time_text(v->period));

	if (f->rule == RULE_BUDGET)
		return text("%s: %s, guard %s", vcpu, budget, time_text(plan->config.guard));
	if (f->other != CONFIG_NONE)
		return text("%s: %s, but vCPU %u stands above it without a budget, and may use all", vcpu, budget,
		            f->other);
	return text("%s: %s%s; %s gives %s", vcpu, budget,
	            f->need > v->budget ? text(", with those above it %s", time_text(f->need)) : "", where,
	            time_text(f->have));
}

const char *time_fault_detail(const struct plan *plan, const struct config_fault *f)
{
	const struct config *c = &plan->config;
	const char *where = f->schedule != CONFIG_NONE ?
	                            text("CPU %u in schedule '%s'", f->cpu, c->schedules[f->schedule].name) :
	                            text("CPU %u", f->cpu);
	const char *name = f->partition != CONFIG_NONE ? plan->partitions[f->partition].name : "";
	const char *who = f->index != CONFIG_NONE ? text("vCPU %u of '%s'", f->index, name) : text("'%s'", name);

	switch (f->rule) {
	case RULE_DEDICATED:
		return text("%s, CPU %u, which no schedule names", who, f->cpu);
	case RULE_SCHEDULE:
		return text("schedule '%s' has no frame for CPU %u, another schedule has one",
		            c->schedules[f->schedule].name, f->cpu);
	case RULE_FRAME:
		return f->need != 0 ? text("%s: %" PRIu64 ", limit %" PRIu64, where, f->need, f->have) :
		                      text("%s: %s", where, time_text(f->have));
	case RULE_FRAME_DIFFERS:
		return text("%s: %s; CPU %u: %s", where, time_text(f->have), f->other, time_text(f->need));
	case RULE_WINDOW:
	case RULE_WINDOW_FIT:
	case RULE_WINDOW_OVERLAP:
	case RULE_WINDOW_OWNER:
		return window_detail(plan, f);
	case RULE_NO_TIME:
		return text("%s on %s", who, where);
	case RULE_BUDGET:
	case RULE_BUDGET_FIT:
		return budget_detail(plan, f, who, where);
	case RULE_PERIOD:
		return text("%s: %s; %s: frame %s", who, time_text(f->have), where, time_text(f->need));
	case RULE_RATE:
		return text("%s, period %s: on %s no window of it starts in %s to %s", who, time_text(f->need), where,
		            time_text(f->have), time_text(f->have + f->need));
	default:
		return text("guard %s, flush 0x%x", time_text(c->guard), c->flush);
	}
}

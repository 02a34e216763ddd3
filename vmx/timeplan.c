// SPDX-License-Identifier: Apache-2.0
/* The configuration's time plan, in microseconds, as the scheduler's, in TSC ticks. */
#include "core/core.h"
#include "core/cpu.h"
#include "core/x86.h"
#include "hypercall/abi.h"
#include "scheduled.h"

#define SLACK_TURN_US 1000u
#define SLACK_MIN_US 5u
#define SWITCH_MARGIN_US 100u
#define SWITCH_TICKS 350u /* S: from the decision to the owner's first instruction; the guard holds room for it */
#define mine (&this_cpu->scheduled)

/* The schedule in force, for all CPUs. */
static struct sched_mode schedule_mode;

static uint32_t cpus_ready; /* scheduled CPUs that have called timeplan_ready() */

static uint64_t gcd(uint64_t a, uint64_t b)
{
	for (uint32_t i = 0; b && i < 64; i++) { /* Euclid needs at most 46 steps for 32-bit numbers */
		const uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/*
 * The greatest span, in microseconds, of which all times of the plan are multiples. Only it is converted to ticks, and so
 * rounded: periods and frames that fit together in the plan do so in ticks, for ever.
 */
static uint64_t plan_unit(void)
{
	uint64_t unit = 0;

	for (uint32_t n = 0; n < CONFIG_SCHEDULES; n++)
		for (uint32_t c = 0; c < CONFIG_CPUS; c++) {
			const struct config_frame *f = &config.schedules[n].frames[c];

			unit = gcd(unit, f->length);
			for (uint32_t w = 0; w < f->window_count; w++)
				unit = gcd(gcd(unit, f->windows[w].start), f->windows[w].length);
		}
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++)
		for (uint32_t v = 0; v < config.partitions[p].vcpu_count; v++)
			unit = gcd(gcd(unit, config.partitions[p].vcpus[v].budget),
			           config.partitions[p].vcpus[v].period);
	return unit ? unit : 1;
}

static uint64_t to_ticks(uint64_t us)
{
	static uint64_t unit; /* the same from each CPU */

	if (!unit)
		unit = plan_unit();
	return us / unit * (unit * tsc_khz / 1000) + us % unit * tsc_khz / 1000;
}

static uint64_t longest_frame(void)
{
	uint64_t longest = 0;

	for (uint32_t n = 0; n < CONFIG_SCHEDULES; n++)
		for (uint32_t c = 0; c < CONFIG_CPUS; c++)
			if (config.schedules[n].frames[c].length > longest)
				longest = config.schedules[n].frames[c].length;
	return longest;
}

/* The slots of a partition stand side by side (config_validate()): first and end of them. */
static void owner_slots(const struct config_cpu *cpu, uint16_t partition, struct sched_window *window)
{
	uint16_t first = 0;

	while (first < cpu->slot_count && cpu->slots[first].partition != partition)
		first++;
	window->first = window->end = first;
	while (window->end < cpu->slot_count && cpu->slots[window->end].partition == partition)
		window->end++;
}

static void init_frame(const struct config_cpu *cpu, const struct config_frame *from, struct sched_window *windows,
                       struct sched_frame *frame)
{
	for (uint16_t w = 0; w < from->window_count; w++) {
		windows[w] = (struct sched_window){ .start = to_ticks(from->windows[w].start),
			                            .length = to_ticks(from->windows[w].length) + SWITCH_TICKS };
		owner_slots(cpu, from->windows[w].partition, &windows[w]);
	}
	windows[from->window_count] = (struct sched_window){ .start = to_ticks(from->length) };
	*frame = (struct sched_frame){ .windows = windows, .window_count = from->window_count };
}

/* Frames have begun at `epoch` on all CPUs; while this one loaded its partitions nobody could be there for them. Those are not lost: its
 * first frame is the next one. */
static uint64_t first_frame(uint64_t epoch, uint64_t now)
{
	const uint64_t length = mine->frames[0].windows[mine->frames[0].window_count].start;

	return now <= epoch ? epoch : epoch + (now - epoch + length - 1) / length * length;
}

void timeplan_init(uint64_t epoch)
{
	const struct config_cpu *cpu = &config.cpus[this_cpu->index];
	uint64_t now;

	for (uint16_t i = 0; i < cpu->slot_count; i++) {
		const struct config_vcpu *c = &config.partitions[cpu->slots[i].partition].vcpus[cpu->slots[i].vcpu];

		mine->configs[i] = (struct sched_entity_config){ .budget = to_ticks(c->budget),
			                                         .period = to_ticks(c->period),
			                                         .slack = (c->background ? SCHED_BACKGROUND : 0) |
			                                                  (c->early ? SCHED_EARLY : 0) };
	}
	for (uint16_t n = 0; n < CONFIG_SCHEDULES; n++)
		init_frame(cpu, &config.schedules[n].frames[this_cpu->index], mine->windows[n], &mine->frames[n]);
	mine->sched.frames = mine->frames;
	mine->sched.configs = mine->configs;
	mine->sched.entities = mine->entities;
	schedule_mode.count = CONFIG_SCHEDULES; /* the same words from each CPU */
	schedule_mode.margin = to_ticks(SWITCH_MARGIN_US);
	schedule_mode.settle = to_ticks(longest_frame() + config.guard + SWITCH_MARGIN_US);
	mine->sched.mode = &schedule_mode;
	mine->sched.slack_turn = to_ticks(SLACK_TURN_US);
	mine->sched.slack_min = to_ticks(SLACK_MIN_US);
	mine->sched.entity_count = cpu->slot_count;
	now = rdtsc();
	sched_init(&mine->sched, first_frame(epoch, now), now);
}

void timeplan_ready(void)
{
	__atomic_add_fetch(&cpus_ready, 1, __ATOMIC_RELEASE);
}

/* A CPU that is still loading decides nothing. It may be away longer than two changes take, and would then follow the second from
 * a frame boundary of the first schedule's that no other CPU has (docs/scheduling.md): so there is none before all are there. */
int64_t timeplan_request(uint32_t schedule)
{
	if (__atomic_load_n(&cpus_ready, __ATOMIC_ACQUIRE) < CONFIG_SCHEDULED_CPUS)
		return BH_EAGAIN;
	return sched_request(&schedule_mode, schedule, rdtsc()) == SCHED_ACCEPTED ? 0 : BH_EAGAIN;
}

uint32_t timeplan_schedule(void)
{
	if (cpu_is_scheduled(this_cpu->index))
		return mine->sched.schedule;
	return (uint32_t)(__atomic_load_n(&schedule_mode.word, __ATOMIC_RELAXED) % SCHED_MAX_SCHEDULES);
}

// SPDX-License-Identifier: Apache-2.0
/* Where the time of a scheduled CPU went: counters for guests that may read them, and a line for the console. */
#include "core/console.h"
#include "core/cpu.h"
#include "core/smi.h"
#include "core/x86.h"
#include "hypercall/abi.h"
#include "scheduled.h"

#define mine (&this_cpu->scheduled)

/* The accounts are settled at decisions: what runs since the last one is not in them yet. */
static uint64_t used(uint32_t slot)
{
	const struct sched_entity *e = &mine->entities[slot];

	return e->budget.used + e->turn.used +
	       (mine->sched.current == slot ? rdtsc() + mine->early - mine->sched.since : 0);
}

static uint32_t longest_stay(void)
{
	uint32_t longest = mine->idle.worst;

	for (uint32_t i = 0; i < CONFIG_VCPUS_PER_CPU; i++)
		if (this_cpu->vcpu[i].worst > longest)
			longest = this_cpu->vcpu[i].worst;
	return longest;
}

int64_t scheduled_counter(const struct vcpu *vcpu, uint64_t which)
{
	const struct sched *s = &mine->sched;
	uint64_t smis;

	switch (which) {
	case BH_COUNTER_USED:
		return (int64_t)used((uint32_t)(vcpu - this_cpu->vcpu));
	case BH_COUNTER_IDLE:
		return (int64_t)s->idle.used;
	case BH_COUNTER_WINDOWS:
		return (int64_t)s->windows;
	case BH_COUNTER_WINDOWS_CUT:
		return (int64_t)s->windows_cut;
	case BH_COUNTER_WINDOWS_LOST:
		return (int64_t)s->windows_lost;
	case BH_COUNTER_LATE_MAX:
		return (int64_t)s->late_max;
	case BH_COUNTER_OVERRUN_MAX:
		return (int64_t)s->overrun_max;
	case BH_COUNTER_SMIS:
		smis = smi_count();
		return smis == SMI_UNKNOWN ? BH_EINVAL : (int64_t)smis;
	case BH_COUNTER_STAY_MAX:
		return longest_stay();
	case BH_COUNTER_SWITCH_MAX:
		return mine->worst_switch;
	default:
		return BH_EINVAL;
	}
}

void scheduled_print_status(void)
{
	const struct sched *s = &mine->sched;
	const uint64_t smis = smi_count();

	print("CPU %u: %lu windows, %lu cut, %lu lost, latest %lu, overrun %lu, idle %lu ticks\n", this_cpu->index,
	      s->windows, s->windows_cut, s->windows_lost, s->late_max, s->overrun_max, s->idle.used);
	if (smis != SMI_UNKNOWN)
		print("CPU %u: %lu SMIs\n", this_cpu->index, smis);
}

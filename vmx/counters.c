// SPDX-License-Identifier: Apache-2.0
#include "counters.h"

#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/smi.h"

#if CONFIG_COUNTERS
#define mine (&this_cpu->scheduled)
#define PAGE_WORDS (PAGE_SIZE / sizeof(uint64_t))

void counters_init(struct vcpu *vcpu)
{
	const uint64_t from = (uint64_t)vcpu - (uint64_t)this_cpu->vcpu;
	const uint64_t slot = from < sizeof this_cpu->vcpu ? from / sizeof *vcpu : CONFIG_VCPUS_PER_CPU;
	uint64_t *word = (uint64_t *)(CORE_MEMORY_BASE + CONFIG_COUNTERS_AT) + slot * PAGE_WORDS;

	memset(word, 0, PAGE_SIZE);
	vcpu->count = word + BH_COUNTER_REASON;
	if (slot == CONFIG_VCPUS_PER_CPU)
		return;
	word[BH_COUNTER_TSC_KHZ] = tsc_khz;
	word[BH_COUNTER_LOADER_TSC] = handoff.tsc_loader_start;
	word[BH_COUNTER_SMIS] = SMI_UNKNOWN;
	word[BH_PAGE_PARTITION] = vcpu->partition_index;
	word[BH_PAGE_VCPU] = vcpu->index;
	word[BH_PAGE_CPU] = this_cpu->index;
	word[BH_PAGE_VERSION] = BH_ABI_VERSION;
	__atomic_store_n(&word[BH_PAGE_MAGIC], BH_PAGE_MAGIC_VALUE, __ATOMIC_RELEASE);
}

#if CONFIG_SCHEDULED_CPUS
void counters_decision(void)
{
	const struct sched *s = &mine->sched;
	const struct sched_entity *e = &mine->entities[mine->loaded->slot];
	struct vcpu *vcpu = &this_cpu->vcpu[mine->loaded->slot];

	counters_note(vcpu, BH_COUNTER_WORST, vcpu->worst);
	counters_note(vcpu, BH_COUNTER_SCHEDULE, s->schedule);
	counters_note(vcpu, BH_COUNTER_USED, e->budget.used + e->turn.used);
	counters_note(vcpu, BH_COUNTER_IDLE, s->idle.used);
	counters_note(vcpu, BH_COUNTER_WINDOWS, s->windows);
	counters_note(vcpu, BH_COUNTER_WINDOWS_CUT, s->windows_cut);
	counters_note(vcpu, BH_COUNTER_WINDOWS_LOST, s->windows_lost);
	counters_note(vcpu, BH_COUNTER_LATE_MAX, s->late_max);
	counters_note(vcpu, BH_COUNTER_OVERRUN_MAX, s->overrun_max);
	if (s->began & SCHED_FRAME) /* an RDMSR */
		counters_note(vcpu, BH_COUNTER_SMIS, smi_count());
}
#endif
#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Each vCPU's counters in a page of the memory `counters`, for partitions that may read it (hypercall/abi.h, BH_PAGE_*). Exits are counted there in the
 * first place; what else there is, is copied where it changes seldom. Where the configuration asks for no such page, all of these are nothing.
 */
#ifndef VMX_COUNTERS_H
#define VMX_COUNTERS_H

#if CONFIG_COUNTERS
#include "hypercall/abi.h"
#include "vcpu.h"

/* Begin the page of a vCPU of this CPU, from zeros; the idle one and companions share a page that tells nothing. vcpu_init() calls it. */
void counters_init(struct vcpu *vcpu);

/* Right behind sched_decide(): the accounts of the vCPU that has run, and of this CPU. */
void counters_decision(void);

static inline void counters_note(struct vcpu *vcpu, uint32_t which, uint64_t value)
{
	(vcpu->count - BH_COUNTER_REASON)[which] = value;
}

static inline void counters_forbidden(struct vcpu *vcpu)
{
	(vcpu->count - BH_COUNTER_REASON)[BH_COUNTER_FORBIDDEN]++;
}
#else
#define counters_init(vcpu) ((void)0)
#define counters_decision() ((void)0)
#define counters_note(vcpu, which, value) ((void)0)
#define counters_forbidden(vcpu) ((void)0)
#endif

#endif

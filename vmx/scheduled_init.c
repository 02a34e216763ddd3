// SPDX-License-Identifier: Apache-2.0
/* A scheduled CPU before its first entry. */
#include "companion.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/panic.h"
#include "core/posted.h"
#include "core/selfcheck.h"
#include "core/smi.h"
#include "core/x86.h"
#include "flush.h"
#include "health.h"
#include "pins.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"
#include "xapic.h"

#define mine (&this_cpu->scheduled)

static int load_both(const struct config_partition *p, uint16_t index)
{
	return partition_load(index) && (!CONFIG_COMPANIONS || !p->companion || partition_load(p->companion));
}

/* The vCPU in slot `i`, before its first entry. */
static void init_slot(uint16_t i, const struct config_slot *slot)
{
	const struct config_partition *p = &config.partitions[slot->partition];
	struct vcpu *vcpu = &this_cpu->vcpu[i];
	struct scheduled_vcpu *v = &mine->vcpu[i];

	v->slot = i;
	posted_close(this_cpu->index, i);
	v->lapic.hardware = mine->apicv != APICV_NONE && !p->xapic; /* registers in memory: by the core itself */
	vcpu_init(vcpu, slot->partition, slot->vcpu);
	mine->xcr0_all |= vcpu->xcr0_allowed | 1;
	v->lapic.x2apic = !p->xapic;
	lapic_reset(&v->lapic, p->vcpus[slot->vcpu].apic_id, (uint32_t)(tsc_khz / 1000));
	if (CONFIG_XAPIC)
		xapic_note_logical(vcpu);
	if (CONFIG_IOAPICS)
		v->lapic.level = pins_level(vcpu);
	switch_state_init(v);
	if (slot->vcpu)
		startup_wait(vcpu);
	if (CONFIG_COMPANIONS && p->companion)
		companion_init(vcpu);
	if (CONFIG_HEALTH && slot->vcpu == 0) {
		health_begin(vcpu, load_both(p, slot->partition));
	} else if (slot->vcpu == 0 && !load_both(p, slot->partition)) {
		print("%s: not started: its payload is not the one it was configured with\n", p->name);
		vcpu->state = VCPU_STOPPED;
	}
}

void scheduled_run(uint64_t epoch)
{
	const struct config_cpu *cpu = &config.cpus[this_cpu->index];

	mine->timer_shift = (uint32_t)(rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
	mine->early = (1u << mine->timer_shift) - 1;
	mine->console_due = SCHED_NEVER;
	mine->resched = 1;
	mine->changed = 1;
	mine->loaded = &mine->vcpu[0];
	wrmsr(MSR_X2APIC_SVR, 0x1ff);
	flush_init();
	smi_init();
	trace_init(epoch);
	mine->apicv = apicv_find();
	for (uint16_t i = 0; i < cpu->slot_count; i++)
		init_slot(i, &cpu->slots[i]);
	switch_state_first();
	xsetbv0(mine->xcr0_all);
	ASSERT(cpuid(0xd, 0).r[1] <= sizeof mine->vcpu[0].fpu);
	xsetbv0(1);
	vcpu_init_idle(&mine->idle, ept_pointer_empty);
	this_cpu->running = &mine->idle;
	if (CONFIG_SELF_CHECK)
		selfcheck_first(&mine->idle);
	/* The last of all: what takes time behind it takes it from the first frame. */
	timeplan_init(epoch);
	for (uint16_t i = 0; i < cpu->slot_count; i++)
		if (this_cpu->vcpu[i].state == VCPU_STOPPED)
			sched_block(&mine->sched, i, SCHED_NEVER);
	timeplan_ready();
	scheduled_go_on(TRACE_NO_EXIT, 0);
}

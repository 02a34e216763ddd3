// SPDX-License-Identifier: Apache-2.0
/* The part of the seam that only scheduled CPUs need: several VMCSs, and what a switch does to a real CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/machine_ioapic.h"
#include "core/smi.h"
#include "vmx/flush.h"

void vmx_exit_entry_scheduled(void)
{
	abort();
}

/* What vmx/switch.c and vmx/flush.c do to a real CPU's registers and buffers. */
int switch_msr_slot(uint32_t msr)
{
	return msr >= 0xc0000081 && msr <= 0xc0000084 ? (int)(msr - 0xc0000081) :
	       msr == MSR_TSC_AUX                     ? 4 :
	       msr == MSR_IA32_XSS                    ? 5 :
	                                                -1;
}

void switch_state(struct scheduled_vcpu *from, struct scheduled_vcpu *to, uint64_t xcr0_all)
{
	(void)xcr0_all;
	if (from == to)
		abort();
	seam.switch_count++;
}

void switch_state_init(struct scheduled_vcpu *v)
{
	memset(v->msr, 0, sizeof v->msr);
}

void switch_state_clean(struct scheduled_vcpu *v, int loaded, uint64_t xcr0_all)
{
	(void)loaded;
	(void)xcr0_all;
	switch_state_init(v);
}

void switch_state_first(void)
{
}

void smi_init(void)
{
}

uint64_t smi_count(void)
{
	return seam.smis;
}

void flush_init(void)
{
}

void flush_for_next_partition(uint8_t what)
{
	if (what != config.flush)
		abort();
	seam.flush_count++;
}

void machine_ioapic_mask(uint32_t index, uint32_t masked)
{
	if (masked == (seam.masked >> index & 1))
		abort();
	seam.masked ^= 1u << index;
}

/* Which of the scheduled CPU's VMCSs is at `phys`? */
int seam_load_scheduled(uint64_t phys)
{
	const struct vcpu *vcpu = &this_cpu->scheduled.idle;
	uint32_t i = CONFIG_VCPUS_PER_CPU;

	if (phys != cpu_phys(vcpu->vmcs))
		for (i = 0; i < CONFIG_VCPUS_PER_CPU && phys != cpu_phys(this_cpu->vcpu[i].vmcs);)
			i++;
	if (i < CONFIG_VCPUS_PER_CPU)
		vcpu = &this_cpu->vcpu[i];
	vmcs_current = &seam.scheduled_vmcs[i];
	return phys != cpu_phys(vcpu->vmcs) ||
	       *(const uint32_t *)vcpu->vmcs != (seam.model.caps.basic & VMX_BASIC_REVISION);
}

static void call_scheduled(void *epoch)
{
	scheduled_run(*(uint64_t *)epoch);
}

enum apicv seam_apicv;

void seam_start_scheduled(uint32_t cpu)
{
	uint64_t epoch = 1000000;

	seam_reset(&seam_models[1]);
	if (seam_apicv < APICV_DELIVERY)
		seam.model.caps.proc2 &= ~((uint64_t)PROC2_VIRTUAL_INTERRUPT_DELIVERY << 32);
	if (seam_apicv < APICV_POSTED)
		seam.model.caps.pin &= ~((uint64_t)PIN_POSTED_INTERRUPTS << 32);
	this_cpu->index = cpu;
	seam.tsc_step = 0;
	if (seam_run(call_scheduled, &epoch) != END_LAUNCH) {
		fprintf(stderr, "scheduled_run: %s\n", seam.text);
		abort();
	}
}

// SPDX-License-Identifier: Apache-2.0
/* What a CPU with APIC virtualization does itself for scheduled vCPUs. SDM Vol. 3C, chapter 30. */
#include "capability.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/posted.h"
#include "core/x86.h"
#include "scheduled.h"
#include "vmx.h"

#define mine (&this_cpu->scheduled)

enum apicv apicv_find(void)
{
	const uint32_t delivery = PROC2_VIRTUALIZE_X2APIC | PROC2_VIRTUAL_INTERRUPT_DELIVERY;

	if (!(vmx_adjust(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, PROC_TPR_SHADOW) & PROC_TPR_SHADOW) ||
	    (vmx_adjust(MSR_IA32_VMX_PROCBASED_CTLS2, delivery) & delivery) != delivery)
		return APICV_NONE;
	return vmx_adjust(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_POSTED_INTERRUPTS) & PIN_POSTED_INTERRUPTS ?
	               APICV_POSTED :
	               APICV_DELIVERY;
}

/* Neither the idle vCPU nor a companion has a slot. */
enum apicv vcpu_apicv(const struct vcpu *vcpu)
{
	if (!vcpu->partition->vcpu_count || !mine->vcpu[vcpu - this_cpu->vcpu].lapic.hardware)
		return APICV_NONE;
	return mine->apicv;
}

int scheduled_passes_msr(const struct vcpu *vcpu, uint32_t msr, int write)
{
	return vcpu_apicv(vcpu) &&
	       (msr == MSR_X2APIC_TPR || (write && (msr == MSR_X2APIC_EOI || msr == MSR_X2APIC_SELF)));
}

/* SDM Vol. 3C, 25.6.8, 30.1. No EOI exits: all interrupts are edges. */
void scheduled_init_apicv(struct vcpu *vcpu)
{
	const uint32_t slot = (uint32_t)(vcpu - this_cpu->vcpu);

	vmwrite(VMCS_CTRL_VIRTUAL_APIC, cpu_phys(mine->vcpu[slot].lapic.reg));
	vmwrite(VMCS_CTRL_TPR_THRESHOLD, 0);
	for (uint32_t i = 0; i < 4; i++)
		vmwrite(VMCS_CTRL_EOI_EXIT_0 + 2 * i, 0);
	vmwrite(VMCS_GUEST_INTERRUPT_STATUS, 0);
	if (mine->apicv != APICV_POSTED)
		return;
	vmwrite(VMCS_CTRL_POSTED_VECTOR, POSTED_NOTIFY_VECTOR);
	vmwrite(VMCS_CTRL_POSTED_DESCRIPTOR, core_phys(&posted_descriptor[this_cpu->index][slot]));
}

// SPDX-License-Identifier: Apache-2.0
/* How interrupts get into scheduled vCPUs: by the core, or by the CPU itself where it has APIC virtualization (SDM Vol. 3C, chapter 30). */
#include "capability.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/posted.h"
#include "core/x86.h"
#include "exit.h"
#include "scheduled.h"
#include "trace.h"
#include "vmx.h"

#define mine (&this_cpu->scheduled)

/* The CPU delivers the rest: it has to know the highest request (RVI), which it lowers itself. SDM Vol. 3C, 25.4.2, 30.2. */
static void request(struct lapic *l)
{
	const uint64_t status = vmread(VMCS_GUEST_INTERRUPT_STATUS);

	if ((int)(status & INTERRUPT_STATUS_RVI) < l->pending)
		vmwrite(VMCS_GUEST_INTERRUPT_STATUS, (status & ~INTERRUPT_STATUS_RVI) | (uint8_t)l->pending);
	for (uint32_t n = 0; CONFIG_IOAPICS && l->level && n < 4; n++) /* 30.1.4 */
		vmwrite(VMCS_CTRL_EOI_EXIT_0 + 2 * n, lapic_level_vectors(l, n));
	trace_interrupt(this_cpu->running, (uint8_t)l->pending);
	l->pending = -1;
}

/* Give the guest its highest interrupt, or an exit as soon as it can take it. */
void scheduled_inject(struct vcpu *vcpu, struct scheduled_vcpu *v)
{
	const int vector = v->lapic.pending;

	if (v->lapic.hardware) {
		if (!CONFIG_COMPANIONS || vector >= 0) /* else the window is a companion's */
			request(&v->lapic);
		return;
	}
	if (vector < 0) {
		interrupt_window(vcpu, 0);
		return;
	}
	if (!(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) ||
	    vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS) ||
	    vmread(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) {
		interrupt_window(vcpu, 1);
		return;
	}
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | (uint32_t)vector);
	lapic_deliver(&v->lapic, (uint32_t)vector);
	trace_interrupt(vcpu, (uint32_t)vector);
	interrupt_window(vcpu, v->lapic.pending >= 0);
}

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

/* SDM Vol. 3C, 25.6.8, 30.1. EOIs of level-triggered interrupts exit: request() says which those are. */
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

// SPDX-License-Identifier: Apache-2.0
/* What a scheduled vCPU does to its local APIC and to the MSRs that are switched with it. */
#include "core/cpu.h"
#include "core/x86.h"
#include "exit.h"
#include "pins.h"
#include "scheduled.h"
#include "vmx.h"
#include "xapic.h"

#define mine (&this_cpu->scheduled)
#define LONG_TICKS 1500u /* W: docs/scheduling.md */
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8ffu

/* x2APIC registers and the deadline. Returns 0 if the MSR is none of them. */
int scheduled_rdmsr(struct vcpu *vcpu, uint32_t msr)
{
	struct lapic *l = &mine->loaded->lapic;
	uint32_t low = 0, high = 0;
	uint64_t deadline;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		deadline = lapic_read_deadline(l);
		low = (uint32_t)deadline;
		high = (uint32_t)(deadline >> 32);
	} else if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST) {
		return 0;
	} else if ((CONFIG_XAPIC && !l->x2apic) || !lapic_read(l, (msr & 0xff) << 4, rdtsc(), &low)) {
		guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "RDMSR", msr);
		return 1;
	}
	if (msr == MSR_X2APIC_ICR)
		high = l->reg[LAPIC_ICR2 / 4];
	vcpu->regs[REG_RAX] = low;
	vcpu->regs[REG_RDX] = high;
	skip_instruction();
	return 1;
}

/* Would the CPU take the value? Else the write, which is repeated in root mode, would fault there. */
static int msr_takes(struct vcpu *vcpu, uint32_t msr, uint32_t high, uint32_t low)
{
	const int64_t value = (int64_t)((uint64_t)high << 32 | low);
	const uint32_t *c;

	switch (msr) {
	case MSR_LSTAR:
	case MSR_CSTAR: /* canonical; root mode has no LA57 */
		return value >> 47 == 0 || value >> 47 == -1;
	case MSR_FMASK:
		return !high;
	case MSR_TSC_AUX:
		c = vcpu_cpuid(vcpu, 0x80000001, 0);
		return !high && c && c[3] >> 27 & 1;
	default:
		return 1;
	}
}

int scheduled_wrmsr(struct vcpu *vcpu, uint32_t msr)
{
	struct scheduled_vcpu *v = mine->loaded;
	const uint32_t low = (uint32_t)vcpu->regs[REG_RAX], high = (uint32_t)vcpu->regs[REG_RDX];
	int slot;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		lapic_write_deadline(&v->lapic, (uint64_t)high << 32 | low);
		if (v->lapic.deadline < mine->next_event) /* a later one is found when the old event comes */
			mine->next_event = v->lapic.deadline;
	} else if (msr - MSR_X2APIC_FIRST > MSR_X2APIC_LAST - MSR_X2APIC_FIRST) {
		slot = switch_msr_slot(msr);
		if (slot < 0 || msr == MSR_IA32_XSS || !msr_takes(vcpu, msr, high, low))
			return 0;
		v->msr[slot] = (uint64_t)high << 32 | low;
		wrmsr(msr, v->msr[slot]);
	} else if (CONFIG_XAPIC && !v->lapic.x2apic) {
		guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "WRMSR", msr);
		return 1;
	} else if (msr == MSR_X2APIC_ICR) {
		mine->changed = 1;
		apic_write_icr(vcpu, (uint64_t)high << 32 | low); /* first: somebody waits for it */
		lapic_note_icr(&v->lapic, low, high);
		return 1;
	} else {
		const enum lapic_effect effect = high ? LAPIC_FAULT :
		                                        lapic_write(&v->lapic, (msr & 0xff) << 4, low, rdtsc());

		if (effect == LAPIC_FAULT) {
			guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "WRMSR", msr);
			return 1;
		}
		if (CONFIG_IOAPICS && effect == LAPIC_ENDED)
			pins_ended(vcpu, v->lapic.ended);
		mine->changed = 1;
	}
	skip_instruction();
	return 1;
}

/* MOV to and from CR8: the task priority. Returns 0 if it is another control register. SDM Vol. 3C, table 28-3. */
int scheduled_cr8(struct vcpu *vcpu)
{
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	const uint32_t reg = qualification >> 8 & 0xf;
	struct lapic *l = &mine->loaded->lapic;
	uint64_t value;

	if ((qualification & 0xf) != 8)
		return 0;
	if (qualification & 0x30) {
		value = l->reg[LAPIC_TPR / 4] >> 4;
		if (reg == REG_RSP)
			vmwrite(VMCS_GUEST_RSP, value);
		else
			vcpu->regs[reg] = value;
		mine->reload = 1;
	} else {
		value = reg == REG_RSP ? vmread(VMCS_GUEST_RSP) : vcpu->regs[reg];
		if (value > 15) {
			inject_exception(vcpu, VECTOR_GP, 0);
			return 1;
		}
		lapic_write(l, LAPIC_TPR, (uint32_t)value << 4, 0);
		mine->changed = 1;
	}
	skip_instruction();
	return 1;
}

void scheduled_note_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu; /* the one that runs */
	mine->loaded->msr[switch_msr_slot(msr)] = value;
}

/* So that no decision comes on top of the longest work for a guest. It waits for one edge: behind that it gets on, however near the next is. */
int scheduled_edge_is_near(void)
{
	uint64_t *const edge = &mine->loaded->edge;

	if (rdtsc() + LONG_TICKS <= mine->until || (*edge && *edge != mine->until)) {
		*edge = 0;
		return 0;
	}
	*edge = mine->until;
	return 1;
}

void scheduled_accept(uint32_t vector)
{
	lapic_accept(&mine->loaded->lapic, vector);
	mine->changed = 1;
}

void scheduled_reset_apic(struct vcpu *vcpu)
{
	struct scheduled_vcpu *v = &mine->vcpu[vcpu - this_cpu->vcpu];

	lapic_reset(&v->lapic, vcpu->partition->vcpus[vcpu->index].apic_id, v->lapic.count_ticks);
	if (v->lapic.hardware)
		vmwrite(VMCS_GUEST_INTERRUPT_STATUS, 0);
	if (CONFIG_XAPIC)
		xapic_note_logical(vcpu);
	v->halted = NOT_HALTED;
	mine->reload = 1; /* the other registers have changed, too */
}

// SPDX-License-Identifier: Apache-2.0
#include "startup.h"

#include "companion.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/posted.h"
#include "core/x86.h"
#include "cr.h"
#include "exit.h"
#include "health.h"
#include "vmx.h"

/* Access rights in real mode after INIT (SDM Vol. 3A, table 9-1): code, data, LDT, busy 16-bit or 32-bit TSS. */
#define ACCESS_REAL_CODE 0x9bu
#define ACCESS_REAL_DATA 0x93u
#define ACCESS_LDT 0x82u
#define ACCESS_TSS32 0x8bu

uint32_t startup_events[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];
/* EVENT_SIPI and the vector of the one that counts: the first since INIT. A word of its own, so that a second SIPI, which guests
 * send as a rule, cannot change it while the target looks. */
static uint32_t sipi[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

void startup_post(const struct config_vcpu *to, uint32_t events)
{
	__atomic_or_fetch(&startup_events[to->cpu][to->slot], events, __ATOMIC_SEQ_CST);
	if (cpu_is_scheduled(to->cpu))
		posted_wake(to->cpu, to->slot);
	else
		attention_kick(to->cpu);
}

void startup_send(const struct vcpu *from, uint32_t target, uint32_t bits)
{
	const struct config_vcpu *to = &from->partition->vcpus[target];
	uint32_t *first = &sipi[to->cpu][to->slot], none = 0;

	if (bits & EVENT_INIT)
		__atomic_store_n(first, 0, __ATOMIC_SEQ_CST);
	if (bits & EVENT_SIPI)
		__atomic_compare_exchange_n(first, &none, bits & (EVENT_SIPI | EVENT_SIPI_VECTOR), 0, __ATOMIC_SEQ_CST,
		                            __ATOMIC_SEQ_CST);
	startup_post(to, bits & ~EVENT_SIPI_VECTOR);
}

/* State after INIT, SDM Vol. 3A, table 9-1. */
static void reset(struct vcpu *vcpu)
{
	uint32_t *c;

	for (uint32_t s = SEGMENT_ES; s <= SEGMENT_GS; s++)
		vmcs_segment(s, 0, 0, 0xffff, s == SEGMENT_CS ? ACCESS_REAL_CODE : ACCESS_REAL_DATA);
	vmcs_segment(SEGMENT_LDTR, 0, 0, 0xffff, ACCESS_LDT);
	vmcs_segment(SEGMENT_TR, 0, 0, 0xffff, ACCESS_TSS32);
	vmwrite(VMCS_GUEST_GDTR_BASE, 0);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
	vmwrite(VMCS_GUEST_IDTR_BASE, 0);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
	vmwrite(VMCS_GUEST_RIP, 0);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_CR3, 0);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_EFER, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
	vmwrite(VMCS_CTRL_ENTRY, vmread(VMCS_CTRL_ENTRY) & ~(uint64_t)ENTRY_IA32E_MODE_GUEST);
	/* An NMI that still waits would end the wait for the SIPI. */
	vcpu->nmi_pending = 0;
	vcpu->proc_controls &= ~PROC_NMI_WINDOW_EXITING;
	vmwrite(VMCS_CTRL_PROC, vcpu->proc_controls);
	vcpu_reset_control_registers(vcpu);
	memset(vcpu->regs, 0, sizeof vcpu->regs);
	if ((c = vcpu_cpuid(vcpu, 1, 0))) {
		c[2] &= ~(1u << 27); /* OSXSAVE mirrors CR4 */
		vcpu->regs[REG_RDX] = c[0];
	}
	if (invvpid(INVVPID_SINGLE_CONTEXT, vcpu_vpid(vcpu), 0))
		vmx_failed("INVVPID", vcpu_vpid(vcpu));
	vcpu->waiting = 1;
}

static void start(struct vcpu *vcpu, uint32_t vector)
{
	vmcs_segment(SEGMENT_CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xffff, ACCESS_REAL_CODE);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vcpu->waiting = 0;
	if (CONFIG_HEALTH && vcpu->unclean)
		clean_registers(vcpu);
}

/* Wait-for-SIPI would block the NMIs by which the core gets at this CPU: the vCPU waits in HLT state, with IF = 0. */
void startup_wait(struct vcpu *vcpu)
{
	reset(vcpu);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_HLT);
}

int startup_take(struct vcpu *vcpu)
{
	const uint32_t slot = (uint32_t)(vcpu - this_cpu->vcpu);
	uint32_t bits, first;

	if (!startup_left(vcpu))
		return !vcpu->waiting;
	bits = __atomic_exchange_n(&startup_events[this_cpu->index][slot], 0, __ATOMIC_SEQ_CST);
	if (CONFIG_HEALTH && bits & EVENT_RESET)
		clean_park(vcpu);
	if (CONFIG_COMPANIONS && bits & EVENT_COMPANION)
		vcpu->companion->timer = 0; /* due now */
	if (bits & EVENT_INIT) {
		startup_wait(vcpu);
		vcpu_reset_apic(vcpu);
	}
	first = bits & EVENT_SIPI ? __atomic_exchange_n(&sipi[this_cpu->index][slot], 0, __ATOMIC_SEQ_CST) : 0;
	if (first && vcpu->waiting)
		start(vcpu, first & EVENT_SIPI_VECTOR);
	if (bits & EVENT_NMI && !vcpu->waiting)
		inject_nmi(vcpu);
	return !vcpu->waiting;
}

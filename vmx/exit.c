// SPDX-License-Identifier: Apache-2.0
/* The exit dispatcher: a table of handlers by basic exit reason. What is not in it is the guest's error. */
#include "exit.h"

#include "core/console.h"
#include "core/core.h"
#include "core/panic.h"
#include "core/x86.h"
#include "vmx.h"

/* Behind the instruction that caused this exit. A single step over it traps like one over any other
 * (SDM Vol. 3C, 27.3.1.5: BS goes with TF); blocking by STI or MOV SS may then last one instruction longer, which no guest can tell. */
static void skip_instruction(void)
{
	vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
	if (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

static void arm_preemption(struct vcpu *vcpu, uint32_t ticks)
{
	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls | PIN_PREEMPTION_TIMER);
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, ticks);
	vcpu->preemption_armed = 1;
}

/* While the serial line has not taken all text, this vCPU's CPU looks again each millisecond: who prints, pays. */
void console_follow_up(struct vcpu *vcpu)
{
	if (console_pump() && !vcpu->preemption_armed)
		arm_preemption(vcpu, (uint32_t)(tsc_khz >> (rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT)));
}

static enum exit_action exit_preemption_timer(struct vcpu *vcpu)
{
	panic_check();
	vcpu->preemption_armed = 0;
	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls);
	console_follow_up(vcpu);
	return EXIT_RESUME;
}

/* An IRET that faulted had ended NMI blocking already: it must be as if it had not run (28.2.3). */
static void restore_nmi_blocking(uint32_t was_iret)
{
	if (was_iret && !(vmread(VMCS_IDT_VECTORING_INFO) & INTERRUPTION_VALID))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKING_BY_NMI);
}

/*
 * NMI: the core's attention. #DB and #AC are intercepted because a guest can make their delivery raise them
 * again for ever, with no instruction boundary at which an NMI could get in; they go back to the guest. #MC ends the machine.
 */
static enum exit_action exit_exception_or_nmi(struct vcpu *vcpu)
{
	const uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO), vector = info & INTERRUPTION_VECTOR;
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);

	if ((info & INTERRUPTION_TYPE) == INTERRUPTION_NMI) {
		panic_check();
		return EXIT_RESUME;
	}
	restore_nmi_blocking(info & INTERRUPTION_NMI_UNBLOCKING);
	switch (vector) {
	case VECTOR_DB: /* the exit leaves DR6 and DR7.GD to us (28.1, 26.4.2) */
		write_dr6((read_dr6() & ~0xfull) | (qualification & 0x600f));
		if (qualification & 1u << 13)
			vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~(1ull << 13));
		inject_exception(vcpu, VECTOR_DB, 0);
		return EXIT_RESUME;
	case VECTOR_AC:
		inject_exception(vcpu, VECTOR_AC, (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_ERROR));
		return EXIT_RESUME;
	default:
		panic("machine check or unexpected exception in a guest, interruption information %x", info);
	}
}

static enum exit_action exit_triple_fault(struct vcpu *vcpu)
{
	return guest_error(vcpu, ERROR_TRIPLE_FAULT, 0, "shutdown, cr3", vmread(VMCS_GUEST_CR3));
}

static enum exit_action exit_ept_violation(struct vcpu *vcpu)
{
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	const char *what = qualification & EPT_VIOLATION_WRITE ? "write to guest-physical" :
	                   qualification & EPT_VIOLATION_FETCH ? "fetch from guest-physical" :
	                                                         "read of guest-physical";

	restore_nmi_blocking(qualification & EPT_VIOLATION_NMI_UNBLOCKING);
	return guest_error(vcpu, ERROR_MEMORY, VECTOR_GP, what, vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
}

static enum exit_action exit_ept_misconfiguration(struct vcpu *vcpu)
{
	(void)vcpu;
	panic("EPT misconfiguration at guest-physical %lx", vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
}

/* Caches are shared with the neighbours: WBINVD would flush theirs, INVD would lose their data. Nothing to do for memory that is coherent. */
static enum exit_action exit_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
	return EXIT_NEXT;
}

/* Instructions that do not exist in this guest: VMX, SMX, MONITOR and MWAIT, SGX. CPUID hides them. */
static enum exit_action exit_undefined(struct vcpu *vcpu)
{
	return guest_error(vcpu, ERROR_INSTRUCTION, VECTOR_UD, "instruction, exit reason", vmread(VMCS_EXIT_REASON));
}

static enum exit_action exit_rdpmc(struct vcpu *vcpu)
{
	inject_exception(vcpu, VECTOR_GP, 0); /* as a CPU without that counter */
	return EXIT_RESUME;
}

static enum exit_action exit_unknown(struct vcpu *vcpu)
{
	return guest_error(vcpu, ERROR_EXIT, VECTOR_UD, "VM exit, reason", vmread(VMCS_EXIT_REASON));
}

static exit_handler *const handlers[EXIT_REASONS_COUNTED] = {
	[EXIT_REASON_EXCEPTION_OR_NMI] = exit_exception_or_nmi,
	[EXIT_REASON_TRIPLE_FAULT] = exit_triple_fault,
	[EXIT_REASON_INIT_SIGNAL] = exit_unknown, /* nobody sends INIT to a running core: the ICR is filtered */
	[EXIT_REASON_SIPI] = exit_unknown,
	[EXIT_REASON_NMI_WINDOW] = exit_nmi_window,
	[EXIT_REASON_TASK_SWITCH] = exit_unknown, /* hardware task switching is not offered */
	[EXIT_REASON_CPUID] = exit_cpuid,
	[EXIT_REASON_GETSEC] = exit_undefined,
	[EXIT_REASON_INVD] = exit_nothing,
	[EXIT_REASON_RDPMC] = exit_rdpmc,
	[EXIT_REASON_VMCALL] = exit_vmcall,
	[EXIT_REASON_VMCLEAR] = exit_undefined,
	[EXIT_REASON_VMLAUNCH] = exit_undefined,
	[EXIT_REASON_VMPTRLD] = exit_undefined,
	[EXIT_REASON_VMPTRST] = exit_undefined,
	[EXIT_REASON_VMREAD] = exit_undefined,
	[EXIT_REASON_VMRESUME] = exit_undefined,
	[EXIT_REASON_VMWRITE] = exit_undefined,
	[EXIT_REASON_VMXOFF] = exit_undefined,
	[EXIT_REASON_VMXON] = exit_undefined,
	[EXIT_REASON_CR_ACCESS] = exit_cr_access,
	[EXIT_REASON_IO] = exit_io,
	[EXIT_REASON_RDMSR] = exit_rdmsr,
	[EXIT_REASON_WRMSR] = exit_wrmsr,
	[EXIT_REASON_MWAIT] = exit_undefined,
	[EXIT_REASON_MONITOR] = exit_undefined,
	[EXIT_REASON_EPT_VIOLATION] = exit_ept_violation,
	[EXIT_REASON_EPT_MISCONFIGURATION] = exit_ept_misconfiguration,
	[EXIT_REASON_INVEPT] = exit_undefined,
	[EXIT_REASON_INVVPID] = exit_undefined,
	[EXIT_REASON_PREEMPTION_TIMER] = exit_preemption_timer,
	[EXIT_REASON_WBINVD] = exit_nothing,
	[EXIT_REASON_XSETBV] = exit_xsetbv,
	[EXIT_REASON_VMFUNC] = exit_undefined,
	[EXIT_REASON_ENCLS] = exit_undefined,
	[EXIT_REASON_PCONFIG] = exit_undefined,
};

/* The CPU refused the guest's state. A guest may have brought it about (a RIP beyond its code segment,
 * say), so it is the guest that ends; anything else about an entry is a core bug. */
static void entry_failed(struct vcpu *vcpu, uint32_t reason)
{
	if ((reason & EXIT_REASON_BASIC) != EXIT_REASON_ENTRY_GUEST_STATE)
		panic("VM entry failed, exit reason %x, qualification %lx", reason, vmread(VMCS_EXIT_QUALIFICATION));
	guest_error(vcpu, ERROR_EXIT, VECTOR_UD, "guest state, qualification", vmread(VMCS_EXIT_QUALIFICATION));
	vcpu_stop(vcpu, "its state cannot be entered");
}

struct vcpu *vmx_exit(struct vcpu *vcpu)
{
	const uint64_t start = rdtsc();
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);
	exit_handler *handler = exit_unknown;
	uint64_t spent;

	if (__builtin_expect(reason & EXIT_REASON_ENTRY_FAILURE, 0))
		entry_failed(vcpu, reason);
	if (__builtin_expect(reason < EXIT_REASONS_COUNTED, 1)) {
		vcpu->count[reason]++;
		if (handlers[reason])
			handler = handlers[reason];
	}
	if (handler(vcpu) == EXIT_NEXT)
		skip_instruction();
	spent = rdtsc() - start;
	if (spent > vcpu->worst)
		vcpu->worst = spent;
	return vcpu;
}

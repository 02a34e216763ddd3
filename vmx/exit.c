// SPDX-License-Identifier: Apache-2.0
/* The exit dispatcher: a table of handlers by basic exit reason. What is not in it is the guest's error. */
#include "exit.h"

#include "capability.h"
#include "counters.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/panic.h"
#include "core/seal.h"
#include "core/x86.h"
#include "health.h"
#include "mmio.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"

_Static_assert(__builtin_offsetof(struct vcpu, start) == 128 && __builtin_offsetof(struct vcpu, worst) == 132,
               "vmx/exit.asm");

/*
 * While it is armed, the preemption timer goes on at an entry from where it was at the exit (SDM Vol. 3C, 25.7.1), so that it also fires in a guest that
 * exits all the time. Not for the master of a companion: its timer is set at each entry.
 */
static void keep_preemption_timer(const struct vcpu *vcpu, int on)
{
	const uint32_t save = EXIT_SAVE_PREEMPTION_TIMER &
	                      vmx_adjust(MSR_IA32_VMX_TRUE_EXIT_CTLS, EXIT_SAVE_PREEMPTION_TIMER);
	const uint64_t controls = vmread(VMCS_CTRL_EXIT) & ~(uint64_t)EXIT_SAVE_PREEMPTION_TIMER;

	if (!CONFIG_COMPANIONS || !vcpu->companion)
		vmwrite(VMCS_CTRL_EXIT, on ? controls | save : controls);
}

static void arm_preemption(struct vcpu *vcpu, uint64_t ticks)
{
	const uint64_t steps = ticks >> (rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT);

	keep_preemption_timer(vcpu, 1);
	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls | PIN_PREEMPTION_TIMER);
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, steps < UINT32_MAX ? steps : UINT32_MAX);
}

/* The timer for the next sign of life of a partition whose vCPU 0 has this CPU: no exit before, unless text waits. */
void watch_heartbeat(struct vcpu *vcpu)
{
	const uint64_t now = rdtsc(), due = CONFIG_HEARTBEATS ? health_heartbeat_due(vcpu, now) : 0;

	if (due && !vcpu->preemption_armed)
		arm_preemption(vcpu, due - now);
}

/* Text waits: this vCPU's CPU sees to it by and by. Who prints, pays. */
void console_follow_up(struct vcpu *vcpu)
{
	if (cpu_is_scheduled(this_cpu->index))
		scheduled_console_due();
	else if (!vcpu->preemption_armed) {
		arm_preemption(vcpu, CONSOLE_PAUSE);
		vcpu->preemption_armed = 1;
	}
}

static void exit_preemption_timer(struct vcpu *vcpu)
{
	vcpu->preemption_armed = 0;
	keep_preemption_timer(vcpu, 0);
	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls);
	attention();
	startup_take(vcpu);
	if (CONFIG_HEARTBEATS)
		watch_heartbeat(vcpu);
	if (CONFIG_HEALTH)
		health_attend(vcpu);
	attention_tell();
	if (console_pump())
		console_follow_up(vcpu);
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
static void exit_exception_or_nmi(struct vcpu *vcpu)
{
	const uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO), vector = info & INTERRUPTION_VECTOR;
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);

	if ((info & INTERRUPTION_TYPE) == INTERRUPTION_NMI) {
		attention();
		if (!cpu_is_scheduled(this_cpu->index))
			startup_take(vcpu);
		console_follow_up(vcpu);
		if (CONFIG_HEALTH && !cpu_is_scheduled(this_cpu->index))
			health_attend(vcpu);
		return;
	}
	restore_nmi_blocking(info & INTERRUPTION_NMI_UNBLOCKING);
	switch (vector) {
	case VECTOR_DB: /* the exit leaves DR6 and DR7.GD to us (28.1, 26.4.2) */
		write_dr6((read_dr6() & ~0xfull) | (qualification & 0x600f));
		if (qualification & 1u << 13)
			vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~(1ull << 13));
		/* INT1 is a trap, but its exit shows the instruction itself: the handler is to return behind it. */
		if ((info & INTERRUPTION_TYPE) == INTERRUPTION_PRIVILEGED_EXCEPTION)
			vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
		inject_exception(vcpu, VECTOR_DB, 0);
		return;
	case VECTOR_AC:
		inject_exception(vcpu, VECTOR_AC, (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_ERROR));
		return;
	default:
		panic("machine check or unexpected exception in a guest, interruption information %x", info);
	}
}

static void exit_triple_fault(struct vcpu *vcpu)
{
	guest_error_skip(vcpu, ERROR_TRIPLE_FAULT, 0, "shutdown, cr3", vmread(VMCS_GUEST_CR3));
}

static void exit_ept_violation(struct vcpu *vcpu)
{
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	const char *what = qualification & EPT_VIOLATION_WRITE ? "write to guest-physical" :
	                   qualification & EPT_VIOLATION_FETCH ? "fetch from guest-physical" :
	                                                         "read of guest-physical";

	restore_nmi_blocking(qualification & EPT_VIOLATION_NMI_UNBLOCKING);
	if (CONFIG_MMIO && mmio_access(vcpu, qualification))
		return;
	/* The qualification's lowest bits are those of the rights. */
	if (CONFIG_SEALS && seal_denies(vcpu->partition_index, vmread(VMCS_GUEST_PHYSICAL_ADDRESS), qualification & 7))
		guest_error_skip(vcpu, ERROR_SEAL, VECTOR_GP, what, vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
	else
		guest_error_skip(vcpu, ERROR_MEMORY, VECTOR_GP, what, vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
}

static void exit_ept_misconfiguration(struct vcpu *vcpu)
{
	(void)vcpu;
	panic("EPT misconfiguration at guest-physical %lx", vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
}

/* Caches are shared with the neighbours: WBINVD would flush theirs, INVD would lose their data. Nothing to do for memory that is coherent. */
static void exit_nothing(struct vcpu *vcpu)
{
	(void)vcpu;
	skip_instruction();
}

/* Instructions that do not exist in this guest: VMX, SMX, MONITOR and MWAIT, SGX. CPUID hides them. */
static void exit_undefined(struct vcpu *vcpu)
{
	guest_error_skip(vcpu, ERROR_INSTRUCTION, VECTOR_UD, "instruction, exit reason", vmread(VMCS_EXIT_REASON));
}

static void exit_rdpmc(struct vcpu *vcpu)
{
	inject_exception(vcpu, VECTOR_GP, 0); /* as a CPU without that counter */
}

static void exit_unknown(struct vcpu *vcpu)
{
	guest_error_skip(vcpu, ERROR_EXIT, VECTOR_UD, "VM exit, reason", vmread(VMCS_EXIT_REASON));
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
	/* Never switched on, or of no use to a guest; a gap in the SDM's numbers is one too. */
	[EXIT_REASON_EXTERNAL_INTERRUPT] = exit_unknown,
	[EXIT_REASON_IO_SMI] = exit_unknown,
	[EXIT_REASON_OTHER_SMI] = exit_unknown,
	[EXIT_REASON_INTERRUPT_WINDOW] = exit_unknown,
	[EXIT_REASON_HLT] = exit_unknown,
	[EXIT_REASON_INVLPG] = exit_unknown,
	[EXIT_REASON_RDTSC] = exit_unknown,
	[EXIT_REASON_RSM] = exit_unknown,
	[EXIT_REASON_MOV_DR] = exit_unknown,
	[EXIT_REASON_ENTRY_GUEST_STATE] = exit_unknown,
	[EXIT_REASON_ENTRY_MSR_LOADING] = exit_unknown,
	[EXIT_REASON_MONITOR_TRAP_FLAG] = exit_unknown,
	[EXIT_REASON_PAUSE] = exit_unknown,
	[EXIT_REASON_ENTRY_MACHINE_CHECK] = exit_unknown,
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = exit_unknown,
	[EXIT_REASON_APIC_ACCESS] = exit_unknown,
	[EXIT_REASON_VIRTUALIZED_EOI] = exit_unknown,
	[EXIT_REASON_GDTR_IDTR_ACCESS] = exit_unknown,
	[EXIT_REASON_LDTR_TR_ACCESS] = exit_unknown,
	[EXIT_REASON_RDTSCP] = exit_unknown,
	[EXIT_REASON_APIC_WRITE] = exit_unknown,
	[EXIT_REASON_RDRAND] = exit_unknown,
	[EXIT_REASON_INVPCID] = exit_unknown,
	[EXIT_REASON_RDSEED] = exit_unknown,
	[EXIT_REASON_PML_FULL] = exit_unknown,
	[EXIT_REASON_XSAVES] = exit_unknown,
	[EXIT_REASON_XRSTORS] = exit_unknown,
	[EXIT_REASON_SPP_EVENT] = exit_unknown,
	[EXIT_REASON_UMWAIT] = exit_unknown,
	[EXIT_REASON_TPAUSE] = exit_unknown,
	[EXIT_REASON_LOADIWKEY] = exit_unknown,
	[EXIT_REASON_ENCLV] = exit_unknown,
	[EXIT_REASON_ENQCMD_PASID] = exit_unknown,
	[EXIT_REASON_ENQCMDS_PASID] = exit_unknown,
	[EXIT_REASON_BUS_LOCK] = exit_unknown,
	[EXIT_REASON_INSTRUCTION_TIMEOUT] = exit_unknown,
	[EXIT_REASON_SEAMCALL] = exit_unknown,
	[EXIT_REASON_TDCALL] = exit_unknown,
	[EXIT_REASON_RDMSRLIST] = exit_unknown,
	[EXIT_REASON_WRMSRLIST] = exit_unknown,
	[35] = exit_unknown,
	[38] = exit_unknown,
	[42] = exit_unknown,
	[71] = exit_unknown,
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

/* A failed entry, or a reason that came with a newer CPU. Out of the way of the others. */
static __attribute__((noinline)) void exit_not_counted(struct vcpu *vcpu, uint32_t reason)
{
	if (reason & EXIT_REASON_ENTRY_FAILURE)
		entry_failed(vcpu, reason);
	exit_unknown(vcpu);
}

void vmx_exit(struct vcpu *vcpu)
{
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);

	if (__builtin_expect(reason < EXIT_REASONS_COUNTED, 1)) {
		vcpu->count[reason]++;
		handlers[reason](vcpu);
	} else {
		exit_not_counted(vcpu, reason);
	}
	counters_note(vcpu, BH_COUNTER_WORST, vcpu->worst);
	trace_dedicated_entry(vcpu, reason);
}

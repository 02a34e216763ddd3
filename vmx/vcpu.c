// SPDX-License-Identifier: Apache-2.0
/*
 * A vCPU's VMCS: what we want set stands beside the capability MSR it is merged with. SDM Vol. 3C, chapters 25 and 27.
 */
#include "vcpu.h"

#include "capability.h"
#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/panic.h"
#include "core/x86.h"
#include "counters.h"
#include "cr.h"
#include "exit.h"
#include "health.h"
#include "vmx.h"

/* External-interrupt exiting is off: interrupts, timer and EOI of a dedicated core are the guest's. */
#define WANT_PIN (PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)
/* A scheduled vCPU owns neither interrupts nor time. */
#define WANT_PIN_SCHEDULED (WANT_PIN | PIN_EXTERNAL_INTERRUPT_EXITING | PIN_PREEMPTION_TIMER)
#define WANT_PROC                                                                                                 \
	(PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY_CONTROLS | PROC_RDPMC_EXITING | PROC_MWAIT_EXITING | \
	 PROC_MONITOR_EXITING)
/* CR8 is the task priority of its virtual APIC; the real one would hold back the interrupts of the next vCPU. */
#define WANT_PROC_SCHEDULED (WANT_PROC | PROC_HLT_EXITING | PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING)
/* Unless the CPU delivers interrupts itself: then CR8 is in the virtual-APIC page. */
#define WANT_PIN_POSTED (WANT_PIN_SCHEDULED | PIN_POSTED_INTERRUPTS)
#define WANT_PROC_DELIVERY (WANT_PROC | PROC_HLT_EXITING | PROC_TPR_SHADOW)
#define WANT_PROC2 (PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID | PROC2_WBINVD_EXITING)
/* Better with than without: SGX and PCONFIG instructions exit instead of running. */
#define LIKE_PROC2 (PROC2_ENCLS_EXITING | PROC2_PCONFIG | PROC2_CONCEAL_VMX_FROM_PT)
#define WANT_EXIT                                                                                                   \
	(EXIT_HOST_ADDRESS_SPACE_SIZE | EXIT_SAVE_DEBUG_CONTROLS | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | \
	 EXIT_LOAD_EFER)
#define WANT_ENTRY (ENTRY_IA32E_MODE_GUEST | ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define EXCEPTIONS (1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC)

/* Access rights of the first segments: 64-bit code, flat data, a busy 64-bit TSS, none (SDM Vol. 3C, 25.4.1). */
#define ACCESS_CODE64 0xa09bu
#define ACCESS_DATA 0xc093u
#define ACCESS_TSS64 0x8bu

static void control(uint32_t field, uint32_t msr, uint32_t want, const char *name)
{
	const uint32_t value = vmx_adjust(msr, want);

	if ((value & want) != want)
		panic("%s controls: wanted %x, the CPU allows %x of them", name, want, value & want);
	vmwrite(field, value);
}

static void init_controls(struct vcpu *vcpu)
{
	uint32_t wish = LIKE_PROC2 & vmx_adjust(MSR_IA32_VMX_PROCBASED_CTLS2, LIKE_PROC2);
	uint32_t pin = WANT_PIN, proc = WANT_PROC;
	const int scheduled = cpu_is_scheduled(this_cpu->index);
	const enum apicv apicv = scheduled ? vcpu_apicv(vcpu) : APICV_NONE;

	if (scheduled) {
		pin = apicv == APICV_POSTED ? WANT_PIN_POSTED : WANT_PIN_SCHEDULED;
		proc = apicv ? WANT_PROC_DELIVERY : WANT_PROC_SCHEDULED;
		wish |= apicv ? PROC2_VIRTUALIZE_X2APIC | PROC2_VIRTUAL_INTERRUPT_DELIVERY : 0;
	}
	control(VMCS_CTRL_PIN, MSR_IA32_VMX_TRUE_PINBASED_CTLS, pin, "pin-based");
	control(VMCS_CTRL_PROC, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, proc, "processor-based");
	control(VMCS_CTRL_PROC2, MSR_IA32_VMX_PROCBASED_CTLS2, WANT_PROC2 | wish | visible_features(vcpu).control,
	        "secondary");
	if (apicv)
		scheduled_init_apicv(vcpu);
	control(VMCS_CTRL_EXIT, MSR_IA32_VMX_TRUE_EXIT_CTLS,
	        scheduled ? WANT_EXIT | EXIT_ACKNOWLEDGE_INTERRUPT : WANT_EXIT, "VM-exit");
	control(VMCS_CTRL_ENTRY, MSR_IA32_VMX_TRUE_ENTRY_CTLS, WANT_ENTRY, "VM-entry");
	vcpu->pin_controls = (uint32_t)vmread(VMCS_CTRL_PIN);
	vcpu->proc_controls = (uint32_t)vmread(VMCS_CTRL_PROC);
	vmwrite(VMCS_CTRL_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_CTRL_PF_MASK, 0);
	vmwrite(VMCS_CTRL_PF_MATCH, 0);
	vmwrite(VMCS_CTRL_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_CTRL_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_CTRL_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_CTRL_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
	vmwrite(VMCS_CTRL_MSR_BITMAPS, cpu_phys(vcpu->msr_bitmap));
	vmwrite(VMCS_CTRL_IO_BITMAP_A, cpu_phys(vcpu->io_bitmap));
	vmwrite(VMCS_CTRL_IO_BITMAP_B, cpu_phys(vcpu->io_bitmap + 4096));
	vmwrite(VMCS_CTRL_EPTP, ept_pointer[vcpu->partition_index]);
	vmwrite(VMCS_CTRL_VPID, vcpu_vpid(vcpu));
	if (vmread(VMCS_CTRL_PROC2) & PROC2_XSAVES)
		vmwrite(VMCS_CTRL_XSS_EXITING, 0);
	if (wish & PROC2_ENCLS_EXITING)
		vmwrite(VMCS_CTRL_ENCLS_EXITING, ~0ull);
	if (wish & PROC2_PCONFIG)
		vmwrite(VMCS_CTRL_PCONFIG_EXITING, ~0ull);
}

static void init_host_state(struct vcpu *vcpu)
{
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_CS_SELECTOR, SEL_CODE);
	vmwrite(VMCS_HOST_SS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_DS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_ES_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_FS_SELECTOR, 0);
	vmwrite(VMCS_HOST_GS_SELECTOR, 0);
	vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, 0);
	vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&this_cpu->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, (uint64_t)this_cpu->gdt);
	vmwrite(VMCS_HOST_IDTR_BASE, (uint64_t)core_idt);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_PAT, PAT_RESET);
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
	vmwrite(VMCS_HOST_RSP, (uint64_t)&vcpu->regs[REG_COUNT]);
	vmwrite(VMCS_HOST_RIP,
	        (uint64_t)(cpu_is_scheduled(this_cpu->index) ? vmx_exit_entry_scheduled : vmx_exit_entry));
}

void vmcs_segment(uint32_t number, uint16_t selector, uint64_t base, uint32_t limit, uint32_t access)
{
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * number, selector);
	vmwrite(VMCS_GUEST_ES_BASE + 2 * number, base);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * number, limit);
	vmwrite(VMCS_GUEST_ES_ACCESS + 2 * number, access);
}

void vcpu_init_guest_state(struct vcpu *vcpu, const struct config_entry *entry)
{
	vmcs_segment(SEGMENT_CS, 0x10, 0, 0xffffffff, ACCESS_CODE64);
	for (uint32_t s = SEGMENT_ES; s <= SEGMENT_GS; s++)
		if (s != SEGMENT_CS)
			vmcs_segment(s, 0x18, 0, 0xffffffff, ACCESS_DATA);
	vmcs_segment(SEGMENT_LDTR, 0, 0, 0, ACCESS_UNUSABLE);
	vmcs_segment(SEGMENT_TR, 0, 0, 0x67, ACCESS_TSS64);
	vmwrite(VMCS_GUEST_GDTR_BASE, entry->gdt_base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, entry->gdt_limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, 0);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, 0);
	vmwrite(VMCS_GUEST_RIP, entry->rip);
	vmwrite(VMCS_GUEST_RSP, entry->rsp);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(VMCS_GUEST_CR3, entry->cr3);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_EFER, EFER_LME | EFER_LMA);
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_VMCS_LINK, ~0ull);
	vcpu->regs[REG_RSI] = entry->rsi;
	vcpu->regs[REG_RDI] = entry->rdi;
}

static void load_vmcs(struct vcpu *vcpu)
{
	const uint64_t phys = cpu_phys(vcpu->vmcs);

	*(uint32_t *)vcpu->vmcs = (uint32_t)(rdmsr(MSR_IA32_VMX_BASIC) & VMX_BASIC_REVISION);
	if (vmclear(phys))
		vmx_failed("VMCLEAR", phys);
	if (vmptrld(phys))
		vmx_failed("VMPTRLD", phys);
}

void vcpu_init(struct vcpu *vcpu, uint16_t partition, uint16_t index)
{
	memset(vcpu, 0, sizeof *vcpu);
	vcpu->partition = &config.partitions[partition];
	vcpu->partition_index = partition;
	vcpu->index = index;
	counters_init(vcpu);
	if (index == 0)
		uart_init(partition);
	vcpu_init_cpuid(vcpu);
	vcpu_init_msr_bitmap(vcpu);
	vcpu_init_io_bitmap(vcpu);
	load_vmcs(vcpu);
	init_controls(vcpu);
	init_host_state(vcpu);
	vcpu_init_guest_state(vcpu, &vcpu->partition->entry);
	vcpu_init_control_registers(vcpu);
}

void vcpu_init_idle(struct vcpu *vcpu, uint64_t empty_ept)
{
	static const struct config_partition nobody = { .name = "idle" }; /* no rights, no features */

	memset(vcpu, 0, sizeof *vcpu);
	vcpu->partition = &nobody;
	counters_init(vcpu);
	memset(vcpu->msr_bitmap, 0xff, sizeof vcpu->msr_bitmap);
	memset(vcpu->io_bitmap, 0xff, sizeof vcpu->io_bitmap);
	load_vmcs(vcpu);
	init_controls(vcpu);
	vmwrite(VMCS_CTRL_EPTP, empty_ept);
	init_host_state(vcpu);
	vcpu_init_guest_state(vcpu, &nobody.entry);
	vcpu_init_control_registers(vcpu);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_HLT);
	/* External interrupts exit from HLT whatever IF says; Bochs wants it to be set. None is ever delivered here. */
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
}

void vcpu_run(struct vcpu *vcpu)
{
	vcpu->state = VCPU_RUNNING;
	this_cpu->running = vcpu;
	vcpu->entered = rdtsc();
	counters_note(vcpu, BH_COUNTER_START_TSC, vcpu->entered);
	vmx_launch(vcpu);
}

void vcpu_stop(struct vcpu *vcpu, const char *why)
{
	if (!CONFIG_HEALTH)
		vcpu->state = VCPU_STOPPED;
	audit(AUDIT_SAFETY, AUDIT_STOP, vcpu->partition_index, vcpu->index, vcpu_exits(vcpu));
	if (!CONFIG_HEALTH && !cpu_is_scheduled(this_cpu->index))
		cpu_quiet_apic();
	print("%s: vCPU %u stopped: %s, after %lu exits, longest stay in root mode %u ticks\n", vcpu->partition->name,
	      vcpu->index, why, vcpu_exits(vcpu), vcpu->worst);
	if (CONFIG_HEALTH)
		health_end(vcpu, HEALTH_CALL);
	if (cpu_is_scheduled(this_cpu->index)) {
		console_follow_up(vcpu);
		scheduled_stop(vcpu);
	}
	this_cpu->running = 0;
	if (vmclear(cpu_phys(vcpu->vmcs)))
		vmx_failed("VMCLEAR", cpu_phys(vcpu->vmcs));
	cpu_sleep();
}

uint64_t vcpu_rip(void)
{
	return vmread(VMCS_GUEST_RIP);
}

uint64_t vcpu_exits(const struct vcpu *vcpu)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < EXIT_REASONS_COUNTED; i++)
		sum += vcpu->count[i];
	return sum;
}

void vmx_failed(const char *instruction, uint64_t operand)
{
	uint64_t error = 0;

	__asm__ volatile("vmread %1, %0" : "+r"(error) : "r"((uint64_t)VMCS_INSTRUCTION_ERROR) : "cc");
	panic("%s failed, operand %lx, VM-instruction error %lu", instruction, operand, error);
}

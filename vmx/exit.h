// SPDX-License-Identifier: Apache-2.0
/*
 * Handlers of VM exits and what they share. All run in root mode with interrupts off, on the vCPU's CPU, with its VMCS
 * current; each does a bounded amount of work. SDM Vol. 3C, chapters 26 and 28.
 */
#ifndef VMX_EXIT_H
#define VMX_EXIT_H

#include <stdint.h>

#include "core/x86.h"
#include "vcpu.h"
#include "vmx.h"

/* A handler sees to it that the guest can be entered again: behind the instruction (skip_instruction), with an event to take
 * (inject_*), or just as it is. */
typedef void exit_handler(struct vcpu *vcpu);

/* Go on behind the instruction of `length` bytes that caused this exit. */
static inline void skip_bytes(uint64_t length)
{
	vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + length);
	/* A single step over it traps like one over any other: BS goes with TF (SDM Vol. 3C, 27.3.1.5), and blocking by
	 * MOV SS would hold it back an instruction longer. Without TF that is something no guest can tell. */
	if (__builtin_expect((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0, 0)) {
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
		        vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
	}
}

/* The same where the exit tells the length (SDM Vol. 3C, 28.2.5). */
static inline void skip_instruction(void)
{
	skip_bytes(vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
}

/* The time of this stay in root mode, where the exit path in assembly does not see its end. */
static inline void note_stay(struct vcpu *vcpu)
{
	const uint32_t spent = (uint32_t)rdtsc() - vcpu->start; /* a stay is far below 2^32 ticks */

	if (spent > vcpu->worst)
		vcpu->worst = spent;
}

/* Exit as soon as the guest can take an external interrupt, or no longer (SDM Vol. 3C, 25.6.2). Its VMCS is current. */
static inline void interrupt_window(struct vcpu *vcpu, int open)
{
	const uint32_t controls = open ? vcpu->proc_controls | PROC_INTERRUPT_WINDOW_EXITING :
	                                 vcpu->proc_controls & ~PROC_INTERRUPT_WINDOW_EXITING;

	if (controls == vcpu->proc_controls)
		return;
	vcpu->proc_controls = controls;
	vmwrite(VMCS_CTRL_PROC, controls);
}

exit_handler exit_cpuid; /* vmx/cpuid.c */
exit_handler exit_rdmsr; /* vmx/msr.c */
exit_handler exit_wrmsr;
exit_handler exit_cr_access; /* vmx/cr.c */
exit_handler exit_xsetbv;
exit_handler exit_io;     /* vmx/io.c */
exit_handler exit_vmcall; /* hypercall/hypercall.c */

/* Prepare a vCPU's tables from its partition's; vcpu_init() calls these. */
void vcpu_init_cpuid(struct vcpu *vcpu);
void vcpu_init_msr_bitmap(struct vcpu *vcpu);
void vcpu_init_io_bitmap(struct vcpu *vcpu);

/* State at the first instruction, and CR0 and CR4 of it; the VMCS is current. Part of vcpu_init(). */
void vcpu_init_guest_state(struct vcpu *vcpu, const struct config_entry *entry);

/* The answer the guest gets for a leaf, or 0 if it is hidden (all zeros). */
uint32_t *vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf);

/* What the features that the guest sees bring (config/features.def): secondary controls without which their instructions would
 * fault, and CR4 bits. After vcpu_init_cpuid(). */
struct visible_features {
	uint32_t control, cr4;
};
struct visible_features visible_features(struct vcpu *vcpu);

/* Write one segment register of the guest. The four fields of each stand at the same distances in each group of the VMCS
 * (SDM Vol. 3D, Appendix B). */
enum { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR };
void vmcs_segment(uint32_t number, uint16_t selector, uint64_t base, uint32_t limit, uint32_t access);

/* The local APIC of the vCPU, physical or virtual, as after INIT. */
void vcpu_reset_apic(struct vcpu *vcpu);

/* Exceptions that are injected (SDM Vol. 3A, table 6-1). */
#define VECTOR_DB 1u
#define VECTOR_UD 6u
#define VECTOR_DF 8u
#define VECTOR_GP 13u
#define VECTOR_AC 17u
#define VECTOR_MC 18u

/*
 * Let the guest take `vector` on its next entry, with `error` where the vector has an error code. If it
 * happened while another exception was being delivered, the SDM's rules apply: #DF, or the end (Vol. 3A, table 6-5).
 */
void inject_exception(struct vcpu *vcpu, uint32_t vector, uint32_t error);

/* Let the guest take an NMI as soon as it can. */
void inject_nmi(struct vcpu *vcpu);
exit_handler exit_nmi_window;

/*
 * A guest did what it must not. Counts it, reports the first few of a class, and does what the partition's table says: ignore
 * (returns 1: the caller goes on behind the instruction), inject `vector` with error code 0 (returns 0), stop, or halt the machine.
 * `what` and `detail` are for the report.
 */
int guest_error(struct vcpu *vcpu, enum error_class class, uint32_t vector, const char *what, uint64_t detail);

/* The same for an instruction: skipped if it is to be ignored. */
static inline void guest_error_skip(struct vcpu *vcpu, enum error_class class, uint32_t vector, const char *what,
                                    uint64_t detail)
{
	if (guest_error(vcpu, class, vector, what, detail))
		skip_instruction();
}

/* Write to the interrupt command register (vmx/apic.c): only what stays in the partition. apic_send() is the same without going on
 * behind the instruction; it returns 0 if the command is not the guest's to give. */
void apic_write_icr(struct vcpu *vcpu, uint64_t value);
int apic_send(struct vcpu *vcpu, uint64_t value);

/* The emulated 16550A of a partition: as after a reset; register 0 to 7 (vmx/uart.c). */
void uart_init(uint16_t partition);
uint8_t uart_read(uint16_t partition, uint32_t reg);
void uart_write(struct vcpu *vcpu, uint32_t reg, uint8_t value);

/* Is its interrupt line active? */
int uart_interrupts(uint16_t partition);

/* Keep an eye on the console's output for a guest that may not come back soon. */
void console_follow_up(struct vcpu *vcpu);

/* On a dedicated CPU: exit when its partition's next sign of life is due (vmx/health.h), if it is one of those. */
void watch_heartbeat(struct vcpu *vcpu);

/* vmx/exit.asm calls this at each exit, with the guest's registers in vcpu->regs; the guest is entered again when it returns.
 * Of the registers, handlers change RAX, RCX, RDX and RBX at most. */
void vmx_exit(struct vcpu *vcpu);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * VMCS fields, control bits, exit reasons and capability MSRs: numbers only, no code.
 *
 * Fields stand in the order of SDM Vol. 3D, Appendix B: by width, then by kind. The lists are macros so that a dump
 * or the auditor can turn them into names; who does not expand them pays nothing. Fields of what the core never turns
 * on (FRED, SEAM, timer and IA32_SPEC_CTRL virtualisation) are left out.
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

/* B.1: 16-bit fields */
/* clang-format off */
#define VMCS_FIELDS_16(F) \
	F(CTRL_VPID, 0x0000) \
	F(CTRL_POSTED_VECTOR, 0x0002) \
	F(GUEST_ES_SELECTOR, 0x0800) \
	F(GUEST_CS_SELECTOR, 0x0802) \
	F(GUEST_INTERRUPT_STATUS, 0x0810) \
	F(HOST_ES_SELECTOR, 0x0c00) \
	F(HOST_CS_SELECTOR, 0x0c02) \
	F(HOST_SS_SELECTOR, 0x0c04) \
	F(HOST_DS_SELECTOR, 0x0c06) \
	F(HOST_FS_SELECTOR, 0x0c08) \
	F(HOST_GS_SELECTOR, 0x0c0a) \
	F(HOST_TR_SELECTOR, 0x0c0c)

/* B.2: 64-bit fields */
#define VMCS_FIELDS_64(F) \
	F(CTRL_IO_BITMAP_A, 0x2000) \
	F(CTRL_IO_BITMAP_B, 0x2002) \
	F(CTRL_MSR_BITMAPS, 0x2004) \
	F(CTRL_VIRTUAL_APIC, 0x2012) \
	F(CTRL_POSTED_DESCRIPTOR, 0x2016) \
	F(CTRL_EPTP, 0x201a) \
	F(CTRL_EOI_EXIT_0, 0x201c) \
	F(CTRL_XSS_EXITING, 0x202c) \
	F(CTRL_ENCLS_EXITING, 0x202e) \
	F(CTRL_PCONFIG_EXITING, 0x203e) \
	F(GUEST_PHYSICAL_ADDRESS, 0x2400) \
	F(GUEST_VMCS_LINK, 0x2800) \
	F(GUEST_DEBUGCTL, 0x2802) \
	F(GUEST_PAT, 0x2804) \
	F(GUEST_EFER, 0x2806) \
	F(GUEST_PDPTE0, 0x280a) \
	F(HOST_PAT, 0x2c00) \
	F(HOST_EFER, 0x2c02)

/* B.3: 32-bit fields */
#define VMCS_FIELDS_32(F) \
	F(CTRL_PIN, 0x4000) \
	F(CTRL_PROC, 0x4002) \
	F(CTRL_EXCEPTION_BITMAP, 0x4004) \
	F(CTRL_PF_MASK, 0x4006) \
	F(CTRL_PF_MATCH, 0x4008) \
	F(CTRL_CR3_TARGET_COUNT, 0x400a) \
	F(CTRL_EXIT, 0x400c) \
	F(CTRL_EXIT_MSR_STORE_COUNT, 0x400e) \
	F(CTRL_EXIT_MSR_LOAD_COUNT, 0x4010) \
	F(CTRL_ENTRY, 0x4012) \
	F(CTRL_ENTRY_MSR_LOAD_COUNT, 0x4014) \
	F(CTRL_ENTRY_INTERRUPTION_INFO, 0x4016) \
	F(CTRL_ENTRY_ERROR_CODE, 0x4018) \
	F(CTRL_TPR_THRESHOLD, 0x401c) \
	F(CTRL_PROC2, 0x401e) \
	F(INSTRUCTION_ERROR, 0x4400) \
	F(EXIT_REASON, 0x4402) \
	F(EXIT_INTERRUPTION_INFO, 0x4404) \
	F(EXIT_INTERRUPTION_ERROR, 0x4406) \
	F(IDT_VECTORING_INFO, 0x4408) \
	F(EXIT_INSTRUCTION_LENGTH, 0x440c) \
	F(GUEST_ES_LIMIT, 0x4800) \
	F(GUEST_GDTR_LIMIT, 0x4810) \
	F(GUEST_IDTR_LIMIT, 0x4812) \
	F(GUEST_ES_ACCESS, 0x4814) \
	F(GUEST_CS_ACCESS, 0x4816) \
	F(GUEST_SS_ACCESS, 0x4818) \
	F(GUEST_TR_ACCESS, 0x4822) \
	F(GUEST_INTERRUPTIBILITY, 0x4824) \
	F(GUEST_ACTIVITY, 0x4826) \
	F(GUEST_SYSENTER_CS, 0x482a) \
	F(GUEST_PREEMPTION_TIMER, 0x482e) \
	F(HOST_SYSENTER_CS, 0x4c00)

/* B.4: natural-width fields */
#define VMCS_FIELDS_NATURAL(F) \
	F(CTRL_CR0_MASK, 0x6000) \
	F(CTRL_CR4_MASK, 0x6002) \
	F(CTRL_CR0_SHADOW, 0x6004) \
	F(CTRL_CR4_SHADOW, 0x6006) \
	F(EXIT_QUALIFICATION, 0x6400) \
	F(GUEST_LINEAR_ADDRESS, 0x640a) \
	F(GUEST_CR0, 0x6800) \
	F(GUEST_CR3, 0x6802) \
	F(GUEST_CR4, 0x6804) \
	F(GUEST_ES_BASE, 0x6806) \
	F(GUEST_CS_BASE, 0x6808) \
	F(GUEST_GDTR_BASE, 0x6816) \
	F(GUEST_IDTR_BASE, 0x6818) \
	F(GUEST_DR7, 0x681a) \
	F(GUEST_RSP, 0x681c) \
	F(GUEST_RIP, 0x681e) \
	F(GUEST_RFLAGS, 0x6820) \
	F(GUEST_PENDING_DEBUG, 0x6822) \
	F(GUEST_SYSENTER_ESP, 0x6824) \
	F(GUEST_SYSENTER_EIP, 0x6826) \
	F(HOST_CR0, 0x6c00) \
	F(HOST_CR3, 0x6c02) \
	F(HOST_CR4, 0x6c04) \
	F(HOST_FS_BASE, 0x6c06) \
	F(HOST_GS_BASE, 0x6c08) \
	F(HOST_TR_BASE, 0x6c0a) \
	F(HOST_GDTR_BASE, 0x6c0c) \
	F(HOST_IDTR_BASE, 0x6c0e) \
	F(HOST_SYSENTER_ESP, 0x6c10) \
	F(HOST_SYSENTER_EIP, 0x6c12) \
	F(HOST_RSP, 0x6c14) \
	F(HOST_RIP, 0x6c16)

#define VMCS_FIELDS(F) VMCS_FIELDS_16(F) VMCS_FIELDS_64(F) VMCS_FIELDS_32(F) VMCS_FIELDS_NATURAL(F)
/* clang-format on */

#define VMCS_FIELD_ENUM(name, encoding) VMCS_##name = (encoding),
enum vmcs_field { VMCS_FIELDS(VMCS_FIELD_ENUM) };
#undef VMCS_FIELD_ENUM

/* Pin-based VM-execution controls (SDM Vol. 3C, 25.6.1) */
#define PIN_EXTERNAL_INTERRUPT_EXITING (1u << 0)
#define PIN_NMI_EXITING (1u << 3)
#define PIN_VIRTUAL_NMIS (1u << 5)
#define PIN_PREEMPTION_TIMER (1u << 6)
#define PIN_POSTED_INTERRUPTS (1u << 7)

/* Primary processor-based VM-execution controls (25.6.2) */
#define PROC_INTERRUPT_WINDOW_EXITING (1u << 2)
#define PROC_HLT_EXITING (1u << 7)
#define PROC_MWAIT_EXITING (1u << 10)
#define PROC_RDPMC_EXITING (1u << 11)
#define PROC_CR8_LOAD_EXITING (1u << 19)
#define PROC_CR8_STORE_EXITING (1u << 20)
#define PROC_TPR_SHADOW (1u << 21)
#define PROC_NMI_WINDOW_EXITING (1u << 22)
#define PROC_IO_BITMAPS (1u << 25)
#define PROC_MSR_BITMAPS (1u << 28)
#define PROC_MONITOR_EXITING (1u << 29)
#define PROC_SECONDARY_CONTROLS (1u << 31)

#define INTERRUPT_STATUS_RVI 0xffull /* Secondary processor-based VM-execution controls (25.6.2) */
#define PROC2_EPT (1u << 1)
#define PROC2_RDTSCP (1u << 3)
#define PROC2_VIRTUALIZE_X2APIC (1u << 4)
#define PROC2_VPID (1u << 5)
#define PROC2_WBINVD_EXITING (1u << 6)
#define PROC2_UNRESTRICTED_GUEST (1u << 7)
#define PROC2_VIRTUAL_INTERRUPT_DELIVERY (1u << 9)
#define PROC2_INVPCID (1u << 12)
#define PROC2_ENCLS_EXITING (1u << 15)
#define PROC2_CONCEAL_VMX_FROM_PT (1u << 19)
#define PROC2_XSAVES (1u << 20)
#define PROC2_PCONFIG (1u << 27)

/* Primary VM-exit controls (25.7.1) */
#define EXIT_SAVE_DEBUG_CONTROLS (1u << 2)
#define EXIT_HOST_ADDRESS_SPACE_SIZE (1u << 9)
#define EXIT_ACKNOWLEDGE_INTERRUPT (1u << 15)
#define EXIT_SAVE_PAT (1u << 18)
#define EXIT_LOAD_PAT (1u << 19)
#define EXIT_SAVE_EFER (1u << 20)
#define EXIT_LOAD_EFER (1u << 21)
#define EXIT_SAVE_PREEMPTION_TIMER (1u << 22)

/* VM-entry controls (25.8.1) */
#define ENTRY_LOAD_DEBUG_CONTROLS (1u << 2)
#define ENTRY_IA32E_MODE_GUEST (1u << 9)
#define ENTRY_LOAD_PAT (1u << 14)
#define ENTRY_LOAD_EFER (1u << 15)

/* Basic exit reasons (Appendix C) */
/* clang-format off */
#define EXIT_REASONS(R) \
	R(EXCEPTION_OR_NMI, 0) R(EXTERNAL_INTERRUPT, 1) R(TRIPLE_FAULT, 2) R(INIT_SIGNAL, 3) R(SIPI, 4) R(IO_SMI, 5) \
	R(OTHER_SMI, 6) R(INTERRUPT_WINDOW, 7) R(NMI_WINDOW, 8) R(TASK_SWITCH, 9) R(CPUID, 10) R(GETSEC, 11) \
	R(HLT, 12) R(INVD, 13) R(INVLPG, 14) R(RDPMC, 15) R(RDTSC, 16) R(RSM, 17) R(VMCALL, 18) R(VMCLEAR, 19) \
	R(VMLAUNCH, 20) R(VMPTRLD, 21) R(VMPTRST, 22) R(VMREAD, 23) R(VMRESUME, 24) R(VMWRITE, 25) R(VMXOFF, 26) \
	R(VMXON, 27) R(CR_ACCESS, 28) R(MOV_DR, 29) R(IO, 30) R(RDMSR, 31) R(WRMSR, 32) R(ENTRY_GUEST_STATE, 33) \
	R(ENTRY_MSR_LOADING, 34) R(MWAIT, 36) R(MONITOR_TRAP_FLAG, 37) R(MONITOR, 39) R(PAUSE, 40) \
	R(ENTRY_MACHINE_CHECK, 41) R(TPR_BELOW_THRESHOLD, 43) R(APIC_ACCESS, 44) R(VIRTUALIZED_EOI, 45) \
	R(GDTR_IDTR_ACCESS, 46) R(LDTR_TR_ACCESS, 47) R(EPT_VIOLATION, 48) R(EPT_MISCONFIGURATION, 49) R(INVEPT, 50) \
	R(RDTSCP, 51) R(PREEMPTION_TIMER, 52) R(INVVPID, 53) R(WBINVD, 54) R(XSETBV, 55) R(APIC_WRITE, 56) \
	R(RDRAND, 57) R(INVPCID, 58) R(VMFUNC, 59) R(ENCLS, 60) R(RDSEED, 61) R(PML_FULL, 62) R(XSAVES, 63) \
	R(XRSTORS, 64) R(PCONFIG, 65) R(SPP_EVENT, 66) R(UMWAIT, 67) R(TPAUSE, 68) R(LOADIWKEY, 69) R(ENCLV, 70) \
	R(ENQCMD_PASID, 72) R(ENQCMDS_PASID, 73) R(BUS_LOCK, 74) R(INSTRUCTION_TIMEOUT, 75) R(SEAMCALL, 76) \
	R(TDCALL, 77) R(RDMSRLIST, 78) R(WRMSRLIST, 79)
/* clang-format on */

#define EXIT_REASON_ENUM(name, number) EXIT_REASON_##name = (number),
enum exit_reason { EXIT_REASONS(EXIT_REASON_ENUM) EXIT_REASON_COUNT };
#undef EXIT_REASON_ENUM

/* The exit-reason field (25.9.1) */
#define EXIT_REASON_BASIC 0xffffu
#define EXIT_REASON_ENTRY_FAILURE (1u << 31)

/* Interruption information: VM-entry (25.8.3), VM-exit (25.9.2), IDT-vectoring (25.9.3) */
#define INTERRUPTION_VECTOR 0xffu
#define INTERRUPTION_TYPE (7u << 8)
#define INTERRUPTION_EXTERNAL (0u << 8)
#define INTERRUPTION_NMI (2u << 8)
#define INTERRUPTION_HARDWARE_EXCEPTION (3u << 8)
#define INTERRUPTION_PRIVILEGED_EXCEPTION (5u << 8) /* INT1 */
#define INTERRUPTION_ERROR_CODE (1u << 11)
#define INTERRUPTION_NMI_UNBLOCKING (1u << 12) /* VM exit only: due to IRET */
#define INTERRUPTION_VALID (1u << 31)

/* Guest activity state (25.4.2) */
#define ACTIVITY_ACTIVE 0u
#define ACTIVITY_HLT 1u

/* Guest interruptibility state (25.4.2) */
#define BLOCKING_BY_STI (1u << 0)
#define BLOCKING_BY_MOV_SS (1u << 1)
#define BLOCKING_BY_NMI (1u << 3)

/* Pending debug exceptions (25.4.2) */
#define PENDING_DEBUG_BS (1ull << 14)

/* Segment access rights (25.4.1); the low byte is the descriptor's */
#define ACCESS_DPL (3u << 5)
#define ACCESS_L (1u << 13)
#define ACCESS_DB (1u << 14)
#define ACCESS_UNUSABLE (1u << 16)

/* EPT pointer (25.6.11) */
#define EPTP_WRITE_BACK 6ull
#define EPTP_WALK_LENGTH_4 (3ull << 3)

/* Exit qualification of an EPT violation (28.2.1) */
#define EPT_VIOLATION_WRITE (1u << 1)
#define EPT_VIOLATION_FETCH (1u << 2)
#define EPT_VIOLATION_LINEAR_VALID (1u << 7)
#define EPT_VIOLATION_TRANSLATED (1u << 8) /* the access itself, not a page-table access on its way */
#define EPT_VIOLATION_NMI_UNBLOCKING (1u << 12)

/* INVEPT and INVVPID types (Vol. 3C, 31.3) */
#define INVEPT_SINGLE_CONTEXT 1u
#define INVEPT_ALL_CONTEXTS 2u
#define INVVPID_SINGLE_CONTEXT 1u
#define INVVPID_ALL_CONTEXTS 2u

/* MSRs (Appendix A; IA32_FEATURE_CONTROL: Vol. 3C, 24.7) */
#define MSR_IA32_FEATURE_CONTROL 0x3au
#define FEATURE_CONTROL_LOCK (1ull << 0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX (1ull << 2)

#define MSR_IA32_VMX_BASIC 0x480u
#define VMX_BASIC_REVISION 0x7fffffffull
#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)

/* Allowed settings: bits 31:0 must be 1 where set, bits 63:32 may be 1 where set. */
#define MSR_IA32_VMX_PROCBASED_CTLS2 0x48bu
#define MSR_IA32_VMX_TRUE_PINBASED_CTLS 0x48du
#define MSR_IA32_VMX_TRUE_PROCBASED_CTLS 0x48eu
#define MSR_IA32_VMX_TRUE_EXIT_CTLS 0x48fu
#define MSR_IA32_VMX_TRUE_ENTRY_CTLS 0x490u

#define MSR_IA32_VMX_MISC 0x485u
#define VMX_MISC_TIMER_SHIFT 0x1full /* the preemption timer counts at TSC >> this */

#define MSR_IA32_VMX_CR0_FIXED0 0x486u /* bits that must be 1 */
#define MSR_IA32_VMX_CR0_FIXED1 0x487u /* bits that may be 1 */
#define MSR_IA32_VMX_CR4_FIXED0 0x488u
#define MSR_IA32_VMX_CR4_FIXED1 0x489u

#define MSR_IA32_VMX_EPT_VPID_CAP 0x48cu
#define EPT_CAP_WALK_LENGTH_4 (1ull << 6)
#define EPT_CAP_WRITE_BACK (1ull << 14)
#define EPT_CAP_2M_PAGES (1ull << 16)
#define EPT_CAP_1G_PAGES (1ull << 17)
#define EPT_CAP_INVEPT (1ull << 20)
#define EPT_CAP_INVEPT_SINGLE (1ull << 25)
#define EPT_CAP_INVEPT_ALL (1ull << 26)
#define VPID_CAP_INVVPID (1ull << 32)
#define VPID_CAP_ALL_CONTEXTS (1ull << 42)

#endif

// SPDX-License-Identifier: Apache-2.0
/* The VM-entry auditor: a good VMCS passes, and from it each rule is broken once, alone. */
#include "core/x86.h"
#include "tests/auditor/auditor.h"
#include "tests/auditor/vmcs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define CET (1ull << 23)
#define VM86 (1ull << 17)
#define BAD 0x800000000000ull /* not canonical */
#define FAR (1ull << 40)      /* beyond the physical-address width */

struct change {
	enum { END, SET, ON, OFF } op;
	uint32_t field;
	uint64_t value;
};

struct row {
	const char *rule;
	struct change change[6];
};

#define SET(f, v)                \
	{                        \
		SET, VMCS_##f, v \
	}
#define ON(f, v)                \
	{                       \
		ON, VMCS_##f, v \
	}
#define OFF(f, v)                \
	{                        \
		OFF, VMCS_##f, v \
	}
#define INJECT(v) SET(CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | (v))
#define NOT_LONG OFF(CTRL_ENTRY, ENTRY_IA32E_MODE_GUEST), OFF(GUEST_EFER, EFER_LME | EFER_LMA)
#define VIRTUAL_DELIVERY                                                                                              \
	ON(CTRL_PIN, PIN_EXTERNAL_INTERRUPT_EXITING), ON(CTRL_PROC, PROC_TPR_SHADOW), SET(CTRL_VIRTUAL_APIC, 0x1000), \
		ON(CTRL_PROC2, PROC2_VIRTUAL_INTERRUPT_DELIVERY)

static const struct row rows[] = {
	/* 27.2.1.1 */
	{ "reserved bits of the pin", { ON(CTRL_PIN, 1u << 8) } },
	{ "reserved bits of the pin", { OFF(CTRL_PIN, 1u << 1) } },
	{ "reserved bits of the primary", { ON(CTRL_PROC, 1u << 0) } },
	{ "reserved bits of the primary", { OFF(CTRL_PROC, 1u << 1) } },
	{ "reserved bits of the tertiary", { ON(CTRL_PROC, PROC_TERTIARY_CONTROLS), SET(CTRL_PROC3, 1u << 5) } },
	{ "CR3-target count", { SET(CTRL_CR3_TARGET_COUNT, 5) } },
	{ "address of I/O bitmap A", { ON(CTRL_IO_BITMAP_A, 8) } },
	{ "address of I/O bitmap B", { ON(CTRL_IO_BITMAP_B, FAR) } },
	{ "address of the MSR bitmaps", { ON(CTRL_MSR_BITMAPS, 0x800) } },
	{ "virtual NMIs need", { OFF(CTRL_PIN, PIN_NMI_EXITING) } },
	{ "NMI-window exiting", { OFF(CTRL_PIN, PIN_VIRTUAL_NMIS), ON(CTRL_PROC, PROC_NMI_WINDOW_EXITING) } },
	{ "virtual-APIC address", { ON(CTRL_PROC, PROC_TPR_SHADOW), SET(CTRL_VIRTUAL_APIC, 1) } },
	{ "TPR threshold", { ON(CTRL_PROC, PROC_TPR_SHADOW), SET(CTRL_VIRTUAL_APIC, 0), SET(CTRL_TPR_THRESHOLD, 16) } },
	{ "needs the TPR shadow", { ON(CTRL_PROC2, PROC2_VIRTUALIZE_X2APIC) } },
	{ "APIC-access address", { ON(CTRL_PROC2, PROC2_VIRTUALIZE_APIC_ACCESSES), SET(CTRL_APIC_ACCESS, 1) } },
	{ "excludes virtualize APIC",
	  { VIRTUAL_DELIVERY, ON(CTRL_PROC2, PROC2_VIRTUALIZE_X2APIC | PROC2_VIRTUALIZE_APIC_ACCESSES),
	    SET(CTRL_APIC_ACCESS, 0) } },
	{ "needs external-interrupt exiting", { VIRTUAL_DELIVERY, OFF(CTRL_PIN, PIN_EXTERNAL_INTERRUPT_EXITING) } },
	{ "posted interrupts need virtual", { ON(CTRL_PIN, PIN_POSTED_INTERRUPTS) } },
	{ "posted interrupts need acknowledge", { VIRTUAL_DELIVERY, ON(CTRL_PIN, PIN_POSTED_INTERRUPTS) } },
	{ "PID-pointer table",
	  { ON(CTRL_PROC, PROC_TERTIARY_CONTROLS), SET(CTRL_PROC3, PROC3_IPI_VIRTUALIZATION),
	    SET(CTRL_PID_TABLE, 4) } },
	{ "VPID is 0", { SET(CTRL_VPID, 0) } },
	{ "EPT memory type", { SET(CTRL_EPTP, 0x100000 | EPTP_WALK_LENGTH_4 | 4) } },
	{ "EPT memory type", { SET(CTRL_EPTP, 0x100000 | EPTP_WALK_LENGTH_4) } },
	{ "EPT page-walk", { SET(CTRL_EPTP, 0x100000 | EPTP_WRITE_BACK | 4u << 3) } },
	{ "accessed and dirty", { ON(CTRL_EPTP, EPTP_ACCESSED_DIRTY) } },
	{ "reserved bits of the EPT pointer", { ON(CTRL_EPTP, 1u << 7) } },
	{ "reserved bits of the EPT pointer", { ON(CTRL_EPTP, FAR) } },
	{ "PML needs EPT", { SET(CTRL_PROC2, PROC2_PML) } },
	{ "PML address", { ON(CTRL_PROC2, PROC2_PML), SET(CTRL_PML_ADDRESS, 0x10) } },
	{ "unrestricted guest needs", { OFF(CTRL_PROC2, PROC2_EPT) } },
	{ "mode-based", { SET(CTRL_PROC2, PROC2_MODE_BASED_EXECUTE) } },
	{ "sub-page write permissions", { SET(CTRL_PROC2, PROC2_SUB_PAGE_WRITE) } },
	{ "sub-page-permission-table", { ON(CTRL_PROC2, PROC2_SUB_PAGE_WRITE), SET(CTRL_SPP_TABLE, 8) } },
	{ "HLAT and", { SET(CTRL_PROC2, 0), ON(CTRL_PROC, PROC_TERTIARY_CONTROLS), SET(CTRL_PROC3, PROC3_HLAT) } },
	{ "PT with guest-physical addresses needs EPT", { SET(CTRL_PROC2, PROC2_PT_GUEST_PHYSICAL) } },
	{ "needs RTIT_CTL", { ON(CTRL_PROC2, PROC2_PT_GUEST_PHYSICAL), ON(CTRL_EXIT, EXIT_CLEAR_RTIT_CTL) } },
	{ "VM-function controls", { ON(CTRL_PROC2, PROC2_VM_FUNCTIONS), SET(CTRL_VM_FUNCTIONS, 2) } },
	{ "EPTP switching needs", { SET(CTRL_PROC2, PROC2_VM_FUNCTIONS), SET(CTRL_VM_FUNCTIONS, 1) } },
	{ "EPTP-list", { ON(CTRL_PROC2, PROC2_VM_FUNCTIONS), SET(CTRL_VM_FUNCTIONS, 1), SET(CTRL_EPTP_LIST, 1) } },
	{ "VMREAD-bitmap", { ON(CTRL_PROC2, PROC2_VMCS_SHADOWING), SET(CTRL_VMREAD_BITMAP, 1) } },
	{ "VMWRITE-bitmap",
	  { ON(CTRL_PROC2, PROC2_VMCS_SHADOWING), SET(CTRL_VMREAD_BITMAP, 0), SET(CTRL_VMWRITE_BITMAP, FAR) } },
	{ "virtualization-exception information", { ON(CTRL_PROC2, PROC2_EPT_VIOLATION_VE), SET(CTRL_VE_INFO, 64) } },
	{ "TSC multiplier", { ON(CTRL_PROC2, PROC2_TSC_SCALING), SET(CTRL_TSC_MULTIPLIER, 0) } },
	/* 27.2.1.2 */
	{ "reserved bits of the VM-exit", { OFF(CTRL_EXIT, 1u << 0) } },
	{ "secondary VM-exit", { ON(CTRL_EXIT, EXIT_SECONDARY_CONTROLS), SET(CTRL_EXIT2, 1ull << 40) } },
	{ "saving the VMX-preemption timer", { ON(CTRL_EXIT, EXIT_SAVE_PREEMPTION_TIMER) } },
	{ "address of an MSR list", { SET(CTRL_EXIT_MSR_STORE_COUNT, 1), SET(CTRL_EXIT_MSR_STORE, 8) } },
	{ "end of an MSR list", { SET(CTRL_EXIT_MSR_LOAD_COUNT, 2), SET(CTRL_EXIT_MSR_LOAD, FAR - 16) } },
	{ "an MSR list is too long", { SET(CTRL_ENTRY_MSR_LOAD_COUNT, 513), SET(CTRL_ENTRY_MSR_LOAD, 0) } },
	/* 27.2.1.3 */
	{ "reserved bits of the VM-entry", { ON(CTRL_ENTRY, 1u << 24) } },
	{ "reserved bits of the VM-entry", { OFF(CTRL_ENTRY, 1u << 12) } },
	{ "are for SMM only", { ON(CTRL_ENTRY, ENTRY_TO_SMM) } },
	{ "interruption type 1", { INJECT(1u << 8) } },
	{ "the vector of an NMI", { INJECT(INTERRUPTION_NMI | 3) } },
	{ "hardware exception is at most", { INJECT(INTERRUPTION_HARDWARE_EXCEPTION | 32) } },
	{ "the vector of an other event", { INJECT(INTERRUPTION_OTHER_EVENT | 1) } },
	{ "an error code goes with", { INJECT(INTERRUPTION_NMI | INTERRUPTION_ERROR_CODE | 2) } },
	{ "this exception has no", { INJECT(INTERRUPTION_HARDWARE_EXCEPTION | INTERRUPTION_ERROR_CODE | 6) } },
	{ "this exception needs", { INJECT(INTERRUPTION_HARDWARE_EXCEPTION | 13) } },
	{ "bits 31:16 of the error code",
	  { INJECT(INTERRUPTION_HARDWARE_EXCEPTION | INTERRUPTION_ERROR_CODE | 13),
	    SET(CTRL_ENTRY_ERROR_CODE, 0x10000) } },
	{ "reserved bits of the interruption", { INJECT(1u << 12 | INTERRUPTION_NMI | 2) } },
	{ "instruction length of a software",
	  { INJECT(INTERRUPTION_SOFTWARE_EXCEPTION | 3), SET(CTRL_ENTRY_INSTRUCTION_LENGTH, 0) } },
	{ "instruction length of a software",
	  { INJECT(INTERRUPTION_SOFTWARE_INTERRUPT | 0x80), SET(CTRL_ENTRY_INSTRUCTION_LENGTH, 16) } },
	/* 27.2.2 */
	{ "host CR0 has a bit", { OFF(HOST_CR0, CR0_NE) } },
	{ "host CR0 has a bit", { ON(HOST_CR0, 1ull << 32) } },
	{ "host CR4 has a bit", { OFF(HOST_CR4, CR4_VMXE) } },
	{ "host CR4.CET", { ON(HOST_CR4, CET), OFF(HOST_CR0, CR0_WP) } },
	{ "host CR3", { ON(HOST_CR3, FAR) } },
	{ "host SYSENTER_ESP", { SET(HOST_SYSENTER_ESP, BAD) } },
	{ "host SYSENTER_EIP", { SET(HOST_SYSENTER_EIP, BAD) } },
	{ "host PAT", { SET(HOST_PAT, 2) } },
	{ "reserved bits of host EFER", { ON(HOST_EFER, 2) } },
	{ "host EFER.LMA", { OFF(HOST_EFER, EFER_LMA) } },
	{ "host EFER.LME", { OFF(HOST_EFER, EFER_LME) } },
	{ "host S_CET", { ON(CTRL_EXIT, EXIT_LOAD_CET), SET(HOST_S_CET, 0xc00) } },
	{ "host SSP", { ON(CTRL_EXIT, EXIT_LOAD_CET), SET(HOST_S_CET, 0), SET(HOST_SSP, 2) } },
	{ "host SSP table",
	  { ON(CTRL_EXIT, EXIT_LOAD_CET), SET(HOST_S_CET, 0), SET(HOST_SSP, 0), SET(HOST_SSP_TABLE, BAD) } },
	{ "host PKRS", { ON(CTRL_EXIT, EXIT_LOAD_PKRS), SET(HOST_PKRS, 1ull << 32) } },
	/* 27.2.3, 27.2.4 */
	{ "a host selector has RPL or TI", { ON(HOST_ES_SELECTOR, 1) } },
	{ "a host selector has RPL or TI", { ON(HOST_TR_SELECTOR, 4) } },
	{ "host CS is 0", { SET(HOST_CS_SELECTOR, 0) } },
	{ "host TR is 0", { SET(HOST_TR_SELECTOR, 0) } },
	{ "a host base", { SET(HOST_FS_BASE, BAD) } },
	{ "a host base", { SET(HOST_IDTR_BASE, BAD) } },
	{ "host address-space size 1", { OFF(CTRL_EXIT, EXIT_HOST_ADDRESS_SPACE_SIZE), SET(HOST_EFER, 0) } },
	{ "host CR4.PAE", { OFF(HOST_CR4, CR4_PAE) } },
	{ "host RIP", { SET(HOST_RIP, BAD) } },
	/* 27.3.1.1 */
	{ "guest CR0 has a bit", { OFF(GUEST_CR0, CR0_NE) } },
	{ "guest CR0 has a bit", { OFF(CTRL_PROC2, PROC2_UNRESTRICTED_GUEST), OFF(GUEST_CR0, CR0_PG) } },
	{ "guest CR0.PG needs", { OFF(GUEST_CR0, CR0_PE) } },
	{ "guest CR4 has a bit", { ON(GUEST_CR4, 1u << 15) } },
	{ "guest CR4.CET", { ON(GUEST_CR4, CET) } },
	{ "IA-32e mode guest needs CR0", { OFF(GUEST_CR0, CR0_PG) } },
	{ "IA-32e mode guest needs CR4", { OFF(GUEST_CR4, CR4_PAE) } },
	{ "guest CR4.PCIDE", { NOT_LONG, ON(GUEST_CR4, CR4_PCIDE) } },
	{ "guest CR3", { ON(GUEST_CR3, FAR) } },
	{ "guest DEBUGCTL", { SET(GUEST_DEBUGCTL, 4) } },
	{ "guest DR7", { ON(GUEST_DR7, 1ull << 32) } },
	{ "guest SYSENTER_ESP", { SET(GUEST_SYSENTER_ESP, BAD) } },
	{ "guest SYSENTER_EIP", { SET(GUEST_SYSENTER_EIP, BAD) } },
	{ "guest PAT", { SET(GUEST_PAT, 3ull << 56) } },
	{ "reserved bits of guest EFER", { ON(GUEST_EFER, 1u << 12) } },
	{ "guest EFER.LMA", { OFF(GUEST_EFER, EFER_LMA) } },
	{ "guest EFER.LME", { OFF(GUEST_EFER, EFER_LME) } },
	{ "guest BNDCFGS", { ON(CTRL_ENTRY, ENTRY_LOAD_BNDCFGS), SET(GUEST_BNDCFGS, 4) } },
	{ "guest UINV", { ON(CTRL_ENTRY, ENTRY_LOAD_UINV), SET(GUEST_UINV, 256) } },
	{ "guest PKRS", { ON(CTRL_ENTRY, ENTRY_LOAD_PKRS), SET(GUEST_PKRS, 1ull << 32) } },
	{ "guest S_CET", { ON(CTRL_ENTRY, ENTRY_LOAD_CET), SET(GUEST_S_CET, 0x40) } },
	{ "guest SSP table", { ON(CTRL_ENTRY, ENTRY_LOAD_CET), SET(GUEST_S_CET, 0), SET(GUEST_SSP_TABLE, BAD) } },
	{ "bits 1:0 of guest SSP",
	  { ON(CTRL_ENTRY, ENTRY_LOAD_CET), SET(GUEST_S_CET, 0), SET(GUEST_SSP_TABLE, 0), SET(GUEST_SSP, 1) } },
	/* 27.3.1.2 */
	{ "TI of TR", { ON(GUEST_TR_SELECTOR, 4) } },
	{ "TR base", { SET(GUEST_TR_BASE, BAD) } },
	{ "TR is unusable", { ON(GUEST_TR_ACCESS, ACCESS_UNUSABLE) } },
	{ "TR is no busy TSS", { SET(GUEST_TR_ACCESS, ACCESS_PRESENT | 9) } },
	{ "TR is no busy TSS", { SET(GUEST_TR_ACCESS, ACCESS_PRESENT | 3) } },
	{ "S is 0 for", { ON(GUEST_TR_ACCESS, ACCESS_S) } },
	{ "TI of LDTR", { SET(GUEST_LDTR_ACCESS, 0x82), SET(GUEST_LDTR_SELECTOR, 4) } },
	{ "LDTR base", { SET(GUEST_LDTR_ACCESS, 0x82), SET(GUEST_LDTR_BASE, BAD) } },
	{ "LDTR is no LDT", { SET(GUEST_LDTR_ACCESS, 0x83) } },
	{ "CS is unusable", { ON(GUEST_CS_ACCESS, ACCESS_UNUSABLE) } },
	{ "CS is no accessed", { OFF(GUEST_CS_ACCESS, 1) } },
	{ "CS is no accessed", { OFF(GUEST_CS_ACCESS, 8), OFF(CTRL_PROC2, PROC2_UNRESTRICTED_GUEST) } },
	{ "CS of type 3", { OFF(GUEST_CS_ACCESS, 8), ON(GUEST_CS_ACCESS, 1u << 5) } },
	{ "DPL of non-conforming CS", { ON(GUEST_CS_ACCESS, 3u << 5) } },
	{ "DPL of conforming CS", { ON(GUEST_CS_ACCESS, 3u << 5 | 4) } },
	{ "both L and D/B", { ON(GUEST_CS_ACCESS, ACCESS_DB) } },
	{ "bits 63:32 of CS base", { SET(GUEST_CS_BASE, 1ull << 32) } },
	{ "S is 0 for", { OFF(GUEST_CS_ACCESS, ACCESS_S) } },
	{ "is not present", { OFF(GUEST_CS_ACCESS, ACCESS_PRESENT) } },
	{ "reserved bits of access", { ON(GUEST_CS_ACCESS, 1u << 8) } },
	{ "reserved bits of access", { ON(GUEST_SS_ACCESS, 1u << 17) } },
	{ "G is 1", { SET(GUEST_DS_LIMIT, 0xfffff000) } },
	{ "G is 0", { OFF(GUEST_DS_ACCESS, ACCESS_G) } },
	{ "RPL of SS", { OFF(CTRL_PROC2, PROC2_UNRESTRICTED_GUEST), ON(GUEST_SS_SELECTOR, 3) } },
	{ "DPL of SS is not its RPL",
	  { OFF(CTRL_PROC2, PROC2_UNRESTRICTED_GUEST), ON(GUEST_SS_SELECTOR, 3), ON(GUEST_CS_SELECTOR, 3) } },
	{ "DPL of SS is not 0",
	  { SET(GUEST_CS_ACCESS, ACCESS_G | ACCESS_PRESENT | ACCESS_S | 3), ON(GUEST_SS_ACCESS, 3u << 5) } },
	{ "SS is no accessed", { SET(GUEST_SS_ACCESS, ACCESS_G | ACCESS_PRESENT | ACCESS_S | 1) } },
	{ "bits 63:32 of SS base", { SET(GUEST_SS_BASE, 1ull << 32) } },
	{ "FS or GS base", { SET(GUEST_GS_BASE, BAD) } },
	{ "FS or GS base", { SET(GUEST_FS_BASE, BAD), ON(GUEST_FS_ACCESS, ACCESS_UNUSABLE) } },
	{ "a data segment is not accessed", { OFF(GUEST_ES_ACCESS, 1) } },
	{ "is not readable", { SET(GUEST_ES_ACCESS, ACCESS_G | ACCESS_PRESENT | ACCESS_S | 9) } },
	{ "is below its RPL",
	  { OFF(CTRL_PROC2, PROC2_UNRESTRICTED_GUEST), SET(GUEST_SS_SELECTOR, 0), ON(GUEST_ES_SELECTOR, 3) } },
	{ "bits 63:32 of DS", { SET(GUEST_DS_BASE, 1ull << 32) } },
	{ "base in virtual-8086", { NOT_LONG, ON(GUEST_RFLAGS, VM86) } },
	{ "limit in virtual-8086", { NOT_LONG, ON(GUEST_RFLAGS, VM86), SET(GUEST_ES_BASE, 0x180) } },
	{ "access rights in virtual-8086",
	  { NOT_LONG, ON(GUEST_RFLAGS, VM86), SET(GUEST_ES_BASE, 0x180), SET(GUEST_ES_LIMIT, 0xffff) } },
	/* 27.3.1.3, 27.3.1.4 */
	{ "GDTR base", { SET(GUEST_GDTR_BASE, BAD) } },
	{ "IDTR base", { SET(GUEST_IDTR_BASE, BAD) } },
	{ "GDTR limit", { SET(GUEST_GDTR_LIMIT, 0x10000) } },
	{ "IDTR limit", { SET(GUEST_IDTR_LIMIT, 0x10000) } },
	{ "beyond the linear-address width", { SET(GUEST_RIP, 1ull << 48) } },
	{ "outside 64-bit mode", { OFF(GUEST_CS_ACCESS, ACCESS_L), SET(GUEST_RIP, 1ull << 32) } },
	{ "reserved bits of RFLAGS", { SET(GUEST_RFLAGS, 0) } },
	{ "reserved bits of RFLAGS", { ON(GUEST_RFLAGS, 1u << 15) } },
	{ "with RFLAGS.IF 0", { INJECT(INTERRUPTION_EXTERNAL | 32) } },
	/* 27.3.1.5 */
	{ "activity state is not supported", { SET(GUEST_ACTIVITY, 4) } },
	{ "HLT state needs",
	  { SET(GUEST_ACTIVITY, ACTIVITY_HLT), ON(GUEST_SS_ACCESS, 3u << 5), ON(GUEST_CS_ACCESS, 3u << 5) } },
	{ "needs the active state",
	  { SET(GUEST_ACTIVITY, ACTIVITY_HLT), ON(GUEST_RFLAGS, RFLAGS_IF),
	    SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI) } },
	{ "in HLT state", { SET(GUEST_ACTIVITY, ACTIVITY_HLT), INJECT(INTERRUPTION_HARDWARE_EXCEPTION | 6) } },
	{ "in shutdown state",
	  { SET(GUEST_ACTIVITY, ACTIVITY_SHUTDOWN), INJECT(INTERRUPTION_HARDWARE_EXCEPTION | 6) } },
	{ "in wait-for-SIPI", { SET(GUEST_ACTIVITY, ACTIVITY_WAIT_FOR_SIPI), INJECT(INTERRUPTION_NMI | 2) } },
	{ "reserved bits of the interruptibility", { SET(GUEST_INTERRUPTIBILITY, 1u << 5) } },
	{ "both STI and MOV SS", { SET(GUEST_INTERRUPTIBILITY, 3) } },
	{ "blocking by STI with", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI) } },
	{ "while STI or MOV SS blocks",
	  { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), ON(GUEST_RFLAGS, RFLAGS_IF),
	    INJECT(INTERRUPTION_EXTERNAL | 32) } },
	{ "while MOV SS blocks", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), INJECT(INTERRUPTION_NMI | 2) } },
	{ "while STI blocks",
	  { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI), ON(GUEST_RFLAGS, RFLAGS_IF), INJECT(INTERRUPTION_NMI | 2) } },
	{ "blocking by SMI", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_SMI) } },
	{ "virtual NMIs are blocked", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI), INJECT(INTERRUPTION_NMI | 2) } },
	{ "enclave interruption", { SET(GUEST_INTERRUPTIBILITY, ENCLAVE_INTERRUPTION | BLOCKING_BY_MOV_SS) } },
	{ "pending debug exceptions", { SET(GUEST_PENDING_DEBUG, 1u << 4) } },
	{ "pending debug exceptions", { SET(GUEST_PENDING_DEBUG, 1u << 13) } },
	{ "pending single step", { SET(GUEST_ACTIVITY, ACTIVITY_HLT), ON(GUEST_RFLAGS, RFLAGS_TF) } },
	{ "pending single step", { SET(GUEST_ACTIVITY, ACTIVITY_HLT), SET(GUEST_PENDING_DEBUG, PENDING_DEBUG_BS) } },
	{ "VMCS link pointer", { SET(GUEST_VMCS_LINK, 0x10) } },
	/* 27.3.1.6 */
	{ "of a PDPTE", { NOT_LONG, SET(GUEST_PDPTE0, 0), SET(GUEST_PDPTE1, 3) } },
	/* 25.11.3, 31.3 */
	{ "never written", { ON(CTRL_EXIT, EXIT_LOAD_PKRS) } },
	{ "there is no such field", { { SET, 0x4c02, 0 } } },
	{ "the field is read-only", { SET(EXIT_REASON, 0) } },
	{ "wider than the field", { SET(GUEST_CS_SELECTOR, 0x10000) } },
	{ "wider than the field", { SET(CTRL_PROC, 1ull << 32) } },
};
#define ROWS (sizeof(rows) / sizeof(*rows))

static struct vmcs_image image;
static struct vmx_caps caps;
static char detail[128];

static void apply(const struct change *c)
{
	uint64_t old = vmcs_image_read(&image, c->field);
	vmcs_image_write(&image, c->field, c->op == SET ? c->value : c->op == ON ? old | c->value : old & ~c->value);
}

static const char *audit(void)
{
	return vmentry_audit(&image, &caps, detail, sizeof(detail));
}

static void expect(const char *rule)
{
	const char *broken = audit();
	if (!broken || !strstr(broken, rule))
		fail_msg("expected \"%s\", got \"%s\" (%s)", rule, broken ? broken : "nothing", detail);
}

static void test_good(void **state)
{
	(void)state;
	vmentry_good(&image, &caps);
	const char *broken = audit();
	if (broken)
		fail_msg("%s: %s", broken, detail);
}

static void test_each_rule(void **state)
{
	const char *seen[ROWS];
	size_t rules = 0;
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		vmentry_good(&image, &caps);
		for (size_t k = 0; k < 6 && rows[i].change[k].op != END; k++)
			apply(&rows[i].change[k]);
		expect(rows[i].rule);
		const char *broken = audit();
		size_t known = 0;
		while (known < rules && strcmp(seen[known], broken) != 0)
			known++;
		if (known == rules)
			seen[rules++] = broken;
	}
	printf("auditor: %zu rules broken in %zu ways\n", rules, ROWS);
	assert_true(rules >= 150);
}

/* Rules that need a CPU with less than everything, or more steps than a row has. */
static void test_other_cpus(void **state)
{
	(void)state;
	vmentry_good(&image, &caps);
	caps.proc2 = (uint64_t)PROC2_EPT << 32;
	expect("reserved bits of the secondary");
	vmentry_good(&image, &caps);
	caps.proc &= ~((uint64_t)PROC_MONITOR_TRAP_FLAG << 32);
	vmcs_image_write(&image, VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_OTHER_EVENT);
	expect("other event needs");
	vmentry_good(&image, &caps);
	caps.misc &= ~VMX_MISC_ACTIVITY_SHUTDOWN;
	vmcs_image_write(&image, VMCS_GUEST_ACTIVITY, ACTIVITY_SHUTDOWN);
	expect("activity state is not supported");
	vmentry_good(&image, &caps);
	caps.basic |= VMX_BASIC_32BIT_ADDRESSES;
	vmcs_image_write(&image, VMCS_CTRL_IO_BITMAP_A, 1ull << 32);
	expect("address of I/O bitmap A");
	vmentry_good(&image, &caps);
	caps.basic |= VMX_BASIC_ANY_ERROR_CODE;
	vmcs_image_write(&image, VMCS_CTRL_ENTRY_INTERRUPTION_INFO,
	                 INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION | 13);
	assert_null(audit());
	caps.linear_bits = 57;
	vmcs_image_write(&image, VMCS_GUEST_GS_BASE, BAD);
	assert_null(audit());
}

static void test_posted_interrupts(void **state)
{
	const struct change changes[] = { VIRTUAL_DELIVERY, ON(CTRL_PIN, PIN_POSTED_INTERRUPTS),
		                          ON(CTRL_EXIT, EXIT_ACKNOWLEDGE_INTERRUPT),
		                          SET(CTRL_POSTED_DESCRIPTOR, 0x40) };
	(void)state;
	vmentry_good(&image, &caps);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		apply(&changes[i]);
	vmcs_image_write(&image, VMCS_CTRL_POSTED_VECTOR, 0x100);
	expect("notification vector");
	vmcs_image_write(&image, VMCS_CTRL_POSTED_VECTOR, 0xf2);
	assert_null(audit());
	vmcs_image_write(&image, VMCS_CTRL_POSTED_DESCRIPTOR, 0x20);
	expect("descriptor address");
}

/* Other guests that enter: real mode, virtual-8086 mode, and each event in a state that takes it. */
static void test_other_good_guests(void **state)
{
	const struct change real[] = { NOT_LONG, OFF(GUEST_CR0, CR0_PG | CR0_PE), OFF(GUEST_CR4, CR4_PAE),
		                       SET(GUEST_CS_ACCESS, 0x9b), SET(GUEST_CS_LIMIT, 0xffff) };
	(void)state;
	vmentry_good(&image, &caps);
	for (size_t i = 0; i < sizeof(real) / sizeof(*real); i++)
		apply(&real[i]);
	assert_null(audit());
	vmcs_image_write(&image, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | VM86);
	for (uint32_t n = 0; n < 6; n++) {
		vmcs_image_write(&image, VMCS_GUEST_ES_SELECTOR + 2 * n, 0x100 * n);
		vmcs_image_write(&image, VMCS_GUEST_ES_BASE + 2 * n, 0x1000 * n);
		vmcs_image_write(&image, VMCS_GUEST_ES_LIMIT + 2 * n, 0xffff);
		vmcs_image_write(&image, VMCS_GUEST_ES_ACCESS + 2 * n, 0xf3);
	}
	expect("RFLAGS.VM in IA-32e or real mode");
	vmcs_image_write(&image, VMCS_GUEST_CR0, CR0_PE | CR0_NE | CR0_ET);
	assert_null(audit());

	vmentry_good(&image, &caps);
	vmcs_image_write(&image, VMCS_GUEST_ACTIVITY, ACTIVITY_HLT);
	for (uint32_t vector = 1; vector <= 18; vector += 17) {
		vmcs_image_write(&image, VMCS_CTRL_ENTRY_INTERRUPTION_INFO,
		                 INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION | vector);
		assert_null(audit());
	}
	vmcs_image_write(&image, VMCS_GUEST_VMCS_LINK, 0x5000);
	assert_null(audit());
}

static void test_recorder(void **state)
{
	uint64_t vmread(uint32_t field);
	void vmwrite(uint32_t field, uint64_t value);
	size_t fields = 0;
	(void)state;
	memset(&image, 0, sizeof(image));
	vmcs_current = &image;
#define WRITE(name, encoding) vmwrite(encoding, ++fields);
	VMCS_FIELDS_ALL(WRITE)
	size_t n = 0;
#define READ(name, encoding) assert_int_equal(vmread(encoding), ++n); /* no two fields share a slot */
	VMCS_FIELDS_ALL(READ)
	assert_string_equal(vmcs_field_name(VMCS_GUEST_RIP), "VMCS_GUEST_RIP");
	assert_null(vmcs_field_name(0x6c1e));
	memset(&image, 0, sizeof(image));
	expect("reserved bits of the pin");
	assert_string_equal(detail, "VMCS_CTRL_PIN (4000h) = 0h, never written");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_each_rule),
		cmocka_unit_test(test_other_cpus),
		cmocka_unit_test(test_posted_interrupts),
		cmocka_unit_test(test_other_good_guests),
		cmocka_unit_test(test_recorder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

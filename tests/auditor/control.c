// SPDX-License-Identifier: Apache-2.0
/* Checks on VMX controls (SDM Vol. 3C, 27.2.1). */
#include "tests/auditor/audit.h"

/* A control word against its capability MSR: low half must be 1, high half may be 1. */
static int allowed(uint32_t word, uint64_t msr)
{
	return fixed(word, msr & UINT32_MAX, msr >> 32);
}

static const char *execution_words(struct audit *a)
{
	const struct vmx_caps *c = a->caps;
	RULE(allowed(a->pin, c->pin), "27.2.1.1", "reserved bits of the pin-based controls", VMCS_CTRL_PIN);
	RULE(allowed(a->proc, c->proc), "27.2.1.1", "reserved bits of the primary processor-based controls",
	     VMCS_CTRL_PROC);
	RULE(IMPLIES(a->proc & PROC_SECONDARY_CONTROLS, allowed(a->proc2, c->proc2)), "27.2.1.1",
	     "reserved bits of the secondary processor-based controls", VMCS_CTRL_PROC2);
	RULE((a->proc3 & ~c->proc3) == 0, "27.2.1.1", "reserved bits of the tertiary processor-based controls",
	     VMCS_CTRL_PROC3);
	RULE(get(a, VMCS_CTRL_CR3_TARGET_COUNT) <= VMX_MISC_CR3_TARGETS(c->misc), "27.2.1.1",
	     "CR3-target count is above the maximum", VMCS_CTRL_CR3_TARGET_COUNT);
	RULE(IMPLIES(a->proc & PROC_IO_BITMAPS, physical(a, get(a, VMCS_CTRL_IO_BITMAP_A), 12)), "27.2.1.1",
	     "address of I/O bitmap A", VMCS_CTRL_IO_BITMAP_A);
	RULE(IMPLIES(a->proc & PROC_IO_BITMAPS, physical(a, get(a, VMCS_CTRL_IO_BITMAP_B), 12)), "27.2.1.1",
	     "address of I/O bitmap B", VMCS_CTRL_IO_BITMAP_B);
	RULE(IMPLIES(a->proc & PROC_MSR_BITMAPS, physical(a, get(a, VMCS_CTRL_MSR_BITMAPS), 12)), "27.2.1.1",
	     "address of the MSR bitmaps", VMCS_CTRL_MSR_BITMAPS);
	RULE(IMPLIES(a->pin & PIN_VIRTUAL_NMIS, a->pin & PIN_NMI_EXITING), "27.2.1.1", "virtual NMIs need NMI exiting",
	     VMCS_CTRL_PIN);
	RULE(IMPLIES(a->proc & PROC_NMI_WINDOW_EXITING, a->pin & PIN_VIRTUAL_NMIS), "27.2.1.1",
	     "NMI-window exiting needs virtual NMIs", VMCS_CTRL_PROC);
	return NULL;
}

static const char *virtual_apic(struct audit *a)
{
	if (a->proc & PROC_TPR_SHADOW) {
		RULE(physical(a, get(a, VMCS_CTRL_VIRTUAL_APIC), 12), "27.2.1.1", "virtual-APIC address",
		     VMCS_CTRL_VIRTUAL_APIC);
		RULE(a->proc2 & PROC2_VIRTUAL_INTERRUPT_DELIVERY || get(a, VMCS_CTRL_TPR_THRESHOLD) >> 4 == 0,
		     "27.2.1.1", "bits 31:4 of the TPR threshold", VMCS_CTRL_TPR_THRESHOLD);
	} else {
		RULE(!(a->proc2 & (PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER_VIRTUALIZATION |
		                   PROC2_VIRTUAL_INTERRUPT_DELIVERY)),
		     "27.2.1.1", "virtualising the APIC needs the TPR shadow", VMCS_CTRL_PROC2);
	}
	if (a->proc2 & PROC2_VIRTUALIZE_APIC_ACCESSES) {
		RULE(physical(a, get(a, VMCS_CTRL_APIC_ACCESS), 12), "27.2.1.1", "APIC-access address",
		     VMCS_CTRL_APIC_ACCESS);
		RULE(!(a->proc2 & PROC2_VIRTUALIZE_X2APIC), "27.2.1.1",
		     "virtualize x2APIC mode excludes virtualize APIC accesses", VMCS_CTRL_PROC2);
	}
	RULE(IMPLIES(a->proc2 & PROC2_VIRTUAL_INTERRUPT_DELIVERY, a->pin & PIN_EXTERNAL_INTERRUPT_EXITING), "27.2.1.1",
	     "virtual-interrupt delivery needs external-interrupt exiting", VMCS_CTRL_PROC2);
	if (a->pin & PIN_POSTED_INTERRUPTS) {
		RULE(a->proc2 & PROC2_VIRTUAL_INTERRUPT_DELIVERY, "27.2.1.1",
		     "posted interrupts need virtual-interrupt delivery", VMCS_CTRL_PIN);
		RULE(a->exit & EXIT_ACKNOWLEDGE_INTERRUPT, "27.2.1.1",
		     "posted interrupts need acknowledge interrupt on exit", VMCS_CTRL_EXIT);
		RULE(get(a, VMCS_CTRL_POSTED_VECTOR) <= 255, "27.2.1.1", "posted-interrupt notification vector",
		     VMCS_CTRL_POSTED_VECTOR);
		RULE(physical(a, get(a, VMCS_CTRL_POSTED_DESCRIPTOR), 6), "27.2.1.1",
		     "posted-interrupt descriptor address", VMCS_CTRL_POSTED_DESCRIPTOR);
	}
	RULE(IMPLIES(a->proc3 & PROC3_IPI_VIRTUALIZATION, physical(a, get(a, VMCS_CTRL_PID_TABLE), 3)), "27.2.1.1",
	     "PID-pointer table address", VMCS_CTRL_PID_TABLE);
	return NULL;
}

static const char *ept_pointer(struct audit *a)
{
	uint64_t eptp = get(a, VMCS_CTRL_EPTP), cap = a->caps->ept_vpid;
	uint64_t type = eptp & EPTP_MEMORY_TYPE, walk = eptp >> 3 & 7;
	RULE((type == 6 && cap & EPT_CAP_WRITE_BACK) || (type == 0 && cap & EPT_CAP_UNCACHEABLE), "27.2.1.1",
	     "EPT memory type is not supported", VMCS_CTRL_EPTP);
	RULE((walk == 3 && cap & EPT_CAP_WALK_LENGTH_4) || (walk == 4 && cap & EPT_CAP_WALK_LENGTH_5), "27.2.1.1",
	     "EPT page-walk length is not supported", VMCS_CTRL_EPTP);
	RULE(IMPLIES(eptp & EPTP_ACCESSED_DIRTY, cap & EPT_CAP_ACCESSED_DIRTY), "27.2.1.1",
	     "accessed and dirty flags for EPT are not supported", VMCS_CTRL_EPTP);
	RULE((eptp & 0xf80) == 0 && physical(a, eptp & ~0xfffull, 12), "27.2.1.1", "reserved bits of the EPT pointer",
	     VMCS_CTRL_EPTP);
	return NULL;
}

static const char *translation(struct audit *a)
{
	uint64_t ept = a->proc2 & PROC2_EPT;
	RULE(IMPLIES(a->proc2 & PROC2_VPID, get(a, VMCS_CTRL_VPID) != 0), "27.2.1.1", "VPID is 0", VMCS_CTRL_VPID);
	if (ept)
		PART(ept_pointer(a));
	RULE(IMPLIES(a->proc2 & PROC2_PML, ept), "27.2.1.1", "PML needs EPT", VMCS_CTRL_PROC2);
	RULE(IMPLIES(a->proc2 & PROC2_PML, physical(a, get(a, VMCS_CTRL_PML_ADDRESS), 12)), "27.2.1.1", "PML address",
	     VMCS_CTRL_PML_ADDRESS);
	RULE(IMPLIES(a->proc2 & PROC2_UNRESTRICTED_GUEST, ept), "27.2.1.1", "unrestricted guest needs EPT",
	     VMCS_CTRL_PROC2);
	RULE(IMPLIES(a->proc2 & PROC2_MODE_BASED_EXECUTE, ept), "27.2.1.1",
	     "mode-based execute control for EPT needs EPT", VMCS_CTRL_PROC2);
	RULE(IMPLIES(a->proc2 & PROC2_SUB_PAGE_WRITE, ept), "27.2.1.1", "sub-page write permissions need EPT",
	     VMCS_CTRL_PROC2);
	RULE(IMPLIES(a->proc2 & PROC2_SUB_PAGE_WRITE, physical(a, get(a, VMCS_CTRL_SPP_TABLE), 12)), "27.2.1.1",
	     "sub-page-permission-table pointer", VMCS_CTRL_SPP_TABLE);
	RULE(IMPLIES(a->proc3 & (PROC3_HLAT | PROC3_EPT_PAGING_WRITE | PROC3_GUEST_PAGING_VERIFICATION), ept),
	     "27.2.1.1", "HLAT and guest-paging controls need EPT", VMCS_CTRL_PROC3);
	RULE(IMPLIES(a->proc2 & PROC2_PT_GUEST_PHYSICAL, ept), "27.2.1.1", "PT with guest-physical addresses needs EPT",
	     VMCS_CTRL_PROC2);
	RULE(IMPLIES(a->proc2 & PROC2_PT_GUEST_PHYSICAL,
	             a->entry & ENTRY_LOAD_RTIT_CTL && a->exit & EXIT_CLEAR_RTIT_CTL),
	     "27.2.1.1", "PT with guest-physical addresses needs RTIT_CTL loaded and cleared", VMCS_CTRL_PROC2);
	return NULL;
}

static const char *other_features(struct audit *a)
{
	if (a->proc2 & PROC2_VM_FUNCTIONS) {
		uint64_t functions = get(a, VMCS_CTRL_VM_FUNCTIONS);
		RULE((functions & ~a->caps->vmfunc) == 0, "27.2.1.1", "reserved bits of the VM-function controls",
		     VMCS_CTRL_VM_FUNCTIONS);
		RULE(IMPLIES(functions & 1, a->proc2 & PROC2_EPT), "27.2.1.1", "EPTP switching needs EPT",
		     VMCS_CTRL_VM_FUNCTIONS);
		RULE(IMPLIES(functions & 1, physical(a, get(a, VMCS_CTRL_EPTP_LIST), 12)), "27.2.1.1",
		     "EPTP-list address", VMCS_CTRL_EPTP_LIST);
	}
	if (a->proc2 & PROC2_VMCS_SHADOWING) {
		RULE(physical(a, get(a, VMCS_CTRL_VMREAD_BITMAP), 12), "27.2.1.1", "VMREAD-bitmap address",
		     VMCS_CTRL_VMREAD_BITMAP);
		RULE(physical(a, get(a, VMCS_CTRL_VMWRITE_BITMAP), 12), "27.2.1.1", "VMWRITE-bitmap address",
		     VMCS_CTRL_VMWRITE_BITMAP);
	}
	RULE(IMPLIES(a->proc2 & PROC2_EPT_VIOLATION_VE, physical(a, get(a, VMCS_CTRL_VE_INFO), 12)), "27.2.1.1",
	     "virtualization-exception information address", VMCS_CTRL_VE_INFO);
	RULE(IMPLIES(a->proc2 & PROC2_TSC_SCALING, get(a, VMCS_CTRL_TSC_MULTIPLIER) != 0), "27.2.1.1",
	     "TSC multiplier is 0", VMCS_CTRL_TSC_MULTIPLIER);
	return NULL;
}

/* A list of MSRs of 16 bytes each: aligned, its last byte within reach, and not above the recommended length. */
static const char *msr_list(struct audit *a, uint32_t count_field, uint32_t address_field)
{
	uint64_t count = get(a, count_field);
	if (count == 0)
		return NULL;
	uint64_t address = get(a, address_field);
	RULE(physical(a, address, 4), "27.2.1.2, 27.2.1.3", "address of an MSR list", address_field);
	RULE(physical(a, address + 16 * count - 16, 4), "27.2.1.2, 27.2.1.3", "end of an MSR list", count_field);
	RULE(count <= VMX_MISC_MSR_LIST_MAX(a->caps->misc), "25.7.2, 25.8.2", "an MSR list is too long", count_field);
	return NULL;
}

static const char *exit_controls(struct audit *a)
{
	RULE(allowed(a->exit, a->caps->exit), "27.2.1.2", "reserved bits of the VM-exit controls", VMCS_CTRL_EXIT);
	RULE(IMPLIES(a->exit & EXIT_SECONDARY_CONTROLS, (get(a, VMCS_CTRL_EXIT2) & ~a->caps->exit2) == 0), "27.2.1.2",
	     "reserved bits of the secondary VM-exit controls", VMCS_CTRL_EXIT2);
	RULE(IMPLIES(a->exit & EXIT_SAVE_PREEMPTION_TIMER, a->pin & PIN_PREEMPTION_TIMER), "27.2.1.2",
	     "saving the VMX-preemption timer needs it active", VMCS_CTRL_EXIT);
	PART(msr_list(a, VMCS_CTRL_EXIT_MSR_STORE_COUNT, VMCS_CTRL_EXIT_MSR_STORE));
	PART(msr_list(a, VMCS_CTRL_EXIT_MSR_LOAD_COUNT, VMCS_CTRL_EXIT_MSR_LOAD));
	return NULL;
}

/* #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP push an error code (SDM Vol. 3A, table 6-1). */
static int pushes_error_code(uint32_t vector)
{
	return vector < 32 && (0x227d00u >> vector & 1);
}

static const char *injected_event(struct audit *a)
{
	uint32_t info = (uint32_t)get(a, VMCS_CTRL_ENTRY_INTERRUPTION_INFO), f = VMCS_CTRL_ENTRY_INTERRUPTION_INFO;
	uint32_t type = info & INTERRUPTION_TYPE, vector = info & INTERRUPTION_VECTOR;
	uint32_t exception = type == INTERRUPTION_HARDWARE_EXCEPTION;
	if (!(info & INTERRUPTION_VALID))
		return NULL;
	RULE(type != 1u << 8, "27.2.1.3", "interruption type 1 is reserved", f);
	RULE(IMPLIES(type == INTERRUPTION_OTHER_EVENT, a->caps->proc >> 32 & PROC_MONITOR_TRAP_FLAG), "27.2.1.3",
	     "other event needs a CPU with the monitor trap flag", f);
	RULE(IMPLIES(type == INTERRUPTION_NMI, vector == 2), "27.2.1.3", "the vector of an NMI is 2", f);
	RULE(IMPLIES(exception, vector <= 31), "27.2.1.3", "the vector of a hardware exception is at most 31", f);
	RULE(IMPLIES(type == INTERRUPTION_OTHER_EVENT, vector == 0), "27.2.1.3", "the vector of an other event is 0",
	     f);
	uint64_t protected = !(a->proc2 & PROC2_UNRESTRICTED_GUEST) || (get(a, VMCS_GUEST_CR0) & CR0_PE);
	if (info & INTERRUPTION_ERROR_CODE) {
		RULE(exception && protected, "27.2.1.3",
		     "an error code goes with a hardware exception in protected mode only", f);
		RULE(pushes_error_code(vector) || a->caps->basic & VMX_BASIC_ANY_ERROR_CODE, "27.2.1.3",
		     "this exception has no error code", f);
		RULE(get(a, VMCS_CTRL_ENTRY_ERROR_CODE) >> 16 == 0, "27.2.1.3", "bits 31:16 of the error code",
		     VMCS_CTRL_ENTRY_ERROR_CODE);
	} else {
		RULE(!(exception && protected && pushes_error_code(vector)) ||
		             a->caps->basic & VMX_BASIC_ANY_ERROR_CODE,
		     "27.2.1.3", "this exception needs an error code", f);
	}
	RULE((info & 0x7ffff000u) == 0, "27.2.1.3", "reserved bits of the interruption information", f);
	if (type >= INTERRUPTION_SOFTWARE_INTERRUPT && type <= INTERRUPTION_SOFTWARE_EXCEPTION) {
		uint64_t length = get(a, VMCS_CTRL_ENTRY_INSTRUCTION_LENGTH);
		RULE(length <= 15 && (length > 0 || a->caps->misc & VMX_MISC_INJECT_LENGTH_0), "27.2.1.3",
		     "the instruction length of a software event is 1 to 15", VMCS_CTRL_ENTRY_INSTRUCTION_LENGTH);
	}
	return NULL;
}

static const char *entry_controls(struct audit *a)
{
	RULE(allowed(a->entry, a->caps->entry), "27.2.1.3", "reserved bits of the VM-entry controls", VMCS_CTRL_ENTRY);
	RULE(!(a->entry & (ENTRY_TO_SMM | ENTRY_DEACTIVATE_DUAL_MONITOR)), "27.2.1.3",
	     "entry to SMM and deactivating dual-monitor treatment are for SMM only", VMCS_CTRL_ENTRY);
	PART(injected_event(a));
	return msr_list(a, VMCS_CTRL_ENTRY_MSR_LOAD_COUNT, VMCS_CTRL_ENTRY_MSR_LOAD);
}

const char *audit_controls(struct audit *a)
{
	PART(execution_words(a));
	PART(virtual_apic(a));
	PART(translation(a));
	PART(other_features(a));
	PART(exit_controls(a));
	return entry_controls(a);
}

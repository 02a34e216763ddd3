// SPDX-License-Identifier: Apache-2.0
/* Checks on the guest-state area (SDM Vol. 3C, 27.3.1). */
#include "tests/auditor/audit.h"

#define CR0_NOT_CHECKED (CR0_NW | CR0_CD) /* VM entry does not change them */
#define DEBUGCTL_DEFINED 0xffc3ull        /* LBR, BTF, and bits 15:6 */
#define DEBUGCTL_BTF 2ull
#define RFLAGS_RESERVED 0xffffffffffc08028ull

/* The four fields of a segment register stand in the same order everywhere: ES CS SS DS FS GS LDTR TR. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };
#define SELECTOR(n) ((uint32_t)VMCS_GUEST_ES_SELECTOR + 2 * (n))
#define BASE(n) ((uint32_t)VMCS_GUEST_ES_BASE + 2 * (n))
#define LIMIT(n) ((uint32_t)VMCS_GUEST_ES_LIMIT + 2 * (n))
#define ACCESS(n) ((uint32_t)VMCS_GUEST_ES_ACCESS + 2 * (n))

static uint32_t type_of(uint64_t access)
{
	return (uint32_t)access & ACCESS_TYPE;
}

static uint32_t dpl_of(uint64_t access)
{
	return (uint32_t)(access & ACCESS_DPL) >> 5;
}

static int usable(struct audit *a, uint32_t segment)
{
	return !(get(a, ACCESS(segment)) & ACCESS_UNUSABLE);
}

static int long_mode(const struct audit *a)
{
	return (a->entry & ENTRY_IA32E_MODE_GUEST) != 0;
}

static const char *control_registers(struct audit *a)
{
	const struct vmx_caps *c = a->caps;
	uint64_t cr0 = get(a, VMCS_GUEST_CR0), cr4 = get(a, VMCS_GUEST_CR4);
	uint64_t not_checked = CR0_NOT_CHECKED | (a->proc2 & PROC2_UNRESTRICTED_GUEST ? CR0_PE | CR0_PG : 0);
	RULE(fixed(cr0, c->cr0_fixed0 & ~not_checked, c->cr0_fixed1 | not_checked), "27.3.1.1",
	     "guest CR0 has a bit that VMX operation does not support", VMCS_GUEST_CR0);
	RULE(IMPLIES(cr0 & CR0_PG, cr0 & CR0_PE), "27.3.1.1", "guest CR0.PG needs CR0.PE", VMCS_GUEST_CR0);
	RULE(fixed(cr4, c->cr4_fixed0, c->cr4_fixed1), "27.3.1.1",
	     "guest CR4 has a bit that VMX operation does not support", VMCS_GUEST_CR4);
	RULE(IMPLIES(cr4 & CR4_CET, cr0 & CR0_WP), "27.3.1.1", "guest CR4.CET needs CR0.WP", VMCS_GUEST_CR4);
	if (long_mode(a)) {
		RULE(cr0 & CR0_PG, "27.3.1.1", "an IA-32e mode guest needs CR0.PG", VMCS_GUEST_CR0);
		RULE(cr4 & CR4_PAE, "27.3.1.1", "an IA-32e mode guest needs CR4.PAE", VMCS_GUEST_CR4);
	} else {
		RULE(!(cr4 & CR4_PCIDE), "27.3.1.1", "guest CR4.PCIDE needs IA-32e mode", VMCS_GUEST_CR4);
	}
	RULE(get(a, VMCS_GUEST_CR3) >> c->physical_bits == 0, "27.3.1.1",
	     "guest CR3 is beyond the physical-address width", VMCS_GUEST_CR3);
	return NULL;
}

static const char *efer(struct audit *a)
{
	uint64_t value = get(a, VMCS_GUEST_EFER);
	RULE((value & ~EFER_DEFINED) == 0, "27.3.1.1", "reserved bits of guest EFER", VMCS_GUEST_EFER);
	RULE(!(value & EFER_LMA) == !long_mode(a), "27.3.1.1", "guest EFER.LMA is not the IA-32e mode guest control",
	     VMCS_GUEST_EFER);
	RULE(!(get(a, VMCS_GUEST_CR0) & CR0_PG) || !(value & EFER_LMA) == !(value & EFER_LME), "27.3.1.1",
	     "guest EFER.LME is not LMA with paging on", VMCS_GUEST_EFER);
	return NULL;
}

static const char *msrs(struct audit *a)
{
	if (a->entry & ENTRY_LOAD_DEBUG_CONTROLS) {
		RULE((get(a, VMCS_GUEST_DEBUGCTL) & ~DEBUGCTL_DEFINED) == 0, "27.3.1.1",
		     "reserved bits of guest DEBUGCTL", VMCS_GUEST_DEBUGCTL);
		RULE(get(a, VMCS_GUEST_DR7) >> 32 == 0, "27.3.1.1", "bits 63:32 of guest DR7", VMCS_GUEST_DR7);
	}
	RULE(canonical(a, get(a, VMCS_GUEST_SYSENTER_ESP)), "27.3.1.1", "guest SYSENTER_ESP is not canonical",
	     VMCS_GUEST_SYSENTER_ESP);
	RULE(canonical(a, get(a, VMCS_GUEST_SYSENTER_EIP)), "27.3.1.1", "guest SYSENTER_EIP is not canonical",
	     VMCS_GUEST_SYSENTER_EIP);
	RULE(IMPLIES(a->entry & ENTRY_LOAD_PAT, pat_valid(get(a, VMCS_GUEST_PAT))), "27.3.1.1",
	     "guest PAT has a reserved type", VMCS_GUEST_PAT);
	if (a->entry & ENTRY_LOAD_EFER)
		PART(efer(a));
	if (a->entry & ENTRY_LOAD_BNDCFGS) {
		uint64_t bndcfgs = get(a, VMCS_GUEST_BNDCFGS);
		RULE((bndcfgs & 0xffc) == 0 && canonical(a, bndcfgs & ~0xfffull), "27.3.1.1", "guest BNDCFGS",
		     VMCS_GUEST_BNDCFGS);
	}
	RULE(IMPLIES(a->entry & ENTRY_LOAD_UINV, get(a, VMCS_GUEST_UINV) <= 255), "27.3.1.1", "bits 15:8 of guest UINV",
	     VMCS_GUEST_UINV);
	RULE(IMPLIES(a->entry & ENTRY_LOAD_PKRS, get(a, VMCS_GUEST_PKRS) >> 32 == 0), "27.3.1.1",
	     "bits 63:32 of guest PKRS", VMCS_GUEST_PKRS);
	if (a->entry & ENTRY_LOAD_CET) {
		uint64_t s_cet = get(a, VMCS_GUEST_S_CET);
		RULE(canonical(a, s_cet) && s_cet_valid(s_cet), "27.3.1.1", "guest S_CET", VMCS_GUEST_S_CET);
		RULE(canonical(a, get(a, VMCS_GUEST_SSP_TABLE)), "27.3.1.1", "guest SSP table is not canonical",
		     VMCS_GUEST_SSP_TABLE);
		RULE((get(a, VMCS_GUEST_SSP) & 3) == 0, "27.3.1.4", "bits 1:0 of guest SSP", VMCS_GUEST_SSP);
	}
	return NULL;
}

/* Access rights of a usable segment: what all eight have in common. */
static const char *descriptor(struct audit *a, uint32_t n)
{
	uint64_t access = get(a, ACCESS(n)), limit = get(a, LIMIT(n));
	RULE(!(access & ACCESS_S) == (n >= LDTR), "27.3.1.2", "S is 0 for LDTR and TR, 1 for the others", ACCESS(n));
	RULE(access & ACCESS_PRESENT, "27.3.1.2", "a usable segment is not present", ACCESS(n));
	RULE((access & 0xfffe0f00u) == 0, "27.3.1.2", "reserved bits of access rights", ACCESS(n));
	RULE(IMPLIES(access & ACCESS_G, (limit & 0xfff) == 0xfff), "27.3.1.2",
	     "G is 1 but the limit's low bits are not all 1", LIMIT(n));
	RULE(IMPLIES(limit >> 20, access & ACCESS_G), "27.3.1.2", "G is 0 but the limit is above 1 MiB", LIMIT(n));
	return NULL;
}

static const char *code_segment(struct audit *a)
{
	uint64_t access = get(a, ACCESS(CS)), ss_dpl = dpl_of(get(a, ACCESS(SS)));
	uint32_t type = type_of(access), dpl = dpl_of(access);
	int unrestricted = (a->proc2 & PROC2_UNRESTRICTED_GUEST) != 0;
	RULE(!(access & ACCESS_UNUSABLE), "27.3.1.2", "CS is unusable", ACCESS(CS));
	RULE((type & 9) == 9 || (type == 3 && unrestricted), "27.3.1.2",
	     "CS is no accessed code segment, nor type 3 in an unrestricted guest", ACCESS(CS));
	RULE(IMPLIES(type == 3, dpl == 0), "27.3.1.2", "CS of type 3 needs DPL 0", ACCESS(CS));
	RULE(IMPLIES(type == 9 || type == 11, dpl == ss_dpl), "27.3.1.2", "DPL of non-conforming CS is not that of SS",
	     ACCESS(CS));
	RULE(IMPLIES(type == 13 || type == 15, dpl <= ss_dpl), "27.3.1.2", "DPL of conforming CS is above that of SS",
	     ACCESS(CS));
	RULE(!(long_mode(a) && access & ACCESS_L && access & ACCESS_DB), "27.3.1.2", "CS has both L and D/B",
	     ACCESS(CS));
	RULE(get(a, BASE(CS)) >> 32 == 0, "27.3.1.2", "bits 63:32 of CS base", BASE(CS));
	return descriptor(a, CS);
}

static const char *stack_segment(struct audit *a)
{
	uint64_t access = get(a, ACCESS(SS)), selector = get(a, SELECTOR(SS));
	int unrestricted = (a->proc2 & PROC2_UNRESTRICTED_GUEST) != 0;
	RULE(unrestricted || (selector & 3) == (get(a, SELECTOR(CS)) & 3), "27.3.1.2", "RPL of SS is not that of CS",
	     SELECTOR(SS));
	RULE(unrestricted || dpl_of(access) == (selector & 3), "27.3.1.2", "DPL of SS is not its RPL", ACCESS(SS));
	RULE(IMPLIES(type_of(get(a, ACCESS(CS))) == 3 || !(get(a, VMCS_GUEST_CR0) & CR0_PE), dpl_of(access) == 0),
	     "27.3.1.2", "DPL of SS is not 0 in real mode, or with CS of type 3", ACCESS(SS));
	if (access & ACCESS_UNUSABLE)
		return NULL;
	RULE(type_of(access) == 3 || type_of(access) == 7, "27.3.1.2", "SS is no accessed, writable data segment",
	     ACCESS(SS));
	RULE(get(a, BASE(SS)) >> 32 == 0, "27.3.1.2", "bits 63:32 of SS base", BASE(SS));
	return descriptor(a, SS);
}

static const char *data_segment(struct audit *a, uint32_t n)
{
	uint64_t access = get(a, ACCESS(n));
	uint32_t type = type_of(access);
	if (n == FS || n == GS)
		RULE(canonical(a, get(a, BASE(n))), "27.3.1.2", "FS or GS base is not canonical", BASE(n));
	if (access & ACCESS_UNUSABLE)
		return NULL;
	RULE(type & 1, "27.3.1.2", "a data segment is not accessed", ACCESS(n));
	RULE(IMPLIES(type & 8, type & 2), "27.3.1.2", "a code segment used for data is not readable", ACCESS(n));
	RULE(a->proc2 & PROC2_UNRESTRICTED_GUEST || type > 11 || dpl_of(access) >= (get(a, SELECTOR(n)) & 3),
	     "27.3.1.2", "DPL of a data segment is below its RPL", ACCESS(n));
	if (n == ES || n == DS)
		RULE(get(a, BASE(n)) >> 32 == 0, "27.3.1.2", "bits 63:32 of DS or ES base", BASE(n));
	return descriptor(a, n);
}

static const char *virtual_8086(struct audit *a)
{
	for (uint32_t n = ES; n <= GS; n++) {
		RULE(get(a, BASE(n)) == get(a, SELECTOR(n)) << 4, "27.3.1.2", "base in virtual-8086 mode", BASE(n));
		RULE(get(a, LIMIT(n)) == 0xffff, "27.3.1.2", "limit in virtual-8086 mode", LIMIT(n));
		RULE(get(a, ACCESS(n)) == 0xf3, "27.3.1.2", "access rights in virtual-8086 mode", ACCESS(n));
	}
	return NULL;
}

static const char *system_segments(struct audit *a)
{
	uint64_t tr = get(a, ACCESS(TR));
	RULE(!(get(a, SELECTOR(TR)) & 4), "27.3.1.2", "TI of TR", SELECTOR(TR));
	RULE(canonical(a, get(a, BASE(TR))), "27.3.1.2", "TR base is not canonical", BASE(TR));
	RULE(!(tr & ACCESS_UNUSABLE), "27.3.1.2", "TR is unusable", ACCESS(TR));
	RULE(type_of(tr) == 11 || (type_of(tr) == 3 && !long_mode(a)), "27.3.1.2", "TR is no busy TSS", ACCESS(TR));
	PART(descriptor(a, TR));
	if (!usable(a, LDTR))
		return NULL;
	RULE(!(get(a, SELECTOR(LDTR)) & 4), "27.3.1.2", "TI of LDTR", SELECTOR(LDTR));
	RULE(canonical(a, get(a, BASE(LDTR))), "27.3.1.2", "LDTR base is not canonical", BASE(LDTR));
	RULE(type_of(get(a, ACCESS(LDTR))) == 2, "27.3.1.2", "LDTR is no LDT", ACCESS(LDTR));
	return descriptor(a, LDTR);
}

static const char *segments(struct audit *a)
{
	PART(system_segments(a));
	if (get(a, VMCS_GUEST_RFLAGS) & RFLAGS_VM)
		return virtual_8086(a);
	PART(code_segment(a));
	PART(stack_segment(a));
	PART(data_segment(a, ES));
	for (uint32_t n = DS; n <= GS; n++)
		PART(data_segment(a, n));
	return NULL;
}

static const char *tables(struct audit *a)
{
	RULE(canonical(a, get(a, VMCS_GUEST_GDTR_BASE)), "27.3.1.3", "GDTR base is not canonical",
	     VMCS_GUEST_GDTR_BASE);
	RULE(canonical(a, get(a, VMCS_GUEST_IDTR_BASE)), "27.3.1.3", "IDTR base is not canonical",
	     VMCS_GUEST_IDTR_BASE);
	RULE(get(a, VMCS_GUEST_GDTR_LIMIT) >> 16 == 0, "27.3.1.3", "bits 31:16 of GDTR limit", VMCS_GUEST_GDTR_LIMIT);
	RULE(get(a, VMCS_GUEST_IDTR_LIMIT) >> 16 == 0, "27.3.1.3", "bits 31:16 of IDTR limit", VMCS_GUEST_IDTR_LIMIT);
	return NULL;
}

static const char *rip_rflags(struct audit *a)
{
	uint64_t rip = get(a, VMCS_GUEST_RIP), rflags = get(a, VMCS_GUEST_RFLAGS);
	uint64_t info = get(a, VMCS_CTRL_ENTRY_INTERRUPTION_INFO);
	if (long_mode(a) && get(a, ACCESS(CS)) & ACCESS_L) {
		uint64_t above = rip >> a->caps->linear_bits; /* these are equal; canonical would be one bit more */
		RULE(above == 0 || above == UINT64_MAX >> a->caps->linear_bits, "27.3.1.4",
		     "RIP is beyond the linear-address width", VMCS_GUEST_RIP);
	} else {
		RULE(rip >> 32 == 0, "27.3.1.4", "bits 63:32 of RIP outside 64-bit mode", VMCS_GUEST_RIP);
	}
	RULE((rflags & RFLAGS_RESERVED) == 0 && rflags & RFLAGS_FIXED, "27.3.1.4", "reserved bits of RFLAGS",
	     VMCS_GUEST_RFLAGS);
	RULE(!(rflags & RFLAGS_VM) || (!long_mode(a) && get(a, VMCS_GUEST_CR0) & CR0_PE), "27.3.1.4",
	     "RFLAGS.VM in IA-32e or real mode", VMCS_GUEST_RFLAGS);
	RULE(!(info & INTERRUPTION_VALID) || (info & INTERRUPTION_TYPE) != INTERRUPTION_EXTERNAL || rflags & RFLAGS_IF,
	     "27.3.1.4", "an external interrupt is injected with RFLAGS.IF 0", VMCS_GUEST_RFLAGS);
	get(a, VMCS_GUEST_RSP);
	return NULL;
}

static const char *activity(struct audit *a, uint32_t info)
{
	static const uint64_t support[] = { 0, VMX_MISC_ACTIVITY_HLT, VMX_MISC_ACTIVITY_SHUTDOWN,
		                            VMX_MISC_ACTIVITY_WAIT_FOR_SIPI };
	uint64_t state = get(a, VMCS_GUEST_ACTIVITY), blocking = get(a, VMCS_GUEST_INTERRUPTIBILITY);
	uint32_t type = info & INTERRUPTION_TYPE, vector = info & INTERRUPTION_VECTOR;
	int exception = type == INTERRUPTION_HARDWARE_EXCEPTION;
	RULE(state <= ACTIVITY_WAIT_FOR_SIPI && (a->caps->misc & support[state]) == support[state], "27.3.1.5",
	     "activity state is not supported", VMCS_GUEST_ACTIVITY);
	RULE(!(state == ACTIVITY_HLT && dpl_of(get(a, ACCESS(SS))) != 0), "27.3.1.5", "HLT state needs SS.DPL 0",
	     VMCS_GUEST_ACTIVITY);
	RULE(IMPLIES(blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS), state == ACTIVITY_ACTIVE), "27.3.1.5",
	     "blocking by STI or MOV SS needs the active state", VMCS_GUEST_ACTIVITY);
	if (!(info & INTERRUPTION_VALID))
		return NULL;
	RULE(state != ACTIVITY_HLT || type == INTERRUPTION_EXTERNAL || type == INTERRUPTION_NMI ||
	             (exception && (vector == 1 || vector == 18)) || type == INTERRUPTION_OTHER_EVENT,
	     "27.3.1.5", "this event cannot be injected in HLT state", VMCS_GUEST_ACTIVITY);
	RULE(state != ACTIVITY_SHUTDOWN || type == INTERRUPTION_NMI || (exception && vector == 18), "27.3.1.5",
	     "this event cannot be injected in shutdown state", VMCS_GUEST_ACTIVITY);
	RULE(state != ACTIVITY_WAIT_FOR_SIPI, "27.3.1.5", "no event can be injected in wait-for-SIPI state",
	     VMCS_GUEST_ACTIVITY);
	return NULL;
}

static const char *interruptibility(struct audit *a, uint32_t info)
{
	const uint32_t f = VMCS_GUEST_INTERRUPTIBILITY;
	uint64_t blocking = get(a, f);
	int external = info & INTERRUPTION_VALID && (info & INTERRUPTION_TYPE) == INTERRUPTION_EXTERNAL;
	int nmi = info & INTERRUPTION_VALID && (info & INTERRUPTION_TYPE) == INTERRUPTION_NMI;
	uint64_t shadow = blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
	RULE(blocking >> 5 == 0, "27.3.1.5", "reserved bits of the interruptibility state", f);
	RULE(shadow != (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS), "27.3.1.5", "blocking by both STI and MOV SS", f);
	RULE(IMPLIES(blocking & BLOCKING_BY_STI, get(a, VMCS_GUEST_RFLAGS) & RFLAGS_IF), "27.3.1.5",
	     "blocking by STI with RFLAGS.IF 0", f);
	RULE(!(external && shadow), "27.3.1.5", "an external interrupt is injected while STI or MOV SS blocks", f);
	RULE(!(nmi && blocking & BLOCKING_BY_MOV_SS), "27.3.1.5", "an NMI is injected while MOV SS blocks", f);
	RULE(!(nmi && blocking & BLOCKING_BY_STI), "27.3.1.5", "an NMI is injected while STI blocks (some CPUs refuse)",
	     f);
	RULE(!(blocking & BLOCKING_BY_SMI), "27.3.1.5", "blocking by SMI outside SMM", f);
	RULE(!(nmi && a->pin & PIN_VIRTUAL_NMIS && blocking & BLOCKING_BY_NMI), "27.3.1.5",
	     "an NMI is injected while virtual NMIs are blocked", f);
	RULE(!(blocking & ENCLAVE_INTERRUPTION && blocking & BLOCKING_BY_MOV_SS), "27.3.1.5",
	     "enclave interruption with blocking by MOV SS", f);
	return NULL;
}

static const char *pending_debug(struct audit *a)
{
	const uint32_t f = VMCS_GUEST_PENDING_DEBUG;
	uint64_t pending = get(a, f), blocking = get(a, VMCS_GUEST_INTERRUPTIBILITY);
	RULE((pending & 0xfffffffffffeaff0ull) == 0, "27.3.1.5", "reserved bits of the pending debug exceptions", f);
	if (!(blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) && get(a, VMCS_GUEST_ACTIVITY) != ACTIVITY_HLT)
		return NULL;
	int step = get(a, VMCS_GUEST_RFLAGS) & RFLAGS_TF && !(get(a, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);
	RULE(!step == !(pending & PENDING_DEBUG_BS), "27.3.1.5",
	     "pending single step does not agree with RFLAGS.TF and DEBUGCTL.BTF", f);
	return NULL;
}

static const char *pdptes(struct audit *a)
{
	uint64_t cr0 = get(a, VMCS_GUEST_CR0), cr4 = get(a, VMCS_GUEST_CR4);
	if (!(cr0 & CR0_PG && cr4 & CR4_PAE) || long_mode(a) || !(a->proc2 & PROC2_EPT))
		return NULL;
	for (uint32_t f = VMCS_GUEST_PDPTE0; f <= VMCS_GUEST_PDPTE3; f += 2) {
		uint64_t pdpte = get(a, f);
		RULE(IMPLIES(pdpte & 1, (pdpte & 0x1e6) == 0 && pdpte >> a->caps->physical_bits == 0), "27.3.1.6",
		     "reserved bits of a PDPTE", f);
	}
	return NULL;
}

const char *audit_guest(struct audit *a)
{
	uint32_t info = (uint32_t)get(a, VMCS_CTRL_ENTRY_INTERRUPTION_INFO);
	uint64_t link = get(a, VMCS_GUEST_VMCS_LINK);
	PART(control_registers(a));
	PART(msrs(a));
	PART(segments(a));
	PART(tables(a));
	PART(rip_rflags(a));
	PART(activity(a, info));
	PART(interruptibility(a, info));
	PART(pending_debug(a));
	RULE(link == UINT64_MAX || physical(a, link, 12), "27.3.1.5", "VMCS link pointer", VMCS_GUEST_VMCS_LINK);
	return pdptes(a);
}

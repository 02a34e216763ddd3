// SPDX-License-Identifier: Apache-2.0
/* Checks on the host-state area (SDM Vol. 3C, 27.2.2 to 27.2.4). */
#include "tests/auditor/audit.h"

#define CR0_NOT_CHECKED (CR0_NW | CR0_CD) /* VM exit does not change them */

static const char *control_registers(struct audit *a)
{
	const struct vmx_caps *c = a->caps;
	uint64_t cr0 = get(a, VMCS_HOST_CR0), cr4 = get(a, VMCS_HOST_CR4);
	RULE(fixed(cr0, c->cr0_fixed0 & ~CR0_NOT_CHECKED, c->cr0_fixed1 | CR0_NOT_CHECKED), "27.2.2",
	     "host CR0 has a bit that VMX operation does not support", VMCS_HOST_CR0);
	RULE(fixed(cr4, c->cr4_fixed0, c->cr4_fixed1), "27.2.2",
	     "host CR4 has a bit that VMX operation does not support", VMCS_HOST_CR4);
	RULE(IMPLIES(cr4 & CR4_CET, cr0 & CR0_WP), "27.2.2", "host CR4.CET needs CR0.WP", VMCS_HOST_CR4);
	RULE(get(a, VMCS_HOST_CR3) >> c->physical_bits == 0, "27.2.2", "host CR3 is beyond the physical-address width",
	     VMCS_HOST_CR3);
	return NULL;
}

static const char *msrs(struct audit *a)
{
	RULE(canonical(a, get(a, VMCS_HOST_SYSENTER_ESP)), "27.2.2", "host SYSENTER_ESP is not canonical",
	     VMCS_HOST_SYSENTER_ESP);
	RULE(canonical(a, get(a, VMCS_HOST_SYSENTER_EIP)), "27.2.2", "host SYSENTER_EIP is not canonical",
	     VMCS_HOST_SYSENTER_EIP);
	RULE(IMPLIES(a->exit & EXIT_LOAD_PAT, pat_valid(get(a, VMCS_HOST_PAT))), "27.2.2",
	     "host PAT has a reserved type", VMCS_HOST_PAT);
	if (a->exit & EXIT_LOAD_EFER) {
		uint64_t efer = get(a, VMCS_HOST_EFER), long_mode = a->exit & EXIT_HOST_ADDRESS_SPACE_SIZE;
		RULE((efer & ~EFER_DEFINED) == 0, "27.2.2", "reserved bits of host EFER", VMCS_HOST_EFER);
		RULE(!(efer & EFER_LMA) == !long_mode, "27.2.2", "host EFER.LMA is not the address-space size",
		     VMCS_HOST_EFER);
		RULE(!(efer & EFER_LME) == !long_mode, "27.2.2", "host EFER.LME is not the address-space size",
		     VMCS_HOST_EFER);
	}
	if (a->exit & EXIT_LOAD_CET) {
		uint64_t s_cet = get(a, VMCS_HOST_S_CET), ssp = get(a, VMCS_HOST_SSP);
		RULE(canonical(a, s_cet) && s_cet_valid(s_cet), "27.2.2", "host S_CET", VMCS_HOST_S_CET);
		RULE(canonical(a, ssp) && (ssp & 3) == 0, "27.2.2", "host SSP", VMCS_HOST_SSP);
		RULE(canonical(a, get(a, VMCS_HOST_SSP_TABLE)), "27.2.2", "host SSP table is not canonical",
		     VMCS_HOST_SSP_TABLE);
	}
	RULE(IMPLIES(a->exit & EXIT_LOAD_PKRS, get(a, VMCS_HOST_PKRS) >> 32 == 0), "27.2.2", "bits 63:32 of host PKRS",
	     VMCS_HOST_PKRS);
	return NULL;
}

static const char *segments(struct audit *a)
{
	for (uint32_t f = VMCS_HOST_ES_SELECTOR; f <= VMCS_HOST_TR_SELECTOR; f += 2)
		RULE((get(a, f) & 7) == 0, "27.2.3", "a host selector has RPL or TI", f);
	RULE(get(a, VMCS_HOST_CS_SELECTOR) != 0, "27.2.3", "host CS is 0", VMCS_HOST_CS_SELECTOR);
	RULE(get(a, VMCS_HOST_TR_SELECTOR) != 0, "27.2.3", "host TR is 0", VMCS_HOST_TR_SELECTOR);
	for (uint32_t f = VMCS_HOST_FS_BASE; f <= VMCS_HOST_IDTR_BASE; f += 2)
		RULE(canonical(a, get(a, f)), "27.2.3", "a host base is not canonical", f);
	return NULL;
}

const char *audit_host(struct audit *a)
{
	PART(control_registers(a));
	PART(msrs(a));
	PART(segments(a));
	RULE(a->exit & EXIT_HOST_ADDRESS_SPACE_SIZE, "27.2.4", "a CPU in IA-32e mode needs host address-space size 1",
	     VMCS_CTRL_EXIT);
	RULE(get(a, VMCS_HOST_CR4) & CR4_PAE, "27.2.4", "host CR4.PAE is 0 in a 64-bit host", VMCS_HOST_CR4);
	RULE(canonical(a, get(a, VMCS_HOST_RIP)), "27.2.4", "host RIP is not canonical", VMCS_HOST_RIP);
	get(a, VMCS_HOST_RSP); /* any value will do, but it has to be there */
	return NULL;
}

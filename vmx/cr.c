// SPDX-License-Identifier: Apache-2.0
/*
 * Control registers. The masks below keep for the host what a guest could turn against the core; every other bit is the
 * guest's own and changes with no exit. SDM Vol. 3C, 26.1.3 and 25.6.6.
 */
#include "cr.h"

#include "core/core.h"
#include "core/lib.h"
#include "core/window.h"
#include "core/x86.h"
#include "exit.h"
#include "vmx.h"

#define CR0_DEFINED 0xe005003full
/* Host-owned beside what no visible feature brings: MCE, without which a broadcast machine check is a shutdown; VMXE,
 * fixed to 1; OSXSAVE, which CPUID mirrors. */
#define CR4_HOST_OWNED (CR4_MCE | CR4_VMXE | CR4_OSXSAVE)
#define PDPTE_RESERVED 0x1e6ull /* and those from MAXPHYADDR on */

/* Guests that use PAE paging: the CPU holds the four PDPTEs, and after a write that we emulate they are ours to load
 * (SDM Vol. 3A, 4.4.1). Returns 0 if CR3 leads out of the partition or a reserved bit is set: #GP. */
static int load_pdptes(struct vcpu *vcpu)
{
	const uint64_t cr3 = vmread(VMCS_GUEST_CR3) & 0xffffffe0u;
	uint64_t bytes;
	const uint64_t hpa = partition_translate(vcpu->partition_index, cr3, &bytes);
	const uint64_t reserved = PDPTE_RESERVED | ~0ull << (cpuid(0x80000008, 0).r[0] & 0x3f);
	uint64_t pdpte[4];

	if (bytes < sizeof pdpte)
		return 0;
	memcpy(pdpte, window(0, hpa), sizeof pdpte); /* another CPU of the partition may write to them */
	window_close();
	for (uint32_t i = 0; i < 4; i++)
		if (pdpte[i] & 1 && pdpte[i] & reserved)
			return 0;
	for (uint32_t i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
	return 1;
}

/* Paging switched on or off in an emulated write: long mode follows (SDM Vol. 3A, 10.8.5). */
static int switch_paging(struct vcpu *vcpu, uint64_t value)
{
	const uint64_t efer = vmread(VMCS_GUEST_EFER), cr4 = vmread(VMCS_GUEST_CR4);
	const uint32_t entry = (uint32_t)vmread(VMCS_CTRL_ENTRY);
	const int long_mode = value & CR0_PG && efer & EFER_LME;

	if (long_mode && !(cr4 & CR4_PAE))
		return 0;
	if (value & CR0_PG && !long_mode && cr4 & CR4_PAE && !load_pdptes(vcpu))
		return 0;
	vmwrite(VMCS_GUEST_EFER, long_mode ? efer | EFER_LMA : efer & ~EFER_LMA);
	vmwrite(VMCS_CTRL_ENTRY, long_mode ? entry | ENTRY_IA32E_MODE_GUEST : entry & ~ENTRY_IA32E_MODE_GUEST);
	return 1;
}

static int in_64_bit_mode(void)
{
	return vmread(VMCS_GUEST_EFER) & EFER_LMA && vmread(VMCS_GUEST_CS_ACCESS) & ACCESS_L;
}

static void write_guest_cr0(struct vcpu *vcpu, uint64_t value)
{
	const uint64_t old = vmread(VMCS_GUEST_CR0);

	if (value >> 32 || (value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		goto fault;
	if (!(value & CR0_PG) && (vmread(VMCS_GUEST_CR4) & CR4_PCIDE || in_64_bit_mode()))
		goto fault;
	if ((value ^ old) & CR0_PG && !switch_paging(vcpu, value))
		goto fault;
	vmwrite(VMCS_CTRL_CR0_SHADOW, (value & CR0_DEFINED) | CR0_ET);
	/* A guest that turns its caches off would run root mode uncached: CD and NW are shown to it and never set. */
	vmwrite(VMCS_GUEST_CR0, ((value & CR0_DEFINED) | CR0_ET | CR0_NE) & ~(CR0_CD | CR0_NW));
	skip_instruction();
	return;
fault:
	inject_exception(vcpu, VECTOR_GP, 0);
}

static void write_guest_cr4(struct vcpu *vcpu, uint64_t value)
{
	const uint64_t owned = ~vcpu->cr4_allowed | CR4_HOST_OWNED;
	const uint64_t old = (vmread(VMCS_CTRL_CR4_SHADOW) & owned) | (vmread(VMCS_GUEST_CR4) & ~owned);
	const uint64_t in_long_mode = vmread(VMCS_GUEST_EFER) & EFER_LMA;
	const uint64_t paging_bits = CR4_PAE | CR4_PGE | 1u << 4 | CR4_SMEP;
	uint32_t *c1;

	if (value & ~vcpu->cr4_allowed || (in_long_mode && !(value & CR4_PAE)))
		goto fault;
	if (value & CR4_PCIDE && !(old & CR4_PCIDE) && (!in_long_mode || vmread(VMCS_GUEST_CR3) & 0xfff))
		goto fault;
	if (!in_long_mode && value & CR4_PAE && vmread(VMCS_GUEST_CR0) & CR0_PG && (value ^ old) & paging_bits &&
	    !load_pdptes(vcpu))
		goto fault;
	vmwrite(VMCS_CTRL_CR4_SHADOW, value);
	vmwrite(VMCS_GUEST_CR4, value | CR4_MCE | CR4_VMXE);
	if ((value ^ old) & (paging_bits | CR4_PCIDE) && invvpid(INVVPID_SINGLE_CONTEXT, vcpu_vpid(vcpu), 0))
		vmx_failed("INVVPID", vcpu_vpid(vcpu));
	if ((c1 = vcpu_cpuid(vcpu, 1, 0)))
		c1[2] = value & CR4_OSXSAVE ? c1[2] | 1u << 27 : c1[2] & ~(1u << 27);
	skip_instruction();
	return;
fault:
	inject_exception(vcpu, VECTOR_GP, 0);
}

/* Qualification: SDM Vol. 3C, table 28-3. CR3 does not exit, CR8 only on scheduled CPUs (vmx/scheduled.c); CLTS, LMSW and reads touch no masked bit. */
void exit_cr_access(struct vcpu *vcpu)
{
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	const uint32_t reg = qualification >> 8 & 0xf;
	const uint64_t value = reg == REG_RSP ? vmread(VMCS_GUEST_RSP) : vcpu->regs[reg];

	switch (qualification & 0x3f) { /* register number, and access type 0: MOV to it */
	case 0:
		write_guest_cr0(vcpu, value);
		break;
	case 4:
		write_guest_cr4(vcpu, value);
		break;
	default:
		guest_error_skip(vcpu, ERROR_EXIT, VECTOR_UD, "control register access", qualification);
	}
}

/* SDM Vol. 1, 13.3: x87 always; AVX needs SSE; the three AVX-512 parts go together and need AVX. */
static int xcr0_is_valid(uint64_t value, uint64_t allowed)
{
	const uint64_t avx512 = 7ull << 5;

	if (value & ~allowed || !(value & 1))
		return 0;
	if (value & 4 && !(value & 2))
		return 0;
	return !(value & avx512) || ((value & avx512) == avx512 && value & 4);
}

void exit_xsetbv(struct vcpu *vcpu)
{
	const uint64_t value = vcpu->regs[REG_RDX] << 32 | (uint32_t)vcpu->regs[REG_RAX];
	uint32_t *c;

	if ((uint32_t)vcpu->regs[REG_RCX] || !xcr0_is_valid(value, vcpu->xcr0_allowed)) {
		inject_exception(vcpu, VECTOR_GP, 0);
		return;
	}
	xsetbv0(value);
	if ((c = vcpu_cpuid(vcpu, 0xd, 0)))
		c[1] = cpuid(0xd, 0).r[1];
	if ((c = vcpu_cpuid(vcpu, 0xd, 1)))
		c[1] = cpuid(0xd, 1).r[1];
	skip_instruction();
}

void vcpu_init_control_registers(struct vcpu *vcpu)
{
	vcpu->cr4_allowed = CR4_OSXMMEXCPT | visible_features(vcpu).cr4;
	/* Host-owned: bits that are not defined, NE (fixed to 1 by VMX), CD and NW. */
	vmwrite(VMCS_CTRL_CR0_MASK, ~CR0_DEFINED | CR0_NE | CR0_CD | CR0_NW);
	vmwrite(VMCS_CTRL_CR4_MASK, ~vcpu->cr4_allowed | CR4_HOST_OWNED);
	vcpu_first_control_registers();
}

void vcpu_first_control_registers(void)
{
	const uint64_t cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE;

	vmwrite(VMCS_CTRL_CR0_SHADOW, cr0);
	vmwrite(VMCS_GUEST_CR0, cr0);
	vmwrite(VMCS_CTRL_CR4_SHADOW, CR4_PAE);
	vmwrite(VMCS_GUEST_CR4, CR4_PAE | CR4_MCE | CR4_VMXE);
}

void vcpu_reset_control_registers(struct vcpu *vcpu)
{
	(void)vcpu;
	vmwrite(VMCS_CTRL_CR0_SHADOW, CR0_CD | CR0_NW | CR0_ET);
	vmwrite(VMCS_GUEST_CR0, CR0_ET | CR0_NE);
	vmwrite(VMCS_CTRL_CR4_SHADOW, 0);
	vmwrite(VMCS_GUEST_CR4, CR4_MCE | CR4_VMXE);
}

// SPDX-License-Identifier: Apache-2.0
/* Model-specific registers: default deny, the rest by the partition's table. */
#include "core/lib.h"
#include "core/x86.h"
#include "exit.h"
#include "vmx.h"

#define HIGH_MSRS 0xc0000000u
#define BITMAP_MSRS 0x2000u

/* The table is sorted by `first`. Bounded by its length, which halves. */
static const struct config_msr *find(const struct config_partition *p, uint32_t msr)
{
	uint32_t low = 0, high = p->msr_count;

	while (low < high) {
		const uint32_t middle = (low + high) / 2;
		const struct config_msr *m = &p->msrs[middle];

		if (msr < m->first)
			high = middle;
		else if (msr > m->last)
			low = middle + 1;
		else
			return m;
	}
	return 0;
}

static void bitmap_allow(uint8_t *bitmap, uint32_t msr, int write)
{
	const uint32_t offset = (write ? 2048u : 0) + (msr >= HIGH_MSRS ? 1024u : 0), bit = msr & (BITMAP_MSRS - 1);

	if (msr < BITMAP_MSRS || msr - HIGH_MSRS < BITMAP_MSRS)
		bitmap[offset + bit / 8] &= (uint8_t)~(1u << bit % 8);
}

/* SDM Vol. 3C, 25.6.9: a set bit exits. */
void vcpu_init_msr_bitmap(struct vcpu *vcpu)
{
	const struct config_partition *p = vcpu->partition;

	memset(vcpu->msr_bitmap, 0xff, sizeof vcpu->msr_bitmap);
	for (uint32_t i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];

		for (uint32_t msr = m->first; msr - m->first <= m->last - m->first; msr++) {
			if (m->read == MSR_PASS)
				bitmap_allow(vcpu->msr_bitmap, msr, 0);
			if (m->write == MSR_PASS)
				bitmap_allow(vcpu->msr_bitmap, msr, 1);
			if (m->read == MSR_SHADOW || m->write == MSR_SHADOW)
				vcpu->msr_shadow[m->shadow + (msr - m->first)] = m->value;
		}
	}
}

static enum exit_action denied(struct vcpu *vcpu, const char *what, uint32_t msr)
{
	return guest_error(vcpu, ERROR_MSR, VECTOR_GP, what, msr);
}

enum exit_action exit_rdmsr(struct vcpu *vcpu)
{
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	const struct config_msr *m = find(vcpu->partition, msr);
	const uint32_t apic_id = vcpu->partition->vcpus[vcpu->index].apic_id;
	uint64_t value;

	switch (m ? m->read : MSR_DENY) {
	case MSR_VALUE:
		value = m->value;
		break;
	case MSR_SHADOW:
		value = vcpu->msr_shadow[m->shadow + (msr - m->first)];
		break;
	case MSR_REAL:
		value = (rdmsr(msr) & m->mask) | m->value;
		break;
	case MSR_APIC_BASE:
		value = 0xfee00000u | APIC_BASE_ENABLE | APIC_BASE_EXTD | (vcpu->index ? 0 : APIC_BASE_BSP);
		break;
	case MSR_APIC_ID:
		value = apic_id;
		break;
	case MSR_APIC_LDR: /* logical x2APIC ID: cluster and a bit in it (Vol. 3A, 11.12.10.2) */
		value = (apic_id & ~0xfull) << 12 | 1u << (apic_id & 0xf);
		break;
	case MSR_APIC_SVR:
	case MSR_XSS:
		value = rdmsr(msr);
		break;
	default:
		return denied(vcpu, "RDMSR", msr);
	}
	vcpu->regs[REG_RAX] = (uint32_t)value;
	vcpu->regs[REG_RDX] = value >> 32;
	return EXIT_NEXT;
}

/* Subset of what leaf 0Dh shows; the size of the compacted area changes with it. */
static enum exit_action write_xss(struct vcpu *vcpu, uint64_t value)
{
	uint32_t *c = vcpu_cpuid(vcpu, 0xd, 1);

	if (!c || value & ~((uint64_t)c[3] << 32 | c[2]))
		return denied(vcpu, "WRMSR", MSR_IA32_XSS);
	wrmsr(MSR_IA32_XSS, value);
	c[1] = cpuid(0xd, 1).r[1];
	return EXIT_NEXT;
}

enum exit_action exit_wrmsr(struct vcpu *vcpu)
{
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	const uint64_t value = vcpu->regs[REG_RDX] << 32 | (uint32_t)vcpu->regs[REG_RAX];
	const struct config_msr *m = find(vcpu->partition, msr);
	uint64_t *shadow;

	switch (m ? m->write : MSR_DENY) {
	case MSR_VALUE:
	case MSR_REAL:
		return EXIT_NEXT;
	case MSR_SHADOW:
		shadow = &vcpu->msr_shadow[m->shadow + (msr - m->first)];
		*shadow = (*shadow & ~m->mask) | (value & m->mask);
		return EXIT_NEXT;
	case MSR_APIC_BASE:
		if (value != (0xfee00000u | APIC_BASE_ENABLE | APIC_BASE_EXTD | (vcpu->index ? 0 : APIC_BASE_BSP)))
			return denied(vcpu, "WRMSR", msr);
		return EXIT_NEXT;
	case MSR_APIC_ICR:
		return apic_write_icr(vcpu, value);
	case MSR_APIC_SVR: /* vector and software enable; EOI-broadcast suppression is not ours to give */
		if (value & ~0x1ffull)
			return denied(vcpu, "WRMSR", msr);
		wrmsr(MSR_X2APIC_SVR, value);
		return EXIT_NEXT;
	case MSR_XSS:
		return write_xss(vcpu, value);
	default:
		return denied(vcpu, "WRMSR", msr);
	}
}

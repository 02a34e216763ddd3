// SPDX-License-Identifier: Apache-2.0
/* Model-specific registers: default deny, the rest by the partition's table. */
#include "core/cpu.h"
#include "core/lib.h"
#include "core/x86.h"
#include "exit.h"
#include "vmx.h"
#include "xapic.h"

#define HIGH_MSRS 0xc0000000u
#define BITMAP_MSRS 0x2000u

static uint32_t hash(uint32_t msr)
{
	return (msr ^ msr >> 8) & 0xff;
}

/* The table is sorted by `first`. Bounded by its length, which halves. */
static __attribute__((noinline)) const struct config_msr *search(const struct config_partition *p, uint32_t msr)
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

/* On a scheduled CPU nobody touches local APIC and deadline but the core, the vCPU has virtual ones; and some writes are noted for
 * the switch (vmx/scheduled.c, vmx/switch.c). */
static int exits_anyway(const struct vcpu *vcpu, uint32_t msr, int write)
{
	if (!cpu_is_scheduled(this_cpu->index) || scheduled_passes_msr(vcpu, msr, write))
		return 0;
	return msr >> 8 == 0x8 || msr == MSR_IA32_TSC_DEADLINE || (write && switch_msr_slot(msr) >= 0);
}

/* The hint mostly hits. */
static inline const struct config_msr *find(const struct vcpu *vcpu, uint32_t msr)
{
	const struct config_msr *m = &vcpu->partition->msrs[vcpu->msr_slot[hash(msr)]];

	return msr - m->first <= m->last - m->first ? m : search(vcpu->partition, msr);
}

static void bitmap_allow(struct vcpu *vcpu, uint32_t msr, int write)
{
	const uint32_t offset = (write ? 2048u : 0) + (msr >= HIGH_MSRS ? 1024u : 0), bit = msr & (BITMAP_MSRS - 1);

	if ((msr < BITMAP_MSRS || msr - HIGH_MSRS < BITMAP_MSRS) && !exits_anyway(vcpu, msr, write))
		vcpu->msr_bitmap[offset + bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/* SDM Vol. 3C, 25.6.9: a set bit exits. */
void vcpu_init_msr_bitmap(struct vcpu *vcpu)
{
	const struct config_partition *p = vcpu->partition;

	memset(vcpu->msr_bitmap, 0xff, sizeof vcpu->msr_bitmap);
	for (uint32_t i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];

		for (uint32_t msr = m->first; msr - m->first <= m->last - m->first; msr++) {
			if (m->read > MSR_PASS || m->write > MSR_PASS) /* others exit only as errors */
				vcpu->msr_slot[hash(msr)] = (uint8_t)i;
			if (m->read == MSR_PASS)
				bitmap_allow(vcpu, msr, 0);
			if (m->write == MSR_PASS)
				bitmap_allow(vcpu, msr, 1);
			if (m->read == MSR_SHADOW || m->write == MSR_SHADOW)
				vcpu->msr_shadow[m->shadow + (msr - m->first)] = m->value;
		}
	}
}

static void denied(struct vcpu *vcpu, const char *what, uint32_t msr)
{
	guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, what, msr);
}

static uint64_t apic_base(const struct vcpu *vcpu)
{
	return 0xfee00000u | APIC_BASE_ENABLE | (CONFIG_XAPIC && xapic_is_on(vcpu) ? 0 : APIC_BASE_EXTD) |
	       (vcpu->index ? 0 : APIC_BASE_BSP);
}

/* MSR_REAL: the MSRs that the table may name so (RULE_MSR_HOST) are there on every CPU, but for this one. */
static int is_there(struct vcpu *vcpu, uint32_t msr)
{
	const uint32_t *c = vcpu_cpuid(vcpu, 7, 0);

	return msr != MSR_IA32_ARCH_CAPABILITIES || (c && c[3] & 1u << 29);
}

/* XSS comes with XSAVES. */
static int has_xss(struct vcpu *vcpu)
{
	const uint32_t *c = vcpu_cpuid(vcpu, 0xd, 1);

	return c && c[0] & 1u << 3;
}

static void answer(struct vcpu *vcpu, uint64_t value)
{
	vcpu->regs[REG_RAX] = (uint32_t)value;
	vcpu->regs[REG_RDX] = value >> 32;
	skip_instruction();
}

/* Reads that take more than a word from memory. */
static __attribute__((noinline)) void read_slow(struct vcpu *vcpu, const struct config_msr *m, uint32_t msr)
{
	uint64_t value;

	switch (m ? m->read : MSR_DENY) {
	case MSR_REAL:
		if (!is_there(vcpu, msr))
			goto fault;
		value = (rdmsr(msr) & m->mask) | m->value;
		break;
	case MSR_APIC_BASE:
		value = apic_base(vcpu);
		break;
	case MSR_APIC_ID:
		value = vcpu->partition->vcpus[vcpu->index].apic_id;
		break;
	case MSR_APIC_LDR: /* logical x2APIC ID: cluster and a bit in it (Vol. 3A, 11.12.10.2) */
		value = vcpu->partition->vcpus[vcpu->index].apic_id;
		value = (value & ~0xfull) << 12 | 1u << (value & 0xf);
		break;
	case MSR_APIC_SVR:
		value = rdmsr(msr);
		break;
	case MSR_XSS:
		if (!has_xss(vcpu))
			goto fault;
		value = rdmsr(msr);
		break;
	default:
		goto fault;
	}
	answer(vcpu, value);
	return;
fault:
	denied(vcpu, "RDMSR", msr);
}

void exit_rdmsr(struct vcpu *vcpu)
{
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	const struct config_msr *m = find(vcpu, msr);

	if (m && m->read == MSR_VALUE)
		answer(vcpu, m->value);
	else if (m && m->read == MSR_SHADOW)
		answer(vcpu, vcpu->msr_shadow[m->shadow + (msr - m->first)]);
	else
		read_slow(vcpu, m, msr);
}

/* Subset of what leaf 0Dh shows; the size of the compacted area changes with it. Returns 0 if it is not. */
static int write_xss(struct vcpu *vcpu, uint64_t value)
{
	uint32_t *c = vcpu_cpuid(vcpu, 0xd, 1);

	if (!has_xss(vcpu) || value & ~((uint64_t)c[3] << 32 | c[2]))
		return 0;
	wrmsr(MSR_IA32_XSS, value);
	if (cpu_is_scheduled(this_cpu->index))
		scheduled_note_msr(vcpu, MSR_IA32_XSS, value);
	c[1] = cpuid(0xd, 1).r[1];
	return 1;
}

static void write_shadow(struct vcpu *vcpu, const struct config_msr *m, uint32_t msr, uint64_t value)
{
	uint64_t *shadow = &vcpu->msr_shadow[m->shadow + (msr - m->first)];

	*shadow = (*shadow & ~m->mask) | (value & m->mask);
}

void exit_wrmsr(struct vcpu *vcpu)
{
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	const uint64_t value = vcpu->regs[REG_RDX] << 32 | (uint32_t)vcpu->regs[REG_RAX];
	const struct config_msr *m = find(vcpu, msr);
	int right = 1;

	switch (m ? m->write : MSR_DENY) {
	case MSR_VALUE:
	case MSR_REAL:
		break;
	case MSR_SHADOW:
		write_shadow(vcpu, m, msr, value);
		break;
	case MSR_APIC_BASE:
		right = value == apic_base(vcpu);
		if (CONFIG_XAPIC && xapic_is_on(vcpu) && value == (apic_base(vcpu) | APIC_BASE_EXTD)) {
			xapic_to_x2apic(vcpu);
			right = 1;
		}
		break;
	case MSR_APIC_ICR:
		apic_write_icr(vcpu, value);
		return;
	case MSR_APIC_SVR: /* vector and software enable; suppression of EOI broadcasts is not ours to give */
		right = !(value & ~0x1ffull);
		if (right)
			wrmsr(MSR_X2APIC_SVR, value);
		break;
	case MSR_XSS:
		right = write_xss(vcpu, value);
		break;
	default:
		right = 0;
	}
	if (right)
		skip_instruction();
	else
		denied(vcpu, "WRMSR", msr);
}

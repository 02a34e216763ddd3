// SPDX-License-Identifier: Apache-2.0
/* CPUID: answers are made once, when the vCPU is set up; an exit only looks them up. */
#include "core/core.h"
#include "core/lib.h"
#include "core/x86.h"
#include "exit.h"

static const struct config_cpuid_index *find_other(const struct config_partition *p, uint32_t leaf)
{
	static const struct config_cpuid_index hidden;

	if (leaf - 0x80000000u < CONFIG_CPUID_EXTENDED)
		return &p->extended[leaf - 0x80000000u];
	if (leaf - 0x40000000u < CONFIG_CPUID_HYPER)
		return &p->hyper[leaf - 0x40000000u];
	if (leaf - 0x40000100u < CONFIG_CPUID_OWN)
		return &p->own[leaf - 0x40000100u];
	return &hidden;
}

static inline uint32_t *look_up(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	const struct config_partition *p = vcpu->partition;
	const struct config_cpuid_index *index = leaf < CONFIG_CPUID_BASIC ? &p->basic[leaf] : find_other(p, leaf);

	if (index->any_subleaf)
		subleaf = 0;
	return subleaf < index->count ? vcpu->cpuid[index->first + subleaf] : 0;
}

uint32_t *vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	return look_up(vcpu, leaf, subleaf);
}

void exit_cpuid(struct vcpu *vcpu)
{
	const uint32_t *answer = look_up(vcpu, (uint32_t)vcpu->regs[REG_RAX], (uint32_t)vcpu->regs[REG_RCX]);
	static const uint32_t zeros[4];

	if (!answer)
		answer = zeros;
	vcpu->regs[REG_RAX] = answer[0];
	vcpu->regs[REG_RBX] = answer[1];
	vcpu->regs[REG_RCX] = answer[2];
	vcpu->regs[REG_RDX] = answer[3];
	skip_instruction();
}

/* Frequencies the CPU may not tell itself: leaf 15h as 1 MHz * (kHz / 1000), leaf 16h in MHz. */
static void fill_frequencies(struct vcpu *vcpu)
{
	uint32_t *c;

	if ((c = vcpu_cpuid(vcpu, 0x15, 0))) {
		c[0] = 1000;
		c[1] = (uint32_t)tsc_khz;
		c[2] = 1000000;
	}
	if ((c = vcpu_cpuid(vcpu, 0x16, 0)))
		c[0] = c[1] = (uint32_t)(tsc_khz / 1000);
}

void vcpu_init_cpuid(struct vcpu *vcpu)
{
	const struct config_partition *p = vcpu->partition;
	const uint32_t apic_id = p->vcpu_count ? p->vcpus[vcpu->index].apic_id : 0; /* a companion has none */
	uint32_t *c;

	for (uint32_t i = 0; i < p->cpuid_count; i++) {
		const struct config_cpuid *entry = &p->cpuid[i];
		struct cpuid_regs real = { { 0 } };

		/* The hypervisor range is ours; leaves beyond the CPU's last would repeat that one (Vol. 2A, CPUID). */
		if (entry->leaf >> 28 != 4 && entry->leaf <= cpuid(entry->leaf & 0x80000000u, 0).r[0])
			real = cpuid(entry->leaf, entry->subleaf);
		for (uint32_t r = 0; r < 4; r++)
			vcpu->cpuid[i][r] = (real.r[r] & entry->mask[r]) | entry->set[r];
	}
	if ((c = vcpu_cpuid(vcpu, 1, 0)))
		c[1] = (c[1] & 0xffffff) | apic_id << 24;
	for (uint32_t subleaf = 0; subleaf < 2; subleaf++)
		if ((c = vcpu_cpuid(vcpu, 0xb, subleaf)))
			c[3] = apic_id;
	fill_frequencies(vcpu);
	if ((c = vcpu_cpuid(vcpu, 0xd, 0)))
		vcpu->xcr0_allowed = (uint64_t)c[3] << 32 | c[0];
}

struct visible_features visible_features(struct vcpu *vcpu)
{
	static const struct {
		uint32_t leaf, subleaf, control, cr4;
		uint8_t reg, bit;
	} rows[] = {
#define FEATURE(name, leaf, subleaf, reg, bit, control, cr4, set) { leaf, subleaf, control, cr4, reg, bit },
#include "config/features.def"
	};
	struct visible_features visible = { 0, 0 };

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const uint32_t *c = vcpu_cpuid(vcpu, rows[i].leaf, rows[i].subleaf);

		if (c && c[rows[i].reg] >> rows[i].bit & 1) {
			visible.control |= rows[i].control;
			visible.cr4 |= rows[i].cr4;
		}
	}
	return visible;
}

// SPDX-License-Identifier: Apache-2.0
/* CPUID of a guest. The fake CPU answers all ones in leaves it does not model, so that whatever is hidden is hidden by the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

static struct vcpu *vcpu;

static const uint32_t *ask(uint32_t leaf, uint32_t subleaf)
{
	static uint32_t answer[4];

	for (uint32_t i = 0; i < REG_COUNT; i++)
		vcpu->regs[i] = 0x1234567800000000ull + i;
	vcpu->regs[REG_RAX] = 0xffffffff00000000ull | leaf;
	vcpu->regs[REG_RCX] = 0xffffffff00000000ull | subleaf;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_CPUID, 0), END_RETURNED);
	assert_true(seam_skipped());
	for (uint32_t i = 4; i < REG_COUNT; i++)
		assert_int_equal(vcpu->regs[i], 0x1234567800000000ull + i);
	answer[0] = (uint32_t)vcpu->regs[REG_RAX];
	answer[1] = (uint32_t)vcpu->regs[REG_RBX];
	answer[2] = (uint32_t)vcpu->regs[REG_RCX];
	answer[3] = (uint32_t)vcpu->regs[REG_RDX];
	for (uint32_t i = 0; i < 4; i++) /* the upper halves are cleared */
		assert_int_equal(vcpu->regs[i] >> 32, 0);
	return answer;
}

static int listed(uint32_t leaf)
{
	for (uint32_t i = 0; i < vcpu->partition->cpuid_count; i++)
		if (vcpu->partition->cpuid[i].leaf == leaf)
			return 1;
	return 0;
}

static void test_unlisted_leaves_are_zero(void **state)
{
	static const uint32_t base[] = { 0,          0x40000000, 0x40000100, 0x80000000,
		                         0x20000000, 0xffffff00, 0xc0000000, 0x7fffff80 };

	(void)state;
	vcpu = seam_start(&seam_models[2], 0);
	for (size_t b = 0; b < sizeof base / sizeof *base; b++)
		for (uint32_t leaf = base[b]; leaf - base[b] < 256; leaf++)
			for (uint32_t subleaf = 0; subleaf < 12; subleaf++) {
				const uint32_t *r = ask(leaf, subleaf == 11 ? 0xffffffff : subleaf);

				if (!listed(leaf))
					assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
			}
}

/* Whatever the CPU says, features that must not be shown are not (config/features.def, set 2). */
static void test_hidden_features(void **state)
{
	static const struct {
		uint32_t leaf, subleaf, reg, bit, never;
	} row[] = {
#define FEATURE(name, leaf, subleaf, reg, bit, control, cr4, set) { leaf, subleaf, reg, bit, (set) == 2 },
#include "config/features.def"
	};

	(void)state;
	vcpu = seam_start(&seam_models[2], 0);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		if (row[i].never)
			assert_false(ask(row[i].leaf, row[i].subleaf)[row[i].reg] >> row[i].bit & 1);
}

static void test_apic_id_and_topology(void **state)
{
	(void)state;
	for (uint16_t index = 0; index < 3; index++) {
		vcpu = seam_start(&seam_models[1], index);
		assert_int_equal(ask(1, 0)[1] >> 24, index);
		assert_int_equal(ask(0xb, 0)[3], index);
		assert_int_equal(ask(0xb, 1)[3], index);
		assert_int_equal(ask(1, 0)[2] >> 31, 1);      /* a hypervisor */
		assert_int_equal(ask(1, 0)[2] >> 21 & 1, 1);  /* x2APIC */
		assert_int_equal(ask(1, 5)[1], ask(1, 0)[1]); /* ECX does not matter here */
	}
}

static void test_frequencies(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SEAM_MODELS; i++) {
		const uint32_t *r;

		vcpu = seam_start(&seam_models[i], 0);
		r = ask(0x15, 0);
		assert_int_equal((uint64_t)r[2] * r[1] / r[0], tsc_khz * 1000);
		assert_int_equal(ask(0x16, 0)[0], tsc_khz / 1000);
	}
}

static void test_signatures(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	assert_memory_equal(ask(0x40000000, 0) + 1, "KVMKVMKVM\0\0\0", 12);
	assert_memory_equal(ask(0x40000100, 0) + 1, "Bulkhead    ", 12);
}

/* OSXSAVE mirrors the guest's CR4, and leaf 0Dh the size its XCR0 asks for. */
static void test_mirrors(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[1], 0);
	assert_false(ask(1, 0)[2] >> 27 & 1);
	vcpu->regs[REG_RAX] = CR4_PAE | CR4_OSXSAVE;
	seam_exit(vcpu, EXIT_REASON_CR_ACCESS, 4); /* MOV to CR4 from RAX */
	assert_true(seam_skipped());
	assert_true(ask(1, 0)[2] >> 27 & 1);
	vcpu->regs[REG_RAX] = 7;
	vcpu->regs[REG_RCX] = vcpu->regs[REG_RDX] = 0;
	seam_exit(vcpu, EXIT_REASON_XSETBV, 0);
	assert_true(seam_skipped());
	assert_int_equal(ask(0xd, 0)[1], 0x340);
	assert_int_equal(ask(0xd, 1)[1], 0x340);
	vcpu->regs[REG_RAX] = CR4_PAE;
	seam_exit(vcpu, EXIT_REASON_CR_ACCESS, 4);
	assert_false(ask(1, 0)[2] >> 27 & 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlisted_leaves_are_zero),
		cmocka_unit_test(test_hidden_features),
		cmocka_unit_test(test_apic_id_and_topology),
		cmocka_unit_test(test_frequencies),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_mirrors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

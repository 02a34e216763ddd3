// SPDX-License-Identifier: Apache-2.0
/* MSRs of a guest: every number of the architectural ranges, read and written, against the partition's table; the bitmap too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

#define HIGH 0xc0000000u

/* The table's entry for an MSR, found in the dull way. */
static const struct config_msr *entry(const struct vcpu *vcpu, uint32_t msr)
{
	for (uint32_t i = 0; i < vcpu->partition->msr_count; i++)
		if (msr >= vcpu->partition->msrs[i].first && msr <= vcpu->partition->msrs[i].last)
			return &vcpu->partition->msrs[i];
	return 0;
}

static uint32_t kind_of(const struct vcpu *vcpu, uint32_t msr, int write)
{
	const struct config_msr *m = entry(vcpu, msr);

	return !m ? MSR_DENY : write ? m->write : m->read;
}

/* SDM Vol. 3C, 25.6.9, in the dull way: four bitmaps of 1 KiB, read low, read high, write low, write high. */
static int exits(const struct vcpu *vcpu, uint32_t msr, int write)
{
	const uint8_t *bitmap = vcpu->msr_bitmap + (write ? 2048 : 0) + (msr >= HIGH ? 1024 : 0);

	return bitmap[(msr & 0x1fff) / 8] >> (msr & 7) & 1;
}

static enum seam_end access_msr(struct vcpu *vcpu, uint32_t msr, int write, uint64_t value)
{
	vcpu->regs[REG_RCX] = msr;
	vcpu->regs[REG_RAX] = (uint32_t)value;
	vcpu->regs[REG_RDX] = value >> 32;
	return seam_exit(vcpu, write ? EXIT_REASON_WRMSR : EXIT_REASON_RDMSR, 0);
}

static void test_bitmap_is_the_table(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[1], 0);
	uint32_t pass = 0;

	(void)state;
	for (uint32_t i = 0; i < 0x4000; i++)
		for (int write = 0; write < 2; write++) {
			const uint32_t msr = i < 0x2000 ? i : HIGH + (i - 0x2000);

			assert_int_equal(exits(vcpu, msr, write), kind_of(vcpu, msr, write) != MSR_PASS);
			pass += !exits(vcpu, msr, write);
		}
	assert_in_range(pass, 40, 120); /* a handful of thousands */
}

/* What no table may open, whatever it says: the tool and config_validate() keep these out (RULE_MSR_HOST). */
static void test_host_msrs_always_exit(void **state)
{
	static const uint32_t read_write[] = { 0x1b,  0x3a,  0x3b,  0x79,  0x480, 0x48b,
		                               0x491, 0x802, 0x80d, 0x830, 0xda0, 0x9e };
	static const uint32_t write[] = { 0x10,  0x2ff, 0x200, 0x80f, 0x82f, 0x833,
		                          0x834, 0x835, 0x836, 0x1d9, 0x38f, 0x570 };
	const struct vcpu *vcpu = seam_start(&seam_models[1], 0);

	(void)state;
	for (size_t i = 0; i < sizeof read_write / sizeof *read_write; i++)
		assert_true(exits(vcpu, read_write[i], 0) && exits(vcpu, read_write[i], 1));
	for (size_t i = 0; i < sizeof write / sizeof *write; i++)
		assert_true(exits(vcpu, write[i], 1));
}

/* Every exit the bitmap lets happen, and numbers outside the bitmaps: the table's answer or #GP, counted; the hardware
 * is written only where the table says so. */
static void test_every_number(void **state)
{
	static const uint32_t start[] = { 0, HIGH, 0x2000, 0x40000000, 0xbfffff00, 0xc0002000, 0xffffff00 };
	static const uint32_t count[] = { 0x2000, 0x2000, 256, 256, 256, 256, 256 };
	struct vcpu *vcpu = seam_start(&seam_models[2], 0);

	(void)state;
	for (size_t r = 0; r < sizeof start / sizeof *start; r++)
		for (uint32_t i = 0; i < count[r]; i++)
			for (int write = 0; write < 2; write++) {
				const uint32_t msr = start[r] + i, kind = kind_of(vcpu, msr, write);
				const uint64_t forbidden = vcpu->forbidden[ERROR_MSR];

				seam.wrmsr_count = 0;
				seam.text[0] = 0;
				assert_int_equal(access_msr(vcpu, msr, write, 0x12345678), END_RETURNED);
				if (kind == MSR_VALUE || kind == MSR_REAL || kind == MSR_SHADOW) {
					assert_true(seam_skipped());
					assert_int_equal(seam.wrmsr_count, 0);
				} else if (kind == MSR_DENY) {
					assert_true(seam_injects(VECTOR_GP));
					assert_int_equal(vcpu->forbidden[ERROR_MSR], forbidden + 1);
					assert_int_equal(seam.wrmsr_count, 0);
				}
			}
}

/* The hint that the hash gives must not change what is found. */
static void test_lookup_in_any_state_of_the_hint(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[2], 0);

	(void)state;
	for (uint32_t hint = 0; hint < vcpu->partition->msr_count; hint++) {
		memset(vcpu->msr_slot, (int)hint, sizeof vcpu->msr_slot);
		assert_int_equal(access_msr(vcpu, 0x17, 0, 0), END_RETURNED);
		assert_true(seam_skipped());
		assert_int_equal(access_msr(vcpu, 0x18, 0, 0), END_RETURNED);
		assert_true(seam_injects(VECTOR_GP));
		assert_int_equal(access_msr(vcpu, 0x834, 0, 0), END_RETURNED);
		assert_int_equal(seam_result(vcpu), 0x10000);
	}
}

/* The smallest table that config_validate() takes. */
static void test_one_entry(void **state)
{
	static const struct config_msr only = { .first = 0x1a0, .last = 0x1a0, .read = MSR_VALUE, .value = 5 };
	struct vcpu *vcpu = seam_start(&seam_models[2], 0);

	(void)state;
	seam.partition.msrs = &only;
	seam.partition.msr_count = 1;
	vcpu_init_msr_bitmap(vcpu);
	for (uint32_t i = 0; i < sizeof vcpu->msr_bitmap; i++)
		assert_int_equal(vcpu->msr_bitmap[i], 0xff);
	assert_int_equal(access_msr(vcpu, 0x10, 0, 0), END_RETURNED);
	assert_true(seam_injects(VECTOR_GP));
	access_msr(vcpu, 0x1a0, 0, 0);
	assert_int_equal(seam_result(vcpu), 5);
}

static void test_values(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[2], 1);

	(void)state;
	vcpu->regs[REG_RBX] = vcpu->regs[REG_RSI] = 77;
	access_msr(vcpu, 0x1b, 0, 0); /* enabled, x2APIC, not the boot CPU */
	assert_int_equal(seam_result(vcpu), 0xfee00c00);
	access_msr(vcpu, 0x802, 0, 0);
	assert_int_equal(seam_result(vcpu), 1);
	access_msr(vcpu, 0x80d, 0, 0);
	assert_int_equal(seam_result(vcpu), 2);
	access_msr(vcpu, 0x3a, 0, 0);
	assert_int_equal(seam_result(vcpu), 1);
	access_msr(vcpu, 0x8b, 0, 0);
	assert_int_equal(seam_result(vcpu), 0x2100000000);
	access_msr(vcpu, 0x10a, 0, 0);
	assert_int_equal(seam_result(vcpu), 0x6b & entry(vcpu, 0x10a)->mask);
	assert_int_equal(vcpu->regs[REG_RBX], 77);
	assert_int_equal(vcpu->regs[REG_RSI], 77);
	vcpu = seam_start(&seam_models[2], 0);
	access_msr(vcpu, 0x1b, 0, 0);
	assert_int_equal(seam_result(vcpu), 0xfee00d00);
}

/* A guest may write APIC_BASE as it is, nothing else; SVR without reserved bits; XSS as far as leaf 0Dh shows. */
static void test_checked_writes(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[2], 0);

	(void)state;
	access_msr(vcpu, 0x1b, 1, 0xfee00d00);
	assert_true(seam_skipped());
	for (uint32_t bit = 0; bit < 64; bit++) {
		access_msr(vcpu, 0x1b, 1, 0xfee00d00ull ^ 1ull << bit);
		assert_true(seam_injects(VECTOR_GP));
		access_msr(vcpu, 0x80f, 1, 1ull << bit);
		assert_int_equal(seam_skipped(), bit < 9);
		assert_int_equal(access_msr(vcpu, 0xda0, 1, 1ull << bit), END_RETURNED);
		assert_true(seam_injects(VECTOR_GP) || seam_written(0xda0) == 1ull << bit);
	}
	assert_int_equal(seam_written(0x80f), 0x100);
	access_msr(vcpu, 0xda0, 1, 0);
	assert_true(seam_skipped());
	assert_int_equal(seam_written(0xda0), 0);
}

/* Without the feature the real MSR does not exist: the access is the guest's fault, not the core's. */
static void test_absent_msrs(void **state)
{
	static const uint32_t msr[] = { 0xda0, 0x10a };
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	for (size_t i = 0; i < sizeof msr / sizeof *msr; i++)
		for (int write = 0; write < 2; write++) {
			assert_int_equal(access_msr(vcpu, msr[i], write, 0), END_RETURNED);
			assert_true(seam_injects(VECTOR_GP));
		}
}

static void test_shadow_keeps_to_its_mask(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[2], 0);

	(void)state;
	for (uint32_t msr = 0x833; msr <= 0x836; msr++) {
		access_msr(vcpu, msr, 0, 0);
		assert_int_equal(seam_result(vcpu), 0x10000);
		access_msr(vcpu, msr, 1, ~0ull);
		assert_true(seam_skipped());
		access_msr(vcpu, msr, 0, 0);
		assert_int_equal(seam_result(vcpu), entry(vcpu, msr)->mask | 0x10000);
		access_msr(vcpu, msr, 1, msr);
	}
	for (uint32_t msr = 0x833; msr <= 0x836; msr++) { /* each has a slot of its own */
		access_msr(vcpu, msr, 0, 0);
		assert_int_equal(seam_result(vcpu), msr & entry(vcpu, msr)->mask);
	}
	assert_int_equal(seam.wrmsr_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap_is_the_table),
		cmocka_unit_test(test_host_msrs_always_exit),
		cmocka_unit_test(test_every_number),
		cmocka_unit_test(test_lookup_in_any_state_of_the_hint),
		cmocka_unit_test(test_one_entry),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_checked_writes),
		cmocka_unit_test(test_absent_msrs),
		cmocka_unit_test(test_shadow_keeps_to_its_mask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

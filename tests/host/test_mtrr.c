// SPDX-License-Identifier: Apache-2.0
/* What is write-back by the MTRRs, on machines made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A fake CPU in the hardware's place: the real functions get other names and are never called. */
#define rdmsr hardware_rdmsr
#define cpuid hardware_cpuid
#include "core/x86.h"
#undef rdmsr
#undef cpuid

#define PHYSICAL_BITS 40u
#define ADDRESSES ((1ull << PHYSICAL_BITS) - 1)
#define RANGES 8u
#define UNCACHEABLE 0u
#define WRITE_THROUGH 4u
#define WRITE_BACK 6u
#define ENABLED (1u << 11)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

static uint64_t def_type, fake_base[RANGES], fake_mask[RANGES];
static uint32_t fake_count;

static uint64_t rdmsr(uint32_t msr)
{
	if (msr == MSR_IA32_MTRRCAP)
		return 0x500 | fake_count; /* fixed ranges and write-combining are there too */
	if (msr == MSR_IA32_MTRR_DEF_TYPE)
		return def_type;
	assert_in_range(msr, MSR_IA32_MTRR_PHYSBASE0, MSR_IA32_MTRR_PHYSBASE0 + 2 * fake_count - 1);
	return (msr & 1 ? fake_mask : fake_base)[(msr - MSR_IA32_MTRR_PHYSBASE0) / 2];
}

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	assert_int_equal(leaf, 0x80000008);
	return (struct cpuid_regs){ { 48 << 8 | PHYSICAL_BITS, 0, 0, 0 } };
}

#include "core/mtrr.c"

static int setup(void **state)
{
	(void)state;
	def_type = ENABLED | UNCACHEABLE;
	fake_count = RANGES;
	memset(fake_base, 0, sizeof fake_base);
	memset(fake_mask, 0, sizeof fake_mask);
	return 0;
}

static void range(uint32_t n, uint64_t start, uint64_t size, uint64_t type)
{
	fake_base[n] = start | type;
	fake_mask[n] = (ADDRESSES & ~(size - 1)) | 1u << 11;
}

static void test_default_write_back(void **state)
{
	(void)state;
	def_type = ENABLED | WRITE_BACK;
	assert_true(mtrr_is_write_back(MIB, 4 * GIB));
	range(0, 3 * GIB, GIB, UNCACHEABLE); /* as OVMF does */
	assert_true(mtrr_is_write_back(MIB, 3 * GIB - MIB));
	assert_false(mtrr_is_write_back(MIB, 3 * GIB - MIB + 4096));
	assert_false(mtrr_is_write_back(4 * GIB - 4096, 4096));
	assert_true(mtrr_is_write_back(4 * GIB, GIB));
	range(1, 16 * GIB, 4096, WRITE_THROUGH);
	assert_false(mtrr_is_write_back(15 * GIB, 2 * GIB));
}

static void test_off_or_low(void **state)
{
	(void)state;
	def_type = WRITE_BACK; /* MTRRs disabled: all memory is uncacheable (SDM Vol. 3A, 12.11.2.1) */
	assert_false(mtrr_is_write_back(MIB, MIB));
	def_type = ENABLED | WRITE_BACK;
	assert_false(mtrr_is_write_back(MIB - 4096, 4096)); /* fixed ranges: not looked at, refused */
	fake_count = 0;
	assert_true(mtrr_is_write_back(MIB, MIB));
	def_type = ENABLED | UNCACHEABLE;
	assert_false(mtrr_is_write_back(MIB, MIB));
}

/* The default is uncacheable: write-back ranges, in any order, must cover all of it. */
static void test_covered(void **state)
{
	(void)state;
	range(2, 0, 2 * GIB, WRITE_BACK);
	range(1, 2 * GIB, GIB, WRITE_BACK);
	range(0, 3 * GIB, 512 * MIB, WRITE_BACK);
	assert_true(mtrr_is_write_back(GIB, 2 * GIB + 512 * MIB));
	assert_false(mtrr_is_write_back(GIB, 2 * GIB + 512 * MIB + 4096));
	fake_mask[1] &= ~(1ull << 11); /* not valid any more: a hole */
	assert_false(mtrr_is_write_back(GIB, 2 * GIB));
	assert_true(mtrr_is_write_back(GIB, GIB));
	assert_true(mtrr_is_write_back(3 * GIB, 512 * MIB));
}

/* Where ranges overlap, the stricter type counts (12.11.4.1). */
static void test_overlap(void **state)
{
	(void)state;
	range(0, 0, 4 * GIB, WRITE_BACK);
	range(1, GIB, MIB, UNCACHEABLE);
	assert_false(mtrr_is_write_back(GIB - MIB, 2 * MIB));
	assert_true(mtrr_is_write_back(GIB + MIB, GIB));
	range(1, GIB, MIB, WRITE_BACK);
	assert_true(mtrr_is_write_back(GIB - MIB, 2 * MIB));
}

/* A mask with holes covers no single run: nothing that it may reach counts as write-back. */
static void test_mask_with_holes(void **state)
{
	(void)state;
	range(0, 0, 4 * GIB, WRITE_BACK);
	fake_mask[0] |= GIB; /* really 0 to 1 GiB and 2 to 3 GiB */
	assert_false(mtrr_is_write_back(GIB, MIB));
	assert_false(mtrr_is_write_back(2 * GIB, MIB));
}

static void test_highest_range(void **state)
{
	(void)state;
	range(RANGES - 1, 1ull << 39, 1ull << 39, WRITE_BACK);
	assert_true(mtrr_is_write_back(1ull << 39, 1ull << 39));
	fake_count = RANGES - 1; /* not this CPU's any more */
	assert_false(mtrr_is_write_back(1ull << 39, 1ull << 39));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_default_write_back, setup),
		cmocka_unit_test_setup(test_off_or_low, setup),
		cmocka_unit_test_setup(test_covered, setup),
		cmocka_unit_test_setup(test_overlap, setup),
		cmocka_unit_test_setup(test_mask_with_holes, setup),
		cmocka_unit_test_setup(test_highest_range, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The walker of guests' page tables (vmx/linear.c): each kind of paging, each page size, and tables that lead nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmx/linear.h"

#define SIZE 0x8000u

static uint8_t memory[SIZE];
static uint32_t reads;

static int read_memory(void *context, uint64_t gpa, uint32_t size, uint64_t *value)
{
	assert_ptr_equal(context, memory);
	assert_int_equal(gpa % size, 0);
	reads++;
	*value = 0;
	if (gpa > SIZE - size)
		return 0;
	memcpy(value, memory + gpa, size);
	return 1;
}

static struct linear_space space;

static int start(void **state)
{
	(void)state;
	memset(memory, 0, sizeof memory);
	space = (struct linear_space){ .read = read_memory, .context = memory };
	return 0;
}

static void put64(uint64_t at, uint64_t value)
{
	memcpy(memory + at, &value, 8);
}

static void put32(uint64_t at, uint32_t value)
{
	memcpy(memory + at, &value, 4);
}

/* Where `linear` leads, or ~0. */
static uint64_t leads(uint64_t linear, uint32_t expected_reads)
{
	uint64_t gpa = 1;

	reads = 0;
	if (!linear_translate(&space, linear, &gpa))
		gpa = ~0ull;
	assert_int_equal(reads, expected_reads);
	return gpa;
}

static void test_no_paging(void **state)
{
	(void)state;
	assert_int_equal(leads(0x12345678, 0), 0x12345678);
}

static void test_4_level(void **state)
{
	const uint64_t at = 0xffff800000000000ull | 3ull << 39 | 5ull << 30 | 7ull << 21 | 9ull << 12 | 0xabc;

	(void)state;
	space.paging = LINEAR_4_LEVEL;
	space.cr3 = 0x8000000000001018; /* PCID and the no-flush bit are no address */
	assert_int_equal(leads(at, 1), ~0ull);
	put64(0x1000 + (256 + 3) * 8, 0x2000 | 0x80 | 1); /* the bit of large pages means nothing here */
	assert_int_equal(leads(at, 2), ~0ull);
	put64(0x2000 + 5 * 8, 0xfff0000000003000 | 1);
	assert_int_equal(leads(at, 3), ~0ull);
	put64(0x3000 + 7 * 8, 0x4000 | 1);
	assert_int_equal(leads(at, 4), ~0ull);
	put64(0x4000 + 9 * 8, 0x8000000123456000 | 0x80 | 1); /* PAT, no execute */
	assert_int_equal(leads(at, 4), 0x123456abc);
	put64(0x3000 + 7 * 8, 0x123400000 | 0x1000 | 0x80 | 1); /* 2 MiB, with its PAT bit */
	assert_int_equal(leads(at, 3), 0x123400000 + 0x9abc);
	put64(0x2000 + 5 * 8, 0x100000000000 | 0x1000 | 0x80 | 1); /* 1 GiB */
	assert_int_equal(leads(at, 2), 0x100000000000 + (7 << 21) + 0x9abc);
	put64(0x2000 + 5 * 8, 0x000ffffffffff000 | 1); /* a table far outside */
	assert_int_equal(leads(at, 3), ~0ull);
	space.cr3 = SIZE;
	assert_int_equal(leads(at, 1), ~0ull);
}

/* Tables that lead to themselves end after four reads. */
static void test_4_level_loop(void **state)
{
	(void)state;
	space.paging = LINEAR_4_LEVEL;
	space.cr3 = 0x1000;
	put64(0x1000, 0x1000 | 1);
	assert_int_equal(leads(0x123, 4), 0x1123);
}

static void test_pae(void **state)
{
	const uint64_t at = 2ull << 30 | 7ull << 21 | 9ull << 12 | 0xabc;

	(void)state;
	space.paging = LINEAR_PAE;
	assert_int_equal(leads(at, 0), ~0ull);
	space.pdpte[2] = 0x3000 | 1;
	assert_int_equal(leads(at, 1), ~0ull);
	put64(0x3000 + 7 * 8, 0x4000 | 1);
	put64(0x4000 + 9 * 8, 0x123456000 | 1);
	assert_int_equal(leads(at, 2), 0x123456abc);
	put64(0x3000 + 7 * 8, 0x123400000 | 0x80 | 1);
	assert_int_equal(leads(at, 1), 0x123400000 + 0x9abc);
}

static void test_32_bit(void **state)
{
	const uint64_t at = 7u << 22 | 9u << 12 | 0xabc;

	(void)state;
	space.paging = LINEAR_32;
	space.cr3 = 0x1018;
	assert_int_equal(leads(at, 1), ~0ull);
	put32(0x1000 + 7 * 4, 0x2000 | 0x80 | 1); /* without CR4.PSE that bit means nothing */
	assert_int_equal(leads(at, 2), ~0ull);
	put32(0x2000 + 9 * 4, 0xfffff000 | 1);
	assert_int_equal(leads(at, 2), 0xfffffabc);
	space.large = 1;
	put32(0x1000 + 7 * 4, 0x80000000 | 0xaau << 13 | 0x80 | 1);
	assert_int_equal(leads(at, 1), 0xaa80009abc);
	space.cr3 = 0xfffff000;
	assert_int_equal(leads(at, 1), ~0ull);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_paging, start),    cmocka_unit_test_setup(test_4_level, start),
		cmocka_unit_test_setup(test_4_level_loop, start), cmocka_unit_test_setup(test_pae, start),
		cmocka_unit_test_setup(test_32_bit, start),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

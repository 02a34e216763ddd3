// SPDX-License-Identifier: Apache-2.0
/* What is written into remapping units' tables and read from their registers, bit by bit; and the choice of what several units have in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vtd/format.h"

/* QEMU's, as seen; and with other widths, pages and domains. */
#define CAP 0x00d2008c222f0606ull
#define CAP_39 0x00d2008c22260206ull
#define ECAP 0xf00f5aull
#define ECAP_COHERENT (ECAP | 1)

static struct vtd_ability all;

static const char *combine(uint64_t cap, uint64_t ecap)
{
	return vtd_combine(&all, cap, ecap);
}

static void fresh(void)
{
	all = (struct vtd_ability)VTD_ABILITY_ALL;
}

static void test_one_unit(void **state)
{
	(void)state;
	fresh();
	assert_null(combine(CAP, ECAP));
	assert_int_equal(all.levels, 4);
	assert_int_equal(all.width, 48);
	assert_int_equal(all.max_shift, 30);
	assert_int_equal(all.domains, 1u << 16);
	assert_int_equal(all.coherent, 0);
	assert_int_equal(all.extended, 1);
	fresh();
	assert_null(combine(CAP_39, ECAP_COHERENT & ~0x10ull));
	assert_int_equal(all.levels, 3);
	assert_int_equal(all.width, 39);
	assert_int_equal(all.coherent, 1);
	assert_int_equal(all.extended, 0);
	fresh();
	assert_null(combine((CAP & ~(0x3full << 16) & ~(3ull << 34) & ~7ull) | 35ull << 16,
	                    ECAP)); /* 36 bits, 4 KiB, 16 domains */
	assert_int_equal(all.width, 36);
	assert_int_equal(all.max_shift, 12);
	assert_int_equal(all.domains, 16);
	fresh();
	assert_null(combine(CAP & ~(2ull << 34), ECAP));
	assert_int_equal(all.max_shift, 21);
	fresh();
	assert_null(combine(CAP & ~(1ull << 34), ECAP)); /* 1 GiB pages alone are of no use */
	assert_int_equal(all.max_shift, 12);
}

/* What one cannot, none may be asked for, whichever comes first. */
static void test_several_units(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		fresh();
		assert_null(combine(order ? CAP : CAP_39, order ? ECAP_COHERENT : ECAP & ~0x10ull));
		assert_null(combine(order ? CAP_39 : CAP, order ? ECAP & ~0x10ull : ECAP_COHERENT));
		assert_int_equal(all.levels, 3);
		assert_int_equal(all.width, 39);
		assert_int_equal(all.coherent, 0);
		assert_int_equal(all.extended, 0);
	}
}

static void test_what_is_missing(void **state)
{
	const uint64_t only_48 = (CAP & ~(0x1full << 8)) | 4ull << 8;

	(void)state;
	fresh();
	assert_string_equal(combine(CAP, ECAP & ~2ull), "it has no queued invalidation");
	fresh();
	assert_string_equal(combine(CAP, ECAP & ~8ull), "it cannot remap interrupts");
	fresh();
	assert_non_null(combine(CAP & ~(0x1full << 8), ECAP));
	fresh();
	assert_non_null(combine((CAP & ~(0x1full << 8)) | 8ull << 8, ECAP)); /* 57 bits alone */
	fresh();
	assert_null(combine(only_48, ECAP));
	assert_int_equal(all.levels, 4);
	assert_non_null(combine(CAP_39, ECAP));
	fresh();
	assert_null(combine(CAP_39, ECAP));
	assert_non_null(combine(only_48, ECAP));
}

static void test_entries(void **state)
{
	const struct vtd_interrupt edge = { 0x12, 0x0120, 0x41, 0 }, level = { 0x12345, 0xff00, 0xfe, 1 };
	uint64_t e[2];

	(void)state;
	vtd_context_entry(e, 0x123456000, 4, 7);
	assert_true(e[0] == (0x123456000 | 1) && e[1] == (7u << 8 | 2));
	vtd_context_entry(e, 0x123456000, 3, 0xffff);
	assert_true(e[1] == (0xffffu << 8 | 1));
	vtd_interrupt_entry(e, &edge, 0);
	assert_true(e[0] == (0x1200ull << 32 | 0x41u << 16 | 1));
	assert_true(e[1] == (1u << 18 | 0x0120));
	vtd_interrupt_entry(e, &level, 1);
	assert_true(e[0] == (0x12345ull << 32 | 0xfeu << 16 | 1u << 4 | 1));
	assert_true(e[1] == (1u << 18 | 0xff00));
}

static void test_faults(void **state)
{
	struct vtd_fault f;

	(void)state;
	assert_int_equal(vtd_fault_decode(&f, 0, 0), 0);
	/* As QEMU 7.2 records it, with ones in the PASID field. */
	assert_int_equal(vtd_fault_decode(&f, 0x123456fff, 1ull << 63 | 0xfffffull << 40 | 5ull << 32 | 0x0128), 1);
	assert_int_equal(f.source, 0x0128);
	assert_int_equal(f.reason, 5);
	assert_int_equal(f.write, 1);
	assert_true(f.address == 0x123456000);
	assert_int_equal(vtd_fault_decode(&f, 0x5000, 3ull << 62 | 6ull << 32 | 0x20), 1);
	assert_int_equal(f.write, 0);
	assert_int_equal(f.reason, 6);
	assert_int_equal(vtd_fault_decode(&f, 0xabcdull << 48 | 0xfff000, 1ull << 63 | 0x26ull << 32 | 0x28), 1);
	assert_int_equal(f.index, 0xabcd);
	assert_true(f.address == 0);
}

static void test_texts(void **state)
{
	unsigned known = 0;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		assert_non_null(vtd_fault_text((uint8_t)i));
		known += strcmp(vtd_fault_text((uint8_t)i), "unknown reason") != 0;
	}
	assert_int_equal(known, 13 + 7);
	assert_string_equal(vtd_fault_text(5), "no right to write there");
	assert_string_equal(vtd_fault_text(0xd), "the device may not ask for translations");
	assert_string_equal(vtd_fault_text(0x20), "reserved bits in the request");
	assert_string_equal(vtd_fault_text(0x26), "another device's interrupt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_unit),        cmocka_unit_test(test_several_units),
		cmocka_unit_test(test_what_is_missing), cmocka_unit_test(test_entries),
		cmocka_unit_test(test_faults),          cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What a late launch lacks, on machines made up here: no emulator has TXT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boot/trust.h"

static const struct txt_facts good = {
	.smx = 1u << 6,
	.capabilities = 0x1ff,
	.tpm = 2,
	.feature_control = 0xff07,
	.sinit_size = 0x20000,
	.sinit_type = 2,
	.sinit_vendor = 0x8086,
};

static void test_nothing_is_missing(void **state)
{
	(void)state;
	assert_int_equal(txt_lacks(&good), 0);
}

static void test_each_alone(void **state)
{
	struct txt_facts f;

	(void)state;
#define WITHOUT(field, value, need) \
	f = good;                   \
	f.field = (value);          \
	assert_int_equal(txt_lacks(&f), 1u << (need))
	WITHOUT(smx, 0, TXT_SMX);
	WITHOUT(tpm, 0, TXT_TPM);
	WITHOUT(sinit_size, 0, TXT_SINIT);
	WITHOUT(sinit_type, 1, TXT_SINIT);
	WITHOUT(sinit_vendor, 0x1022, TXT_SINIT);
	WITHOUT(error_status, 1, TXT_RESET);
	for (uint32_t bit = 2; bit < 9; bit++) {
		WITHOUT(capabilities, 0x1ffu & ~(1u << bit), TXT_SENTER);
	}
	for (uint32_t bit = 0; bit < 16; bit++)
		if (0xff03u >> bit & 1) {
			WITHOUT(feature_control, 0xff07u & ~(1u << bit), TXT_FEATURE_CONTROL);
		}
#undef WITHOUT
}

/* As on every emulator: all at once, in one go. */
static void test_nothing_is_there(void **state)
{
	const struct txt_facts none = { 0 };

	(void)state;
	assert_int_equal(txt_lacks(&none), (1u << TXT_NEEDS) - 1);
}

/* No chipset: its registers were not read, so its state is not known either. */
static void test_no_chipset(void **state)
{
	struct txt_facts f = good;

	(void)state;
	f.capabilities = 0x1fe;
	f.sinit_size = 0;
	assert_int_equal(txt_lacks(&f), 1u << TXT_CHIPSET | 1u << TXT_RESET | 1u << TXT_SINIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_missing),
		cmocka_unit_test(test_each_alone),
		cmocka_unit_test(test_nothing_is_there),
		cmocka_unit_test(test_no_chipset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The parser of the ACPI table TPM2: good tables of each revision, then each way in which firmware could get one wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/tpm2.h"

struct made {
	uint32_t length, revision, method, log_bytes;
	uint64_t area, log;
};

static struct tpm2_table t;
static uint32_t offset;

static void put(uint8_t *at, uint64_t value, uint32_t bytes)
{
	memcpy(at, &value, bytes);
}

/* Exactly as long as it says, so that the sanitizer sees a read beyond it. */
static const char *parse(struct made m)
{
	uint8_t whole[80] = { [8] = (uint8_t)m.revision };
	const uint32_t log = m.revision < 5 ? 64 : 68;

	put(whole + 40, m.area, 8);
	put(whole + 48, m.method, 4);
	put(whole + log, m.log_bytes, 4);
	put(whole + log + 4, m.log, 8);
	uint8_t *table = malloc(m.length);
	memcpy(table, whole, m.length);
	const char *wrong = tpm2_parse(table, m.length, &t, &offset);

	free(table);
	return wrong;
}

static void test_good(void **state)
{
	(void)state;
	/* as QEMU and many boards have it */
	assert_null(parse((struct made){ 76, 4, TPM2_FIFO, 0x10000, 0, 0x7fff0000 }));
	assert_int_equal(t.start_method, TPM2_FIFO);
	assert_int_equal(t.log, 0x7fff0000);
	assert_int_equal(t.log_bytes, 0x10000);
	assert_null(parse((struct made){ 76, 4, TPM2_CRB, 0x10000, 0xfed40040, 0x7fff0000 }));
	assert_int_equal(t.control_area, 0xfed40040);
	/* without what stands behind the start method */
	assert_null(parse((struct made){ 52, 3, TPM2_ACPI, 0x10000, 0x7ff00000, 0x7fff0000 }));
	assert_int_equal(t.control_area, 0x7ff00000);
	assert_int_equal(t.log | t.log_bytes, 0);
	assert_null(parse((struct made){ 75, 4, TPM2_CRB_ACPI, 0x10000, 0x7ff00000, 0x7fff0000 }));
	assert_int_equal(t.log | t.log_bytes, 0);
	/* four bytes more of parameters */
	assert_null(parse((struct made){ 80, 5, TPM2_CRB, 0x2000, 0xfed40040, 0x7fff0000 }));
	assert_int_equal(t.log, 0x7fff0000);
	assert_int_equal(t.log_bytes, 0x2000);
	assert_null(parse((struct made){ 79, 5, TPM2_CRB, 0x2000, 0xfed40040, 0x7fff0000 }));
	assert_int_equal(t.log, 0);
	/* firmware that keeps its log to itself */
	assert_null(parse((struct made){ 76, 4, TPM2_FIFO, 0x10000, 0, 0 }));
	assert_int_equal(t.log | t.log_bytes, 0);
	/* a method that is not known says nothing of the control area; a FIFO has none */
	assert_null(parse((struct made){ 52, 4, 11, 0, 0, 0 }));
	assert_null(parse((struct made){ 52, 4, TPM2_FIFO, 0, UINT64_MAX, 0 }));
	assert_int_equal(t.control_area, 0);
	assert_string_equal(tpm2_method(11), "another start method");
	assert_string_equal(tpm2_method(TPM2_FIFO), "FIFO registers");
}

static void bad(struct made m, uint32_t at, const char *words)
{
	const char *wrong = parse(m);

	assert_non_null(wrong);
	assert_string_equal(wrong, words);
	assert_int_equal(offset, at);
}

static void test_bad(void **state)
{
	static const char area[] = "its control area is at an impossible address";
	static const char log[] = "its event log is at an impossible address";

	(void)state;
	bad((struct made){ 51, 4, TPM2_CRB, 0, 0xfed40040, 0 }, 4, "it is too short");
	bad((struct made){ 36, 4, 0, 0, 0, 0 }, 4, "it is too short");
	bad((struct made){ 52, 2, TPM2_CRB, 0, 0xfed40040, 0 }, 8, "it is of a revision before TPM 2.0");
	bad((struct made){ 52, 4, 0, 0, 0xfed40040, 0 }, 48, "it has no start method");
	bad((struct made){ 52, 4, TPM2_CRB, 0, 0, 0 }, 40, area);
	bad((struct made){ 52, 4, TPM2_CRB_ACPI, 0, 1ull << 52, 0 }, 40, area);
	bad((struct made){ 52, 4, TPM2_ACPI, 0, (1ull << 52) - 0x2f, 0 }, 40, area);
	bad((struct made){ 52, 4, TPM2_CRB, 0, UINT64_MAX, 0 }, 40, area);
	bad((struct made){ 76, 4, TPM2_FIFO, 0x10000, 0, 1ull << 52 }, 64, log);
	bad((struct made){ 76, 4, TPM2_FIFO, 2, 0, (1ull << 52) - 1 }, 64, log);
	bad((struct made){ 80, 5, TPM2_FIFO, UINT32_MAX, 0, UINT64_MAX }, 68, log);
	assert_null(parse((struct made){ 76, 4, TPM2_FIFO, 1, 0, (1ull << 52) - 1 }));
	assert_null(parse((struct made){ 52, 4, TPM2_CRB, 0, (1ull << 52) - 0x30, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

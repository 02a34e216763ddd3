// SPDX-License-Identifier: Apache-2.0
/* The decoder of MOV instructions (vmx/decode.c) against what an assembler writes (decode_forms.asm). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmx/decode.h"

/* As decode_forms.asm lays it out. */
struct form {
	const uint8_t *bytes;
	uint64_t immediate;
	uint8_t mode, write, size, reg, shift, to, sign, length;
};
extern const struct form forms[], forms_end[], others[], others_end[];

#define OLD 0x8182838485868788ull

static void test_every_form_of_the_assembler(void **state)
{
	(void)state;
	assert_true(forms_end - forms > 3000);
	for (const struct form *f = forms; f < forms_end; f++) {
		struct decoded d;
		int good = decode(f->bytes, DECODE_MAX, f->mode, &d);

		good = good && d.length == f->length && d.write == f->write && d.size == f->size && d.reg == f->reg &&
		       d.shift == f->shift && d.to == f->to && d.sign == f->sign && d.immediate == f->immediate;
		if (!good)
			fail_msg("form %ld, bits %u: %02x %02x %02x %02x", (long)(f - forms), 16u << f->mode,
			         f->bytes[0], f->bytes[1], f->bytes[2], f->bytes[3]);
	}
}

/* One byte less than the instruction has is not enough, and nothing beyond what is there is read. */
static void test_cut_off(void **state)
{
	(void)state;
	for (const struct form *f = forms; f < forms_end; f++)
		for (uint32_t n = 0; n < f->length; n++) {
			uint8_t *copy = test_malloc(n + 1);
			struct decoded d;

			memcpy(copy, f->bytes, n);
			assert_false(decode(copy, n, f->mode, &d));
			test_free(copy);
		}
}

static void test_nothing_else(void **state)
{
	(void)state;
	assert_true(others_end - others > 40);
	for (const struct form *f = others; f < others_end; f++) {
		struct decoded d;

		if (decode(f->bytes, 16, f->mode, &d))
			fail_msg("other %ld, bits %u: %02x %02x %02x", (long)(f - others), 16u << f->mode, f->bytes[0],
			         f->bytes[1], f->bytes[2]);
	}
}

static void test_what_a_write_brings(void **state)
{
	(void)state;
	assert_int_equal(decode_source(&(struct decoded){ .size = 1 }, OLD), 0x88);
	assert_int_equal(decode_source(&(struct decoded){ .size = 1, .shift = 8 }, OLD), 0x87);
	assert_int_equal(decode_source(&(struct decoded){ .size = 2 }, OLD), 0x8788);
	assert_int_equal(decode_source(&(struct decoded){ .size = 4 }, OLD), 0x85868788);
	assert_int_equal(decode_source(&(struct decoded){ .size = 8 }, OLD), OLD);
	assert_int_equal(
		decode_source(&(struct decoded){ .size = 8, .reg = DECODE_IMMEDIATE, .immediate = -2ull }, OLD), -2ull);
	assert_int_equal(
		decode_source(&(struct decoded){ .size = 2, .reg = DECODE_IMMEDIATE, .immediate = -2ull }, OLD),
		0xfffe);
}

static void test_what_a_read_leaves(void **state)
{
	static const struct {
		struct decoded d;
		uint64_t value, result;
	} cases[] = {
		{ { .size = 1, .to = 1 }, 0x1234, 0x8182838485868734 },
		{ { .size = 1, .to = 1, .shift = 8 }, 0x1234, 0x8182838485863488 },
		{ { .size = 2, .to = 2 }, 0x91234, 0x8182838485861234 },
		{ { .size = 4, .to = 4 }, 0x9ffffffff, 0xffffffff },
		{ { .size = 8, .to = 8 }, 0x91234, 0x91234 },
		{ { .size = 1, .to = 2 }, 0xf0, 0x81828384858600f0 },
		{ { .size = 1, .to = 4 }, 0x1f0, 0xf0 },
		{ { .size = 1, .to = 8 }, 0xf0, 0xf0 },
		{ { .size = 2, .to = 4 }, 0x1fff0, 0xfff0 },
		{ { .size = 1, .to = 2, .sign = 1 }, 0xf0, 0x818283848586fff0 },
		{ { .size = 1, .to = 2, .sign = 1 }, 0x70, 0x8182838485860070 },
		{ { .size = 1, .to = 4, .sign = 1 }, 0xf0, 0xfffffff0 },
		{ { .size = 2, .to = 4, .sign = 1 }, 0x8000, 0xffff8000 },
		{ { .size = 2, .to = 8, .sign = 1 }, 0x8000, 0xffffffffffff8000 },
		{ { .size = 2, .to = 8, .sign = 1 }, 0x7fff, 0x7fff },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(decode_result(&cases[i].d, OLD, cases[i].value), cases[i].result);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_the_assembler),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_nothing_else),
		cmocka_unit_test(test_what_a_write_brings),
		cmocka_unit_test(test_what_a_read_leaves),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

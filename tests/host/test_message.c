// SPDX-License-Identifier: Apache-2.0
/* Messages of the core become text one character at a time, and the same text as printf would make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/message.h"

static char text[400];

static __attribute__((format(printf, 1, 2))) void make(const char *format, ...)
{
	struct message m;
	struct message_reader r;
	va_list arguments;
	uint32_t n = 0;
	char c;

	va_start(arguments, format);
	message_make(&m, format, arguments);
	va_end(arguments);
	message_begin(&r, &m);
	while ((c = message_next(&r)) && n < sizeof text - 1)
		text[n++] = c;
	text[n] = 0;
	assert_int_equal(message_next(&r), 0); /* and stays at the end */
}

static void test_conversions(void **state)
{
	char want[400];

	(void)state;
	make("%s: %c%u|%lu|%x|%lx|%%|\n", "name", 'x', 4294967295u, UINT64_MAX, 0xdeadbeefu, UINT64_MAX);
	snprintf(want, sizeof want, "%s: %c%u|%lu|%x|%lx|%%|\n", "name", 'x', 4294967295u, UINT64_MAX, 0xdeadbeefu,
	         UINT64_MAX);
	assert_string_equal(text, want);
	make("%u %lu %x %lx", 0u, 0ul, 0u, 0ul);
	assert_string_equal(text, "0 0 0 0");
}

static void test_empty(void **state)
{
	const char *nothing = "";

	(void)state;
	make("%s", nothing);
	assert_string_equal(text, "");
	make("%s%sa%s", nothing, nothing, nothing);
	assert_string_equal(text, "a");
}

/* As many arguments as there is room for: the longest message is a line of a panic. */
static void test_all_arguments(void **state)
{
	(void)state;
	make("%lu %lu %lu %lu %lu %lu %lu %lu %lu", 1ul, 2ul, 3ul, 4ul, 5ul, 6ul, 7ul, 8ul, 9ul);
	assert_string_equal(text, "1 2 3 4 5 6 7 8 9");
	make("%lu %lu %lu %lu %lu %lu %lu %lu %lu|%s|%lu", 1ul, 2ul, 3ul, 4ul, 5ul, 6ul, 7ul, 8ul, 9ul, "left out",
	     11ul);
	assert_string_equal(text, "1 2 3 4 5 6 7 8 9||0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversions),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_all_arguments),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

// SPDX-License-Identifier: Apache-2.0
/* Formatting for messages. Pure. */
#include "console.h"

static void put_number(void (*put)(char), uint64_t value, uint32_t base)
{
	char digits[20];
	uint32_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		put(digits[--n]);
}

void print_arguments(void (*put)(char), const char *format, va_list arguments)
{
	for (const char *p = format; *p; p++) {
		int is_long = 0;

		if (*p != '%') {
			put(*p);
			continue;
		}
		if (*++p == 'l') {
			is_long = 1;
			p++;
		}
		switch (*p) {
		case 's':
			for (const char *s = va_arg(arguments, const char *); *s; s++)
				put(*s);
			break;
		case 'c':
			put((char)va_arg(arguments, int));
			break;
		case 'u':
		case 'x':
			put_number(put, is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t),
			           *p == 'x' ? 16 : 10);
			break;
		default:
			put(*p);
		}
		if (!*p)
			return;
	}
}

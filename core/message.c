// SPDX-License-Identifier: Apache-2.0
#include "message.h"

void message_make(struct message *m, const char *format, va_list arguments)
{
	uint32_t n = 0;

	m->format = format;
	for (const char *p = format; *p && n < MESSAGE_ARGUMENTS; p++) {
		int is_long = 0;

		if (*p != '%')
			continue;
		if (*++p == 'l') {
			is_long = 1;
			p++;
		}
		if (*p == 's')
			m->argument[n++] = (uint64_t)(uintptr_t)va_arg(arguments, const char *);
		else if (*p == 'c' || ((*p == 'u' || *p == 'x') && !is_long))
			m->argument[n++] = va_arg(arguments, uint32_t);
		else if (*p == 'u' || *p == 'x')
			m->argument[n++] = va_arg(arguments, uint64_t);
		if (!*p)
			return;
	}
	for (; n < MESSAGE_ARGUMENTS; n++)
		m->argument[n] = 0;
}

void message_begin(struct message_reader *r, const struct message *m)
{
	r->format = m->format;
	r->argument = m->argument;
	r->end = m->argument + MESSAGE_ARGUMENTS;
	r->text = 0;
}

static uint64_t next_argument(struct message_reader *r)
{
	return r->argument < r->end ? *r->argument++ : 0;
}

static const char *number(struct message_reader *r, uint64_t value, uint32_t base)
{
	char *p = &r->digits[sizeof r->digits - 1];

	*p = 0;
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return p;
}

/* One turn for each character of the format at most: bounded by its length. */
char message_next(struct message_reader *r)
{
	for (;;) {
		char c;

		if (r->text && *r->text)
			return *r->text++;
		r->text = 0;
		c = *r->format;
		if (c)
			r->format++;
		if (c != '%')
			return c;
		c = *r->format;
		if (c == 'l')
			c = *++r->format;
		if (c)
			r->format++;
		switch (c) {
		case 's':
			r->text = (const char *)(uintptr_t)next_argument(r);
			break;
		case 'c':
			return (char)next_argument(r);
		case 'u':
			r->text = number(r, next_argument(r), 10);
			break;
		case 'x':
			r->text = number(r, next_argument(r), 16);
			break;
		default:
			return c;
		}
	}
}

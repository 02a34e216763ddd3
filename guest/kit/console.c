// SPDX-License-Identifier: Apache-2.0
/*
 * The console: the hypervisor's, or port E9h on the bare machine; and a printf of one page.
 */
#include <stdarg.h>

#include "hypercall.h"
#include "kit.h"

#define CALL_BYTES 40u /* that one BH_CONSOLE_WRITE takes */
#define TRIES 2000u    /* for a full ring, each after PAUSES pauses: some 10 ms and more */
#define PAUSES 100u
#define DEBUG_PORT 0xe9

size_t kit_write_some(const char *text, size_t size)
{
	if (!kit_on_bulkhead()) {
		for (size_t i = 0; i < size; i++)
			outb(DEBUG_PORT, (uint8_t)text[i]);
		return size;
	}
	uint64_t argument[6] = { size < CALL_BYTES ? size : CALL_BYTES };
	memcpy(&argument[1], text, argument[0]);
	int64_t taken = hypercall(BH_CONSOLE_WRITE, argument);
	return taken > 0 ? (size_t)taken : 0;
}

void kit_write(const char *text, size_t size)
{
	for (unsigned tries = 0; size > 0 && tries < TRIES;) {
		size_t taken = kit_write_some(text, size);
		text += taken;
		size -= taken;
		if (taken) {
			tries = 0;
			continue;
		}
		tries++;
		for (unsigned i = 0; i < PAUSES; i++)
			pause();
	}
}

struct sink {
	char *buffer;
	size_t size, used; /* used counts on beyond size */
};

static void put(struct sink *s, char c)
{
	if (s->used < s->size)
		s->buffer[s->used] = c;
	s->used++;
}

static void put_number(struct sink *s, uint64_t value, unsigned base, bool negative, unsigned width, char pad)
{
	char digits[20];
	unsigned n = 0;
	do
		digits[n++] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	unsigned length = n + negative;
	if (negative && pad == '0')
		put(s, '-');
	for (; length < width; length++)
		put(s, pad);
	if (negative && pad != '0')
		put(s, '-');
	while (n > 0)
		put(s, digits[--n]);
}

static void put_string(struct sink *s, const char *text, unsigned width)
{
	unsigned n = 0;
	for (; text[n]; n++)
		put(s, text[n]);
	for (; n < width; n++) /* strings stand to the left */
		put(s, ' ');
}

/* One conversion, the character after '%' on. Returns the first character behind it. */
static const char *convert(struct sink *s, const char *f, va_list *ap)
{
	char pad = *f == '0' ? '0' : ' ';
	unsigned width = 0, longs = 0;
	for (; *f == '-'; f++)
		;
	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (unsigned)(*f - '0');
	for (; *f == 'l'; f++)
		longs++;
	switch (*f) {
	case 'd': {
		int64_t v = longs ? va_arg(*ap, long) : va_arg(*ap, int);
		put_number(s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, pad);
		break;
	}
	case 'u':
	case 'x': {
		uint64_t v = longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);
		put_number(s, v, *f == 'u' ? 10 : 16, false, width, pad);
		break;
	}
	case 's':
		put_string(s, va_arg(*ap, const char *), width);
		break;
	case 'c':
		put(s, (char)va_arg(*ap, int));
		break;
	case '\0':
		return f;
	default:
		put(s, *f);
	}
	return f + 1;
}

static void format_to(struct sink *s, const char *f, va_list *ap)
{
	while (*f)
		if (*f != '%')
			put(s, *f++);
		else
			f = convert(s, f + 1, ap);
}

int kit_snprintf(char *buffer, size_t size, const char *format, ...)
{
	struct sink s = { buffer, size ? size - 1 : 0, 0 };
	va_list ap;
	va_start(ap, format);
	format_to(&s, format, &ap);
	va_end(ap);
	if (size)
		buffer[s.used < s.size ? s.used : s.size] = '\0';
	return (int)s.used;
}

int kit_printf(const char *format, ...)
{
	char line[512]; /* what is longer is cut */
	struct sink s = { line, sizeof line, 0 };
	va_list ap;
	va_start(ap, format);
	format_to(&s, format, &ap);
	va_end(ap);
	if (s.used > s.size) {
		s.used = s.size;
		line[s.size - 1] = '\n';
	}
	kit_write(line, s.used);
	return (int)s.used;
}

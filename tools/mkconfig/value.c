// SPDX-License-Identifier: Apache-2.0
/* Text to numbers, each with its limits; and the small things that every part of the tool uses. */
#include "mkconfig.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fail(unsigned line, const char *format, ...)
{
	va_list arguments;
	char message[1024];

	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	for (char *c = message; *c != '\0'; c++) /* one line, whatever the file put into it */
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "error: %s:%u: %s\n", document_path, line, message);
	exit(1);
}

void *allocate(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		fail(1, "out of memory (%zu bytes)", size);
	return memory;
}

void *grow(void *list, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0) /* capacity is the next power of two */
		return list;
	list = realloc(list, (count > 0 ? 2 * count : 1) * size);
	if (list == NULL)
		fail(1, "out of memory (%zu elements)", count);
	return list;
}

char *text(const char *format, ...)
{
	va_list arguments;
	char *string;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	string = allocate((size_t)length + 1);
	va_start(arguments, format);
	vsnprintf(string, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return string;
}

const char *size_text(uint64_t bytes)
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned u = 0;

	if (bytes > MIB(16) && bytes % MIB(1) != 0)
		return text("%.1f MiB", (double)bytes / (double)MIB(1));
	while (bytes != 0 && bytes % 1024 == 0 && u + 1 < LENGTH(unit)) {
		bytes /= 1024;
		u++;
	}
	return text("%" PRIu64 " %s", bytes, unit[u]);
}

/* Decimal or 0x hexadecimal digits; what follows them is left at *end. False: there are none. */
static bool digits(unsigned line, const char *what, const char *string, char **end, uint64_t *value)
{
	bool hex = string[0] == '0' && (string[1] == 'x' || string[1] == 'X');

	if (hex ? !isxdigit((unsigned char)string[2]) : !isdigit((unsigned char)string[0]))
		return false;
	errno = 0;
	*value = strtoull(string, end, hex ? 16 : 10);
	if (errno != 0)
		fail(line, "%s: %s is beyond 64 bits", what, string);
	return true;
}

uint64_t parse_number(unsigned line, const char *what, const char *string, uint64_t min, uint64_t max)
{
	uint64_t value = 0;
	char *end;

	if (!digits(line, what, string, &end, &value) || *end != '\0')
		fail(line, "%s: '%s' is not a number (decimal, or hexadecimal with 0x)", what, string);
	if (value < min || value > max)
		fail(line, "%s: %s is not within %" PRIu64 " (0x%" PRIx64 ") to %" PRIu64 " (0x%" PRIx64 ")", what,
		     string, min, min, max, max);
	return value;
}

uint64_t parse_size(unsigned line, const char *what, const char *string, uint64_t min, uint64_t max)
{
	static const struct {
		const char *suffix;
		unsigned shift;
	} units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	uint64_t value = 0;
	char *end;

	if (!digits(line, what, string, &end, &value))
		fail(line, "%s: '%s' is not a size; write for instance 256 MiB", what, string);
	end += strspn(end, " ");
	for (unsigned i = 0; i < LENGTH(units); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (value > UINT64_MAX >> units[i].shift || value << units[i].shift < min ||
		    value << units[i].shift > max)
			fail(line, "%s: %s is not within %s to %s", what, string, size_text(min), size_text(max));
		value <<= units[i].shift;
		if (value % PAGE_SIZE != 0)
			fail(line, "%s: %s is not a multiple of 4 KiB", what, string);
		return value;
	}
	fail(line, "%s: '%s' ends in an unknown unit; known are KiB, MiB and GiB", what, string);
}

void parse_range(unsigned line, const char *what, const char *string, uint64_t max, uint32_t *first, uint32_t *last)
{
	const char *dash = strchr(string, '-');
	char *low = text("%.*s", dash != NULL ? (int)(dash - string) : (int)strlen(string), string);

	*first = (uint32_t)parse_number(line, what, low, 0, max);
	*last = dash != NULL ? (uint32_t)parse_number(line, what, dash + 1, 0, max) : *first;
	if (*first > *last)
		fail(line, "%s: %s runs backwards", what, string);
}

unsigned parse_name(unsigned line, const char *what, const char *string, const char *const *names, unsigned count)
{
	char known[512] = "";

	for (unsigned i = 0; i < count; i++) {
		if (names[i] != NULL && strcmp(names[i], string) == 0)
			return i;
		if (names[i] != NULL && strlen(known) + strlen(names[i]) + 3 < sizeof known)
			strcat(strcat(known, known[0] != '\0' ? ", " : ""), names[i]);
	}
	fail(line, "%s: '%s' is not known; known are: %s", what, string, known);
}

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

const char *time_text(uint64_t us)
{
	char *string;
	size_t end;

	if (us < 1000)
		return text("%" PRIu64 " us", us);
	string = us < SECOND ? text("%.3f", (double)us / 1000) : text("%.6f", (double)us / SECOND);
	for (end = strlen(string); string[end - 1] == '0';)
		end--;
	end -= string[end - 1] == '.';
	return text("%.*s %s", (int)end, string, us < SECOND ? "ms" : "s");
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

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* A number with a unit, in the smallest of the units: no result above UINT64_MAX. */
static uint64_t parse_quantity(unsigned line, const char *what, const char *string, const char *kind,
                               const char *example, const struct unit *units, unsigned count)
{
	const char *known = "";
	uint64_t value = 0;
	char *end;

	if (!digits(line, what, string, &end, &value))
		fail(line, "%s: '%s' is not a %s; write for instance %s", what, string, kind, example);
	end += strspn(end, " ");
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(end, units[i].suffix) == 0)
			return value > UINT64_MAX / units[i].factor ? UINT64_MAX : value * units[i].factor;
		if (units[i].suffix[0] != '\0')
			known = text("%s%s%s", known,
			             known[0] == '\0' ? "" :
			             i + 1 < count    ? ", " :
			                                " and ",
			             units[i].suffix);
	}
	if (*end == '\0')
		fail(line, "%s: '%s' has no unit; write for instance %s", what, string, example);
	fail(line, "%s: '%s' ends in an unknown unit; known are %s", what, string, known);
}

uint64_t parse_size(unsigned line, const char *what, const char *string, uint64_t min, uint64_t max)
{
	static const struct unit units[] = { { "", 1 }, { "KiB", KIB(1) }, { "MiB", MIB(1) }, { "GiB", GIB(1) } };
	uint64_t value = parse_quantity(line, what, string, "size", "256 MiB", units, LENGTH(units));

	if (value < min || value > max)
		fail(line, "%s: %s is not within %s to %s", what, string, size_text(min), size_text(max));
	if (value % PAGE_SIZE != 0 &&
	    (min == 0 || value > PAGE_SIZE || min >= PAGE_SIZE)) /* parts of a page: where the least is one */
		fail(line, "%s: %s is not a multiple of 4 KiB", what, string);
	return value;
}

uint32_t parse_time(unsigned line, const char *what, const char *string, uint32_t min, uint32_t max)
{
	static const struct unit units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
	uint64_t value = min == 0 && strcmp(string, "0") == 0 ?
	                         0 :
	                         parse_quantity(line, what, string, "time", "250 us", units, LENGTH(units));

	if (value < min || value > max)
		fail(line, "%s: %s is not within %s to %s", what, string, time_text(min), time_text(max));
	return (uint32_t)value;
}

uint32_t parse_rate(unsigned line, const char *what, const char *string)
{
	static const struct unit units[] = { { "Hz", 1 }, { "kHz", 1000 } };
	uint64_t value = parse_quantity(line, what, string, "rate", "1 kHz", units, LENGTH(units));

	if (value < 1 || value > SECOND / CONFIG_FRAME_MIN_US)
		fail(line, "%s: %s is not within 1 Hz to %u kHz", what, string, SECOND / CONFIG_FRAME_MIN_US / 1000);
	if (SECOND % value != 0)
		fail(line, "%s: %s is a period of %.3f us; it must be whole microseconds", what, string,
		     SECOND / (double)value);
	return (uint32_t)(SECOND / value);
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

bool parse_truth(unsigned line, const char *what, const char *string)
{
	static const char *const names[] = { "false", "true" };

	return string != NULL && parse_name(line, what, string, names, LENGTH(names)) == 1;
}

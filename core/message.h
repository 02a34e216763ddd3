// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of the core: a format and its arguments, turned into characters one at a time. So a message that a guest causes
 * is only noted in the exit it belongs to, and becomes text in small steps later (core/console.c). Pure.
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include <stdarg.h>
#include <stdint.h>

#define MESSAGE_ARGUMENTS 9u

/* %s %c %u (uint32_t) %lu (uint64_t) %x %lx %%. Strings are kept as pointers: constant text only. */
struct message {
	const char *format;
	uint64_t argument[MESSAGE_ARGUMENTS];
};

/* A message on its way out. */
struct message_reader {
	const char *format;             /* rest of it */
	const uint64_t *argument, *end; /* the next one; behind the last */
	const char *text;               /* rest of the string or number that is being put out, or 0 */
	char digits[21];
};

/* Arguments beyond MESSAGE_ARGUMENTS are left out: they read as "" and 0. */
void message_make(struct message *m, const char *format, va_list arguments);

void message_begin(struct message_reader *r, const struct message *m);

/* The next character, or 0 behind the last one. */
char message_next(struct message_reader *r);

#endif

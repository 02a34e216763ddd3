// SPDX-License-Identifier: Apache-2.0
/*
 * The one serial line that the core and all partitions share. Text goes into a ring per source; whoever comes by moves a few
 * bytes from the rings to the UART, without ever waiting for it or for another CPU.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <stdarg.h>
#include <stdint.h>

#include "message.h"

/* Set up the UART (115200 8N1, FIFOs) and the rings. Boot CPU, once, before any other CPU runs. */
void console_init(void);

/*
 * Text of the core from this CPU (core/message.h: what the format may hold; strings are constants). While a vCPU runs here the message is
 * only noted, and put out in small steps by console_pump(): no guest can make the core stay long by what it makes it say.
 * Messages that find no room are counted, and the count is told. Any CPU.
 */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for one that a guest's exit causes: all of its arguments as words, which takes a tenth of the time. A vCPU runs here. */
void print_words(const char *format, const uint64_t argument[MESSAGE_ARGUMENTS]);

/* Past the rings and at once, by console_raw(): panic only. */
void print_raw(const char *format, va_list arguments);

/* What this CPU has noted and not put out yet. In struct cpu. */
#define NOTED_MESSAGES 32u /* the first few of each class of errors, from several partitions */
struct noted {
	struct message message[NOTED_MESSAGES];
	uint32_t head, tail; /* free-running */
	uint32_t lost;
	struct message_reader reader; /* of message[head], where `reading` */
	uint8_t reading;
};

/* One byte of a partition's console. Returns 0 if its ring is full, or another CPU of the partition is at it. Its CPUs only. */
int console_put(uint16_t partition, uint8_t byte);

/* Room in a partition's ring, bytes. Its CPUs only. */
uint32_t console_room(uint16_t partition);

/* One byte of input for a partition; -1 if there is none, or another CPU of the partition is at it. Its CPUs only. */
int console_get(uint16_t partition);

/*
 * Move some bytes to the UART if it takes them now, and take in what it has received; a step of this CPU's noted messages.
 * Returns 1 if text is left: again after CONSOLE_PAUSE ticks. At once if another CPU is at it. Any CPU. Bounded work.
 */
#define CONSOLE_PAUSE (tsc_khz * 3 / 4) /* 750 us: as long as the line takes for UART_BURST bytes */
int console_pump(void);

/* Pump until the rings are empty, at most about a second: boot, and before a CPU stops for good. */
void console_flush(void);

/* Past all rings and locks, waiting a bounded time for the UART: panic only. */
void console_raw(char byte);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The one serial line that the core and all partitions share. Text goes into a ring per source; whoever comes by moves a few
 * bytes from the rings to the UART, without ever waiting for it or for another CPU.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <stdarg.h>
#include <stdint.h>

/* Set up the UART (115200 8N1, FIFOs) and the rings. Boot CPU, once, before any other CPU runs. */
void console_init(void);

/* Text of the core from this CPU: %s %c %u (uint32_t) %lu (uint64_t) %x %lx %%. Text that finds its ring full is cut. Any CPU. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_arguments(void (*put)(char), const char *format, va_list arguments);

/* One byte of a partition's console. Returns 0 if its ring is full, or another CPU of the partition is at it. Its CPUs only. */
int console_put(uint16_t partition, uint8_t byte);

/* Room in a partition's ring, bytes. Its CPUs only. */
uint32_t console_room(uint16_t partition);

/* One byte of input for a partition; -1 if there is none, or another CPU of the partition is at it. Its CPUs only. */
int console_get(uint16_t partition);

/*
 * Move what the UART takes now (at most its FIFO of 16 bytes), and take in what it has received.
 * Returns 1 if text is left that the UART had no room for. At once if another CPU is at it. Any CPU.
 */
int console_pump(void);

/* Pump until the rings are empty, at most about a second: boot, and before a CPU stops for good. */
void console_flush(void);

/* Past all rings and locks, waiting a bounded time for the UART: panic only. */
void console_raw(char byte);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Every I/O port: reads, and writes of 0 and all ones, in bytes; words and double words at every 64th port and where
 * they wrap; INS and OUTS. A port that answers other than all ones is listed: the configuration says whether it may.
 * A byte of 6 is never written: it would be a rightful reset request where the configuration has a reset register.
 */
#include "hostile.h"

#define PORTS 0x10000u
#define LISTED 16u
#define STRING_BYTES 64u

static uint8_t buffer[4096] __attribute__((aligned(4096)));
static uint16_t port;
static uint32_t value;

static void do_inb(void *unused)
{
	(void)unused;
	value = inb(port) ^ 0xffu;
}

static void do_inw(void *unused)
{
	(void)unused;
	value = inw(port) ^ 0xffffu;
}

static void do_inl(void *unused)
{
	(void)unused;
	value = ~inl(port);
}

static void do_outb(void *data)
{
	outb(port, (uint8_t)(uint64_t)data);
}

static void do_outw(void *data)
{
	outw(port, (uint16_t)(uint64_t)data);
}

static void do_outl(void *data)
{
	outl(port, (uint32_t)(uint64_t)data);
}

#define STRING_IO(name, instruction, address)                                                       \
	static void name(void *count)                                                               \
	{                                                                                           \
		void *p = buffer;                                                                   \
		__asm__ volatile(instruction : "+" address(p), "+c"(count) : "d"(port) : "memory"); \
	}
STRING_IO(do_insb, "insb", "D")
STRING_IO(do_outsb, "outsb", "S")
STRING_IO(do_rep_insb, "rep insb", "D")
STRING_IO(do_rep_insl, "rep insl", "D")
STRING_IO(do_rep_outsb, "rep outsb", "S")
STRING_IO(do_rep_outsl, "rep outsl", "S")
STRING_IO(do_backward, "std; rep insb; cld", "D")

static void in(struct attack *a, void (*function)(void *), unsigned *answered)
{
	value = 0;
	if (attempt(a, function, 0) && value != 0 && (*answered)++ < LISTED)
		kit_printf("hostile: port %x answers\n", port);
}

void attack_ports(struct attack *a, const struct kit_info *info)
{
	void *ones = (void *)0xffffffff;
	unsigned answered = 0;
	(void)info;
	for (uint32_t p = 0; p < PORTS; p++) {
		port = (uint16_t)p;
		in(a, do_inb, &answered);
		attempt(a, do_outb, 0);
		attempt(a, do_outb, ones);
		if (p % 64 && p < PORTS - 4)
			continue;
		in(a, do_inw, &answered);
		in(a, do_inl, &answered);
		attempt(a, do_outw, ones);
		attempt(a, do_outl, ones);
	}
	kit_printf("hostile: ports that answer: %u\n", answered);
}

void attack_strings(struct attack *a, const struct kit_info *info)
{
	static void (*const form[])(
		void *) = { do_insb, do_outsb, do_rep_insb, do_rep_insl, do_rep_outsb, do_rep_outsl };
	(void)info;
	for (unsigned i = 0; i < sizeof buffer; i++) /* no REP STOS, which stops the neighbour's time in Bochs */
		((volatile uint8_t *)buffer)[i] = 0xff;
	for (uint32_t p = 0; p < PORTS; p += p < 0x400 ? 1 : 61)
		for (unsigned i = 0; i < sizeof form / sizeof form[0]; i++) {
			port = (uint16_t)p;
			attempt(a, form[i], (void *)(uint64_t)(STRING_BYTES / 4));
		}
	port = 0x80;
	attempt(a, do_backward, (void *)1);
	attempt(a, do_rep_insb, (void *)0);
	attempt(a, do_rep_outsb, (void *)sizeof buffer);
}

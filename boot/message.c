// SPDX-License-Identifier: Apache-2.0
/*
 * Messages of the loader. One line each, built in a buffer; what does not fit is cut. All go to the firmware's console
 * and the debug port. The UART gets only the message that stops the boot: firmware often has its console there already,
 * and would show the others twice; but nobody must miss that one.
 */
#include <stdarg.h>

#include "boot/loader.h"

#define LINE_END 320u      /* characters; then end of line and a 0 */
#define UART_TRIES 100000u /* some 100 ms: a character takes 87 us at 115200 baud */

/* 16550 registers, as offsets from its base. */
#define UART_DATA 0u
#define UART_INTERRUPT_ENABLE 1u
#define UART_FIFO_CONTROL 2u
#define UART_LINE_CONTROL 3u
#define UART_MODEM_CONTROL 4u
#define UART_LINE_STATUS 5u
#define UART_TRANSMIT_EMPTY 0x20u

struct line {
	char text[LINE_END + 3];
	uint32_t used;
};

static int console_usable = 1;

static void out8(uint32_t port, uint32_t value)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(port));
}

static uint32_t in8(uint32_t port)
{
	uint8_t value;

	__asm__ volatile("inb %w1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* 115200 baud, 8 bits, no parity, one stop bit, no interrupts: what the firmware's console uses too. */
static void uart_init(uint32_t port)
{
	out8(port + UART_INTERRUPT_ENABLE, 0);
	out8(port + UART_LINE_CONTROL, 0x83); /* divisor latch open */
	out8(port + UART_DATA, 1);
	out8(port + UART_INTERRUPT_ENABLE, 0);
	out8(port + UART_LINE_CONTROL, 3);
	out8(port + UART_FIFO_CONTROL, 1);
	out8(port + UART_MODEM_CONTROL, 3);
}

static void uart_put(char c)
{
	for (uint32_t i = 0; i < UART_TRIES; i++)
		if (in8(config.uart_port + UART_LINE_STATUS) & UART_TRANSMIT_EMPTY)
			break;
	out8(config.uart_port + UART_DATA, (uint8_t)c);
}

static void debug_text(const char *text)
{
	for (uint32_t i = 0; config.debug_port && text[i]; i++)
		out8(config.debug_port, (uint8_t)text[i]);
}

static void add_char(struct line *l, char c)
{
	if (l->used < LINE_END)
		l->text[l->used++] = c;
}

static void add_text(struct line *l, const char *s)
{
	for (uint32_t i = 0; i < LINE_END && s[i]; i++)
		add_char(l, s[i]);
}

static void add_number(struct line *l, uint64_t value, uint32_t base)
{
	char digits[20];
	uint32_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value && n < sizeof digits);
	while (n)
		add_char(l, digits[--n]);
}

static void add_format(struct line *l, const char *format, va_list args)
{
	for (uint32_t i = 0; i < LINE_END && format[i]; i++) {
		if (format[i] != '%') {
			add_char(l, format[i]);
		} else if (format[i + 1] == 's') {
			add_text(l, va_arg(args, const char *));
			i++;
		} else { /* %lu, %lx */
			add_number(l, va_arg(args, uint64_t), format[i + 2] == 'x' ? 16 : 10);
			i += 2;
		}
	}
}

/* End the line and write it, but for the UART's copy. */
static void write_line(struct line *l)
{
	CHAR16 wide[LINE_END + 3];

	l->text[l->used++] = '\r';
	l->text[l->used++] = '\n';
	l->text[l->used] = 0;
	debug_text(l->text);
	for (uint32_t i = 0; i <= l->used; i++)
		wide[i] = (CHAR16)l->text[i];
	if (console_usable && system_table->ConOut)
		system_table->ConOut->OutputString(system_table->ConOut, wide);
}

void say(const char *format, ...)
{
	struct line l = { .used = 0 };
	va_list args;

	va_start(args, format);
	add_text(&l, "boot: ");
	add_format(&l, format, args);
	va_end(args);
	write_line(&l);
}

void stop(const char *format, ...)
{
	struct line l = { .used = 0 };
	va_list args;

	va_start(args, format);
	add_text(&l, "boot: STOP: ");
	add_format(&l, format, args);
	va_end(args);
	write_line(&l);
	debug_text("RESULT boot stop\n");
	if (config.uart_port) {
		uart_init(config.uart_port);
		for (uint32_t i = 0; i < l.used; i++)
			uart_put(l.text[i]);
	}
	if (console_usable)
		boot_services->Exit(loader_image, EFI_LOAD_ERROR, 0, NULL);
	for (;;) /* the firmware is half gone: nowhere to return to */
		__asm__ volatile("cli; hlt");
}

void console_gone(void)
{
	console_usable = 0;
}

const char *status_name(EFI_STATUS status)
{
	static const struct {
		EFI_STATUS status;
		char name[24];
	} names[] = {
		{ EFI_LOAD_ERROR, "load error" },
		{ EFI_INVALID_PARAMETER, "invalid parameter" },
		{ EFI_UNSUPPORTED, "unsupported" },
		{ EFI_NOT_READY, "not ready" },
		{ EFI_DEVICE_ERROR, "device error" },
		{ EFI_OUT_OF_RESOURCES, "out of resources" },
		{ EFI_VOLUME_CORRUPTED, "volume corrupted" },
		{ EFI_NO_MEDIA, "no media" },
		{ EFI_MEDIA_CHANGED, "media changed" },
		{ EFI_NOT_FOUND, "not found" },
		{ EFI_ACCESS_DENIED, "access denied" },
		{ EFI_SECURITY_VIOLATION, "security violation" },
		{ EFI_SUCCESS, "success, but short" },
	};

	for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].status == status)
			return names[i].name;
	return "unknown error";
}

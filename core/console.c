// SPDX-License-Identifier: Apache-2.0
#include "console.h"

#include "consolemux.h"
#include "core.h"
#include "cpu.h"
#include "x86.h"

/* 16550A registers, offsets from its base. */
enum { UART_DATA, UART_IER, UART_FCR, UART_LCR, UART_MCR, UART_LSR };
#define LSR_DATA_READY 0x01
#define LSR_TRANSMITTER_HOLDING_EMPTY 0x20
#define UART_FIFO 16u     /* bytes from it in one go: all that it holds */
#define UART_BURST 8u     /* bytes to it in one go */
#define MESSAGE_STEP 12u  /* characters of a noted message in one go */
#define RAW_POLLS 100000u /* bound of a wait for the transmitter */
#define FLUSH_POLLS 4000000u

static struct mux mux;
static uint32_t pump_busy; /* who holds it works the UART; nobody waits for it */

/* The core's text from CPU k: source 0 for the boot CPU, a source behind the partitions for each other. */
static uint32_t core_source(void)
{
	return this_cpu->index ? CONFIG_PARTITIONS + this_cpu->index : 0;
}

void console_init(void)
{
	static const char *names[MUX_SOURCES];
	const uint16_t port = config.uart_port;

	for (uint32_t i = 0; i < MUX_SOURCES; i++)
		names[i] = i > 0 && i <= CONFIG_PARTITIONS ? config.partitions[i - 1].name : "core";
	mux_init(&mux, names, MUX_SOURCES);
	mux.keyboards = CONFIG_PARTITIONS;
	if (!port)
		return;
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, 0x80); /* divisor 1: 115200 baud */
	outb(port + UART_DATA, 1);
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, 3); /* 8 bits, no parity, one stop bit */
	outb(port + UART_FCR, 7); /* FIFOs on and empty */
	outb(port + UART_MCR, 3); /* DTR, RTS */
}

/*
 * A ring has one producer and one reader at a time. Where a partition has several vCPUs, the second to come is refused as if
 * the ring were full, or empty: no CPU waits for another.
 */
#define SHARED_RINGS (CONFIG_VCPUS + CONFIG_COMPANIONS > CONFIG_PARTITIONS)
static uint8_t ring_busy[CONFIG_PARTITIONS];

static int enter_ring(uint16_t partition)
{
	return !SHARED_RINGS || !__atomic_exchange_n(&ring_busy[partition], 1, __ATOMIC_ACQUIRE);
}

static void leave_ring(uint16_t partition)
{
	if (SHARED_RINGS)
		__atomic_store_n(&ring_busy[partition], 0, __ATOMIC_RELEASE);
}

int console_put(uint16_t partition, uint8_t byte)
{
	int taken;

	if (!enter_ring(partition))
		return 0;
	taken = mux_put(&mux, partition + 1u, byte);
	leave_ring(partition);
	return taken;
}

uint32_t console_room(uint16_t partition)
{
	return (uint32_t)mux_space(&mux, partition + 1u);
}

int console_get(uint16_t partition)
{
	int byte;

	if (!enter_ring(partition))
		return -1;
	byte = mux_get_input(&mux, partition + 1u);
	leave_ring(partition);
	return byte;
}

static int transmitter_ready(void)
{
	return !config.uart_port || inb(config.uart_port + UART_LSR) & LSR_TRANSMITTER_HOLDING_EMPTY;
}

static void transmit(uint8_t byte)
{
	if (config.uart_port)
		outb(config.uart_port + UART_DATA, byte);
	if (config.debug_port)
		outb(config.debug_port, byte);
}

/* Room for one more, or 0. */
static struct message *next_message(void)
{
	struct noted *n = &this_cpu->noted;

	if (n->tail - n->head != NOTED_MESSAGES)
		return &n->message[n->tail++ % NOTED_MESSAGES];
	n->lost++;
	return 0;
}

static void note_arguments(const char *format, va_list arguments)
{
	struct message *m = next_message();

	if (m)
		message_make(m, format, arguments);
}

void print_words(const char *format, const uint64_t argument[MESSAGE_ARGUMENTS])
{
	struct message *m = next_message();

	if (!m)
		return;
	m->format = format;
	for (uint32_t i = 0; i < MESSAGE_ARGUMENTS; i++)
		m->argument[i] = argument[i];
}

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note_arguments(format, arguments);
	va_end(arguments);
}

/* A step of what this CPU has noted: returns 0 if it has noted nothing. */
static int put_noted(void)
{
	struct noted *n = &this_cpu->noted;

	if (n->head == n->tail)
		return 0;
	if (!n->reading)
		message_begin(&n->reader, &n->message[n->head % NOTED_MESSAGES]);
	n->reading = 1;
	for (uint32_t i = 0; i < MESSAGE_STEP && mux_space(&mux, core_source()); i++) {
		const char c = message_next(&n->reader);

		if (!c) {
			n->reading = 0;
			n->head++;
			break;
		}
		mux_put(&mux, core_source(), (uint8_t)c);
	}
	if (n->head == n->tail && n->lost) {
		note("%u messages of CPU %u are lost: too many at once\n", n->lost, this_cpu->index);
		n->lost = 0;
	}
	return 1;
}

int console_pump(void)
{
	int byte = -1, left = 1, status;

	if (put_noted() || __atomic_exchange_n(&pump_busy, 1, __ATOMIC_ACQUIRE))
		return 1;
	for (uint32_t i = 0; config.uart_port && i < UART_FIFO && inb(config.uart_port + UART_LSR) & LSR_DATA_READY;
	     i++)
		mux_input(&mux, inb(config.uart_port + UART_DATA));
	if (transmitter_ready()) {
		for (uint32_t i = 0; i < UART_BURST && (byte = mux_next_output(&mux)) >= 0; i++)
			transmit((uint8_t)byte);
		left = byte >= 0;
	}
	status = mux.status_wanted;
	mux.status_wanted = 0;
	__atomic_store_n(&pump_busy, 0, __ATOMIC_RELEASE);
	if (status)
		attention_status();
	return left;
}

void console_flush(void)
{
	for (uint32_t i = 0; i < FLUSH_POLLS && console_pump(); i++)
		pause();
}

void console_raw(char byte)
{
	for (uint32_t i = 0; i < RAW_POLLS && !transmitter_ready(); i++)
		pause();
	transmit((uint8_t)byte);
}

static void put_core(char byte)
{
	for (uint32_t i = 0; i < FLUSH_POLLS && !mux_put(&mux, core_source(), (uint8_t)byte); i++)
		console_pump();
}

/* Before partitions run there is time for it. */
static void print_now(const struct message *m)
{
	struct message_reader r;

	message_begin(&r, m);
	for (char c = message_next(&r); c; c = message_next(&r))
		put_core(c);
	console_flush();
}

void print(const char *format, ...)
{
	struct message m;
	va_list arguments;

	va_start(arguments, format);
	if (this_cpu->running)
		note_arguments(format, arguments);
	else
		message_make(&m, format, arguments);
	va_end(arguments);
	if (!this_cpu->running)
		print_now(&m);
}

void print_raw(const char *format, va_list arguments)
{
	struct message m;
	struct message_reader r;

	message_make(&m, format, arguments);
	message_begin(&r, &m);
	for (char c = message_next(&r); c; c = message_next(&r))
		console_raw(c);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A 16550A as far as drivers look: the transmitter is the partition's console ring, the receiver its keyboard. Its interrupt
 * line goes to the partition's I/O APIC; where there is none, drivers poll. Registers as in the 16550D data sheet.
 *
 * There is one a partition, also where its vCPUs run on several CPUs. Those must take turns, as with a real one; if they do
 * not, they see mixed registers and lose characters of their own.
 */
#include "core/console.h"
#include "exit.h"
#include "pins.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };
#define LCR_DIVISOR_ACCESS 0x80
#define LSR_DATA_READY 0x01
#define LSR_TRANSMITTER_EMPTY 0x60
#define MCR_OUT2 0x08 /* on a PC it connects the interrupt line */
#define MCR_LOOP 0x10
#define FCR_ENABLE 0x01
#define IER_RECEIVED 0x01
#define IER_TRANSMITTER_EMPTY 0x02
#define IIR_NONE 0x01
#define IIR_TRANSMITTER_EMPTY 0x02
#define IIR_RECEIVED 0x04
#define IIR_FIFOS 0xc0

static struct uart {
	uint8_t ier, lcr, mcr, scratch, divisor_low, divisor_high, fcr;
	int16_t received; /* byte waiting in the receiver, or -1 */
} uarts[CONFIG_PARTITIONS];

void uart_init(uint16_t partition)
{
	uarts[partition] = (struct uart){ .received = -1 };
}

static int poll_input(uint16_t partition)
{
	struct uart *u = &uarts[partition];

	if (u->received < 0)
		u->received = (int16_t)console_get(partition);
	return u->received >= 0;
}

/* In loop mode the four outputs come back as inputs; otherwise the line is always up (CTS, DSR, DCD). */
static uint8_t modem_status(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return 0xb0;
	return (uint8_t)((u->mcr & 0x02) << 3 | (u->mcr & 0x01) << 5 | (u->mcr & 0x04) << 4 | (u->mcr & 0x08) << 4);
}

/* What would interrupt: drivers that poll ask here what there is to do. */
static uint8_t interrupt_identification(uint16_t partition)
{
	const struct uart *u = &uarts[partition];
	const uint8_t fifos = u->fcr & FCR_ENABLE ? IIR_FIFOS : 0;

	if (u->ier & IER_RECEIVED && poll_input(partition))
		return fifos | IIR_RECEIVED;
	if (u->ier & IER_TRANSMITTER_EMPTY && console_room(partition))
		return fifos | IIR_TRANSMITTER_EMPTY;
	return fifos | IIR_NONE;
}

int uart_interrupts(uint16_t partition)
{
	return uarts[partition].mcr & MCR_OUT2 && (interrupt_identification(partition) & ~IIR_FIFOS) != IIR_NONE;
}

uint8_t uart_read(uint16_t partition, uint32_t reg)
{
	struct uart *u = &uarts[partition];
	uint8_t value = 0;

	switch (reg) {
	case RBR_THR:
		if (u->lcr & LCR_DIVISOR_ACCESS)
			return u->divisor_low;
		if (poll_input(partition))
			value = (uint8_t)u->received;
		u->received = -1;
		return value;
	case IER:
		return u->lcr & LCR_DIVISOR_ACCESS ? u->divisor_high : u->ier;
	case IIR_FCR:
		console_pump();
		return interrupt_identification(partition);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		console_pump();
		value = poll_input(partition) ? LSR_DATA_READY : 0;
		return console_room(partition) ? value | LSR_TRANSMITTER_EMPTY : value;
	case MSR:
		return modem_status(u);
	default:
		return u->scratch;
	}
}

void uart_write(struct vcpu *vcpu, uint32_t reg, uint8_t value)
{
	struct uart *u = &uarts[vcpu->partition_index];

	switch (reg) {
	case RBR_THR:
		if (u->lcr & LCR_DIVISOR_ACCESS)
			u->divisor_low = value;
		else if (u->mcr & MCR_LOOP)
			u->received = value;
		else
			console_put(vcpu->partition_index, value);
		if (!(u->lcr & LCR_DIVISOR_ACCESS))
			console_follow_up(vcpu);
		break;
	case IER:
		if (u->lcr & LCR_DIVISOR_ACCESS)
			u->divisor_high = value;
		else
			u->ier = value & 0x0f;
		if (CONFIG_IOAPICS && vcpu->partition->ioapic && uart_interrupts(vcpu->partition_index))
			pins_pulse(vcpu->partition, UART_PIN);
		break;
	case IIR_FCR:
		u->fcr = value;
		break;
	case LCR:
		u->lcr = value;
		break;
	case MCR:
		u->mcr = value & 0x1f;
		break;
	case SCR:
		u->scratch = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

// SPDX-License-Identifier: Apache-2.0
/* PCI Local Bus Specification 3.0, 3.2.2.3.2 (CF8h) and chapter 6 (header type 0). QEMU, docs/specs/ivshmem-spec. */
#include "pci.h"

#define ENABLE 0x80000000u
#define CONFIG_ADDRESS 0xcf8u

#define COMMAND 1u           /* words of the header: command and status */
#define COMMAND_KEPT 0x0547u /* I/O, memory, bus master, parity, SERR, INTx disable */
#define COMMAND_INTX_DISABLE 0x0400u
#define STATUS_INTERRUPT (1u << 19)
#define BAR0 4u
#define BAR2 6u
#define LINE 15u /* interrupt line and pin */

#define BAR_64_PREFETCHABLE 0xcu

void ivshmem_reset(struct ivshmem *d, uint32_t bar0, uint64_t bar2, uint32_t size2)
{
	*d = (struct ivshmem){ .size0 = IVSHMEM_REGISTERS, .size2 = size2 };
	d->header[0][0] = 0x00081b36; /* QEMU's host bridge */
	d->header[0][2] = 0x06000000;
	d->header[1][0] = IVSHMEM_DEVICE << 16 | IVSHMEM_VENDOR;
	d->header[1][COMMAND] = 0x0002;
	d->header[1][2] = 0x05000000; /* memory; revision 0 */
	d->header[1][BAR0] = bar0;
	d->header[1][BAR2] = (uint32_t)bar2 | BAR_64_PREFETCHABLE;
	d->header[1][BAR2 + 1] = (uint32_t)(bar2 >> 32);
	d->header[1][11] = 0x11001af4;
	d->header[1][LINE] = 0x0100; /* INTA */
}

/* The word of configuration space that CF8h selects: 0 if there is none. */
static uint32_t *selected(const struct ivshmem *d)
{
	const uint32_t function = d->address >> 8 & 0xffff, word = d->address >> 2 & 0x3f;

	if (!(d->address & ENABLE) || (function != 0 && function != 1u << 3) || word >= PCI_HEADER_WORDS)
		return 0;
	return (uint32_t *)&d->header[function >> 3][word];
}

static bool is_there(const struct ivshmem *d)
{
	const uint32_t function = d->address >> 8 & 0xffff;

	return d->address & ENABLE && (function == 0 || function == 1u << 3);
}

static uint32_t ones(unsigned size)
{
	return 0xffffffffu >> (32 - 8 * size);
}

uint32_t ivshmem_in(const struct ivshmem *d, uint16_t port, unsigned size)
{
	const unsigned shift = (port & 3u) * 8;
	uint32_t value = d->address;

	if (port >= CONFIG_ADDRESS + 4) {
		const uint32_t *word = selected(d);
		value = word ? *word : is_there(d) ? 0 : 0xffffffff;
		if (word == &d->header[1][COMMAND] && d->status & d->mask & 1)
			value |= STATUS_INTERRUPT;
	}
	return value >> shift & ones(size);
}

/* Bits that software can change. BARs are fixed: they show their sizes to who asks, and are where they were afterwards. */
static void write_word(struct ivshmem *d, uint32_t *word, uint32_t value)
{
	if (word == &d->header[1][COMMAND])
		*word = value & COMMAND_KEPT;
	else if (word == &d->header[1][LINE])
		*word = (*word & ~0xffu) | (value & 0xff);
}

/* The address of a BAR changes nothing but what is read back: no memory moves. */
static void write_bar(struct ivshmem *d, uint32_t *word, uint32_t value)
{
	if (word == &d->header[1][BAR0])
		*word = value & ~(d->size0 - 1);
	else if (word == &d->header[1][BAR2])
		*word = (value & ~(d->size2 - 1)) | BAR_64_PREFETCHABLE;
	else if (word == &d->header[1][BAR2 + 1])
		*word = value;
}

void ivshmem_out(struct ivshmem *d, uint16_t port, unsigned size, uint32_t value)
{
	const unsigned shift = (port & 3u) * 8;
	const uint32_t mask = ones(size) << shift;
	uint32_t *word;

	value <<= shift;
	if (port < CONFIG_ADDRESS + 4) {
		if (size == 4 && port == CONFIG_ADDRESS) /* other widths are no access to it */
			d->address = value & 0x80fffffc;
		return;
	}
	word = selected(d);
	if (!word)
		return;
	write_word(d, word, (*word & ~mask) | (value & mask));
	write_bar(d, word, (*word & ~mask) | (value & mask));
}

uint32_t ivshmem_read(struct ivshmem *d, uint32_t offset, unsigned size)
{
	uint32_t value = 0;

	if (size != 4)
		return 0;
	switch (offset) {
	case IVSHMEM_INTR_MASK:
		return d->mask;
	case IVSHMEM_INTR_STATUS:
		value = d->status;
		d->status = 0;
		return value;
	case IVSHMEM_IV_POSITION:
		return d->position;
	default:
		return 0;
	}
}

uint32_t ivshmem_write(struct ivshmem *d, uint32_t offset, unsigned size, uint32_t value)
{
	if (size != 4)
		return PCI_NOBODY;
	if (offset == IVSHMEM_INTR_MASK)
		d->mask = value;
	else if (offset == IVSHMEM_INTR_STATUS)
		d->status = value;
	else if (offset == IVSHMEM_DOORBELL)
		return value >> 16;
	return PCI_NOBODY;
}

void ivshmem_rung(struct ivshmem *d)
{
	d->status = 1;
}

bool ivshmem_inta(const struct ivshmem *d)
{
	return d->status & d->mask & 1 && !(d->header[1][COMMAND] & COMMAND_INTX_DISABLE);
}

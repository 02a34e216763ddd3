// SPDX-License-Identifier: Apache-2.0
#include "ioapic.h"

#define ID_BITS 0x0f000000u
#define WRITABLE \
	(0x1a000u | 0xfffu) /* vector, mode, destination mode, polarity, trigger, mask; not the two status bits */
#define VERSION ((IOAPIC_PINS - 1) << 16 | 0x11u) /* without an EOI register */

_Static_assert(IOAPIC_PINS <= 32, "one bit a pin");

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

void ioapic_reset(struct ioapic *io)
{
	*io = (struct ioapic){ 0 };
	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++)
		io->low[pin] = IOAPIC_MASKED;
}

/* Claims remote IRR for each pin that it returns, so that of two CPUs one delivers. */
uint32_t ioapic_due(struct ioapic *io, uint32_t pins)
{
	uint32_t due = 0;

	for (pins &= load(&io->asserted); pins; pins &= pins - 1) {
		const uint32_t low = load(&io->low[__builtin_ctz(pins)]), bit = pins & -pins;

		if (low & IOAPIC_LEVEL && !(low & IOAPIC_MASKED) &&
		    !(__atomic_fetch_or(&io->remote, bit, __ATOMIC_SEQ_CST) & bit))
			due |= bit;
	}
	return due;
}

int ioapic_raise(struct ioapic *io, uint32_t pin)
{
	const uint32_t bit = 1u << pin, was = __atomic_fetch_or(&io->asserted, bit, __ATOMIC_SEQ_CST);
	const uint32_t low = load(&io->low[pin]);

	if (low & IOAPIC_LEVEL)
		return ioapic_due(io, bit) != 0;
	return !(was & bit) && !(low & IOAPIC_MASKED);
}

void ioapic_lower(struct ioapic *io, uint32_t pins)
{
	__atomic_and_fetch(&io->asserted, ~pins, __ATOMIC_SEQ_CST);
}

uint32_t ioapic_end(struct ioapic *io, uint32_t vector)
{
	uint32_t ended = 0;

	for (uint32_t pins = load(&io->remote); pins; pins &= pins - 1) {
		const uint32_t low = load(&io->low[__builtin_ctz(pins)]);

		if (low & IOAPIC_LEVEL && (low & IOAPIC_VECTOR) == vector)
			ended |= pins & -pins;
	}
	return ended & __atomic_fetch_and(&io->remote, ~ended, __ATOMIC_SEQ_CST);
}

static uint32_t read_register(const struct ioapic *io, uint32_t index)
{
	const uint32_t pin = (index - IOAPIC_ENTRIES) / 2;

	if (index == IOAPIC_ID)
		return load(&io->id);
	if (index == IOAPIC_VERSION)
		return VERSION;
	if (index < IOAPIC_ENTRIES || pin >= IOAPIC_PINS)
		return 0;
	if (index & 1)
		return load(&io->high[pin]);
	return load(&io->low[pin]) | (load(&io->remote) >> pin & 1 ? IOAPIC_REMOTE_IRR : 0);
}

static uint32_t write_low(struct ioapic *io, uint32_t pin, uint32_t value)
{
	__atomic_store_n(&io->low[pin], value & WRITABLE, __ATOMIC_SEQ_CST);
	if (!(value & IOAPIC_LEVEL)) /* an edge has none: how software ends a level without an EOI */
		__atomic_and_fetch(&io->remote, ~(1u << pin), __ATOMIC_SEQ_CST);
	return ioapic_due(io, 1u << pin);
}

uint32_t ioapic_read(const struct ioapic *io, uint32_t offset)
{
	if (offset == IOAPIC_INDEX)
		return load(&io->index);
	return offset == IOAPIC_DATA ? read_register(io, load(&io->index)) : 0;
}

uint32_t ioapic_write(struct ioapic *io, uint32_t offset, uint32_t value)
{
	const uint32_t index = load(&io->index), pin = (index - IOAPIC_ENTRIES) / 2;

	if (offset == IOAPIC_INDEX)
		__atomic_store_n(&io->index, value & 0xff, __ATOMIC_SEQ_CST);
	if (offset != IOAPIC_DATA)
		return 0;
	if (index == IOAPIC_ID)
		__atomic_store_n(&io->id, value & ID_BITS, __ATOMIC_SEQ_CST);
	if (index < IOAPIC_ENTRIES || pin >= IOAPIC_PINS)
		return 0;
	if (!(index & 1))
		return write_low(io, pin, value);
	__atomic_store_n(&io->high[pin], value & 0xff000000, __ATOMIC_SEQ_CST);
	return 0;
}

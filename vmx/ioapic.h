// SPDX-License-Identifier: Apache-2.0
/*
 * A virtual I/O APIC: registers, redirection entries, which inputs are to be delivered (82093AA data sheet; Intel PCH data sheets). Pure logic.
 * All CPUs of a partition may call at once: what they share is single words, changed by atomic operations.
 */
#ifndef VMX_IOAPIC_H
#define VMX_IOAPIC_H

#include <stdint.h>

#include "config/config.h"

/* Low half of a redirection entry. */
#define IOAPIC_VECTOR 0xffu
#define IOAPIC_MODE(low) ((low) >> 8 & 7) /* 0 fixed, 1 lowest priority; the others are not delivered */
#define IOAPIC_LOGICAL (1u << 11)
#define IOAPIC_ACTIVE_LOW (1u << 13)
#define IOAPIC_REMOTE_IRR (1u << 14)
#define IOAPIC_LEVEL (1u << 15)
#define IOAPIC_MASKED (1u << 16)

/* Registers in the page, and behind the index. */
#define IOAPIC_INDEX 0x00u
#define IOAPIC_DATA 0x10u
#define IOAPIC_ID 0x00u
#define IOAPIC_VERSION 0x01u
#define IOAPIC_ENTRIES 0x10u

struct ioapic {
	uint32_t index, id;
	uint32_t low[IOAPIC_PINS], high[IOAPIC_PINS]; /* redirection entries, without remote IRR */
	uint32_t asserted;                            /* a bit a pin: the input is active */
	uint32_t remote; /* a bit a pin: a level-triggered interrupt was delivered and has not been ended */
};

void ioapic_reset(struct ioapic *io);

/* Registers by their offset in the page. A write returns the pins whose interrupts are to be delivered now: a bit a pin. */
uint32_t ioapic_read(const struct ioapic *io, uint32_t offset);
uint32_t ioapic_write(struct ioapic *io, uint32_t offset, uint32_t value);

/* The input becomes active. Returns 1 if its interrupt is to be delivered now. */
int ioapic_raise(struct ioapic *io, uint32_t pin);

/* The inputs of these pins become inactive. */
void ioapic_lower(struct ioapic *io, uint32_t pins);

/* End of interrupt of a level-triggered `vector`: returns the pins that waited for it. Those that are still active are delivered again
 * by ioapic_due(). */
uint32_t ioapic_end(struct ioapic *io, uint32_t vector);

/* Of these pins, those whose level-triggered interrupts are to be delivered now. */
uint32_t ioapic_due(struct ioapic *io, uint32_t pins);

#endif

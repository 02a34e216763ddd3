/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function-level reset of a PCI function (PCI Express 5.0, 6.6.2; Advanced Features capability, PCI ECN of 2006), in steps of a few accesses
 * to its configuration space. Pure logic but for pci_read() and pci_write() (vtd/pci.h). Times are TSC ticks, given by the caller.
 */
#ifndef CORE_FLR_H
#define CORE_FLR_H

#include <stdint.h>

#include "config/config.h"

enum flr_phase {
	FLR_NOTHING, /* none is under way, and none was */
	FLR_PENDING, /* it uses the bus no more; what it had begun ends, within 100 ms */
	FLR_RESET,   /* it resets itself: 100 ms */
	FLR_BACK,    /* it is to answer again, within a second */
	FLR_DONE,    /* ... and does, as it was found: it decodes nothing, uses no bus and does not interrupt */
	FLR_UNKNOWN, /* it knows no function-level reset; it was made quiet, and is as its last user left it */
	FLR_LOST     /* it did not come back, or not as it was */
};

struct flr {
	uint64_t due; /* end of the phase */
	uint16_t source;
	uint16_t control, start;    /* 16-bit register, and the bit of it that begins a reset; 0: there is none */
	uint16_t status;            /* 32-bit register with */
	uint32_t pending;           /* this bit: transactions are under way */
	uint8_t phase;              /* enum flr_phase */
	uint32_t bars[CONFIG_BARS]; /* as found: what a reset takes away */
};

/* It neither uses the bus, nor decodes an address, nor interrupts. */
void flr_quiet(const struct flr *f);

/* Note how the function at `source` is reset, and its BARs. Some hundred accesses: at the machine's start. */
void flr_find(struct flr *f, uint16_t source);

/* Quiet the function, and begin; `ms`: ticks of a millisecond. Then steps, each of 16 accesses at most, until flr_over(). */
void flr_begin(struct flr *f, uint64_t now, uint64_t ms);
void flr_step(struct flr *f, uint64_t now, uint64_t ms);

static inline int flr_over(const struct flr *f)
{
	return f->phase == FLR_NOTHING || f->phase >= FLR_DONE;
}

#endif

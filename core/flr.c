// SPDX-License-Identifier: Apache-2.0
/* See flr.h. */
#include "flr.h"

#include "vtd/pci.h"

#define PENDING_MS 100u
#define RESET_MS 100u
#define READY_MS 1000u

#define EXPRESS_CAPABILITIES 4u /* PCI Express 5.0, 7.5.3.3 to 7.5.3.5 */
#define EXPRESS_CONTROL 8u
#define EXPRESS_PENDING (1u << 21) /* of the word at EXPRESS_CONTROL, whose upper half is the status */
#define EXPRESS_START (1u << 15)
#define AF_TP_FLR (3u << 24) /* in the capability's first word */
#define AF_CONTROL 4u
#define AF_START 1u
#define AF_PENDING (1u << 8) /* of the word at AF_CONTROL */
#define NOT_READY 1u /* what a function reads as its vendor while it is not (2.3.1, configuration request retry) */

static uint32_t read(const struct flr *f, uint32_t offset)
{
	return pci_read(0, 0, f->source, offset);
}

void flr_quiet(const struct flr *f)
{
	pci_write16(0, f->source, PCI_COMMAND, PCI_COMMAND_NO_INTERRUPT);
}

void flr_find(struct flr *f, uint16_t source)
{
	const uint32_t express = pci_capability(0, source, PCI_CAPABILITY_EXPRESS);
	const uint32_t af = pci_capability(0, source, PCI_CAPABILITY_AF);

	*f = (struct flr){ .source = source };
	for (uint32_t i = 0; i < CONFIG_BARS; i++)
		f->bars[i] = read(f, PCI_BARS + 4 * i);
	if (express && read(f, express + EXPRESS_CAPABILITIES) & PCI_EXPRESS_FLR) {
		f->control = f->status = (uint16_t)(express + EXPRESS_CONTROL);
		f->start = EXPRESS_START;
		f->pending = EXPRESS_PENDING;
	} else if (af && (read(f, af) & AF_TP_FLR) == AF_TP_FLR) {
		f->control = f->status = (uint16_t)(af + AF_CONTROL);
		f->start = AF_START;
		f->pending = AF_PENDING;
	}
}

static void enter(struct flr *f, enum flr_phase phase, uint64_t due)
{
	f->phase = (uint8_t)phase;
	f->due = due;
}

void flr_begin(struct flr *f, uint64_t now, uint64_t ms)
{
	flr_quiet(f);
	enter(f, FLR_PENDING, now + PENDING_MS * ms);
}

/* The reset ends whatever is under way after that time. */
static void await_end(struct flr *f, uint64_t now, uint64_t ms)
{
	if (now < f->due && (!f->control || read(f, f->status) & f->pending))
		return;
	if (!f->control) {
		enter(f, FLR_UNKNOWN, 0);
		return;
	}
	pci_write16(0, f->source, f->control, (uint16_t)(read(f, f->control) | f->start));
	enter(f, FLR_RESET, now + RESET_MS * ms);
}

static void await_answer(struct flr *f, uint64_t now)
{
	const uint16_t vendor = (uint16_t)read(f, 0);
	int same = 1;

	if (vendor == UINT16_MAX || vendor == NOT_READY) {
		if (now >= f->due)
			enter(f, FLR_LOST, 0);
		return;
	}
	flr_quiet(f);
	for (uint32_t i = 0; i < CONFIG_BARS; i++) {
		pci_write32(0, f->source, PCI_BARS + 4 * i, f->bars[i]);
		same &= read(f, PCI_BARS + 4 * i) == f->bars[i];
	}
	enter(f, same ? FLR_DONE : FLR_LOST, 0);
}

void flr_step(struct flr *f, uint64_t now, uint64_t ms)
{
	if (f->phase == FLR_PENDING)
		await_end(f, now, ms);
	else if (f->phase == FLR_RESET && now >= f->due)
		enter(f, FLR_BACK, now + READY_MS * ms);
	else if (f->phase == FLR_BACK)
		await_answer(f, now);
}

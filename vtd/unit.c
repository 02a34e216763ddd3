// SPDX-License-Identifier: Apache-2.0
/* See unit.h. Sections are those of the VT-d specification 4.1. */
#include "vtd/unit.h"

#include "config/config.h"
#include "core/core.h"
#include "core/panic.h"
#include "core/window.h"
#include "core/x86.h"

#define MSI_ADDRESS 0xfee00000u
#define MSI_NMI (4u << 8)
#define RECORD_BYTES 16u

static volatile uint32_t *at(const struct unit *u, uint32_t offset)
{
	return (volatile uint32_t *)window_device(1, u->registers + offset);
}

static uint32_t read32(const struct unit *u, uint32_t offset)
{
	return *at(u, offset);
}

static void write32(const struct unit *u, uint32_t offset, uint32_t value)
{
	*at(u, offset) = value;
}

static uint64_t read64(const struct unit *u, uint32_t offset)
{
	return *(volatile uint64_t *)at(u, offset);
}

static void write64(const struct unit *u, uint32_t offset, uint64_t value)
{
	*(volatile uint64_t *)at(u, offset) = value;
}

static _Noreturn void fail(const struct unit *u, const char *what)
{
	refuse("the remapping unit at %lx does not %s: status %x, faults %x", u->registers, what, read32(u, VTD_GSTS),
	       read32(u, VTD_FSTS));
}

static void wait_for(const struct unit *u, uint32_t offset, uint32_t mask, uint32_t want, const char *what)
{
	const uint64_t end = rdtsc() + UNIT_WAIT_MS * tsc_khz;

	while ((read32(u, offset) & mask) != want) {
		if (rdtsc() > end)
			fail(u, what);
		pause();
	}
}

/* One command at a time, beside what is on (11.4.4.1). */
static void command(const struct unit *u, uint32_t bit, int on, const char *what)
{
	const uint32_t lasting = read32(u, VTD_GSTS) & VTD_LASTING & ~bit;

	write32(u, VTD_GCMD, lasting | (on ? bit : 0));
	wait_for(u, VTD_GSTS, bit, on && bit != VTD_WBF ? bit : 0, what);
}

const char *unit_probe(struct unit *u)
{
	if (mtrr_is_write_back(u->registers, PAGE_SIZE))
		return "its registers are memory: a fault of the firmware";
	u->cap = read64(u, VTD_CAP);
	u->ecap = read64(u, VTD_ECAP);
	if (u->cap == UINT64_MAX || !u->cap || !(read32(u, VTD_VER) & 0xff))
		return "its registers do not answer";
	return 0;
}

static void submit(struct unit *u, uint64_t low, uint64_t high)
{
	u->queue[2 * u->tail] = low;
	u->queue[2 * u->tail + 1] = high;
	u->tail = (u->tail + 1) % VTD_QUEUE_ENTRIES;
}

/* 6.5.2: the wait comes last, and its write after all before it are done. The queue itself is always read coherently. */
void unit_invalidate(struct unit *u)
{
	const uint64_t end = rdtsc() + UNIT_WAIT_MS * tsc_khz;

	if (u->cap & VTD_CAP_RWBF)
		command(u, VTD_WBF, 1, "flush its write buffer");
	*u->done = 0;
	submit(u, VTD_INVALIDATE_CONTEXT, 0);
	submit(u, VTD_INVALIDATE_IOTLB, 0);
	submit(u, VTD_INVALIDATE_INTERRUPTS, 0);
	submit(u, VTD_INVALIDATE_WAIT, u->done_at);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	write64(u, VTD_IQT, (uint64_t)u->tail << 4);
	while (!*u->done) {
		if (rdtsc() > end || read32(u, VTD_FSTS) & VTD_FSTS_QUEUE)
			fail(u, "invalidate what it has cached");
		pause();
	}
}

/* A queue that the firmware has left on is emptied first (6.5.2); our own begins at its first entry. */
static void open_queue(struct unit *u)
{
	if (read32(u, VTD_GSTS) & VTD_QIE) {
		wait_for(u, VTD_IQH, 0x7fff0, read32(u, VTD_IQT) & 0x7fff0, "empty the queue it was left with");
		command(u, VTD_QIE, 0, "switch off the queue it was left with");
	}
	write64(u, VTD_IQT, 0);
	write64(u, VTD_IQA, u->queue_at);
	u->tail = 0;
	command(u, VTD_QIE, 1, "take the invalidation queue");
}

static uint32_t record_at(const struct unit *u, uint32_t index)
{
	return (uint32_t)(u->cap >> 24 & 0x3ff) * 16 + index * RECORD_BYTES;
}

static void drop_faults(const struct unit *u)
{
	for (uint32_t i = 0; i <= (u->cap >> 40 & 0xff); i++)
		write32(u, record_at(u, i) + 12, 1u << 31);
	write32(u, VTD_FSTS, VTD_FSTS_CLEAR);
}

/*
 * The root table is replaced while translation goes on, if it does (11.4.5): the new one blocks, and what is cached of the old one goes before
 * the next step. Only a table of another mode must not be replaced so, and bus mastering is off by then. The firmware's protected regions go last.
 */
void unit_enable(struct unit *u)
{
	write32(u, VTD_FECTL, VTD_FECTL_MASKED);
	drop_faults(u);
	open_queue(u);
	if (read32(u, VTD_GSTS) & VTD_TE && read64(u, VTD_RTADDR) & 0xc00)
		command(u, VTD_TE, 0, "switch off the translation it was left with");
	write64(u, VTD_RTADDR, u->root);
	command(u, VTD_SRTP, 1, "take the root table");
	write64(u, VTD_IRTA, u->interrupts);
	command(u, VTD_SIRTP, 1, "take the interrupt remapping table");
	unit_invalidate(u);
	command(u, VTD_IRE, 1, "switch interrupt remapping on");
	command(u, VTD_TE, 1, "switch translation on");
	if (u->cap & VTD_CAP_PROTECTED && read32(u, VTD_PMEN) & VTD_PMEN_ON) {
		write32(u, VTD_PMEN, 0);
		wait_for(u, VTD_PMEN, VTD_PMEN_STATUS, 0, "give up its protected memory regions");
	}
}

/* 11.4.9 and following: the unit's own interrupts are not remapped. NMI, since a guest may own all others of this CPU. */
void unit_signal_faults(const struct unit *u, uint32_t apic_id)
{
	write32(u, VTD_FEDATA, MSI_NMI);
	write32(u, VTD_FEADDR, MSI_ADDRESS | (apic_id & 0xff) << 12);
	write32(u, VTD_FEUADDR, apic_id & ~0xffu);
	write32(u, VTD_FECTL, 0);
}

void unit_mask_faults(const struct unit *u, int masked)
{
	write32(u, VTD_FECTL, masked ? VTD_FECTL_MASKED : 0);
}

int unit_take_fault(const struct unit *u, struct vtd_fault *fault)
{
	const uint32_t status = read32(u, VTD_FSTS);

	if (!(status & VTD_FSTS_PPF))
		return 0;
	const uint32_t record = record_at(u, status >> 8 & 0xff);
	const int there = vtd_fault_decode(fault, read64(u, record), read64(u, record + 8));

	write32(u, record + 12, 1u << 31); /* it is free again */
	write32(u, VTD_FSTS, 1);           /* and so is the note that some were lost */
	return there;
}

int unit_intact(const struct unit *u)
{
	return (read32(u, VTD_GSTS) & VTD_LASTING) == VTD_LASTING && read64(u, VTD_RTADDR) == u->root &&
	       read64(u, VTD_IRTA) == u->interrupts;
}

// SPDX-License-Identifier: Apache-2.0
/* Function-level reset (core/flr.c) of functions made up here: one that resets as the specification says, and what can go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/flr.h"
#include "vtd/pci.h"

#define MS 1000ull /* ticks of a millisecond here */
#define SOURCE 0x0310u
#define CAPABILITY 0x70u
#define BAR 0x80000008u

enum kind { NONE, EXPRESS, AF };

/* The function. Times are ticks: how long it still has transactions, how long it resets itself; both counted from when they begin. */
static struct {
	union {
		uint8_t byte[256];
		uint32_t word[64];
	} space;
	enum kind kind;
	uint64_t now, busy_until, back_at, reset_takes;
	uint32_t resets, accesses, vendor_meanwhile, bar_mask;
	uint16_t command_at_reset;
} x;

static int away(void)
{
	return x.now < x.back_at;
}

uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	(void)context;
	assert_true(segment == 0 && source == SOURCE && offset < 256 && offset % 4 == 0);
	x.accesses++;
	if (away())
		return offset ? UINT32_MAX : x.vendor_meanwhile;
	if (x.now < x.busy_until && x.kind == EXPRESS && offset == CAPABILITY + 8)
		return x.space.word[offset / 4] | 1u << 21;
	if (x.now < x.busy_until && x.kind == AF && offset == CAPABILITY + 4)
		return x.space.word[offset / 4] | 1u << 8;
	return x.space.word[offset / 4];
}

static void reset(void)
{
	x.resets++;
	memcpy(&x.command_at_reset, &x.space.byte[PCI_COMMAND], 2);
	memset(&x.space.byte[PCI_BARS], 0, 24);
	memset(&x.space.byte[PCI_COMMAND], 0, 2);
	x.back_at = x.now + x.reset_takes;
}

void pci_write16(uint16_t segment, uint16_t source, uint32_t offset, uint16_t value)
{
	assert_true(segment == 0 && source == SOURCE && offset % 2 == 0);
	assert_true(offset == PCI_COMMAND || (offset == CAPABILITY + 8 && x.kind == EXPRESS) ||
	            (offset == CAPABILITY + 4 && x.kind == AF));
	x.accesses++;
	if (away())
		return;
	if (offset == PCI_COMMAND)
		memcpy(&x.space.byte[offset], &value, 2);
	else if (value & (x.kind == EXPRESS ? 0x8000 : 1))
		reset();
}

void pci_write32(uint16_t segment, uint16_t source, uint32_t offset, uint32_t value)
{
	assert_true(segment == 0 && source == SOURCE && offset >= PCI_BARS && offset < PCI_BARS + 24);
	x.accesses++;
	if (!away())
		x.space.word[offset / 4] = value & x.bar_mask;
}

static struct flr make(enum kind kind)
{
	struct flr f;

	memset(&x, 0, sizeof x);
	x.kind = kind;
	x.vendor_meanwhile = UINT32_MAX;
	x.bar_mask = UINT32_MAX;
	x.space.word[0] = 0x12348086;
	x.space.word[1] = PCI_STATUS_CAPABILITIES | 0x0407;
	x.space.word[4] = BAR;
	x.space.word[5] = 0x60;
	x.space.word[13] = CAPABILITY;
	x.space.word[CAPABILITY / 4] = kind == EXPRESS ? 0x00020010 : kind == AF ? 0x03060013 : 0x00000001;
	x.space.word[CAPABILITY / 4 + 1] = kind == EXPRESS ? PCI_EXPRESS_FLR : 0;
	x.space.word[CAPABILITY / 4 + 2] = 0x2810;
	x.reset_takes = 50 * MS;
	flr_find(&f, SOURCE);
	assert_true(flr_over(&f)); /* nothing is under way */
	assert_int_equal(x.resets, 0);
	return f;
}

/* Steps until it is over, each of 16 accesses at most; returns the milliseconds. */
static uint64_t run(struct flr *f)
{
	const uint64_t begun = x.now;

	flr_begin(f, x.now, MS);
	assert_int_equal(x.space.word[1] & 0xffff,
	                 PCI_COMMAND_NO_INTERRUPT); /* it uses the bus no more from the first moment on */
	for (; !flr_over(f); x.now += MS / 10) {
		x.accesses = 0;
		flr_step(f, x.now, MS);
		assert_true(x.accesses <= 16);
		assert_true(x.now - begun < 1300 * MS);
	}
	return (x.now - begun) / MS;
}

static void good(enum kind kind)
{
	struct flr f = make(kind);
	const uint64_t ms = run(&f);

	assert_int_equal(f.phase, FLR_DONE);
	assert_int_equal(x.resets, 1);
	assert_true(ms >= 100 && ms < 102);
	assert_int_equal(x.command_at_reset, PCI_COMMAND_NO_INTERRUPT);
	assert_int_equal(x.space.word[1] & 0xffff, PCI_COMMAND_NO_INTERRUPT);
	assert_int_equal(x.space.word[4], BAR);
	assert_int_equal(x.space.word[5], 0x60);
	/* again, at the next restart */
	x.space.word[1] |= 7;
	run(&f);
	assert_int_equal(f.phase, FLR_DONE);
	assert_int_equal(x.resets, 2);
}

static void test_both_ways(void **state)
{
	(void)state;
	good(EXPRESS);
	good(AF);
}

/* It is not reset while it has transactions; one that never ends is, after 100 ms. */
static void test_waits_for_transactions(void **state)
{
	const enum kind kinds[] = { EXPRESS, AF };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct flr f = make(kinds[i]);

		x.busy_until = 30 * MS;
		assert_in_range(run(&f), 130, 132);
		assert_int_equal(f.phase, FLR_DONE);
		f = make(kinds[i]);
		x.busy_until = UINT64_MAX;
		assert_in_range(run(&f), 200, 202);
		assert_int_equal(f.phase, FLR_DONE);
	}
}

static void test_knows_none(void **state)
{
	struct flr f = make(NONE);

	(void)state;
	assert_in_range(run(&f), 100, 101); /* for what it had begun */
	assert_int_equal(f.phase, FLR_UNKNOWN);
	assert_int_equal(x.resets, 0);
	/* capabilities that are there, without the reset */
	f = make(EXPRESS);
	x.space.word[CAPABILITY / 4 + 1] = 0x00008fc0;
	flr_find(&f, SOURCE);
	run(&f);
	assert_int_equal(f.phase, FLR_UNKNOWN);
	f = make(AF);
	x.space.word[CAPABILITY / 4] = 0x01060013; /* it could not say when its transactions have ended */
	flr_find(&f, SOURCE);
	run(&f);
	assert_int_equal(f.phase, FLR_UNKNOWN);
	assert_int_equal(x.resets, 0);
}

static void test_late_and_lost(void **state)
{
	struct flr f = make(EXPRESS);

	(void)state;
	x.reset_takes = 900 * MS;
	x.vendor_meanwhile = 0xffff0001; /* "not ready yet" */
	assert_in_range(run(&f), 900, 902);
	assert_int_equal(f.phase, FLR_DONE);
	f = make(EXPRESS);
	x.reset_takes = UINT64_MAX / 2;
	assert_in_range(run(&f), 1100, 1102);
	assert_int_equal(f.phase, FLR_LOST);
	f = make(AF);
	x.vendor_meanwhile = 0xffff0001;
	x.reset_takes = UINT64_MAX / 2;
	run(&f);
	assert_int_equal(f.phase, FLR_LOST);
	f = make(EXPRESS); /* gone before it began */
	x.back_at = UINT64_MAX;
	flr_begin(&f, x.now, MS);
	for (; !flr_over(&f); x.now += MS)
		flr_step(&f, x.now, MS);
	assert_int_equal(f.phase, FLR_LOST);
}

static void test_other_bars(void **state)
{
	struct flr f = make(EXPRESS);

	(void)state;
	x.bar_mask = 0xfff00000; /* it came back as something else */
	run(&f);
	assert_int_equal(f.phase, FLR_LOST);
	assert_int_equal(x.space.word[1] & 0xffff, PCI_COMMAND_NO_INTERRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways),
		                            cmocka_unit_test(test_waits_for_transactions),
		                            cmocka_unit_test(test_knows_none), cmocka_unit_test(test_late_and_lost),
		                            cmocka_unit_test(test_other_bars) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

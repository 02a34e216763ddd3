// SPDX-License-Identifier: Apache-2.0
/* The parsers of DMAR and MCFG: good tables of several kinds, then each way in which firmware could get one wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vtd/dmar.h"

static uint8_t table[0x4000];
static uint32_t length;
static struct dmar dmar;
static uint32_t offset;

static void put(uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		table[length++] = (uint8_t)((i < 8 ? value >> (8 * i) : 0));
}

static void begin(void)
{
	memset(table, 0, sizeof table);
	length = 36;
	put(38, 1); /* 39 bits */
	put(DMAR_INTERRUPT_REMAPPING, 1);
	put(0, 10);
}

/* The structure at `at` is as long as what has been put since. */
static uint32_t end(uint32_t at)
{
	table[at + 2] = (uint8_t)(length - at);
	table[at + 3] = (uint8_t)((length - at) >> 8);
	return at;
}

static void scope(unsigned type, unsigned id, unsigned bus, unsigned steps, const uint8_t *path)
{
	put(type, 1);
	put(6 + 2 * steps, 1);
	put(0, 2);
	put(id, 1);
	put(bus, 1);
	for (unsigned i = 0; i < 2 * steps; i++)
		put(path[i], 1);
}

#define SCOPE(type, id, bus, ...) \
	scope(type, id, bus, sizeof((uint8_t[]){ __VA_ARGS__ }) / 2, (const uint8_t[]){ __VA_ARGS__ })

static uint32_t unit(unsigned flags, unsigned segment, uint64_t registers)
{
	const uint32_t at = length;

	put(0, 4);
	put(flags, 1);
	put(0, 1);
	put(segment, 2);
	put(registers, 8);
	return end(at);
}

static uint32_t begin_unit(void)
{
	begin();
	return unit(0, 0, 0xfed90000);
}

static uint32_t region(unsigned segment, uint64_t base, uint64_t limit)
{
	const uint32_t at = length;

	put(1, 4);
	put(0, 2);
	put(segment, 2);
	put(base, 8);
	put(limit, 8);
	return end(at);
}

/* Exactly as much as it has: what reads beyond is caught. */
static const char *parse(void)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, table, length);
	const char *wrong = dmar_parse(copy, length, &dmar, &offset);

	free(copy);
	return wrong;
}

/*
 * Configuration space: bridges 00:1c.0 (buses 1 to 3), 01:00.0 (2 to 3), 02:00.0 (3), 00:1d.0 (5 to 7); 00:1b.0 is a bridge that says
 * that bus 0 is behind it, 00:02.0 is none.
 */
static uint32_t read(void *context, uint16_t segment, uint16_t source, uint32_t at)
{
	static const struct {
		uint16_t source;
		uint32_t buses;
	} bridges[] = { { 0x1c << 3, 0x030100 },
		        { 0x100, 0x030201 },
		        { 0x200, 0x030302 },
		        { 0x1d << 3, 0x070500 },
		        { 0x1b << 3, 0x000000 } };

	assert_ptr_equal(context, &dmar);
	for (unsigned i = 0; i < sizeof bridges / sizeof *bridges && segment == 0; i++)
		if (bridges[i].source == source)
			return at == 0x0c ? 0x00810000 : at == 0x18 ? bridges[i].buses : 0x12345678;
	return source == 2 << 3 && at == 0x0c ? 0 : UINT32_MAX;
}

static const char *resolve(void)
{
	return dmar_resolve(&dmar, read, &dmar);
}

/* As on a board: graphics have a unit of their own, the last takes the rest; and structures of types that nobody knows yet. */
static void good(void)
{
	uint32_t at;

	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	end(at);
	put(0x77, 2); /* unknown */
	put(9, 2);
	put(0, 5);
	at = unit(0, 0, 0xfed92000);
	SCOPE(DMAR_BRIDGE, 0, 0, 0x1c, 0);
	SCOPE(DMAR_ENDPOINT, 0, 0, 0x1d, 0, 4, 1);
	SCOPE(DMAR_NAMESPACE, 1, 0, 0x15, 0);
	SCOPE(0x99, 1, 0, 0x16, 0);
	end(at);
	at = unit(1, 0, 0xfed91000);
	SCOPE(DMAR_IOAPIC, 2, 0xf0, 0x1f, 7);
	SCOPE(DMAR_HPET, 0, 0, 0x1f, 0);
	end(at);
	unit(1, 1, 0x3fffe0000000);
	at = region(0, 0x7d000000, 0x7dffffff);
	SCOPE(DMAR_ENDPOINT, 0, 0, 0x14, 0);
	SCOPE(DMAR_ENDPOINT, 0, 0, 0x1c, 0, 0, 0, 0, 0);
	end(at);
}

static void test_good(void **state)
{
	(void)state;
	good();
	assert_null(parse());
	assert_int_equal(dmar.unit_count, 4);
	assert_int_equal(dmar.region_count, 1);
	assert_int_equal(dmar.scope_count, 9);
	assert_int_equal(dmar.width, 39);
	assert_int_equal(dmar.flags, DMAR_INTERRUPT_REMAPPING);
	assert_true(dmar.unit[3].registers == 0x3fffe0000000 && dmar.unit[3].segment == 1 && dmar.unit[3].all);
	assert_true(dmar.region[0].base == 0x7d000000 && dmar.region[0].limit == 0x7dffffff);
	assert_int_equal(dmar.region[0].first_scope, 7);
	assert_int_equal(dmar.region[0].scope_count, 2);
	assert_null(resolve());
}

static void test_units_of_devices(void **state)
{
	(void)state;
	good();
	assert_null(parse());
	assert_null(resolve());
	assert_int_equal(dmar_unit_of(&dmar, 0, 2 << 3), 0);
	assert_int_equal(dmar_unit_of(&dmar, 0, 2 << 3 | 1), 2);    /* another function of it */
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x1c << 3), 1);     /* the bridge */
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x1c << 3 | 1), 2); /* beside it */
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x0f0), 2);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x100), 1);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x3ff), 1);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x400), 2);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x500 | 4 << 3 | 1), 1); /* named through a bridge */
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x500 | 4 << 3), 2);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x15 << 3), 2); /* a name for ACPI is none for PCI */
	assert_int_equal(dmar_unit_of(&dmar, 1, 2 << 3), 3);
	assert_int_equal(dmar_unit_of(&dmar, 2, 2 << 3), DMAR_NONE);
	assert_int_equal(dmar_region_of(&dmar, 0, 0x14 << 3), 0);
	assert_int_equal(dmar_region_of(&dmar, 0, 0x200), 0); /* through two bridges: 00:1c.0, then 01:00.0 */
	assert_int_equal(dmar_region_of(&dmar, 0, 0x300), DMAR_NONE);
	assert_int_equal(dmar_region_of(&dmar, 1, 0x14 << 3), DMAR_NONE);
	assert_int_equal(dmar.scope[dmar_ioapic(&dmar, 2)].source, 0xf0ff);
	assert_int_equal(dmar_ioapic(&dmar, 0), DMAR_NONE);
}

static void test_without_a_unit_for_all(void **state)
{
	uint32_t at;

	(void)state;
	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	end(at);
	assert_null(parse());
	assert_null(resolve());
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x10), 0);
	assert_int_equal(dmar_unit_of(&dmar, 0, 0x18), DMAR_NONE);
}

/* Paths over what is not there, or is no bridge, lead nowhere. */
static void test_paths_that_lead_nowhere(void **state)
{
	static const struct config_path lost[] = {
		{ 0, 2, { 2 << 3, 0 } }, { 0, 2, { 0x1b << 3, 0 } },       { 0, 3, { 0x1c << 3, 8, 0 } },
		{ 9, 2, { 0, 0 } },      { 0, 4, { 0x1c << 3, 0, 0, 8 } }, { 0, 2, { 0x1c << 3 | 1, 0 } },
	};
	uint16_t source;

	(void)state;
	for (unsigned i = 0; i < sizeof lost / sizeof *lost; i++)
		assert_int_equal(pci_resolve(&lost[i], 0, read, &dmar, &source), i == 4);
	assert_int_equal(source, 0x308); /* three bridges deep */
	assert_int_equal(pci_resolve(&lost[4], 1, read, &dmar, &source), 0);
}

static void expect(const char *text, uint32_t at)
{
	const char *wrong = parse();

	assert_non_null(wrong);
	assert_string_equal(wrong, text);
	assert_int_equal(offset, at);
}

static void test_lengths(void **state)
{
	static const char wrong[] = "a structure has a wrong length";
	uint32_t at;

	(void)state;
	begin();
	expect("it lists no remapping unit", 0);
	length = 47;
	expect("it is too short", 0);
	for (uint32_t bytes = 0; bytes < 16; bytes++) { /* a unit cut short, by the table's end or by its own word */
		at = begin_unit();
		table[at + 2] = (uint8_t)bytes;
		expect(wrong, at);
		at = begin_unit();
		length = at + bytes;
		if (bytes)
			expect(wrong, at);
	}
	for (uint32_t bytes = 0; bytes < 24; bytes++) {
		begin();
		unit(0, 0, 0xfed90000);
		at = region(0, 0x1000, 0x1fff);
		table[at + 2] = (uint8_t)bytes;
		expect(wrong, at);
	}
	for (uint32_t bytes = 0; bytes < 4; bytes++) { /* an unknown one */
		at = begin_unit();
		at = length;
		put(0x1234, 2);
		put(bytes, 2);
		put(0, 8);
		expect(wrong, at);
	}
	at = begin_unit();
	table[at + 3] = 0xff;
	expect(wrong, at);
}

static void test_every_cut(void **state)
{
	(void)state;
	good();
	for (uint32_t all = length, cut = 0; cut < all; cut++) {
		const uint32_t whole[] = { 48, 72, 81, 131, 163, 179 }; /* where a structure ends */
		int fits = 0;

		length = cut;
		for (unsigned i = 1; i < sizeof whole / sizeof *whole; i++)
			fits |= cut == whole[i];
		if ((parse() == NULL) != fits)
			fail_msg("cut at %u of %u", cut, all);
	}
}

static void test_scopes(void **state)
{
	static const char cut[] = "a device scope has a wrong length";
	uint32_t at, first;

	(void)state;
	for (unsigned bytes = 0; bytes < 20; bytes++) { /* what the scope says of its own length; it has 8 */
		at = begin_unit();
		first = length;
		SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
		end(at);
		table[first + 1] = (uint8_t)bytes;
		if (bytes == 8)
			assert_null(parse());
		else
			expect(cut, at);
	}
	at = begin_unit();
	put(1, 5); /* less than a scope's head */
	end(at);
	expect(cut, at);
	at = begin_unit();
	scope(DMAR_ENDPOINT, 0, 0, CONFIG_PATH_MAX, (const uint8_t[2 * CONFIG_PATH_MAX]){ 0 });
	end(at);
	assert_null(parse());
	at = begin_unit();
	scope(DMAR_ENDPOINT, 0, 0, CONFIG_PATH_MAX + 1, (const uint8_t[2 * CONFIG_PATH_MAX + 2]){ 0 });
	end(at);
	expect("a device scope's path is too long", at);
	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0, 32, 0);
	end(at);
	expect("a device scope's path has an impossible step", at);
	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0, 31, 8);
	end(at);
	expect("a device scope's path has an impossible step", at);
}

static void test_values(void **state)
{
	static const uint64_t impossible[] = { 0, 0xfed90800, 1ull << 52, UINT64_MAX << 12 };
	uint32_t at;

	(void)state;
	for (unsigned i = 0; i < sizeof impossible / sizeof *impossible; i++) {
		begin();
		at = unit(0, 0, impossible[i]);
		expect("a remapping unit's registers are at an impossible address", at);
	}
	begin();
	unit(0, 0, 0xfed90000);
	at = unit(0, 1, 0xfed90000);
	expect("two remapping units have the same registers", at);
	begin();
	unit(1, 3, 0xfed90000);
	unit(1, 2, 0xfed91000);
	at = unit(1, 3, 0xfed92000);
	expect("two remapping units take all devices of a segment", at);
	static const uint64_t bad[][2] = {
		{ 0x1000, 0xfff }, { 0x1000, 0 }, { 0x1800, 0x2fff }, { 0x1000, 0x2000 }, { 0, UINT64_MAX - 1 }
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin();
		unit(0, 0, 0xfed90000);
		at = region(0, bad[i][0], bad[i][1]);
		expect("a reserved region is empty or not made of pages", at);
	}
}

static void test_limits(void **state)
{
	uint32_t at = 0;

	(void)state;
	begin();
	for (uint32_t i = 0; i <= DMAR_MAX_UNITS; i++) {
		at = unit(0, 0, 0xfed00000 + i * PAGE_SIZE);
		if (i + 1 == DMAR_MAX_UNITS)
			assert_null(parse());
	}
	expect("too many remapping units", at);
	begin();
	unit(0, 0, 0xfed90000);
	for (uint32_t i = 0; i <= DMAR_MAX_REGIONS; i++)
		at = region(0, 0x1000, 0x1fff);
	expect("too many reserved regions", at);
	at = begin_unit();
	for (uint32_t i = 0; i <= DMAR_MAX_SCOPES; i++)
		SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	end(at);
	expect("too many device scopes", at);
}

static void test_devices_in_two_units(void **state)
{
	static const char wrong[] = "a device is in the scopes of two remapping units";
	uint32_t at;

	(void)state;
	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0); /* twice in one is harmless */
	end(at);
	at = unit(0, 1, 0xfed92000); /* in another segment it is another device */
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	end(at);
	assert_null(parse());
	assert_null(resolve());
	at = unit(0, 0, 0xfed91000);
	SCOPE(DMAR_ENDPOINT, 0, 0, 2, 0);
	end(at);
	assert_null(parse());
	assert_string_equal(resolve(), wrong);
	at = begin_unit();
	SCOPE(DMAR_BRIDGE, 0, 0, 0x1c, 0);
	end(at);
	at = unit(0, 0, 0xfed91000);
	SCOPE(DMAR_ENDPOINT, 0, 0, 0x1c, 0, 0, 0, 0, 0); /* behind that bridge */
	end(at);
	assert_null(parse());
	assert_string_equal(resolve(), wrong);
	at = begin_unit();
	SCOPE(DMAR_ENDPOINT, 0, 0x30, 0x1c, 0, 0, 0); /* not there, twice */
	end(at);
	at = unit(0, 0, 0xfed91000);
	SCOPE(DMAR_ENDPOINT, 0, 0x30, 0x1c, 0, 0, 0);
	end(at);
	assert_null(parse());
	assert_null(resolve());
}

static void area(uint64_t base, unsigned segment, unsigned first, unsigned last)
{
	put(base, 8);
	put(segment, 2);
	put(first, 1);
	put(last, 1);
	put(0, 4);
}

static void expect_mcfg(const char *text)
{
	struct mcfg mcfg;
	uint8_t *copy = malloc(length);

	memcpy(copy, table, length);
	const char *wrong = mcfg_parse(copy, length, &mcfg, &offset);

	free(copy);
	if (text)
		assert_string_equal(wrong, text);
	else
		assert_null(wrong);
}

static void test_mcfg(void **state)
{
	static const char bad[] = "an area has an impossible address or bus range";

	(void)state;
	memset(table, 0, sizeof table);
	length = 36;
	expect_mcfg("it lists no area");
	length = 44;
	expect_mcfg("it lists no area");
	area(0xe0000000, 0, 0, 0x7f);
	length--;
	expect_mcfg("it lists no area");
	length++;
	expect_mcfg(0);
	area(0xe0000000, 1, 0, 255);
	area(0xc0000000, 0, 0x80, 0xff);
	expect_mcfg(0);
	area(0xd0000000, 0, 0x7f, 0x7f);
	expect_mcfg("two areas have the same buses");
	assert_int_equal(offset, 44 + 3 * 16);
	for (unsigned i = 0; i < 4; i++) {
		length = 44;
		area(i == 0 ? 0 : i == 1 ? 0xe0080000 : i == 2 ? 1ull << 52 : 0xe0000000, 0, i == 3 ? 5 : 0, 4);
		expect_mcfg(bad);
	}
	length = 44;
	for (unsigned i = 0; i <= MCFG_MAX_AREAS; i++)
		area(0xe0000000, i, 0, 255);
	expect_mcfg("too many areas");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_units_of_devices),
		cmocka_unit_test(test_without_a_unit_for_all),
		cmocka_unit_test(test_paths_that_lead_nowhere),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_devices_in_two_units),
		cmocka_unit_test(test_mcfg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

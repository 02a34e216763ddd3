// SPDX-License-Identifier: Apache-2.0
/* The walker: it passes what the builder makes of a list, and names each kind of corruption sown into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "ept/pagetable.h"
#include "ept/walk.h"

#define POOL_PAGES 32u
#define POOL_PHYS 0x40000000ull
#define GIGA (1ull << 30)

static uint64_t memory[POOL_PAGES * PT_ENTRIES] __attribute__((aligned(4096)));
static struct pt_pool pool;
static struct walk_fault fault;

/* A partition's list: small pages, 2 MiB pages, a 1 GiB page, a shared window far up. Unsorted. */
static const struct walk_allowed allowed[] = {
	{ 0x100000, 0x8000000, 0x5000, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC },
	{ 4 * GIGA, 8 * GIGA, GIGA, RIGHT_READ | RIGHT_WRITE },
	{ 0x200000, 0x9000000, 4 * LARGE_PAGE_SIZE + 3 * PAGE_SIZE, RIGHT_READ | RIGHT_WRITE },
	{ 0, 0x7000000, 0xa0000, RIGHT_READ },
	{ (1ull << 47) + 0x1000, 0x5000000, 0x1000, RIGHT_READ | RIGHT_EXEC },
};
enum { COUNT = sizeof allowed / sizeof *allowed };

static const volatile uint64_t *read_table(void *context, uint64_t phys)
{
	assert_ptr_equal(context, memory);
	if (phys < POOL_PHYS || phys >= POOL_PHYS + pool.used * 4096ull)
		return NULL;
	return memory + (phys - POOL_PHYS) / 8;
}

static void build(void)
{
	pool = (struct pt_pool){ memory, POOL_PHYS, POOL_PAGES, 0 };
	memset(memory, 0xa5, sizeof memory);
	pt_init(&pool);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(pt_map(&pt_format_ept, &pool, allowed[i].in, allowed[i].out, allowed[i].size,
		                        allowed[i].rights, 30),
		                 PT_OK);
}

static enum walk_result walk(void)
{
	return walk_ept(POOL_PHYS, read_table, memory, allowed, COUNT, 40, 1, &fault);
}

/* The entry of a level for an address; level 4 is the root. */
static uint64_t *entry(uint64_t in, uint32_t level)
{
	uint64_t *e = &memory[in >> 39 & 511];

	for (uint32_t l = 4; l > level; l--)
		e = memory + ((*e & 0xfffffff000) - POOL_PHYS) / 8 + (in >> (12 + 9 * (l - 2)) & 511);
	return e;
}

/* Build, set one entry, walk: the result and the place must be right. */
static void assert_found(uint64_t in, uint32_t level, uint64_t value, enum walk_result expected)
{
	build();
	*entry(in, level) = value;
	assert_int_equal(walk(), expected);
	assert_true(fault.in == (in & ~((4096ull << 9 * (level - 1)) - 1)));
	assert_int_equal(fault.level, level);
	if (expected != WALK_MISSING)
		assert_true(fault.entry == value);
}

static uint64_t built(uint64_t in, uint32_t level)
{
	build();
	return *entry(in, level);
}

static void accepts_what_is_built(void **state)
{
	struct walk_allowed whole = { 0, 0, 3 * LARGE_PAGE_SIZE, RIGHT_READ };

	(void)state;
	build();
	assert_int_equal(walk(), WALK_OK);

	/* Nothing allowed, nothing mapped. */
	pt_init(&pool);
	assert_int_equal(walk_ept(POOL_PHYS, read_table, memory, NULL, 0, 40, 1, &fault), WALK_OK);

	/* Leaves need not be large, nor aligned with the list. */
	assert_int_equal(pt_map(&pt_format_ept, &pool, 0, 0, whole.size, RIGHT_READ, 12), PT_OK);
	assert_int_equal(walk_ept(POOL_PHYS, read_table, memory, &whole, 1, 40, 0, &fault), WALK_OK);
}

static void foreign_frames(void **state)
{
	(void)state;
	assert_found(0x3000, 1, 0x123456000 | 6 << 3 | 1, WALK_FOREIGN); /* some frame */
	assert_found(0x3000, 1, built(0x4000, 1), WALK_FOREIGN);         /* own frame, wrong place */
	assert_found(0x3000, 1, 0x8000000 | 6 << 3 | 1, WALK_FOREIGN);   /* another element's frame */
	assert_found(0xa0000, 1, 0x70a0000 | 6 << 3 | 1, WALK_FOREIGN);  /* one page more than allowed */
	assert_found(0x105000, 1, 0x8005000 | 6 << 3 | 7, WALK_FOREIGN);
	assert_found(0xa00000, 2, 0x9800000 | 0x80 | 6 << 3 | 3, WALK_FOREIGN); /* large page over a small tail */
	assert_found(0x400000, 2, built(0x600000, 2), WALK_FOREIGN);
	assert_found(5 * GIGA, 3, 9 * GIGA | 0x80 | 6 << 3 | 3, WALK_FOREIGN);
	assert_found(4 * GIGA, 3, 9 * GIGA | 0x80 | 6 << 3 | 3, WALK_FOREIGN);
}

static void rights(void **state)
{
	const struct {
		uint64_t in;
		uint32_t level;
	} places[] = {
		{ 0x3000, 1 },
		{ 0x104000, 1 },
		{ 0x600000, 2 },
		{ 4 * GIGA, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (uint64_t r = 1; r < 8; r++) {
			uint64_t value = built(places[i].in, places[i].level), bad = (value & ~7ull) | r;

			if (r != (value & 7))
				assert_found(places[i].in, places[i].level, bad, r & 1 ? WALK_RIGHTS : WALK_RESERVED);
		}
	/* A table entry takes rights from all below it. */
	build();
	*entry(0x100000, 2) &= ~(uint64_t)RIGHT_EXEC;
	assert_int_equal(walk(), WALK_RIGHTS);
	assert_true(fault.in == 0x100000 && fault.level == 1);
}

static void missing(void **state)
{
	(void)state;
	assert_found(0x3000, 1, 0, WALK_MISSING);
	assert_found(0x104000, 1, 0, WALK_MISSING);
	assert_found(4 * GIGA, 3, 0, WALK_MISSING);
	assert_found((1ull << 47) + 0x1000, 1, 0, WALK_MISSING);
	build();
	*entry(1ull << 47, 4) = 0; /* a whole tree; the fault names the page */
	assert_int_equal(walk(), WALK_MISSING);
	assert_true(fault.in == (1ull << 47) + 0x1000 && fault.level == 4);
}

static void tables_outside(void **state)
{
	(void)state;
	for (uint32_t level = 2; level <= 4; level++) {
		assert_found(0, level, (POOL_PHYS + POOL_PAGES * 4096) | 7, WALK_TABLE);
		assert_found(0, level, (POOL_PHYS - 4096) | 7, WALK_TABLE);
	}
	build();
	assert_int_equal(walk_ept(POOL_PHYS - 4096, read_table, memory, allowed, COUNT, 40, 1, &fault), WALK_TABLE);
}

static void reserved_bits(void **state)
{
	const struct {
		uint64_t in;
		uint32_t level;
	} leaves[] = { { 0x3000, 1 }, { 0x600000, 2 }, { 4 * GIGA, 3 } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint64_t value = built(leaves[i].in, leaves[i].level), page = 4096ull << 9 * (leaves[i].level - 1);

		assert_found(leaves[i].in, leaves[i].level, value & ~(7ull << 3),
		             WALK_RIGHTS);                /* only for devices' registers */
		for (uint64_t type = 1; type < 8; type++) /* every other memory type but write-back */
			if (type != 6)
				assert_found(leaves[i].in, leaves[i].level, (value & ~(7ull << 3)) | type << 3,
				             WALK_RESERVED);
		for (uint64_t bit = 64; bit < page;
		     bit <<= 1) /* ignore-PAT, A, D, ..., low address bits of large leaves */
			if (!(value & bit))
				assert_found(leaves[i].in, leaves[i].level, value | bit, WALK_RESERVED);
		for (unsigned bit = 40; bit < 64; bit++) /* beyond MAXPHYADDR, and up to suppress #VE */
			assert_found(leaves[i].in, leaves[i].level, value | 1ull << bit, WALK_RESERVED);
	}
	for (uint32_t level = 2; level <= 4; level++) { /* table entries */
		uint64_t value = built(0, level);

		for (unsigned bit = 3; bit < 64; bit++)
			if ((bit < 12 && bit != 7) || bit >= 40)
				assert_found(0, level, value | 1ull << bit, WALK_RESERVED);
	}
	assert_found(0, 4, 0x80 | 6 << 3 | 1, WALK_RESERVED);   /* no leaf in the root */
	assert_found(0x5000000, 2, 0x123450000, WALK_RESERVED); /* an address in an absent entry (L1TF) */
	build();                                                /* a CPU without 1 GiB leaves */
	assert_int_equal(walk_ept(POOL_PHYS, read_table, memory, allowed, COUNT, 40, 0, &fault), WALK_RESERVED);
	assert_true(fault.in == 4 * GIGA && fault.level == 3);
}

/* Entries that lead back: into the same table, upward, and to another branch. Each ends in a fault, soon. */
static void circles(void **state)
{
	const uint64_t places[] = { 0, 7 * GIGA, 511ull << 39 };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (uint32_t level = 2; level <= 4; level++)
			for (uint32_t target = 0; target < 10; target++) {
				build();
				if (level == 2 && places[i]) /* no such table */
					continue;
				if (level == 3 && i == 2)
					continue;
				*entry(places[i], level) = (POOL_PHYS + target * 4096ull) | 7;
				enum walk_result result = walk();
				int same = built(places[i], level) == ((POOL_PHYS + target * 4096ull) | 7);

				assert_int_equal(result == WALK_OK, same);
			}
}

/* Tables that lead to empty tables, 512 ways at each level: refused before it takes for ever. */
static void maze(void **state)
{
	const struct walk_allowed one = { 511ull << 39, 0x1000, 0x1000, RIGHT_READ };

	(void)state;
	memset(memory, 0, sizeof memory);
	pool = (struct pt_pool){ memory, POOL_PHYS, POOL_PAGES, 5 };
	for (uint64_t table = 0; table < 4; table++)
		for (uint64_t i = 0; i < PT_ENTRIES; i++)
			memory[table * PT_ENTRIES + i] = (POOL_PHYS + (table + 1) * 4096) | 7;
	memset(memory + 3 * PT_ENTRIES, 0, 4096);
	assert_int_equal(walk_ept(POOL_PHYS, read_table, memory, &one, 1, 40, 1, &fault), WALK_TABLE);
}

/* Registers are uncacheable, and memory is not. */
static void devices(void **state)
{
	static const struct walk_allowed one = { 0xc0000000, 0xd0000000, LARGE_PAGE_SIZE + PAGE_SIZE,
		                                 RIGHT_READ | RIGHT_WRITE | RIGHT_DEVICE };
	const struct pt_format *const formats[] = { &pt_format_ept_device, &pt_format_ept };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pool = (struct pt_pool){ memory, POOL_PHYS, POOL_PAGES, 0 };
		pt_init(&pool);
		assert_int_equal(pt_map(formats[i], &pool, one.in, one.out, one.size, RIGHT_READ | RIGHT_WRITE, 30),
		                 PT_OK);
		assert_int_equal(walk_ept(POOL_PHYS, read_table, memory, &one, 1, 40, 1, &fault),
		                 i == 0 ? WALK_OK : WALK_RIGHTS);
	}
}

/* VT-d's second level: what is built passes; any one bit changed, in any entry that is there, does not (but for the right to write in a
 * table's entry, which may have nothing writable behind it). */
static void vtd(void **state)
{
	struct walk_allowed list[COUNT];

	(void)state;
	memset(memory, 0xa5, sizeof memory);
	pool = (struct pt_pool){ memory, POOL_PHYS, POOL_PAGES, 0 };
	pt_init(&pool);
	for (size_t i = 0; i < COUNT; i++) {
		list[i] = allowed[i];
		list[i].rights &= RIGHT_READ | RIGHT_WRITE;
		assert_int_equal(
			pt_map(&pt_format_vtd, &pool, list[i].in, list[i].out, list[i].size, list[i].rights, 30),
			PT_OK);
	}
	assert_int_equal(walk_tables(WALK_VTD, POOL_PHYS, read_table, memory, list, COUNT, 40, 1, &fault), WALK_OK);
	assert_int_not_equal(walk_tables(WALK_EPT, POOL_PHYS, read_table, memory, list, COUNT, 40, 1, &fault), WALK_OK);
	for (size_t i = 0; i < (size_t)pool.used * PT_ENTRIES; i++)
		for (unsigned bit = 0; bit < 64 && memory[i]; bit += bit ? 1 : 2) {
			memory[i] ^= 1ull << bit;
			assert_int_not_equal(
				walk_tables(WALK_VTD, POOL_PHYS, read_table, memory, list, COUNT, 40, 1, &fault),
				WALK_OK);
			memory[i] ^= 1ull << bit;
		}
}

static void names(void **state)
{
	(void)state;
	for (int r = WALK_OK; r <= WALK_RESERVED + 1; r++)
		assert_true(strlen(walk_result_name((enum walk_result)r)) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_is_built),
		cmocka_unit_test(foreign_frames),
		cmocka_unit_test(rights),
		cmocka_unit_test(missing),
		cmocka_unit_test(tables_outside),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(circles),
		cmocka_unit_test(maze),
		cmocka_unit_test(devices),
		cmocka_unit_test(vtd),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}

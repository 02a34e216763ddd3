// SPDX-License-Identifier: Apache-2.0
/* The page-table builder, judged by a translation of its own: what is mapped translates right, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"
#include "ept/pagetable.h"

#define POOL_PAGES 64u
#define POOL_PHYS 0x7654000ull
#define NX (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull

static uint64_t memory[(POOL_PAGES + 1) * PT_ENTRIES] __attribute__((aligned(4096)));
#define GUARD 0x5a5a5a5a5a5a5a5aull /* in the page behind the pool */

static uint64_t random_state = 0x1234567;

static uint64_t rnd(uint64_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 20) % below;
}

static struct pt_pool fresh_pool(uint32_t pages)
{
	struct pt_pool pool = { memory, POOL_PHYS, pages, 77 };

	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
		memory[i] = GUARD;
	pt_init(&pool);
	return pool;
}

static void assert_guard(const struct pt_pool *pool)
{
	for (size_t i = (size_t)pool->used * PT_ENTRIES; i < sizeof memory / sizeof *memory; i++)
		assert_true(memory[i] == GUARD);
}

/* The leaf for `in` and its size, or 0. */
static uint64_t leaf(const struct pt_pool *pool, uint64_t in, uint64_t present, uint64_t *size)
{
	uint64_t phys = POOL_PHYS;

	for (int shift = 39; shift >= 12; shift -= 9) {
		assert_true(phys >= POOL_PHYS && phys < POOL_PHYS + pool->used * 4096ull);
		uint64_t entry = pool->virt[(phys - POOL_PHYS) / 8 + (in >> shift & 511)];

		*size = 1ull << shift;
		if (!(entry & present)) {
			assert_true(entry == 0);
			return 0;
		}
		if (shift == 12 || (entry & 0x80))
			return entry;
		phys = entry & ADDRESS;
	}
	return 0;
}

static void assert_translates(const struct pt_pool *pool, uint64_t in, uint64_t out, uint64_t ept_bits)
{
	uint64_t size, entry = leaf(pool, in, 7, &size);

	assert_true(entry != 0);
	assert_true((entry & ADDRESS & ~(size - 1)) + (in & (size - 1)) == out);
	assert_true((entry & ~ADDRESS) == (ept_bits | (size > 4096 ? 0x80u : 0u)));
}

struct range {
	uint64_t in, out, size;
	uint32_t rights;
};

/* Ranges in slots of 8 MiB, so that they do not overlap and touch now and then, checked page by page. */
static void random_ranges(void **state)
{
	enum { SLOTS = 6 };
	static const uint32_t shifts[] = { 12, 21, 30 }, rights[] = { 1, 3, 5, 7 };
	const uint64_t slot = 8ull << 20;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct pt_pool pool = fresh_pool(POOL_PAGES);
		uint64_t base = rnd(2) ? (1ull << 47) + 8 * slot * rnd(1000) : slot * rnd(1000);
		struct range r[SLOTS];

		for (int i = 0; i < SLOTS; i++) {
			uint64_t grain = rnd(2) ? LARGE_PAGE_SIZE : PAGE_SIZE, skip = rnd(slot / grain) * grain;

			r[i] = (struct range){ base + (uint64_t)i * slot + skip, rnd(1u << 20) * grain,
				               (1 + rnd((slot - skip) / grain)) * grain, rights[rnd(4)] };
			assert_int_equal(pt_map(&pt_format_ept, &pool, r[i].in, r[i].out, r[i].size, r[i].rights,
			                        shifts[rnd(3)]),
			                 PT_OK);
		}
		for (uint64_t in = base - slot * (base >= slot); in < base + (SLOTS + 1) * slot; in += PAGE_SIZE) {
			const struct range *hit = NULL;
			uint64_t size;

			for (int i = 0; i < SLOTS; i++)
				if (in >= r[i].in && in < r[i].in + r[i].size)
					hit = &r[i];
			if (hit)
				assert_translates(&pool, in, hit->out + (in - hit->in), 6u << 3 | hit->rights);
			else
				assert_true(leaf(&pool, in, 7, &size) == 0);
		}
		assert_guard(&pool);
	}
}

static void large_pages_where_possible(void **state)
{
	const uint64_t giga = 1ull << 30;
	uint64_t size;
	struct pt_pool pool = fresh_pool(POOL_PAGES);

	(void)state;
	/* 4 KiB and 2 MiB pages up to 1 GiB, one 1 GiB page, one 2 MiB page, one 4 KiB page */
	assert_int_equal(pt_map(&pt_format_ept, &pool, giga - LARGE_PAGE_SIZE - PAGE_SIZE,
	                        9 * giga - LARGE_PAGE_SIZE - PAGE_SIZE, giga + 2 * LARGE_PAGE_SIZE + 2 * PAGE_SIZE, 3,
	                        30),
	                 PT_OK);
	leaf(&pool, giga - LARGE_PAGE_SIZE - PAGE_SIZE, 7, &size), assert_int_equal(size, PAGE_SIZE);
	leaf(&pool, giga - LARGE_PAGE_SIZE, 7, &size), assert_int_equal(size, LARGE_PAGE_SIZE);
	leaf(&pool, giga, 7, &size), assert_int_equal(size, giga);
	leaf(&pool, 2 * giga, 7, &size), assert_int_equal(size, LARGE_PAGE_SIZE);
	leaf(&pool, 2 * giga + LARGE_PAGE_SIZE, 7, &size), assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(pool.used, 1 + 1 + 2 + 2);

	pool = fresh_pool(POOL_PAGES); /* no page above max_shift; both alignments count */
	assert_int_equal(pt_map(&pt_format_ept, &pool, 0, giga, giga, 3, 21), PT_OK);
	leaf(&pool, 0, 7, &size), assert_int_equal(size, LARGE_PAGE_SIZE);
	assert_int_equal(pt_map(&pt_format_ept, &pool, 3 * giga, giga, LARGE_PAGE_SIZE, 3, 12), PT_OK);
	leaf(&pool, 3 * giga, 7, &size), assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(pt_map(&pt_format_ept, &pool, 4 * giga, giga + PAGE_SIZE, LARGE_PAGE_SIZE, 3, 30), PT_OK);
	leaf(&pool, 4 * giga, 7, &size), assert_int_equal(size, PAGE_SIZE);
}

static void ia32e_bits(void **state)
{
	static const struct {
		uint32_t rights;
		uint64_t bits;
	} cases[] = {
		{ RIGHT_READ, 0x61 | NX },
		{ RIGHT_READ | RIGHT_WRITE, 0x63 | NX },
		{ RIGHT_READ | RIGHT_EXEC, 0x61 },
		{ RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, 0x63 },
	};
	const uint64_t in = 0xffff80000000ull; /* the upper half, without its sign extension */
	uint64_t size;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pt_pool pool = fresh_pool(POOL_PAGES);

		assert_int_equal(pt_map(&pt_format_ia32e, &pool, in, 0x1234000, 2 * PAGE_SIZE, cases[i].rights, 12),
		                 PT_OK);
		assert_true(leaf(&pool, in + PAGE_SIZE, 1, &size) == (0x1235000 | cases[i].bits));
		assert_true(memory[511] == (POOL_PHYS + PAGE_SIZE) + 0x23);
		assert_true(leaf(&pool, in + 2 * PAGE_SIZE, 1, &size) == 0);
		assert_int_equal(pool.used, 4);
	}
}

static enum pt_result map(const struct pt_format *f, struct pt_pool *p, uint64_t in, uint64_t out, uint64_t size)
{
	return pt_map(f, p, in, out, size, RIGHT_READ, 30);
}

static void refusals(void **state)
{
	const struct pt_format *const formats[] = { &pt_format_ept, &pt_format_ia32e };
	const uint64_t in_end = 1ull << 48, out_end = 1ull << 52;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct pt_format *f = formats[i];
		struct pt_pool pool = fresh_pool(POOL_PAGES);

		assert_int_equal(map(f, &pool, 1, 0, PAGE_SIZE), PT_ALIGN);
		assert_int_equal(map(f, &pool, 0, 0x800, PAGE_SIZE), PT_ALIGN);
		assert_int_equal(map(f, &pool, 0, 0, PAGE_SIZE + 8), PT_ALIGN);
		assert_int_equal(map(f, &pool, 0, 0, 0), PT_ALIGN);
		assert_int_equal(map(f, &pool, in_end, 0, PAGE_SIZE), PT_RANGE);
		assert_int_equal(map(f, &pool, in_end - PAGE_SIZE, 0, 2 * PAGE_SIZE), PT_RANGE);
		assert_int_equal(map(f, &pool, 0, out_end, PAGE_SIZE), PT_RANGE);
		assert_int_equal(map(f, &pool, 0, out_end - PAGE_SIZE, 2 * PAGE_SIZE), PT_RANGE);
		assert_int_equal(map(f, &pool, 4096, 0, 0 - 4096ull), PT_RANGE);
		assert_int_equal(map(f, &pool, 0 - 4096ull, 0, PAGE_SIZE), PT_RANGE);
		assert_int_equal(map(f, &pool, 0, 0 - 4096ull, 2 * PAGE_SIZE), PT_RANGE);
		for (uint32_t rights = 0; rights < 20; rights++)
			if (rights > 7 || !(rights & RIGHT_READ))
				assert_int_equal(pt_map(f, &pool, 0, 0, PAGE_SIZE, rights, 12), PT_RIGHTS);
		assert_int_equal(pt_map(f, &pool, 0, 0, PAGE_SIZE, UINT32_MAX, 12), PT_RIGHTS);
		assert_int_equal(pool.used, 1);
		for (size_t k = 0; k < PT_ENTRIES; k++)
			assert_true(memory[k] == 0);

		assert_int_equal(map(f, &pool, in_end - PAGE_SIZE, out_end - PAGE_SIZE, PAGE_SIZE), PT_OK);
		assert_guard(&pool);
	}
}

static void overlaps(void **state)
{
	const uint64_t giga = 1ull << 30;
	struct pt_pool pool = fresh_pool(POOL_PAGES);

	(void)state;
	assert_int_equal(map(&pt_format_ept, &pool, 0, 0, giga), PT_OK);                              /* 1 GiB leaf */
	assert_int_equal(map(&pt_format_ept, &pool, giga, giga, LARGE_PAGE_SIZE), PT_OK);             /* 2 MiB leaf */
	assert_int_equal(map(&pt_format_ept, &pool, giga + LARGE_PAGE_SIZE, giga, PAGE_SIZE), PT_OK); /* 4 KiB leaf */
	assert_int_equal(map(&pt_format_ept, &pool, 0, 0, giga), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga / 2, 0, PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga / 2, 0, LARGE_PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga, 0, giga), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga, 0, LARGE_PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga + 4 * PAGE_SIZE, 0, PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga + LARGE_PAGE_SIZE, 0, LARGE_PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga + LARGE_PAGE_SIZE, 0, PAGE_SIZE), PT_OVERLAP);
	assert_int_equal(map(&pt_format_ept, &pool, giga + LARGE_PAGE_SIZE + PAGE_SIZE, 0, PAGE_SIZE), PT_OK);
}

/* A pool of n pages takes n tables and touches nothing behind them. */
static void full(void **state)
{
	(void)state;
	for (uint32_t pages = 1; pages <= 5; pages++) {
		struct pt_pool pool = fresh_pool(pages);
		/* two pages on both sides of 2 MiB: 4 tables and one more */
		enum pt_result result = map(&pt_format_ept, &pool, LARGE_PAGE_SIZE - PAGE_SIZE, 0, 2 * PAGE_SIZE);

		assert_int_equal(result, pages < 5 ? PT_FULL : PT_OK);
		assert_int_equal(pool.used, pages);
		assert_guard(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ranges), cmocka_unit_test(large_pages_where_possible),
		cmocka_unit_test(ia32e_bits),    cmocka_unit_test(refusals),
		cmocka_unit_test(overlaps),      cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("pagetable", tests, NULL, NULL);
}

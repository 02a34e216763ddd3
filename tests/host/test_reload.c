// SPDX-License-Identifier: Apache-2.0
/* core/reload.c: a memory that was used becomes what the payload says, in steps; a payload that has changed is not loaded again. */
#include "config/config.h"
#include "core/core.h"
#include "core/panic.h"
#include "core/reload.h"
#include "core/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY (64u * 1024)
#define PAYLOAD 9001u

static uint8_t memory[MEMORY] __attribute__((aligned(4096))), payload[12288] __attribute__((aligned(4096)));
static const struct config_segment segments[] = { { 0, 100, 0x1ff0 }, { 128, PAYLOAD - 128, 0x8000 } };
static const struct config_map map = { .size = MEMORY };
static const struct config_memory memories[] = { { .size = MEMORY } };
static struct config_partition partition = { .segments = segments, .segment_count = 2, .maps = &map, .map_count = 1 };
static unsigned open_windows;

const struct config config = { .partitions = &partition, .memories = memories };
struct handoff handoff;

uint8_t *window(uint32_t slot, uint64_t hpa)
{
	assert_true(slot < 2);
	open_windows++;
	return (uint8_t *)hpa; /* the address itself */
}

void window_close(void)
{
	open_windows = 0;
}

uint64_t partition_translate(uint16_t index, uint64_t gpa, uint64_t *bytes)
{
	assert_int_equal(index, 0);
	*bytes = gpa < MEMORY ? MEMORY - gpa : 0;
	return (uint64_t)memory + gpa;
}

void panic(const char *format, ...)
{
	fail_msg("%s", format);
	abort();
}

static enum reload_phase run(void)
{
	struct reload r = { 0 };

	reload_begin(&r, 0);
	for (unsigned steps = 0; r.phase < RELOAD_DONE; steps++) {
		reload_step(&r);
		assert_int_equal(open_windows, 0);
		assert_true(steps < 10000);
	}
	return r.phase;
}

static int setup(void **state)
{
	(void)state;
	srand(3);
	for (unsigned i = 0; i < PAYLOAD; i++)
		payload[i] = (uint8_t)rand();
	memset(memory, 0xa5, sizeof memory);
	handoff.memory[0] = (struct handoff_memory){ (uint64_t)memory, MEMORY };
	handoff.payload[0] = (struct handoff_memory){ (uint64_t)payload, PAYLOAD };
	partition.payload.size = PAYLOAD;
	sha256(payload, PAYLOAD, partition.payload.sha256);
	return 0;
}

static void test_memory_is_as_new(void **state)
{
	static uint8_t expected[MEMORY];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		memcpy(expected + segments[i].gpa, payload + segments[i].offset, segments[i].size);
	assert_int_equal(run(), RELOAD_DONE);
	assert_memory_equal(memory, expected, MEMORY);
}

static void test_a_changed_payload_is_not_loaded(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < PAYLOAD * 8; bit += 997) {
		payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(run(), RELOAD_WRONG);
		payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (unsigned i = 0; i < MEMORY; i++)
		assert_int_equal(memory[i], 0xa5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_memory_is_as_new, setup),
		cmocka_unit_test_setup(test_a_changed_payload_is_not_loaded, setup),
	};

	return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}

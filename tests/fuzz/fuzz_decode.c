// SPDX-License-Identifier: Apache-2.0
/* The decoder and the page-table walker on anything: they read what is there and no more, and what they say is within bounds. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmx/decode.h"
#include "vmx/linear.h"

static const uint8_t *memory;
static uint64_t memory_size;
static uint32_t reads;

static int read_memory(void *context, uint64_t gpa, uint32_t size, uint64_t *value)
{
	(void)context;
	fuzz_require(gpa % size == 0 && ++reads <= 4, "aligned, and four reads at most");
	*value = 0;
	gpa &= 0xfff; /* so that walks get somewhere */
	if (gpa + size > memory_size)
		return 0;
	memcpy(value, memory + gpa, size);
	return 1;
}

static void walk(struct fuzz_input *in)
{
	struct linear_space space = { .paging = fuzz_byte(in) % 4u, .read = read_memory };
	uint64_t linear, gpa = 0;

	space.cr3 = fuzz_number(in);
	for (int i = 0; i < 4; i++)
		space.pdpte[i] = fuzz_number(in);
	space.large = fuzz_byte(in) & 1;
	linear = fuzz_number(in);
	memory = in->data;
	memory_size = in->left;
	reads = 0;
	if (linear_translate(&space, linear, &gpa) && space.paging != LINEAR_NONE)
		fuzz_require(gpa >> 52 == 0 && (gpa & 0xfff) == (linear & 0xfff),
		             "an address in the same place of a page");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const enum decode_mode mode = fuzz_byte(&in) % 3u;
	const uint32_t n = (uint32_t)(in.left < 20 ? in.left : 20);
	uint8_t *bytes = malloc(n ? n : 1);
	struct decoded d;

	if (n)
		memcpy(bytes, in.data, n);
	if (decode(bytes, n, mode, &d)) {
		fuzz_require(d.length >= 2 && d.length <= n && d.length <= DECODE_MAX, "length");
		fuzz_require(d.size == 1 || d.size == 2 || d.size == 4 || d.size == 8, "size");
		fuzz_require(d.to >= d.size && d.to <= 8 && d.reg <= DECODE_IMMEDIATE && (d.shift == 0 || d.shift == 8),
		             "register");
		fuzz_require(d.write || d.reg < DECODE_IMMEDIATE, "a read has a register");
		fuzz_require(mode == DECODE_64 || d.reg < 8 || d.reg == DECODE_IMMEDIATE, "eight registers");
		decode_result(&d, decode_source(&d, 0x8182838485868788), 0x9192939495969798);
	}
	free(bytes);
	walk(&in);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* Shared by the fuzz targets: libFuzzer's entry, and a way to take small numbers from the input. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

/* The next byte, or 0 at the end. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* A number of up to eight bytes; small ones, single bits and those next to a power of two come often. */
static inline uint64_t fuzz_number(struct fuzz_input *in)
{
	const uint8_t how = fuzz_byte(in);
	uint64_t n = 0;

	switch (how & 7) {
	case 0:
		return fuzz_byte(in);
	case 1:
		return 1ull << (fuzz_byte(in) & 63);
	case 2:
		return (1ull << (fuzz_byte(in) & 63)) - 1;
	case 3:
		return ~(uint64_t)fuzz_byte(in);
	default:
		for (int i = 0; i < how % 5 * 2; i++)
			n = n << 8 | fuzz_byte(in);
		return n;
	}
}

static inline void fuzz_require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz: does not hold: %s\n", what);
	abort();
}

#endif

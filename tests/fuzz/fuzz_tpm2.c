// SPDX-License-Identifier: Apache-2.0
/* libFuzzer harness for the parser of the ACPI table TPM2: the input is the table behind its signature and length. */
#include <stdlib.h>
#include <string.h>

#include "core/tpm2.h"
#include "tests/fuzz/fuzz.h"

#define HEADER 36u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tpm2_table t;
	uint32_t offset;

	if (size < 1)
		return 0;
	const uint32_t length = HEADER + (uint32_t)size - 1;
	uint8_t *table = calloc(1, length);

	table[8] = data[0];
	memcpy(table + HEADER, data + 1, size - 1);
	if (tpm2_parse(table, length, &t, &offset))
		fuzz_require(offset < length, "a fault within the table");
	else
		fuzz_require(t.start_method && !t.log == !t.log_bytes && t.log < 1ull << 52 &&
		                     t.control_area < 1ull << 52,
		             "a usable table");
	fuzz_require(*tpm2_method(t.start_method), "a word for it");
	free(table);
	return 0;
}

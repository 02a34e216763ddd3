// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer harness for the parsers of DMAR and MCFG. The first byte says which; the rest is the table behind its header. Configuration space,
 * by which paths are followed, is made of the same bytes.
 */
#include "tests/fuzz/fuzz.h"
#include "vtd/dmar.h"
#include <stdlib.h>
#include <string.h>

#define HEADER 36u

static const uint8_t *bytes;
static size_t count;

static uint32_t read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	const size_t at = (source * 7u + offset + segment) % count;

	(void)context;
	if (offset == 0x0c)
		return (uint32_t)(bytes[at] & 3) << 16;
	return (uint32_t)bytes[at] << 8 | (uint32_t)bytes[(at + 1) % count] << 16;
}

static void check(const struct dmar *d)
{
	if (d->unit_count == 0 || d->unit_count > DMAR_MAX_UNITS || d->region_count > DMAR_MAX_REGIONS ||
	    d->scope_count > DMAR_MAX_SCOPES)
		abort();
	for (uint32_t i = 0; i < d->scope_count; i++)
		if (d->scope[i].path.depth == 0 || d->scope[i].path.depth > CONFIG_PATH_MAX)
			abort();
	for (uint32_t i = 0; i < d->unit_count; i++)
		if (d->unit[i].first_scope + d->unit[i].scope_count > d->scope_count ||
		    d->unit[i].registers % PAGE_SIZE)
			abort();
	for (uint32_t i = 0; i < d->region_count; i++)
		if (d->region[i].first_scope + d->region[i].scope_count > d->scope_count ||
		    d->region[i].limit < d->region[i].base)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmar dmar;
	struct mcfg mcfg;
	uint32_t offset;

	if (size < 2)
		return 0;
	uint8_t *table = calloc(1, HEADER + size - 1);

	memcpy(table + HEADER, data + 1, size - 1);
	bytes = data;
	count = size;
	if (data[0] & 3) {
		/* what has no meaning would end most inputs at once */
		for (size_t at = 48; data[0] & 2 && at + 4 <= HEADER + size - 1; at += table[at + 2]) {
			table[at] &= 1;
			table[at + 1] = table[at + 3] = 0;
			table[at + 2] = (uint8_t)(table[at + 2] % 64 + 24);
		}
		if (!dmar_parse(table, (uint32_t)(HEADER + size - 1), &dmar, &offset)) {
			check(&dmar);
			(void)dmar_resolve(&dmar, read, 0);
			for (uint32_t source = 0; source < 0x10000; source += 0x321)
				if (dmar_unit_of(&dmar, 0, (uint16_t)source) != DMAR_NONE &&
				    dmar_unit_of(&dmar, 0, (uint16_t)source) >= dmar.unit_count)
					abort();
			(void)dmar_region_of(&dmar, 0, 0x10);
			(void)dmar_ioapic(&dmar, data[1]);
		} else if (offset > HEADER + size - 1) {
			abort();
		}
	} else if (!mcfg_parse(table, (uint32_t)(HEADER + size - 1), &mcfg, &offset) &&
	           (mcfg.count == 0 || mcfg.count > MCFG_MAX_AREAS)) {
		abort();
	}
	free(table);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* Is its memory empty where nothing of it belongs? Says how many words are not. Wants 4 MiB. */
#include "kit.h"

#define ABOVE_KIT 0x100000u /* the kit and its application end below */

static uint64_t looked_at;

static uint64_t not_zero(uint64_t start, uint64_t end)
{
	const volatile uint64_t *word = (const volatile uint64_t *)start;
	uint64_t count = 0;

	for (; (uint64_t)word < end; word++)
		count += *word != 0;
	looked_at += end - start;
	return count;
}

int main(const struct kit_info *info)
{
	uint64_t dirty = not_zero(ABOVE_KIT, info->tables_start), shared = 0;

	for (uint32_t i = 0; i < info->map_count; i++)
		shared += not_zero(info->map[i].gpa, info->map[i].gpa + info->map[i].size);
	kit_printf("RESULT clean own=%lu shared=%lu bytes=%lu\n", dirty, shared, looked_at);
	return 0;
}

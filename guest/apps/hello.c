// SPDX-License-Identifier: Apache-2.0
/* The smallest partition: says who it is, and what it sees, and ends. */
#include "kit.h"

int main(const struct kit_info *info)
{
	kit_printf("hello from partition %s, %lu KiB, %s\n", info->name, info->memory_size >> 10,
	           kit_on_bulkhead() ? "on Bulkhead" : "on the bare machine");
	for (uint32_t i = 0; i < info->map_count; i++)
		kit_printf("  %s: %lx to %lx, rights %x\n", info->map[i].name, info->map[i].gpa,
		           info->map[i].gpa + info->map[i].size, info->map[i].rights);
	kit_printf("RESULT hello tsc_khz=%lu\n", kit_tsc_khz());
	return 0;
}

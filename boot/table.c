// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

uint64_t find_table(const EFI_GUID *guid)
{
	const uint64_t *want = (const uint64_t *)(const void *)guid;

	for (UINTN i = 0; i < system_table->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &system_table->ConfigurationTable[i];
		const uint64_t *have = (const uint64_t *)(const void *)&t->VendorGuid;

		if (have[0] == want[0] && have[1] == want[1])
			return (uint64_t)t->VendorTable;
	}
	return 0;
}

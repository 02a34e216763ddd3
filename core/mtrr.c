// SPDX-License-Identifier: Apache-2.0
/* Memory types by the MTRRs: partitions and the core get frames that are write-back only (SDM Vol. 3A, 12.11). */
#include "core.h"
#include "x86.h"

#define TYPE_WRITE_BACK 6u
#define TYPE_UNKNOWN 0xffu /* a mask with holes: the range is more than it covers */
#define MTRR_ENABLED (1u << 11)
#define MTRR_VALID (1u << 11)
#define FIXED_END (1ull << 20)

struct range {
	uint64_t base, end;
	uint32_t type;
};

static uint64_t physical_mask(void)
{
	return (1ull << (cpuid(0x80000008, 0).r[0] & 0xff)) - 1;
}

static int variable_range(uint32_t n, struct range *range)
{
	const uint64_t base = rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * n), mask = rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * n + 1);
	const uint64_t size = (~mask & physical_mask() & ~0xfffull) + 0x1000;

	range->base = base & physical_mask() & ~0xfffull;
	range->end = range->base + size;
	range->type = size & (size - 1) ? TYPE_UNKNOWN : base & 0xff;
	return (mask & MTRR_VALID) != 0;
}

int mtrr_is_write_back(uint64_t hpa, uint64_t size)
{
	const uint64_t def = rdmsr(MSR_IA32_MTRR_DEF_TYPE), end = hpa + size;
	const uint32_t count = rdmsr(MSR_IA32_MTRRCAP) & 0xff;
	uint64_t covered = hpa;
	struct range r;

	if (!(def & MTRR_ENABLED) || hpa < FIXED_END)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		if (variable_range(i, &r) && r.type != TYPE_WRITE_BACK && r.base < end && hpa < r.end)
			return 0;
	if ((def & 0xff) == TYPE_WRITE_BACK)
		return 1;
	/* Each pass extends the covered part by one range at least, or ends. */
	for (uint32_t pass = 0; pass < count && covered < end; pass++)
		for (uint32_t i = 0; i < count; i++)
			if (variable_range(i, &r) && r.base <= covered && covered < r.end)
				covered = r.end;
	return covered >= end;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One page at a fixed linear address through which an application sees any guest-physical page, beside the
 * identity map it was given. SDM Vol. 3A, 4.5.
 */
#include "kit.h"

#define PML4_SLOT 128u
#define PRESENT_WRITE 3u
#define USER 4u
#define ADDRESS 0x000ffffffffff000ull

static uint64_t tables[4][512] __attribute__((aligned(4096))); /* PML4, PDPT, PD, PT */

static void build(void)
{
	memcpy(tables[0], (const void *)(read_cr3() & ADDRESS), sizeof tables[0]);
	tables[0][PML4_SLOT] = (uint64_t)tables[1] | PRESENT_WRITE | USER;
	tables[1][0] = (uint64_t)tables[2] | PRESENT_WRITE | USER;
	tables[2][0] = (uint64_t)tables[3] | PRESENT_WRITE | USER;
	write_cr3((uint64_t)tables[0]);
}

void *kit_window(uint64_t physical, bool user)
{
	const uint64_t linear = (uint64_t)PML4_SLOT << 39;
	if (tables[1][0] == 0)
		build();
	tables[3][0] = (physical & ADDRESS) | PRESENT_WRITE | (user ? USER : 0);
	invlpg(linear);
	return (void *)linear;
}

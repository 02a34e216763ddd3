// SPDX-License-Identifier: Apache-2.0
#include "window.h"

#include "cpu.h"
#include "x86.h"

/* PDE of a 2 MiB page: present, writable, accessed, dirty, page size, no execute (SDM Vol. 3A, table 4-17). */
#define WINDOW_PDE (1ull << 63 | 0xe3)

#define WINDOW_UNCACHED 0x18ull /* PCD, PWT: the PAT's entry 3, strong uncacheable (12.12.3) */

static uint8_t *show(uint32_t slot, uint64_t pde)
{
	volatile uint64_t *pd = (volatile uint64_t *)PERCPU_WINDOW_PD;
	uint8_t *at = (uint8_t *)(WINDOW_BASE + slot * WINDOW_SLOT_SIZE);

	pd[(WINDOW_BASE >> 21 & 511) + slot] = pde;
	invlpg(at);
	return at;
}

uint8_t *window(uint32_t slot, uint64_t hpa)
{
	return show(slot & 1, (hpa & ~(WINDOW_SLOT_SIZE - 1)) | WINDOW_PDE) + (hpa & (WINDOW_SLOT_SIZE - 1));
}

uint8_t *window_device(uint32_t slot, uint64_t hpa)
{
	return show(slot & 1, (hpa & ~(WINDOW_SLOT_SIZE - 1)) | WINDOW_PDE | WINDOW_UNCACHED) +
	       (hpa & (WINDOW_SLOT_SIZE - 1));
}

uint8_t *window_pair(uint64_t hpa)
{
	window(1, hpa + WINDOW_SLOT_SIZE);
	return window(0, hpa);
}

void window_close(void)
{
	show(0, 0);
	show(1, 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What the last partition has left in the CPU's buffers, emptied before another one runs on this core. Which of it, config.flush says.
 * TLB and paging-structure caches are tagged by VPID and need nothing. SDM Vol. 4, table 2-2; Vol. 2, VERW.
 */
#include "core/x86.h"
#include "flush.h"

#define MSR_PRED_CMD 0x49u
#define MSR_FLUSH_CMD 0x10bu
#define IBPB 1u
#define L1D_FLUSH 1u
#define CACHE_LINE 64u
#define L1D_MAX 0x10000u /* the largest first-level data cache there is, with room */

static uint8_t has_ibpb, has_l1d_flush;

void flush_init(void)
{
	const struct cpuid_regs c = cpuid(7, 0);

	has_ibpb = c.r[3] >> 26 & 1;
	has_l1d_flush = c.r[3] >> 28 & 1;
}

/* Without the command: read as much of the core's own image as fills the cache. It holds no partition's data. */
static void fill_l1d(void)
{
	const volatile uint8_t *p = (const volatile uint8_t *)CORE_BASE;

	for (uint32_t i = 0; i < L1D_MAX; i += CACHE_LINE)
		(void)p[i];
}

/* 32 calls leave 32 return addresses that lead nowhere but here. */
static void stuff_return_stack(void)
{
	__asm__ volatile("mov $16, %%eax\n"
	                 "1: call 2f\n"
	                 "3: pause; lfence; jmp 3b\n"
	                 "2: call 4f\n"
	                 "5: pause; lfence; jmp 5b\n"
	                 "4: dec %%eax; jnz 1b\n"
	                 "add $256, %%rsp"
	                 :
	                 :
	                 : "eax", "cc", "memory");
}

void flush_for_next_partition(uint8_t what)
{
	const uint16_t selector = SEL_DATA;

	if (what & FLUSH_BRANCH_PREDICTORS && has_ibpb)
		wrmsr(MSR_PRED_CMD, IBPB);
	if (what & FLUSH_RETURN_STACK)
		stuff_return_stack();
	if (what & FLUSH_BUFFERS)
		__asm__ volatile("verw %0" : : "m"(selector) : "cc");
	if (what & FLUSH_L1D && has_l1d_flush)
		wrmsr(MSR_FLUSH_CMD, L1D_FLUSH);
	else if (what & FLUSH_L1D)
		fill_l1d();
}

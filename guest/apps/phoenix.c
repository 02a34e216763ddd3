// SPDX-License-Identifier: Apache-2.0
/*
 * A partition that ends and is started again, PHOENIX_LIVES times: by a triple fault, by forbidden memory, by saying that something is wrong.
 * It counts its lives in the shared memory `lives`, which nobody scrubs, looks whether all is as new, and leaves as much behind as it can:
 *
 *   RESULT phoenix lives=<n> dirty=<what was not as new, bits> strays=<interrupts of a former life> took=<ticks from an end to the next life: min> <max>
 */
#include "hypercall.h"
#include "kit.h"

#ifndef PHOENIX_LIVES
#define PHOENIX_LIVES 1000u
#endif

static volatile struct lives {
	uint64_t count, dirty, strays, died, min, max;
} * lives;

#define MARK 0x5ca1ab1e0ddbull

static uint64_t zero[512]; /* .bss */
static uint64_t data = 1;

static void mark_registers(void)
{
	wrmsr(0xc0000082, MARK); /* LSTAR */
	wrmsr(0x174, 8);         /* SYSENTER_CS */
	__asm__ volatile("mov %0, %%db1" : : "r"(MARK >> 20));
	__asm__ volatile(
		"mov %%cr0, %%rax; and $~12, %%rax; mov %%rax, %%cr0; mov %%cr4, %%rax; or $0x200, %%rax; mov %%rax, %%cr4;"
		"movq %0, %%xmm3"
		:
		: "r"(MARK)
		: "rax");
}

static uint64_t dirty_registers(void)
{
	uint64_t debug, vector;

	__asm__ volatile("mov %%db1, %0" : "=r"(debug));
	__asm__ volatile(
		"mov %%cr0, %%rax; and $~12, %%rax; mov %%rax, %%cr0; mov %%cr4, %%rax; or $0x200, %%rax; mov %%rax, %%cr4;"
		"movq %%xmm3, %0"
		: "=r"(vector)
		:
		: "rax");
	return (uint64_t)(rdmsr(0xc0000082) != 0) | (uint64_t)(rdmsr(0x174) != 0) << 1 | (uint64_t)(debug != 0) << 2 |
	       (uint64_t)(vector != 0) << 3;
}

/* Memory behind the image holds zeros, .bss too, .data its first values. */
static uint64_t dirty_memory(const struct kit_info *info)
{
	uint64_t *behind = (uint64_t *)(info->tables_start - 4096);
	uint64_t dirty = data != 1;

	for (unsigned i = 0; i < 512; i++) {
		dirty |= (uint64_t)(zero[i] != 0) << 1 | (uint64_t)(behind[i] != 0) << 2;
		zero[i] = behind[i] = MARK;
	}
	data = MARK;
	return dirty << 4;
}

static void end(uint64_t how)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	lives->died = rdtsc();
	if (how == 0)
		*(volatile uint64_t *)kit_window(0xf0000000, false) = 1;
	if (how == 1)
		hypercall1(BH_RAISE_ERROR, 7);
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

int main(const struct kit_info *info)
{
	uint64_t took = kit_start_tsc;

	lives = (volatile struct lives *)info->map[0].gpa;
	lives->dirty |= dirty_registers() | dirty_memory(info);
	sti(); /* what its last life has left pending would come now */
	for (unsigned i = 0; i < 4; i++)
		pause();
	cli();
	lives->strays += kit_stray_interrupts;
	mark_registers();
	wrmsr(X2APIC_SELF_IPI, 0x77); /* stay pending */
	wrmsr(X2APIC_SELF_IPI, 0x12);
	if (lives->count++) {
		took -= lives->died;
		lives->min = lives->count == 2 || took < lives->min ? took : lives->min;
		lives->max = took > lives->max ? took : lives->max;
	}
	if (lives->count < PHOENIX_LIVES)
		end(lives->count % 3);
	kit_printf("RESULT phoenix lives=%lu dirty=%lx strays=%lu took=%lu %lu\n", lives->count, lives->dirty,
	           lives->strays, lives->min, lives->max);
	return 0;
}

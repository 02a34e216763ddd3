// SPDX-License-Identifier: Apache-2.0
/*
 * Attempts to bring the virtual CPU into a state that cannot be entered again, or to have an event delivered where
 * there is no memory. Each may end its own partition and nothing else.
 */
#include "fatal.h"

#define ADDRESS 0x000ffffffffff000ull
#define PRESENT_WRITE 3u
#define CPUID_BYTES 0xa20f
#define LAST_TWO 0xffeu
#define CODE32 0x08u

extern void run32(void (*code)(void));
extern void modes32(void), task32(void);
extern struct mode {
	const char *name;
	void (*code)(void);
	int64_t due;
	int32_t got, unused;
} modes[], modes_end[];

/* All that modes.asm tries in the modes an application never sees; got -1: no exception. */
void fatal_modes(const struct kit_info *info)
{
	unsigned wrong = 0;
	(void)info;
	run32(modes32);
	for (const struct mode *m = modes; m < modes_end; m++)
		if (m->got != m->due) {
			kit_printf("BREACH modes %s: vector %d, not %ld\n", m->name, m->got, m->due);
			wrong++;
		}
	kit_printf("RESULT modes tried=%lu wrong=%u\n", (uint64_t)(modes_end - modes), wrong);
}

/* An interrupt through a task gate: the only way to a task switch that does not fault first. */
void fatal_task(const struct kit_info *info)
{
	(void)info;
	run32(task32);
}

static uint64_t tables[3][512] __attribute__((aligned(4096)));
static uint16_t page[2048] __attribute__((aligned(4096)));

/* A CPUID in the last two bytes below `end`, behind which the instruction pointer has nowhere to go. */
static void cpuid_below(uint64_t end)
{
	uint64_t linear = end - 4096, *table = (uint64_t *)(read_cr3() & ADDRESS);
	unsigned next = 0;
	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = &table[linear >> shift & 511];
		if (!(*entry & 1))
			*entry = (uint64_t)tables[next++] | PRESENT_WRITE;
		table = (uint64_t *)(*entry & ADDRESS);
	}
	table[linear >> 12 & 511] = (uint64_t)page | PRESENT_WRITE;
	page[LAST_TWO / 2] = CPUID_BYTES;
}

/* 4 GiB in compatibility mode: RIP would get a 33rd bit. */
void fatal_wrap(const struct kit_info *info)
{
	(void)info;
	cpuid_below(1ull << 32);
	__asm__ volatile("push %0; push %1; lretq" : : "r"((uint64_t)CODE32), "r"((1ull << 32) - 2) : "memory");
}

static void call(void *code)
{
	__asm__ volatile("call *%0" : : "r"(code) : "rax", "rbx", "rcx", "rdx", "memory");
}

/* The end of the lower canonical half in 64-bit mode: #GP behind it, as on the bare machine. */
void fatal_edge(const struct kit_info *info)
{
	(void)info;
	cpuid_below(1ull << 47);
	int vector = kit_try(call, (void *)((1ull << 47) - 2));
	kit_printf("RESULT edge vector=%d rip=%lx\n", vector, kit_fault.rip);
}

/* The IDT where there is no memory: the interrupt, then #GP, then #DF find no gate. */
void fatal_idt(const struct kit_info *info)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { 0xfff, (uint64_t)kit_window(info->memory_size + (1ull << 32), false) };
	__asm__ volatile("lidt %0; int $0x41" : : "m"(idtr));
}

/* The stack where there is no memory: #UD, then #GP cannot be delivered, #DF can, on its own stack. */
void fatal_stack(const struct kit_info *info)
{
	uint64_t foreign = (uint64_t)kit_window(info->memory_size + (1ull << 32), false);
	__asm__ volatile("mov %0, %%rsp; ud2" : : "r"(foreign + 4096));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * One attack that ends its partition or never ends: hostile_<kind>.elf. The line `ATTACK <kind> begin` comes first;
 * what comes after is for the hypervisor to report. `ATTACK <kind> over` means that the attack had no effect.
 */
#include "fatal/fatal.h"
#include "hostile/note.h"
#include "hypercall.h"

#ifndef FATAL_KIND
#error "FATAL_KIND is the name of an attack of fatal.h without fatal_"
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#define WATCHED_MS 500u /* how long the neighbour goes on measuring */
#define DB_VECTOR 1
#define DR7_L0_WRITE_8 (1u | 1u << 16 | 2u << 18) /* DR0: writes of 8 bytes, SDM Vol. 3B, 18.2.4 */
#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4610u
#define ICR_ALL (2u << 18)

extern const uint8_t fatal_ac_code[];

/* With interrupts off nothing but an NMI gets the CPU back. */
void fatal_loop(const struct kit_info *info)
{
	(void)info;
	__asm__ volatile("cli; 1: jmp 1b");
}

void fatal_hlt(const struct kit_info *info)
{
	(void)info;
	__asm__ volatile("cli; hlt; cli; hlt");
}

void fatal_triple(const struct kit_info *info)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };
	(void)info;
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

/* The kit's own end: registers on the console, BH_STOP with 134. */
void fatal_ud(const struct kit_info *info)
{
	(void)info;
	__asm__ volatile("ud2");
}

/* Page tables in foreign memory: the next fetch cannot be translated, nor any handler. */
void fatal_cr3(const struct kit_info *info)
{
	write_cr3((info->memory_size + (1ull << 32)) & ~0xfffull);
}

/* A single foreign read, as an application with a wild pointer would do it. */
void fatal_read(const struct kit_info *info)
{
	uint64_t foreign = info->memory_size;
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (info->map[i].gpa + info->map[i].size > foreign)
			foreign = info->map[i].gpa + info->map[i].size;
	(void)*(volatile uint64_t *)kit_window(foreign, false);
}

/* A data breakpoint on the stack that #DB itself is delivered on: each delivery raises the next, no instruction
 * runs between (CVE-2015-8104). IST, so that each delivery writes the same words. */
void fatal_db(const struct kit_info *info)
{
	uint64_t watched = (uint64_t)kit_ist1_top - 8;
	(void)info;
	kit_gate_ist1(DB_VECTOR);
	__asm__ volatile("mov %0, %%dr0" : : "r"(watched));
	write_dr7(DR7_L0_WRITE_8);
	__asm__ volatile("movq $0, (%0)" : : "r"(watched) : "memory");
}

/* #AC whose handler stands at CPL 3 on a stack that is not aligned: delivery raises #AC (CVE-2015-5307). In 64-bit mode
 * the CPU aligns the stack, so this leaves long mode: fatal/ac.asm. */
void fatal_ac(const struct kit_info *info)
{
	(void)info;
	__asm__ volatile("push $0x08; push %0; lretq" : : "r"((uint64_t)fatal_ac_code));
}

static void write_icr(void *value)
{
	wrmsr(X2APIC_ICR, *(uint64_t *)value);
}

void fatal_init(const struct kit_info *info)
{
	uint64_t self = rdmsr(X2APIC_ID) << 32;
	uint64_t commands[] = { self | ICR_SIPI, ICR_ALL | ICR_SIPI, ICR_ALL | ICR_INIT, self | ICR_INIT };
	(void)info;
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
		kit_printf("hostile: ICR %lx gives %d\n", commands[i], kit_try(write_icr, &commands[i]));
}

void fatal_storm(const struct kit_info *info)
{
	(void)info;
	for (;;) {
		cpuid(0, 0);
		inb(0x80);
		if (kit_on_bulkhead())
			hypercall1(BH_VERSION, 0);
	}
}

int main(const struct kit_info *info)
{
	volatile struct note *note = note_find(info);
	kit_printf("ATTACK " TEXT(FATAL_KIND) " begin\n");
	wait_until(after_loader(ATTACK_BEGIN_MS));
	note_attack(note, "attack"); /* several may write it at once */
	note->until = rdtsc() + WATCHED_MS * kit_tsc_khz();
	JOIN(fatal_, FATAL_KIND)(info);
	kit_printf("ATTACK " TEXT(FATAL_KIND) " over\n");
	return 2;
}

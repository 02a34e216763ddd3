// SPDX-License-Identifier: Apache-2.0
/*
 * The instructions of instructions.asm, each with a timer running that wakes it if it waits; and CPUID with every leaf.
 */
#include "hostile.h"

#define CR4_STATE (1ull << 9 | 1ull << 10 | 1ull << 18) /* OSFXSR, OSXMMEXCPT, OSXSAVE */
#define LEAVES 0x140u
#define SUBLEAVES 6u

extern const struct snippet {
	const char *name;
	void (*code)(void *);
} snippets[], snippets_end[];

static void set_deadline(void *ticks)
{
	kit_timer_at(rdtsc() + (uint64_t)ticks);
}

static void set_cr4(void *value)
{
	write_cr4((uint64_t)value);
}

/* The first time lines of some snippets each: name=vector, "-" for none. */
void attack_instructions(struct attack *a, const struct kit_info *info)
{
	void *ms = (void *)kit_tsc_khz();
	uint64_t cr4 = read_cr4();
	char line[256];
	size_t used = 0;
	bool first = a->tried == 0;
	(void)info;
	kit_try(set_cr4, (void *)(cr4 | CR4_STATE)); /* the XSAVE family as far as the CPU has it */
	for (const struct snippet *s = snippets; s < snippets_end; s++) {
		kit_try(set_deadline, ms);
		bool ran = attempt(a, s->code, 0);
		size_t left = sizeof line - used;
		used += (size_t)(ran ? kit_snprintf(line + used, left, " %s=-", s->name) :
		                       kit_snprintf(line + used, left, " %s=%lu", s->name, kit_fault.vector));
		if (used < 110 && s + 1 < snippets_end)
			continue;
		if (first)
			kit_printf("hostile:%s\n", line);
		used = 0;
	}
	write_cr4(cr4);
}

/* What must be hidden from every partition: MONITOR, VMX, SMX; and what the kit needs shown: x2APIC, TSC deadline. */
void attack_cpuid(struct attack *a, const struct kit_info *info)
{
	static const uint32_t base[] = { 0, 0x20000000, 0x40000000, 0x40000100, 0x80000000, 0x8fffffff, 0xc0000000 };
	(void)info;
	for (unsigned b = 0; b < sizeof base / sizeof base[0]; b++)
		for (uint32_t leaf = 0; leaf < LEAVES; leaf++)
			for (uint32_t subleaf = 0; subleaf < SUBLEAVES; subleaf++) {
				cpuid(base[b] + leaf, subleaf < SUBLEAVES - 1 ? subleaf : 0xffffffff);
				a->tried++;
			}
	if (cpuid(1, 0).ecx & (1u << 3 | 1u << 5 | 1u << 6))
		breach(a, "CPUID.1:ECX", cpuid(1, 0).ecx);
}

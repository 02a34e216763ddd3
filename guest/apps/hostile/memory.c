// SPDX-License-Identifier: Apache-2.0
/*
 * Foreign memory: reads, writes and executes at each page of guest-physical space that is not the partition's own; and
 * what its own maps do not allow.
 */
#include "hostile.h"

#define PAGE 4096ull
#ifndef HOSTILE_DENSE
#define HOSTILE_DENSE (1ull << 30) /* up to here each page is tried */
#endif
#define SPARSE_RANDOM 256u
#define GP_VECTOR 13u

enum { READ = 1, WRITE = 2, EXECUTE = 4 };

/* APIC, I/O APIC, HPET, TPM, flash, ECAM and VT-d as boards have them. */
static const uint64_t known[] = {
	0xfee00000, 0xfec00000, 0xfed00000, 0xfed40000, 0xfed90000, 0xfed91000, 0xfed10000, 0xfe000000,
	0xffc00000, 0xffe00000, 0xfffff000, 0xb0000000, 0xc0000000, 0xe0000000, 0xf0000000, 0x80000000,
};

static uint64_t scratch[512] __attribute__((aligned(4096)));

static void read_page(void *linear)
{
	(void)*(volatile uint64_t *)linear;
}

static void write_page(void *linear)
{
	*(volatile uint64_t *)linear = 0x5a5a5a5a5a5a5a5a;
}

/* Registers point to memory of ours and the stack has room above, lest what is found there does damage at random. */
static void execute_page(void *linear)
{
	__asm__ volatile("mov %1, %%rcx; mov %1, %%rdx; mov %1, %%rsi; mov %1, %%rdi; mov %1, %%rax\n"
	                 "sub $1024, %%rsp; call *%0; add $1024, %%rsp"
	                 :
	                 : "r"(linear), "b"(scratch + 256)
	                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static uint32_t own_rights(const struct kit_info *info, uint64_t gpa)
{
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (gpa - info->map[i].gpa < info->map[i].size)
			return info->map[i].rights;
	return gpa < info->memory_size ? READ | WRITE | EXECUTE : 0;
}

/* Every access that `rights` does not allow. A breach is whatever does not end in #GP at the access itself. */
static void probe(struct attack *a, uint64_t gpa, uint32_t rights)
{
	void *linear = kit_window(gpa, false);
	if (!(rights & READ) && attempt(a, read_page, linear))
		breach(a, "read", gpa);
	if (!(rights & WRITE) && attempt(a, write_page, linear))
		breach(a, "write", gpa);
	if (!(rights & EXECUTE) &&
	    (attempt(a, execute_page, linear) || kit_fault.vector != GP_VECTOR || kit_fault.rip != (uint64_t)linear))
		breach(a, "execute", gpa);
}

static void probe_foreign(struct attack *a, const struct kit_info *info, uint64_t gpa)
{
	unsigned bits = cpuid(0x80000000, 0).eax >= 0x80000008 ? cpuid(0x80000008, 0).eax & 0xff : 36;
	if (gpa >> (bits ? bits : 36) == 0 && own_rights(info, gpa) == 0)
		probe(a, gpa, 0);
}

void attack_memory(struct attack *a, const struct kit_info *info)
{
	if (info->map_count > KIT_INFO_MAPS)
		kit_printf("hostile: kit_info lists %u of %u maps: the others will be taken for breaches\n",
		           KIT_INFO_MAPS, info->map_count);
	for (uint64_t gpa = 0; gpa < HOSTILE_DENSE; gpa += PAGE)
		if (own_rights(info, gpa) == 0)
			probe(a, gpa, 0);
	for (unsigned shift = 20; shift < 46; shift++) {
		probe_foreign(a, info, 1ull << shift);
		probe_foreign(a, info, (1ull << shift) - PAGE);
		probe_foreign(a, info, (1ull << shift) + PAGE);
	}
	for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
		probe_foreign(a, info, known[i]);
	for (unsigned i = 0; i < SPARSE_RANDOM; i++)
		probe_foreign(a, info, random_number() & ((1ull << 39) - PAGE));
}

/* First and last page of each map that lacks a right. */
void attack_rights(struct attack *a, const struct kit_info *info)
{
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++) {
		probe(a, info->map[i].gpa, info->map[i].rights);
		probe(a, info->map[i].gpa + info->map[i].size - PAGE, info->map[i].rights);
	}
}

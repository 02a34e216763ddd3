// SPDX-License-Identifier: Apache-2.0
/*
 * State that could make the next VM entry fail, or outlive an exit: single steps over exits, combinations of control
 * register bits, memory types, and values that the CPU must refuse.
 */
#include "hostile.h"

#define COMBINATIONS 3000u
#define CR0_PE 1ull
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define DR6_BS (1ull << 14)
#define EFER 0xc0000080u
#define EFER_LME (1ull << 8)
#define EFER_NXE (1ull << 11)
#define PAT 0x277u
#define DEBUGCTL 0x1d9u
#define DB_VECTOR 1u

extern const struct step {
	const char *name;
	void (*code)(void *);
	uint64_t where, vector;
} steps[], steps_end[];

void attack_step(struct attack *a, const struct kit_info *info)
{
	(void)info;
	for (const struct step *s = steps; s < steps_end; s++) {
		write_dr6(0);
		bool ran = attempt(a, s->code, 0);
		if (!ran && kit_fault.vector == s->vector && kit_fault.rip == s->where)
			continue;
		kit_printf("hostile: step over %s: vector %ld at %lx, not %lu at %lx\n", s->name,
		           ran ? -1 : (int64_t)kit_fault.vector, kit_fault.rip, s->vector, s->where);
		breach(a, "single step", s->where);
	}
	write_dr6(0);
}

static void set_cr0(void *value)
{
	write_cr0((uint64_t)value);
}

static void set_cr4(void *value)
{
	write_cr4((uint64_t)value);
}

static void set_cr3(void *value)
{
	write_cr3((uint64_t)value);
}

static void set_efer(void *value)
{
	wrmsr(EFER, (uint64_t)value);
}

/* Random bits, mostly near what was there; each other number has its upper half clear. */
static uint64_t mutation(uint64_t value)
{
	uint64_t r = random_number(), bits = random_number() & random_number();
	return value ^ (r & 1 ? bits : bits & 0xffffffff);
}

/* SDM Vol. 3A, 2.5 and 4.1.2, in 64-bit mode. Whatever is accepted, the next exit and entry must live with it. */
void attack_combine(struct attack *a, const struct kit_info *info)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4(), efer = rdmsr(EFER);
	(void)info;
	for (unsigned i = 0; i < COMBINATIONS; i++) {
		uint64_t v = mutation(cr0);
		if (attempt(a, set_cr0, (void *)v)) {
			cpuid(0, 0);
			if (v >> 32 || !(v & CR0_PG) || !(v & CR0_PE) || (v & (CR0_NW | CR0_CD)) == CR0_NW)
				breach(a, "CR0", v);
		}
		kit_try(set_cr0, (void *)cr0);
		v = mutation(cr4);
		if (attempt(a, set_cr4, (void *)v)) {
			cpuid(0, 0);
			if (v >> 32 || !(v & CR4_PAE))
				breach(a, "CR4", v);
		}
		kit_try(set_cr4, (void *)cr4);
		v = mutation(efer) | EFER_NXE;
		if (attempt(a, set_efer, (void *)v)) {
			cpuid(0, 0);
			if (v & ~0xd01ull || !(v & EFER_LME))
				breach(a, "EFER", v);
		}
		kit_try(set_efer, (void *)efer);
	}
	attempt(a, set_cr3, (void *)(read_cr3() | 1ull << 51)); /* beyond MAXPHYADDR */
}

/*
 * Caches off, odd PATs, MTRRs. Whether root mode stays cached cannot be observed on an emulator without caches; that
 * what was written is either refused or kept from the hardware's CR0 and MTRRs can.
 */
void attack_caching(struct attack *a, const struct kit_info *info)
{
	uint64_t cr0 = read_cr0(), pat = rdmsr(PAT);
	(void)info;
	for (uint64_t bits = 0; bits < 4; bits++) {
		attempt(a, set_cr0, (void *)((cr0 & ~(CR0_CD | CR0_NW)) | bits << 29));
		cpuid(0, 0);
	}
	kit_try(set_cr0, (void *)cr0);
	for (unsigned type = 0; type < 16; type++) {
		bool valid = type <= 1 || (type >= 4 && type <= 7);
		if (wrote(a, PAT, type * 0x0101010101010101) != valid || wrote(a, PAT, (uint64_t)type << 56) != valid)
			breach(a, "PAT type", type);
		cpuid(0, 0);
	}
	wrote(a, PAT, pat);
	for (uint32_t number = 0x200; number < 0x270; number++)
		if (wrote(a, number, 6) || wrote(a, number, 0x800))
			breach(a, "MTRR", number);
	if (wrote(a, 0x2ff, 0xc06) || wrote(a, 0xfe, 0))
		breach(a, "MTRR", 0x2ff);
}

/* Addresses that are not canonical, and bits that no guest may have: refused, or without effect. */
void attack_values(struct attack *a, const struct kit_info *info)
{
	static const uint32_t address[] = { 0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102 };
	static const uint64_t odd[] = { 1ull << 47, 1ull << 63, 0x7fffffffffffffff, 0xffff7fffffffffff,
		                        0xdeadull << 48 };
	(void)info;
	for (unsigned i = 0; i < sizeof address / sizeof address[0]; i++) {
		uint64_t before = rdmsr(address[i]);
		for (unsigned k = 0; k < sizeof odd / sizeof odd[0]; k++)
			if (wrote(a, address[i], odd[k]))
				breach(a, "not canonical", address[i]);
		wrote(a, address[i], before);
		cpuid(0, 0);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		wrote(a, DEBUGCTL, 1ull << bit); /* BTF, LBR, branch tracing, freeze on SMI */
		if (rdmsr(DEBUGCTL))
			breach(a, "DEBUGCTL", bit);
	}
}

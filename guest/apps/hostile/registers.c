// SPDX-License-Identifier: Apache-2.0
/*
 * Control, extended control and debug registers: each bit flipped by itself, then put back. Clearing CR0.PG or PE
 * and CR4.PAE is tried as well: in 64-bit mode each is #GP (SDM Vol. 3A, 4.1.2). Leaving paging for good: fatal_ac.
 */
#include "hostile.h"

#define CR0_PG_PE 0x80000001ull
#define UPPER_HALF 0xffffffff00000000ull
#define CR4_OSXSAVE (1ull << 18)
/* PAE, LA57, VMXE, SMXE, bit 15, KL, and from PKE on: fixed in 64-bit mode, or hidden from every partition. */
#define CR4_FORBIDDEN (1ull << 5 | 0xfull << 12 | 1ull << 19 | ~0ull << 22)
#define CR3_FORBIDDEN (0x1ffull << 52) /* bits 61 and 62 are LAM's, where the CPU has it */

static uint64_t saved, seen;

#define FLIP(name)                                   \
	static void flip_##name(void *bit)           \
	{                                            \
		write_##name(saved ^ (uint64_t)bit); \
		seen = read_##name();                \
		write_##name(saved);                 \
	}                                            \
	static void restore_##name(void *unused)     \
	{                                            \
		(void)unused;                        \
		write_##name(saved);                 \
	}
FLIP(cr0)
FLIP(cr3)
FLIP(cr4)
FLIP(cr8)
FLIP(dr6)
FLIP(dr7)

static void each_bit(struct attack *a, uint64_t value, unsigned first, void (*flip)(void *), void (*restore)(void *),
                     uint64_t forbidden)
{
	for (unsigned i = first; i < 64; i++) {
		saved = value;
		if (attempt(a, flip, (void *)(1ull << i)) && forbidden >> i & 1 && seen != value)
			breach(a, "bit flipped", i);
		kit_try(restore, 0);
	}
}

void attack_cr(struct attack *a, const struct kit_info *info)
{
	uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
	(void)info;
	each_bit(a, cr0, 0, flip_cr0, restore_cr0, CR0_PG_PE | UPPER_HALF);
	each_bit(a, cr4, 0, flip_cr4, restore_cr4, CR4_FORBIDDEN);
	each_bit(a, cr3, 52, flip_cr3, restore_cr3, CR3_FORBIDDEN);
	each_bit(a, 0, 0, flip_cr8, restore_cr8, ~0xfull);
	if (read_cr0() != cr0)
		breach(a, "CR0 changed", read_cr0());
	if (read_cr4() != cr4)
		breach(a, "CR4 changed", read_cr4());
}

struct xcr_write {
	uint32_t number;
	uint64_t value;
};

static void write_xcr(void *argument)
{
	const struct xcr_write *w = argument;
	xsetbv(w->number, w->value);
}

/* XCR0: bit 0 must be 1; AVX needs SSE; the three AVX-512 bits go together (SDM Vol. 1, 13.3). */
static bool xcr0_valid(uint64_t v)
{
	uint64_t avx512 = v & 0xe0, amx = v & 0x60000;
	return v & 1 && (!(v & 4) || v & 2) && (!avx512 || (avx512 == 0xe0 && v & 4)) &&
	       (!(v & 0x18) || (v & 0x18) == 0x18) && (!amx || amx == 0x60000);
}

static void try_xcr(struct attack *a, uint32_t number, uint64_t value, uint64_t allowed)
{
	struct xcr_write w = { number, value };
	if (attempt(a, write_xcr, &w) && (number != 0 || value & ~allowed || !xcr0_valid(value)))
		breach(a, "XSETBV", value);
}

void attack_xcr(struct attack *a, const struct kit_info *info)
{
	uint64_t cr4 = read_cr4();
	(void)info;
	if (!(cpuid(1, 0).ecx & 1u << 26)) {
		try_xcr(a, 0, 1, 0); /* no XSAVE: #UD */
		return;
	}
	write_cr4(cr4 | CR4_OSXSAVE);
	struct cpuid leaf = cpuid(0xd, 0);
	uint64_t before = xgetbv(0), allowed = (uint64_t)leaf.edx << 32 | leaf.eax;
	try_xcr(a, 0, 0, allowed);
	try_xcr(a, 0, ~0ull, allowed);
	for (unsigned i = 0; i < 64; i++) {
		try_xcr(a, 0, 1ull << i, allowed);
		try_xcr(a, 0, 1ull << i | 1, allowed);
		try_xcr(a, 0, 1ull << i | 7, allowed);
	}
	for (uint64_t v = 0; v < 0x400; v++)
		try_xcr(a, 0, v, allowed);
	for (uint32_t number = 1; number < 32; number++)
		try_xcr(a, number, 1, allowed);
	try_xcr(a, 0xffffffff, 1, allowed);
	xsetbv(0, before);
	write_cr4(cr4);
}

/* DR7.GD makes the next MOV DR raise #DB, which clears GD: restoring takes a second try. */
void attack_dr(struct attack *a, const struct kit_info *info)
{
	uint64_t dr6 = read_dr6(), dr7 = read_dr7();
	(void)info;
	each_bit(a, dr7, 0, flip_dr7, restore_dr7, UPPER_HALF);
	kit_try(restore_dr7, 0);
	each_bit(a, dr6, 0, flip_dr6, restore_dr6, UPPER_HALF);
	if (read_dr7() != dr7)
		breach(a, "DR7 changed", read_dr7());
}

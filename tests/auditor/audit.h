// SPDX-License-Identifier: Apache-2.0
/* Shared by the parts of the auditor. */
#ifndef TESTS_AUDITOR_AUDIT_H
#define TESTS_AUDITOR_AUDIT_H

#include "core/x86.h"
#include "tests/auditor/auditor.h"
#include "tests/auditor/vmcs.h"

#define CR4_CET (1ull << 23)
#define RFLAGS_VM (1ull << 17)

struct audit {
	const struct vmcs_image *v;
	const struct vmx_caps *caps;
	uint32_t field;                         /* that the broken rule is about */
	uint32_t unwritten;                     /* the first field that mattered but was never written, or NO_FIELD */
	uint32_t pin, proc, proc2, exit, entry; /* control words; proc2 is 0 unless activated */
	uint64_t proc3;
};
#define NO_FIELD UINT32_MAX

#define RULE(holds, section, text, which)         \
	do {                                      \
		if (!(holds)) {                   \
			a->field = (which);       \
			return section ": " text; \
		}                                 \
	} while (0)
#define IMPLIES(p, q) (!(p) || (q))
#define PART(call)                           \
	do {                                 \
		const char *broken = (call); \
		if (broken)                  \
			return broken;       \
	} while (0)

static inline uint64_t get(struct audit *a, uint32_t field)
{
	if (a->unwritten == NO_FIELD &&
	    !a->v->written[(field >> 13 & 3) << 8 | (field >> 10 & 3) << 6 | (field >> 1 & 63)])
		a->unwritten = field;
	return vmcs_image_read(a->v, field);
}

/* A physical address that the CPU can make, with its low `align` bits 0. */
static inline int physical(const struct audit *a, uint64_t address, unsigned align)
{
	unsigned bits = a->caps->basic & VMX_BASIC_32BIT_ADDRESSES ? 32 : a->caps->physical_bits;
	return (address & ((1ull << align) - 1)) == 0 && address >> bits == 0;
}

static inline int canonical(const struct audit *a, uint64_t address)
{
	unsigned shift = 64 - a->caps->linear_bits;
	return (uint64_t)((int64_t)(address << shift) >> shift) == address;
}

static inline int fixed(uint64_t value, uint64_t fixed0, uint64_t fixed1)
{
	return (value & fixed0) == fixed0 && (value & ~fixed1) == 0;
}

/* IA32_PAT: every byte is a memory type (SDM Vol. 3A, 12.12.2). */
static inline int pat_valid(uint64_t pat)
{
	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t type = pat >> i & 0xff;
		if (type > 7 || type == 2 || type == 3)
			return 0;
	}
	return 1;
}

/* IA32_S_CET: reserved bits 9:6, and SUPPRESS and TRACKER not both. */
static inline int s_cet_valid(uint64_t s_cet)
{
	return (s_cet & 0x3c0) == 0 && (s_cet & 0xc00) != 0xc00;
}

#define EFER_DEFINED (1ull | EFER_LME | EFER_LMA | EFER_NXE)

const char *audit_controls(struct audit *a);
const char *audit_host(struct audit *a);
const char *audit_guest(struct audit *a);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Guest state that neither the VMCS nor the exit path holds, at a switch between vCPUs: extended registers, debug
 * registers, CR2, and the MSRs that pass through. What is not switched here would be seen by the next guest.
 */
#include "core/lib.h"
#include "core/x86.h"
#include "scheduled.h"

#define MSR_STAR 0xc0000081u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_SPEC_CTRL 0x48u

/*
 * Writes to most of these exit (vmx/scheduled.c), so that `msr` always has their values and only KERNEL_GS_BASE, which
 * SWAPGS changes, and SPEC_CTRL are read at a switch.
 */
static const uint32_t number[SCHEDULED_MSRS] = { MSR_STAR,    MSR_LSTAR,    MSR_CSTAR,          MSR_FMASK,
	                                         MSR_TSC_AUX, MSR_IA32_XSS, MSR_KERNEL_GS_BASE, MSR_SPEC_CTRL };
enum { FIRST_THAT_EXITS, TSC_AUX = 4, XSS, KERNEL_GS_BASE, SPEC_CTRL };
_Static_assert(SPEC_CTRL + 1 == SCHEDULED_MSRS, "a slot each");

static uint8_t has_spec_ctrl;

int switch_msr_slot(uint32_t msr)
{
	for (int i = FIRST_THAT_EXITS; i < KERNEL_GS_BASE; i++)
		if (number[i] == msr)
			return i;
	return -1;
}

static void save_msrs(uint64_t *msr)
{
	msr[KERNEL_GS_BASE] = rdmsr(MSR_KERNEL_GS_BASE);
	if (has_spec_ctrl)
		msr[SPEC_CTRL] = rdmsr(MSR_SPEC_CTRL);
}

/* What is equal is there already; what this CPU does not have is 0 in both. */
static void load_msrs(const uint64_t *msr, const uint64_t *last)
{
	for (uint32_t i = 0; i < SCHEDULED_MSRS; i++)
		if (msr[i] != last[i])
			wrmsr(number[i], msr[i]);
}

static void save_debug(struct scheduled_vcpu *v)
{
	__asm__ volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3"
	                 : "=r"(v->dr[0]), "=r"(v->dr[1]), "=r"(v->dr[2]), "=r"(v->dr[3]));
	v->dr6 = read_dr6();
}

static void load_debug(const struct scheduled_vcpu *v)
{
	__asm__ volatile("mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3"
	                 :
	                 : "r"(v->dr[0]), "r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]));
	write_dr6(v->dr6);
}

static inline void write_cr2(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr2" : : "r"(v));
}

/*
 * All components are saved and loaded, also those that the guest has switched off in its own XCR0: else it would find the last
 * guest's values when it switches them on.
 */
static inline void save(struct scheduled_vcpu *from, uint64_t xcr0_all)
{
	from->xcr0 = xgetbv0();
	if (from->xcr0 != xcr0_all)
		xsetbv0(xcr0_all);
	__asm__ volatile("xsave64 %0" : "=m"(from->fpu) : "a"(~0u), "d"(~0u));
	save_msrs(from->msr);
	save_debug(from);
	from->cr2 = read_cr2();
}

/* XCR0 is `xcr0_all`; the MSRs have the values of `last`. */
static inline void load(const struct scheduled_vcpu *to, const uint64_t *last, uint64_t xcr0_all)
{
	__asm__ volatile("xrstor64 %0" : : "m"(to->fpu), "a"(~0u), "d"(~0u));
	if (to->xcr0 != xcr0_all)
		xsetbv0(to->xcr0);
	load_msrs(to->msr, last);
	load_debug(to);
	write_cr2(to->cr2);
}

void switch_state(struct scheduled_vcpu *from, struct scheduled_vcpu *to, uint64_t xcr0_all)
{
	save(from, xcr0_all);
	load(to, from->msr, xcr0_all);
}

void switch_state_clean(struct scheduled_vcpu *v, int loaded, uint64_t xcr0_all)
{
	uint64_t last[SCHEDULED_MSRS];

	if (loaded)
		save(v, xcr0_all);
	memcpy(last, v->msr, sizeof last);
	switch_state_init(v);
	if (loaded)
		load(v, last, xcr0_all);
}

/* As after RESET: an XSAVE header of zeros gives every component its initial state (SDM Vol. 1, 13.6); MXCSR is loaded from the area. */
void switch_state_init(struct scheduled_vcpu *v)
{
	const uint32_t mxcsr = 0x1f80;

	memset(v->fpu, 0, sizeof v->fpu);
	memcpy(v->fpu + 24, &mxcsr, sizeof mxcsr);
	memset(v->msr, 0, sizeof v->msr);
	memset(v->dr, 0, sizeof v->dr);
	v->dr6 = 0xffff0ff0;
	v->cr2 = 0;
	v->xcr0 = 1;
}

/* The state that switch_state_init() describes, in the CPU. */
void switch_state_first(void)
{
	has_spec_ctrl = cpuid(7, 0).r[3] >> 26 & 1;
	for (uint32_t i = FIRST_THAT_EXITS; i < TSC_AUX; i++)
		wrmsr(number[i], 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	if (cpuid(0x80000001, 0).r[3] >> 27 & 1)
		wrmsr(MSR_TSC_AUX, 0);
	if (cpuid(0, 0).r[0] >= 0xd && cpuid(0xd, 1).r[0] >> 3 & 1)
		wrmsr(MSR_IA32_XSS, 0);
	if (has_spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, 0);
}

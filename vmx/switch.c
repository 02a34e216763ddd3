// SPDX-License-Identifier: Apache-2.0
/*
 * Guest state that neither the VMCS nor the exit path holds, at a switch between vCPUs: extended registers, debug
 * registers, CR2, and the MSRs that pass through. What is not switched here would be seen by the next guest.
 */
#include "core/lib.h"
#include "core/x86.h"
#include "scheduled.h"

#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_SPEC_CTRL 0x48u

static const uint32_t always[] = { MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_KERNEL_GS_BASE };
enum { SLOT_TSC_AUX = 5, SLOT_XSS, SLOT_SPEC_CTRL };
_Static_assert(SLOT_SPEC_CTRL < SCHEDULED_MSRS, "room for each");

/* MSRs that only some CPUs have; found once per CPU would save the CPUID, which costs an exit nowhere in root mode. */
static uint8_t has_tsc_aux, has_xss, has_spec_ctrl;

static void save_msrs(uint64_t *msr)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(always); i++)
		msr[i] = rdmsr(always[i]);
	if (has_tsc_aux)
		msr[SLOT_TSC_AUX] = rdmsr(MSR_TSC_AUX);
	if (has_xss)
		msr[SLOT_XSS] = rdmsr(MSR_IA32_XSS);
	if (has_spec_ctrl)
		msr[SLOT_SPEC_CTRL] = rdmsr(MSR_SPEC_CTRL);
}

static void load_msrs(const uint64_t *msr)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(always); i++)
		wrmsr(always[i], msr[i]);
	if (has_tsc_aux)
		wrmsr(MSR_TSC_AUX, msr[SLOT_TSC_AUX]);
	if (has_xss)
		wrmsr(MSR_IA32_XSS, msr[SLOT_XSS]);
	if (has_spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, msr[SLOT_SPEC_CTRL]);
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
	                 : : "r"(v->dr[0]), "r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]));
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
void switch_state(struct scheduled_vcpu *from, struct scheduled_vcpu *to, uint64_t xcr0_all)
{
	if (from) {
		from->xcr0 = xgetbv0();
		xsetbv0(xcr0_all);
		__asm__ volatile("xsave64 %0" : "=m"(from->fpu) : "a"(~0u), "d"(~0u));
		save_msrs(from->msr);
		save_debug(from);
		from->cr2 = read_cr2();
	}
	if (to) {
		xsetbv0(xcr0_all);
		__asm__ volatile("xrstor64 %0" : : "m"(to->fpu), "a"(~0u), "d"(~0u));
		xsetbv0(to->xcr0);
		load_msrs(to->msr);
		load_debug(to);
		write_cr2(to->cr2);
	}
}

/* As after RESET: XSAVE header of zeros gives every component its initial state, but for x87 control word and MXCSR, which XRSTOR
 * then initialises too (SDM Vol. 1, 13.6 and 13.8.1; MXCSR is loaded from the area). */
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
	has_tsc_aux = cpuid(0x80000001, 0).r[3] >> 27 & 1;
	has_xss = cpuid(0, 0).r[0] >= 0xd && (cpuid(0xd, 1).r[0] >> 3 & 1);
	has_spec_ctrl = cpuid(7, 0).r[3] >> 26 & 1;
}

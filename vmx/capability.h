// SPDX-License-Identifier: Apache-2.0
/*
 * What this CPU's VMX can do, against what Bulkhead needs: one table (vmx/capability.c). SDM Vol. 3D, Appendix A.
 */
#ifndef VMX_CAPABILITY_H
#define VMX_CAPABILITY_H

#include <stdint.h>

/*
 * Look at every line of the table on this CPU. Bit n of *must and *nice: line n, required or only better, is missing.
 * Reads CPUID and, if the CPU has VMX at all, the capability MSRs. Any CPU, before VMXON.
 */
void vmx_check_capabilities(uint64_t *must, uint64_t *nice);

/* Name of line n for people: the SDM's name, register and bit. */
const char *vmx_capability_name(uint32_t line);
#define VMX_CAPABILITY_LINES 64u

/* IA32_FEATURE_CONTROL as the firmware left it (SDM Vol. 3C, 24.7). */
enum feature_control { FEATURE_CONTROL_READY, FEATURE_CONTROL_UNLOCKED, FEATURE_CONTROL_LOCKED_OFF };
enum feature_control vmx_feature_control(uint64_t msr);

/* Turn VMX on on this CPU: feature control, fixed bits, VMXON, and stale translations dropped. Checked before; panic if it
 * fails. Once per CPU. `region` is a zeroed page of this CPU's. */
void vmx_on(uint8_t *region, uint64_t region_phys);

/* `want`, with the bits that must be 1, without those that may not be 1. `msr`: the capability MSR of the control word;
 * the TRUE variants are used. */
uint32_t vmx_adjust(uint32_t msr, uint32_t want);

/* May executable large EPT pages let a guest machine-check this CPU? Unless IA32_ARCH_CAPABILITIES denies it. */
int vmx_itlb_multihit(void);

/* 1 GiB EPT pages. */
int vmx_ept_1g(void);

#endif

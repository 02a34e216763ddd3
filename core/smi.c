// SPDX-License-Identifier: Apache-2.0
#include "smi.h"

#include "cpu.h"
#include "x86.h"

#define MSR_SMI_COUNT 0x34u
#define VENDOR_INTEL 0x756e6547u /* "Genu", EBX of leaf 0: other makers have other MSRs there */

void smi_init(void)
{
	uint64_t count;

	this_cpu->scheduled.counts_smis = cpuid(0, 0).r[1] == VENDOR_INTEL && cpu_probe_msr(MSR_SMI_COUNT, &count);
}

uint64_t smi_count(void)
{
	return this_cpu->scheduled.counts_smis ? rdmsr(MSR_SMI_COUNT) & UINT32_MAX : SMI_UNKNOWN;
}

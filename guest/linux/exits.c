// SPDX-License-Identifier: Apache-2.0
/*
 * A program of Linux partitions: prints this vCPU's VM exits so far as "all=N forbidden=N 10=N ...", the numbers being
 * basic exit reasons (SDM Vol. 3D, appendix C). Elsewhere than on Bulkhead: "all=0". The partition needs
 * `hypercalls: [counters]` and `hypercalls_from_user: true`.
 */
#include <cpuid.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "guest/kit/hypercall.h"

#define REASONS 80u

static int on_bulkhead(void)
{
	unsigned a, signature[3];

	__cpuid(1, a, signature[0], signature[1], signature[2]);
	if ((signature[1] >> 31 & 1) == 0) /* no hypervisor: leaf 40000100h would be the CPU's last one */
		return 0;
	__cpuid(BH_CPUID_LEAF, a, signature[0], signature[1], signature[2]);
	return memcmp(signature, "Bulkhead    ", sizeof(signature)) == 0;
}

int main(void)
{
	int64_t counts[2 + REASONS];

	if (!on_bulkhead()) {
		puts("all=0");
		return 0;
	}
	counts[0] = hypercall1(BH_COUNTER, BH_COUNTER_EXITS);
	counts[1] = hypercall1(BH_COUNTER, BH_COUNTER_FORBIDDEN);
	for (unsigned i = 0; i < REASONS; i++)
		counts[2 + i] = hypercall1(BH_COUNTER, BH_COUNTER_REASON + i);
	printf("all=%lld forbidden=%lld", (long long)counts[0], (long long)counts[1]);
	for (unsigned i = 0; i < REASONS; i++)
		if (counts[2 + i] > 0)
			printf(" %u=%lld", i, (long long)counts[2 + i]);
	puts("");
	return 0;
}

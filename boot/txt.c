// SPDX-License-Identifier: Apache-2.0
/*
 * Is a late launch (Intel TXT) possible here? Asked and told; the launch itself is not there yet. Linked only into configurations
 * with the key `trust`. SDM Vol. 2D, 7.3 (GETSEC leaves); Intel TXT MLE Software Development Guide, appendices A and B.
 */
#include "boot/loader.h"

#define CPUID_1_ECX_SMX (1u << 6)
#define CR4_SMXE (1ull << 14)
#define MSR_FEATURE_CONTROL 0x3au
#define TXT_PUBLIC 0xfed30000ull /* registers */
#define TXT_ESTS 0x008u
#define TXT_SINIT_BASE 0x270u
#define TXT_SINIT_SIZE 0x278u
#define ACM_TYPE 0u /* fields of a module's header */
#define ACM_VENDOR 16u

static uint32_t getsec_capabilities(void)
{
	uint32_t eax = 0;
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_SMXE));
	__asm__ volatile("getsec" : "+a"(eax) : "b"(0) : "memory");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	return eax;
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

void txt_detect(struct handoff_trust *t)
{
	static const char *const needs[] = TXT_NEED_TEXTS;
	const uint8_t *chipset = (const uint8_t *)TXT_PUBLIC;
	struct txt_facts f = { .tpm = t->banks };
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	f.smx = ecx & CPUID_1_ECX_SMX;
	if (f.smx) {
		f.capabilities = t->txt_capabilities = getsec_capabilities();
		f.feature_control = rdmsr(MSR_FEATURE_CONTROL);
	}
	if (f.capabilities & 1) { /* only then are there registers */
		f.error_status = *(const volatile uint64_t *)(chipset + TXT_ESTS);
		f.sinit_size = *(const volatile uint32_t *)(chipset + TXT_SINIT_SIZE);
		const uint64_t base = *(const volatile uint32_t *)(chipset + TXT_SINIT_BASE);
		const uint8_t *module = (const uint8_t *)base;

		if (module && f.sinit_size) {
			f.sinit_type = *(const volatile uint16_t *)(module + ACM_TYPE);
			f.sinit_vendor = *(const volatile uint32_t *)(module + ACM_VENDOR);
		}
	}
	t->txt_lacks = txt_lacks(&f);
	if (!t->txt_lacks || !(config.trust_refuse & TRUST_TXT))
		return;
	for (uint32_t i = 0; i < TXT_NEEDS; i++)
		if (t->txt_lacks >> i & 1)
			say("late launch lacks: %s", needs[i]);
	stop("the configuration demands a machine that can do a late launch (trust: no_txt: refuse); the lines above say what is "
	     "missing");
}

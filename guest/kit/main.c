// SPDX-License-Identifier: Apache-2.0
/*
 * From the start code to main() and back to the hypervisor.
 */
#include "hypercall.h"
#include "kit.h"
#include "parts.h"

uint64_t kit_start_tsc;

bool kit_on_bulkhead(void)
{
	static int answer = -1;
	if (answer < 0) {
		struct cpuid r = cpuid(BH_CPUID_LEAF, 0);
		answer = r.ebx == 0x6b6c7542 && r.ecx == 0x64616568 && r.edx == 0x20202020; /* "Bulkhead    " */
	}
	return answer == 1;
}

int64_t kit_counter(uint64_t counter)
{
	return kit_on_bulkhead() ? hypercall1(BH_COUNTER, counter) : BH_ENOCALL;
}

_Noreturn void kit_stop(int code)
{
	cli();
	if (kit_on_bulkhead())
		hypercall1(BH_STOP, (uint8_t)code);
	kit_printf("kit: ended with code %d\n", code); /* on the bare machine, or without the right to stop */
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Counts the TSC over 50 ms of the 8254's channel 2, gated by port 61h. 0 if the channel does not count. */
static uint64_t tsc_khz_from_pit(void)
{
	const uint32_t ticks = 1193182 / 20;
	outb(0x61, (uint8_t)((inb(0x61) & 0xfc) | 1)); /* gate on, speaker off */
	outb(0x43, 0xb0);                              /* channel 2, both bytes, mode 0: output rises at 0 */
	outb(0x42, (uint8_t)ticks);
	outb(0x42, (uint8_t)(ticks >> 8));
	uint64_t start = rdtsc();
	for (uint32_t polls = 0; polls < 100000000; polls++)
		if (inb(0x61) & 0x20)
			return (rdtsc() - start) / 50;
	return 0;
}

uint64_t kit_tsc_khz(void)
{
	int64_t khz = kit_counter(BH_COUNTER_TSC_KHZ);
	if (khz > 0)
		return (uint64_t)khz;
	if (cpuid(0, 0).eax >= 0x15) {
		struct cpuid r = cpuid(0x15, 0);
		if (r.eax && r.ebx && r.ecx)
			return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
	}
	return kit_on_bulkhead() ? 0 : tsc_khz_from_pit();
}

_Noreturn void kit_main(const struct kit_info *info)
{
	if (info->vcpu_count) /* a companion has neither descriptor tables nor interrupts */
		kit_interrupts_init();
	if (info->magic != KIT_INFO_MAGIC || info->version != KIT_INFO_VERSION) {
		kit_printf("kit: no kit_info at %lx: rebuild the image with this kit's mkconfig\n", (uint64_t)info);
		kit_stop(255);
	}
	kit_stop(main(info));
}

void kit_sort(uint64_t *values, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		uint64_t x = values[i];
		size_t j = i;
		for (; j > 0 && values[j - 1] > x; j--)
			values[j] = values[j - 1];
		values[j] = x;
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "core.h"
#include "x86.h"

#define PM_TIMER_HZ 3579545ull  /* ACPI 6.5, 4.8.3.3 */
#define PM_TIMER_MASK 0xffffffu /* 24 bits are always there */
#define CALIBRATION_TICKS (PM_TIMER_HZ / 64)

uint64_t tsc_khz;

/* CPUID leaf 15h: TSC = crystal * EBX / EAX, if the CPU tells its crystal (SDM Vol. 3B, 19.7.3). */
static uint64_t khz_from_cpuid(void)
{
	struct cpuid_regs c;

	if (cpuid(0, 0).r[0] < 0x15)
		return 0;
	c = cpuid(0x15, 0);
	return c.r[0] && c.r[1] ? (uint64_t)c.r[2] * c.r[1] / c.r[0] / 1000 : 0;
}

static uint64_t khz_from_pm_timer(uint16_t port)
{
	const uint32_t begin = inl(port);
	const uint64_t tsc = rdtsc();
	uint32_t passed = 0;

	/* Bounded: a timer that stands still is found out after a million reads. */
	for (uint32_t reads = 0; passed < CALIBRATION_TICKS && reads < 1000000; reads++)
		passed = (inl(port) - begin) & PM_TIMER_MASK;
	return passed < CALIBRATION_TICKS ? 0 : (rdtsc() - tsc) * PM_TIMER_HZ / passed / 1000;
}

int timer_init(uint16_t pm_timer_port)
{
	tsc_khz = khz_from_cpuid();
	if (!tsc_khz && pm_timer_port)
		tsc_khz = khz_from_pm_timer(pm_timer_port);
	return tsc_khz != 0;
}

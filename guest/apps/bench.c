// SPDX-License-Identifier: Apache-2.0
/*
 * What an exit costs, guest to guest, in TSC ticks: RDTSC, the instruction, RDTSC. One line a figure:
 *   FIGURE <name> min= med= max= overhead= n=
 * overhead is the median of two RDTSC with nothing between; it is contained in the others, not taken off.
 */
#include "hypercall.h"
#include "kit.h"

#define REPEAT 1000u
#define WARM_UP 100u

static uint64_t sample[REPEAT];
static uint64_t overhead;

static void sort(uint64_t *v, unsigned n)
{
	for (unsigned gap = n / 2; gap > 0; gap /= 2)
		for (unsigned i = gap; i < n; i++) {
			uint64_t x = v[i];
			unsigned j = i;
			for (; j >= gap && v[j - gap] > x; j -= gap)
				v[j] = v[j - gap];
			v[j] = x;
		}
}

static void report(const char *name)
{
	sort(sample, REPEAT);
	kit_printf("FIGURE %s min=%lu med=%lu max=%lu overhead=%lu n=%u\n", name, sample[0], sample[REPEAT / 2],
	           sample[REPEAT - 1], overhead, REPEAT);
}

#define MEASURE(name, instruction)                                \
	do {                                                      \
		for (unsigned i = 0; i < WARM_UP + REPEAT; i++) { \
			uint64_t start = rdtsc();                 \
			instruction;                              \
			uint64_t ticks = rdtsc() - start;         \
			if (i >= WARM_UP)                         \
				sample[i - WARM_UP] = ticks;      \
		}                                                 \
		if (overhead == 0) {                              \
			sort(sample, REPEAT);                     \
			overhead = sample[REPEAT / 2];            \
		}                                                 \
		report(name);                                     \
	} while (0)

static void try_rdmsr(void *msr)
{
	rdmsr(*(uint32_t *)msr);
}

static void measure_rdmsr(const char *name, uint32_t msr)
{
	if (kit_try(try_rdmsr, &msr) >= 0)
		kit_printf("bench: MSR %x is not there\n", msr);
	else
		MEASURE(name, rdmsr(msr));
}

/* Each instruction once more between two marks. */
static void traced(void)
{
	mark();
	cpuid(0, 0);
	mark();
	hypercall1(BH_VERSION, 0);
	mark();
	rdmsr(0x17);
	mark();
	inb(0x80);
	mark();
}

static void report_counters(void)
{
	static const struct {
		uint64_t counter;
		const char *name;
	} row[] = {
		{ BH_COUNTER_EXITS, "exits" },
		{ BH_COUNTER_WORST, "worst_root_ticks" },
		{ BH_COUNTER_FORBIDDEN, "forbidden" },
		{ BH_COUNTER_START_TSC, "first_entry_tsc" },
	};
	for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++)
		kit_printf("COUNTER %s=%ld\n", row[i].name, kit_counter(row[i].counter));
	int64_t loader = kit_counter(BH_COUNTER_LOADER_TSC);
	if (loader >= 0)
		kit_printf("FIGURE loader_to_partition ticks=%lu\n", kit_start_tsc - (uint64_t)loader);
}

int main(const struct kit_info *info)
{
	kit_printf("bench: %s, TSC %lu kHz, %s\n", info->name, kit_tsc_khz(),
	           kit_on_bulkhead() ? "exits" : "no hypervisor: what the instructions cost by themselves");
	MEASURE("rdtsc", );
	MEASURE("cpuid", cpuid(0, 0));
	if (kit_on_bulkhead())
		MEASURE("hypercall", hypercall1(BH_VERSION, 0));
	measure_rdmsr("rdmsr_platform_id", 0x17);
	measure_rdmsr("rdmsr_misc_enable", 0x1a0);
	MEASURE("in_port_80", inb(0x80));
	MEASURE("in_port_61", inb(0x61));
	if (kit_on_bulkhead())
		traced();
	report_counters();
	kit_printf("RESULT bench n=%u\n", REPEAT);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What an exit and a switch cost, in TSC ticks, seen from two partitions on one CPU that share the page `clock`:
 *
 *   meter   exits first; then it writes the TSC to the page without a pause
 *   peer    reads it at each begin of its window: what has passed since is one exit, one switch and one entry, and a look at the TSC on either
 *           side. The meter must run right before it, in slack.
 *
 *   FIGURE <name> min=<ticks> med=<ticks> max=<ticks> n=<samples>
 */
#include "hypercall.h"
#include "kit.h"

#define SAMPLES 200u
#define EDGE_US 100u
#define TRACED_MS 40u

static uint64_t sample[SAMPLES];

static void report(const char *name)
{
	kit_sort(sample, SAMPLES);
	kit_printf("FIGURE %s min=%lu med=%lu max=%lu n=%u\n", name, sample[0], sample[SAMPLES / 2],
	           sample[SAMPLES - 1], SAMPLES);
}

#define MEASURE(name, instruction)                       \
	do {                                             \
		for (unsigned i = 0; i < SAMPLES; i++) { \
			uint64_t start = rdtsc();        \
			instruction;                     \
			sample[i] = rdtsc() - start;     \
		}                                        \
		report(name);                            \
	} while (0)

static _Noreturn void meter(volatile uint64_t *clock)
{
	MEASURE("rdtsc", );
	MEASURE("cpuid", cpuid(0, 0));
	MEASURE("hypercall", hypercall1(BH_VERSION, 0));
	MEASURE("rdmsr", rdmsr(0x17));
	MEASURE("lapic_write", wrmsr(X2APIC_TPR, 0));
	kit_printf("RESULT cost meter\n");
	for (;;)
		*clock = rdtsc();
}

static void peer(volatile uint64_t *clock)
{
	const uint64_t edge = kit_tsc_khz() * EDGE_US / 1000;
	const uint64_t text[6] = { 12, 0x6d20726f74636576, 0x0a6b7261 }; /* "vector mark\n" */
	uint64_t last = rdtsc(), now;
	while (!*clock)
		pause();
	for (unsigned i = 0; i < SAMPLES; last = now) {
		now = rdtsc();
		if (now - last > edge)
			sample[i++] = now - *clock;
	}
	mark(); /* one of the longest stays in root mode, and then the switches that follow, are traced */
	hypercall(BH_CONSOLE_WRITE, text);
	mark();
	for (const uint64_t start = rdtsc(); rdtsc() - start < TRACED_MS * kit_tsc_khz();)
		pause();
	report("switch");
	kit_printf("RESULT cost peer\n");
}

int main(const struct kit_info *info)
{
	volatile uint64_t *clock = (volatile uint64_t *)info->map[0].gpa;
	if (info->map_count == 0)
		return 1;
	if (info->name[0] == 'm')
		meter(clock);
	peer(clock);
	return 0;
}

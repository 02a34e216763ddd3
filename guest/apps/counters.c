// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the counters of all vCPUs where the memory `counters` is mapped, with no hypercall and no exit.
 *
 *   counters        its own page is that in which its own CPUIDs are counted; then, three times, all pages
 *   counterswrite   (COUNTERS_WRITE) tries to write there, which must not come back
 *
 *   COUNTERS own page=<n> cpuid=<counted> forbidden=<page>/<hypercall> start=<page>/<hypercall> worst=<page>/<hypercall>
 *   COUNTERS page=<n> cpu=.. partition=.. vcpu=.. exits=.. worst=.. forbidden=.. used=.. idle=.. windows=.. late=.. cut=.. lost=.. smis=..
 */
#include "hypercall/abi.h"
#include "kit.h"

#ifndef COUNTERS_WRITE
#define COUNTERS_WRITE 0
#endif
#define WORDS 512u
#define CPUIDS 100u
#define REASON_CPUID 10u
#define REASONS 80u
#define ROUNDS 3u
#define PAUSE_MS 50u
#define PAGES 64u

static const volatile uint64_t *pages;
static uint32_t count;

static const volatile uint64_t *page(uint32_t n)
{
	return pages + n * WORDS;
}

static void do_cpuids(void)
{
	for (uint32_t i = 0; i < CPUIDS; i++) {
		uint32_t a = 1, b, c = 0, d;
		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	}
}

static uint32_t find_own(void)
{
	uint64_t before[PAGES] = { 0 };

	for (uint32_t n = 0; n < count; n++)
		before[n] = page(n)[BH_COUNTER_REASON + REASON_CPUID];
	do_cpuids();
	for (uint32_t n = 0; n < count; n++)
		if (page(n)[BH_COUNTER_REASON + REASON_CPUID] - before[n] == CPUIDS)
			return n;
	return count;
}

static void print_page(uint32_t n)
{
	const volatile uint64_t *w = page(n);
	uint64_t exits = 0;

	if (w[BH_PAGE_MAGIC] != BH_PAGE_MAGIC_VALUE)
		return;
	for (uint32_t i = 0; i < REASONS; i++)
		exits += w[BH_COUNTER_REASON + i];
	kit_printf(
		"COUNTERS page=%u cpu=%lu partition=%lu vcpu=%lu exits=%lu worst=%lu forbidden=%lu used=%lu idle=%lu\n",
		n, w[BH_PAGE_CPU], w[BH_PAGE_PARTITION], w[BH_PAGE_VCPU], exits, w[BH_COUNTER_WORST],
		w[BH_COUNTER_FORBIDDEN], w[BH_COUNTER_USED], w[BH_COUNTER_IDLE]);
	kit_printf("COUNTERS more=%u windows=%lu late=%lu cut=%lu lost=%lu smis=%ld\n", n, w[BH_COUNTER_WINDOWS],
	           w[BH_COUNTER_LATE_MAX], w[BH_COUNTER_WINDOWS_CUT], w[BH_COUNTER_WINDOWS_LOST],
	           (int64_t)w[BH_COUNTER_SMIS]);
}

int main(const struct kit_info *info)
{
	uint32_t own;

	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (memcmp(info->map[i].name, "counters", sizeof "counters") == 0) {
			pages = (const volatile uint64_t *)info->map[i].gpa;
			count = (uint32_t)(info->map[i].size / (WORDS * sizeof *pages));
		}
	if (!pages || count > PAGES) {
		kit_printf("COUNTERS none: no memory 'counters' in maps\n");
		return 1;
	}
	if (COUNTERS_WRITE) {
		*(volatile uint64_t *)pages = 1;
		kit_printf("COUNTERS written\n");
		return 1;
	}
	inb(0x1234);
	own = find_own();
	if (own == count) {
		kit_printf("COUNTERS none: no page of its own\n");
		return 1;
	}
	kit_printf("COUNTERS own page=%u forbidden=%lu/%ld start=%lu/%ld worst=%lu/%ld\n", own,
	           page(own)[BH_COUNTER_FORBIDDEN], kit_counter(BH_COUNTER_FORBIDDEN), page(own)[BH_COUNTER_START_TSC],
	           kit_counter(BH_COUNTER_START_TSC), page(own)[BH_COUNTER_WORST], kit_counter(BH_COUNTER_WORST));
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint64_t end = rdtsc() + PAUSE_MS * kit_tsc_khz(); rdtsc() < end;)
			pause();
		for (uint32_t n = 0; n < count; n++)
			print_page(n);
	}
	kit_printf("COUNTERS done\n");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the trace (hypercall/trace.h) and prints it as text for tools/trace.
 *
 *   trace       after one and a half seconds, all that the rings still hold
 *   tracebench  (TRACE_WINDOWS, TRACE_RECORDS) when the first scheduled CPU has begun so many windows, its accounts and some records
 *   tracewrite  (TRACE_WRITE) tries to write there, which must not come back
 *
 * Lines, numbers decimal but for the records:
 *
 *   TRACE ring cpu=.. name=value ...           the header
 *   TRACE late cpu=.. name=value ...           how late windows began
 *   TRACE bucket <cpu> <n>:<count> ...
 *   TRACE reason <cpu> <basic exit reason>:<count>:<ticks in root mode>:<longest> ...
 *   TRACE r <cpu> <record> ...                 tsc.type.detail.who.argument, hexadecimal; tsc: ticks since the last record
 *   TRACE end cpu=.. records=.. sum=..         sum of all that stands in the records' fields, modulo 2^32
 *   TRACE counters name=value ...              BH_COUNTER_USED and following, of this vCPU and its CPU
 */
#include "hypercall/abi.h"
#include "hypercall/trace.h"
#include "kit.h"

#ifndef TRACE_WINDOWS
#define TRACE_WINDOWS 0u
#endif
#ifndef TRACE_RECORDS
#define TRACE_RECORDS 24576u /* in all */
#endif

#ifndef TRACE_WRITE
#define TRACE_WRITE 0
#endif

#define DELAY_MS 1500u /* the neighbours have begun what they do */
#define LOOK_MS 5u
#define LINE 140u /* a console line has 160 characters, with its marker */
#define CPUS 16u
#define TRIES 1000u

static struct trace_record copy[TRACE_RECORDS];
static struct snapshot {
	const struct trace_ring *ring; /* a copy of the header */
	struct trace_record *record;
	uint64_t first, count;
} snapshots[CPUS];
static uint64_t headers[CPUS][TRACE_HEADER / sizeof(uint64_t)];
static char line[LINE + 128];
static size_t used;

static void on_timer(struct kit_frame *frame)
{
	(void)frame;
}

static void sleep_until(uint64_t tsc)
{
	while (rdtsc() < tsc) {
		kit_timer_at(tsc);
		wait_for_interrupt();
	}
}

static void flush_line(void)
{
	if (used == 0)
		return;
	line[used++] = '\n';
	kit_write(line, used);
	used = 0;
}

/* Where the line continues; begins one with `head` and the CPU's number if there is none. */
static char *room(const char *head, uint32_t cpu)
{
	if (used >= LINE - 40)
		flush_line();
	if (used == 0)
		used = (size_t)kit_snprintf(line, sizeof line, "TRACE %s %u", head, cpu);
	return line + used;
}

/* A copy of the header in which no record, and so nothing, came in between. */
static const struct trace_ring *take_header(const volatile struct trace_ring *ring, uint64_t *to)
{
	const volatile uint64_t *from = (const volatile uint64_t *)ring;
	uint64_t head;
	unsigned tries = 0;

	do {
		head = ring->head;
		for (size_t i = 0; i < TRACE_HEADER / sizeof *to; i++)
			to[i] = from[i];
	} while (ring->head != head && ++tries < TRIES);
	return (const struct trace_ring *)to;
}

/* What is whole of the last `limit` records: see the header. */
static void take(struct snapshot *s, const volatile struct trace_ring *ring, struct trace_record *to, uint64_t limit)
{
	const uint64_t entries = ring->entries, head = ring->head;
	const uint64_t held = head < entries ? head : entries, want = held < limit ? held : limit;
	uint64_t begin = head - want, now;

	for (uint64_t i = 0; i < want; i++)
		to[i] = ring->record[(begin + i) % entries];
	now = ring->head;
	s->record = to;
	s->first = begin;
	s->count = want;
	if (now >= entries && now - entries + 1 > begin) {
		const uint64_t lost = now - entries + 1 - begin;

		s->first += lost;
		s->record += lost;
		s->count -= lost < want ? lost : want;
	}
}

static void print_header(const struct snapshot *s)
{
	const struct trace_ring *r = s->ring;

	kit_printf("TRACE ring cpu=%u entries=%u shared=%u khz=%lu epoch=%lu guard=%lu head=%lu first=%lu idle=%lu "
	           "cut=%lu lost=%lu overrun=%lu schedule=%lu\n",
	           r->cpu, r->entries, r->shared, r->tsc_khz, r->epoch, r->guard, r->head, s->first, r->idle,
	           r->windows_cut, r->windows_lost, r->overrun_max, r->schedule);
	kit_printf("TRACE late cpu=%u windows=%lu min=%lu max=%lu sum=%lu shift=%u\n", r->cpu, r->late.windows,
	           r->late.min, r->late.max, r->late.sum, r->late.shift);
	for (uint32_t n = 0; n < TRACE_BUCKETS; n++)
		if (r->late.bucket[n])
			used += (size_t)kit_snprintf(room("bucket", r->cpu), 64, " %u:%u", n, r->late.bucket[n]);
	flush_line();
	for (uint32_t n = 0; n < TRACE_REASONS; n++)
		if (r->reason[n].count)
			used += (size_t)kit_snprintf(room("reason", r->cpu), 64, " %u:%lu:%lu:%u", n,
			                             r->reason[n].count, r->reason[n].ticks, r->reason[n].max);
	flush_line();
}

static void print_records(const struct snapshot *s)
{
	const uint32_t cpu = s->ring->cpu;
	uint64_t last = 0;
	uint32_t sum = 0;

	for (uint64_t i = 0; i < s->count; i++) {
		const struct trace_record *r = &s->record[i];

		used += (size_t)kit_snprintf(room("r", cpu), 64, " %lx.%x.%x.%x.%x", r->tsc - last, r->type, r->detail,
		                             r->who, r->argument);
		sum += (uint32_t)r->tsc + r->type + r->detail + r->who + r->argument;
		last = r->tsc;
	}
	flush_line();
	kit_printf("TRACE end cpu=%u records=%lu sum=%u\n", cpu, s->count, sum);
}

static void print_counters(void)
{
	static const char *const names[] = { "used", "idle", "windows", "cut", "lost", "late", "overrun", "smis" };

	used = (size_t)kit_snprintf(line, sizeof line, "TRACE counters");
	for (uint32_t i = 0; i <= BH_COUNTER_SMIS - BH_COUNTER_USED; i++)
		used += (size_t)kit_snprintf(line + used, 32, " %s=%ld", names[i], kit_counter(BH_COUNTER_USED + i));
	flush_line();
}

/* The trace's memory: where it begins, and how many bytes it has. */
static uint64_t find(const struct kit_info *info, uint64_t *size)
{
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (memcmp(info->map[i].name, "trace", sizeof "trace") == 0) {
			*size = info->map[i].size;
			return info->map[i].gpa;
		}
	return 0;
}

/* All CPUs' parts have one size, which each tells. Parts of CPUs that run nothing stay empty, so the first page that is not is a header. */
static uint64_t stride_of(uint64_t memory, uint64_t size)
{
	for (uint64_t at = memory; at < memory + size; at += TRACE_HEADER) {
		const volatile struct trace_ring *ring = (const volatile struct trace_ring *)at;

		if (ring->magic == TRACE_MAGIC && ring->version == TRACE_VERSION)
			return ring->stride;
	}
	return size;
}

static void wait_for_windows(uint64_t memory, uint64_t size, uint64_t stride, uint64_t khz)
{
	const uint64_t wanted = TRACE_WINDOWS;

	for (uint64_t at = memory; at < memory + size; at += stride) {
		const volatile struct trace_ring *ring = (const volatile struct trace_ring *)at;

		if (ring->magic != TRACE_MAGIC || !ring->shared)
			continue;
		while (ring->late.windows < wanted)
			sleep_until(rdtsc() + LOOK_MS * khz);
		return;
	}
}

int main(const struct kit_info *info)
{
	const uint64_t khz = kit_tsc_khz();
	uint64_t size, memory = find(info, &size), stride, count = 0, records = 0;

	if (!memory) {
		kit_printf("trace: no memory 'trace' in maps\n");
		return 1;
	}
	if (TRACE_WRITE) {
		((volatile struct trace_ring *)memory)->head = 0;
		kit_printf("TRACE written\n");
		return 1;
	}
	kit_timer_start(on_timer);
	sleep_until(rdtsc() + DELAY_MS * khz);
	stride = stride_of(memory, size);
	wait_for_windows(memory, size, stride, khz);
	for (uint64_t at = memory; at < memory + size && count < CPUS; at += stride) {
		const volatile struct trace_ring *ring = (const volatile struct trace_ring *)at;

		if (ring->magic != TRACE_MAGIC)
			continue;
		snapshots[count].ring = take_header(ring, headers[count]);
		take(&snapshots[count], ring, copy + records, TRACE_RECORDS / (size / stride));
		records += TRACE_RECORDS / (size / stride);
		count++;
	}
	kit_printf("TRACE begin %s\n", info->name);
	for (uint64_t i = 0; i < count; i++) {
		print_header(&snapshots[i]);
		print_records(&snapshots[i]);
	}
	print_counters();
	kit_printf("TRACE done\n");
	return 0;
}

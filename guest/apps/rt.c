// SPDX-License-Identifier: Apache-2.0
/*
 * A task of 1 kHz on the TSC-deadline timer with absolute deadlines: how late does its handler start?
 *
 *   rt       a line every 1000 periods, the result after RT_PERIODS, and then a line every 5000 for ever
 *   rtbench  (RT_BENCH) silent for RT_PERIODS, result, histogram, end
 *   rtspin   (RT_BENCH, RT_SPIN) the same, waiting in a loop and not in HLT
 *   rtload   (RT_BENCH, RT_DELAY_MS) the same, but on Bulkhead it begins late, when the other partitions are at work
 *   rthist   (RT_BENCH, RT_ROUNDS) as rtbench, ten times 1000 periods: one time is like another unless somebody interferes
 *   rtorders (RT_ORDERS) as rt; takes an order a period from the channel `checked`, and tells its state by the channel `level`
 *
 * Latency is from the deadline to the handler's first RDTSC. The line is written in pieces, one hypercall a period, so
 * that the console never makes the task late.
 */
#include "kit.h"
#include "hypercall/abi.h"
#include "plant.h"

#ifndef RT_PERIODS
#define RT_PERIODS 10000u
#endif
#ifndef RT_BENCH
#define RT_BENCH 0
#endif
#ifndef RT_SPIN
#define RT_SPIN 0
#endif

#ifndef RT_ROUNDS
#define RT_ROUNDS 1u
#endif

#ifndef RT_ORDERS
#define RT_ORDERS 0
#endif

#ifndef RT_DELAY_MS
#define RT_DELAY_MS 0u
#endif

#define HZ 1000u
#define LINE_PERIODS 1000u
#define LATER_LINE_PERIODS 5000u /* after RT_PERIODS: leaves the screen to the others */
#define BUCKETS 4096u            /* of one tick each; the last takes all beyond */
#define SETTLE_MS 100u           /* for the greeting to leave the console's ring, on the slowest line */
#define FIRST_DEADLINE_MS 5u
#define REASONS 80u /* basic exit reasons that are counted */
#define VMCALL_REASON 18u

struct statistics {
	uint64_t periods, missed, min, max;
	uint32_t bucket[BUCKETS];
};

static struct statistics all, recent[2]; /* recent: by turns, one filled by the handler, one read for a line */
static uint64_t period, deadline;
static volatile uint64_t fired;

static void record(struct statistics *s, uint64_t latency, uint64_t missed)
{
	s->min = s->periods == 0 || latency < s->min ? latency : s->min;
	s->max = latency > s->max ? latency : s->max;
	s->bucket[latency < BUCKETS ? latency : BUCKETS - 1]++;
	s->periods++;
	s->missed += missed;
}

static uint64_t median(const struct statistics *s)
{
	uint64_t seen = 0;
	unsigned i = 0;
	while (i < BUCKETS - 1 && (seen += s->bucket[i]) * 2 < s->periods)
		i++;
	return i;
}

/* The line that period `n` counts for, and the periods that have passed when line `n` is due. */
static uint64_t line_of(uint64_t n)
{
	return n < RT_PERIODS ? n / LINE_PERIODS : RT_PERIODS / LINE_PERIODS + (n - RT_PERIODS) / LATER_LINE_PERIODS;
}

static uint64_t due(uint64_t line)
{
	const uint64_t first = RT_PERIODS / LINE_PERIODS;

	return line < first ? line * LINE_PERIODS : RT_PERIODS + (line - first) * LATER_LINE_PERIODS;
}

static void on_timer(struct kit_frame *frame)
{
	uint64_t latency = rdtsc() - deadline, missed = latency / period;
	(void)frame;
	deadline += (missed + 1) * period;
	kit_timer_at(deadline);
	if (fired < RT_PERIODS)
		record(&all, latency, missed);
	if (!RT_BENCH)
		record(&recent[line_of(fired) % 2], latency, missed);
	fired++;
}

/* A later round keeps the place of its deadlines in the frame of a shared CPU. */
static void start(void)
{
	const uint64_t first = rdtsc() + FIRST_DEADLINE_MS * period * HZ / 1000;

	kit_timer_start(on_timer);
	deadline = deadline ? deadline + (first - deadline) / period * period : first;
	kit_timer_at(deadline);
}

static void wait_period(void)
{
#if RT_SPIN
	uint64_t before = fired;
	sti();
	while (fired == before)
		pause();
	cli();
#else
	for (uint64_t before = fired; fired == before;)
		wait_for_interrupt();
#endif
}

/* Exits the partition did not ask for itself: the two calls that read the counter are one apart. */
static int64_t unasked(int64_t before, int64_t after, uint64_t own)
{
	return before < 0 || after < 0 ? -1 : after - before - 1 - (int64_t)own;
}

static void print_result(int64_t exits)
{
	kit_printf("RESULT rt periods=%lu missed=%lu exits=%ld min=%lu med=%lu max=%lu tsc_khz=%lu wait=%s\n",
	           all.periods, all.missed, exits, all.min, median(&all), all.max, period * HZ / 1000,
	           RT_SPIN ? "spin" : "hlt");
	for (unsigned i = 0; i < BUCKETS; i++)
		if (all.bucket[i])
			kit_printf("HIST rt %u %u\n", i, all.bucket[i]);
}

/* Silent for RT_PERIODS, then the result, and of the exits, if there were any, the reasons. */
static void bench(void)
{
	static int64_t reason[REASONS];
	for (unsigned i = 0; i < REASONS; i++)
		reason[i] = kit_counter(BH_COUNTER_REASON + i);
	int64_t before = kit_counter(BH_COUNTER_EXITS);
	start();
	while (fired < RT_PERIODS)
		wait_period();
	int64_t exits = unasked(before, kit_counter(BH_COUNTER_EXITS), 0);
	for (unsigned i = 0; i < REASONS; i++)
		reason[i] = kit_counter(BH_COUNTER_REASON + i) - reason[i];
	print_result(exits);
	for (unsigned i = 0; i < REASONS; i++)
		if (reason[i] && i != VMCALL_REASON)
			kit_printf("EXITS rt reason=%u count=%ld\n", i, reason[i]);
	kit_printf("END rt\n");
}

/* The next setpoint, if the filter has passed one, and what becomes of it. Returns the hypercalls it took. */
static uint64_t take_order(const struct kit_info *info, struct plant_level *level)
{
	const struct port_slot *slot = kit_port_receive(kit_port(info, "checked"), 0);

	if (slot) {
		const struct order *o = (const struct order *)slot->message;

		level->orders++;
		level->wrong += slot->length != sizeof *o || !o->passed || o->kind == ORDER_FORBIDDEN ||
		                o->value > ORDER_LIMIT;
		level->setpoint = o->value;
	}
	level->periods = fired;
	kit_port_send(kit_port(info, "level"), level, sizeof *level);
	return 2;
}

/* Interrupts stay on while a line is made: only an exit can delay the handler. */
static _Noreturn void demo(const struct kit_info *info)
{
	struct plant_level level = { 0 };
	char line[160];
	size_t size = 0, sent = 0;
	uint64_t own = 0, own_total = 0; /* hypercalls since the last line, since the start */
	int64_t before = kit_counter(BH_COUNTER_EXITS), first = before;
	start();
	for (uint64_t lines = 0;;) {
		wait_period();
		sti();
		if (RT_ORDERS)
			own += take_order(info, &level);
		if (sent < size) {
			sent += kit_write_some(line + sent, size - sent);
			own++;
		}
		if (line_of(fired) == lines)
			continue;
		int64_t now = kit_counter(BH_COUNTER_EXITS);
		struct statistics *r = &recent[lines++ % 2];
		own++;
		own_total += own;
		size = (size_t)kit_snprintf(line, sizeof line,
		                            "rt: periods %lu missed %lu latency min/med/max %lu/%lu/%lu ticks, exits "
		                            "since last line %ld (of these %lu for this line)\n",
		                            due(lines), r->missed, r->min, median(r), r->max,
		                            now < 0 ? -1 : now - before, own);
		sent = 0;
		if (!RT_ORDERS && lines == RT_PERIODS / LINE_PERIODS) {
			print_result(unasked(first, now, own_total - 1));
			kit_printf("END rt\n");
			now = kit_counter(BH_COUNTER_EXITS);
		}
		before = now;
		own = 0;
		memset(r, 0, sizeof *r);
	}
}

/* After a round: its timer off, nothing pending, no period counted. */
static void forget(void)
{
	sti();
	pause();
	pause();
	cli();
	kit_timer_at(0);
	memset(&all, 0, sizeof all);
	fired = 0;
}

static void wait_ms(uint64_t ms, uint64_t khz)
{
	for (uint64_t end = rdtsc() + ms * khz; rdtsc() < end;)
		pause();
}

int main(const struct kit_info *info)
{
	uint64_t khz = kit_tsc_khz();
	if (khz == 0) {
		kit_printf("rt: TSC frequency unknown: allow hypercall 'counters' or show CPUID leaf 15h\n");
		return 1;
	}
	period = khz * 1000 / HZ;
	kit_printf("rt: %s, %u Hz, TSC %lu kHz, %u periods measured\n", info->name, HZ, khz, RT_PERIODS);
	wait_ms(SETTLE_MS, khz);
	if (!RT_BENCH)
		demo(info);
	if (kit_on_bulkhead())
		wait_ms(RT_DELAY_MS, khz);
	for (unsigned round = 0; round < RT_ROUNDS; round++) {
		kit_printf("BEGIN rt\n");
		wait_ms(SETTLE_MS, khz);
		bench();
		forget();
	}
	return 0;
}

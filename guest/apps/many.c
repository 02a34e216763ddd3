// SPDX-License-Identifier: Apache-2.0
/*
 * One of many: a task of 100 Hz whose timer is due shortly after its window's begin.
 *
 *   RESULT many name=<name> periods=<n> missed=<n> late=<more than LATE_US> max=<ticks> tsc_khz=<n>
 */
#include "kit.h"

#define HZ 100u
#define PERIODS 100u
#define INTO_US 110u /* more than a window may begin late, and well before its end */
#define LATE_US 50u
#define EDGE_US 1000u

static uint64_t period, deadline, missed, late, max, limit;
static volatile uint64_t fired;

static void on_timer(struct kit_frame *frame)
{
	uint64_t latency = rdtsc() - deadline, passed = latency / period;
	(void)frame;
	deadline += (passed + 1) * period;
	kit_timer_at(deadline);
	max = latency > max ? latency : max;
	late += latency > limit;
	missed += passed;
	fired++;
}

/* Spins until it has been away for long, and so is at the begin of its window. */
static uint64_t window_begin(uint64_t edge)
{
	uint64_t last = rdtsc(), now;
	for (; (now = rdtsc()) - last < edge; last = now)
		;
	return now;
}

int main(const struct kit_info *info)
{
	const uint64_t khz = kit_tsc_khz();
	period = khz * 1000 / HZ;
	limit = khz * LATE_US / 1000;
	kit_timer_start(on_timer);
	deadline = window_begin(khz * EDGE_US / 1000) + khz * INTO_US / 1000 + period;
	kit_timer_at(deadline);
	while (fired < PERIODS)
		wait_for_interrupt();
	kit_printf("RESULT many name=%s periods=%lu missed=%lu late=%lu max=%lu tsc_khz=%lu\n", info->name, fired,
	           missed, late, max, khz);
	for (;;) /* the others still measure: no report of an end on their CPU */
		wait_for_interrupt();
}

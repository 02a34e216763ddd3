// SPDX-License-Identifier: Apache-2.0
/*
 * Operating modes as partitions see them. What an instance does, its name says; all look at the TSC without a pause, so that each
 * knows when its windows began and ended, to some ten ticks:
 *
 *   pilot    may switch schedules: asks for 0 until it is accepted, then for 1 and for 0 again
 *   storm    may switch schedules: asks for one after the other without a pause, 0 at last
 *   others   may not: they try it each time they get the CPU
 *
 *   CALLS <name> accepted=<n> busy=<n> denied=<n> other=<n>
 *   SWITCH <name> schedule=<n> at=<tsc>          accepted requests, the first ones
 *   WINDOW <name> begin=<tsc> end=<tsc>          from the second on; the last is cut short by the end of the measurement
 *   RESULT modes windows=<n>
 *
 * TSC values count from the loader's first instruction.
 */
#include "hostile/note.h"
#include "hypercall.h"

#define WINDOWS 512u
#define SWITCHES 8u
#define EDGE_US 30u /* away for longer: another one had the CPU */
#define UP_MS 1300u
#define DOWN_MS 1400u
#define STORM_MS 1500u
#define CALM_MS 1700u
#define END_MS 1800u

static struct window {
	uint64_t begin, end;
} windows[WINDOWS];
static unsigned window_count;

static struct request {
	uint64_t at;
	unsigned schedule;
} switches[SWITCHES];
static uint64_t accepted, busy, denied, other;
static uint64_t khz, zero; /* the loader's first instruction */
static uint64_t last, edge;

static uint64_t at(uint64_t ms)
{
	return zero + ms * khz;
}

/* Has another one had the CPU since the last call? */
static bool look(void)
{
	uint64_t now = rdtsc();
	bool away = now - last > edge;
	if (away && window_count < WINDOWS)
		windows[window_count++].begin = now;
	if (window_count > 0)
		windows[window_count - 1].end = now;
	last = now;
	return away;
}

static bool request(unsigned schedule)
{
	int64_t answer = hypercall1(BH_SET_SCHEDULE, schedule);
	if (answer == 0 && accepted < SWITCHES)
		switches[accepted] = (struct request){ .at = rdtsc(), .schedule = schedule };
	accepted += answer == 0;
	busy += answer == BH_EAGAIN;
	denied += answer == BH_ENOCALL;
	other += answer != 0 && answer != BH_EAGAIN && answer != BH_ENOCALL;
	return answer == 0;
}

static void look_until(uint64_t tsc)
{
	while (rdtsc() < tsc)
		look();
}

static void ask(unsigned schedule)
{
	while (!request(schedule))
		look();
}

static void pilot(void)
{
	ask(0);
	look_until(at(UP_MS));
	ask(1);
	look_until(at(DOWN_MS));
	ask(0);
}

static void storm(void)
{
	uint64_t end = at(CALM_MS);
	look_until(at(STORM_MS));
	for (unsigned schedule = 1; rdtsc() < end; schedule ^= request(schedule))
		look();
	ask(0);
}

static void member(void)
{
	uint64_t end = at(END_MS);
	while (rdtsc() < end)
		if (look())
			request(1);
}

static bool called(const struct kit_info *info, const char *name)
{
	unsigned i = 0;
	while (name[i] && info->name[i] == name[i])
		i++;
	return info->name[i] == name[i];
}

int main(const struct kit_info *info)
{
	khz = kit_tsc_khz();
	zero = after_loader(0);
	edge = khz * EDGE_US / 1000;
	last = rdtsc();
	if (called(info, "pilot"))
		pilot();
	else if (called(info, "storm"))
		storm();
	else
		member();
	look_until(at(END_MS));
	kit_printf("CALLS %s accepted=%lu busy=%lu denied=%lu other=%lu\n", info->name, accepted, busy, denied, other);
	for (unsigned i = 0; i < accepted && i < SWITCHES; i++)
		kit_printf("SWITCH %s schedule=%u at=%lu\n", info->name, switches[i].schedule, switches[i].at - zero);
	for (unsigned i = 0; i < window_count; i++)
		kit_printf("WINDOW %s begin=%lu end=%lu\n", info->name, windows[i].begin - zero, windows[i].end - zero);
	kit_printf("RESULT modes windows=%u tsc_khz=%lu schedule=%ld\n", window_count, khz,
	           kit_counter(BH_COUNTER_SCHEDULE));
	return 0;
}

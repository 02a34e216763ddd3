// SPDX-License-Identifier: Apache-2.0
/*
 * The monitor of config/plant.yaml: it tells each change in the life of those that it watches, and how the control loop is when somebody has failed.
 * A key that is typed for it starts again whoever has failed.
 *
 *   MONITOR <whom> <state>: <reason>, restarts <n>
 *   MONITOR loop: orders <taken> wrong <n> setpoint <n> age <ms>
 */
#include "hostile/note.h"
#include "plant.h"

#define LOOK_MS 2u

/* In the configuration's order. */
static const char *const names[] = { "linux", "loop", "filter", "monitor", "hostile" };
#define COUNT (sizeof names / sizeof names[0])

static int64_t status(uint64_t whom)
{
	return hypercall2(BH_PARTITION_STATUS, whom, BH_STATUS_LIFE);
}

static const char *reason_name(uint64_t reason)
{
	switch (reason) {
	case 0:
		return "triple fault";
	case 1:
		return "forbidden memory";
	case BH_REASON_START:
		return "started";
	case BH_REASON_CALL:
		return "its own call";
	case BH_REASON_MONITOR:
		return "the monitor's call";
	case BH_REASON_LOADED:
		return "loaded";
	default:
		return "another error";
	}
}

static void tell(unsigned whom, uint64_t word)
{
	static const char *const states[] = { "cold start", "running", "stopped", "failed" };

	kit_printf("MONITOR %s %s: %s, restarts %lu\n", names[whom], states[word & 3], reason_name(word >> 8 & 0xff),
	           word >> 32);
}

static void tell_loop(const struct kit_port *port)
{
	const struct port_slot *slot = kit_port_receive(port, 0);
	const struct plant_level *level;

	if (!slot)
		return;
	level = (const struct plant_level *)slot->message;
	kit_printf("MONITOR loop: orders %lu wrong %lu setpoint %ld age %lu\n", level->orders, level->wrong,
	           level->setpoint, kit_port_age(slot) / kit_tsc_khz());
}

int main(const struct kit_info *info)
{
	static int64_t last[COUNT];
	const struct kit_port *level = kit_port(info, "level");
	const uint64_t look = LOOK_MS * kit_tsc_khz();

	for (;;) {
		const bool key = hypercall1(BH_CONSOLE_READ, 0) >= 0;

		for (unsigned i = 0; i < COUNT; i++) {
			const int64_t word = status(i);

			if (word < 0) /* not one that it may watch */
				continue;
			if (word != last[i])
				tell(i, (uint64_t)word);
			last[i] = word;
			if (key && (word & 0xff) == BH_STATE_FAILED)
				hypercall1(BH_PARTITION_START, i);
		}
		if (hypercall1(BH_EVENTS, 0))
			tell_loop(level);
		wait_until(rdtsc() + look);
	}
}

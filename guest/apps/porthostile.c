// SPDX-License-Identifier: Apache-2.0
/*
 * A partition that tries to get at channels and doorbells by more than its right: it writes what it may only read, touches where
 * others have their outboxes, and makes hypercalls with any registers.
 *
 *   RESULT porthostile written=<pages it could write> reached=<pages it could read> calls=<n> odd=<results that are none of the ABI>
 *     foreign=<calls for what is not its own that succeeded> noise=<messages in a queue nobody reads>
 */
#include "ports.h"

#ifndef HOSTILE_CALLS
#define HOSTILE_CALLS 10000u
#endif

static void write_to(void *at)
{
	volatile uint64_t *word = at;

	*word = ~*word;
}

static void read_from(void *at)
{
	(void)*(volatile uint64_t *)at;
}

/* Pages at `gpa` that this page's owner could do that with. */
static uint64_t pages(uint64_t gpa, uint64_t size, void (*try)(void *))
{
	uint64_t count = 0;

	for (uint64_t at = gpa; at < gpa + size; at += 4096)
		count += kit_try(try, kit_window(at, false)) < 0;
	return count;
}

static uint64_t state = 88172645463325252;

static uint64_t any(void)
{
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	switch (state >> 60) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		return state >> 8 & 15;
	case 6:
		return 1ull << (state >> 8 & 63);
	case 7:
		return ~(state >> 8 & 63);
	default:
		return state;
	}
}

int main(const struct kit_info *info)
{
	const struct kit_port *noise = kit_port(info, "noise"), *speed = kit_port(info, "speed");
	const struct kit_doorbell *knock = kit_doorbell(info, "knock");
	uint64_t written = 0, odd = 0, foreign = 0, end = 0;

	for (uint32_t i = 0; i < info->map_count; i++)
		if (!(info->map[i].rights & 2))
			written += pages(info->map[i].gpa, info->map[i].size, write_to);
	for (uint32_t i = 0; i < info->map_count; i++)
		if (info->map[i].gpa >= 0xf8000000 && info->map[i].gpa + info->map[i].size > end)
			end = info->map[i].gpa + info->map[i].size;
	const uint64_t reached = pages(end, 64 * 4096, read_from); /* where there would be more */
	for (unsigned i = 0; i < HOSTILE_CALLS; i++) {
		const uint64_t number = i % 2 ? any() : 6 + any() % 4;
		uint64_t argument[6];

		for (unsigned j = 0; j < 6; j++)
			argument[j] = any();
		if (number == BH_CONSOLE_WRITE || number == BH_STOP)
			continue;
		const int64_t result = hypercall(number, argument);
		odd += result < BH_EAGAIN && number != BH_COUNTER;
		if (result < 0)
			continue;
		foreign += (number == BH_PORT_SEND && argument[0] != noise->number) ||
		           (number == BH_PORT_RECEIVE && argument[0] != speed->number) ||
		           (number == BH_RING && argument[0] != knock->number);
	}
	kit_printf("RESULT porthostile written=%lu reached=%lu calls=%u odd=%lu foreign=%lu noise=%ld\n", written,
	           reached, HOSTILE_CALLS, odd, foreign, kit_port_status(noise, BH_PORT_WAITING));
	return 0;
}

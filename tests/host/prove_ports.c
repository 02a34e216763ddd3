// SPDX-License-Identifier: Apache-2.0
/*
 * The promises of channels, for every interleaving: the states that writer, readers and store buffers can reach together are enumerated
 * until no new one turns up, so that the results hold for sequences of calls of any length. Bounds: 1 to 3 readers of a sampling channel, 1
 * to 3 messages that can wait in a queue. A slot never changes while a reader holds it, no reader gets one that is being filled, a sampling
 * call gives a message that was the last at some moment of the call, a queue gives each message once and in order; a slot to fill is always there;
 * in each state each end can take a step, and alone it ends its call within a few: none waits for another.
 * Then each variant with a piece taken out must be seen to fail.
 */
#include "model_ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES (1u << 23)

static struct model *queue;
static uint32_t *table, count;

static uint64_t hash(const struct model *m)
{
	const uint8_t *bytes = (const uint8_t *)m;
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < sizeof *m; i++)
		h = (h ^ bytes[i]) * 1099511628211ull;
	return h ^ h >> 29;
}

/* Its number; a new one is appended. */
static uint32_t number(const struct model *m)
{
	uint64_t at = hash(m) % (2 * STATES);

	for (; table[at]; at = (at + 1) % (2 * STATES))
		if (!memcmp(&queue[table[at] - 1], m, sizeof *m))
			return table[at] - 1;
	if (count == STATES) {
		printf("more than %u states\n", STATES);
		exit(1);
	}
	queue[count] = *m;
	table[at] = ++count;
	return count - 1;
}

/* Everything from the start on. Returns what must not be, or 0. */
static const char *explore(int queuing, uint32_t readers, uint32_t slots, enum variant variant, uint32_t watched)
{
	struct model m;
	int acts;

	memset(table, 0, 2 * STATES * sizeof *table);
	count = 0;
	model_start(&m, queuing, readers, slots, variant, watched);
	number(&m);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t actor = 0; actor < model_actors(&queue[i]); actor++) {
			const char *wrong;

			m = queue[i];
			wrong = model_step(&m, actor, &acts);
			if (wrong)
				return wrong;
			if (actor <= readers && !acts)
				return "an end of the channel has to wait";
			if (acts)
				number(&m);
		}
	return 0;
}

/* Alone, an end completes its call in this many steps, from any state: no call depends on what the other does next. */
static uint32_t longest_call(uint32_t actor)
{
	uint32_t longest = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct model m = queue[i];
		uint32_t steps = 0;
		int acts;

		do {
			model_step(&m, actor, &acts);
			steps++;
		} while (steps < 100 && (actor ? m.reader[actor - 1].pc : m.writer_pc));
		longest = steps > longest ? steps : longest;
	}
	return longest;
}

int main(void)
{
	static const char *const names[VARIANTS] = {
		"as it is", "a slot missing", "no announcement", "looks first",
		"no help",  "no fence",       "no empty slot",   "publishes first"
	};
	uint64_t states = 0;
	const char *wrong = 0;

	queue = malloc(STATES * sizeof *queue);
	table = malloc(2 * STATES * sizeof *table);
	if (!queue || !table)
		return 1;
	for (uint32_t n = 1; n <= 3; n++) {
		for (uint32_t watched = 0; watched < (n < 3 ? n : 1) && !wrong; watched++)
			wrong = explore(0, n, n + 2, AS_IT_IS, watched);
		if (wrong)
			break;
		printf("sampling, %u readers: %u states, a call of the writer alone ends in %u steps, of a reader in %u\n",
		       n, count, longest_call(0), longest_call(1));
		states += count;
		if ((wrong = explore(1, 1, n + 1, AS_IT_IS, 0)))
			break;
		printf("queuing, %u can wait: %u states\n", n, count);
		states += count;
	}
	if (wrong) {
		printf("FAILED: %s\n", wrong);
		return 1;
	}
	for (enum variant v = AS_IT_IS + 1; v < VARIANTS; v++) {
		wrong = explore(v >= NO_EMPTY_SLOT, v >= NO_EMPTY_SLOT ? 1 : 2, 4, v, 0);
		printf("%s: %s\n", names[v], wrong ? wrong : "NOT SEEN");
		if (!wrong)
			return 1;
	}
	printf("%llu states, %u wrong variants are seen\n", (unsigned long long)states, VARIANTS - 1u);
	return 0;
}

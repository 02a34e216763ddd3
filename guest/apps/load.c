// SPDX-License-Identifier: Apache-2.0
/* A busy neighbour: exits without end (CPUID, a port that is not there), memory traffic, a line per million rounds. */
#include "kit.h"

#define ROUNDS 1000000ul
#define ABSENT_PORT 0x80
#define WORDS 8192u

int main(const struct kit_info *info)
{
	static volatile uint64_t words[WORDS];
	for (uint64_t round = 1;; round++) {
		cpuid(0, 0);
		inb(ABSENT_PORT);
		for (unsigned i = 0; i < 64; i++)
			words[(round * 64 + i) % WORDS] += round;
		if (round % ROUNDS == 0)
			kit_printf("load: %s rounds %lu\n", info->name, round);
	}
}

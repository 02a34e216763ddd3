// SPDX-License-Identifier: Apache-2.0
/*
 * The page that attackers write and the neighbour (watch.c) reads: which attack is on, and when to stop watching. Where
 * the configuration has no map "note", it is a page of the attacker's own. All begin at the same moment, after every
 * partition is loaded: the copying at a start is one long string instruction to the emulator, which stops the other
 * CPUs' time for it.
 */
#ifndef GUEST_APPS_HOSTILE_NOTE_H
#define GUEST_APPS_HOSTILE_NOTE_H

#include "hypercall/abi.h"
#include "kit.h"

#define NOTE_NAME 16u
#define WATCH_BEGIN_MS 900u /* after the loader's first instruction */
#define ATTACK_BEGIN_MS 1200u

struct note {
	uint64_t number; /* of the attack, from 1; written last */
	uint64_t until;  /* TSC at which the neighbour may end; 0: not yet known */
	char name[NOTE_NAME];
};

static inline volatile struct note *note_find(const struct kit_info *info)
{
	static struct note own;
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (memcmp(info->map[i].name, "note", sizeof "note") == 0)
			return (volatile struct note *)info->map[i].gpa;
	return &own;
}

static inline void note_attack(volatile struct note *note, const char *name)
{
	for (unsigned i = 0; i < NOTE_NAME; i++) {
		note->name[i] = *name;
		name += *name != 0;
	}
	note->number++;
}

static inline void note_nothing(struct kit_frame *frame)
{
	(void)frame;
}

/* In HLT: what waits takes no time of the emulator's. */
static inline void wait_until(uint64_t tsc)
{
	kit_timer_start(note_nothing);
	kit_timer_at(tsc);
	while (rdtsc() < tsc)
		wait_for_interrupt();
}

static inline uint64_t after_loader(uint64_t ms)
{
	int64_t loader = kit_counter(BH_COUNTER_LOADER_TSC);
	return (loader > 0 ? (uint64_t)loader : kit_start_tsc) + ms * kit_tsc_khz();
}

#endif

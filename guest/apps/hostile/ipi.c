// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupt commands to every CPU of the machine: all delivery modes, destinations and shorthands. INIT and SIPI to the
 * sender itself are left to fatal_init, as they may rightly reset it, and vectors 16 to 31 and 255 to itself are left
 * out: they look like exceptions, and like a spurious interrupt. What a foreign CPU feels, its own partition tells.
 */
#include "hostile.h"

#define DESTINATIONS 16u
#define MODES 8u /* fixed, lowest priority, SMI, reserved, NMI, INIT, SIPI, ExtINT */
#define MODE_INIT 5u
#define MODE_SIPI 6u
#define LOGICAL (1u << 11)
#define ASSERT (1u << 14)
#define LEVEL (1u << 15)
#define SHORTHANDS 4u /* none, self, all, all but self */
#define VECTOR 0xe0u
#define SPURIOUS 0xffu /* Bochs never ends such an interrupt if it was sent on purpose */
#define BROADCAST 0xffffffffu

static void write_icr(void *value)
{
	wrmsr(X2APIC_ICR, *(uint64_t *)value);
}

static void command(struct attack *a, uint32_t destination, uint32_t low)
{
	uint64_t value = (uint64_t)destination << 32 | low;
	attempt(a, write_icr, &value);
}

static void all_modes(struct attack *a, uint32_t destination, uint32_t flags, bool includes_self)
{
	for (uint32_t mode = 0; mode < MODES; mode++) {
		if (includes_self && (mode == MODE_INIT || mode == MODE_SIPI))
			continue;
		command(a, destination, flags | mode << 8 | VECTOR);
		command(a, destination, flags | mode << 8 | ASSERT | VECTOR);
		command(a, destination, flags | mode << 8 | ASSERT | LEVEL | VECTOR);
	}
}

void attack_ipi(struct attack *a, const struct kit_info *info)
{
	uint32_t self = (uint32_t)rdmsr(X2APIC_ID);
	(void)info;
	for (uint32_t id = 0; id < DESTINATIONS; id++) {
		all_modes(a, id, 0, id == self);
		all_modes(a, 1u << id, LOGICAL, id == self);
		all_modes(a, (id + 1) << 16 | 0xffff, LOGICAL, false);
	}
	all_modes(a, BROADCAST, 0, true);
	all_modes(a, BROADCAST, LOGICAL, true);
	for (uint32_t shorthand = 1; shorthand < SHORTHANDS; shorthand++)
		all_modes(a, 0, shorthand << 18, shorthand != 3);
	for (uint32_t vector = 0; vector < 256; vector++)
		for (uint32_t id = 0; id < 4; id++)
			if (id != self || (vector - 16 >= 16 && vector != SPURIOUS))
				command(a, id, vector);
	for (unsigned i = 0; i < 1000; i++) { /* reserved bits and all else */
		uint64_t v = (random_number() | 0x20) & ~1ull;
		uint32_t mode = v >> 8 & 7;
		if (mode != MODE_INIT && mode != MODE_SIPI)
			command(a, (uint32_t)(v >> 32), (uint32_t)v);
	}
	for (unsigned i = 0; i < 1000; i++) { /* what was sent to ourselves arrives now */
		sti();
		pause();
		cli();
	}
}

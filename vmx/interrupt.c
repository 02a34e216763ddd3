// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include "core/cpu.h"
#include "core/machine_ioapic.h"
#include "pins.h"

_Static_assert(CONFIG_INTERRUPTS <= 64, "one bit an interrupt");

static uint64_t edges_of[CONFIG_PARTITIONS]; /* a bit an interrupt: edge-triggered ones, by owner */
static uint64_t held;                        /* masked edges. Only the CPU that interrupts go to */

void interrupt_init(void)
{
	for (uint32_t i = 0; i < CONFIG_INTERRUPTS; i++)
		if (!config.interrupts[i].level)
			edges_of[config.interrupts[i].partition] |= 1ull << i;
}

/*
 * What comes while its owner does not run is masked until that does: so a device costs the others one exit each time, whatever it
 * and its owner do. A further edge until then is one with that which is pending. A level stays masked until the guest's EOI: the core's
 * own EOI, which must not wait for a guest, would let it interrupt again at once.
 */
void interrupt_arrived(uint32_t vector)
{
	const uint32_t index = vector - CONFIG_INTERRUPT_VECTOR;
	const struct config_interrupt *x = &config.interrupts[index];
	const struct config_partition *p;

	if (index >= CONFIG_INTERRUPTS)
		return; /* a kick */
	p = &config.partitions[x->partition];
	if (x->level) {
		machine_ioapic_mask(index, 1);
		pins_raise(p, x->pin);
		return;
	}
	if (this_cpu->running->partition != p) {
		machine_ioapic_mask(index, 1);
		held |= 1ull << index;
	}
	pins_pulse(p, x->pin);
}

void interrupt_admit(uint16_t partition)
{
	uint64_t bits = held & edges_of[partition];

	held &= ~bits;
	for (uint32_t left = CONFIG_INTERRUPTS; bits && left; left--, bits &= bits - 1)
		machine_ioapic_mask((uint32_t)__builtin_ctzll(bits), 0);
}

uint32_t interrupt_ended(uint16_t partition, uint32_t pins)
{
	uint32_t done = 0;

	for (uint32_t i = 0; pins && i < CONFIG_INTERRUPTS; i++) {
		const struct config_interrupt *x = &config.interrupts[i];

		if (x->partition != partition || !(pins >> x->pin & 1) || !x->level)
			continue;
		machine_ioapic_mask(i, 0);
		done |= 1u << x->pin;
	}
	return done;
}

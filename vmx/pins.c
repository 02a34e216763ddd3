// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/posted.h"
#include "exit.h"
#include "interrupt.h"
#include "ioapic.h"
#include "xapic.h"

#define MODE_LOWEST 1u

static struct ioapic ioapics[CONFIG_IOAPICS];
/* A bit a vector: level-triggered. Whoever sends a message writes it. */
static uint32_t level[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU][8];
/* Level-triggered messages from other CPUs: never by posted interrupts, since the receiver's EOI-exit bitmap must know of them first. */
static uint32_t sent[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU][8], sent_words[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

static struct ioapic *ioapic_of(const struct config_partition *p)
{
	return &ioapics[p->ioapic - 1];
}

void pins_init(void)
{
	for (uint32_t i = 0; i < CONFIG_IOAPICS; i++)
		ioapic_reset(&ioapics[i]);
}

void pins_reset(const struct config_partition *p)
{
	ioapic_reset(ioapic_of(p));
}

const uint32_t *pins_level(const struct vcpu *vcpu)
{
	return vcpu->partition->ioapic ? level[this_cpu->index][vcpu - this_cpu->vcpu] : 0;
}

static void post(const struct config_vcpu *to, uint32_t low)
{
	const uint32_t vector = low & IOAPIC_VECTOR, bit = 1u << vector % 32;
	uint32_t *word = &level[to->cpu][to->slot][vector / 32];

	if (low & IOAPIC_LEVEL)
		__atomic_or_fetch(word, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(word, ~bit, __ATOMIC_SEQ_CST);
	if (to->cpu == this_cpu->index) {
		lapic_accept(&this_cpu->scheduled.vcpu[to->slot].lapic, vector);
		posted_wake(to->cpu, to->slot);
	} else if (low & IOAPIC_LEVEL) {
		__atomic_or_fetch(&sent[to->cpu][to->slot][vector / 32], bit, __ATOMIC_SEQ_CST);
		__atomic_or_fetch(&sent_words[to->cpu][to->slot], 1u << vector / 32, __ATOMIC_SEQ_CST);
		posted_wake(to->cpu, to->slot);
	} else {
		posted_send(to->cpu, to->slot, vector);
	}
}

void pins_take(const struct vcpu *vcpu)
{
	const uint32_t slot = (uint32_t)(vcpu - this_cpu->vcpu), cpu = this_cpu->index;

	if (!__atomic_load_n(&sent_words[cpu][slot], __ATOMIC_ACQUIRE))
		return;
	for (uint32_t words = __atomic_exchange_n(&sent_words[cpu][slot], 0, __ATOMIC_SEQ_CST); words;
	     words &= words - 1) {
		const uint32_t word = (uint32_t)__builtin_ctz(words);

		lapic_accept_word(&this_cpu->scheduled.vcpu[slot].lapic, word,
		                  __atomic_exchange_n(&sent[cpu][slot][word], 0, __ATOMIC_SEQ_CST));
	}
}

/* The message of one pin to the partition's vCPUs. */
static void deliver(const struct config_partition *p, const struct ioapic *io, uint32_t pin)
{
	const uint32_t low = __atomic_load_n(&io->low[pin], __ATOMIC_SEQ_CST);
	const uint32_t destination = __atomic_load_n(&io->high[pin], __ATOMIC_SEQ_CST) >> 24;

	if (IOAPIC_MODE(low) > MODE_LOWEST || (low & IOAPIC_VECTOR) < 16)
		return;
	for (uint32_t i = 0; i < p->vcpu_count; i++) {
		if (!xapic_receives(p, i, destination, low & IOAPIC_LOGICAL))
			continue;
		post(&p->vcpus[i], low);
		if (IOAPIC_MODE(low) == MODE_LOWEST)
			break;
	}
	this_cpu->scheduled.changed = 1;
}

static void deliver_all(const struct config_partition *p, uint32_t pins)
{
	for (; pins; pins &= pins - 1)
		deliver(p, ioapic_of(p), (uint32_t)__builtin_ctz(pins));
}

void pins_raise(const struct config_partition *p, uint32_t pin)
{
	if (ioapic_raise(ioapic_of(p), pin))
		deliver(p, ioapic_of(p), pin);
}

void pins_pulse(const struct config_partition *p, uint32_t pin)
{
	pins_raise(p, pin);
	ioapic_lower(ioapic_of(p), 1u << pin);
}

void pins_drive(const struct config_partition *p, uint32_t mask, uint32_t before, uint32_t levels)
{
	uint32_t rising = levels & ~before & mask;

	ioapic_lower(ioapic_of(p), before & ~levels & mask);
	for (uint32_t left = CONFIG_MAX_COMPANION_PINS; rising && left; left--, rising &= rising - 1)
		pins_raise(p, (uint32_t)__builtin_ctz(rising));
}

uint64_t pins_poll(struct vcpu *vcpu, uint64_t now)
{
	if (vcpu->index || !vcpu->partition->ioapic)
		return LAPIC_NEVER;
	scheduled_console_due(); /* takes input in, too, but not while a window waits */
	if (uart_interrupts(vcpu->partition_index))
		pins_pulse(vcpu->partition, UART_PIN);
	return now + tsc_khz; /* a millisecond: 12 characters, and the machine's 16550 holds 16 */
}

void pins_ended(struct vcpu *vcpu, uint32_t vector)
{
	struct ioapic *io = ioapic_of(vcpu->partition);
	const uint32_t ended = ioapic_end(io, vector);

	if (CONFIG_INTERRUPTS)
		ioapic_lower(io, interrupt_ended(vcpu->partition_index, ended));
	deliver_all(vcpu->partition, ioapic_due(io, ended));
}

/* Both registers are 32 bits wide; other accesses write nothing. */
enum mmio_result pins_access(struct vcpu *vcpu, uint32_t offset, const struct decoded *d, uint64_t *value)
{
	struct ioapic *io = ioapic_of(vcpu->partition);

	if (!d->write)
		*value = ioapic_read(io, offset);
	else if (d->size == 4)
		deliver_all(vcpu->partition, ioapic_write(io, offset, (uint32_t)*value));
	return MMIO_DONE;
}

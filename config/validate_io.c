// SPDX-License-Identifier: Apache-2.0
/* The validator's part for emulated device registers and for interrupts of the machine: see validate.h. */
#include "validate.h"

#include <stdbool.h>

static bool overlaps_memory(const struct config_partition *p, const struct config_mmio *m)
{
	for (unsigned i = 0; i < p->map_count; i++)
		if (m->gpa < p->maps[i].gpa + p->maps[i].size && p->maps[i].gpa < m->gpa + m->size)
			return true;
	return false;
}

/* Is there exactly one range of that kind, a page at `gpa`? */
static bool has_page(const struct config_partition *p, unsigned kind, uint64_t gpa)
{
	unsigned count = 0, right = 0;

	for (unsigned i = 0; i < p->mmio_count; i++) {
		const struct config_mmio *m = &p->mmio[i];
		count += m->kind == kind;
		right += m->kind == kind && m->gpa == gpa && m->size == PAGE_SIZE;
	}
	return count == 1 && right == 1;
}

static bool has_none(const struct config_partition *p, unsigned kind)
{
	for (unsigned i = 0; i < p->mmio_count; i++)
		if (p->mmio[i].kind == kind)
			return false;
	return true;
}

static enum config_rule check_ranges(const struct config_partition *p, unsigned partition, struct config_fault *fault)
{
	if (p->mmio_count > CONFIG_MAX_MMIO)
		return config_fault_at(fault, RULE_COUNT, partition, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < p->mmio_count; i++) {
		const struct config_mmio *m = &p->mmio[i];
		if (m->size == 0 || (m->size | m->gpa) % PAGE_SIZE != 0 || m->gpa >> 46 != 0 || m->size >> 46 != 0 ||
		    m->kind >= MMIO_KIND_COUNT || (m->kind == MMIO_COMPANION && p->companion == 0) ||
		    overlaps_memory(p, m) || (i > 0 && m->gpa < m[-1].gpa + m[-1].size))
			return config_fault_at(fault, RULE_MMIO, partition, i, CONFIG_NONE);
	}
	if (!(p->xapic ? has_page(p, MMIO_LAPIC, MMIO_LAPIC_BASE) : has_none(p, MMIO_LAPIC)) ||
	    !(p->ioapic != 0 ? has_page(p, MMIO_IOAPIC, MMIO_IOAPIC_BASE) : has_none(p, MMIO_IOAPIC)) || p->xapic > 1)
		return config_fault_at(fault, RULE_MMIO, partition, CONFIG_NONE, CONFIG_NONE);
	return RULE_OK;
}

static unsigned bits(uint32_t set)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 32; i++)
		count += set >> i & 1;
	return count;
}

/* A dedicated CPU's local APIC is the real one: it has no registers in the partition's memory, and its EOI does not exit. */
static enum config_rule check_apics(const struct config *c, unsigned partition, unsigned *ioapics,
                                    struct config_fault *fault)
{
	const struct config_partition *p = &c->partitions[partition];

	for (unsigned i = 0; (p->xapic || p->ioapic != 0) && i < p->vcpu_count; i++)
		if (!c->cpus[p->vcpus[i].cpu].scheduled)
			return config_fault_at(fault, RULE_APIC, partition, i, CONFIG_NONE);
	if (p->ioapic != 0 && p->ioapic != ++*ioapics)
		return config_fault_at(fault, RULE_APIC, partition, CONFIG_NONE, CONFIG_NONE);
	if (p->companion_pins != 0 && (p->companion == 0 || p->ioapic == 0 || p->companion_pins >> IOAPIC_PINS != 0 ||
	                               bits(p->companion_pins) > CONFIG_MAX_COMPANION_PINS))
		return config_fault_at(fault, RULE_COMPANION, partition, CONFIG_NONE, CONFIG_NONE);
	return RULE_OK;
}

/* Inputs are masked and unmasked while partitions run, through the one index register of the machine's I/O APIC: by one CPU. */
static bool on_one_cpu(const struct config *c, const struct config_interrupt *a, const struct config_interrupt *b)
{
	const struct config_partition *p = &c->partitions[a->partition];

	for (unsigned i = 1; i < p->vcpu_count; i++)
		if (p->vcpus[i].cpu != p->vcpus[0].cpu)
			return false;
	return c->partitions[b->partition].vcpus[0].cpu == p->vcpus[0].cpu;
}

static enum config_rule check_interrupts(const struct config *c, struct config_fault *fault)
{
	if (c->interrupt_count > CONFIG_MAX_INTERRUPTS)
		return config_fault_at(fault, RULE_COUNT, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->interrupt_count; i++) {
		const struct config_interrupt *a = &c->interrupts[i];
		if (a->partition >= c->partition_count || c->partitions[a->partition].ioapic == 0 ||
		    a->irq > CONFIG_MAX_IRQ || a->pin >= IOAPIC_PINS || a->level > 1 || a->active_low > 1 ||
		    (c->partitions[a->partition].companion_pins >> a->pin & 1) != 0)
			return config_fault_at(fault, RULE_INTERRUPT, CONFIG_NONE, i, CONFIG_NONE);
		for (unsigned j = 0; j < i; j++) {
			const struct config_interrupt *b = &c->interrupts[j];
			if (a->irq == b->irq || (a->partition == b->partition && a->pin == b->pin))
				return config_fault_at(fault, RULE_INTERRUPT, CONFIG_NONE, i, j);
		}
		if (!on_one_cpu(c, a, &c->interrupts[0]))
			return config_fault_at(fault, RULE_INTERRUPT_CPU, CONFIG_NONE, i, 0);
	}
	return RULE_OK;
}

enum config_rule config_validate_io(const struct config *c, struct config_fault *fault)
{
	unsigned ioapics = 0;

	for (unsigned i = 0; i < c->partition_count; i++)
		if (check_ranges(&c->partitions[i], i, fault) != RULE_OK ||
		    check_apics(c, i, &ioapics, fault) != RULE_OK)
			return fault->rule;
	return check_interrupts(c, fault);
}

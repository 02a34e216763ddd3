// SPDX-License-Identifier: Apache-2.0
/* The validator's part for how partitions see their PCI functions: see validate.h. */
#include "validate.h"

#include <stdbool.h>

#define ADDRESS_LIMIT (1ull << 46)
#define FIRST_MEGABYTE 0x100000ull

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool bar_valid(const struct config_bar *b)
{
	if (b->io)
		return b->io == 1 && b->small == 0 && b->size >= 4 && b->size <= 256 &&
		       (b->size & (b->size - 1)) == 0 && b->hpa % b->size == 0 && b->hpa + b->size <= 0x10000 &&
		       b->hpa != 0 && b->gpa == b->hpa;
	if (b->small != 0 &&
	    (b->size != PAGE_SIZE || b->small < 16 || b->small >= PAGE_SIZE || (b->small & (b->small - 1)) != 0))
		return false;
	return b->size % PAGE_SIZE == 0 && b->size <= ADDRESS_LIMIT && (b->size & (b->size - 1)) == 0 &&
	       (b->hpa | b->gpa) % b->size == 0 && b->hpa != 0 && b->gpa != 0 && b->hpa < ADDRESS_LIMIT &&
	       b->gpa < ADDRESS_LIMIT;
}

/* No memory of the owner where it sees the registers, no fixed memory of anyone where they are. */
static bool bar_is_apart(const struct config *c, const struct config_partition *p, const struct config_bar *b)
{
	for (unsigned i = 0; i < p->map_count; i++)
		if (overlap(b->gpa, b->size, p->maps[i].gpa, p->maps[i].size))
			return false;
	for (unsigned i = 0; i < p->mmio_count; i++)
		if (overlap(b->gpa, b->size, p->mmio[i].gpa, p->mmio[i].size))
			return false;
	for (unsigned i = 0; i < c->memory_count; i++)
		if (c->memories[i].hpa != CONFIG_HPA_ANY &&
		    overlap(b->hpa, b->size, c->memories[i].hpa, c->memories[i].size))
			return false;
	return true;
}

/* Nobody but the owner has a direct right on the ports. */
static bool ports_are_apart(const struct config *c, unsigned owner, const struct config_bar *b)
{
	for (unsigned i = 0; i < c->partition_count; i++)
		for (unsigned j = 0; i != owner && j < c->partitions[i].port_count; j++) {
			const struct config_port *port = &c->partitions[i].ports[j];
			if (port->kind == PORT_PASS &&
			    overlap(b->hpa, b->size, port->first, port->last - port->first + 1ull))
				return false;
		}
	return true;
}

/* Registers of two BARs, of any two devices, are apart on the machine; of one partition's, where it sees them, too. */
static bool bars_are_apart(const struct config_device *x, const struct config_bar *a, const struct config_device *y,
                           const struct config_bar *b)
{
	return a->size == 0 || b->size == 0 || a->io != b->io ||
	       (!overlap(a->hpa, a->size, b->hpa, b->size) &&
	        (x->partition != y->partition || !overlap(a->gpa, a->size, b->gpa, b->size)));
}

static enum config_rule check_bars(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_device *d = &c->devices[index];

	for (unsigned i = 0; i < CONFIG_BARS; i++) {
		const struct config_bar *a = &d->bars[i];
		if (a->size == 0)
			continue;
		if (!bar_valid(a) ||
		    (a->io ? !ports_are_apart(c, d->partition, a) : !bar_is_apart(c, &c->partitions[d->partition], a)))
			return config_fault_at(fault, RULE_DEVICE_BAR, CONFIG_NONE, index, CONFIG_NONE);
		for (unsigned j = 0; j <= index; j++)
			for (unsigned k = 0; k < (j < index ? CONFIG_BARS : i); k++)
				if (!bars_are_apart(d, a, &c->devices[j], &c->devices[j].bars[k]))
					return config_fault_at(fault, RULE_DEVICE_BAR, CONFIG_NONE, index, j);
	}
	return RULE_OK;
}

/* Without an IOMMU a device takes what its driver tells it for a host-physical address. The first megabyte is apart: drivers keep out of it. */
static bool is_identity(const struct config *c, const struct config_partition *p)
{
	for (unsigned i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		const uint64_t hpa = c->memories[m->memory].hpa;
		if ((m->gpa >= FIRST_MEGABYTE || m->size > FIRST_MEGABYTE - m->gpa) &&
		    (hpa == CONFIG_HPA_ANY || hpa + m->offset != m->gpa))
			return false;
	}
	return true;
}

static bool has_interrupt(const struct config *c, const struct config_device *d)
{
	for (unsigned i = 0; i < c->interrupt_count; i++) {
		const struct config_interrupt *x = &c->interrupts[i];
		if (x->partition == d->partition && x->pin == DEVICE_PIN(d->slot))
			return x->level;
	}
	return false;
}

static enum config_rule check_device(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_device *a = &c->devices[index];

	if (a->slot == 0 || a->slot > DEVICE_SLOTS || a->reset_required > 1 || a->interrupt > 1 ||
	    a->interrupt != has_interrupt(c, a))
		return config_fault_at(fault, RULE_DEVICE_SLOT, CONFIG_NONE, index, CONFIG_NONE);
	for (unsigned j = 0; j < index; j++)
		if (a->partition == c->devices[j].partition && a->slot == c->devices[j].slot)
			return config_fault_at(fault, RULE_DEVICE_SLOT, CONFIG_NONE, index, j);
	if (c->iommu == IOMMU_ABSENT_OK && !is_identity(c, &c->partitions[a->partition]))
		return config_fault_at(fault, RULE_DEVICE_DMA, CONFIG_NONE, index, CONFIG_NONE);
	return check_bars(c, index, fault);
}

enum config_rule config_validate_pci(const struct config *c, struct config_fault *fault)
{
	for (unsigned i = 0; i < c->device_count; i++)
		if (check_device(c, i, fault) != RULE_OK)
			return fault->rule;
	return RULE_OK;
}

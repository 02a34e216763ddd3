// SPDX-License-Identifier: Apache-2.0
/* A partition's APICs and their places in its memory, and which interrupts of the machine it gets. */
#include "mkconfig.h"

#include <inttypes.h>

static const char *const apic_names[] = { "x2apic", "xapic" };
static const char *const trigger_names[] = { "edge", "level" };
static const char *const polarity_names[] = { "high", "low" };

/* In order of their addresses. */
static void add_range(const struct plan *plan, unsigned partition, uint64_t gpa, uint64_t size, uint8_t kind)
{
	struct config_partition *p = &plan->partitions[partition];
	struct plan_partition *x = &plan->extra[partition];
	unsigned at = p->mmio_count++;

	for (; at > 0 && x->mmio[at - 1].gpa > gpa; at--)
		x->mmio[at] = x->mmio[at - 1];
	x->mmio[at] = (struct config_mmio){ .gpa = gpa, .size = size, .kind = kind };
	p->mmio = x->mmio;
}

/* What a companion answers for beside ports, and the interrupts that it drives. */
static void add_companion(struct plan *plan, unsigned partition)
{
	const struct in_companion *in = plan->extra[partition].in->companion;
	struct config_partition *p = &plan->partitions[partition];

	for (unsigned i = 1; i < p->vcpu_count; i++)
		if (p->vcpus[i].cpu != p->vcpus[0].cpu)
			fail(line_of("partitions/%u/companion", partition),
			     "companion: '%s' has vCPUs on CPUs %u and %u; the companion lives on one, where those that wait for it are",
			     p->name, p->vcpus[0].cpu, p->vcpus[i].cpu);
	for (unsigned i = 0; i < in->mmio_count; i++) {
		uint64_t gpa = parse_size(line_of("partitions/%u/companion/mmio/%u/at", partition, i), "at",
		                          in->mmio[i].at, 0, GUEST_LIMIT - PAGE_SIZE);
		uint64_t size = parse_size(line_of("partitions/%u/companion/mmio/%u/size", partition, i), "size",
		                           in->mmio[i].size, PAGE_SIZE, GUEST_LIMIT - gpa);
		add_range(plan, partition, gpa, size, MMIO_COMPANION);
	}
	for (unsigned i = 0; i < in->pins_count; i++) {
		unsigned line = line_of("partitions/%u/companion/pins/%u", partition, i);
		uint32_t pin = (uint32_t)parse_number(line, "pins", in->pins[i], 0, IOAPIC_PINS - 1);
		if ((p->companion_pins >> pin & 1) != 0)
			fail(line, "pins: %u is given twice", pin);
		for (unsigned j = 0; j < p->port_count; j++)
			if (p->ports[j].kind == PORT_UART && pin == UART_PIN)
				fail(line, "pins: %u is the emulated serial port's", UART_PIN);
		p->companion_pins |= 1u << pin;
	}
}

/* ISA interrupts are edges, active high; others are PCI's: level, active low. */
void interrupt_wiring(struct config_interrupt *x, const char *path, const char *trigger, const char *polarity)
{
	x->level = x->irq >= 16;
	if (trigger != NULL)
		x->level = (uint8_t)parse_name(line_of("%s/trigger", path), "trigger", trigger, trigger_names,
		                               LENGTH(trigger_names));
	x->active_low = x->irq >= 16;
	if (polarity != NULL)
		x->active_low = (uint8_t)parse_name(line_of("%s/polarity", path), "polarity", polarity, polarity_names,
		                                    LENGTH(polarity_names));
}

void interrupt_add(struct plan *plan, unsigned line, struct config_interrupt x, unsigned origin)
{
	unsigned count = plan->config.interrupt_count;

	if (count == CONFIG_MAX_INTERRUPTS)
		fail(line, "interrupts: the limit is %u in all partitions", CONFIG_MAX_INTERRUPTS);
	plan->interrupts = grow(plan->interrupts, count, sizeof *plan->interrupts);
	plan->interrupts[count] = x;
	plan->interrupt_origin = grow(plan->interrupt_origin, count, sizeof *plan->interrupt_origin);
	plan->interrupt_origin[count] = origin;
	plan->config.interrupt_count = (uint16_t)(count + 1);
}

static void add_interrupt(struct plan *plan, unsigned partition, unsigned index)
{
	const struct in_interrupt *in = &plan->extra[partition].in->interrupts[index];
	const char *path = text("partitions/%u/interrupts/%u", partition, index);
	struct config_interrupt x = { .partition = (uint16_t)partition };

	x.irq = (uint8_t)parse_number(line_of("%s/irq", path), "irq", in->irq, 0, CONFIG_MAX_IRQ);
	x.pin = (uint8_t)parse_number(line_of("%s/pin", path), "pin", in->pin, 0, IOAPIC_PINS - 1);
	interrupt_wiring(&x, path, in->trigger, in->polarity);
	for (unsigned i = 0; i < plan->partitions[partition].port_count; i++)
		if (plan->partitions[partition].ports[i].kind == PORT_UART && x.pin == UART_PIN)
			fail(line_of("%s/pin", path), "pin: %u is the emulated serial port's", UART_PIN);
	interrupt_add(plan, line_of("%s", path), x, index);
}

/* A dedicated CPU takes interrupts with no exit, at vectors that are the guest's choice: the core cannot know which. */
static void check_cpus(const struct plan *plan, unsigned partition)
{
	const struct config_partition *p = &plan->partitions[partition];
	const struct in_partition *in = plan->extra[partition].in;
	const char *key = p->xapic                 ? "apic" :
	                  in->interrupts_count > 0 ? "interrupts" :
	                  pci_has_interrupts(in)   ? "devices" :
	                  p->companion_pins != 0   ? "companion/pins" :
	                                             "ioapic";

	for (unsigned i = 0; i < p->vcpu_count; i++)
		if (!plan->cpus[p->vcpus[i].cpu].scheduled)
			fail(line_of("partitions/%u/%s", partition, key),
			     "%s: only where all of the partition's CPUs are scheduled; CPU %u is dedicated to '%s', with its "
			     "own local APIC and no exit at its interrupts",
			     key, p->vcpus[i].cpu, p->name);
}

void devices_build(struct plan *plan, unsigned partition)
{
	static uint8_t ioapics;
	struct config_partition *p = &plan->partitions[partition];
	const struct in_partition *in = plan->extra[partition].in;

	if (in->apic != NULL)
		p->xapic = (uint8_t)parse_name(line_of("partitions/%u/apic", partition), "apic", in->apic, apic_names,
		                               LENGTH(apic_names));
	if (in->companion != NULL)
		add_companion(plan, partition);
	if (in->interrupts_count > 0 || pci_has_interrupts(in) || p->companion_pins != 0 ||
	    parse_truth(line_of("partitions/%u/ioapic", partition), "ioapic", in->ioapic))
		p->ioapic = ++ioapics;
	if (p->ioapic != 0)
		add_range(plan, partition, MMIO_IOAPIC_BASE, PAGE_SIZE, MMIO_IOAPIC);
	if (p->xapic)
		add_range(plan, partition, MMIO_LAPIC_BASE, PAGE_SIZE, MMIO_LAPIC);
	if (p->ioapic != 0 || p->xapic)
		check_cpus(plan, partition);
	for (unsigned i = 0; i < in->interrupts_count; i++)
		add_interrupt(plan, partition, i);
}

static unsigned mmio_line(const struct plan *plan, unsigned partition, uint64_t gpa)
{
	const struct in_companion *in = plan->extra[partition].in->companion;

	for (unsigned i = 0; in != NULL && i < in->mmio_count; i++) {
		unsigned line = line_of("partitions/%u/companion/mmio/%u/at", partition, i);
		if (parse_size(line, "at", in->mmio[i].at, 0, GUEST_LIMIT) == gpa)
			return line;
	}
	return line_of("partitions/%u/%s", partition, plan->partitions[partition].xapic ? "apic" : "ioapic");
}

unsigned device_fault_line(const struct plan *plan, const struct config_fault *f)
{
	unsigned origin;

	switch (f->rule) {
	case RULE_INTERRUPT:
	case RULE_INTERRUPT_CPU:
		origin = plan->interrupt_origin[f->index];
		if (origin >= ORIGIN_DEVICE)
			return line_of("partitions/%u/devices/%u/irq", plan->interrupts[f->index].partition,
			               origin - ORIGIN_DEVICE);
		return line_of("partitions/%u/interrupts/%u", plan->interrupts[f->index].partition, origin);
	case RULE_MMIO:
		if (f->index != CONFIG_NONE)
			return mmio_line(plan, f->partition, plan->partitions[f->partition].mmio[f->index].gpa);
		/* fall through */
	default:
		return line_of("partitions/%u/%s", f->partition,
		               plan->partitions[f->partition].xapic ? "apic" : "ioapic");
	}
}

static const char *interrupt_detail(const struct plan *plan, unsigned index)
{
	const struct config_interrupt *x = &plan->interrupts[index];

	return text("IRQ %u, %s, to pin %u of '%s'", x->irq, trigger_names[x->level], x->pin,
	            plan->partitions[x->partition].name);
}

const char *device_fault_detail(const struct plan *plan, const struct config_fault *f)
{
	const struct config_mmio *m;

	switch (f->rule) {
	case RULE_INTERRUPT:
	case RULE_INTERRUPT_CPU:
		if (f->other == CONFIG_NONE || f->other == f->index)
			return interrupt_detail(plan, f->index);
		return text("%s, and %s", interrupt_detail(plan, f->index), interrupt_detail(plan, f->other));
	case RULE_MMIO:
		if (f->index == CONFIG_NONE)
			break;
		m = &plan->partitions[f->partition].mmio[f->index];
		return text("0x%" PRIx64 "-0x%" PRIx64, m->gpa, m->gpa + m->size - 1);
	default:
		break;
	}
	return text("'%s'", plan->partitions[f->partition].name);
}

const char *apics_text(const struct config_partition *p)
{
	return text("%s%s", p->xapic ? "local in xAPIC mode" : "local in x2APIC mode",
	            p->ioapic != 0 ? text(", I/O with %u pins", IOAPIC_PINS) : "");
}

const char *interrupts_text(const struct plan *plan, unsigned partition)
{
	const char *list = "";

	for (unsigned i = 0; i < plan->config.interrupt_count; i++) {
		const struct config_interrupt *x = &plan->interrupts[i];
		if (x->partition == partition)
			list = text("%s%sIRQ %u to pin %u, %s", list, list[0] != '\0' ? "; " : "", x->irq, x->pin,
			            trigger_names[x->level]);
	}
	return list[0] != '\0' ? list : "none";
}

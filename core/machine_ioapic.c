// SPDX-License-Identifier: Apache-2.0
#include "machine_ioapic.h"

#include "console.h"
#include "core.h"
#include "panic.h"
#include "vmx/ioapic.h"
#include "vtd/vtd.h"
#include "window.h"

#define MAX_INPUTS 240u

static struct acpi_interrupts found;

#define REMAPPED_FORMAT (1u << 16) /* high half of an entry: bits 31:17 are an index (VT-d specification 5.1.2.2) */
#define REMAPPED_INDEX 17u

/* Where an interrupt comes in, and its redirection entry's low half, unmasked. */
static struct {
	uint64_t address;
	uint32_t input, low;
} inputs[CONFIG_INTERRUPTS];

enum acpi_result machine_ioapic_find(struct acpi *acpi)
{
	return acpi_interrupts(acpi, &found);
}

static volatile uint32_t *registers(uint64_t address)
{
	return (volatile uint32_t *)window_device(1, address);
}

static uint32_t read_register(uint64_t address, uint32_t index)
{
	volatile uint32_t *r = registers(address);

	r[IOAPIC_INDEX / 4] = index;
	return r[IOAPIC_DATA / 4];
}

static void write_register(uint64_t address, uint32_t index, uint32_t value)
{
	volatile uint32_t *r = registers(address);

	r[IOAPIC_INDEX / 4] = index;
	r[IOAPIC_DATA / 4] = value;
}

static uint32_t input_count(uint64_t address)
{
	const uint32_t count = (read_register(address, IOAPIC_VERSION) >> 16 & 0xff) + 1;

	return count < MAX_INPUTS ? count : MAX_INPUTS;
}

/* What the MADT says of an ISA interrupt's wiring must be what the configuration says: it decided what a partition may do with it. */
static void check_wiring(const struct config_interrupt *x)
{
	const uint32_t flags = found.isa[x->irq].flags;
	const uint32_t level = (flags & ACPI_TRIGGER) == ACPI_LEVEL, low = (flags & ACPI_POLARITY) == ACPI_ACTIVE_LOW;

	if ((flags & ACPI_TRIGGER && level != x->level) || (flags & ACPI_POLARITY && low != x->active_low))
		refuse("IRQ %u is %s-triggered, active %s on this machine: change trigger and polarity in the configuration",
		       x->irq, level ? "level" : "edge", low ? "low" : "high");
}

static void program(uint32_t index)
{
	const struct config_interrupt *x = &config.interrupts[index];
	const uint32_t cpu = config.partitions[x->partition].vcpus[0].cpu, apic_id = cpu_apic_id[cpu];
	const uint32_t gsi = x->irq < ACPI_ISA_IRQS ? found.isa[x->irq].gsi : x->irq;

	if (x->irq < ACPI_ISA_IRQS)
		check_wiring(x);
	const int remapped = CONFIG_IOMMU && vtd_active();

	if (apic_id > 0xfe && !remapped)
		refuse("IRQ %u: the I/O APIC cannot reach CPU %u, APIC ID %u, without interrupt remapping", x->irq, cpu,
		       apic_id);
	for (uint32_t i = 0; i < found.count; i++) {
		const uint64_t address = found.ioapic[i].address;
		const uint32_t input = gsi - found.ioapic[i].gsi;

		if (gsi < found.ioapic[i].gsi || input >= input_count(address))
			continue;
		inputs[index].address = address;
		inputs[index].input = input;
		inputs[index].low = (CONFIG_INTERRUPT_VECTOR + index) | (x->level ? IOAPIC_LEVEL : 0) |
		                    (x->active_low ? IOAPIC_ACTIVE_LOW : 0);
		if (remapped)
			vtd_interrupt_set(
				index, &(struct vtd_interrupt){ apic_id, vtd_ioapic_source(found.ioapic[i].id),
			                                        (uint8_t)(CONFIG_INTERRUPT_VECTOR + index), x->level });
		write_register(address, IOAPIC_ENTRIES + 2 * input + 1,
		               remapped ? index << REMAPPED_INDEX | REMAPPED_FORMAT : apic_id << 24);
		write_register(address, IOAPIC_ENTRIES + 2 * input, inputs[index].low);
		print("IRQ %u: input %u of the I/O APIC at %lx, to CPU %u, for %s\n", x->irq, input, address, cpu,
		      config.partitions[x->partition].name);
		return;
	}
	refuse("IRQ %u, global system interrupt %u: no I/O APIC of this machine has it", x->irq, gsi);
}

void machine_ioapic_init(void)
{
	for (uint32_t i = 0; i < found.count;
	     i++) /* registers are not memory: a wrong table must not make the core write there */
		if (found.ioapic[i].address & 15 || mtrr_is_write_back(found.ioapic[i].address, 16))
			refuse("the MADT's I/O APIC %u at %lx is memory or not aligned: a fault of the firmware", i,
			       found.ioapic[i].address);
	for (uint32_t i = 0; i < found.count; i++)
		for (uint32_t input = 0; input < input_count(found.ioapic[i].address); input++)
			write_register(found.ioapic[i].address, IOAPIC_ENTRIES + 2 * input, IOAPIC_MASKED);
	for (uint32_t i = 0; i < CONFIG_INTERRUPTS; i++)
		program(i);
	window_close();
}

void machine_ioapic_mask(uint32_t index, uint32_t masked)
{
	write_register(inputs[index].address, IOAPIC_ENTRIES + 2 * inputs[index].input,
	               inputs[index].low | (masked ? IOAPIC_MASKED : 0));
	window_close();
}

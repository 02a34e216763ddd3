// SPDX-License-Identifier: Apache-2.0
/* The exerciser's second part: interrupts, and what the core tells of faults. See exerciser.c. */
#include "tests/vtd/exerciser.h"

/* ---- interrupts ------------------------------------------------------------------------------------------------------ */

#define MSI_CAPABILITY 5u
#define REMAPPED(index) (0xfee00010u | ((index)&0x7fffu) << 5 | ((index) >> 15 & 1u) << 2)
#define SUBHANDLE 8u

/* The local APIC has accepted it and keeps it, since interrupts are off. */
static int pending(uint32_t vector)
{
	if (cpuid(1, 0).r[2] & CPUID_1_ECX_X2APIC)
		return rdmsr(0x820 + vector / 32) >> vector % 32 & 1;
	return *(volatile uint32_t *)window_device(0, 0xfee00200u + vector / 32 * 16) >> vector % 32 & 1;
}

static void set_apic(uint32_t svr)
{
	if (cpuid(1, 0).r[2] & CPUID_1_ECX_X2APIC)
		wrmsr(MSR_X2APIC_SVR, svr);
	else
		*(volatile uint32_t *)window_device(0, 0xfee000f0u) = svr;
}

static void config_write32(uint16_t source, uint32_t offset, uint32_t value)
{
	outl(0xcf8, 1u << 31 | (uint32_t)source << 8 | offset);
	outl(0xcfc, value);
}

static void set_msi(const struct edu *e, uint32_t address, uint32_t data)
{
	uint32_t at = pci_read(0, 0, e->source, 0x34) & 0xfc;

	for (uint32_t i = 0; i < 48 && at && (pci_read(0, 0, e->source, at) & 0xff) != MSI_CAPABILITY; i++)
		at = pci_read(0, 0, e->source, at) >> 8 & 0xfc;
	config_write32(e->source, at + 4, address);
	config_write32(e->source, at + 8, 0);
	config_write32(e->source, at + 12, data);
	config_write32(e->source, at, pci_read(0, 0, e->source, at) | 1u << 16);
}

static void wait_a_little(void)
{
	for (volatile uint32_t i = 0; i < 200000; i++)
		;
}

static void send(const struct edu *e, uint32_t address, uint32_t data)
{
	set_msi(e, address, data);
	edu_register(e, EDU_RAISE)[0] = 1;
	wait_a_little();
	edu_register(e, EDU_ACKNOWLEDGE)[0] = 1;
}

/* An interrupt that must not arrive, at any of the vectors used here; the record, where this QEMU makes one (from 10 on). */
static void blocked(const struct edu *e, uint32_t vector, uint8_t reason, uint32_t index, const char *what)
{
	struct vtd_fault f;
	const int found = vtd_take_fault(&f);

	check(!pending(vector), what, e, vector, index);
	if (found)
		check(f.reason == reason && (f.source == e->source || f.source == UNKNOWN) && f.index == index,
		      "another record for an interrupt", e, (uint64_t)f.reason << 32 | f.source, f.index);
	print("exerciser: %s: %s, %s\n", what, pending(vector) ? "ARRIVED" : "blocked",
	      found ? vtd_fault_text(f.reason) : "no record");
}

static void arrived(const struct edu *e, uint32_t vector, const char *what)
{
	struct vtd_fault f;

	check(pending(vector) && !vtd_take_fault(&f), what, e, vector, 0);
	print("exerciser: %s: %s\n", what, pending(vector) ? "arrived" : "DID NOT ARRIVE");
}

void try_interrupts(const struct edu *e, const struct edu *other)
{
	const uint32_t own = config.devices[0].first_vector, foreign = config.devices[2].first_vector;
	const uint32_t apic_id = this_cpu->apic_id;

	set_apic(0x1ff);
	vtd_interrupt_set(own, &(struct vtd_interrupt){ apic_id, e->source, 0x41, 0 });
	vtd_interrupt_set(foreign, &(struct vtd_interrupt){ apic_id, other->source, 0x42, 0 });
	vtd_interrupt_set(own + 1, &(struct vtd_interrupt){ apic_id, e->source, 0x43, 0 });
	send(e, REMAPPED(own), 0);
	arrived(e, 0x41, "MSI with its own index");
	send(e, REMAPPED(own) | SUBHANDLE, 1);
	arrived(e, 0x43, "MSI with its own index and a subhandle");
	send(e, REMAPPED(foreign), 0);
	blocked(e, 0x42, 0x26, foreign, "MSI with the index of another device");
	send(other, REMAPPED(foreign), 0);
	arrived(other, 0x42, "MSI of that other device");
	send(e, REMAPPED(own + 2), 0x44);
	blocked(e, 0x44, 0x22, own + 2, "MSI with an index that is not in use");
	send(e, REMAPPED(CONFIG_IRTES), 0x45);
	blocked(e, 0x45, 0x21, CONFIG_IRTES, "MSI with an index beyond the table");
	send(e, REMAPPED(0xffffu), 0x46);
	blocked(e, 0x46, 0x21, 0xffff, "MSI with the highest index");
	/* The same as plain writes to memory. */
	fill(e, 0);
	dma(e, REMAPPED(own + 3), 1);
	blocked(e, 0x47, 0x22, own + 3, "a DMA write like an MSI, index not in use");
	fill(e, 0x48);
	dma(e, REMAPPED(CONFIG_IRTES + 1), 1);
	blocked(e, 0x48, 0x21, CONFIG_IRTES + 1, "a DMA write like an MSI, index beyond the table");
	set_apic(0xff);
}

/* The serial line's transmitter, through input 4 of the I/O APIC. QEMU does not compare the entry's source here, so that is not asked. */
void try_ioapic(void)
{
	const uint32_t index = CONFIG_IRTES - 2, input = 0x10 + 2 * 4;
	const uint16_t source = vtd_ioapic_source(0);
	const struct edu io = { .source = source };

	set_apic(0x1ff);
	vtd_interrupt_set(index, &(struct vtd_interrupt){ this_cpu->apic_id, source, 0x51, 0 });
	for (uint32_t round = 0; round < 2; round++) {
		const uint32_t vector = 0x51 + round;
		volatile uint32_t *r = (volatile uint32_t *)window_device(0, 0xfec00000);

		r[0] = input + 1;
		r[4] = (index + round) << 17 | 1u << 16;
		r[0] = input;
		r[4] = vector;
		outb(config.uart_port + 1, 2);
		wait_a_little();
		outb(config.uart_port + 1, 0);
		r = (volatile uint32_t *)window_device(0, 0xfec00000);
		r[0] = input;
		r[4] = 1u << 16;
		if (round)
			blocked(&io, vector, 0x22, index + 1, "I/O APIC, entry that is not in use");
		else
			arrived(&io, vector, "I/O APIC through its entry");
	}
	set_apic(0xff);
}

/* ---- faults are told ------------------------------------------------------------------------------------------------- */

/* So many records as the core tells of, and then a record that it leaves where it is, until it is asked. */
void try_telling(const struct edu *e)
{
	const uint32_t limit = 32;
	struct vtd_fault f;

	start_dma(e, handoff.core_hpa, 1);
	halt(); /* interrupts are off: only an NMI ends this */
	print("exerciser: a fault wakes a CPU that sleeps without interrupts\n");
	vtd_attention(0);
	check(!vtd_take_fault(&f), "a fault is not told", e, 0, 0);
	for (uint32_t i = 1; i <= limit; i++) {
		dma(e, handoff.core_hpa + i * PAGE_SIZE, 1);
		vtd_attention(0);
		console_flush();
	}
	check(vtd_take_fault(&f), "there is no end of telling", e, 0, 0);
	dma(e, handoff.core_hpa, 0);
	vtd_attention(1);
	check(!vtd_take_fault(&f), "a fault is not told when asked for", e, 0, 0);
	console_flush();
}

// SPDX-License-Identifier: Apache-2.0
#include "assign.h"

#include "console.h"
#include "core.h"
#include "panic.h"
#include "vmx/pci.h"
#include "vtd/dmar.h"
#include "vtd/pci.h"
#include "window.h"
#include "x86.h"

#define HEADER_TYPE 0x0cu /* in bits 22:16 */
#define HEADER_TYPE_MASK 0x7f0000u
#define CLASS 0x08u
#define CLASS_BRIDGE 6u
#define EXPRESS_CONTROL 8u
#define EXPRESS_CONTROL_FLR (1u << 15)
#define AF_FLR (1u << 25) /* in the capability's first word */
#define AF_CONTROL 4u
#define RESET_MS 100u /* within which a function has reset itself (PCI Express 5.0, 6.6.2) */
#define READY_MS 1000u

struct function {
	uint16_t source;
	uint8_t reset; /* one is under way */
	uint32_t bars[CONFIG_BARS];
};
static struct function functions[CONFIG_DEVICES];

/* How a function is called in the configuration, for messages. */
#define NAME "PCI %x:%x.%x of %s"
#define NAME_OF(i)                                                                    \
	(uint32_t) functions[i].source >> 8, (uint32_t)functions[i].source >> 3 & 31, \
		(uint32_t)functions[i].source & 7, config.partitions[config.devices[i].partition].name

static uint32_t read(uint32_t i, uint32_t offset)
{
	return pci_read(0, 0, functions[i].source, offset);
}

static void write32(uint32_t i, uint32_t offset, uint32_t value)
{
	pci_write32(0, functions[i].source, offset, value);
}

/* It neither uses the bus, nor decodes an address, nor interrupts. */
static void quiet(uint32_t i)
{
	pci_write16(0, functions[i].source, PCI_COMMAND, PCI_COMMAND_NO_INTERRUPT);
}

static void find(uint32_t i)
{
	const struct config_device *d = &config.devices[i];

	if (!pci_resolve(&d->path, 0, pci_read, 0, &functions[i].source))
		refuse("device %u of the configuration, for %s: a bridge on its path is not there", i,
		       config.partitions[d->partition].name);
	const uint32_t id = read(i, 0);

	if ((uint16_t)id == UINT16_MAX)
		refuse(NAME ": there is nothing", NAME_OF(i));
	if (d->vendor && id != (d->vendor | (uint32_t)d->device << 16))
		refuse(NAME ": there is %x:%x, the configuration says %x:%x", NAME_OF(i), id & 0xffff, id >> 16,
		       (uint32_t)d->vendor, (uint32_t)d->device);
	if (read(i, HEADER_TYPE) & HEADER_TYPE_MASK || read(i, CLASS) >> 24 == CLASS_BRIDGE)
		refuse(NAME ": it is a bridge, which no partition can have", NAME_OF(i));
}

/* What a BAR decodes; the function is quiet. Returns its size, 0 if there is none. */
static uint64_t probe(uint32_t i, uint32_t number, uint64_t *at, uint32_t *kind)
{
	const uint32_t offset = PCI_BARS + 4 * number, low = functions[i].bars[number];
	const int wide = !(low & PCI_BAR_IO) && (low & PCI_BAR_64_MASK) == PCI_BAR_64 && number + 1 < CONFIG_BARS;
	uint64_t mask;

	*kind = low & PCI_BAR_IO;
	*at = low & (*kind ? ~3u : ~0xfu);
	write32(i, offset, UINT32_MAX);
	mask = read(i, offset) & (*kind ? ~3u : ~0xfu);
	mask |= *kind ? UINT64_MAX << (mask >> 16 ? 32 : 16) : UINT64_MAX << 32; /* I/O BARs may lack the upper half */
	write32(i, offset, low);
	if (wide) {
		*at |= (uint64_t)functions[i].bars[number + 1] << 32;
		write32(i, offset + 4, UINT32_MAX);
		mask = (mask & UINT32_MAX) | (uint64_t)read(i, offset + 4) << 32;
		write32(i, offset + 4, functions[i].bars[number + 1]);
	}
	return (uint32_t)mask || wide ? -mask : 0;
}

static void check_bar(uint32_t i, uint32_t number)
{
	const struct config_bar *b = &config.devices[i].bars[number];
	uint64_t at;
	uint32_t io;
	const uint64_t size = probe(i, number, &at, &io);

	if (size != b->size || at != b->hpa || io != b->io) {
		print(NAME ": BAR %u is %s at %lx, size %lx\n", NAME_OF(i), number, io ? "io" : "memory", at, size);
		refuse(NAME ": the configuration says %s at %lx, size %lx", NAME_OF(i), b->io ? "io" : "memory", b->hpa,
		       b->size);
	}
	if (b->io)
		return;
	if (mtrr_is_write_back(at, size))
		refuse(NAME ": BAR %u at %lx is where memory is, by the MTRRs", NAME_OF(i), number, at);
	for (uint32_t j = 0; j < CONFIG_MEMORIES; j++)
		if (at < handoff.memory[j].hpa + handoff.memory[j].size && handoff.memory[j].hpa < at + size)
			refuse(NAME ": BAR %u at %lx is where memory %s is", NAME_OF(i), number, at,
			       config.memories[j].name);
	if (at < handoff.core_hpa + handoff.core_size && handoff.core_hpa < at + size)
		refuse(NAME ": BAR %u at %lx is where the core is", NAME_OF(i), number, at);
}

/* Begin a function-level reset, if it knows one. */
static void reset(uint32_t i)
{
	const uint32_t express = pci_capability(0, functions[i].source, PCI_CAPABILITY_EXPRESS);
	const uint32_t af = pci_capability(0, functions[i].source, PCI_CAPABILITY_AF);

	functions[i].reset = 1;
	if (express && read(i, express + 4) & PCI_EXPRESS_FLR)
		pci_write16(0, functions[i].source, express + EXPRESS_CONTROL,
		            (uint16_t)(read(i, express + EXPRESS_CONTROL) | EXPRESS_CONTROL_FLR));
	else if (af && read(i, af) & AF_FLR)
		pci_write16(0, functions[i].source, af + AF_CONTROL, 1);
	else
		functions[i].reset = 0;
}

static void wait_ms(uint64_t ms)
{
	const uint64_t end = rdtsc() + ms * tsc_khz;

	while (rdtsc() < end)
		pause();
}

/* Is it there again, and as it was? Until then it answers with all ones, or not with its number. */
static int is_back(uint32_t i)
{
	const uint64_t end = rdtsc() + READY_MS * tsc_khz;
	int same = 1;

	while ((uint16_t)read(i, 0) == UINT16_MAX || (uint16_t)read(i, 0) == 1)
		if (rdtsc() > end)
			return 0;
	quiet(i);
	for (uint32_t n = 0; n < CONFIG_BARS; n++) {
		write32(i, PCI_BARS + 4 * n, functions[i].bars[n]);
		same &= read(i, PCI_BARS + 4 * n) == functions[i].bars[n];
	}
	return same;
}

static void show(uint32_t i)
{
	const struct config_device *d = &config.devices[i];

	if (!functions[i].reset && d->reset_required)
		print(NAME ": it knows no function-level reset: it stays blocked (reset)\n", NAME_OF(i));
	else if (!is_back(i))
		print(NAME ": it did not come back from its reset: it stays blocked\n", NAME_OF(i));
	else {
		pciview_build(pci_show(i), d, 0, functions[i].source);
		print(NAME ": %x:%x, in slot %u, %s\n", NAME_OF(i), read(i, 0) & 0xffff, read(i, 0) >> 16,
		      (uint32_t)d->slot,
		      functions[i].reset ? "reset" : "NOT RESET, since it knows no function-level reset");
	}
}

/* Where there is one register for all CPUs to name a function with, only one CPU may. */
static void check_cpus(void)
{
	const uint16_t first = config.partitions[config.devices[0].partition].vcpus[0].cpu;

	for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
		const struct config_partition *p = &config.partitions[config.devices[i].partition];

		for (uint32_t j = 0; j < p->vcpu_count; j++)
			if (p->vcpus[j].cpu != first)
				refuse("this machine has no MCFG: all devices must belong to partitions of one CPU, and %s has CPU %u "
				       "beside CPU %u",
				       p->name, p->vcpus[j].cpu, first);
	}
}

void assign_init(void)
{
	uint32_t resets = 0;

	if (!pci_has_areas())
		check_cpus();
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
		const char *wrong = pci_open_path(&config.devices[i].path);

		if (wrong)
			refuse("device %u of the configuration, for %s: %s", i,
			       config.partitions[config.devices[i].partition].name, wrong);
		find(i);
		quiet(i);
		for (uint32_t n = 0; n < CONFIG_BARS; n++)
			functions[i].bars[n] = read(i, PCI_BARS + 4 * n);
		for (uint32_t n = 0; n < CONFIG_BARS; n++)
			if (config.devices[i].bars[n].size)
				check_bar(i, n);
	}
	wait_ms(RESET_MS); /* for what they had begun */
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
		reset(i);
		resets += functions[i].reset;
	}
	if (resets)
		wait_ms(RESET_MS);
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		show(i);
	window_close();
}

/* Before its memory is made new, into which they might write. There is no reset in steps yet, so that they stay blocked. */
void assign_block(uint16_t partition)
{
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		if (config.devices[i].partition == partition) {
			quiet(i);
			pci_hide(i);
		}
	window_close();
}

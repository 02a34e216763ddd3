// SPDX-License-Identifier: Apache-2.0
/* See pci.h. */
#include "vtd/pci.h"

#include "core/core.h"
#include "core/window.h"
#include "core/x86.h"

static struct mcfg mcfg;

const char *pci_find(struct acpi *acpi)
{
	struct acpi_table table;
	uint32_t offset;

	if (acpi_find(acpi, "MCFG", &table) != ACPI_OK)
		return acpi->fault.result == ACPI_MISSING ? 0 : acpi_result_text(acpi->fault.result);
	const uint8_t *p = acpi->map(acpi->context, table.phys, table.length);
	const char *wrong = p ? mcfg_parse(p, table.length, &mcfg, &offset) : "it cannot be read";

	/* registers are not memory: a wrong table must not make the core write there */
	for (uint32_t i = 0; i < mcfg.count && !wrong; i++)
		if (mtrr_is_write_back(mcfg.area[i].base + ((uint64_t)mcfg.area[i].first << 20), PAGE_SIZE))
			wrong = "an area is memory";
	if (wrong)
		mcfg.count = 0;
	return wrong;
}

static volatile uint8_t *function(uint16_t segment, uint16_t source)
{
	for (uint32_t i = 0; i < mcfg.count; i++) {
		const struct mcfg_area *a = &mcfg.area[i];

		if (a->segment == segment && a->first <= source >> 8 && source >> 8 <= a->last)
			return window_device(1, a->base + ((uint64_t)source << 12));
	}
	return 0;
}

/* Without an area, by the ports, which know segment 0 and 256 bytes of a function. */
static int select(uint16_t segment, uint16_t source, uint32_t offset)
{
	if (segment || offset > 255)
		return 0;
	outl(PCI_ADDRESS_PORT, 1u << 31 | (uint32_t)source << 8 | (offset & 0xfc));
	return 1;
}

uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	const volatile uint8_t *f = function(segment, source);

	(void)context;
	if (f)
		return *(const volatile uint32_t *)(f + offset);
	return select(segment, source, offset) ? inl(PCI_DATA_PORT) : UINT32_MAX;
}

int pci_has_areas(void)
{
	return mcfg.count != 0;
}

void pci_write32(uint16_t segment, uint16_t source, uint32_t offset, uint32_t value)
{
	volatile uint8_t *f = function(segment, source);

	if (f)
		*(volatile uint32_t *)(f + offset) = value;
	else if (select(segment, source, offset))
		outl(PCI_DATA_PORT, value);
}

void pci_write16(uint16_t segment, uint16_t source, uint32_t offset, uint16_t value)
{
	volatile uint8_t *f = function(segment, source);

	if (f)
		*(volatile uint16_t *)(f + offset) = value;
	else if (select(segment, source, offset))
		outw((uint16_t)(PCI_DATA_PORT + (offset & 2)), value);
}

/* Sixteen bits: the upper half of that word is status, whose bits a write of 1 clears. */
static void command(uint16_t segment, uint16_t source, uint32_t clear, uint32_t set)
{
	pci_write16(segment, source, PCI_COMMAND,
	            (uint16_t)((pci_read(0, segment, source, PCI_COMMAND) & ~clear) | set));
}

void pci_bus_master(uint16_t segment, uint16_t source, int on)
{
	if ((uint16_t)pci_read(0, segment, source, 0) != UINT16_MAX)
		command(segment, source, PCI_COMMAND_BUS_MASTER, on ? PCI_COMMAND_BUS_MASTER : 0);
}

static uint32_t quiet_buses(const struct mcfg_area *a)
{
	uint32_t count = 0;

	for (uint32_t source = (uint32_t)a->first << 8; source < (a->last + 1u) << 8; source++) {
		if ((uint16_t)pci_read(0, a->segment, (uint16_t)source, 0) == UINT16_MAX) {
			source |= source & 7 ? 0 : 7; /* without function 0 there are no others */
			continue;
		}
		count++;
		pci_bus_master(a->segment, (uint16_t)source, 0);
		if (!(source & 7) &&
		    !(pci_read(0, a->segment, (uint16_t)source, PCI_HEADER) & PCI_HEADER_MULTI_FUNCTION))
			source |= 7;
	}
	return count;
}

uint32_t pci_quiet(void)
{
	static const struct mcfg_area by_ports = { .last = 255 };
	uint32_t count = mcfg.count ? 0 : quiet_buses(&by_ports);

	for (uint32_t i = 0; i < mcfg.count; i++)
		count += quiet_buses(&mcfg.area[i]);
	window_close();
	return count;
}

/* Port type of a PCI Express function (7.5.3.2), or UINT32_MAX if it is a conventional one. */
static uint32_t express_type(uint16_t source)
{
	const uint32_t at = pci_capability(0, source, PCI_CAPABILITY_EXPRESS);

	return at ? pci_read(0, 0, source, at) >> 20 & 15 : UINT32_MAX;
}

const char *pci_open_path(const struct config_path *path)
{
	struct config_path part = *path;
	uint16_t source;

	for (part.depth = 1; part.depth < path->depth; part.depth++) {
		if (!pci_resolve(&part, 0, pci_read, 0, &source))
			return "a bridge on its path is not there";
		const uint32_t type = express_type(source);

		if (type < 4 || type > 6) /* root port, upstream and downstream port of a switch */
			return "it is behind a conventional PCI bridge, with a source ID that is not its own";
		command(0, source, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	}
	return 0;
}

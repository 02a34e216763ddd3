// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration space of PCI functions: through the memory-mapped areas of the MCFG (PCI Express 5.0, 7.2.2), where the machine has one, else
 * by the ports CF8h and CFCh, which all CPUs share: the caller sees to it that one is at it. Changes the CPU's window 1.
 */
#ifndef VTD_PCI_H
#define VTD_PCI_H

#include "core/acpi.h"
#include "vtd/dmar.h"

/* Take the areas from the ACPI tables. 0, or what is wrong with these. */
const char *pci_find(struct acpi *acpi);

#define PCI_ADDRESS_PORT 0xcf8u /* PCI Local Bus 3.0, 3.2.2.3.2 */
#define PCI_DATA_PORT 0xcfcu
#define PCI_COMMAND 0x04u
#define PCI_COMMAND_IO 1u
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_BUS_MASTER 4u
#define PCI_COMMAND_NO_INTERRUPT (1u << 10)
#define PCI_STATUS_CAPABILITIES (1u << 20) /* in the word at PCI_COMMAND */
#define PCI_HEADER 0x0cu
#define PCI_HEADER_MULTI_FUNCTION (1u << 23)
#define PCI_BARS 0x10u
#define PCI_BAR_IO 1u
#define PCI_BAR_64 4u
#define PCI_BAR_64_MASK 7u
#define PCI_CAPABILITIES 0x34u
#define PCI_CAPABILITIES_MAX 48u /* as many as configuration space has room for */
#define PCI_CAPABILITY_EXPRESS 0x10u
#define PCI_CAPABILITY_AF 0x13u    /* advanced features: the other way to a function-level reset */
#define PCI_EXPRESS_FLR (1u << 28) /* in device capabilities, at 4 */

/* A register, all ones where there is no function. A pci_reader. */
uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset);

/* Where a function has a capability, or 0. Bounded, whatever the function says. */
static inline uint32_t pci_capability(uint16_t segment, uint16_t source, uint32_t id)
{
	uint32_t at = pci_read(0, segment, source, PCI_CAPABILITIES) & 0xfc;

	if (!(pci_read(0, segment, source, PCI_COMMAND) & PCI_STATUS_CAPABILITIES))
		return 0;
	for (uint32_t i = 0; i < PCI_CAPABILITIES_MAX && at >= 0x40; i++) {
		const uint32_t word = pci_read(0, segment, source, at);

		if ((word & 0xff) == id)
			return at;
		at = word >> 8 & 0xfc;
	}
	return 0;
}

/* All CPUs may call: there are areas. Constant after pci_find(). */
int pci_has_areas(void);

/* Is BAR `number` of the function the only one in segment 0 that begins in the page at `page`, ROMs counted? One access a possible device at
 * least: at the machine's start. */
int pci_page_is_own(uint16_t source, uint32_t number, uint64_t page);

/* Write a register; 16 bits of it, `offset` even. */
void pci_write32(uint16_t segment, uint16_t source, uint32_t offset, uint32_t value);
void pci_write16(uint16_t segment, uint16_t source, uint32_t offset, uint16_t value);

/* May the function write to memory, and read it? */
void pci_bus_master(uint16_t segment, uint16_t source, int on);

/* Take that from every function of the machine, bridges included. Returns how many functions there are. */
uint32_t pci_quiet(void);

/* Let the bridges on a path pass on what comes from behind them. 0, or why the device cannot be told from others: one of the bridges is a
 * conventional one, which sends in its own name. */
const char *pci_open_path(const struct config_path *path);

#endif

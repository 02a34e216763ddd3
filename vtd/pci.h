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

/* A register, all ones where there is no function. A pci_reader. */
uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset);

/* All CPUs may call: there are areas. Constant after pci_find(). */
int pci_has_areas(void);

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

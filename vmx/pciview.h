// SPDX-License-Identifier: Apache-2.0
/*
 * What a partition sees of a PCI function in configuration space (PCI Local Bus 3.0, chapter 6): for each register, which bits are read
 * from the function, and which bits a write changes, there or in the view alone. What is not listed reads 0 and takes no write; the
 * registers from 100h on do not exist. Pure logic but for pci_read() and pci_write() (vtd/pci.h).
 *
 *   shown            identification, class, status, PCI Express capability without function-level reset
 *   written through  command: I/O, memory, bus master; and interrupt disable where it has an interrupt
 *   in the view      BARs: they read as the partition has them, and can be sized; what the function decodes does not move
 *   hidden           all other BARs, expansion ROM, power management, MSI, MSI-X, and whatever else there is
 */
#ifndef VMX_PCIVIEW_H
#define VMX_PCIVIEW_H

#include "config/config.h"

#define PCI_REGISTERS 64u

struct pci_register {
	uint32_t real;  /* bits read from the function; `value` has the others */
	uint32_t write; /* bits that a write changes in the function */
	uint32_t latch; /* bits that a write changes in `value` */
	uint32_t value;
};

struct pci_view {
	uint16_t segment, source;
	struct pci_register r[PCI_REGISTERS];
	uint32_t bars[CONFIG_BARS]; /* values, as they were built */
};

/* Make the view of the function at `source`, as `d` says. It is there, and its BARs are as `d` says. */
void pciview_build(struct pci_view *v, const struct config_device *d, uint16_t segment, uint16_t source);

/* As it was built: what the partition wrote into it is gone. */
void pciview_renew(struct pci_view *v);

/* A register, `offset` a multiple of 4 below 256. */
uint32_t pciview_read(const struct pci_view *v, uint32_t offset);

/* A write of `size` bytes, 1, 2 or 4, that does not cross a register's end. */
void pciview_write(struct pci_view *v, uint32_t offset, uint32_t size, uint32_t value);

/* Registers of the host bridge that a partition sees as device 0 of its bus. */
uint32_t pciview_bridge(uint32_t offset);

/* What an address written to CF8h means (PCI Local Bus 3.0, 3.2.2.3.2): device number on the partition's bus, or UINT32_MAX if nothing is
 * there; *offset of the register. */
uint32_t pci_decode(uint32_t address, uint32_t *offset);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The machine's I/O APICs: interrupts that the configuration gives to partitions go to the CPUs of these, all other inputs are masked.
 * Linked only where the configuration has such interrupts.
 */
#ifndef CORE_MACHINE_IOAPIC_H
#define CORE_MACHINE_IOAPIC_H

#include "acpi.h"

/* Look them up in the MADT. Boot CPU. */
enum acpi_result machine_ioapic_find(struct acpi *acpi);

/* Program all inputs; refuse() if one of the configuration's is not there, or is wired otherwise. Boot CPU, all CPUs are found,
 * no partition runs. */
void machine_ioapic_init(void);

/* Mask (1) or unmask (0) the input of config.interrupts[index]. Only the CPU that all of them go to calls this: the index register is its
 * own (config/validate_io.c). */
void machine_ioapic_mask(uint32_t index, uint32_t masked);

#endif

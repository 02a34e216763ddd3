// SPDX-License-Identifier: Apache-2.0
/*
 * DMA and interrupts of devices: nothing that a device does reaches memory or a CPU unless the configuration gave it to the
 * device's partition. Linked only where the configuration says `iommu`. docs/devices.md.
 */
#ifndef VTD_VTD_H
#define VTD_VTD_H

#include "core/acpi.h"

/* An interrupt as a device or an I/O APIC is allowed to send it. */
struct vtd_interrupt {
	uint32_t apic_id; /* physical */
	uint16_t source;
	uint8_t vector, level;
};

struct vtd_fault; /* vtd/format.h */

/* Read the tables that describe the units. Boot CPU. */
void vtd_find(struct acpi *acpi);

/*
 * Take bus mastering from every function; build and prove the partitions' tables; then, unit by unit, block all that is not in them.
 * What a machine lacks is refused, or with IOMMU_ABSENT_OK told, and nothing is switched on. Boot CPU, before another CPU is started
 * and before any partition runs; may be called again.
 */
void vtd_init(void);

/* Are devices confined? Constant after vtd_init(). */
int vtd_active(void);

/* Is every unit as vtd_init() left it: both remappings on, with the core's tables? And one of the vtd_units(), which are 0 where
 * devices are not confined. Any CPU. */
int vtd_intact(void);
uint32_t vtd_units(void);
int vtd_unit_intact(uint32_t unit);

/* Let a source send one interrupt, as entry `index` of the remapping table. vtd_active() only. Boot CPU, no partition runs. */
void vtd_interrupt_set(uint32_t index, const struct vtd_interrupt *x);

/* Source ID of an I/O APIC, by its ID in the MADT; refuse() if no unit has it. */
uint16_t vtd_ioapic_source(uint8_t id);

/* Make all units forget what they know of the tables. Boot CPU, no partition runs. */
void vtd_invalidate(void);

/* Where devices are not confined: into the audit of the CPU that calls. */
void vtd_record(void);

/* Take one fault record out of the units; 0 if there is none. Only the CPU that faults are told to. */
int vtd_take_fault(struct vtd_fault *fault);

/* Tell of faults; `again`: also of those that were too many. With attention(). */
void vtd_attention(int again);

#endif

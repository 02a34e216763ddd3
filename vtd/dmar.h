// SPDX-License-Identifier: Apache-2.0
/*
 * What the firmware's tables say of remapping units and of configuration space: DMAR (VT-d specification 4.1, chapter 8) and
 * MCFG (PCI Firmware 3.3, 4.1.2). Pure logic: lengths, counts and addresses in them are checked before they are used; what is not
 * known is skipped by its length; all results have fixed sizes. The caller has checked the tables' checksums (core/acpi.h).
 */
#ifndef VTD_DMAR_H
#define VTD_DMAR_H

#include <stdint.h>

#include "config/config.h"

#define DMAR_MAX_UNITS 16u
#define DMAR_MAX_REGIONS 16u
#define DMAR_MAX_SCOPES 128u
#define MCFG_MAX_AREAS 8u
#define DMAR_NONE UINT32_MAX

/* DMAR flags (8.1) */
#define DMAR_INTERRUPT_REMAPPING 1u

enum dmar_scope_type { DMAR_ENDPOINT = 1, DMAR_BRIDGE, DMAR_IOAPIC, DMAR_HPET, DMAR_NAMESPACE }; /* 8.3.1 */

struct dmar_scope {
	uint8_t type, id; /* enum dmar_scope_type, or one that is not known; id: of an I/O APIC, as in the MADT */
	struct config_path path;
	/* After dmar_resolve(): */
	uint8_t there;
	uint8_t first_bus, last_bus; /* behind a bridge; 0, 0: none */
	uint16_t source;
};

struct dmar_unit { /* DRHD, 8.3 */
	uint64_t registers;
	uint16_t segment, first_scope, scope_count;
	uint8_t all; /* takes each device of its segment that no other unit names */
};

struct dmar_region { /* RMRR, 8.4: memory that the firmware says its devices go on using */
	uint64_t base, limit;
	uint16_t segment, first_scope, scope_count;
};

struct dmar {
	uint32_t unit_count, region_count, scope_count;
	uint8_t width, flags; /* host address width in bits, DMAR_INTERRUPT_REMAPPING */
	struct dmar_unit unit[DMAR_MAX_UNITS];
	struct dmar_region region[DMAR_MAX_REGIONS];
	struct dmar_scope scope[DMAR_MAX_SCOPES];
};

struct mcfg {
	uint32_t count;
	struct mcfg_area {
		uint64_t base; /* of bus 0 */
		uint16_t segment;
		uint8_t first, last; /* buses */
	} area[MCFG_MAX_AREAS];
};

/* 0, or what is wrong; *offset is then where in the table. */
const char *dmar_parse(const uint8_t *table, uint32_t length, struct dmar *dmar, uint32_t *offset);
const char *mcfg_parse(const uint8_t *table, uint32_t length, struct mcfg *mcfg, uint32_t *offset);

/* Reads a register of a function's configuration space; all ones where there is none. */
typedef uint32_t pci_reader(void *context, uint16_t segment, uint16_t source, uint32_t offset);

/* The function at the end of a path; 0 where a bridge on the way is not there, or is no bridge. */
int pci_resolve(const struct config_path *path, uint16_t segment, pci_reader *read, void *context, uint16_t *source);

/* Turn paths into source IDs. 0, or what is wrong: a device in two units' scopes. */
const char *dmar_resolve(struct dmar *dmar, pci_reader *read, void *context);

/* The unit that translates this device, or DMAR_NONE. */
uint32_t dmar_unit_of(const struct dmar *dmar, uint16_t segment, uint16_t source);

/* A region that this device goes on using, or DMAR_NONE. */
uint32_t dmar_region_of(const struct dmar *dmar, uint16_t segment, uint16_t source);

/* The scope of that I/O APIC in a unit of segment 0, or DMAR_NONE. */
uint32_t dmar_ioapic(const struct dmar *dmar, uint8_t id);

#endif

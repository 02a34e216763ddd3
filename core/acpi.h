// SPDX-License-Identifier: Apache-2.0
/*
 * ACPI tables, as far as the core reads them: root pointer, root table, MADT for the CPUs, FADT for the PM timer.
 * Pure logic. Tables are firmware's: no length, count or address in them is believed before it is checked.
 * ACPI 6.5, chapter 5.2.
 */
#ifndef CORE_ACPI_H
#define CORE_ACPI_H

#include <stdint.h>

#include "config/config.h"

#define ACPI_MAX_TABLE 0x10000u /* bytes of a table that is read; real ones stay far below */
#define ACPI_MAX_ENTRIES 512u   /* tables in the root table */

/* Makes `length` bytes at `phys` readable, or returns 0, also where phys + length wraps. What it returned before may
 * be gone. */
typedef const void *acpi_map(void *context, uint64_t phys, uint32_t length);

enum acpi_result {
	ACPI_OK,
	ACPI_UNREADABLE, /* the address cannot be mapped */
	ACPI_SIGNATURE,  /* something else is there */
	ACPI_LENGTH,     /* a length is too small, too large, or runs over the end */
	ACPI_CHECKSUM,   /* the bytes do not add up to 0 */
	ACPI_MISSING,    /* there is no such table or entry */
	ACPI_VALUE,      /* a field has a value that cannot be used */
};

/* Where it went wrong: "`table` at `address`, offset `offset`: text". */
struct acpi_fault {
	enum acpi_result result;
	char table[5];
	uint64_t address;
	uint32_t offset;
};

struct acpi {
	acpi_map *map;
	void *context;
	uint64_t root;           /* physical address of the RSDT or XSDT */
	uint32_t entries;        /* in it */
	uint32_t entry_size;     /* 4: RSDT, 8: XSDT */
	struct acpi_fault fault; /* filled in by every call that does not return ACPI_OK */
};

/* A table whose length and checksum are right. */
struct acpi_table {
	uint64_t phys;
	uint32_t length;
	uint8_t revision;
};

/* The usable CPUs, in the MADT's order, each x2APIC ID once. */
struct acpi_cpus {
	uint32_t count; /* in apic_id[] */
	uint32_t total; /* usable CPUs in the machine: may be more than count */
	uint32_t apic_id[CONFIG_MAX_CPUS];
};

struct acpi_pm_timer {
	uint16_t port;
	uint8_t bits; /* 24 or 32, at 3,579,545 Hz */
};

/* I/O APICs, and where ISA interrupts go. */
#define ACPI_MAX_IOAPICS 16u
#define ACPI_ISA_IRQS 16u
struct acpi_interrupts {
	uint32_t count; /* in ioapic[]; further ones are left out */
	struct {
		uint64_t address;
		uint32_t gsi; /* global system interrupt of its first input */
		uint8_t id;
	} ioapic[ACPI_MAX_IOAPICS];
	struct {
		uint32_t gsi;
		uint16_t flags; /* ACPI_POLARITY, ACPI_TRIGGER; 0 in a field: as the bus has it, edge, active high */
	} isa[ACPI_ISA_IRQS];
};
#define ACPI_POLARITY 3u
#define ACPI_ACTIVE_LOW 3u
#define ACPI_TRIGGER (3u << 2)
#define ACPI_LEVEL (3u << 2)

/* Check root pointer and root table. Call first; `map` and `context` stay in use. */
enum acpi_result acpi_open(struct acpi *a, acpi_map *map, void *context, uint64_t rsdp);

/* Find the first table with a signature of four characters. */
enum acpi_result acpi_find(struct acpi *a, const char *signature, struct acpi_table *table);

/* CPUs that are enabled in the MADT, by local APIC and local x2APIC entries. */
enum acpi_result acpi_cpus(struct acpi *a, struct acpi_cpus *cpus);

/* I/O APICs and interrupt source overrides of the MADT (5.2.12.3, 5.2.12.5). */
enum acpi_result acpi_interrupts(struct acpi *a, struct acpi_interrupts *interrupts);

/* The PM timer's I/O port. ACPI_MISSING on machines that have none. */
enum acpi_result acpi_pm_timer(struct acpi *a, struct acpi_pm_timer *timer);

/* A little-endian number of `size` bytes; nothing in a table need be aligned. */
static inline uint64_t acpi_number(const uint8_t *p, uint32_t size)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < size; i++)
		n |= (uint64_t)p[i] << (8 * i);
	return n;
}

/* A result in words; never 0. */
const char *acpi_result_text(enum acpi_result result);

#endif

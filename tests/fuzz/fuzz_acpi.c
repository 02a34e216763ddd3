// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer harness for the ACPI parser. The first byte says how the rest is used: as memory that begins with an RSDP,
 * or as the body of a root table, a MADT or a FADT around which a valid chain is built, so that checksums do not keep
 * the fuzzer out.
 */
#include "core/acpi.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

#define SIZE 0x8000u
#define ROOT 64u
#define TABLE 128u

static uint8_t memory[SIZE];
static size_t memory_size;
static void *mapped;

static const void *map(void *context, uint64_t phys, uint32_t length)
{
	(void)context;
	free(mapped);
	mapped = NULL;
	if (phys > memory_size || length > memory_size - phys)
		return NULL;
	mapped = malloc(length);
	memcpy(mapped, memory + phys, length);
	return mapped;
}

static void fix(uint8_t *p, size_t length, size_t checksum)
{
	uint8_t s = 0;
	p[checksum] = 0;
	for (size_t i = 0; i < length; i++)
		s = (uint8_t)(s + p[i]);
	p[checksum] = (uint8_t)-s;
}

/* A table at `at` whose bytes from `from` on are the input. Returns its end. */
static size_t build(size_t at, const char *signature, const uint8_t *data, size_t size)
{
	uint32_t length = 36 + (uint32_t)size;
	memcpy(memory + at, signature, 4);
	memcpy(memory + at + 4, &length, 4);
	memcpy(memory + at + 36, data, size);
	fix(memory + at, length, 9);
	return at + length;
}

static void run(void)
{
	struct acpi a;
	struct acpi_cpus cpus;
	struct acpi_pm_timer timer;
	struct acpi_interrupts interrupts;
	struct acpi_table table;
	if (acpi_open(&a, map, NULL, 0) == ACPI_OK) {
		if (acpi_cpus(&a, &cpus) == ACPI_OK && (cpus.count == 0 || cpus.count > CONFIG_MAX_CPUS))
			abort();
		if (acpi_interrupts(&a, &interrupts) == ACPI_OK &&
		    (interrupts.count == 0 || interrupts.count > ACPI_MAX_IOAPICS))
			abort();
		if (acpi_pm_timer(&a, &timer) == ACPI_OK && (timer.port == 0 || timer.port > 0xfffc))
			abort();
		if (acpi_find(&a, "DMAR", &table) == ACPI_OK && table.length > ACPI_MAX_TABLE)
			abort();
	}
	free(mapped);
	mapped = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t rsdp[36] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', [15] = 2, [20] = 36, [24] = ROOT };
	static const uint8_t entry[8] = { TABLE };
	if (size < 1 || size > SIZE - 1024)
		return 0;
	unsigned mode = *data++ % 4;
	memset(memory, 0, sizeof(memory));
	memory_size = --size;
	memcpy(memory, data, size);
	if (mode != 0) {
		memset(memory, 0, sizeof(memory));
		memcpy(memory, rsdp, sizeof(rsdp));
		fix(memory, 20, 8);
		fix(memory, 36, 32);
		if (mode == 1) {
			memory_size = build(ROOT, "XSDT", data, size);
		} else {
			build(ROOT, "XSDT", entry, sizeof(entry));
			memory_size = build(TABLE, mode == 2 ? "APIC" : "FACP", data, size);
		}
	}
	run();
	return 0;
}

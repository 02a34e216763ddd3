// SPDX-License-Identifier: Apache-2.0
/* ACPI tables. See acpi.h. ACPI 6.5, chapter 5.2. */
#include "core/acpi.h"

#define RSDP_V1_LENGTH 20u
#define RSDP_V2_LENGTH 36u
#define HEADER_LENGTH 36u

/* MADT (5.2.12) */
#define MADT_FIRST 44u
#define MADT_LOCAL_APIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_LOCAL_X2APIC 9u
#define MADT_ENABLED 1u

/* FADT (5.2.9) */
#define FADT_PM_TMR_BLK 76u
#define FADT_PM_TMR_LEN 91u
#define FADT_FLAGS 112u
#define FADT_TMR_VAL_EXT (1u << 8)
#define FADT_X_PM_TMR_BLK 208u
#define GAS_LENGTH 12u
#define GAS_SYSTEM_IO 1u

const char *acpi_result_text(enum acpi_result result)
{
	switch (result) {
	case ACPI_OK:
		return "ok";
	case ACPI_UNREADABLE:
		return "cannot be read";
	case ACPI_SIGNATURE:
		return "has a wrong signature";
	case ACPI_LENGTH:
		return "has a wrong length";
	case ACPI_CHECKSUM:
		return "has a wrong checksum";
	case ACPI_MISSING:
		return "is missing";
	case ACPI_VALUE:
		return "has an unusable value";
	}
	return "unknown result";
}

static void copy_signature(char *to, const char *from)
{
	for (uint32_t i = 0; i < 4; i++)
		to[i] = from[i];
	to[4] = 0;
}

static enum acpi_result fail(struct acpi *a, enum acpi_result result, const char *table, uint64_t address,
                             uint32_t offset)
{
	a->fault.result = result;
	a->fault.address = address;
	a->fault.offset = offset;
	copy_signature(a->fault.table, table);
	return result;
}

static uint32_t number32(const uint8_t *p)
{
	return (uint32_t)acpi_number(p, 4);
}

static int same(const uint8_t *p, const char *text, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (p[i] != (uint8_t)text[i])
			return 0;
	return 1;
}

static uint8_t sum(const uint8_t *p, uint32_t length)
{
	uint8_t s = 0;
	for (uint32_t i = 0; i < length; i++)
		s = (uint8_t)(s + p[i]);
	return s;
}

/* Check the table at `phys` as a whole. */
static enum acpi_result check(struct acpi *a, uint64_t phys, const char *signature, struct acpi_table *table)
{
	const uint8_t *p = a->map(a->context, phys, HEADER_LENGTH);
	if (!p)
		return fail(a, ACPI_UNREADABLE, signature, phys, 0);
	if (!same(p, signature, 4))
		return fail(a, ACPI_SIGNATURE, signature, phys, 0);
	uint32_t length = number32(p + 4);
	if (length < HEADER_LENGTH || length > ACPI_MAX_TABLE)
		return fail(a, ACPI_LENGTH, signature, phys, 4);
	p = a->map(a->context, phys, length);
	if (!p)
		return fail(a, ACPI_UNREADABLE, signature, phys, HEADER_LENGTH);
	if (sum(p, length) != 0)
		return fail(a, ACPI_CHECKSUM, signature, phys, 9);
	*table = (struct acpi_table){ phys, length, p[8] };
	return ACPI_OK;
}

enum acpi_result acpi_open(struct acpi *a, acpi_map *map, void *context, uint64_t rsdp)
{
	struct acpi_table root;
	a->map = map;
	a->context = context;
	a->entries = 0;

	const uint8_t *p = map(context, rsdp, RSDP_V1_LENGTH);
	if (!p)
		return fail(a, ACPI_UNREADABLE, "RSDP", rsdp, 0);
	if (!same(p, "RSD PTR ", 8))
		return fail(a, ACPI_SIGNATURE, "RSDP", rsdp, 0);
	if (sum(p, RSDP_V1_LENGTH) != 0)
		return fail(a, ACPI_CHECKSUM, "RSDP", rsdp, 8);
	a->root = number32(p + 16);
	a->entry_size = 4;
	if (p[15] >= 2) {
		p = map(context, rsdp, RSDP_V2_LENGTH);
		if (!p)
			return fail(a, ACPI_UNREADABLE, "RSDP", rsdp, RSDP_V1_LENGTH);
		uint32_t length = number32(p + 20);
		if (length < RSDP_V2_LENGTH || length > PAGE_SIZE)
			return fail(a, ACPI_LENGTH, "RSDP", rsdp, 20);
		p = map(context, rsdp, length);
		if (!p)
			return fail(a, ACPI_UNREADABLE, "RSDP", rsdp, RSDP_V2_LENGTH);
		if (sum(p, length) != 0)
			return fail(a, ACPI_CHECKSUM, "RSDP", rsdp, 32);
		uint64_t xsdt = acpi_number(p + 24, 8);
		if (xsdt) {
			a->root = xsdt;
			a->entry_size = 8;
		}
	}
	if (check(a, a->root, a->entry_size == 8 ? "XSDT" : "RSDT", &root) != ACPI_OK)
		return a->fault.result;
	a->entries = (root.length - HEADER_LENGTH) / a->entry_size;
	if (a->entries > ACPI_MAX_ENTRIES) {
		a->entries = 0;
		return fail(a, ACPI_LENGTH, a->entry_size == 8 ? "XSDT" : "RSDT", a->root, 4);
	}
	return ACPI_OK;
}

/* Tables that are of no interest may be broken: only one with this signature, or one that might have it, counts. */
enum acpi_result acpi_find(struct acpi *a, const char *signature, struct acpi_table *table)
{
	enum acpi_result result = fail(a, ACPI_MISSING, signature, a->root, 0);
	for (uint32_t i = 0; i < a->entries; i++) {
		uint32_t offset = HEADER_LENGTH + i * a->entry_size;
		const uint8_t *p = a->map(a->context, a->root + offset, a->entry_size);
		if (!p)
			return fail(a, ACPI_UNREADABLE, a->entry_size == 8 ? "XSDT" : "RSDT", a->root, offset);
		uint64_t phys = acpi_number(p, a->entry_size);
		if (phys == 0)
			continue;
		p = a->map(a->context, phys, HEADER_LENGTH);
		if (!p)
			result = fail(a, ACPI_UNREADABLE, signature, phys, 0);
		else if (same(p, signature, 4))
			return check(a, phys, signature, table);
	}
	return result;
}

static void add_cpu(struct acpi_cpus *cpus, uint32_t apic_id)
{
	for (uint32_t i = 0; i < cpus->count; i++)
		if (cpus->apic_id[i] == apic_id)
			return; /* some firmware lists a CPU as local APIC and as x2APIC */
	cpus->total++;
	if (cpus->count < CONFIG_MAX_CPUS)
		cpus->apic_id[cpus->count++] = apic_id;
}

/* The MADT as a whole, or 0. */
static const uint8_t *madt(struct acpi *a, struct acpi_table *t)
{
	if (acpi_find(a, "APIC", t) != ACPI_OK)
		return 0;
	if (t->length < MADT_FIRST) {
		fail(a, ACPI_LENGTH, "APIC", t->phys, 4);
		return 0;
	}
	const uint8_t *p = a->map(a->context, t->phys, t->length);
	if (!p)
		fail(a, ACPI_UNREADABLE, "APIC", t->phys, 0);
	return p;
}

/* The entry at `*at`, which goes on to the next; 0 at the end, and before it where one is cut short: that is a fault. */
static const uint8_t *madt_entry(struct acpi *a, const struct acpi_table *t, const uint8_t *table, uint32_t *at)
{
	static const uint8_t least[] = {
		[MADT_LOCAL_APIC] = 8, [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10, [MADT_LOCAL_X2APIC] = 16
	};
	const uint8_t *e = table + *at;
	const uint32_t left = t->length - *at, length = left < 2 ? 0 : e[1];

	if (!left)
		return 0;
	if (length < 2 || length > left || (e[0] < sizeof least && length < least[e[0]])) {
		fail(a, ACPI_LENGTH, "APIC", t->phys, *at);
		return 0;
	}
	*at += length;
	return e;
}

enum acpi_result acpi_cpus(struct acpi *a, struct acpi_cpus *cpus)
{
	struct acpi_table t;
	uint32_t at = MADT_FIRST;
	cpus->count = cpus->total = 0;
	const uint8_t *p = madt(a, &t);
	if (!p)
		return a->fault.result;

	for (const uint8_t *e; (e = madt_entry(a, &t, p, &at));) {
		/* The IDs of all ones are broadcasts, and stand in entries that are not in use. */
		if (e[0] == MADT_LOCAL_APIC && (e[4] & MADT_ENABLED) && e[3] != 0xff)
			add_cpu(cpus, e[3]);
		else if (e[0] == MADT_LOCAL_X2APIC && (e[8] & MADT_ENABLED) && number32(e + 4) != UINT32_MAX)
			add_cpu(cpus, number32(e + 4));
	}
	if (at < t.length)
		return a->fault.result;
	return cpus->count ? ACPI_OK : fail(a, ACPI_MISSING, "APIC", t.phys, MADT_FIRST);
}

enum acpi_result acpi_interrupts(struct acpi *a, struct acpi_interrupts *interrupts)
{
	struct acpi_table t;
	uint32_t at = MADT_FIRST;
	interrupts->count = 0;
	for (uint32_t i = 0; i < ACPI_ISA_IRQS; i++) {
		interrupts->isa[i].gsi = i;
		interrupts->isa[i].flags = 0;
	}
	const uint8_t *p = madt(a, &t);
	if (!p)
		return a->fault.result;

	for (const uint8_t *e; (e = madt_entry(a, &t, p, &at));) {
		if (e[0] == MADT_IOAPIC && interrupts->count < ACPI_MAX_IOAPICS) {
			interrupts->ioapic[interrupts->count].id = e[2];
			interrupts->ioapic[interrupts->count].address = number32(e + 4);
			interrupts->ioapic[interrupts->count++].gsi = number32(e + 8);
		} else if (e[0] == MADT_OVERRIDE && e[2] == 0 && e[3] < ACPI_ISA_IRQS) {
			interrupts->isa[e[3]].gsi = number32(e + 4);
			interrupts->isa[e[3]].flags = (uint16_t)acpi_number(e + 8, 2);
		}
	}
	if (at < t.length)
		return a->fault.result;
	return interrupts->count ? ACPI_OK : fail(a, ACPI_MISSING, "APIC", t.phys, MADT_FIRST);
}

enum acpi_result acpi_pm_timer(struct acpi *a, struct acpi_pm_timer *timer)
{
	struct acpi_table t;
	if (acpi_find(a, "FACP", &t) != ACPI_OK)
		return a->fault.result;
	if (t.length < FADT_FLAGS + 4)
		return fail(a, ACPI_LENGTH, "FACP", t.phys, 4);
	const uint8_t *p = a->map(a->context, t.phys, t.length);
	if (!p)
		return fail(a, ACPI_UNREADABLE, "FACP", t.phys, 0);

	uint32_t offset = FADT_PM_TMR_BLK;
	uint64_t port = number32(p + FADT_PM_TMR_BLK);
	if (t.length >= FADT_X_PM_TMR_BLK + GAS_LENGTH && acpi_number(p + FADT_X_PM_TMR_BLK + 4, 8) != 0) {
		offset = FADT_X_PM_TMR_BLK; /* if given, it is the one that counts (5.2.9, X_PM_TMR_BLK) */
		if (p[offset] != GAS_SYSTEM_IO)
			return fail(a, ACPI_VALUE, "FACP", t.phys, offset);
		port = acpi_number(p + offset + 4, 8);
	}
	if (port == 0)
		return fail(a, ACPI_MISSING, "FACP", t.phys, offset);
	if (port > 0xfffc || p[FADT_PM_TMR_LEN] != 4)
		return fail(a, ACPI_VALUE, "FACP", t.phys, port > 0xfffc ? offset : FADT_PM_TMR_LEN);
	timer->port = (uint16_t)port;
	timer->bits = number32(p + FADT_FLAGS) & FADT_TMR_VAL_EXT ? 32 : 24;
	return ACPI_OK;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The ACPI tables of a Linux partition, hardware-reduced: RSDP, XSDT, FADT, MADT, and the DSDT that iasl made of
 * config/acpi/dsdt.asl. ACPI specification 6.4, chapter 5.
 */
#include "mkconfig.h"

#include <string.h>

#define PACKED __attribute__((packed))
#define TABLE_ALIGN 64u

struct PACKED rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t checksum_all, reserved[3];
};

struct PACKED header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
};

#define SPACE_IO 1u
#define ACCESS_BYTE 1u
#define ACCESS_DWORD 3u

struct PACKED address {
	uint8_t space, width, offset, access;
	uint64_t base;
};

/* Revision 6.4. What a hardware-reduced platform lacks stays zero. */
struct PACKED fadt {
	struct header header;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t legacy_0[24]; /* SMI values, and the fixed hardware's ports */
	uint32_t pm_timer;
	uint8_t legacy_1[11], pm_timer_length, legacy_2[16];
	uint8_t century; /* offset 108 */
	uint16_t boot_flags;
	uint8_t reserved1;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot_flags;
	uint8_t minor_version;
	uint64_t x_facs, x_dsdt;
	struct address x_legacy_0[5], x_pm_timer, x_legacy_1[2];
	struct address sleep_control, sleep_status;
	uint64_t hypervisor;
};
_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6.4");

#define BOOT_NO_VGA (1u << 2)
#define BOOT_NO_CMOS_RTC (1u << 5)
#define FADT_WBINVD (1u << 0)
#define FADT_NO_POWER_BUTTON (1u << 4)
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_RESET_REGISTER (1u << 10)
#define FADT_HARDWARE_REDUCED (1u << 20)
#define SLEEP_CONTROL_PORT 0x600u /* these three: rights.c lists what they do */
#define SLEEP_STATUS_PORT 0x601u
#define RESET_PORT 0x604u
#define RESET_VALUE 6u
#define PM_TIMER_PORT 0x608u /* guest/apps/legacy/legacy.h */
#define CMOS_PORT 0x70u

struct PACKED madt {
	struct header header;
	uint32_t local_apic, flags; /* flags 0: no 8259 */
};

struct PACKED madt_cpu {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
};
struct PACKED madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, first_interrupt;
};
#define MADT_LOCAL_APIC 0u
#define MADT_IOAPIC 1u
#define MADT_ENABLED 1u
#define LOCAL_APIC_BASE 0xfee00000u

struct area {
	struct blob blob;
	uint64_t gpa, limit;
};

static uint8_t checksum(const void *bytes, size_t size)
{
	const uint8_t *b = bytes;
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + b[i]);
	return (uint8_t)-sum;
}

static struct header header(const char *signature, size_t length, uint8_t revision)
{
	struct header h = {
		.length = (uint32_t)length, .revision = revision, .oem_revision = 1, .creator_revision = 1
	};

	memcpy(h.signature, signature, 4);
	memcpy(h.oem, "BULKHD", 6);
	memcpy(h.oem_table, "BULKHEAD", 8);
	memcpy(h.creator, "BLKH", 4);
	return h;
}

/* Appends a table, makes its checksum right, returns its guest-physical address. */
static uint64_t add(struct area *area, const void *table, size_t size)
{
	size_t at = (area->blob.size + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;
	struct header *h = (struct header *)(area->blob.bytes + at);

	if (size > area->limit - area->gpa - at)
		fail(line_of("partitions"), "the ACPI tables need more than %zu bytes",
		     (size_t)(area->limit - area->gpa));
	memcpy(h, table, size);
	h->checksum = 0;
	h->checksum = checksum(h, size);
	area->blob.size = at + size;
	return area->gpa + at;
}

static struct address port(uint16_t number)
{
	return (struct address){ .space = SPACE_IO, .width = 8, .access = ACCESS_BYTE, .base = number };
}

static bool companion_has(const struct config_partition *p, uint16_t number)
{
	for (unsigned i = 0; i < p->port_count; i++)
		if (p->ports[i].kind == PORT_COMPANION && p->ports[i].first <= number && number <= p->ports[i].last)
			return true;
	return false;
}

/* Hardware-reduced, and yet with the timer and the clock that a companion may provide: Linux and memtest86+ look for them all the same. */
static uint64_t add_fadt(struct area *area, const struct config_partition *p, uint64_t dsdt)
{
	struct fadt fadt = {
		.header = header("FACP", sizeof fadt, 6),
		.minor_version = 4,
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.boot_flags = BOOT_NO_VGA | (companion_has(p, CMOS_PORT) ? 0 : BOOT_NO_CMOS_RTC),
		.flags = FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON | FADT_RESET_REGISTER |
		         FADT_HARDWARE_REDUCED,
		.reset = port(RESET_PORT),
		.reset_value = RESET_VALUE,
		.sleep_control = port(SLEEP_CONTROL_PORT),
		.sleep_status = port(SLEEP_STATUS_PORT),
	};

	if (companion_has(p, PM_TIMER_PORT)) {
		fadt.pm_timer = PM_TIMER_PORT;
		fadt.pm_timer_length = 4;
		fadt.x_pm_timer = (struct address){
			.space = SPACE_IO, .width = 32, .access = ACCESS_DWORD, .base = PM_TIMER_PORT
		};
	}
	memcpy(&fadt.hypervisor, "Bulkhead", sizeof fadt.hypervisor);
	return add(area, &fadt, sizeof fadt);
}

static uint64_t add_madt(struct area *area, const struct config_partition *p)
{
	uint8_t table[sizeof(struct madt) + CONFIG_MAX_CPUS * sizeof(struct madt_cpu) + sizeof(struct madt_ioapic)];
	size_t cpus = p->vcpu_count, cpus_end = sizeof(struct madt) + cpus * sizeof(struct madt_cpu);
	size_t size = cpus_end + (p->ioapic != 0 ? sizeof(struct madt_ioapic) : 0);
	struct madt_ioapic ioapic = {
		.type = MADT_IOAPIC, .length = sizeof ioapic, .id = (uint8_t)cpus, .address = MMIO_IOAPIC_BASE
	};
	struct madt madt = { .header = header("APIC", size, 5), .local_apic = LOCAL_APIC_BASE };

	memcpy(table, &madt, sizeof madt);
	for (unsigned i = 0; i < cpus; i++) {
		struct madt_cpu cpu = { .type = MADT_LOCAL_APIC,
			                .length = sizeof cpu,
			                .uid = (uint8_t)i,
			                .apic_id = (uint8_t)i,
			                .flags = MADT_ENABLED };
		memcpy(table + sizeof madt + i * sizeof cpu, &cpu, sizeof cpu);
	}
	if (p->ioapic != 0)
		memcpy(table + cpus_end, &ioapic, sizeof ioapic);
	return add(area, table, size);
}

struct blob acpi_tables(uint64_t gpa, uint64_t limit, const struct config_partition *p, const struct blob *dsdt)
{
	struct area area = { .gpa = gpa,
		             .limit = limit,
		             .blob = { .bytes = allocate(limit - gpa), .size = sizeof(struct rsdp) } };
	struct rsdp rsdp = { .revision = 2, .length = sizeof rsdp };
	struct PACKED {
		struct header header;
		uint64_t tables[2];
	} xsdt = { .header = header("XSDT", sizeof xsdt, 1) };

	if (dsdt->size < sizeof(struct header) || memcmp(dsdt->bytes, "DSDT", 4) != 0)
		fail(line_of("partitions"), "the DSDT is not an AML file that iasl made");
	xsdt.tables[0] = add_fadt(&area, p, add(&area, dsdt->bytes, dsdt->size));
	xsdt.tables[1] = add_madt(&area, p);
	rsdp.xsdt = add(&area, &xsdt, sizeof xsdt);
	memcpy(rsdp.signature, "RSD PTR ", 8);
	memcpy(rsdp.oem, "BULKHD", 6);
	rsdp.checksum = checksum(&rsdp, 20); /* the first version's part, then all */
	rsdp.checksum_all = checksum(&rsdp, sizeof rsdp);
	memcpy(area.blob.bytes, &rsdp, sizeof rsdp);
	return area.blob;
}

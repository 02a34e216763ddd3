// SPDX-License-Identifier: Apache-2.0
/* The ACPI parser: good tables of several kinds, then each way in which firmware could get one wrong. */
#include "core/acpi.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Memory as the parser sees it: 64 KiB at BASE. Tables stand at odd addresses on purpose. */
#define BASE 0x7fe00000u
#define RSDP 0x11u
#define ROOT 0x101u
#define FADT 0x403u
#define MADT 0x805u
#define OTHER 0xf07u

static uint8_t memory[0x20000];
static void *mapped;
static unsigned map_calls;
static struct acpi acpi;

/* Hands out copies of just the asked-for bytes and frees the one before: an access too far, or too late, is caught. */
static const void *map(void *context, uint64_t phys, uint32_t length)
{
	(void)context;
	map_calls++;
	free(mapped);
	mapped = NULL;
	if (phys < BASE || phys - BASE > sizeof(memory) || length > sizeof(memory) - (phys - BASE))
		return NULL;
	mapped = malloc(length);
	memcpy(mapped, memory + (phys - BASE), length);
	return mapped;
}

static void set(uint32_t at, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		memory[at + i] = (uint8_t)(value >> (8 * i));
}

static void fix(uint32_t at, uint32_t length, uint32_t checksum)
{
	uint8_t s = 0;
	memory[at + checksum] = 0;
	for (uint32_t i = 0; i < length; i++)
		s = (uint8_t)(s + memory[at + i]);
	memory[at + checksum] = (uint8_t)-s;
}

static void header(uint32_t at, const char *signature, uint32_t length)
{
	memcpy(memory + at, signature, 4);
	set(at + 4, length, 4);
	memory[at + 8] = 3;
	memcpy(memory + at + 10, "VENDORTABLE   ", 14);
	fix(at, length, 9);
}

static void rsdp(unsigned revision, uint64_t rsdt, uint64_t xsdt)
{
	memset(memory + RSDP, 0, 64);
	memcpy(memory + RSDP, "RSD PTR ", 8);
	memory[RSDP + 15] = (uint8_t)revision;
	set(RSDP + 16, rsdt, 4);
	set(RSDP + 20, 36, 4);
	set(RSDP + 24, xsdt, 8);
	fix(RSDP, 20, 8);
	fix(RSDP, 36, 32);
}

/* A MADT as a machine with some cores has it, byte by byte; one may come online later, and one is there twice. */
static const uint8_t madt_entries[] = {
	0x00, 0x00, 0xe0, 0xfe, 0x01, 0x00, 0x00, 0x00, /* local APIC address, PC-AT compatible */
	0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, /* local APIC 0, enabled */
	0x00, 0x08, 0x01, 0x02, 0x01, 0x00, 0x00, 0x00, /* local APIC 2, enabled */
	0x00, 0x08, 0x02, 0x04, 0x02, 0x00, 0x00, 0x00, /* local APIC 4, online capable only */
	0x00, 0x08, 0x03, 0xff, 0x01, 0x00, 0x00, 0x00, /* the broadcast ID */
	0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xfe, 0x00, 0x00, 0x00, 0x00, /* I/O APIC */
	0x02, 0x0a, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,             /* IRQ 0 is input 2 */
	0x02, 0x0a, 0x00, 0x09, 0x09, 0x00, 0x00, 0x00, 0x0f, 0x00,             /* IRQ 9: level, active low */
	0x02, 0x0a, 0x01, 0x03, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,             /* not the ISA bus */
	0x02, 0x0a, 0x00, 0x10, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,             /* not an ISA interrupt */
	0x01, 0x0c, 0x01, 0x00, 0x00, 0x10, 0xc0, 0xfe, 0x18, 0x00, 0x00, 0x00, /* a second I/O APIC */
	0x04, 0x06, 0xff, 0x00, 0x00, 0x01,                                     /* local APIC NMI */
	0x09, 0x10, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, /* 2 again */
	0x09, 0x10, 0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, /* x2APIC 257 */
	0x09, 0x10, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, /* off */
	0x09, 0x10, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, /* broadcast */
};
#define MADT_LENGTH (36u + (uint32_t)sizeof(madt_entries))

static int setup(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	memcpy(memory + MADT + 36, madt_entries, sizeof(madt_entries));
	header(MADT, "APIC", MADT_LENGTH);
	set(FADT + 76, 0xb008, 4);
	memory[FADT + 91] = 4;
	set(FADT + 112, 1u << 8, 4);
	memory[FADT + 208] = 1;
	set(FADT + 212, 0x608, 8);
	header(FADT, "FACP", 276);
	header(OTHER, "MCFG", 60);
	set(ROOT + 36, BASE + FADT, 8);
	set(ROOT + 44, 0, 8); /* an empty entry */
	set(ROOT + 52, BASE + MADT, 8);
	set(ROOT + 60, BASE + OTHER, 8);
	header(ROOT, "XSDT", 68);
	rsdp(2, 0, BASE + ROOT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(mapped);
	mapped = NULL;
	return 0;
}

static enum acpi_result open_it(void)
{
	return acpi_open(&acpi, map, NULL, BASE + RSDP);
}

static void expect_fault(enum acpi_result result, enum acpi_result want, const char *table, uint64_t address,
                         uint32_t offset)
{
	assert_string_equal(acpi_result_text(result), acpi_result_text(want));
	assert_int_equal(acpi.fault.result, want);
	assert_string_equal(acpi.fault.table, table);
	assert_int_equal(acpi.fault.address, address);
	assert_int_equal(acpi.fault.offset, offset);
}

static void expect_cpus(void)
{
	struct acpi_cpus cpus;
	assert_int_equal(open_it(), ACPI_OK);
	assert_int_equal(acpi_cpus(&acpi, &cpus), ACPI_OK);
	assert_int_equal(cpus.count, 3);
	assert_int_equal(cpus.total, 3);
	assert_int_equal(cpus.apic_id[0], 0);
	assert_int_equal(cpus.apic_id[1], 2);
	assert_int_equal(cpus.apic_id[2], 257);
}

static void test_xsdt(void **state)
{
	(void)state;
	expect_cpus();
	assert_int_equal(acpi.entry_size, 8);
}

static void use_rsdt(void)
{
	memset(memory + ROOT, 0, 256);
	set(ROOT + 36, BASE + FADT, 4);
	set(ROOT + 40, BASE + MADT, 4);
	set(ROOT + 44, BASE + OTHER, 4);
	header(ROOT, "RSDT", 48);
}

static void test_rsdt(void **state)
{
	(void)state;
	use_rsdt();
	rsdp(0, BASE + ROOT, 0x1234567812345678); /* revision 0 has no XSDT, whatever stands there */
	expect_cpus();
	assert_int_equal(acpi.entry_size, 4);
	rsdp(2, BASE + ROOT, 0); /* revision 2 without an XSDT */
	expect_cpus();
}

static void test_find(void **state)
{
	struct acpi_table t;
	(void)state;
	assert_int_equal(open_it(), ACPI_OK);
	assert_int_equal(acpi_find(&acpi, "MCFG", &t), ACPI_OK);
	assert_int_equal(t.phys, BASE + OTHER);
	assert_int_equal(t.length, 60);
	assert_int_equal(t.revision, 3);
	expect_fault(acpi_find(&acpi, "DMAR", &t), ACPI_MISSING, "DMAR", BASE + ROOT, 0);
}

static void test_rsdp_faults(void **state)
{
	(void)state;
	expect_fault(acpi_open(&acpi, map, NULL, 0), ACPI_UNREADABLE, "RSDP", 0, 0);
	expect_fault(acpi_open(&acpi, map, NULL, UINT64_MAX), ACPI_UNREADABLE, "RSDP", UINT64_MAX, 0);
	expect_fault(acpi_open(&acpi, map, NULL, BASE), ACPI_SIGNATURE, "RSDP", BASE, 0);
	memory[RSDP + 8]++;
	expect_fault(open_it(), ACPI_CHECKSUM, "RSDP", BASE + RSDP, 8);
	memory[RSDP + 8]--;
	memory[RSDP + 32]++;
	expect_fault(open_it(), ACPI_CHECKSUM, "RSDP", BASE + RSDP, 32);
	for (uint32_t i = 0; i < 3; i++) {
		set(RSDP + 20, (const uint32_t[]){ 35, 4097, UINT32_MAX }[i], 4);
		expect_fault(open_it(), ACPI_LENGTH, "RSDP", BASE + RSDP, 20);
	}
	/* at the very end of memory: the first 20 bytes can be read, then 36, then the length they say */
	uint32_t end = sizeof(memory) - 20;
	rsdp(2, 0, BASE + ROOT);
	set(RSDP + 20, 40, 4);
	memcpy(memory + end, memory + RSDP, 20);
	expect_fault(acpi_open(&acpi, map, NULL, BASE + end), ACPI_UNREADABLE, "RSDP", BASE + end, 20);
	end -= 16;
	memcpy(memory + end, memory + RSDP, 36);
	expect_fault(acpi_open(&acpi, map, NULL, BASE + end), ACPI_UNREADABLE, "RSDP", BASE + end, 36);
}

static void test_root_faults(void **state)
{
	(void)state;
	memory[ROOT + 50]++;
	expect_fault(open_it(), ACPI_CHECKSUM, "XSDT", BASE + ROOT, 9);
	header(ROOT, "XSDX", 68);
	expect_fault(open_it(), ACPI_SIGNATURE, "XSDT", BASE + ROOT, 0);
	for (uint32_t i = 0; i < 4; i++) {
		setup(state);
		set(ROOT + 4, (const uint32_t[]){ 0, 35, 0x10001, UINT32_MAX }[i], 4);
		expect_fault(open_it(), ACPI_LENGTH, "XSDT", BASE + ROOT, 4);
	}
	header(ROOT, "XSDT", 36 + 8 * (ACPI_MAX_ENTRIES + 1));
	expect_fault(open_it(), ACPI_LENGTH, "XSDT", BASE + ROOT, 4);
	assert_int_equal(acpi.entries, 0);
	rsdp(2, 0, BASE + sizeof(memory) - 36);
	header((uint32_t)sizeof(memory) - 36, "XSDT", 36);
	set((uint32_t)sizeof(memory) - 32, 37, 4);
	expect_fault(open_it(), ACPI_UNREADABLE, "XSDT", BASE + sizeof(memory) - 36, 36);
	rsdp(2, 0, UINT64_MAX - 10);
	expect_fault(open_it(), ACPI_UNREADABLE, "XSDT", UINT64_MAX - 10, 0);
}

static void test_empty_root(void **state)
{
	struct acpi_cpus cpus;
	(void)state;
	header(ROOT, "XSDT", 36 + 7); /* not one whole entry */
	assert_int_equal(open_it(), ACPI_OK);
	assert_int_equal(acpi.entries, 0);
	expect_fault(acpi_cpus(&acpi, &cpus), ACPI_MISSING, "APIC", BASE + ROOT, 0);
}

/* A table of no interest may be unreadable; but if the wanted one is not found, that is worth telling. */
static void test_unreadable_neighbour(void **state)
{
	struct acpi_table t;
	(void)state;
	set(ROOT + 36, 0x1000, 8);
	fix(ROOT, 68, 9);
	expect_cpus();
	expect_fault(acpi_find(&acpi, "FACP", &t), ACPI_UNREADABLE, "FACP", 0x1000, 0);
}

static void test_root_vanishes(void **state)
{
	struct acpi_table t;
	(void)state;
	assert_int_equal(open_it(), ACPI_OK);
	acpi.root = 0;
	expect_fault(acpi_find(&acpi, "APIC", &t), ACPI_UNREADABLE, "XSDT", 0, 36);
}

static void test_duplicate_tables(void **state)
{
	(void)state;
	header(OTHER, "APIC", 60); /* a second MADT, without CPUs: the first one counts */
	expect_cpus();
}

static enum acpi_result madt(struct acpi_cpus *cpus)
{
	assert_int_equal(open_it(), ACPI_OK);
	return acpi_cpus(&acpi, cpus);
}

static void test_madt_faults(void **state)
{
	struct acpi_cpus cpus;
	(void)state;
	memory[MADT + 40]++;
	expect_fault(madt(&cpus), ACPI_CHECKSUM, "APIC", BASE + MADT, 9);
	header(MADT, "APIC", 43);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 4);
	header(MADT, "APIC", 44);
	expect_fault(madt(&cpus), ACPI_MISSING, "APIC", BASE + MADT, 44);
	for (uint32_t length = 45; length < MADT_LENGTH; length++) { /* cut anywhere: whole entries, or a fault */
		header(MADT, "APIC", length);
		enum acpi_result result = madt(&cpus);
		assert_true(result == ACPI_OK || result == ACPI_LENGTH);
		assert_true(result != ACPI_OK || cpus.count > 0);
	}
	header(MADT, "APIC", MADT_LENGTH);
	memory[MADT + 60 + 1] = 0; /* third entry: an endless loop, if one believes it */
	fix(MADT, MADT_LENGTH, 9);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 60);
	memory[MADT + 60 + 1] = 1;
	fix(MADT, MADT_LENGTH, 9);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 60);
	memory[MADT + 60 + 1] = 7; /* too short for its type */
	fix(MADT, MADT_LENGTH, 9);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 60);
	memory[MADT + 60] = 9;
	memory[MADT + 60 + 1] = 8;
	fix(MADT, MADT_LENGTH, 9);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 60);
	memory[MADT + 60 + 1] = 255; /* beyond the end */
	fix(MADT, MADT_LENGTH, 9);
	expect_fault(madt(&cpus), ACPI_LENGTH, "APIC", BASE + MADT, 60);
}

static enum acpi_result interrupts(struct acpi_interrupts *x)
{
	assert_int_equal(open_it(), ACPI_OK);
	return acpi_interrupts(&acpi, x);
}

static void test_interrupts(void **state)
{
	struct acpi_interrupts x;

	(void)state;
	assert_int_equal(interrupts(&x), ACPI_OK);
	assert_int_equal(x.count, 2);
	assert_int_equal(x.ioapic[0].address, 0xfec00000);
	assert_int_equal(x.ioapic[0].gsi, 0);
	assert_int_equal(x.ioapic[1].address, 0xfec01000);
	assert_int_equal(x.ioapic[1].gsi, 24);
	for (uint32_t i = 0; i < ACPI_ISA_IRQS; i++) {
		assert_int_equal(x.isa[i].gsi, i == 0 ? 2 : i);
		assert_int_equal(x.isa[i].flags, i == 9 ? 15 : 0);
	}
}

static void test_interrupt_faults(void **state)
{
	struct acpi_interrupts x;

	(void)state;
	for (uint32_t length = 43; length < MADT_LENGTH; length++) { /* cut anywhere: whole entries, or a fault */
		header(MADT, "APIC", length);
		enum acpi_result result = interrupts(&x);
		assert_true(result == ACPI_OK ? x.count > 0 : result == ACPI_LENGTH || result == ACPI_MISSING);
	}
	for (uint32_t at = 44, length; at < MADT_LENGTH; at += length) { /* each one too short for its type */
		header(MADT, "APIC", MADT_LENGTH);
		length = memory[MADT + at + 1];
		memory[MADT + at + 1] = 4;
		memory[MADT + at + 5] = (uint8_t)(length - 4);
		fix(MADT, MADT_LENGTH, 9);
		if (memory[MADT + at] == 1 || memory[MADT + at] == 2)
			expect_fault(interrupts(&x), ACPI_LENGTH, "APIC", BASE + MADT, at);
		memcpy(memory + MADT + 36, madt_entries, sizeof(madt_entries));
	}
	header(MADT, "APIC", 52); /* a CPU, and no I/O APIC */
	expect_fault(interrupts(&x), ACPI_MISSING, "APIC", BASE + MADT, 44);
}

static void test_many_cpus(void **state)
{
	struct acpi_cpus cpus;
	uint32_t n = CONFIG_MAX_CPUS + 36;
	(void)state;
	memset(memory + 0x4000, 0, 0x2000);
	for (uint32_t i = 0; i < n; i++) {
		set(0x4000 + 44 + 16 * i, 0x1009, 2);
		set(0x4000 + 44 + 16 * i + 4, 1000 + i, 4);
		set(0x4000 + 44 + 16 * i + 8, 1, 4);
	}
	header(0x4000, "APIC", 44 + 16 * n);
	set(ROOT + 52, BASE + 0x4000, 8);
	fix(ROOT, 68, 9);
	assert_int_equal(madt(&cpus), ACPI_OK);
	assert_int_equal(cpus.count, CONFIG_MAX_CPUS);
	assert_int_equal(cpus.total, n);
	assert_int_equal(cpus.apic_id[CONFIG_MAX_CPUS - 1], 1000 + CONFIG_MAX_CPUS - 1);
}

static void expect_timer(uint16_t port, uint8_t bits)
{
	struct acpi_pm_timer timer;
	fix(FADT, 276, 9);
	assert_int_equal(open_it(), ACPI_OK);
	assert_int_equal(acpi_pm_timer(&acpi, &timer), ACPI_OK);
	assert_int_equal(timer.port, port);
	assert_int_equal(timer.bits, bits);
}

static void test_pm_timer(void **state)
{
	(void)state;
	expect_timer(0x608, 32);
	set(FADT + 112, 0, 4);
	expect_timer(0x608, 24);
	set(FADT + 212, 0, 8); /* no extended address */
	expect_timer(0xb008, 24);
	set(FADT + 212, 0x608, 8);
	header(FADT, "FACP", 116); /* ACPI 1.0: too short for one */
	struct acpi_pm_timer timer;
	assert_int_equal(open_it(), ACPI_OK);
	assert_int_equal(acpi_pm_timer(&acpi, &timer), ACPI_OK);
	assert_int_equal(timer.port, 0xb008);
}

static void expect_timer_fault(enum acpi_result want, uint32_t offset)
{
	struct acpi_pm_timer timer;
	fix(FADT, 276, 9);
	assert_int_equal(open_it(), ACPI_OK);
	expect_fault(acpi_pm_timer(&acpi, &timer), want, "FACP", BASE + FADT, offset);
}

static void test_pm_timer_faults(void **state)
{
	struct acpi_pm_timer timer;
	(void)state;
	memory[FADT + 208] = 0; /* in memory, not I/O */
	expect_timer_fault(ACPI_VALUE, 208);
	memory[FADT + 208] = 1;
	set(FADT + 212, 0xfffd, 8); /* its last byte is no port */
	expect_timer_fault(ACPI_VALUE, 208);
	set(FADT + 212, 1ull << 40, 8);
	expect_timer_fault(ACPI_VALUE, 208);
	set(FADT + 212, 0x608, 8);
	memory[FADT + 91] = 0;
	expect_timer_fault(ACPI_VALUE, 91);
	set(FADT + 212, 0, 8);
	set(FADT + 76, 0x10000, 4);
	expect_timer_fault(ACPI_VALUE, 76);
	set(FADT + 76, 0, 4); /* a machine without one */
	expect_timer_fault(ACPI_MISSING, 76);
	header(FADT, "FACP", 115);
	assert_int_equal(open_it(), ACPI_OK);
	expect_fault(acpi_pm_timer(&acpi, &timer), ACPI_LENGTH, "FACP", BASE + FADT, 4);
	header(FADT, "FACQ", 276);
	assert_int_equal(open_it(), ACPI_OK);
	expect_fault(acpi_pm_timer(&acpi, &timer), ACPI_MISSING, "FACP", BASE + ROOT, 0);
}

static void test_every_bit_flip(void **state)
{
	struct acpi_cpus cpus;
	struct acpi_pm_timer timer;
	(void)state;
	for (uint32_t at = 0; at < OTHER; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memory[at] ^= (uint8_t)(1u << bit);
			map_calls = 0;
			if (open_it() == ACPI_OK) {
				acpi_cpus(&acpi, &cpus);
				acpi_pm_timer(&acpi, &timer);
			}
			assert_true(map_calls < 40);
			memory[at] ^= (uint8_t)(1u << bit);
		}
}

static void test_texts(void **state)
{
	(void)state;
	for (int r = ACPI_OK; r <= ACPI_VALUE + 1; r++)
		assert_true(strlen(acpi_result_text((enum acpi_result)r)) >= 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_xsdt),
		TEST(test_rsdt),
		TEST(test_find),
		TEST(test_rsdp_faults),
		TEST(test_root_faults),
		TEST(test_empty_root),
		TEST(test_unreadable_neighbour),
		TEST(test_root_vanishes),
		TEST(test_duplicate_tables),
		TEST(test_madt_faults),
		TEST(test_interrupts),
		TEST(test_interrupt_faults),
		TEST(test_many_cpus),
		TEST(test_pm_timer),
		TEST(test_pm_timer_faults),
		TEST(test_every_bit_flip),
		TEST(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What a partition sees of a PCI function, against a function that notes every write: what is not listed is neither read nor written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmx/pciview.h"
#include "vtd/pci.h"

#define SOURCE 0x0310
#define EXPRESS 0x70u
#define MSI 0x50u

static union {
	uint8_t byte[256];
	uint32_t word[PCI_REGISTERS];
} space;
static uint32_t writes, reads;

uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	(void)context;
	assert_true(segment == 0 && source == SOURCE && offset < 256 && offset % 4 == 0);
	reads++;
	return space.word[offset / 4];
}

void pci_write16(uint16_t segment, uint16_t source, uint32_t offset, uint16_t value)
{
	assert_true(segment == 0 && source == SOURCE && offset < 256 && offset % 2 == 0);
	memcpy(&space.byte[offset], &value, 2);
	writes++;
}

/* Two memory BARs, of 128 KiB and, by 64 bits, of 8 GiB, ports, and one that the partition does not have; MSI and PCI Express. */
static const struct config_device device = {
	.slot = 3,
	.interrupt = 1,
	.bars = { { .hpa = 0x80000000, .gpa = 0xc0000000, .size = 0x20000 },
	          { .hpa = 0xc000, .gpa = 0xc000, .size = 32, .io = 1 },
	          { .hpa = 0x6000000000, .gpa = 0x800000000, .size = 0x200000000 } },
};

static void function(void)
{
	memset(&space, 0xa5, sizeof space);
	space.word[0] = 0x100e8086;
	space.word[1] = 0xf9b00547; /* status with all its bits that a 1 would clear */
	space.word[2] = 0x02000003;
	space.word[3] = 0x80800810;
	space.word[4] = 0x80000000;
	space.word[5] = 0x0000c001;
	space.word[6] = 0x0000000c;
	space.word[7] = 0x00000060;
	space.word[8] = 0x90000000;
	space.word[9] = 0x00000000;
	space.word[12] = 0xfeb00001; /* expansion ROM, on */
	space.word[13] = MSI;
	space.word[15] = 0x40ff020b;
	space.word[MSI / 4] = 0x00800000 | EXPRESS << 8 | 5;
	space.word[EXPRESS / 4] = 0x00020000 | PCI_CAPABILITY_EXPRESS | 0x40 << 8;
	space.word[EXPRESS / 4 + 1] = 0x10008fc2;
	space.word[16] = 0x00000009; /* the last one, vendor-specific */
	writes = reads = 0;
}

static struct pci_view built(const struct config_device *d)
{
	struct pci_view v;

	function();
	memset(&v, 0x5a, sizeof v);
	pciview_build(&v, d, 0, SOURCE);
	assert_int_equal(writes, 0);
	return v;
}

static void test_what_is_shown(void **state)
{
	const struct pci_view v = built(&device);
	static const struct {
		uint32_t offset, value;
	} shown[] = { { 0x00, 0x100e8086 },       { 0x04, 0xf9b00547 }, { 0x08, 0x02000003 }, { 0x0c, 0x00000810 },
		      { 0x10, 0xc0000000 },       { 0x14, 0x0000c001 }, { 0x18, 0x0000000c }, { 0x1c, 0x00000008 },
		      { 0x2c, 0xa5a5a5a5 },       { 0x34, EXPRESS },    { 0x3c, 0x40ff0112 }, { EXPRESS, 0x00020010 },
		      { EXPRESS + 4, 0x00008fc2 } };

	(void)state;
	for (uint32_t offset = 0; offset < 256; offset += 4) {
		uint32_t expected = offset > EXPRESS && offset < EXPRESS + 0x3c ? 0xa5a5a5a5 : 0;

		for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
			if (shown[i].offset == offset)
				expected = shown[i].value;
		if (pciview_read(&v, offset) != expected)
			fail_msg("register %x: %x, not %x", offset, pciview_read(&v, offset), expected);
	}
}

static void test_without_capabilities(void **state)
{
	struct config_device d = device;
	struct pci_view v;

	(void)state;
	function();
	space.word[EXPRESS / 4] = 0;
	pciview_build(&v, &d, 0, SOURCE);
	assert_int_equal(pciview_read(&v, PCI_CAPABILITIES), 0);
	assert_false(pciview_read(&v, PCI_COMMAND) & PCI_STATUS_CAPABILITIES);
	assert_int_equal(pciview_read(&v, EXPRESS + 4), 0);
	function();
	space.word[MSI / 4] = 0xe0 << 8 | 5;
	space.word[0xe0 / 4] = PCI_CAPABILITY_EXPRESS; /* it would reach beyond the end */
	pciview_build(&v, &d, 0, SOURCE);
	assert_int_equal(pciview_read(&v, PCI_CAPABILITIES), 0);
	d.interrupt = 0;
	pciview_build(&v, &d, 0, SOURCE);
	assert_int_equal(pciview_read(&v, 0x3c), 0x40ff0000);
	pciview_write(&v, PCI_COMMAND, 2, 0);
	assert_int_equal(space.word[1], 0xf9b00540); /* it cannot switch its interrupt on */
}

/* A list that leads round, or into the header, ends. */
static void test_capability_lists(void **state)
{
	(void)state;
	for (uint32_t next = 0; next < 256; next++) {
		function();
		for (uint32_t i = 16; i < PCI_REGISTERS; i++)
			space.word[i] = next << 8 | 9;
		assert_int_equal(pci_capability(0, SOURCE, PCI_CAPABILITY_EXPRESS), 0);
		assert_true(reads <= PCI_CAPABILITIES_MAX + 2);
	}
	function();
	assert_int_equal(pci_capability(0, SOURCE, PCI_CAPABILITY_EXPRESS), EXPRESS);
	assert_int_equal(pci_capability(0, SOURCE, PCI_CAPABILITY_AF), 0);
	space.word[1] &= ~PCI_STATUS_CAPABILITIES;
	assert_int_equal(pci_capability(0, SOURCE, PCI_CAPABILITY_EXPRESS), 0);
}

static void test_sizing(void **state)
{
	struct pci_view v = built(&device);

	(void)state;
	for (uint32_t offset = 0x10; offset < 0x28; offset += 4)
		pciview_write(&v, offset, 4, UINT32_MAX);
	assert_int_equal(pciview_read(&v, 0x10), 0xfffe0000);
	assert_int_equal(pciview_read(&v, 0x14), 0xffffffe1);
	assert_int_equal(pciview_read(&v, 0x18), 0x0000000c);
	assert_int_equal(pciview_read(&v, 0x1c), 0xfffffffe);
	assert_int_equal(pciview_read(&v, 0x20), 0);
	pciview_write(&v, 0x12, 1, 0x34); /* a part of it */
	pciview_write(&v, 0x10, 2, 0x1234);
	assert_int_equal(pciview_read(&v, 0x10), 0xff340000);
	pciview_write(&v, 0x12, 2, 0xc000);
	assert_int_equal(pciview_read(&v, 0x10), 0xc0000000);
	assert_int_equal(writes, 0); /* the function has seen nothing of it */
}

/* A partition that is started again finds its BARs where they were. */
static void test_renew(void **state)
{
	struct pci_view v = built(&device);
	const struct pci_view before = v;

	(void)state;
	for (uint32_t offset = 0; offset < 256; offset += 4)
		pciview_write(&v, offset, 4, 0x5a5a5a5a);
	assert_true(memcmp(&v, &before, sizeof v) != 0);
	pciview_renew(&v);
	assert_memory_equal(&v, &before, sizeof v);
}

static void test_command(void **state)
{
	struct config_device d = device;
	struct pci_view v = built(&device);

	(void)state;
	pciview_write(&v, PCI_COMMAND, 4, 0xffff0000);
	assert_int_equal(space.word[1], 0xf9b00140); /* no status bit is cleared */
	pciview_write(&v, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(space.word[1], 0xf9b00547);
	pciview_write(&v, PCI_COMMAND + 1, 1, 0);
	assert_int_equal(space.word[1], 0xf9b00147);
	pciview_write(&v, PCI_COMMAND, 1, 0);
	assert_int_equal(space.word[1], 0xf9b00140);
	assert_int_equal(writes, 4);
	pciview_write(&v, PCI_COMMAND + 2, 2, 0xffff);
	assert_int_equal(writes, 4);
	memset(d.bars, 0, sizeof d.bars); /* what it does not have it cannot switch on */
	v = built(&d);
	pciview_write(&v, PCI_COMMAND, 2, 0);
	assert_int_equal(space.word[1], 0xf9b00143);
}

/* Every register, every width, many values: the function changes in those four bits alone, the view in its BARs alone. */
static void test_nothing_else(void **state)
{
	struct pci_view v = built(&device);
	uint32_t value = 1;

	(void)state;
	for (uint32_t round = 0; round < 200; round++)
		for (uint32_t offset = 0; offset < 256; offset++)
			for (uint32_t size = 1; size <= 4; size *= 2) {
				uint32_t before[PCI_REGISTERS];

				if (offset % 4 + size > 4)
					continue;
				value = value * 1664525 + 1013904223;
				memcpy(before, space.word, sizeof before);
				pciview_write(&v, offset, size, value);
				for (uint32_t i = 0; i < PCI_REGISTERS; i++)
					assert_int_equal((space.word[i] ^ before[i]) & ~(i == 1 ? 0x407u : 0), 0);
			}
	for (uint32_t i = 0; i < PCI_REGISTERS; i++)
		if (i < 4 || i > 7)
			assert_int_equal(v.r[i].latch, 0);
}

static void test_addresses(void **state)
{
	uint32_t offset;

	(void)state;
	for (uint32_t device_number = 0; device_number < 32; device_number++) {
		assert_int_equal(pci_decode(1u << 31 | device_number << 11 | 0x3c, &offset), device_number);
		assert_int_equal(offset, 0x3c);
	}
	assert_int_equal(pci_decode(0x00000800, &offset), UINT32_MAX);
	for (uint32_t bit = 0; bit < 31; bit++)
		if (bit < 2 || (bit >= 8 && bit < 11) || bit >= 16)
			assert_int_equal(pci_decode(1u << 31 | 1u << bit, &offset), UINT32_MAX);
	assert_int_equal(pciview_bridge(8) >> 16, 0x0600);
	for (offset = 0; offset < 256; offset += 4)
		if (offset != 0 && offset != 8)
			assert_int_equal(pciview_bridge(offset), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_without_capabilities),
		cmocka_unit_test(test_capability_lists),
		cmocka_unit_test(test_sizing),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_nothing_else),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

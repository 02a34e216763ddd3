// SPDX-License-Identifier: Apache-2.0
/* The PCI device of the companion ivshmem, as Linux looks at it: configuration space, sizes of BARs, registers, INTA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest/apps/ivshmem/pci.h"

#define BAR0_AT 0xe0000000u
#define BAR2_AT 0xe0100000u
#define SIZE2 0x10000u
#define DEVICE (1u << 11)

static struct ivshmem d;

static int setup(void **state)
{
	(void)state;
	ivshmem_reset(&d, BAR0_AT, BAR2_AT, SIZE2);
	return 0;
}

static uint32_t in(uint32_t function, uint32_t offset, unsigned size)
{
	ivshmem_out(&d, 0xcf8, 4, 0x80000000u | function | (offset & 0xfcu));
	return ivshmem_in(&d, (uint16_t)(0xcfcu + (offset & 3u)), size);
}

static void out(uint32_t function, uint32_t offset, unsigned size, uint32_t value)
{
	ivshmem_out(&d, 0xcf8, 4, 0x80000000u | function | (offset & 0xfcu));
	ivshmem_out(&d, (uint16_t)(0xcfcu + (offset & 3u)), size, value);
}

/* Linux's pci_check_type1() and its look for a host bridge. */
static void is_a_bus(void **state)
{
	(void)state;
	ivshmem_out(&d, 0xcfb, 1, 1);
	assert_int_equal(ivshmem_in(&d, 0xcf8, 4), 0);
	ivshmem_out(&d, 0xcf8, 4, 0x80000000u);
	assert_int_equal(ivshmem_in(&d, 0xcf8, 4), 0x80000000u);
	assert_int_equal(in(0, 0x0a, 2), 0x0600);
	for (uint32_t bus_devfn = 0; bus_devfn < 0x10000; bus_devfn++)
		if (bus_devfn != 0 && bus_devfn != 8)
			assert_int_equal(in(bus_devfn << 8, 0, 4), 0xffffffff);
	ivshmem_out(&d, 0xcf8, 4, DEVICE); /* not enabled */
	assert_int_equal(ivshmem_in(&d, 0xcfc, 4), 0xffffffff);
}

static void is_ivshmem(void **state)
{
	(void)state;
	assert_int_equal(in(DEVICE, 0, 4), 0x11101af4);
	assert_int_equal(in(DEVICE, 2, 2), 0x1110);
	assert_int_equal(in(DEVICE, 8, 4), 0x05000000); /* memory, revision 0 */
	assert_int_equal(in(DEVICE, 0x0e, 1), 0);
	assert_int_equal(in(DEVICE, 0x3d, 1), 1);
	assert_int_equal(in(DEVICE, 0x34, 4), 0); /* no capabilities */
	assert_int_equal(in(DEVICE, 0x80, 4), 0); /* behind the header */
	out(DEVICE, 0, 4, 0), out(DEVICE, 8, 4, 0), out(DEVICE, 0x3c, 4, 0xffffff0b);
	assert_int_equal(in(DEVICE, 0, 4), 0x11101af4);
	assert_int_equal(in(DEVICE, 0x3c, 4), 0x010b); /* the line only */
}

static void bars_tell_their_sizes(void **state)
{
	static const struct {
		uint32_t offset, address, size;
	} bars[] = { { 0x10, BAR0_AT, ~(IVSHMEM_REGISTERS - 1) },
		     { 0x14, 0, 0 },
		     { 0x18, BAR2_AT | 0xc, ~(SIZE2 - 1) | 0xc },
		     { 0x1c, 0, 0xffffffff },
		     { 0x20, 0, 0 },
		     { 0x24, 0, 0 },
		     { 0x30, 0, 0 } };

	(void)state;
	for (unsigned i = 0; i < sizeof bars / sizeof bars[0]; i++) {
		assert_int_equal(in(DEVICE, bars[i].offset, 4), bars[i].address);
		out(DEVICE, bars[i].offset, 4, 0xffffffff);
		assert_int_equal(in(DEVICE, bars[i].offset, 4), bars[i].size);
		out(DEVICE, bars[i].offset, 4, bars[i].address);
		assert_int_equal(in(DEVICE, bars[i].offset, 4), bars[i].address);
	}
}

static void interrupts(void **state)
{
	(void)state;
	ivshmem_rung(&d);
	assert_false(ivshmem_inta(&d)); /* masked after reset */
	ivshmem_write(&d, IVSHMEM_INTR_MASK, 4, 0xffffffff);
	assert_true(ivshmem_inta(&d));
	assert_int_equal(in(DEVICE, 6, 2) & 8, 8);
	out(DEVICE, 4, 2, 0x0402); /* INTx disable, as uio_pci_generic does when it comes */
	assert_false(ivshmem_inta(&d));
	assert_int_equal(in(DEVICE, 4, 4), 0x00080402);
	out(DEVICE, 4, 2, 0x0002);
	assert_true(ivshmem_inta(&d));
	assert_int_equal(ivshmem_read(&d, IVSHMEM_INTR_STATUS, 4), 1);
	assert_false(ivshmem_inta(&d)); /* reading has cleared it */
	assert_int_equal(ivshmem_read(&d, IVSHMEM_INTR_STATUS, 4), 0);
	assert_int_equal(in(DEVICE, 6, 2) & 8, 0);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(ivshmem_write(&d, IVSHMEM_DOORBELL, 4, 3u << 16 | 7), 3);
	assert_int_equal(ivshmem_write(&d, IVSHMEM_DOORBELL, 2, 3), PCI_NOBODY);
	assert_int_equal(ivshmem_write(&d, IVSHMEM_INTR_MASK, 4, 5), PCI_NOBODY);
	assert_int_equal(ivshmem_read(&d, IVSHMEM_INTR_MASK, 4), 5);
	assert_int_equal(ivshmem_read(&d, IVSHMEM_INTR_MASK, 1), 0);
	assert_int_equal(ivshmem_read(&d, IVSHMEM_IV_POSITION, 4), 0);
	assert_int_equal(ivshmem_read(&d, IVSHMEM_DOORBELL, 4), 0);
}

/* Whatever a guest does, sizes and identity stay. */
static void anything(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		const uint16_t port = (uint16_t)(0xcf8 + rand() % 8);
		const uint32_t value = (uint32_t)rand() << 1 ^ (uint32_t)rand();
		if (rand() & 1)
			ivshmem_out(&d, port, 1u << rand() % 3, rand() & 1 ? value : (value & 0x8fc) | 0x80000000u);
		else
			(void)ivshmem_in(&d, port, 1u << rand() % 3);
		(void)ivshmem_write(&d, value & 0xfff, 1u << rand() % 4, value);
		(void)ivshmem_read(&d, value & 0xfff, 1u << rand() % 4);
	}
	assert_int_equal(in(DEVICE, 0, 4), 0x11101af4);
	out(DEVICE, 0x18, 4, 0xffffffff);
	assert_int_equal(in(DEVICE, 0x18, 4), (~(SIZE2 - 1) | 0xc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_a_bus, setup),
		cmocka_unit_test_setup(is_ivshmem, setup),
		cmocka_unit_test_setup(bars_tell_their_sizes, setup),
		cmocka_unit_test_setup(interrupts, setup),
		cmocka_unit_test_setup(registers, setup),
		cmocka_unit_test_setup(anything, setup),
	};

	srand(1);
	return cmocka_run_group_tests(tests, 0, 0);
}

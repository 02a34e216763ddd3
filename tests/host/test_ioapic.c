// SPDX-License-Identifier: Apache-2.0
/* The virtual I/O APIC (vmx/ioapic.c): registers and each of their bits; edges and levels, masked, ended, and still there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmx/ioapic.h"

#define LEVEL (IOAPIC_LEVEL | 0x40)

static struct ioapic io;

static int start(void **state)
{
	(void)state;
	ioapic_reset(&io);
	return 0;
}

static uint32_t get(uint32_t index)
{
	assert_int_equal(ioapic_write(&io, IOAPIC_INDEX, index), 0);
	return ioapic_read(&io, IOAPIC_DATA);
}

static uint32_t put(uint32_t index, uint32_t value)
{
	assert_int_equal(ioapic_write(&io, IOAPIC_INDEX, index), 0);
	return ioapic_write(&io, IOAPIC_DATA, value);
}

static uint32_t put_low(uint32_t pin, uint32_t value)
{
	return put(0x10 + 2 * pin, value);
}

static void test_registers(void **state)
{
	(void)state;
	for (uint32_t index = 0; index < 0x100; index++) {
		const int entry = index >= 0x10 && index < 0x40;
		uint32_t writable = 0;

		for (uint32_t bit = 0; bit < 32; bit++) {
			start(0);
			put(index, 1u << bit);
			writable |= get(index) & 1u << bit;
		}
		start(0);
		if (index == 1)
			assert_int_equal(get(index), 0x170011);
		else
			assert_int_equal(get(index), entry && !(index & 1) ? IOAPIC_MASKED : 0);
		assert_int_equal(writable, index == 0 ? 0x0f000000 :
		                           index == 1 ? 0x170011 :
		                           !entry     ? 0 :
		                           index & 1  ? 0xff000000 :
		                                        0x1afff);
	}
}

static void test_places_in_the_page(void **state)
{
	(void)state;
	for (uint32_t offset = 0; offset < 0x1000; offset++) {
		start(0);
		ioapic_write(&io, offset, 0xffffff12);
		assert_int_equal(ioapic_read(&io, IOAPIC_INDEX), offset == IOAPIC_INDEX ? 0x12 : 0);
		if (offset != IOAPIC_INDEX && offset != IOAPIC_DATA)
			assert_int_equal(ioapic_read(&io, offset), 0);
	}
}

static void test_edge(void **state)
{
	(void)state;
	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
		start(0);
		assert_false(ioapic_raise(&io, pin)); /* masked: lost */
		assert_int_equal(put_low(pin, 0x40), 0);
		assert_false(ioapic_raise(&io, pin)); /* no edge: it was active */
		ioapic_lower(&io, 1u << pin);
		assert_true(ioapic_raise(&io, pin));
		assert_false(ioapic_raise(&io, pin));
		ioapic_lower(&io, 1u << pin);
		assert_true(ioapic_raise(&io, pin)); /* without an EOI */
		assert_int_equal(ioapic_end(&io, 0x40), 0);
		assert_int_equal(ioapic_due(&io, ~0u), 0);
	}
}

static void test_level(void **state)
{
	(void)state;
	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
		const uint32_t bit = 1u << pin;

		start(0);
		put_low(pin, LEVEL | IOAPIC_MASKED);
		assert_false(ioapic_raise(&io, pin));
		assert_int_equal(put_low(pin, LEVEL), bit); /* it waited */
		assert_int_equal(get(0x10 + 2 * pin), LEVEL | IOAPIC_REMOTE_IRR);
		assert_false(ioapic_raise(&io, pin));
		assert_int_equal(put_low(pin, LEVEL), 0); /* not a second time before its end */
		assert_int_equal(ioapic_end(&io, 0x41), 0);
		assert_int_equal(ioapic_end(&io, 0x40), bit);
		assert_int_equal(ioapic_end(&io, 0x40), 0);
		assert_int_equal(get(0x10 + 2 * pin), LEVEL);
		assert_int_equal(ioapic_due(&io, ~bit), 0);
		assert_int_equal(ioapic_due(&io, bit), bit); /* still active */
		assert_int_equal(ioapic_end(&io, 0x40), bit);
		ioapic_lower(&io, bit);
		assert_int_equal(ioapic_due(&io, bit), 0);
	}
}

/* Software without an EOI for the I/O APIC: mask, edge, level again. */
static void test_switch_to_edge_ends(void **state)
{
	(void)state;
	put_low(3, LEVEL);
	assert_true(ioapic_raise(&io, 3));
	ioapic_lower(&io, 1u << 3);
	assert_int_equal(put_low(3, 0x40 | IOAPIC_MASKED), 0);
	assert_int_equal(put_low(3, LEVEL), 0);
	assert_int_equal(get(0x16), LEVEL);
	assert_true(ioapic_raise(&io, 3));
}

static void test_pins_that_share_a_vector(void **state)
{
	(void)state;
	put_low(3, LEVEL);
	put_low(5, LEVEL);
	put_low(7, 0x40);
	assert_true(ioapic_raise(&io, 3));
	assert_true(ioapic_raise(&io, 5));
	assert_true(ioapic_raise(&io, 7));
	assert_int_equal(ioapic_end(&io, 0x40), 1u << 3 | 1u << 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, start),
		cmocka_unit_test_setup(test_places_in_the_page, start),
		cmocka_unit_test_setup(test_edge, start),
		cmocka_unit_test_setup(test_level, start),
		cmocka_unit_test_setup(test_switch_to_edge_ends, start),
		cmocka_unit_test_setup(test_pins_that_share_a_vector, start),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

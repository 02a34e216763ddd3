// SPDX-License-Identifier: Apache-2.0
/* I/O ports of a guest: the bitmap against the table for every port, and what each access does. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

#define IN (1u << 3)
#define STRING (1u << 4)

static enum seam_end access_port(struct vcpu *vcpu, uint32_t port, uint32_t size, uint32_t flags)
{
	return seam_exit(vcpu, EXIT_REASON_IO, (uint64_t)port << 16 | flags | (size - 1));
}

static uint32_t kind_of(uint32_t port)
{
	for (uint32_t i = 0; i < 6; i++)
		if (port >= seam_ports[i].first && port <= seam_ports[i].last)
			return seam_ports[i].kind;
	return PORT_KIND_COUNT; /* unlisted */
}

static void test_bitmap_is_the_table(void **state)
{
	const struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	for (uint32_t port = 0; port < 0x10000; port++)
		assert_int_equal(vcpu->io_bitmap[port / 8] >> port % 8 & 1, kind_of(port) != PORT_PASS);
}

/* Unlisted ports read as ones in the width of the access, are counted, and keep the rest of RAX. */
static void test_every_port_reads(void **state)
{
	static const uint64_t expected[] = { 0, 0x11223344556677ff, 0x112233445566ffff, 0, 0xffffffff };
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	for (uint32_t port = 0; port < 0x10000; port++)
		for (uint32_t size = 1; size <= 4; size *= 2) {
			const uint64_t before = vcpu->forbidden[ERROR_PORT];

			if (kind_of(port) == PORT_UART && size == 1)
				continue;
			vcpu->regs[REG_RAX] = 0x1122334455667788;
			assert_int_equal(access_port(vcpu, port, size, IN), END_RETURNED);
			assert_true(seam_skipped());
			assert_int_equal(vcpu->regs[REG_RAX], expected[size]);
			assert_int_equal(vcpu->forbidden[ERROR_PORT] - before, kind_of(port) == PORT_KIND_COUNT);
		}
}

static void test_every_port_writes(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	vcpu->regs[REG_RAX] = 0x41;
	for (uint32_t port = 0; port < 0x10000; port++) {
		assert_int_equal(access_port(vcpu, port, 1, 0), END_RETURNED);
		assert_true(seam_skipped());
	}
	assert_int_equal(vcpu->regs[REG_RAX], 0x41);
	assert_int_equal(seam.wrmsr_count, 0);
	assert_int_equal(seam.out_count, 1); /* one byte reached the console: the UART's data port */
}

/* A device of one byte is not reached by a wider or a string access, nor the UART past its last port. */
static void test_width_and_string(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	vcpu->regs[REG_RAX] = 0x34;
	for (uint32_t size = 1; size <= 4; size *= 2) {
		assert_int_equal(access_port(vcpu, 0x604, size, STRING), END_RETURNED);
		assert_true(seam_injects(VECTOR_GP));
		assert_int_equal(access_port(vcpu, 0x3f8, size, IN | STRING), END_RETURNED);
		assert_true(seam_injects(VECTOR_GP));
	}
	assert_int_equal(seam.out_count, 0);
}

/* ACPI sleep control: SLP_EN with type 5; reset register: 6. Every other value does nothing. */
static void test_sleep_and_reset(void **state)
{
	(void)state;
	for (uint32_t value = 0; value < 256; value++) {
		struct vcpu *vcpu = seam_start(&seam_models[0], 0);

		vcpu->regs[REG_RAX] = value;
		assert_int_equal(access_port(vcpu, 0x600, 1, 0), (value & 0x3c) == 0x34 ? END_SLEEP : END_RETURNED);
		vcpu = seam_start(&seam_models[0], 0);
		vcpu->regs[REG_RAX] = value;
		assert_int_equal(access_port(vcpu, 0x604, 1, 0), value == 6 ? END_SLEEP : END_RETURNED);
		if (value == 6)
			assert_non_null(strstr(seam.text, "asks for a reset"));
	}
}

static void test_policy(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	seam.partition.action[ERROR_PORT] = ACTION_INJECT;
	vcpu->regs[REG_RAX] = 0x55;
	assert_int_equal(access_port(vcpu, 0x70, 1, IN), END_RETURNED);
	assert_true(seam_injects(VECTOR_GP));
	assert_int_equal(vcpu->regs[REG_RAX], 0x55);
	seam.partition.action[ERROR_PORT] = ACTION_STOP;
	assert_int_equal(access_port(vcpu, 0x70, 1, IN), END_SLEEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap_is_the_table), cmocka_unit_test(test_every_port_reads),
		cmocka_unit_test(test_every_port_writes),   cmocka_unit_test(test_width_and_string),
		cmocka_unit_test(test_sleep_and_reset),     cmocka_unit_test(test_policy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Hypercalls: each number and argument at 0, 1, its maximum, one above, and -1; rights; the privilege level. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"
#include "hypercall/abi.h"

#define MARK 0x5a5a000000000000ull

static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	return 0;
}

static enum seam_end make(uint64_t number, uint64_t rdi)
{
	for (uint32_t i = 0; i < REG_COUNT; i++)
		vcpu->regs[i] = MARK + i;
	vcpu->regs[REG_RAX] = number;
	vcpu->regs[REG_RDI] = rdi;
	return seam_exit(vcpu, EXIT_REASON_VMCALL, 0);
}

/* Makes a call that returns; RAX alone changes. */
static int64_t call(uint64_t number, uint64_t rdi)
{
	assert_int_equal(make(number, rdi), END_RETURNED);
	assert_true(seam_skipped());
	for (uint32_t i = 1; i < REG_COUNT; i++)
		assert_int_equal(vcpu->regs[i], i == REG_RDI ? rdi : MARK + i);
	return (int64_t)vcpu->regs[REG_RAX];
}

static const uint64_t odd[] = { BH_CALL_COUNT, BH_CALL_COUNT + 1,         63,         64,        65,   1ull << 31,
	                        1ull << 32,    (1ull << 32) + BH_VERSION, 1ull << 63, INT64_MAX, ~0ull };

static void test_numbers_that_do_not_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		assert_int_equal(call(odd[i], 0), BH_ENOCALL);
	seam.partition.hypercalls = ~0ull; /* rights to numbers beyond the table lead nowhere either */
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		assert_int_equal(call(odd[i], 0), BH_ENOCALL);
}

static void test_rights(void **state)
{
	(void)state;
	for (uint64_t some = 0; some < 1u << (BH_SET_SCHEDULE + 2); some++)
		for (uint64_t number = 0; number < BH_CALL_COUNT; number++) {
			const uint64_t rights = (some & ((1u << (BH_SET_SCHEDULE + 1)) - 1)) |
			                        (some >> (BH_SET_SCHEDULE + 1)) << BH_AUDIT;

			seam.partition.hypercalls = rights;
			if (number == BH_STOP && rights >> number & 1)
				continue;
			assert_int_equal(call(number, 1) == BH_ENOCALL, !(rights >> number & 1));
		}
}

static void test_user_mode(void **state)
{
	(void)state;
	for (uint32_t dpl = 0; dpl < 4; dpl++) {
		seam_set(VMCS_GUEST_SS_ACCESS, 0xc093 | dpl << 5);
		for (uint64_t number = 0; number < BH_CALL_COUNT + 1; number++) {
			seam.partition.flags = 0;
			if (dpl)
				assert_int_equal(call(number, 1), BH_EPERM);
			seam.partition.flags = PARTITION_CPL3_HYPERCALLS;
			if (number != BH_STOP)
				assert_int_not_equal(call(number, 1), BH_EPERM);
		}
	}
}

static void test_version(void **state)
{
	(void)state;
	assert_int_equal(call(BH_VERSION, 0), BH_ABI_VERSION);
	assert_int_equal(call(BH_VERSION, ~0ull), BH_ABI_VERSION);
}

static void test_console_write_lengths(void **state)
{
	static const uint64_t bad[] = { 0, 41, 42, 48, 1ull << 32, (1ull << 32) + 1, 1ull << 63, ~0ull };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(call(BH_CONSOLE_WRITE, bad[i]), BH_EINVAL);
	assert_int_equal(seam.out_count, 0);
	for (uint64_t length = 1; length <= 40; length++) {
		seam.out_count = 0;
		assert_int_equal(call(BH_CONSOLE_WRITE, length), length < 12 ? length : 12);
		assert_int_equal(seam.out_count, length < 12 ? length : 12);
	}
}

static void test_console_write_order_and_room(void **state)
{
	static const uint8_t word[] = { REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9 };
	char text[] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";

	(void)state;
	vcpu->regs[REG_RAX] = BH_CONSOLE_WRITE;
	vcpu->regs[REG_RDI] = 40;
	for (uint32_t i = 0; i < 5; i++)
		memcpy(&vcpu->regs[word[i]], text + 8 * i, 8);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_VMCALL, 0), END_RETURNED);
	assert_int_equal(vcpu->regs[REG_RAX], 12); /* no more at once: the stay in root mode is short */
	assert_memory_equal(seam.out, text, 12);
	for (uint32_t room = 0; room <= 41; room++) {
		seam.room = room;
		assert_int_equal(call(BH_CONSOLE_WRITE, 40), room == 0 ? BH_EAGAIN : room > 12 ? 12 : (int64_t)room);
	}
}

static void test_console_read(void **state)
{
	(void)state;
	assert_int_equal(call(BH_CONSOLE_READ, 0), BH_EAGAIN);
	seam.in = "q\xff";
	assert_int_equal(call(BH_CONSOLE_READ, ~0ull), 'q');
	assert_int_equal(call(BH_CONSOLE_READ, 0), 0xff); /* a byte, no error */
	assert_int_equal(call(BH_CONSOLE_READ, 0), BH_EAGAIN);
}

static void test_counters(void **state)
{
	static const uint64_t bad[] = { 7,          8,
		                        15,         16,
		                        63,         BH_COUNTER_REASON + EXIT_REASONS_COUNTED,
		                        1ull << 32, (1ull << 32) + 64,
		                        1ull << 63, ~0ull,
		                        ~0ull - 63 };
	uint64_t exits;

	(void)state;
	for (uint32_t i = 0; i < EXIT_REASONS_COUNTED; i++)
		vcpu->count[i] = 1000 + i;
	vcpu->count[EXIT_REASON_VMCALL] = 0;
	vcpu->worst = 0xfffffffe;
	vcpu->entered = 77;
	vcpu->forbidden[0] = 5;
	vcpu->forbidden[ERROR_CLASS_COUNT - 1] = 6;
	handoff.tsc_loader_start = 66;
	for (uint32_t i = 0; i < EXIT_REASONS_COUNTED; i++) /* the call itself is counted before it is answered */
		assert_int_equal(call(BH_COUNTER, BH_COUNTER_REASON + i), i == EXIT_REASON_VMCALL ? i + 1 : 1000 + i);
	exits = vcpu_exits(vcpu);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_EXITS), exits + 1);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_WORST), 0xfffffffe);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_FORBIDDEN), 11);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_TSC_KHZ), tsc_khz);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_START_TSC), 77);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_LOADER_TSC), 66);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(call(BH_COUNTER, bad[i]), BH_EINVAL);
}

/* From a dedicated CPU, once all scheduled ones decide; the time is that of the last call. */
static void test_set_schedule(void **state)
{
	static const uint64_t bad[] = { CONFIG_SCHEDULES, CONFIG_SCHEDULES + 1, 1ull << 32, (1ull << 32) + 1, ~0ull };
	const uint64_t settle = (1000 + 50 + 100) * tsc_khz / 1000;

	assert_int_equal(call(BH_SET_SCHEDULE, 1), BH_EAGAIN); /* they are loading */
	for (uint32_t n = 0; n < CONFIG_SCHEDULED_CPUS; n++) {
		assert_int_equal(call(BH_SET_SCHEDULE, 1), BH_EAGAIN);
		seam_start_scheduled(SEAM_CPU_SCHEDULED + n);
		setup(state);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(call(BH_SET_SCHEDULE, bad[i]), BH_EINVAL);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_SCHEDULE), 0);
	seam.tsc += settle;
	assert_int_equal(call(BH_SET_SCHEDULE, 1), 0);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_SCHEDULE), 1);
	assert_int_equal(call(BH_SET_SCHEDULE, 0), BH_EAGAIN);
	assert_int_equal(call(BH_SET_SCHEDULE, 1), BH_EAGAIN);
	assert_int_equal(call(BH_SET_SCHEDULE, CONFIG_SCHEDULES), BH_EINVAL);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_SCHEDULE), 1);
	seam.tsc += settle + 100 * tsc_khz / 1000;
	assert_int_equal(call(BH_SET_SCHEDULE, 0), 0);
	assert_int_equal(call(BH_COUNTER, BH_COUNTER_SCHEDULE), 0);
}

static void test_stop(void **state)
{
	static const uint64_t bad[] = { 256, 257, 1ull << 32, 1ull << 63, ~0ull };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(call(BH_STOP, bad[i]), BH_EINVAL);
	for (uint64_t code = 0; code < 256; code++) {
		setup(state);
		assert_int_equal(make(BH_STOP, code), END_SLEEP);
		assert_int_equal(vcpu->state, VCPU_STOPPED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_numbers_that_do_not_exist, setup),
		cmocka_unit_test_setup(test_rights, setup),
		cmocka_unit_test_setup(test_user_mode, setup),
		cmocka_unit_test_setup(test_version, setup),
		cmocka_unit_test_setup(test_console_write_lengths, setup),
		cmocka_unit_test_setup(test_console_write_order_and_room, setup),
		cmocka_unit_test_setup(test_console_read, setup),
		cmocka_unit_test_setup(test_counters, setup),
		cmocka_unit_test_setup(test_set_schedule, setup),
		cmocka_unit_test_setup(test_stop, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

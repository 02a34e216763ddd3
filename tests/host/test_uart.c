// SPDX-License-Identifier: Apache-2.0
/*
 * The emulated 16550A, as drivers look at it. probe() follows, step by step, what Linux's 8250 driver tries in order to tell UARTs
 * apart (drivers/tty/serial/8250/8250_port.c, autoconfig() of 6.1); it must end at "16550A" and leave everything as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BASE 0x3f8u
#define IN (1u << 3)
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR_REGISTER, SCRATCH };
#define FCR IIR
#define EFR IIR /* where other UARTs have one, behind LCR = BFh */

static struct vcpu *vcpu;

static uint8_t in(uint32_t reg)
{
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_IO, (BASE + reg) << 16 | IN), END_RETURNED);
	return (uint8_t)vcpu->regs[REG_RAX];
}

static void out(uint32_t reg, uint8_t value)
{
	vcpu->regs[REG_RAX] = value;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_IO, (BASE + reg) << 16), END_RETURNED);
}

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	return 0;
}

static int has_ier_and_loop(void)
{
	const uint8_t ier = in(IER), mcr = in(MCR);
	uint8_t none, all, status;

	out(IER, 0);
	none = in(IER)&0xf;
	out(IER, 0xf);
	all = in(IER)&0xf;
	out(IER, ier);
	out(MCR, 0x10 | 0x0a);
	status = in(MSR_REGISTER)&0xf0;
	out(MCR, mcr);
	return none == 0 && all == 0xf && status == 0x90;
}

/* Registers that only better UARTs have. */
static const char *better_than_16550a(void)
{
	uint8_t mcr, a, b, ier;

	out(LCR, 0x80);
	if (in(EFR) == 0)
		return "16650";
	out(LCR, 0xbf);
	if (in(EFR) == 0)
		return "16850";
	out(LCR, 0);
	mcr = in(MCR);
	out(MCR, mcr ^ 0x10);
	out(LCR, 0xe0);
	a = in(IIR);
	out(LCR, 0);
	out(MCR, mcr);
	if ((a ^ mcr) & 0x10)
		return "NS16550A with EXCR1";
	out(FCR, 0x21);
	a = in(IIR) >> 5;
	out(FCR, 1);
	out(LCR, 0x80);
	out(FCR, 0x21);
	b = in(IIR) >> 5;
	out(FCR, 1);
	out(LCR, 0);
	if (a == 6 && b == 7)
		return "16750";
	ier = in(IER);
	out(IER, ier | 0x40);
	a = in(IER);
	out(IER, ier);
	return a & 0x40 ? "XScale" : 0;
}

static const char *probe(void)
{
	const uint8_t lcr = in(LCR);
	const char *better = 0;

	if (!has_ier_and_loop())
		return "nothing";
	out(LCR, 0xbf);
	out(EFR, 0);
	out(LCR, 0);
	out(FCR, 1);
	switch (in(IIR) >> 6) {
	case 0:
		return "8250 or 16450";
	case 2:
		return "16550";
	case 3:
		better = better_than_16550a();
		break;
	default:
		return "unknown";
	}
	out(LCR, lcr);
	out(FCR, 7);
	out(FCR, 0);
	return better ? better : "16550A";
}

static void test_linux_finds_a_16550a(void **state)
{
	(void)state;
	out(LCR, 3);
	out(MCR, 0x0b);
	assert_string_equal(probe(), "16550A");
	assert_int_equal(in(LCR), 3);
	assert_int_equal(in(MCR), 0x0b);
	assert_int_equal(in(IER), 0);
	assert_int_equal(seam.out_count, 0); /* nothing of it came out at the console */
}

static void test_every_register_keeps_what_it_may(void **state)
{
	(void)state;
	for (uint32_t value = 0; value < 256; value++) {
		out(LCR, (uint8_t)value);
		assert_int_equal(in(LCR), value);
		out(LCR, 3);
		out(IER, (uint8_t)value);
		assert_int_equal(in(IER), value & 0x0f);
		out(IER, 0);
		out(MCR, (uint8_t)value);
		assert_int_equal(in(MCR), value & 0x1f);
		out(MCR, 0);
		out(SCRATCH, (uint8_t)value);
		assert_int_equal(in(SCRATCH), value);
	}
}

static void test_divisor_latch_hides_data(void **state)
{
	(void)state;
	out(LCR, 0x83);
	out(DATA, 0x0c);
	out(IER, 0x01);
	assert_int_equal(in(DATA), 0x0c);
	assert_int_equal(in(IER), 0x01);
	out(LCR, 3);
	assert_int_equal(in(IER), 0);
	assert_int_equal(seam.out_count, 0);
	out(DATA, 'x');
	assert_int_equal(seam.out[0], 'x');
}

static void test_loop(void **state)
{
	(void)state;
	for (uint32_t mcr = 0; mcr < 16; mcr++) {
		/* DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD */
		const uint32_t want = (mcr & 1) << 5 | (mcr & 2) << 3 | (mcr & 4) << 4 | (mcr & 8) << 4;

		out(MCR, (uint8_t)(0x10 | mcr));
		assert_int_equal(in(MSR_REGISTER), want);
	}
	out(DATA, 'l');
	assert_int_equal(seam.out_count, 0);
	assert_int_equal(in(LSR)&1, 1);
	assert_int_equal(in(DATA), 'l');
	assert_int_equal(in(LSR)&1, 0);
	out(MCR, 0);
	assert_int_equal(in(MSR_REGISTER), 0xb0);
}

/* A driver without an interrupt polls: IIR tells what there is, LSR too, and no byte of input is lost or doubled. */
static void test_polling_input(void **state)
{
	(void)state;
	out(FCR, 1);
	assert_int_equal(in(IIR), 0xc1);
	out(IER, 1);
	assert_int_equal(in(IIR), 0xc1);
	seam.in = "ab";
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(DATA), 0);
	assert_int_equal(in(IIR), 0xc1);
}

static void test_polling_output(void **state)
{
	(void)state;
	out(IER, 2);
	assert_int_equal(in(IIR), 0x02);
	seam.room = 1;
	out(DATA, 'z');
	assert_int_equal(in(LSR), 0); /* full: the driver waits */
	assert_int_equal(in(IIR), 0x01);
	out(DATA, 'y'); /* one that does not wait loses it, as on the real one */
	assert_int_equal(seam.out_count, 1);
	seam.room = 1;
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x02);
}

/* Text that waits for the line is followed up by the preemption timer, until none is left. */
static void test_output_is_followed_up(void **state)
{
	(void)state;
	assert_false(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
	out(DATA, 'a');
	assert_true(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
	assert_int_equal(seam_get(VMCS_GUEST_PREEMPTION_TIMER), 2250000 >> (seam.model.caps.misc & 31));
	assert_true(seam_get(VMCS_CTRL_EXIT) & EXIT_SAVE_PREEMPTION_TIMER); /* other exits do not put it off */
	seam.pump_left = 1;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0), END_RETURNED);
	assert_true(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
	seam.pump_left = 0;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0), END_RETURNED);
	assert_false(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
	assert_false(seam_get(VMCS_CTRL_EXIT) & EXIT_SAVE_PREEMPTION_TIMER); /* not without it (27.2.1.2) */
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x1000);
}

/* A driver's work goes on on another vCPU: what it set up is there. */
static void test_vcpus_share_it(void **state)
{
	(void)state;
	seam.in = "ab";
	out(IER, 3);
	out(LCR, 3);
	assert_int_equal(in(LSR)&1, 1);
	vcpu = seam_start(&seam_models[0], 1);
	assert_int_equal(vcpu->index, 1);
	assert_int_equal(in(IER), 3);
	assert_int_equal(in(LCR), 3);
	assert_int_equal(in(DATA), 'a');
	vcpu = seam_start(&seam_models[0], 0);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LCR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux_finds_a_16550a, setup),
		cmocka_unit_test_setup(test_every_register_keeps_what_it_may, setup),
		cmocka_unit_test_setup(test_divisor_latch_hides_data, setup),
		cmocka_unit_test_setup(test_loop, setup),
		cmocka_unit_test_setup(test_polling_input, setup),
		cmocka_unit_test_setup(test_polling_output, setup),
		cmocka_unit_test_setup(test_output_is_followed_up, setup),
		cmocka_unit_test_setup(test_vcpus_share_it, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

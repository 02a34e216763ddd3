// SPDX-License-Identifier: Apache-2.0
/*
 * INIT, SIPI and NMI between vCPUs of a partition (vmx/startup.c) on a dedicated CPU: which of them counts when, and the state after INIT
 * against SDM Vol. 3A, table 9-1, as the VM-entry auditor sees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"
#include "vmx/startup.h"

#define SELF 1u /* vCPU 1 of partition "many", which lives on CPU 2 */

static struct vcpu *vcpu;

static int take(void)
{
	return startup_take(vcpu);
}

static void send(uint32_t events)
{
	startup_send(vcpu, SELF, events);
}

static void examine(void)
{
	char detail[200] = "";
	const char *broken = vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail);

	if (broken)
		print_message("%s: %s; %s\n", seam.model.name, broken, detail);
	assert_null(broken);
}

static void start(uint32_t model)
{
	vcpu = seam_start(&seam_models[model], SELF);
	this_cpu->index = 2;
	take(); /* what an earlier test has left */
	vcpu = seam_start(&seam_models[model], SELF);
	this_cpu->index = 2;
	seam.kicked = 0;
}

static void start_waiting(uint32_t model)
{
	start(model);
	startup_wait(vcpu);
}

static int waits(void)
{
	return vcpu->waiting && seam_get(VMCS_GUEST_ACTIVITY) == ACTIVITY_HLT &&
	       !(seam_get(VMCS_GUEST_RFLAGS) & RFLAGS_IF) && !take();
}

static int runs_at(uint32_t vector)
{
	return !vcpu->waiting && seam_get(VMCS_GUEST_ACTIVITY) == ACTIVITY_ACTIVE &&
	       seam_get(VMCS_GUEST_CS_SELECTOR) == vector << 8 && seam_get(VMCS_GUEST_CS_BASE) == vector << 12 &&
	       seam_get(VMCS_GUEST_RIP) == 0 && take();
}

static void check_table_9_1(void)
{
	static const struct {
		uint32_t field;
		uint64_t value;
	} row[] = {
		{ VMCS_GUEST_RFLAGS, 2 },
		{ VMCS_GUEST_RIP, 0 },
		{ VMCS_GUEST_RSP, 0 },
		{ VMCS_GUEST_CR3, 0 },
		{ VMCS_CTRL_CR0_SHADOW, 0x60000010 },
		{ VMCS_GUEST_CR0, 0x30 },
		{ VMCS_CTRL_CR4_SHADOW, 0 },
		{ VMCS_GUEST_DR7, 0x400 },
		{ VMCS_GUEST_EFER, 0 },
		{ VMCS_GUEST_GDTR_BASE, 0 },
		{ VMCS_GUEST_GDTR_LIMIT, 0xffff },
		{ VMCS_GUEST_IDTR_BASE, 0 },
		{ VMCS_GUEST_IDTR_LIMIT, 0xffff },
		{ VMCS_GUEST_LDTR_SELECTOR, 0 },
		{ VMCS_GUEST_LDTR_BASE, 0 },
		{ VMCS_GUEST_LDTR_LIMIT, 0xffff },
		{ VMCS_GUEST_LDTR_ACCESS, 0x82 },
		{ VMCS_GUEST_TR_SELECTOR, 0 },
		{ VMCS_GUEST_TR_BASE, 0 },
		{ VMCS_GUEST_TR_LIMIT, 0xffff },
		{ VMCS_GUEST_TR_ACCESS, 0x8b },
		{ VMCS_GUEST_CS_ACCESS, 0x9b },
		{ VMCS_GUEST_CS_LIMIT, 0xffff },
		{ VMCS_GUEST_INTERRUPTIBILITY, 0 },
		{ VMCS_GUEST_PENDING_DEBUG, 0 },
		{ VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0 },
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		if (seam_get(row[i].field) != row[i].value)
			print_message("%s: %lx\n", vmcs_field_name(row[i].field), seam_get(row[i].field));
		assert_int_equal(seam_get(row[i].field), row[i].value);
	}
	for (uint32_t s = 0; s < 6; s++)
		if (s != SEGMENT_CS) {
			assert_int_equal(seam_get(VMCS_GUEST_ES_SELECTOR + 2 * s), 0);
			assert_int_equal(seam_get(VMCS_GUEST_ES_BASE + 2 * s), 0);
			assert_int_equal(seam_get(VMCS_GUEST_ES_LIMIT + 2 * s), 0xffff);
			assert_int_equal(seam_get(VMCS_GUEST_ES_ACCESS + 2 * s), 0x93);
		}
	assert_false(seam_get(VMCS_CTRL_ENTRY) & ENTRY_IA32E_MODE_GUEST);
	assert_false(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	for (uint32_t r = 0; r < REG_COUNT; r++)
		assert_int_equal(vcpu->regs[r], r == REG_RDX ? vcpu_cpuid(vcpu, 1, 0)[0] : 0);
	assert_int_not_equal(vcpu->regs[REG_RDX], 0);
	assert_false(vcpu_cpuid(vcpu, 1, 0)[2] & 1u << 27); /* OSXSAVE */
}

static void test_state_after_init(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < SEAM_MODELS; m++) {
		start_waiting(m);
		assert_true(waits());
		check_table_9_1();
		examine();
		send(EVENT_SIPI | 0x9a);
		assert_int_equal(take(), 1);
		assert_true(runs_at(0x9a));
		check_table_9_1();
		examine();
	}
}

/* Whatever it was doing before. */
static void test_init_while_it_runs(void **state)
{
	(void)state;
	for (uint32_t m = 0; m < SEAM_MODELS; m++) {
		start(m);
		seam_set(VMCS_GUEST_RFLAGS, 0x246);
		seam_set(VMCS_GUEST_CR0, 0x80050033);
		seam_set(VMCS_GUEST_CR4, seam_get(VMCS_GUEST_CR4) | CR4_OSXSAVE);
		vcpu_cpuid(vcpu, 1, 0)[2] |= 1u << 27;
		seam_set(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI | BLOCKING_BY_STI);
		seam_set(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
		seam_set(VMCS_GUEST_DR7, 0x4ff);
		seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION | 6);
		memset(vcpu->regs, 0xff, sizeof vcpu->regs);
		inject_nmi(vcpu); /* waits, and must not end the wait for the SIPI */
		seam.invvpid_count = 0;
		send(EVENT_INIT);
		assert_int_equal(seam.kicked, 1u << 2);
		assert_true(startup_left(vcpu));
		assert_int_equal(take(), 0);
		assert_false(startup_left(vcpu));
		assert_true(waits());
		assert_int_equal(vcpu->nmi_pending, 0);
		assert_int_equal(seam.invvpid_count, 1);
		check_table_9_1();
		examine();
		send(EVENT_SIPI | 8);
		assert_int_equal(take(), 1);
		assert_true(runs_at(8));
		examine();
	}
}

static void test_which_sipi_counts(void **state)
{
	(void)state;
	start_waiting(0);
	send(EVENT_SIPI | 0x10); /* both before the target looks: the first */
	send(EVENT_SIPI | 0x2f);
	assert_int_equal(take(), 1);
	assert_true(runs_at(0x10));
	seam_set(VMCS_GUEST_RIP, 0x1234);
	send(EVENT_SIPI | 0x20); /* it runs: ignored, and not kept for later */
	assert_int_equal(take(), 1);
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x1234);
	assert_int_equal(seam_get(VMCS_GUEST_CS_SELECTOR), 0x1000);
	send(EVENT_INIT);
	assert_int_equal(take(), 0);
	assert_true(waits());
	send(EVENT_SIPI | 0x00); /* vector 0 is one, too */
	assert_int_equal(take(), 1);
	assert_true(runs_at(0));
	send(EVENT_INIT); /* all at once, as a fast sender does it */
	send(EVENT_SIPI | 0x77);
	send(EVENT_SIPI | 0x78);
	assert_int_equal(take(), 1);
	assert_true(runs_at(0x77));
	send(EVENT_SIPI | 0x11); /* a SIPI before the INIT is not one after it */
	send(EVENT_INIT);
	assert_int_equal(take(), 0);
	assert_true(waits());
	send(EVENT_SIPI | 0x12);
	assert_int_equal(take(), 1);
	assert_true(runs_at(0x12));
}

static void test_nmi(void **state)
{
	(void)state;
	start_waiting(0);
	send(EVENT_NMI); /* does not start it */
	assert_int_equal(take(), 0);
	assert_true(waits());
	assert_int_equal(vcpu->nmi_pending, 0);
	assert_false(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	send(EVENT_SIPI | 0x10);
	send(EVENT_NMI);
	assert_int_equal(take(), 1);
	assert_true(runs_at(0x10));
	assert_int_equal(vcpu->nmi_pending, 1);
	assert_true(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	examine();
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_NMI_WINDOW, 0), END_RETURNED);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), INTERRUPTION_VALID | INTERRUPTION_NMI | 2);
	assert_false(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	examine();
}

/* Events come in by the NMI that kicks the CPU, or by the preemption timer if that came in root mode. */
static void test_the_exits_that_take_events(void **state)
{
	(void)state;
	start_waiting(0);
	send(EVENT_SIPI | 0x10);
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_NMI | 2);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_EXCEPTION_OR_NMI, 0), END_RETURNED);
	assert_false(vcpu->waiting);
	send(EVENT_INIT);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0), END_RETURNED);
	assert_true(waits());
	examine();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_after_init),           cmocka_unit_test(test_init_while_it_runs),
		cmocka_unit_test(test_which_sipi_counts),          cmocka_unit_test(test_nmi),
		cmocka_unit_test(test_the_exits_that_take_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* vCPUs that share a CPU (vmx/scheduled.c): when their windows begin, when interrupts are injected, what wakes whom. */
#include "scheduled_test.h"

static void test_windows(void **state)
{
	(void)state;
	start();
	assert_int_equal(seam.flush_count, 0); /* nobody was here before */
	for (uint64_t n = 0; n < 100; n++) {
		at(EPOCH + n * FRAME);
		assert_true(runs(0)); /* its vCPU 1 waits for a SIPI */
		at(EPOCH + n * FRAME + 400 * US);
		at(EPOCH + n * FRAME + 400 * US + 349);
		assert_true(runs(0)); /* S, the switch, is not at the cost of the window */
		at(EPOCH + n * FRAME + 400 * US + 350);
		assert_true(idles());
		at(EPOCH + n * FRAME + 500 * US + 77); /* late: it ends late, too */
		assert_true(runs(2));
		at(EPOCH + n * FRAME + 900 * US + 77 + 349);
		assert_true(runs(2));
		at(EPOCH + n * FRAME + 900 * US + 77 + 350);
		assert_true(idles());
	}
	assert_int_equal(seam.flush_count, 199);
	assert_int_equal(seam.switch_count, 199); /* idling costs none */
	assert_int_equal(scheduled->sched.windows_cut + scheduled->sched.windows_lost, 0);
}

static void test_timer_interrupt_at_its_deadline(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
	assert_int_equal(read_msr(MSR_IA32_TSC_DEADLINE), EPOCH + 50 * US);
	assert_in_range(timer_ticks(), 50 * US - (1 << SHIFT), 50 * US + (1 << SHIFT)); /* precisely: check_entry() */
	at(EPOCH + 50 * US - (1 << SHIFT)); /* the timer has no finer steps */
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), 0);
	at(EPOCH + 50 * US);
	assert_true(injected(0x40));
	assert_int_equal(read_msr(MSR_IA32_TSC_DEADLINE), 0);
	write_msr(MSR_X2APIC_EOI, 0);
	assert_int_equal(lapic(0)->reg[LAPIC_PPR / 4], 0);
	write_msr(MSR_IA32_TSC_DEADLINE, 5); /* in the past */
	assert_true(injected(0x40));
	write_msr(MSR_X2APIC_EOI, 0);
	write_msr(MSR_IA32_TSC_DEADLINE, 10000000000000000000ull);
	assert_int_equal(scheduled->next_event, scheduled->until);
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 450 * US); /* its window is over by then */
	to_single();
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), 0);
	at(EPOCH + FRAME);
	assert_true(runs(0) && injected(0x40));
}

static void test_interrupt_window(void **state)
{
	(void)state;
	start();
	prepare_guest();
	set_if(0);
	write_msr(0x83f, 0x51); /* self-IPI */
	assert_true(window_open());
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), 0);
	set_if(1);
	exits(EXIT_REASON_INTERRUPT_WINDOW, 0);
	assert_true(injected(0x51) && !window_open());
	write_msr(0x83f, 0x61); /* nested: two at once, the second waits for its turn */
	assert_true(injected(0x61));
	write_msr(0x83f, 0x52);
	assert_true(!window_open() && lapic(0)->pending == -1);
	write_msr(MSR_X2APIC_EOI, 0);
	assert_false(window_open());
	write_msr(MSR_X2APIC_EOI, 0);
	assert_true(injected(0x52));
	write_msr(MSR_X2APIC_EOI, 0);
	seam_set(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI);
	write_msr(0x83f, 0x53);
	assert_true(window_open() && !seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO));
	seam_set(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS);
	exits(EXIT_REASON_CPUID, 0);
	assert_true(window_open() && !seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO));
	/* A window that the guest closes again by raising its priority is no use. */
	seam_set(VMCS_GUEST_INTERRUPTIBILITY, 0);
	set_if(0);
	write_msr(MSR_X2APIC_TPR, 0xf0);
	assert_false(window_open());
	write_msr(MSR_X2APIC_TPR, 0);
	assert_true(window_open());
	/* A fault of the guest goes first. */
	set_if(1);
	write_msr(0xdead, 0);
	assert_true(seam_injects(VECTOR_GP) && window_open());
}

static void test_halt_with_interrupts(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
	halt_with(1);
	assert_true(idles());
	at(EPOCH + 50 * US - (1 << SHIFT));
	assert_true(idles());
	at(EPOCH + 50 * US);
	assert_true(runs(0) && injected(0x40));
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x1002); /* behind the HLT */
	assert_int_equal(seam_get(VMCS_GUEST_INTERRUPTIBILITY), 0);
	write_msr(MSR_X2APIC_EOI, 0);
	halt_with(1);
	posted_send(SEAM_CPU_SCHEDULED, 0, 0x70);
	kick();
	assert_true(runs(0) && injected(0x70));
	halt_with(1); /* one of a lower class does not end it */
	posted_send(SEAM_CPU_SCHEDULED, 0, 0x60);
	kick();
	assert_true(idles());
	posted_send(SEAM_CPU_SCHEDULED, 0, 0x80);
	kick();
	assert_true(runs(0) && injected(0x80));
	write_msr(MSR_X2APIC_EOI, 0);
	write_msr(MSR_X2APIC_EOI, 0);
	assert_true(injected(0x60));
	write_msr(MSR_X2APIC_EOI, 0);
	/* Nor a timer that is masked or held back; but it does not stop the window of others. */
	write_msr(MSR_LVT_TIMER, 1u << 16 | 1u << 17 | 0x40);
	write_msr(MSR_X2APIC_TIMER_INITIAL, 10);
	halt_with(1);
	for (uint64_t us = 51; us < 399; us++) {
		at(EPOCH + us * US);
		assert_true(idles());
	}
	to_single();
	startup_send(slot(2), 0, EVENT_SIPI | 5); /* not for it, and it is no SIPI for one that runs */
	at(EPOCH + FRAME);
	assert_true(idles());
	startup_send(slot(0), 0, EVENT_SIPI | 5);
	kick();
	assert_true(idles());
	startup_send(slot(0), 0, EVENT_NMI);
	kick();
	assert_true(runs(0) && seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	exits(EXIT_REASON_NMI_WINDOW, 0);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), NMI_INFO);
}

static void test_halt_without_interrupts(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
	halt_with(0);
	assert_true(idles());
	at(EPOCH + 60 * US);
	posted_send(SEAM_CPU_SCHEDULED, 0, 0xee);
	kick();
	assert_true(idles());
	to_single();
	at(EPOCH + FRAME);
	assert_true(idles());
	startup_send(slot(0), 0, EVENT_NMI);
	kick();
	assert_true(runs(0) && window_open());
	assert_int_equal(lapic(0)->pending, 0xee);
	exits(EXIT_REASON_NMI_WINDOW, 0);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), NMI_INFO);
	halt_with(0);
	assert_true(idles());
	startup_send(slot(0), 0, EVENT_INIT);
	kick();
	assert_true(idles() && slot(0)->waiting);
	startup_send(slot(0), 0, EVENT_SIPI | 8);
	kick();
	assert_true(runs(0) && !window_open());
	assert_int_equal(seam_get(VMCS_GUEST_CS_BASE), 0x8000);
	assert_int_equal(lapic(0)->reg[LAPIC_SVR / 4], 0xff);
	assert_true(lapic(0)->deadline == LAPIC_NEVER && lapic(0)->pending == -1);
}

/* An interrupt that is there already: HLT does not wait for another. */
static void test_halt_with_one_pending(void **state)
{
	(void)state;
	start();
	prepare_guest();
	set_if(0);
	write_msr(0x83f, 0x51);
	halt_with(1);
	assert_true(runs(0) && (injected(0x51) || window_open()));
}

static void test_posted_to_another_window(void **state)
{
	(void)state;
	start();
	prepare_guest();
	to_single();
	prepare_guest();
	halt_with(1);
	assert_true(idles());
	at(EPOCH + FRAME);
	assert_true(runs(0));
	posted_send(SEAM_CPU_SCHEDULED, 2, 0x99); /* single has no right to slack: not before its window */
	kick();
	assert_true(runs(0) && !seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO));
	at(EPOCH + FRAME + 401 * US);
	assert_true(idles());
	at(SINGLE_STARTS + FRAME);
	assert_true(runs(2) && injected(0x99));
	posted_send(SEAM_CPU_SCHEDULED, 0, 0x98); /* to one that was only preempted */
	kick();
	assert_true(runs(2));
	at(EPOCH + 2 * FRAME);
	assert_true(runs(0) && injected(0x98));
}

/* Several vCPUs of a partition in its window. INIT, SIPI and NMI for the vCPU that runs take effect at once. */
static void test_start_of_the_second_vcpu(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_X2APIC_ICR, 1ull << 32 | 0x4500);
	write_msr(MSR_X2APIC_ICR, 1ull << 32 | 0x4609);
	write_msr(MSR_X2APIC_ICR, 1ull << 32 | 0x460a);
	assert_true(runs(0) && slot(1)->waiting); /* lower priority: its turn comes when vCPU 0 waits */
	halt_with(1);
	assert_true(runs(1));
	assert_int_equal(seam_get(VMCS_GUEST_CS_BASE), 0x9000);
	assert_in_range(seam.flush_count, 0, 1); /* of the same partition */
	startup_send(slot(1), 1, EVENT_NMI);
	kick();
	assert_true(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	exits(EXIT_REASON_NMI_WINDOW, 0);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), NMI_INFO);
	startup_send(slot(1), 1, EVENT_INIT);
	kick();
	assert_true(idles() && slot(1)->waiting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_timer_interrupt_at_its_deadline),
		cmocka_unit_test(test_interrupt_window),
		cmocka_unit_test(test_halt_with_interrupts),
		cmocka_unit_test(test_halt_without_interrupts),
		cmocka_unit_test(test_halt_with_one_pending),
		cmocka_unit_test(test_posted_to_another_window),
		cmocka_unit_test(test_start_of_the_second_vcpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * vCPUs that share a CPU (vmx/scheduled.c): whom they reach, what root mode writes for them, that no NMI gets lost in root mode, and random
 * exits.
 */
#include "scheduled_test.h"

/* ---- who may reach whom ---- */

static uint32_t posted_to(uint32_t vector)
{
	uint32_t set = 0;

	for (uint32_t cpu = 0; cpu < CONFIG_CPUS; cpu++)
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			for (uint32_t word = 0; word < 4; word++) {
				const uint64_t bits = posted_take(cpu, n, word);

				if (!bits)
					continue;
				assert_int_equal(word, vector / 64);
				assert_int_equal(bits, 1ull << vector % 64);
				set |= 1u << (cpu * 4 + n);
			}
	return set;
}

/* vCPU 0 of "pair" writes each kind of command; slots 0 and 1 of CPU 4 and slot 0 of CPU 5 are its partition's. */
static void test_targets_of_interrupt_commands(void **state)
{
	static const uint32_t where[] = { 1u << 16, 1u << 17, 1u << 20 };
	static const uint32_t destinations[] = { 0, 1, 2, 3, 4, 0x14, 0x18, 0x1a, 7, 0xff, 0x10001, 0xffffffff };
	uint32_t stop[CONFIG_CPUS];

	(void)state;
	posted_close(5, 0);
	start();
	memset(stop, 0, sizeof stop);
	for (uint32_t d = 0; d < sizeof destinations / sizeof destinations[0]; d++)
		for (uint32_t shorthand = 0; shorthand < 4; shorthand++)
			for (uint32_t logical = 0; logical < 2; logical++)
				for (uint32_t vector = 0; vector < 256; vector += 15) {
					const uint32_t to = destinations[d];
					uint32_t want = 0;

					for (uint32_t n = 0; n < 3; n++)
						if (shorthand == 1   ? n == 0 :
						    shorthand        ? shorthand == 2 || n != 0 :
						    to == 0xffffffff ? 1 :
						    logical          ? to >> 16 == 0 && to >> n & 1 :
						                       to == n)
							want |= where[n];
					posted_to(0);
					posted_take_slots(4);
					posted_take_slots(5);
					slot(0)->regs[REG_RCX] = MSR_X2APIC_ICR;
					slot(0)->regs[REG_RAX] = shorthand << 18 | 0x4000 | logical << 11 | vector;
					slot(0)->regs[REG_RDX] = to;
					seam.wrmsr_count = 0;
					seam_set(VMCS_GUEST_RIP, 0x1000);
					memset(&lapic(0)->reg[LAPIC_IRR / 4], 0, 8 * 16);
					lapic(0)->reg[LAPIC_SVR / 4] = 0x1ff;
					apic_write_icr(slot(0), (uint64_t)to << 32 | slot(0)->regs[REG_RAX]);
					/* to itself: at once */
					assert_int_equal(
						lapic(0)->reg[(LAPIC_IRR + vector / 32 * 16) / 4] >> vector % 32 & 1,
						vector >= 16 && want & where[0]);
					assert_int_equal(posted_to(vector), vector < 16 ? 0 : want & ~where[0]);
					if (vector < 16 || !(want & where[2])) {
						assert_int_equal(seam.wrmsr_count, 0);
					} else { /* the one kick */
						assert_int_equal(seam.wrmsr_count, 1);
						assert_true(seam.written[0].msr == MSR_X2APIC_ICR &&
						            seam.written[0].value ==
						                    (0x1aull << 32 | 1u << 14 | POSTED_KICK_VECTOR));
					}
				}
	/* INIT to all but self: the partition's others have an event, nobody else. */
	drain();
	this_cpu->index = 5;
	assert_false(startup_left(slot(0)));
	this_cpu->index = SEAM_CPU_SCHEDULED;
	apic_write_icr(slot(0), 0xc4500);
	assert_int_equal(seam.kicked, 0); /* no NMI to a scheduled CPU: a posted wake-up */
	assert_false(startup_left(slot(0)) || startup_left(slot(2)));
	assert_true(startup_left(slot(1)));
	this_cpu->index = 5;
	assert_true(startup_left(slot(0)));
	assert_false(startup_left(slot(1)) || startup_left(slot(2)));
	drain();
}

static void test_icr_register(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_X2APIC_ICR, 2ull << 32 | 0x4041);
	assert_true(read_msr(MSR_X2APIC_ICR) == (2ull << 32 | 0x4041));
	write_msr(MSR_X2APIC_ICR, 2ull << 32 | 0x4003);
	write_msr(MSR_X2APIC_ESR, 0);
	assert_int_equal(read_msr(MSR_X2APIC_ESR), 0x20);
	drain();
}

/* ---- registers that root mode writes for the guest ---- */

static void test_values_that_would_fault_in_root_mode(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
		int good;
	} row[] = {
		{ MSR_LSTAR, 0x7fffffffffff, 1 },     { MSR_LSTAR, 0x800000000000, 0 },
		{ MSR_LSTAR, 1ull << 63, 0 },         { MSR_CSTAR, 0xffff800000000000, 1 },
		{ MSR_CSTAR, 0xffff7fffffffffff, 0 }, { MSR_FMASK, 0xffffffff, 1 },
		{ MSR_FMASK, 1ull << 32, 0 },         { MSR_TSC_AUX, 0xffffffff, 1 },
		{ MSR_TSC_AUX, 1ull << 32, 0 },       { 0xc0000081, ~0ull, 1 },
	};

	(void)state;
	start();
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const uint64_t before = seam_written(row[i].msr);

		write_msr(row[i].msr, row[i].value);
		assert_true(row[i].good ? seam_skipped() : seam_injects(VECTOR_GP));
		assert_true(seam_written(row[i].msr) == (row[i].good ? row[i].value : before));
		if (row[i].good)
			assert_true(scheduled->vcpu[0].msr[switch_msr_slot(row[i].msr)] == row[i].value);
	}
	vcpu_cpuid(slot(0), 0x80000001, 0)[3] &= ~(1u << 27); /* no RDTSCP: there is no such MSR */
	write_msr(MSR_TSC_AUX, 1);
	assert_true(seam_injects(VECTOR_GP));
}

/* MOV CR8 is the guest's own task priority, never the CPU's. */
static void test_cr8(void **state)
{
	(void)state;
	start();
	prepare_guest();
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(vmcs_image_read(&seam.scheduled_vmcs[n], VMCS_CTRL_PROC) >> 19 & 3, 3);
	set_if(0);
	write_msr(0x83f, 0x51);
	slot(0)->regs[9] = 5;
	exits(EXIT_REASON_CR_ACCESS, 9 << 8 | 8);
	assert_true(seam_skipped() && !window_open());
	assert_int_equal(read_msr(MSR_X2APIC_TPR), 0x50);
	seam_set(VMCS_GUEST_RSP, 4);
	exits(EXIT_REASON_CR_ACCESS, REG_RSP << 8 | 8);
	assert_true(seam_skipped() && window_open());
	for (uint32_t r = 0; r < REG_COUNT; r++) {
		slot(0)->regs[r] = ~0ull;
		/* Registers that the short way back does not load: the long one is taken. */
		assert_int_equal(seam_exit(slot(0), EXIT_REASON_CR_ACCESS, r << 8 | 0x18), END_RESUME);
		assert_int_equal(r == REG_RSP ? seam_get(VMCS_GUEST_RSP) : slot(0)->regs[r], 4);
		assert_true(seam_skipped());
	}
	slot(0)->regs[REG_RBX] = 16;
	exits(EXIT_REASON_CR_ACCESS, REG_RBX << 8 | 8);
	assert_true(seam_injects(VECTOR_GP));
	assert_int_equal(read_msr(MSR_X2APIC_TPR), 0x40);
}

/* ---- NMIs in root mode ---- */

static uint32_t nmi_in;
static void count_down(void)
{
	struct vcpu *vcpu = this_cpu->running;

	if (--nmi_in)
		return;
	seam.on_instruction = 0;
	scheduled_nmi(); /* as core_exception() does it */
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls | PIN_PREEMPTION_TIMER);
}

/* One exit of a kind; a switch, an interrupt, a plain one. */
static void one_exit(uint32_t kind)
{
	switch (kind) {
	case 0:
		at(EPOCH + 50 * US);
		break;
	case 1:
		at(SINGLE_STARTS);
		break;
	case 2:
		halt_with(1);
		break;
	case 3:
		write_msr(0x83f, 0x51);
		break;
	case 4:
		write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 7 * US);
		break;
	default:
		exits(EXIT_REASON_CPUID, 0);
	}
}

static void test_no_nmi_is_lost(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < 6; kind++) {
		uint32_t points = 0;

		for (;;) {
			start();
			prepare_guest();
			write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
			nmi_in = points + 1;
			seam.attention_count = 0;
			seam.on_instruction = count_down;
			one_exit(
				kind); /* the checks behind it are instructions, too: NMIs between exit and entry, and some later */
			if (seam.on_instruction)
				break;
			if (!seam.attention_count) /* else it was looked into in a step that followed */
				assert_int_equal(seam_get(VMCS_GUEST_PREEMPTION_TIMER), 0);
			assert_true(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
			exits(EXIT_REASON_PREEMPTION_TIMER, 0); /* it was looked into before or is now */
			assert_int_equal(seam.attention_count, 1);
			if (seam_get(VMCS_GUEST_PREEMPTION_TIMER) == 0) /* one more, if it came behind the last look */
				exits(EXIT_REASON_PREEMPTION_TIMER, 0);
			assert_int_not_equal(seam_get(VMCS_GUEST_PREEMPTION_TIMER), 0);
			points++;
		}
		seam.on_instruction = 0;
		assert_in_range(points, 5, 1000);
	}
}

/* ---- random ---- */

static void random_exit(void)
{
	static const uint32_t msrs[] = { 0x808, 0x80b, 0x80b, 0x80b, 0x80f, 0x830,
		                         0x832, 0x838, 0x83e, 0x83f, 0x6e0, 0x6e0 };
	uint32_t msr;

	switch (any(10)) {
	case 0:
		exits(EXIT_REASON_HLT, 0);
		break;
	case 1:
		posted_send(SEAM_CPU_SCHEDULED, any(3), 16 + any(240));
		kick();
		break;
	case 2:
		startup_send(slot(any(3)), 0, 1u << (8 + any(3)) | any(16));
		kick();
		break;
	case 3:
		if (window_open())
			set_if(1);
		exits(window_open() ? EXIT_REASON_INTERRUPT_WINDOW : EXIT_REASON_PREEMPTION_TIMER, 0);
		break;
	case 4:
		exits(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING ? EXIT_REASON_NMI_WINDOW : EXIT_REASON_CPUID,
		      0);
		break;
	case 5:
		scheduled_nmi();
		exits(EXIT_REASON_CPUID, 0);
		break;
	case 6:
		exits(EXIT_REASON_PREEMPTION_TIMER, 0);
		break;
	default:
		msr = msrs[any(12)];
		write_msr(msr, msr == 0x6e0 ? seam.tsc + any(1000000) - 1000 :
		               msr == 0x80b ? 0 :
		               msr == 0x80f ? 0x1ff :
		               msr == 0x832 ? (uint32_t)any(3) << 17 | any(256) :
		               msr == 0x83e ? 11 :
		               msr == 0x830 ? (uint64_t)any(4) << 32 | 0x4000 | any(8) << 8 | any(256) :
		                              any(256));
	}
}

static void test_random_exits(void **state)
{
	(void)state;
	start();
	for (uint32_t step = 0; step < 200000; step++) {
		/* The CPU does not run on for longer than the preemption timer lets it, but root mode may take its time. */
		seam.tsc += any((uint32_t)timer_ticks() + 1) + any(2000);
		if (!idles())
			set_if(any(4) != 0);
		seam.text[0] = 0;
		seam.pump_left = any(8) == 0; /* text is left in a console */
		assert_int_equal(scheduled->sched.windows_cut + scheduled->sched.windows_lost, 0);
		if (!idles()) {
			random_exit();
			continue;
		}
		startup_send(slot(0), any(2), EVENT_SIPI | any(256) | (any(4) ? 0 : EVENT_NMI));
		startup_send(slot(2), 0, EVENT_SIPI | any(256) | (any(4) ? 0 : EVENT_NMI));
		kick();
	}
	assert_true(seam.switch_count > 1000 && slot(2)->count[EXIT_REASON_HLT] > 100 &&
	            slot(0)->count[EXIT_REASON_NMI_WINDOW] > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets_of_interrupt_commands),
		cmocka_unit_test(test_icr_register),
		cmocka_unit_test(test_values_that_would_fault_in_root_mode),
		cmocka_unit_test(test_cr8),
		cmocka_unit_test(test_no_nmi_is_lost),
		cmocka_unit_test(test_random_exits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

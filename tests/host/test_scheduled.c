// SPDX-License-Identifier: Apache-2.0
/*
 * vCPUs that share a CPU (vmx/scheduled.c), with a clock that the test moves: when interrupts are injected, what wakes whom, that the
 * preemption timer never fires late, that no NMI gets lost, who may reach whom. After each exit the VM-entry auditor looks at what is entered.
 *
 * CPU 4, frame of 1 ms: 0 to 400 us "pair" with vCPUs in slots 0 and 1, 500 to 900 us "single" in slot 2 (seam.yaml).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/posted.h"
#include "vmx/startup.h"

#define EPOCH 1000000ull
#define US 3000ull /* ticks */
#define FRAME (1000 * US)
#define SINGLE_STARTS (EPOCH + 500 * US)
#define SHIFT 7 /* IA32_VMX_MISC of the model */
#define MSR_LVT_TIMER 0x832u
#define TIMER_DEADLINE (2u << 17)
#define NMI_INFO (INTERRUPTION_VALID | INTERRUPTION_NMI | 2)

#define scheduled (&this_cpu->scheduled)

static struct vcpu *slot(uint32_t n)
{
	return &this_cpu->vcpu[n];
}

static struct lapic *lapic(uint32_t n)
{
	return &scheduled->vcpu[n].lapic;
}

static int runs(uint32_t n)
{
	return this_cpu->running == slot(n);
}

static int idles(void)
{
	return this_cpu->running == &scheduled->idle;
}

static uint64_t timer_ticks(void)
{
	return seam_get(VMCS_GUEST_PREEMPTION_TIMER) << SHIFT;
}

/* What holds at every entry. */
static void check_entry(void)
{
	char detail[200] = "";
	const char *broken = vmentry_audit(vmcs_current, &seam.model.caps, detail, sizeof detail);
	uint64_t next = scheduled->until;

	if (broken)
		print_message("%s; %s\n", broken, detail);
	assert_null(broken);
	assert_true(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
	assert_true(scheduled->until > seam.tsc);
	if (!idles()) {
		const uint32_t n = (uint32_t)(this_cpu->running - this_cpu->vcpu);
		const struct scheduled_vcpu *v = &scheduled->vcpu[n];

		next = v->lapic.deadline < next ? v->lapic.deadline : next;
		assert_false(this_cpu->running->waiting || v->halted);
		assert_true(v->lapic.deadline > seam.tsc || timer_ticks() == 0);
		/* What is pending is seen as soon as it can be taken. */
		assert_int_equal(v->window_open, (seam_get(VMCS_CTRL_PROC) & PROC_INTERRUPT_WINDOW_EXITING) != 0);
		if (v->lapic.pending >= 0 && timer_ticks())
			assert_true(v->window_open);
	}
	next = scheduled->console_due < next ? scheduled->console_due : next;
	if (next > seam.tsc)
		assert_true(seam.tsc + timer_ticks() <= next);
	else
		assert_int_equal(timer_ticks(), 0);
}

static void exits(uint32_t reason, uint64_t qualification)
{
	struct vcpu *before = this_cpu->running;
	const enum seam_end end = seam_exit(before, reason, qualification);

	if (end != END_RETURNED && end != END_RESUME && end != END_LAUNCH)
		print_message("%s\n", seam.text);
	assert_true(end == END_RETURNED || end == END_RESUME || end == END_LAUNCH);
	if (end == END_RETURNED)
		assert_ptr_equal(this_cpu->running, before);
	check_entry();
}

/* The time is `tsc`, and the preemption timer has fired, as often as it needs to with its coarse steps. */
static void at(uint64_t tsc)
{
	seam.tsc = tsc;
	exits(EXIT_REASON_PREEMPTION_TIMER, 0);
}

static void kick(void)
{
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | POSTED_VECTOR);
	exits(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
	assert_int_equal(seam_written(MSR_X2APIC_EOI), 0);
}

static void write_msr(uint32_t msr, uint64_t value)
{
	struct vcpu *vcpu = this_cpu->running;

	vcpu->regs[REG_RCX] = msr;
	vcpu->regs[REG_RAX] = (uint32_t)value;
	vcpu->regs[REG_RDX] = value >> 32;
	exits(EXIT_REASON_WRMSR, 0);
}

static uint64_t read_msr(uint32_t msr)
{
	struct vcpu *vcpu = this_cpu->running;

	vcpu->regs[REG_RCX] = msr;
	exits(EXIT_REASON_RDMSR, 0);
	return seam_result(vcpu);
}

static void set_if(int on)
{
	seam_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | (on ? RFLAGS_IF : 0));
}

static int injected(uint32_t vector)
{
	return seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) == (INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | vector);
}

static int window_open(void)
{
	return (seam_get(VMCS_CTRL_PROC) & PROC_INTERRUPT_WINDOW_EXITING) != 0;
}

/* The running guest switches its APIC on, its timer to deadline mode with vector 40h, and interrupts on. */
static void prepare_guest(void)
{
	set_if(1);
	write_msr(MSR_X2APIC_SVR, 0x1ff);
	write_msr(MSR_LVT_TIMER, TIMER_DEADLINE | 0x40);
}

static void drain(void)
{
	for (uint32_t cpu = SEAM_CPU_SCHEDULED; cpu < CONFIG_CPUS; cpu++) {
		posted_take_slots(cpu);
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			for (uint32_t word = 0; word < 8; word++)
				posted_take(cpu, n, word);
		this_cpu->index = cpu;
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			if (slot(n)->partition)
				startup_take(slot(n));
	}
}

/* The first window of "pair" has begun, its vCPU 0 runs. */
static void start(void)
{
	seam_reset(&seam_models[1]);
	drain();
	seam_start_scheduled(SEAM_CPU_SCHEDULED);
	for (uint32_t n = 0; n < 3; n++)
		startup_take(slot(n));
	assert_true(idles());
	check_entry();
	at(EPOCH);
	assert_true(runs(0));
}

static void to_single(void)
{
	at(EPOCH + 401 * US);
	assert_true(idles());
	at(SINGLE_STARTS);
	assert_true(runs(2));
}

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
	assert_true(timer_ticks() <= 50 * US && timer_ticks() > 50 * US - (1 << SHIFT));
	at(EPOCH + 50 * US - 1);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), 0);
	assert_int_equal(timer_ticks(), 0);
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

static void halt_with(int interrupts)
{
	set_if(interrupts);
	seam_set(VMCS_GUEST_INTERRUPTIBILITY, interrupts ? BLOCKING_BY_STI : 0);
	exits(EXIT_REASON_HLT, 0);
}

static void test_halt_with_interrupts(void **state)
{
	(void)state;
	start();
	prepare_guest();
	write_msr(MSR_IA32_TSC_DEADLINE, EPOCH + 50 * US);
	halt_with(1);
	assert_true(idles());
	at(EPOCH + 50 * US - 1);
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

/* ---- who may reach whom ---- */

static uint32_t posted_to(uint32_t vector)
{
	uint32_t set = 0;

	for (uint32_t cpu = 0; cpu < CONFIG_CPUS; cpu++)
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			for (uint32_t word = 0; word < 8; word++) {
				const uint32_t bits = posted_take(cpu, n, word);

				if (!bits)
					continue;
				assert_int_equal(word, vector / 32);
				assert_int_equal(bits, 1u << vector % 32);
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
					apic_write_icr(slot(0), (uint64_t)to << 32 | slot(0)->regs[REG_RAX]);
					assert_int_equal(posted_to(vector), vector < 16 ? 0 : want);
					if (vector < 16 || !(want & where[2])) {
						assert_int_equal(seam.wrmsr_count, 0);
					} else { /* the one kick */
						assert_int_equal(seam.wrmsr_count, 1);
						assert_true(seam.written[0].msr == MSR_X2APIC_ICR &&
						            seam.written[0].value ==
						                    (0x1aull << 32 | 1u << 14 | POSTED_VECTOR));
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
			seam.on_instruction = count_down;
			one_exit(
				kind); /* the checks behind it are instructions, too: NMIs between exit and entry, and some later */
			if (seam.on_instruction)
				break;
			assert_int_equal(seam_get(VMCS_GUEST_PREEMPTION_TIMER), 0);
			assert_true(seam_get(VMCS_CTRL_PIN) & PIN_PREEMPTION_TIMER);
			seam.attention_count = 0;
			exits(EXIT_REASON_PREEMPTION_TIMER, 0);
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

static uint64_t seed = 88172645463325252ull;
static uint32_t any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % below);
}

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
		posted_send(SEAM_CPU_SCHEDULED, any(3), any(256));
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
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_timer_interrupt_at_its_deadline),
		cmocka_unit_test(test_interrupt_window),
		cmocka_unit_test(test_halt_with_interrupts),
		cmocka_unit_test(test_halt_without_interrupts),
		cmocka_unit_test(test_halt_with_one_pending),
		cmocka_unit_test(test_posted_to_another_window),
		cmocka_unit_test(test_start_of_the_second_vcpu),
		cmocka_unit_test(test_targets_of_interrupt_commands),
		cmocka_unit_test(test_icr_register),
		cmocka_unit_test(test_values_that_would_fault_in_root_mode),
		cmocka_unit_test(test_cr8),
		cmocka_unit_test(test_no_nmi_is_lost),
		cmocka_unit_test(test_random_exits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

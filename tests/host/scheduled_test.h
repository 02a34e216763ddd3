// SPDX-License-Identifier: Apache-2.0
/*
 * A scheduled CPU with a clock that the test moves, and what the tests of it share. After each exit the VM-entry auditor looks at what is
 * entered.
 *
 * CPU 4, frame of 1 ms: 0 to 400 us "pair" with vCPUs in slots 0 and 1, 500 to 900 us "single" in slot 2 (seam.yaml).
 */
#ifndef TESTS_HOST_SCHEDULED_TEST_H
#define TESTS_HOST_SCHEDULED_TEST_H

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
#define SHIFT 7                  /* IA32_VMX_MISC of the model */
#define ENTRY_TICKS 24           /* vmx/scheduled.c */
#define EARLY ((1 << SHIFT) - 1) /* so much is the clock of decisions ahead */
#define MSR_LVT_TIMER 0x832u
#define TIMER_DEADLINE (2u << 17)
#define NMI_INFO (INTERRUPTION_VALID | INTERRUPTION_NMI | 2)

#define scheduled (&this_cpu->scheduled)

static inline struct vcpu *slot(uint32_t n)
{
	return &this_cpu->vcpu[n];
}

static inline struct lapic *lapic(uint32_t n)
{
	return &scheduled->vcpu[n].lapic;
}

/* The same numbers in each run. */
static inline uint32_t any(uint32_t below)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % below);
}

static inline int runs(uint32_t n)
{
	return this_cpu->running == slot(n);
}

static inline int idles(void)
{
	return this_cpu->running == &scheduled->idle;
}

static inline uint64_t timer_ticks(void)
{
	return seam_get(VMCS_GUEST_PREEMPTION_TIMER) << SHIFT;
}

static inline uint64_t highest_request(const struct lapic *l)
{
	for (uint32_t v = 255; v; v--)
		if (l->reg[(LAPIC_IRR + v / 32 * 16) / 4] >> v % 32 & 1)
			return v;
	return 0;
}

/* What holds at every entry. */
static inline void check_entry(void)
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
		if (v->lapic.hardware) /* it knows of the highest request */
			assert_int_equal(seam_get(VMCS_GUEST_INTERRUPT_STATUS) & 0xff, highest_request(&v->lapic));
		/* What is pending is seen as soon as it can be taken. */
		assert_int_equal(this_cpu->running->proc_controls, seam_get(VMCS_CTRL_PROC));
		if (!v->lapic.hardware && v->lapic.pending >= 0 && timer_ticks())
			assert_true(seam_get(VMCS_CTRL_PROC) & PROC_INTERRUPT_WINDOW_EXITING);
	}
	next = scheduled->console_due < next ? scheduled->console_due : next;
	if (next >
	    seam.tsc +
	            ENTRY_TICKS) { /* it fires in the step before the event: not later, and not so early that it is for nothing */
		const uint64_t fires = (((seam.tsc + ENTRY_TICKS) >> SHIFT) << SHIFT) + timer_ticks();

		assert_true(fires <= next ||
		            seam.on_instruction); /* if time passes, the timer was set some of it ago */
		assert_true(next - fires < 1 << SHIFT || seam.on_instruction || timer_ticks() == 0 ||
		            scheduled->next_event < next);
	} else {
		assert_int_equal(timer_ticks(), 0);
	}
}

static inline void exit_once(uint32_t reason, uint64_t qualification)
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

/* An exit, and those that follow at once because work is cut into steps. */
static inline void exits(uint32_t reason, uint64_t qualification)
{
	exit_once(reason, qualification);
	for (uint32_t i = 0; idles() && scheduled->resched; i++) {
		assert_true(timer_ticks() == 0 && i < 8);
		exit_once(EXIT_REASON_PREEMPTION_TIMER, 0);
	}
}

/* The time is `tsc`, and the preemption timer has fired, as often as it needs to with its coarse steps. */
static inline void at(uint64_t tsc)
{
	seam.tsc = tsc;
	exits(EXIT_REASON_PREEMPTION_TIMER, 0);
}

static inline void kick(void)
{
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | POSTED_KICK_VECTOR);
	exits(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
	assert_int_equal(seam_written(MSR_X2APIC_EOI), 0);
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
	struct vcpu *vcpu = this_cpu->running;

	vcpu->regs[REG_RCX] = msr;
	vcpu->regs[REG_RAX] = (uint32_t)value;
	vcpu->regs[REG_RDX] = value >> 32;
	exits(EXIT_REASON_WRMSR, 0);
}

static inline uint64_t read_msr(uint32_t msr)
{
	struct vcpu *vcpu = this_cpu->running;

	vcpu->regs[REG_RCX] = msr;
	exits(EXIT_REASON_RDMSR, 0);
	return seam_result(vcpu);
}

static inline void set_if(int on)
{
	seam_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | (on ? RFLAGS_IF : 0));
}

static inline int injected(uint32_t vector)
{
	return seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) == (INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | vector);
}

static inline int window_open(void)
{
	return (seam_get(VMCS_CTRL_PROC) & PROC_INTERRUPT_WINDOW_EXITING) != 0;
}

/* The running guest switches its APIC on, its timer to deadline mode with vector 40h, and interrupts on. */
static inline void prepare_guest(void)
{
	set_if(1);
	write_msr(MSR_X2APIC_SVR, 0x1ff);
	write_msr(MSR_LVT_TIMER, TIMER_DEADLINE | 0x40);
}

static inline void drain(void)
{
	for (uint32_t cpu = SEAM_CPU_SCHEDULED; cpu < CONFIG_CPUS; cpu++) {
		posted_take_slots(cpu);
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			for (uint32_t word = 0; word < 4; word++)
				posted_take(cpu, n, word);
		this_cpu->index = cpu;
		for (uint32_t n = 0; n < CONFIG_VCPUS_PER_CPU; n++)
			if (slot(n)->partition)
				startup_take(slot(n));
	}
}

/* The first window of "pair" has begun, its vCPU 0 runs. */
static inline void start(void)
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

static inline void to_single(void)
{
	at(EPOCH + 401 * US);
	assert_true(idles());
	at(SINGLE_STARTS);
	assert_true(runs(2));
}

static inline void halt_with(int interrupts)
{
	set_if(interrupts);
	seam_set(VMCS_GUEST_INTERRUPTIBILITY, interrupts ? BLOCKING_BY_STI : 0);
	exits(EXIT_REASON_HLT, 0);
}

#endif

// SPDX-License-Identifier: Apache-2.0
#include "scheduled.h"

#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/panic.h"
#include "core/posted.h"
#include "core/smi.h"
#include "core/x86.h"
#include "exit.h"
#include "flush.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"

#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8ffu

#define mine (&this_cpu->scheduled)

static uint16_t slot_of(const struct vcpu *vcpu)
{
	return (uint16_t)(vcpu - this_cpu->vcpu);
}

static struct scheduled_vcpu *beside(const struct vcpu *vcpu)
{
	return vcpu == &mine->idle ? 0 : &mine->vcpu[slot_of(vcpu)];
}

/* The same where it cannot be the idle vCPU: that one executes nothing, and so causes no such exit. */
static struct scheduled_vcpu *guest(const struct vcpu *vcpu)
{
	ASSERT(vcpu != &mine->idle);
	return &mine->vcpu[slot_of(vcpu)];
}

/* ---- interrupts into the guest ---- */

/* The guest has become able to run: a blocked vCPU that has an interrupt or NMI to take. */
static void wake(uint16_t slot)
{
	if (this_cpu->vcpu[slot].state == VCPU_STOPPED)
		return;
	trace_wake(&this_cpu->vcpu[slot]);
	sched_wake(&mine->sched, slot);
	if (this_cpu->running == &this_cpu->vcpu[slot] || sched_preempts(&mine->sched, slot))
		mine->resched = 1;
}

/* Interrupts that other CPUs have posted for vCPUs of this one. */
static void take_posted(void)
{
	uint64_t slots = posted_take_slots(this_cpu->index);

	for (uint32_t left = CONFIG_VCPUS_PER_CPU; slots && left; left--) {
		const uint16_t slot = (uint16_t)__builtin_ctzll(slots);

		slots &= slots - 1;
		for (uint32_t word = 0; word < 8; word++) {
			uint32_t bits = posted_take(this_cpu->index, slot, word);

			for (uint32_t n = 0; bits && n < 32; n++, bits &= bits - 1)
				lapic_accept(&mine->vcpu[slot].lapic, word * 32 + (uint32_t)__builtin_ctz(bits));
		}
		if (startup_left(&this_cpu->vcpu[slot]) ||
		    (mine->vcpu[slot].halted == HALTED_WITH_INTERRUPTS && mine->vcpu[slot].lapic.pending >= 0))
			wake(slot);
	}
}

static void interrupt_window(struct vcpu *vcpu, struct scheduled_vcpu *v, uint8_t open)
{
	if (v->window_open == open)
		return;
	v->window_open = open;
	vcpu->proc_controls = open ? vcpu->proc_controls | PROC_INTERRUPT_WINDOW_EXITING :
	                             vcpu->proc_controls & ~PROC_INTERRUPT_WINDOW_EXITING;
	vmwrite(VMCS_CTRL_PROC, vcpu->proc_controls);
}

/* Give the guest its highest interrupt, or an exit as soon as it can take it. */
static void inject_pending(struct vcpu *vcpu, struct scheduled_vcpu *v)
{
	const int vector = v->lapic.pending;

	if (vector < 0) {
		interrupt_window(vcpu, v, 0);
		return;
	}
	if (!(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) ||
	    vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS) ||
	    vmread(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID) {
		interrupt_window(vcpu, v, 1);
		return;
	}
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | (uint32_t)vector);
	lapic_deliver(&v->lapic, (uint32_t)vector);
	trace_interrupt(vcpu, (uint32_t)vector);
	interrupt_window(vcpu, v, v->lapic.pending >= 0);
}

/* ---- the switch ---- */

/* Put `next` in place of what ran. */
static void make_current(struct vcpu *next)
{
	struct scheduled_vcpu *const v = beside(next);

	if (this_cpu->running == next)
		return;
	if (vmptrld(cpu_phys(next->vmcs)))
		vmx_failed("VMPTRLD", cpu_phys(next->vmcs));
	this_cpu->running = next;
	if (!v || v == mine->loaded) /* the idle vCPU executes nothing: the last one's state stays */
		return;
	switch_state(mine->loaded, v, mine->xcr0_all);
	mine->loaded = v;
	if (next->partition != mine->last_partition)
		flush_for_next_partition(config.flush);
	mine->last_partition = next->partition;
}

static void reschedule(uint64_t now)
{
	struct sched_decision d;

	mine->resched = 0;
	d = sched_decide(&mine->sched, now);
	trace_decision(&mine->sched);
	mine->until = d.until;
	make_current(d.entity == SCHED_IDLE ? &mine->idle : &this_cpu->vcpu[d.entity]);
}

/* Can the vCPU whose turn it is go on? INIT, SIPI and NMI that were sent to it count, and its timer. One that waits for a SIPI, or that
 * was woken for nothing (its timer is masked, say), gives its time away. */
static int can_run(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	const int started = startup_take(vcpu);

	if (now >= v->lapic.deadline)
		lapic_timer_expire(&v->lapic, now);
	if (vcpu->nmi_pending || (v->halted == HALTED_WITH_INTERRUPTS && v->lapic.pending >= 0))
		v->halted = NOT_HALTED;
	if (started && v->halted == NOT_HALTED)
		return 1;
	sched_block(&mine->sched, slot_of(vcpu),
	            started && v->halted == HALTED_WITH_INTERRUPTS ? v->lapic.deadline : SCHED_NEVER);
	return 0;
}

static void console_now(uint64_t now)
{
	if (now < mine->console_due)
		return;
	mine->console_due = SCHED_NEVER;
	if (console_pump())
		scheduled_console_due();
}

/* Something has happened, or its time has come: who runs, with which interrupt, until when? */
static void settle(uint64_t now)
{
	struct scheduled_vcpu *v = beside(this_cpu->running);

	mine->changed = 0;
	if (posted_any(this_cpu->index))
		take_posted();
	console_now(now);
	if (mine->resched || now >= mine->until) {
		reschedule(now);
		v = beside(this_cpu->running);
		for (uint32_t i = 0; v && !can_run(this_cpu->running, v, now) && i < CONFIG_VCPUS_PER_CPU; i++) {
			reschedule(now);
			v = beside(this_cpu->running);
		}
	}
	mine->next_event = mine->until < mine->console_due ? mine->until : mine->console_due;
	if (!v)
		return;
	if (now >= v->lapic.deadline)
		lapic_timer_expire(&v->lapic, now);
	if (v->lapic.deadline < mine->next_event)
		mine->next_event = v->lapic.deadline;
	if (v->lapic.pending >= 0 || v->window_open)
		inject_pending(this_cpu->running, v);
}

/* Before each entry. The preemption timer does not count in root mode, so it is set anew each time. */
static inline void prepare_entry(void)
{
	uint64_t now = rdtsc();

	if (mine->changed || now >= mine->next_event) {
		settle(now);
		now = rdtsc();
	}
	now = mine->next_event > now ? (mine->next_event - now) >> mine->timer_shift : 0;
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, now < UINT32_MAX ? now : UINT32_MAX);
	if (mine->nmi) { /* one that comes after this sets the timer to 0 itself */
		mine->nmi = 0;
		vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
	}
}

_Noreturn static void enter(void)
{
	struct vcpu *const vcpu = this_cpu->running;

	if (vcpu->state == VCPU_OFF) {
		vcpu->state = VCPU_RUNNING;
		vcpu->entered = rdtsc();
		vmx_launch(vcpu);
	}
	vmx_resume(vcpu);
}

/* ---- exits ---- */

/* x2APIC registers and the deadline. Returns 0 if the MSR is none of them. */
static int read_apic_msr(struct vcpu *vcpu, uint32_t msr)
{
	struct lapic *l = &guest(vcpu)->lapic;
	uint32_t low = 0, high = 0;
	uint64_t deadline;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		deadline = lapic_read_deadline(l);
		low = (uint32_t)deadline;
		high = (uint32_t)(deadline >> 32);
	} else if (msr < MSR_X2APIC_FIRST || msr > MSR_X2APIC_LAST) {
		return 0;
	} else if (!lapic_read(l, (msr & 0xff) << 4, rdtsc(), &low)) {
		guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "RDMSR", msr);
		return 1;
	}
	if (msr == MSR_X2APIC_ICR)
		high = l->reg[LAPIC_ICR2 / 4];
	vcpu->regs[REG_RAX] = low;
	vcpu->regs[REG_RDX] = high;
	skip_instruction();
	return 1;
}

/* Would the CPU take the value? Else the write, which is repeated in root mode, would fault there. */
static int msr_takes(struct vcpu *vcpu, uint32_t msr, uint32_t high, uint32_t low)
{
	const int64_t value = (int64_t)((uint64_t)high << 32 | low);
	const uint32_t *c;

	switch (msr) {
	case MSR_LSTAR:
	case MSR_CSTAR: /* canonical; root mode has no LA57 */
		return value >> 47 == 0 || value >> 47 == -1;
	case MSR_FMASK:
		return !high;
	case MSR_TSC_AUX:
		c = vcpu_cpuid(vcpu, 0x80000001, 0);
		return !high && c && c[3] >> 27 & 1;
	default:
		return 1;
	}
}

static int write_apic_msr(struct vcpu *vcpu, uint32_t msr)
{
	struct scheduled_vcpu *v = guest(vcpu);
	const uint32_t low = (uint32_t)vcpu->regs[REG_RAX], high = (uint32_t)vcpu->regs[REG_RDX];
	int slot;

	if (msr == MSR_IA32_TSC_DEADLINE) {
		lapic_write_deadline(&v->lapic, (uint64_t)high << 32 | low);
		if (v->lapic.deadline < mine->next_event) /* a later one is found when the old event comes */
			mine->next_event = v->lapic.deadline;
	} else if (msr - MSR_X2APIC_FIRST > MSR_X2APIC_LAST - MSR_X2APIC_FIRST) {
		slot = switch_msr_slot(msr);
		if (slot < 0 || msr == MSR_IA32_XSS || !msr_takes(vcpu, msr, high, low))
			return 0;
		v->msr[slot] = (uint64_t)high << 32 | low;
		wrmsr(msr, v->msr[slot]);
	} else if (msr == MSR_X2APIC_ICR) {
		mine->changed = 1;
		lapic_note_icr(&v->lapic, low, high);
		apic_write_icr(vcpu, (uint64_t)high << 32 | low);
		return 1;
	} else if (high || lapic_write(&v->lapic, (msr & 0xff) << 4, low, rdtsc()) == LAPIC_FAULT) {
		guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "WRMSR", msr);
		return 1;
	} else {
		mine->changed = 1;
	}
	skip_instruction();
	return 1;
}

/* Wait for an interrupt: those that are pending end it at once, whatever IF says (as in hardware, IF = 0 waits for an NMI). */
static void halt_vcpu(struct vcpu *vcpu)
{
	struct scheduled_vcpu *v = guest(vcpu);
	const uint64_t interrupts = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF;

	skip_instruction();
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
	        vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
	if ((interrupts && v->lapic.pending >= 0) || vcpu->nmi_pending)
		return;
	mine->changed = 1;
	v->halted = interrupts ? HALTED_WITH_INTERRUPTS : HALTED_FOR_NMI;
	sched_block(&mine->sched, slot_of(vcpu), interrupts ? v->lapic.deadline : SCHED_NEVER);
	trace_wait(vcpu, interrupts ? v->lapic.deadline : SCHED_NEVER);
	mine->resched = 1;
}

/* MOV to and from CR8: the task priority. Returns 0 if it is another control register. SDM Vol. 3C, table 28-3. */
static int access_cr8(struct vcpu *vcpu)
{
	const uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	const uint32_t reg = qualification >> 8 & 0xf;
	struct lapic *l = &guest(vcpu)->lapic;
	uint64_t value;

	if ((qualification & 0xf) != 8)
		return 0;
	if (qualification & 0x30) {
		value = l->reg[LAPIC_TPR / 4] >> 4;
		if (reg == REG_RSP)
			vmwrite(VMCS_GUEST_RSP, value);
		else
			vcpu->regs[reg] = value;
		mine->reload = 1;
	} else {
		value = reg == REG_RSP ? vmread(VMCS_GUEST_RSP) : vcpu->regs[reg];
		if (value > 15) {
			inject_exception(vcpu, VECTOR_GP, 0);
			return 1;
		}
		lapic_write(l, LAPIC_TPR, (uint32_t)value << 4, 0);
		mine->changed = 1;
	}
	skip_instruction();
	return 1;
}

static void exit_external_interrupt(void)
{
	/* The vector was acknowledged with the exit; kicks only wake this CPU up, what for stands in posted words. */
	if (vmread(VMCS_EXIT_INTERRUPTION_INFO) & INTERRUPTION_VALID)
		wrmsr(MSR_X2APIC_EOI, 0);
}

void vmx_exit_scheduled(struct vcpu *vcpu)
{
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	int done = 1;

	switch (reason) {
	case EXIT_REASON_PREEMPTION_TIMER: /* what is due is looked for on the way back */
		attention();
		break;
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		mine->changed = 1;
		exit_external_interrupt();
		break;
	case EXIT_REASON_INTERRUPT_WINDOW: /* inject_pending() closes it */
		mine->changed = 1;
		break;
	case EXIT_REASON_HLT:
		halt_vcpu(vcpu);
		break;
	case EXIT_REASON_CR_ACCESS:
		done = access_cr8(vcpu);
		break;
	case EXIT_REASON_RDMSR:
		done = read_apic_msr(vcpu, msr);
		break;
	case EXIT_REASON_WRMSR:
		done = write_apic_msr(vcpu, msr);
		break;
	default:
		done = 0;
	}
	if (done)
		vcpu->count[reason]++;
	else
		vmx_exit(vcpu);
	prepare_entry();
	trace_entry(vcpu, reason);
	if (this_cpu->running != vcpu || mine->reload) {
		const uint32_t spent = (uint32_t)rdtsc() - vcpu->start;

		if (spent > vcpu->worst)
			vcpu->worst = spent;
		mine->reload = 0;
		enter();
	}
}

void scheduled_stop(struct vcpu *vcpu)
{
	sched_block(&mine->sched, slot_of(vcpu), SCHED_NEVER);
	mine->vcpu[slot_of(vcpu)].lapic.deadline = LAPIC_NEVER;
	mine->resched = 1;
	mine->changed = 1;
	prepare_entry();
	trace_entry(TRACE_NO_EXIT, 0);
	ASSERT(this_cpu->running != vcpu);
	enter();
}

void scheduled_note_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	guest(vcpu)->msr[switch_msr_slot(msr)] = value;
}

void scheduled_reset_apic(struct vcpu *vcpu)
{
	struct scheduled_vcpu *v = guest(vcpu);

	lapic_reset(&v->lapic, vcpu->partition->vcpus[vcpu->index].apic_id, v->lapic.count_ticks);
	v->halted = NOT_HALTED;
	mine->reload = 1; /* the other registers have changed, too */
}

void scheduled_console_due(void)
{
	mine->console_due = rdtsc() + tsc_khz;
	if (mine->console_due < mine->next_event)
		mine->next_event = mine->console_due;
}

void scheduled_nmi(void)
{
	mine->nmi = 1;
}

/* ---- start ---- */

void scheduled_run(uint64_t epoch)
{
	const struct config_cpu *cpu = &config.cpus[this_cpu->index];

	mine->timer_shift = (uint32_t)(rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
	mine->console_due = SCHED_NEVER;
	mine->resched = 1;
	mine->changed = 1;
	mine->loaded = &mine->vcpu[0];
	wrmsr(MSR_X2APIC_SVR, 0x1ff);
	flush_init();
	smi_init();
	trace_init(epoch);
	for (uint16_t i = 0; i < cpu->slot_count; i++) {
		struct vcpu *vcpu = &this_cpu->vcpu[i];

		vcpu_init(vcpu, cpu->slots[i].partition, cpu->slots[i].vcpu);
		mine->xcr0_all |= vcpu->xcr0_allowed | 1;
		mine->vcpu[i].lapic.x2apic = 1;
		lapic_reset(&mine->vcpu[i].lapic, vcpu->partition->vcpus[vcpu->index].apic_id,
		            (uint32_t)(tsc_khz / 1000));
		switch_state_init(&mine->vcpu[i]);
		if (vcpu->index)
			startup_wait(vcpu);
		if (cpu->slots[i].vcpu == 0 && !partition_load(cpu->slots[i].partition)) {
			print("%s: not started: its payload is not the one it was configured with\n",
			      vcpu->partition->name);
			vcpu->state = VCPU_STOPPED;
		}
	}
	timeplan_init(epoch);
	for (uint16_t i = 0; i < cpu->slot_count; i++)
		if (this_cpu->vcpu[i].state == VCPU_STOPPED)
			sched_block(&mine->sched, i, SCHED_NEVER);
	switch_state_first();
	xsetbv0(mine->xcr0_all);
	ASSERT(cpuid(0xd, 0).r[1] <= sizeof mine->vcpu[0].fpu);
	xsetbv0(1);
	vcpu_init_idle(&mine->idle, ept_pointer_empty);
	this_cpu->running = &mine->idle;
	timeplan_ready();
	prepare_entry();
	trace_entry(TRACE_NO_EXIT, 0);
	enter();
}

// SPDX-License-Identifier: Apache-2.0
#include "scheduled.h"

#include "companion.h"
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
#include "interrupt.h"
#include "pins.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"
#include "xapic.h"

#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8ffu

#define mine (&this_cpu->scheduled)

#define DECISIONS 4u    /* in one stay in root mode */
#define ENTRY_TICKS 24u /* from reading the TSC to the entry at least, where the preemption timer begins to count */

/* What stands beside the vCPU that has exited. It is not the idle one: that executes nothing, and so causes no such exit. */
static inline struct scheduled_vcpu *guest(const struct vcpu *vcpu)
{
	ASSERT(vcpu == this_cpu->running && vcpu != &mine->idle);
	return mine->loaded;
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

/*
 * Interrupts that other CPUs have posted for vCPUs of this one. A vCPU takes its vectors itself when it is to run (take_vectors): the
 * work here does not grow with what was sent. One that is woken for nothing gives its time back at once (can_run).
 */
static void take_posted(void)
{
	uint64_t slots = posted_take_slots(this_cpu->index);

	for (uint32_t left = CONFIG_VCPUS_PER_CPU; slots && left; left--) {
		const uint16_t slot = (uint16_t)__builtin_ctzll(slots);

		slots &= slots - 1;
		if (mine->vcpu[slot].halted == HALTED_WITH_INTERRUPTS || startup_left(&this_cpu->vcpu[slot]))
			wake(slot);
	}
}

/* What is posted for this vCPU, into its virtual APIC. */
static __attribute__((noinline)) void take_waiting(struct scheduled_vcpu *v)
{
	for (uint32_t word = 0; word < 4; word++) {
		const uint64_t bits = posted_take(this_cpu->index, v->slot, word);

		lapic_accept_word(&v->lapic, 2 * word, (uint32_t)bits);
		lapic_accept_word(&v->lapic, 2 * word + 1, (uint32_t)(bits >> 32));
	}
}

static inline void take_vectors(struct scheduled_vcpu *v)
{
	if (posted_waiting(this_cpu->index, v->slot))
		take_waiting(v);
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

/* The CPU delivers the rest: it has to know the highest request (RVI), which it lowers itself. SDM Vol. 3C, 25.4.2, 30.2. */
static void request(struct lapic *l)
{
	const uint64_t status = vmread(VMCS_GUEST_INTERRUPT_STATUS);

	if ((int)(status & INTERRUPT_STATUS_RVI) < l->pending)
		vmwrite(VMCS_GUEST_INTERRUPT_STATUS, (status & ~INTERRUPT_STATUS_RVI) | (uint8_t)l->pending);
	trace_interrupt(this_cpu->running, (uint8_t)l->pending);
	l->pending = -1;
}

/* Give the guest its highest interrupt, or an exit as soon as it can take it. */
static void inject_pending(struct vcpu *vcpu, struct scheduled_vcpu *v)
{
	const int vector = v->lapic.pending;

	if (v->lapic.hardware) {
		if (!CONFIG_COMPANIONS || vector >= 0) /* else the window is a companion's */
			request(&v->lapic);
		return;
	}
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

/* From now on who posts for the vCPU marks its slot; what came just before is looked for here. */
static inline void stop_notifications(struct scheduled_vcpu *v)
{
	posted_close(this_cpu->index, v->slot);
	if (v->halted == HALTED_WITH_INTERRUPTS && posted_waiting(this_cpu->index, v->slot))
		wake(v->slot);
}

/* Its VMCS, and who runs. mine->loaded is what ran last, or runs. */
static inline void load(struct vcpu *next)
{
	if (this_cpu->running != &mine->idle && mine->apicv == APICV_POSTED)
		stop_notifications(mine->loaded);
	if (vmptrld(cpu_phys(next->vmcs)))
		vmx_failed("VMPTRLD", cpu_phys(next->vmcs));
	this_cpu->running = next;
}

/* Nobody runs: the last one's state stays in the CPU. */
static void make_idle(void)
{
	if (this_cpu->running != &mine->idle)
		load(&mine->idle);
}

/* Put vCPU and state of `v` in place of what ran. `next` may be its companion: that cannot reach the state. */
static inline void make_current(struct vcpu *next, struct scheduled_vcpu *v)
{
	const struct vcpu *owner = CONFIG_COMPANIONS && next->master ? next->master : next;

	if (this_cpu->running == next)
		return;
	load(next);
	if (CONFIG_INTERRUPTS)
		interrupt_admit(owner->partition_index);
	if (mine->apicv == APICV_POSTED && v->lapic.hardware && !(CONFIG_COMPANIONS && next->master))
		posted_open(this_cpu->index, v->slot);
	if (v == mine->loaded)
		return;
	switch_state(mine->loaded, v, mine->xcr0_all);
	mine->loaded = v;
	if (owner->partition != mine->last_partition)
		flush_for_next_partition(config.flush);
	mine->last_partition = owner->partition;
}

/* When the vCPU has something to do of itself: its timer, its companion's, or its serial port where that interrupts. */
static inline uint64_t own_event(const struct scheduled_vcpu *v)
{
	const struct companion *c = CONFIG_COMPANIONS ? this_cpu->vcpu[v->slot].companion : 0;
	uint64_t at = v->lapic.deadline;

	if (CONFIG_IOAPICS && v->poll_due < at)
		at = v->poll_due;
	return c && c->timer < at ? c->timer : at;
}

static inline void expire(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	if (now >= v->lapic.deadline)
		lapic_timer_expire(&v->lapic, now);
	if (CONFIG_IOAPICS && now >= v->poll_due)
		v->poll_due = pins_poll(vcpu, now);
}

/* Is there something for it to do? What it was sent and its timer count. Its VMCS need not be current. */
static inline int has_work(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	struct lapic *l = &v->lapic;

	if (startup_left(vcpu))
		return 1;
	if (vcpu->waiting)
		return 0;
	expire(vcpu, v, now);
	take_vectors(v);
	if (v->halted && !vcpu->nmi_pending &&
	    (v->halted == HALTED_FOR_NMI || l->pending < 0 || !lapic_passes(l, (uint32_t)l->pending))) {
		if (CONFIG_COMPANIONS && vcpu->companion && now >= vcpu->companion->timer)
			return 1; /* its companion has; it stays halted */
		if (!(CONFIG_COMPANIONS && v->halted == HALTED_WITH_INTERRUPTS && companion_interrupts(vcpu)))
			return 0;
	}
	v->halted = NOT_HALTED;
	return 1;
}

/* It waits for a SIPI, or was woken for nothing (its timer is masked, say): its time goes to the others. */
static void give_up(const struct vcpu *vcpu, const struct scheduled_vcpu *v)
{
	sched_block(&mine->sched, v->slot,
	            !vcpu->waiting && v->halted == HALTED_WITH_INTERRUPTS ? own_event(v) : SCHED_NEVER);
	mine->resched = 1;
}

/* Who runs? Returns 0 if that is not known yet, but enough was done for one stay in root mode. */
static int decide(uint64_t now)
{
	struct sched_decision d;
	struct scheduled_vcpu *v;
	struct vcpu *next;

	mine->resched = 0;
	d = sched_decide(&mine->sched, now);
	trace_decision(&mine->sched);
	mine->until = d.until;
	if (d.entity == SCHED_IDLE) {
		make_idle();
		return 1;
	}
	next = &this_cpu->vcpu[d.entity];
	v = &mine->vcpu[d.entity];
	if (CONFIG_COMPANIONS && companion_or(next) != next) {
		make_current(companion_or(next), v);
		return 1;
	}
	if (!has_work(next, v, now)) {
		give_up(next, v);
		return 1;
	}
	make_current(next, v);
	if (!startup_left(next))
		return 1;
	startup_take(next);
	if (has_work(next, v, now))
		return 1;
	give_up(next, v);
	return 0;
}

static void console_now(uint64_t now)
{
	if (now < mine->console_due)
		return;
	mine->console_due = SCHED_NEVER;
	attention_tell();
	if (console_pump())
		scheduled_console_due();
}

/* An NMI came in root mode: what for? */
static void after_nmi(void)
{
	mine->attention = 0;
	attention();
	if (this_cpu->status_left)
		scheduled_console_due();
}

/* Its companion is to run, or to interrupt it. */
static void attend(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	const enum companion_need need = companion_attend(vcpu, now);

	if (need == COMPANION_WINDOW)
		interrupt_window(vcpu, v, 1);
	else if (need == COMPANION_NOTHING && v->lapic.hardware) /* else inject_pending() has decided that */
		interrupt_window(vcpu, v, 0);
}

/* A companion runs: as long as it may. What came for its master is looked at when that one is back. */
static void await_answer(const struct companion *c, uint64_t now)
{
	mine->next_event = mine->next_other;
	scheduled_due(now + c->left);
	mine->changed = 1;
}

/* The timer of the guest that runs, if it is due, and the interrupt that it is to take. */
static inline void look_at_timer(uint64_t now)
{
	struct scheduled_vcpu *v = mine->loaded;

	if (CONFIG_COMPANIONS && this_cpu->running->master) {
		await_answer(this_cpu->running->master->companion, now);
		return;
	}
	expire(this_cpu->running, v, now);
	mine->next_event = own_event(v) < mine->next_other ? own_event(v) : mine->next_other;
	if (v->lapic.pending >= 0 || v->window_open)
		inject_pending(this_cpu->running, v);
	if (CONFIG_COMPANIONS && this_cpu->running->companion)
		attend(this_cpu->running, v, now);
	if (CONFIG_IOAPICS && mine->changed) /* the serial port's interrupt went to another vCPU: look again at once */
		mine->next_event = 0;
}

/* Something has happened, or its time has come: who runs, with which interrupt, until when? */
static void settle(uint64_t now)
{
	mine->changed = 0;
	if (mine->attention)
		after_nmi();
	if (posted_any(this_cpu->index)) {
		take_posted();
		if (this_cpu->running != &mine->idle) /* without a decision it just goes on */
			take_vectors(mine->loaded);
	}
	console_now(now);
	for (uint32_t i = 0; (mine->resched || now >= mine->until) && i < DECISIONS; i++)
		if (!decide(now))
			break;
	if (mine->resched) { /* go on after an exit, so that no stay here is long */
		make_idle();
		mine->next_other = mine->next_event = now;
		mine->changed = 1;
		return;
	}
	mine->next_other = mine->until < mine->console_due ? mine->until : mine->console_due;
	if (this_cpu->running != &mine->idle)
		look_at_timer(now);
	else
		mine->next_event = CONFIG_IOAPICS && mine->changed ? 0 : mine->next_other;
}

/*
 * Before each entry. The preemption timer does not count in root mode, so it is set anew each time. It counts steps of 2^shift ticks,
 * each when that bit of the TSC changes (SDM Vol. 3C, 26.5.1), and so may fire by up to `early` = 2^shift - 1 ticks before
 * the event. The clock of all decisions is ahead of the TSC by as much: nothing takes a second exit, and since the way
 * into a guest is longer, no guest sees its timer fire too soon.
 */
static inline void prepare_entry(void)
{
	const uint32_t shift = mine->timer_shift;
	uint64_t now = rdtsc(), steps;

	if (mine->changed || now + mine->early >= mine->next_event) {
		if (mine->changed || now + mine->early >= mine->next_other)
			settle(now + mine->early);
		else
			look_at_timer(now + mine->early);
		now = rdtsc();
	}
	now += ENTRY_TICKS;
	steps = mine->next_event > now ? (mine->next_event >> shift) - (now >> shift) : 0;
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, steps < UINT32_MAX ? steps : UINT32_MAX);
	if (mine->nmi) { /* one that comes after this sets the timer to 0 itself */
		mine->nmi = 0;
		vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
	}
}

/* The time of this stay, where vmx/scheduled.asm does not see its end. */
static inline void account(struct vcpu *vcpu)
{
	const uint32_t spent = (uint32_t)rdtsc() - vcpu->start;

	if (spent > vcpu->worst)
		vcpu->worst = spent;
}

_Noreturn static void enter(void)
{
	struct vcpu *const vcpu = this_cpu->running;

	if (CONFIG_COMPANIONS && vcpu->master)
		vcpu->master->companion->entered = rdtsc();
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
	} else if ((CONFIG_XAPIC && !l->x2apic) || !lapic_read(l, (msr & 0xff) << 4, rdtsc(), &low)) {
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
	} else if (CONFIG_XAPIC && !v->lapic.x2apic) {
		guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "WRMSR", msr);
		return 1;
	} else if (msr == MSR_X2APIC_ICR) {
		mine->changed = 1;
		lapic_note_icr(&v->lapic, low, high);
		apic_write_icr(vcpu, (uint64_t)high << 32 | low);
		return 1;
	} else {
		const enum lapic_effect effect = high ? LAPIC_FAULT :
		                                        lapic_write(&v->lapic, (msr & 0xff) << 4, low, rdtsc());

		if (effect == LAPIC_FAULT) {
			guest_error_skip(vcpu, ERROR_MSR, VECTOR_GP, "WRMSR", msr);
			return 1;
		}
		if (CONFIG_IOAPICS && effect == LAPIC_ENDED)
			pins_ended(vcpu, v->lapic.ended);
		mine->changed = 1;
	}
	skip_instruction();
	return 1;
}

/* Has it an interrupt that it could take? */
static int interrupt_waits(const struct vcpu *vcpu, const struct lapic *l)
{
	if (CONFIG_COMPANIONS && companion_interrupts(vcpu))
		return 1;
	if (l->hardware)
		return lapic_passes(l, vmread(VMCS_GUEST_INTERRUPT_STATUS) & INTERRUPT_STATUS_RVI);
	return l->pending >= 0;
}

/* Wait for an interrupt: those that are pending end it at once, whatever IF says (as in hardware, IF = 0 waits for an NMI). */
static void halt_vcpu(struct vcpu *vcpu)
{
	struct scheduled_vcpu *v = guest(vcpu);
	const uint64_t interrupts = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF;

	skip_instruction();
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
	        vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
	if (CONFIG_COMPANIONS)
		mine->changed = 1;
	if ((interrupts && interrupt_waits(vcpu, &v->lapic)) || vcpu->nmi_pending)
		return;
	mine->changed = 1;
	v->halted = interrupts ? HALTED_WITH_INTERRUPTS : HALTED_FOR_NMI;
	sched_block(&mine->sched, v->slot, interrupts ? own_event(v) : SCHED_NEVER);
	trace_wait(vcpu, interrupts ? own_event(v) : SCHED_NEVER);
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
	const uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);

	if (CONFIG_INTERRUPTS && info & INTERRUPTION_VALID)
		interrupt_arrived(info & INTERRUPTION_VECTOR);
	if (info & INTERRUPTION_VALID)
		wrmsr(MSR_X2APIC_EOI, 0);
}

/* Returns if the guest that has exited is to be entered, and its registers are as they were but for what handlers change. */
static inline void go_on(struct vcpu *vcpu)
{
	if (__builtin_expect(this_cpu->running == vcpu && !mine->reload, 1))
		return;
	account(vcpu);
	mine->reload = 0;
	enter();
}

void vmx_exit_scheduled(struct vcpu *vcpu)
{
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);
	const uint32_t msr = (uint32_t)vcpu->regs[REG_RCX];
	int done = 1;

	if (reason == EXIT_REASON_PREEMPTION_TIMER) { /* what is due is looked for on the way back */
		vcpu->count[reason]++;
		prepare_entry();
		trace_entry(vcpu, reason);
		go_on(vcpu);
		return;
	}
	switch (reason) {
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
	case EXIT_REASON_APIC_WRITE: /* with APICv: a self-IPI below vector 16, after the instruction (30.5). An error, no interrupt */
		lapic_write(&guest(vcpu)->lapic, LAPIC_SELF_IPI, (uint32_t)vcpu->regs[REG_RAX] & 0xff, rdtsc());
		mine->changed = 1;
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
	go_on(vcpu);
}

void scheduled_stop(struct vcpu *vcpu)
{
	sched_block(&mine->sched, guest(vcpu)->slot, SCHED_NEVER);
	guest(vcpu)->lapic.deadline = LAPIC_NEVER;
	guest(vcpu)->poll_due = SCHED_NEVER;
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
	struct scheduled_vcpu *v = &mine->vcpu[vcpu - this_cpu->vcpu];

	lapic_reset(&v->lapic, vcpu->partition->vcpus[vcpu->index].apic_id, v->lapic.count_ticks);
	if (v->lapic.hardware)
		vmwrite(VMCS_GUEST_INTERRUPT_STATUS, 0);
	if (CONFIG_XAPIC)
		xapic_note_logical(vcpu);
	v->halted = NOT_HALTED;
	mine->reload = 1; /* the other registers have changed, too */
}

void scheduled_console_due(void)
{
	if (mine->console_due == SCHED_NEVER)
		mine->console_due = rdtsc() + CONSOLE_PAUSE;
	if (mine->console_due < mine->next_other)
		mine->next_other = mine->console_due;
	if (mine->next_other < mine->next_event)
		mine->next_event = mine->next_other;
}

void scheduled_due(uint64_t tsc)
{
	if (tsc < mine->next_event)
		mine->next_event = tsc;
}

void scheduled_answered(uint64_t timer, int look)
{
	scheduled_due(timer);
	if (look)
		mine->changed = 1;
	if (look && mine->loaded->halted) /* still? */
		mine->resched = 1;
}

void scheduled_interrupted(void)
{
	exit_external_interrupt();
	mine->changed = 1;
}

void scheduled_make_current(struct vcpu *next)
{
	make_current(next, mine->loaded);
}

void scheduled_go_on(const struct vcpu *exited, uint32_t reason)
{
	prepare_entry();
	trace_entry(exited, reason);
	enter();
}

void scheduled_nmi(void)
{
	mine->nmi = 1;
	mine->attention = 1;
	mine->changed = 1;
}

/* ---- start ---- */

static int load_both(const struct vcpu *vcpu)
{
	const uint16_t companion = vcpu->partition->companion;

	return partition_load(vcpu->partition_index) && !(CONFIG_COMPANIONS && companion && !partition_load(companion));
}

void scheduled_run(uint64_t epoch)
{
	const struct config_cpu *cpu = &config.cpus[this_cpu->index];

	mine->timer_shift = (uint32_t)(rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT);
	mine->early = (1u << mine->timer_shift) - 1;
	mine->console_due = SCHED_NEVER;
	mine->resched = 1;
	mine->changed = 1;
	mine->loaded = &mine->vcpu[0];
	wrmsr(MSR_X2APIC_SVR, 0x1ff);
	flush_init();
	smi_init();
	trace_init(epoch);
	mine->apicv = apicv_find();
	for (uint16_t i = 0; i < cpu->slot_count; i++) {
		struct vcpu *vcpu = &this_cpu->vcpu[i];

		mine->vcpu[i].slot = i;
		posted_close(this_cpu->index, i);
		/* Registers in memory, and EOIs of levels: by the core itself. */
		mine->vcpu[i].lapic.hardware = mine->apicv != APICV_NONE &&
		                               !config.partitions[cpu->slots[i].partition].mmio_count;
		vcpu_init(vcpu, cpu->slots[i].partition, cpu->slots[i].vcpu);
		mine->xcr0_all |= vcpu->xcr0_allowed | 1;
		mine->vcpu[i].lapic.x2apic = !vcpu->partition->xapic;
		lapic_reset(&mine->vcpu[i].lapic, vcpu->partition->vcpus[vcpu->index].apic_id,
		            (uint32_t)(tsc_khz / 1000));
		if (CONFIG_XAPIC)
			xapic_note_logical(vcpu);
		if (CONFIG_IOAPICS)
			mine->vcpu[i].lapic.level = pins_level(vcpu);
		switch_state_init(&mine->vcpu[i]);
		if (vcpu->index)
			startup_wait(vcpu);
		if (CONFIG_COMPANIONS && vcpu->partition->companion)
			companion_init(vcpu);
		if (cpu->slots[i].vcpu == 0 && !load_both(vcpu)) {
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

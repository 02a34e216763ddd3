// SPDX-License-Identifier: Apache-2.0
#include "scheduled.h"

#include "companion.h"
#include "counters.h"
#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/panic.h"
#include "core/posted.h"
#include "core/selfcheck.h"
#include "core/x86.h"
#include "exit.h"
#include "flush.h"
#include "health.h"
#include "interrupt.h"
#include "pins.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"

#define mine (&this_cpu->scheduled)

#define STEP_TICKS 1500u /* a step of vmx/health.c at most: W */
#define DECISIONS \
	4u /* in one stay in root mode for what is due, until somebody is found who has work; one on top of what an exit costs */
#define ENTRY_TICKS 24u /* from reading the TSC to the entry at least, where the preemption timer begins to count */

/* The guest has become able to run: a blocked vCPU that has an interrupt or NMI to take. */
static void wake(uint16_t slot)
{
	if (this_cpu->vcpu[slot].state == VCPU_STOPPED && !health_due(&this_cpu->vcpu[slot]))
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
		if (mine->vcpu[slot].halted == HALTED_WITH_INTERRUPTS || startup_left(&this_cpu->vcpu[slot]) ||
		    health_due(&this_cpu->vcpu[slot]))
			wake(slot);
	}
}

/* What is posted for this vCPU, into its virtual APIC. */
static __attribute__((noinline)) void take_waiting(struct scheduled_vcpu *v)
{
	for (uint32_t word = 0; word < 4; word++) {
		const uint64_t bits = posted_take(this_cpu->index, v->slot, word);

		if (!bits)
			continue;
		lapic_accept_word(&v->lapic, 2 * word, (uint32_t)bits);
		lapic_accept_word(&v->lapic, 2 * word + 1, (uint32_t)(bits >> 32));
	}
}

static inline void take_vectors(struct scheduled_vcpu *v)
{
	if (posted_waiting(this_cpu->index, v->slot))
		take_waiting(v);
	if (CONFIG_IOAPICS)
		pins_take(&this_cpu->vcpu[v->slot]);
}

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
static inline __attribute__((always_inline)) void make_current(struct vcpu *next, struct scheduled_vcpu *v)
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
	if (CONFIG_HEARTBEATS && v->life_due < at)
		at = v->life_due;
	return c && c->timer < at ? c->timer : at;
}

/* If it is silent, that is asked for what to do about it: as soon as this stay in root mode is over. */
static __attribute__((noinline)) void look_for_life(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	const uint64_t due = health_heartbeat_due(vcpu, now);

	v->life_due = due ? due : SCHED_NEVER;
	if (health_due(vcpu))
		mine->changed = 1;
}

static inline void expire(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	if (now >= v->lapic.deadline)
		lapic_timer_expire(&v->lapic, now);
	if (CONFIG_IOAPICS && now >= v->poll_due)
		v->poll_due = pins_poll(vcpu, now);
	if (CONFIG_HEARTBEATS && now >= v->life_due)
		look_for_life(vcpu, v, now);
}

/* Is there something for it to do? What it was sent and its timer count. Its VMCS need not be current. */
static inline int has_work(struct vcpu *vcpu, struct scheduled_vcpu *v, uint64_t now)
{
	struct lapic *l = &v->lapic;

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

/*
 * INIT and SIPI take most of what a stay in root mode may take. So they are a step of their own, in a stay that was no guest's doing and
 * when the vCPU's state is there; who runs is decided anew behind it.
 */
static __attribute__((noinline)) void take_startup(struct vcpu *next, struct scheduled_vcpu *v)
{
	const int ready = mine->loaded == v;

	if (mine->timer_exit)
		make_current(next, v);
	if (mine->timer_exit && ready)
		startup_take(next);
	mine->resched = 1;
}

/* Who runs? Returns 0 if that is not known yet, but enough was done for one stay in root mode. */
static int decide(uint64_t now)
{
	struct sched_decision d;
	struct scheduled_vcpu *v;
	struct vcpu *next;

	mine->resched = 0;
	if (CONFIG_HEALTH)
		mine->work = 0;
	d = CONFIG_OVERRUNS ? overrun_decide(&mine->sched, now) : sched_decide(&mine->sched, now);
	mine->decided = (uint32_t)rdtsc();
	trace_decision(&mine->sched);
	audit_decision(&mine->sched);
	counters_decision();
	mine->until = d.until;
	if (d.entity == SCHED_IDLE) {
		make_idle();
		return 1;
	}
	next = &this_cpu->vcpu[d.entity];
	v = &mine->vcpu[d.entity];
	if (health_due(next)) { /* its CPU does that step by step, between entries that exit at once */
		mine->work = next;
		make_idle();
		return 1;
	}
	if (CONFIG_COMPANIONS && companion_or(next) != next) {
		make_current(companion_or(next), v);
		return 1;
	}
	if (__builtin_expect(__atomic_load_n(&startup_events[this_cpu->index][d.entity], __ATOMIC_ACQUIRE) != 0, 0)) {
		take_startup(next, v);
		return 0;
	}
	if (has_work(next, v, now))
		make_current(next, v);
	else
		give_up(next, v);
	return 1;
}

/* Not on top of what a guest's exit has cost: such a one is followed by the timer's at once. Returns 1 if it has taken its time. */
static int console_now(uint64_t now)
{
	if (now < mine->console_due || !mine->timer_exit)
		return 0;
	mine->console_due = SCHED_NEVER;
	attention_tell();
	if (console_pump())
		scheduled_console_due();
	return 1;
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
		interrupt_window(vcpu, 1);
	else if (need == COMPANION_NOTHING && v->lapic.hardware) /* else scheduled_inject() has decided that */
		interrupt_window(vcpu, 0);
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
		await_answer(this_cpu->running->master->devices, now);
		return;
	}
	expire(this_cpu->running, v, now);
	mine->next_event = own_event(v) < mine->next_other ? own_event(v) : mine->next_other;
	if (v->lapic.pending >= 0 || this_cpu->running->proc_controls & PROC_INTERRUPT_WINDOW_EXITING)
		scheduled_inject(this_cpu->running, v);
	if (CONFIG_COMPANIONS && this_cpu->running->companion)
		attend(this_cpu->running, v, now);
	/* The serial port's interrupt went to another vCPU, or there was no sign of life: look again at once. */
	if ((CONFIG_IOAPICS || CONFIG_HEARTBEATS) && mine->changed)
		mine->next_event = 0;
}

/* Is there time for a step of mine->work, so that neither the next decision nor text comes on top of it? */
static inline int room_for_step(uint64_t now)
{
	return CONFIG_HEALTH && mine->work && now + STEP_TICKS < mine->next_other;
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
	if (!mine->resched && now < mine->until) { /* who begins a window does not wait for text */
		if (!console_now(now) && CONFIG_SELF_CHECK && mine->timer_exit)
			selfcheck_step(now);
	}
	for (uint32_t i = mine->timer_exit ? 0 : DECISIONS - 1; (mine->resched || now >= mine->until) && i < DECISIONS;
	     i++)
		if (!decide(now))
			break;
	if (mine->resched) { /* go on after an exit, so that no stay here is long */
		mine->decided = (uint32_t)rdtsc();
		make_idle();
		mine->next_other = mine->next_event = 0;
		mine->changed = 1;
		return;
	}
	mine->next_other = mine->until < mine->console_due ? mine->until : mine->console_due;
#if CONFIG_SELF_CHECK
	if (this_cpu->selfcheck.due < mine->next_other)
		mine->next_other = this_cpu->selfcheck.due;
#endif
	if (this_cpu->running != &mine->idle)
		look_at_timer(now);
	else
		mine->next_event = ((CONFIG_IOAPICS || CONFIG_HEARTBEATS) && mine->changed) || room_for_step(now) ?
		                           0 :
		                           mine->next_other;
}

/* A step for a partition that is stopped or started: in its own time, like what its guest would do. Not on top of the console's. */
static void work(uint64_t now)
{
	struct vcpu *vcpu = mine->work;

	mine->changed = 1;
	if (mine->idle.worst > vcpu->worst)
		vcpu->worst = mine->idle.worst;
	if (!room_for_step(now))
		return;
	if (health_due(vcpu)) {
		health_step(vcpu);
		return;
	}
	if (vcpu->state == VCPU_STOPPED)
		sched_block(&mine->sched, (uint16_t)(vcpu - this_cpu->vcpu), SCHED_NEVER);
	mine->resched = 1;
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
		if (CONFIG_COMPANIONS && CONFIG_MMIO && mine->later) {
			mine->later = 0;
			vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
			return;
		}
		if (mine->changed || now + mine->early >= mine->next_other)
			settle(now + mine->early);
		else
			look_at_timer(now + mine->early);
		now = rdtsc();
	}
	if (CONFIG_COMPANIONS && CONFIG_MMIO)
		mine->later = 0;
	now += ENTRY_TICKS;
	steps = mine->next_event > now ? (mine->next_event >> shift) - (now >> shift) : 0;
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, steps < UINT32_MAX ? steps : UINT32_MAX);
	if (mine->nmi) { /* one that comes after this sets the timer to 0 itself */
		mine->nmi = 0;
		vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
	}
}

_Noreturn static void enter(void)
{
	struct vcpu *const vcpu = this_cpu->running;

	if (CONFIG_COMPANIONS && vcpu->master)
		vcpu->master->devices->entered = rdtsc();
	if (vcpu->state == VCPU_OFF) {
		vcpu->state = VCPU_RUNNING;
		if (vcpu != &mine->idle)
			audit(AUDIT_SAFETY, AUDIT_START, vcpu->partition_index, vcpu->index, 0);
		vcpu->entered = rdtsc();
		counters_note(vcpu, BH_COUNTER_START_TSC, vcpu->entered);
		vmx_launch(vcpu);
	}
	vmx_resume(vcpu);
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
	struct scheduled_vcpu *v = mine->loaded;
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

/* The vector was acknowledged with the exit; kicks only wake this CPU up, what for stands in posted words. */
static void exit_external_interrupt(void)
{
	const uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);

	if (CONFIG_INTERRUPTS && info & INTERRUPTION_VALID)
		interrupt_arrived(info & INTERRUPTION_VECTOR);
	if (info & INTERRUPTION_VALID)
		wrmsr(MSR_X2APIC_EOI, 0);
}

/* W and S (docs/scheduling.md): the stay of who has exited ends at the decision for another, and from there on it is a switch. */
static inline __attribute__((always_inline)) void note_times(struct vcpu *exited)
{
	const uint32_t now = (uint32_t)rdtsc();
	uint32_t end = this_cpu->running == exited ? now : mine->decided;

	if ((int32_t)(end - exited->start) < 0) /* somebody else goes on, and nobody was decided for in this stay */
		end = now;
	if (end - exited->start > exited->worst)
		exited->worst = end - exited->start;
	if (now - end > mine->worst_switch)
		mine->worst_switch = now - end;
}

/* Returns if the guest that has exited is to be entered, and its registers are as they were but for what handlers change. */
static inline void go_on(struct vcpu *vcpu)
{
	if (__builtin_expect(this_cpu->running == vcpu && !mine->reload, 1))
		return;
	if (CONFIG_COMPANIONS && this_cpu->running->master == vcpu) /* with no decision between */
		note_stay(vcpu);
	else if (vcpu != &mine->idle) /* from nobody it is shorter, and somebody waits for it */
		note_times(vcpu);
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
		mine->timer_exit = 1;
		if (CONFIG_HEALTH && mine->work)
			work(rdtsc());
		prepare_entry();
		mine->timer_exit = 0;
		trace_entry(vcpu, reason);
		go_on(vcpu);
		return;
	}
	switch (reason) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		mine->changed = 1;
		exit_external_interrupt();
		break;
	case EXIT_REASON_INTERRUPT_WINDOW: /* scheduled_inject() closes it */
		mine->changed = 1;
		break;
	case EXIT_REASON_HLT:
		halt_vcpu(vcpu);
		break;
	case EXIT_REASON_CR_ACCESS:
		done = scheduled_cr8(vcpu);
		break;
	case EXIT_REASON_RDMSR:
		done = scheduled_rdmsr(vcpu, msr);
		break;
	case EXIT_REASON_WRMSR:
		done = scheduled_wrmsr(vcpu, msr);
		break;
	case EXIT_REASON_APIC_WRITE: /* with APICv: a self-IPI below vector 16, after the instruction (30.5). An error, no interrupt */
		lapic_write(&mine->loaded->lapic, LAPIC_SELF_IPI, (uint32_t)vcpu->regs[REG_RAX] & 0xff, rdtsc());
		mine->changed = 1;
		break;
	case EXIT_REASON_VIRTUALIZED_EOI: /* with APICv: of a level-triggered interrupt; after the instruction */
		if (CONFIG_IOAPICS)
			pins_ended(vcpu, vmread(VMCS_EXIT_QUALIFICATION) & 0xff);
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
	sched_block(&mine->sched, mine->loaded->slot, SCHED_NEVER);
	mine->loaded->lapic.deadline = LAPIC_NEVER;
	mine->loaded->poll_due = SCHED_NEVER;
	mine->resched = 1;
	mine->changed = 1;
	prepare_entry();
	trace_entry(TRACE_NO_EXIT, 0);
	ASSERT(this_cpu->running != vcpu);
	enter();
}

void scheduled_leave(void)
{
	mine->resched = 1;
	mine->changed = 1;
	prepare_entry();
	trace_entry(TRACE_NO_EXIT, 0);
	enter();
}

void scheduled_clean_registers(struct vcpu *vcpu)
{
	struct scheduled_vcpu *v = &mine->vcpu[vcpu - this_cpu->vcpu];

	switch_state_clean(v, v == mine->loaded, mine->xcr0_all);
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

void scheduled_later(void)
{
	mine->later = 1;
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

void scheduled_go_on(struct vcpu *exited, uint32_t reason)
{
	/* Text that is due goes out after the timer's exits, or it would end each entry. */
	mine->timer_exit = reason == EXIT_REASON_PREEMPTION_TIMER;
	prepare_entry();
	mine->timer_exit = 0;
	trace_entry(exited, reason);
	enter();
}

void scheduled_nmi(void)
{
	mine->nmi = 1;
	mine->attention = 1;
	mine->changed = 1;
}

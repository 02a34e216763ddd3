// SPDX-License-Identifier: Apache-2.0
#include "companion.h"

#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/panic.h"
#include "core/posted.h"
#include "core/x86.h"
#include "cr.h"
#include "exit.h"
#include "health.h"
#include "hypercall/abi.h"
#include "mmio.h"
#include "pins.h"
#include "startup.h"
#include "trace.h"
#include "vmx.h"

#define NEVER UINT64_MAX
#define VMCALL_LENGTH 3u
#define TIMER_CALLS_PER_MS 20u /* at most so often, so that the guest gets on beside its timer, whatever it says */
#define REQUEST_START 0xffu    /* it has not asked for its first request yet */
#define VECTOR_FIRST 16u       /* below are exceptions, and what no local APIC delivers (SDM Vol. 3A, 11.5.2) */

/* Access rights at privilege level 3 (SDM Vol. 3C, 25.4.1). */
#define ACCESS_USER_CODE64 0xa0fbu
#define ACCESS_USER_DATA 0xc0f3u

#define LVT_MASKED (1u << 16)
#define LVT_MODE (7u << 8)
#define LVT_EXTINT (7u << 8)
#define MSR_LVT_LINT0 0x835u

static inline int is_scheduled(const struct companion *c)
{
	return CONFIG_SCHEDULED_CPUS && c->scheduled;
}

static void load(const struct vcpu *vcpu)
{
	if (vmptrld(cpu_phys(vcpu->vmcs)))
		vmx_failed("VMPTRLD", cpu_phys(vcpu->vmcs));
}

static void make_current(const struct companion *c, struct vcpu *vcpu)
{
	if (is_scheduled(c)) {
		scheduled_make_current(vcpu);
		return;
	}
	load(vcpu);
	this_cpu->running = vcpu;
}

/* Whose time it is while the companion runs: its master's; or that of another vCPU of the partition, which needs it next. */
static struct vcpu *payer(const struct companion *c)
{
#if CONFIG_SCHEDULED_CPUS
	if (CONFIG_COMPANION_VCPUS > 1 && c->scheduled)
		return &this_cpu->vcpu[this_cpu->scheduled.loaded->slot];
#endif
	return c->vcpu.master;
}

/* ---- requests and answers ---- */

/* It owes another vCPU an answer: it gets the time of this one to finish, and what this one wants is then asked anew: its instruction is
 * carried out again, its interrupt looked for again. So nobody waits for a vCPU that has no time. */
static inline void ask(struct vcpu *master, uint8_t request, uint64_t where, uint64_t value, uint8_t size)
{
	struct companion *c = master->devices;

	if (CONFIG_COMPANION_VCPUS == 1 || !c->request) {
		c->vcpu.master = master;
		c->request = request;
		c->size = size;
		c->left = c->limit;
		c->vcpu.regs[REG_RAX] = request;
		c->vcpu.regs[REG_RDI] = where;
		c->vcpu.regs[REG_RSI] = value;
		c->vcpu.regs[REG_RDX] = size;
	}
	make_current(c, &c->vcpu);
	if (is_scheduled(c))
		scheduled_due(rdtsc() + c->left);
}

static uint64_t bytes(uint8_t size)
{
	return ~0ull >> (64 - 8 * size);
}

#if CONFIG_MMIO
void companion_mmio(struct vcpu *master, uint64_t gpa, const struct decoded *d, uint64_t value)
{
	if (!master->devices->request)
		master->devices->access = *d;
	ask(master, d->write ? BH_REQUEST_MMIO_WRITE : BH_REQUEST_MMIO_READ, gpa, value, d->size);
	if (is_scheduled(master->devices)) /* fetching and decoding has taken its time */
		scheduled_later();
}
#endif

void companion_io(struct vcpu *master, uint32_t qualification)
{
	const uint8_t size = (uint8_t)((qualification & 7) + 1);
	const int in = qualification >> 3 & 1;

	ask(master, in ? BH_REQUEST_READ : BH_REQUEST_WRITE, qualification >> 16,
	    in ? 0 : master->regs[REG_RAX] & bytes(size), size);
}

/* Its partition suffers, nobody else. The configuration allows no other action than the end of it. */
static _Noreturn void failed(struct companion *c, const char *what, uint64_t detail)
{
	struct vcpu *const blamed = payer(c); /* of another vCPU, the end comes when that one's turn does */

	make_current(c, blamed);
	guest_error(blamed, ERROR_COMPANION, VECTOR_GP, what, detail);
	panic("%s: the error of a companion is not the end", c->vcpu.partition->name);
}

static void inject(struct companion *c, uint64_t vector)
{
	if (vector < VECTOR_FIRST || vector > 255)
		failed(c, "its companion gives vector", vector);
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | (uint32_t)vector);
	if (is_scheduled(c))
		trace_interrupt(c->vcpu.master, (uint32_t)vector);
}

static void note_timer(struct companion *c, uint64_t wish)
{
	const uint64_t soonest = rdtsc() + tsc_khz / TIMER_CALLS_PER_MS;

	c->wish = wish;
	c->timer = wish > soonest ? wish : soonest;
}

/* What it says beside the answer: lines, and when it wants to be called. Returns whether that has changed. */
static int note_wishes(struct companion *c)
{
	const uint32_t pins = (uint32_t)(c->vcpu.regs[REG_RSI] >> 8);
	const struct config_partition *p = c->vcpu.master->partition;

	c->line = c->vcpu.regs[REG_RSI] & BH_COMPANION_INTR;
	if (CONFIG_IOAPICS && pins != c->pins) {
		if (p->companion_pins)
			pins_drive(p, p->companion_pins, c->pins, pins);
		c->pins = pins;
	}
	if (c->vcpu.regs[REG_RDX] == c->wish)
		return 0;
	note_timer(c, c->vcpu.regs[REG_RDX]);
	return 1;
}

/* Its call: the answer to the last request. The master's instruction ends with it. */
static void answer(struct companion *c)
{
	struct vcpu *const master = c->vcpu.master, *const runs = payer(c);
	const uint8_t request = c->request, line = c->line;
	const uint32_t pins = c->pins;
	const uint64_t value = c->vcpu.regs[REG_RDI], ones = bytes(c->size ? c->size : 1);
	int timer, look;

	vmwrite(VMCS_GUEST_RIP,
	        vmread(VMCS_GUEST_RIP) + VMCALL_LENGTH); /* a single step would be an exception, which ends it */
	c->request = 0;
	timer = note_wishes(c);
	(void)timer; /* with one vCPU it has seen to that already */
	look = request == BH_REQUEST_TIMER || request == BH_REQUEST_ACKNOWLEDGE || request == REQUEST_START || line ||
	       c->line;
	if (runs == master)
		make_current(c, master);
	else
		load(master);
	switch (request) {
	case BH_REQUEST_READ: /* a 32-bit result clears the upper half of RAX, narrower ones leave the rest alone */
		master->regs[REG_RAX] = c->size == 4 ? value & ones : (master->regs[REG_RAX] & ~ones) | (value & ones);
		skip_instruction();
		break;
	case BH_REQUEST_WRITE:
		skip_instruction();
		break;
#if CONFIG_MMIO
	case BH_REQUEST_MMIO_READ:
	case BH_REQUEST_MMIO_WRITE:
		mmio_finish(master, &c->access, value);
		break;
#endif
	case BH_REQUEST_ACKNOWLEDGE:
		inject(c, value);
		break;
	default: /* its timer, or its start: the master may be halted, and stay so or not */
		break;
	}
	if (runs != master)
		make_current(c, runs);
	if (c->vcpu.preemption_armed) { /* it has printed: who looks after the rest of the text, is the master now */
		c->vcpu.preemption_armed = 0;
		console_follow_up(runs);
	}
	if (!is_scheduled(c))
		return;
	if (CONFIG_COMPANION_VCPUS > 1 && runs != c->first &&
	    (timer || look)) /* which may be halted until another time */
		posted_wake(this_cpu->index, (uint32_t)(c->first - this_cpu->vcpu));
	if (runs != master || (CONFIG_IOAPICS && pins != c->pins))
		scheduled_later();
	scheduled_answered(c->timer, look || (CONFIG_COMPANION_VCPUS > 1 && (runs != c->first || runs != master)));
}

/* ---- interrupts: the companion's line is what LINT0 of a local APIC is to an 8259 ---- */

int companion_interrupts(const struct vcpu *master)
{
	const struct companion *c = master->companion;
	uint32_t lint0 = 0;

	if (!c || !c->line)
		return 0;
#if CONFIG_SCHEDULED_CPUS
	if (cpu_is_scheduled(this_cpu->index))
		lint0 = this_cpu->scheduled.vcpu[master - this_cpu->vcpu].lapic.reg[LAPIC_LVT_LINT0 / 4];
	else
#endif
		lint0 = (uint32_t)master->msr_shadow[c->lint0];
	return (lint0 & (LVT_MASKED | LVT_MODE)) == LVT_EXTINT;
}

static int can_take_interrupt(void)
{
	return vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF &&
	       !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) &&
	       !(vmread(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID);
}

enum companion_need companion_attend(struct vcpu *master, uint64_t now)
{
	struct companion *c = master->companion;

	if (now >= c->timer) {
		c->timer = c->wish = NEVER;
		ask(master, BH_REQUEST_TIMER, 0, 0, 0);
		return COMPANION_RUNS;
	}
	if (!companion_interrupts(master))
		return COMPANION_NOTHING;
	if (!can_take_interrupt())
		return COMPANION_WINDOW;
	ask(master, BH_REQUEST_ACKNOWLEDGE, 0, 0, 0);
	return COMPANION_RUNS;
}

/* ---- on dedicated CPUs: what vmx/scheduled.c does on others ---- */

/* Exit after `ticks`, or 2^32 - 1 steps of the timer. An NMI in root mode, whose handler has set the timer to 0 for this VMCS or another, counts more. */
static void set_timer(const struct vcpu *vcpu, const struct companion *c, uint64_t ticks)
{
	const uint64_t count = ticks >> c->timer_shift;

	vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls | PIN_PREEMPTION_TIMER);
	vmwrite(VMCS_GUEST_PREEMPTION_TIMER, count < UINT32_MAX ? count : UINT32_MAX);
	if (this_cpu->nmi) {
		this_cpu->nmi = 0;
		vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
	}
}

/* When the core wants the master back: its companion's timer, or text that the console has not taken. */
static uint64_t master_ticks(struct vcpu *master, uint64_t now)
{
	struct companion *c = master->companion;
	uint64_t due = c->timer;
	const uint64_t life = CONFIG_HEARTBEATS ? health_heartbeat_due(master, now) : 0;

	if (CONFIG_HEARTBEATS && health_due(master))
		return 0;
	if (life && life < due)
		due = life;
	if (!master->preemption_armed)
		c->console_due = 0;
	else if (!c->console_due)
		c->console_due = now + CONSOLE_PAUSE;
	if (c->console_due && c->console_due < due)
		due = c->console_due;
	return due > now ? due - now : 0;
}

static _Noreturn void enter(void)
{
	const uint64_t now = rdtsc();
	struct vcpu *vcpu = this_cpu->running;

	if (!vcpu->master) {
		if (CONFIG_DOORBELLS && startup_left(vcpu))
			startup_take(vcpu);
		interrupt_window(vcpu, companion_attend(vcpu, now) == COMPANION_WINDOW);
		vcpu = this_cpu->running;
	}
	if (vcpu->master) {
		struct companion *c = vcpu->master->devices;

		c->entered = now;
		set_timer(vcpu, c, c->left);
	} else {
		set_timer(vcpu, vcpu->companion, master_ticks(vcpu, now));
	}
	if (vcpu->state == VCPU_OFF) {
		vcpu->state = VCPU_RUNNING;
		vcpu->entered = now;
		vmx_launch(vcpu);
	}
	vmx_resume(vcpu);
}

void companion_master_exit(struct vcpu *vcpu)
{
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);

	if (reason == EXIT_REASON_PREEMPTION_TIMER)
		vcpu->companion->console_due = 0;
	if (reason == EXIT_REASON_INTERRUPT_WINDOW)
		vcpu->count[reason]++;
	else
		vmx_exit(vcpu);
	note_stay(vcpu);
	enter();
}

void companion_rest(struct vcpu *master)
{
	struct companion *c = master->companion;

	c->request = c->line = 0;
	c->timer = c->wish = NEVER;
}

void companion_go_on(struct vcpu *master)
{
	if (master->companion->request)
		make_current(master->companion, &master->companion->vcpu);
	enter();
}

void companion_run(struct vcpu *master)
{
	make_current(master->companion, &master->companion->vcpu);
	enter();
}

/* ---- exits of the companion ---- */

/* Of the counters it may read one: the others are a CPU's, a scheduler's or a guest's, and it is none of them. */
static void call(struct companion *c)
{
	uint64_t *regs = c->vcpu.regs;

	if (regs[REG_RAX] == BH_COMPANION_WAIT) {
		answer(c);
	} else if (regs[REG_RAX] == BH_COUNTER && regs[REG_RDI] != BH_COUNTER_TSC_KHZ) {
		regs[REG_RAX] = (uint64_t)BH_EINVAL;
		skip_instruction();
	} else {
		exit_vmcall(&c->vcpu);
	}
}

/* What other CPUs want of this one. If that is text, the master sees to it. */
static void look_around(struct companion *c)
{
	attention();
	if (this_cpu->status_left && cpu_is_scheduled(this_cpu->index))
		scheduled_console_due();
	else if (this_cpu->status_left)
		c->vcpu.preemption_armed = 1;
}

/* NMI is the core's attention. Whatever else comes here, it has done itself; it has no handler for it. */
static void exception_or_nmi(struct companion *c)
{
	const uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTERRUPTION_INFO);

	if ((info & INTERRUPTION_TYPE) != INTERRUPTION_NMI) {
		if ((info & INTERRUPTION_VECTOR) == VECTOR_MC)
			panic("machine check in a companion");
		failed(c, "its companion's exception (<< 32) and rip",
		       (uint64_t)(info & INTERRUPTION_VECTOR) << 32 | (uint32_t)vmread(VMCS_GUEST_RIP));
	}
	look_around(c);
}

void companion_exit(struct vcpu *vcpu)
{
	struct companion *c = vcpu->master->devices;
	const uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);
	const uint32_t ran = vcpu->start - (uint32_t)c->entered; /* the timer ends it long before 2^32 */

	c->left = ran < c->left ? c->left - ran : 0;
	if (reason < EXIT_REASONS_COUNTED)
		vcpu->count[reason]++;
	switch (reason) {
	case EXIT_REASON_VMCALL:
		call(c);
		break;
	case EXIT_REASON_CPUID:
		exit_cpuid(vcpu);
		break;
	case EXIT_REASON_PREEMPTION_TIMER: /* an NMI in root mode may have set it */
		look_around(c);
		break;
	case EXIT_REASON_EXTERNAL_INTERRUPT: /* on scheduled CPUs */
		if (cpu_is_scheduled(this_cpu->index))
			scheduled_interrupted();
		break;
	case EXIT_REASON_EXCEPTION_OR_NMI:
		exception_or_nmi(c);
		break;
	default:
		failed(c, "its companion ended, exit reason", reason);
	}
	if (c->request && !c->left)
		failed(c, "its companion owes an answer at", vmread(VMCS_GUEST_RIP));
	note_stay(vcpu);
	if (is_scheduled(c))
		scheduled_go_on(vcpu, reason);
	enter();
}

/* ---- start ---- */

/* What vcpu_init() gives to a guest with a kernel, and a companion must not have: privilege, exceptions, floating point. */
static void take_rights(void)
{
	vmcs_segment(SEGMENT_CS, 0x13, 0, 0xffffffff, ACCESS_USER_CODE64);
	for (uint32_t s = SEGMENT_ES; s <= SEGMENT_GS; s++)
		if (s != SEGMENT_CS)
			vmcs_segment(s, 0x1b, 0, 0xffffffff, ACCESS_USER_DATA);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, 0);
	/* All exceptions exit, since there is nobody to handle them (an IDT of no entries); with them whatever level 3 may not do, and
	 * floating point (TS and EM; OSXSAVE is off): those registers hold the master's state. */
	vmwrite(VMCS_CTRL_EXCEPTION_BITMAP, 0xffffffff);
	vmwrite(VMCS_GUEST_CR0, vmread(VMCS_GUEST_CR0) | CR0_TS | CR0_EM | CR0_MP);
	vmwrite(VMCS_CTRL_CR0_MASK, ~0ull);
	vmwrite(VMCS_CTRL_CR4_MASK, ~0ull);
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit_entry_companion);
}

/* LVT LINT0 as firmware leaves it where there is an 8259: virtual wire mode, all its interrupts to this CPU. */
static void wire(struct vcpu *master)
{
	const struct config_partition *p = master->partition;

#if CONFIG_SCHEDULED_CPUS
	if (cpu_is_scheduled(this_cpu->index)) {
		this_cpu->scheduled.vcpu[master - this_cpu->vcpu].lapic.reg[LAPIC_LVT_LINT0 / 4] = LVT_EXTINT;
		return;
	}
#endif
	for (uint32_t i = 0; i < p->msr_count; i++)
		if (p->msrs[i].first <= MSR_LVT_LINT0 && MSR_LVT_LINT0 <= p->msrs[i].last &&
		    p->msrs[i].read == MSR_SHADOW)
			master->companion->lint0 = (uint16_t)(p->msrs[i].shadow + MSR_LVT_LINT0 - p->msrs[i].first);
	master->msr_shadow[master->companion->lint0] = LVT_EXTINT;
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_exit_entry_master);
}

#if CONFIG_COMPANIONS /* make check compiles this file for configurations that do not link it, too */
/* Both, as before their first entries. */
void companion_clean(struct vcpu *master)
{
	struct companion *c = master->companion;

	load(&c->vcpu);
	memset(c->vcpu.regs, 0, sizeof c->vcpu.regs);
	vcpu_init_guest_state(&c->vcpu, &c->vcpu.partition->entry);
	vcpu_first_control_registers();
	take_rights();
	c->vcpu.master = c->first;
	c->left = c->limit;
	c->timer = c->wish = NEVER;
	c->request = REQUEST_START;
	c->line = 0;
	c->pins = 0;
	load(master);
	wire(master);
}

static void make(struct companion *c, uint16_t partition)
{
	vcpu_init(&c->vcpu, partition, 0);
	take_rights();
	c->scheduled = (uint8_t)cpu_is_scheduled(this_cpu->index);
	c->timer_shift = rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT;
	c->limit = c->left = (uint64_t)c->vcpu.partition->answer_limit_us * tsc_khz / 1000;
	c->timer = c->wish = NEVER;
	c->request = REQUEST_START;
}

void companion_init(struct vcpu *master)
{
	struct companion *c = this_cpu->companion;

	for (uint32_t i = 0; i < this_cpu->companions && c->vcpu.partition_index != master->partition->companion; i++)
		c++;
	if (c == &this_cpu->companion[this_cpu->companions]) {
		this_cpu->companions++;
		make(c, master->partition->companion);
		load(master);
	}
	master->devices = c;
	if (master->index)
		return;
	c->vcpu.master = c->first = master;
	master->companion = c;
	wire(master);
}
#endif

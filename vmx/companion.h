// SPDX-License-Identifier: Apache-2.0
/*
 * A companion: a context without rights, with a VMCS and an address space of its own, that answers for the devices of one
 * partition, all of whose vCPUs are on one CPU. It runs there, on the time of the vCPU whose instruction waits for it, its master of the
 * moment; of another one if that wants an answer, too, which can only come afterwards. docs/companions.md.
 * Linked only where the configuration has one. All of this: root mode, on the CPU of all of them.
 *
 * this_cpu->running is whose VMCS is current, master or companion. For the scheduler the two are one.
 */
#ifndef VMX_COMPANION_H
#define VMX_COMPANION_H

#include <stdint.h>

#include "decode.h"
#include "vcpu.h"

struct companion {
	struct vcpu vcpu;      /* first: its exits lead here */
	struct vcpu *first;    /* vCPU 0, which has its timer and its interrupts */
	uint64_t timer;        /* TSC at which it wants to be called, or UINT64_MAX */
	uint64_t wish;         /* what it said of that; the timer is never sooner than the core allows */
	uint64_t limit;        /* ticks that it may run for an answer */
	uint64_t left;         /* of them, for the one that it owes */
	uint64_t console_due;  /* of a dedicated master: when to look after its text; or 0 */
	uint64_t entered;      /* TSC at its last entry */
	struct decoded access; /* of an access to memory: the instruction */
	uint32_t pins;         /* levels of the I/O APIC's pins that it drives */
	uint16_t lint0;        /* of a dedicated master: where LVT LINT0 stands in msr_shadow */
	uint8_t request;       /* what it works on: BH_REQUEST_*, or 0: it waits */
	uint8_t size;          /* of that access: 1, 2, 4 or 8 bytes */
	uint8_t scheduled;     /* it lives on a shared CPU */
	uint8_t line;          /* its interrupt line, the INTR of an 8259, is up */
	uint8_t timer_shift;   /* the preemption timer counts TSC >> this */
};

/*
 * Join `master`, whose VMCS is current and stays so, to its partition's companion, which is made for the first of them. Called once for each
 * such vCPU, after vcpu_init() (and lapic_reset()). Its first instructions come before those of vCPU 0. Not possible: panic, as in vcpu_init().
 */
void companion_init(struct vcpu *master);

/* A master on a dedicated CPU: enter its companion and then, for ever, one of the two. */
_Noreturn void companion_run(struct vcpu *master);

/* vmx/health.c: companion and device state as companion_init() leaves them; then, on dedicated CPUs, enter whichever is to run. */
void companion_clean(struct vcpu *master);
void companion_rest(struct vcpu *master); /* its master has nothing to run: neither has it */
_Noreturn void companion_go_on(struct vcpu *master);

/* An exit of the master whose VMCS is current: an IN or OUT to one of its companion's ports, not a string form.
 * `qualification`: SDM Vol. 3C, table 28-5. On return the companion is current, and the answer will end the instruction. */
void companion_io(struct vcpu *master, uint32_t qualification);

/* The same for an access to registers in memory: the decoded instruction, and what it writes. */
void companion_mmio(struct vcpu *master, uint64_t gpa, const struct decoded *d, uint64_t value);

/* What there is to do before the master whose VMCS is current may go on. */
enum companion_need {
	COMPANION_NOTHING,
	COMPANION_RUNS, /* it is current now: its timer was due, or the CPU takes its interrupt and asks for the vector */
	COMPANION_WINDOW, /* it has an interrupt that the guest cannot take yet */
};
enum companion_need companion_attend(struct vcpu *master, uint64_t now);

/* Is its line up, and does the master's local APIC pass it on? */
int companion_interrupts(const struct vcpu *master);

/* The context that is to run when it is this vCPU's turn: the companion while it owes that one an answer. */
static inline struct vcpu *companion_or(struct vcpu *vcpu)
{
	struct companion *c = vcpu->devices;

	return c && c->request && c->vcpu.master == vcpu ? &c->vcpu : vcpu;
}

/* Called by vmx/companion.asm: at an exit of a companion, and of a master on a dedicated CPU. */
_Noreturn void companion_exit(struct vcpu *vcpu);
_Noreturn void companion_master_exit(struct vcpu *vcpu);

/* vmx/companion.asm: where those exits come in. */
void vmx_exit_entry_companion(void);
void vmx_exit_entry_master(void);

#endif

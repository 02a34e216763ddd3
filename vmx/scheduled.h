// SPDX-License-Identifier: Apache-2.0
/*
 * vCPUs that share a CPU: windows by the preemption timer, a local APIC in software, the switch from one vCPU to another.
 * Linked only where the configuration has a scheduled CPU. Root mode, on the CPU itself.
 */
#ifndef VMX_SCHEDULED_H
#define VMX_SCHEDULED_H

#include "lapic.h"
#include "sched/sched.h"
#include "vcpu.h"

#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_TSC_AUX 0xc0000103u
#define SCHEDULED_MSRS 8u /* guest MSRs that the VMCS does not hold: vmx/switch.c */

/* In HLT: what ends it. With IF = 0 only an NMI or INIT does. */
enum halted { NOT_HALTED, HALTED_FOR_NMI, HALTED_WITH_INTERRUPTS };

/* What a scheduled vCPU has beside struct vcpu. */
struct scheduled_vcpu {
	struct lapic lapic;
	uint8_t fpu[4096] __attribute__((
		aligned(64))); /* XSAVE area, standard format, all components the CPU and the configuration allow */
	uint64_t msr[SCHEDULED_MSRS];
	uint64_t dr[4], dr6, cr2, xcr0;
	uint64_t poll_due; /* pins_poll() is due then */
	uint64_t life_due; /* a sign of life is looked for then, if its partition gives any */
	uint64_t edge;     /* an access to an emulated register waits for this one; or 0 */
	uint16_t slot;     /* its own index */
	uint8_t halted;    /* enum halted */
};

/* The state of a scheduled CPU. */
struct scheduled_cpu {
	struct sched sched;
	struct sched_entity entities[CONFIG_VCPUS_PER_CPU];
	struct sched_entity_config configs[CONFIG_VCPUS_PER_CPU];
	struct sched_window windows[CONFIG_SCHEDULES][CONFIG_WINDOWS_MAX + 1]; /* the last one ends the list */
	struct sched_frame frames[CONFIG_SCHEDULES];
	struct scheduled_vcpu vcpu[CONFIG_VCPUS_PER_CPU]; /* beside cpu.vcpu[] */
	const struct config_partition *last_partition;    /* whose traces are in the CPU's buffers */
	struct scheduled_vcpu
		*loaded;     /* whose state outside the VMCS is in the CPU: the one that runs, or ran before it idles */
	uint64_t until;      /* decide again then at the latest */
	uint64_t next_other; /* the earlier of `until` and `console_due` */
	uint64_t next_event; /* and with the running vCPU's timer */
	uint64_t console_due;       /* text is left: look again then; or SCHED_NEVER */
	uint64_t xcr0_all;          /* all components that any guest here may use */
	uint32_t timer_shift;       /* the preemption timer counts TSC >> this */
	enum apicv apicv;           /* what this CPU offers */
	uint8_t resched;            /* decide again before the next entry */
	volatile uint8_t changed;   /* look at everything before the next entry */
	uint8_t reload;             /* the next entry loads all registers of the guest */
	uint8_t later;              /* enough was done in this stay: what is due is looked at after another exit */
	uint32_t early;             /* its step, less one: what it fires too soon at most */
	volatile uint8_t nmi;       /* an NMI came in root mode: the next entry exits at once, */
	volatile uint8_t attention; /* and what for is looked into */
	uint8_t timer_exit;         /* this stay in root mode is for what is due */
	uint32_t decided;           /* low half of the TSC: at the last decision, or when nobody runs for lack of one */
	uint32_t worst_switch;      /* longest switch: from a decision to the entry, TSC ticks */
	uint8_t counts_smis;        /* the CPU has MSR_SMI_COUNT */
	struct vcpu *
		work; /* whose partition is stopped or started, in the time of the vCPU that would run: vmx/health.c; or 0 */
	struct vcpu idle; /* a VMCS in HLT state, for when nobody runs */
};

/* Called by vmx/exit.asm at each exit of a scheduled vCPU; returns when the same one goes on, else enters another. */
void vmx_exit_scheduled(struct vcpu *vcpu);

/* Set up this CPU's scheduler from the configuration (vmx/timeplan.c): its first frame is the next that begins. `epoch` as for scheduled_run(). */
void timeplan_init(uint64_t epoch);

/* This CPU has loaded its partitions: from now on it decides at each edge of its plan. */
void timeplan_ready(void);

/*
 * sched_decide(), and what a partition has used up of its time, or not got, as errors of its: vmx/overrun.c, where CONFIG_OVERRUNS is not 0. ERROR_OVERRUN:
 * the vCPU that has run, on its budget, has none left before its period ends, and would go on. ERROR_WINDOW: a window was cut or lost. Either is only asked
 * for here (vmx/health.h), and comes about when vCPU 0 of the partition has its turn; one of each at a decision.
 */
struct sched_decision overrun_decide(struct sched *s, uint64_t now);

/* How this CPU can deliver interrupts; and let the vCPU that runs take what is pending, or see to an exit as soon as it can. vmx/apicv.c. */
void scheduled_inject(struct vcpu *vcpu, struct scheduled_vcpu *v);
enum apicv apicv_find(void);

/* Exits for MSRs and CR8: what is the virtual APIC's, or noted for the switch. They return 0 if it is neither. vmx/access.c. */
int scheduled_rdmsr(struct vcpu *vcpu, uint32_t msr);
int scheduled_wrmsr(struct vcpu *vcpu, uint32_t msr);
int scheduled_cr8(struct vcpu *vcpu);

/* Put `to`'s state that the VMCS does not hold in place of `from`'s, which is saved. vmx/switch.c. */
void switch_state(struct scheduled_vcpu *from, struct scheduled_vcpu *to, uint64_t xcr0_all);
void switch_state_init(struct scheduled_vcpu *v);
void switch_state_clean(struct scheduled_vcpu *v, int loaded,
                        uint64_t xcr0_all); /* the same for one that has run; loaded: it is in the CPU */
void switch_state_first(void);

#endif

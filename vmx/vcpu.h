// SPDX-License-Identifier: Apache-2.0
/*
 * A virtual CPU: all that the exit path needs, in one place, with the hardware's structures beside it.
 */
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include <stdint.h>

#include "config/config.h"

/* General registers by their number in instruction encodings and exit qualifications (SDM Vol. 3C, table 28-3). */
/* clang-format off */
enum { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_COUNT = 16 };
/* clang-format on */

#define EXIT_REASONS_COUNTED 80u

enum vcpu_state { VCPU_OFF, VCPU_RUNNING, VCPU_STOPPED };

struct vcpu {
	uint64_t regs[REG_COUNT]; /* first: the exit path pushes them here. RSP is in the VMCS */
	uint32_t start;           /* low half of the TSC at the last exit */
	uint32_t worst;           /* longest stay in root mode, TSC ticks */
	const struct config_partition *partition;
#if CONFIG_COUNTERS
	uint64_t *count; /* exits by basic reason, in the vCPU's page (vmx/counters.h) */
#else
	uint64_t count[EXIT_REASONS_COUNTED]; /* exits by basic reason */
#endif
	uint64_t entered; /* TSC at the first entry */
	uint64_t forbidden[ERROR_CLASS_COUNT];
	uint64_t cr4_allowed; /* CR4 bits that the visible features bring */
	uint64_t xcr0_allowed;
	uint64_t msr_shadow[CONFIG_MSR_SHADOWS];
	uint32_t cpuid[CONFIG_CPUID_MAX][4]; /* answers, by index as in partition->cpuid */
	uint32_t pin_controls; /* without the preemption timer: the NMI handler writes this and that bit */
	uint32_t proc_controls;
	uint8_t msr_slot[256]; /* by a hash of the MSR's number: where it stands in partition->msrs, as a hint */
	uint32_t nmi_pending;  /* an NMI for the guest itself waits to be injected */
	uint16_t partition_index, index; /* index: in partition->vcpus */
	uint8_t preemption_armed;
	uint8_t waiting; /* for a SIPI */
	uint8_t state;
	uint8_t unclean;             /* registers outside the VMCS are of its last life */
	struct companion *devices;   /* the companion that answers for its devices, or 0 */
	struct companion *companion; /* the same in vCPU 0, which has its timer and its interrupts; else 0 */
	struct vcpu *master;         /* of a companion; else 0 */
	uint8_t vmcs[4096] __attribute__((aligned(4096)));
	uint8_t msr_bitmap[4096];
	uint8_t io_bitmap[8192];
};

/*
 * Make the VMCS of this CPU's vCPU number 0 for `partition` and its vCPU `index`, controls from the capability MSRs and the partition's
 * tables. VMX is on. On return the VMCS is current and complete but not launched. A VMX instruction that fails, or a control
 * that cannot be set, is a core bug by now: panic. SDM Vol. 3C, chapters 25 to 27.
 */
void vcpu_init(struct vcpu *vcpu, uint16_t partition, uint16_t index);

/* The vCPU that a scheduled CPU enters when nobody else runs: in HLT state, with no memory. It executes nothing. `empty_ept`: EPTP of a
 * table without entries. */
void vcpu_init_idle(struct vcpu *vcpu, uint64_t empty_ept);

/* Enter the guest for the first time; does not return. vcpu_init() ran on this CPU. */
_Noreturn void vcpu_run(struct vcpu *vcpu);

/* The vCPU ends here: its CPU sleeps until the machine is reset. Tells the console why. */
_Noreturn void vcpu_stop(struct vcpu *vcpu, const char *why);

/* Guest RIP of the vCPU whose VMCS is current. */
uint64_t vcpu_rip(void);

/* Sum of all exits. */
uint64_t vcpu_exits(const struct vcpu *vcpu);

/* ---- What vmx/scheduled.c does on scheduled CPUs. Not linked, and never called, where the configuration has none. ---- */

/* Make all vCPUs of this CPU, load their partitions, and run them for ever. `epoch`: TSC at which frames begin, the same on all CPUs. */
_Noreturn void scheduled_run(uint64_t epoch);

/* This vCPU does not run again; goes on with the others. */
_Noreturn void scheduled_stop(struct vcpu *vcpu);

/* vmx/health.c has taken the vCPU that runs from its guest: enter whoever is to run. */
_Noreturn void scheduled_leave(void);

/* Its registers outside the VMCS as before the first entry. It does not run. */
void scheduled_clean_registers(struct vcpu *vcpu);

/* The guest has written an MSR that vmx/switch.c keeps. */
void scheduled_note_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* How interrupts reach this vCPU; the idle one gets none. */
enum apicv {
	APICV_NONE,
	APICV_DELIVERY,
	APICV_POSTED
}; /* by software, by the CPU from the virtual-APIC page, and posted by others while it runs */
enum apicv vcpu_apicv(const struct vcpu *vcpu);

/* The VMCS's fields for that, unless APICV_NONE; vcpu_init() calls it. */
void scheduled_init_apicv(struct vcpu *vcpu);

/* Does the CPU itself carry out the guest's access to this MSR of the local APIC, on the virtual-APIC page? */
int scheduled_passes_msr(const struct vcpu *vcpu, uint32_t msr, int write);

/* Its local APIC as after INIT. */
void scheduled_reset_apic(struct vcpu *vcpu);

/* Counter BH_COUNTER_USED and following of hypercall/abi.h; BH_EINVAL if there is none. */
int64_t scheduled_counter(const struct vcpu *vcpu, uint64_t which);

/* A line about this CPU's time. */
void scheduled_print_status(void);

/* Text is left in a console ring: pump again in a millisecond. */
void scheduled_console_due(void);

/* An NMI came in root mode: the next entry exits at once. Called by the NMI handler. */
void scheduled_nmi(void);

/* Ask for another schedule, below CONFIG_SCHEDULES, for all scheduled CPUs. Any CPU; returns 0 or BH_EAGAIN. vmx/timeplan.c. */
int64_t timeplan_request(uint32_t schedule);

/* The schedule in force on this CPU; on a dedicated one, that was asked for last. */
uint32_t timeplan_schedule(void);

/* For vmx/companion.c, on the vCPU that is current. Settle again at this TSC at the latest. */
void scheduled_due(uint64_t tsc);

/* The companion has answered, and the vCPU whose time it was is current: its timer's TSC; `look`: there may be more to do than going on. */
void scheduled_answered(uint64_t timer, int look);

/* This stay in root mode was long: who is current is entered, and exits at once if something is due. */
void scheduled_later(void);

/* An external interrupt made the companion exit. */
void scheduled_interrupted(void);

/* From the master that runs to its companion, or back. */
void scheduled_make_current(struct vcpu *next);

/* Is the next decision due before an access to an emulated register would be carried out? */
int scheduled_edge_is_near(void);

/* The vCPU that runs has sent itself this vector, by its interrupt command register. */
void scheduled_accept(uint32_t vector);

/* Enter whoever is to run, after `exited`, a companion, had left for basic exit reason `reason`. */
_Noreturn void scheduled_go_on(struct vcpu *exited, uint32_t reason);

/* Where a guest's write to this MSR must be noted, so that a switch need not read it: index into scheduled_vcpu.msr, or -1. */
int switch_msr_slot(uint32_t msr);

#endif

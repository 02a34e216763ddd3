// SPDX-License-Identifier: Apache-2.0
/*
 * What one CPU owns. Mapped at the same virtual address on every CPU, in no CPU's space but its own, so that `this_cpu`
 * is a constant and another CPU's state cannot be named.
 */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include <stdint.h>

#include "boot/handoff.h"
#include "config/config.h"
#include "console.h"
#include "vmx/companion.h"
#include "vmx/vcpu.h"
#if CONFIG_TRACE_ENTRIES
#include "vmx/trace.h"
#endif
#if CONFIG_AUDIT_ENTRIES
#include "audit.h"
#endif
#if CONFIG_SELF_CHECK
#include "selfcheck.h"
#endif
#if CONFIG_SCHEDULED_CPUS
#include "vmx/scheduled.h"
#endif

#define SEL_CODE 0x08u
#define SEL_DATA 0x10u
#define SEL_TSS 0x18u

/* SDM Vol. 3A, 8.7: 64-bit TSS */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

struct cpu {
	uint8_t vmxon_region[4096];
	struct vcpu vcpu[CONFIG_VCPUS_PER_CPU];
	uint64_t gdt[5]; /* null, code, data, TSS (two words) */
	struct tss tss;
	uint64_t hpa;         /* of this structure: physical = hpa + (pointer - PERCPU data) */
	uint32_t index;       /* into config.cpus */
	uint32_t apic_id;     /* physical x2APIC ID */
	struct vcpu *running; /* whose VMCS is current, or 0 */
	struct noted noted;   /* messages that are not text yet */
	uint32_t status_left; /* so many vCPUs' states are still to be told */
#if CONFIG_TRACE_ENTRIES
	struct trace trace;
#endif
#if CONFIG_AUDIT_ENTRIES
	struct audit_writer audit;
#endif
#if CONFIG_SELF_CHECK
	struct selfcheck selfcheck;
#endif
	volatile uint8_t nmi; /* one came in root mode; for vmx/companion.c */
#if CONFIG_COMPANIONS
	uint32_t companions; /* that are in use */
	struct companion companion[CONFIG_COMPANIONS_PER_CPU] __attribute__((aligned(4096)));
#endif
#if CONFIG_SCHEDULED_CPUS
	struct scheduled_cpu scheduled; /* of use on scheduled CPUs only */
#endif
};

#define PERCPU_STACK_TOP (PERCPU_BASE + 0x3000)
#define PERCPU_NMI_STACK_TOP (PERCPU_BASE + 0x5000)
#define PERCPU_DF_STACK_TOP (PERCPU_BASE + 0x7000)
#define PERCPU_MC_STACK_TOP (PERCPU_BASE + 0x9000)
#define PERCPU_DATA (PERCPU_BASE + 0xa000)
#define PERCPU_DATA_OFFSET 0x5000u /* in the block */
#define PERCPU_WINDOW_PD (PERCPU_BASE + 0x1f0000)

#define this_cpu ((struct cpu *)PERCPU_DATA)

/* Physical address of something in this CPU's block. */
static inline uint64_t cpu_phys(const void *p)
{
	return this_cpu->hpa + ((uint64_t)p - PERCPU_DATA);
}

/* Is this CPU shared by several vCPUs? Constant 0 where the configuration has none such, so that nothing of it is linked. */
static inline int cpu_is_scheduled(uint32_t index)
{
	return CONFIG_SCHEDULED_CPUS && config.cpus[index].scheduled;
}

_Static_assert(sizeof(struct cpu) <= PERCPU_WINDOW_PD - PERCPU_DATA, "CONFIG_MAX_SLOTS: one page table maps the block");

/* A CPU's block as it lies in the run; only sizes and addresses are of interest, since it is mapped piecewise. */
struct percpu_block {
	uint8_t stacks[PERCPU_DATA_OFFSET];
	struct cpu cpu __attribute__((aligned(4096)));
};

/*
 * Bring this CPU from its first instruction to a defined state: descriptor tables, control registers, EFER, PAT, x2APIC with every local
 * vector masked. Called once on each CPU, by core_main and core_ap_main, before anything else. `index`: into config.cpus.
 * SDM Vol. 3A, chapters 2, 7 and 11.
 */
void cpu_init(uint32_t index);

/* Registers that a guest could read and no VMCS field holds, as after RESET. At the start, and on dedicated CPUs before another life of a vCPU. */
void cpu_clear_guest_state(void);

/* Mask all local interrupt sources and drop what they have pending. Any time, on the CPU itself. */
void cpu_quiet_apic(void);

/* APIC ID of the core that this CPU is a thread of: x2APIC ID without its SMT bits (CPUID leaf 0Bh). */
uint32_t cpu_core_id(void);

/* Sleep until the machine is reset, but for NMIs and console text that is still due. The CPU has nothing to run any more. */
_Noreturn void cpu_sleep(void);

/* Implemented in core/entry.asm. */
extern const uint64_t core_idt[64];
void cpu_load_segments(void);
void cpu_unblock_nmi(void);

/* Implemented in core/probe.asm. RDMSR of one that this CPU may lack: 1, or 0 if that is #GP. The two labels are for the handler. */
int cpu_probe_msr(uint32_t msr, uint64_t *value);
extern const uint8_t cpu_probe_rdmsr[], cpu_probe_failed[];

#endif

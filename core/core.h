// SPDX-License-Identifier: Apache-2.0
/*
 * What the parts of the core call of each other. Data that several CPUs see is here and nowhere else.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdint.h>

#include "boot/handoff.h"

extern struct handoff handoff; /* written by the loader, constant from then on */

/* What each CPU tells of itself, and what the boot CPU has found out for all. Single-writer words. */
struct cpu_report {
	volatile uint32_t state; /* enum cpu_report_state; the CPU itself */
	uint32_t apic_id, core_id;
	uint64_t missing_must, missing_nice; /* bit n: line n of the capability table (vmx/capability.c) */
#if CONFIG_SELF_CHECK
	uint64_t failed; /* bit n: reading n of the self-check (core/selfcheck.c) */
#endif
};
enum cpu_report_state { REPORT_NONE, REPORT_READY, REPORT_STOPPED };

extern struct cpu_report cpu_report[];
extern uint32_t cpu_apic_id[];     /* physical x2APIC ID by index of config.cpus; constant after enumeration */
extern uint64_t tsc_khz;           /* constant after timer_init() */
extern uint64_t ept_pointer[];     /* by partition; constant after ept_build() */
extern uint64_t ept_pointer_empty; /* of a table without entries, for idle CPUs */

/* Host-physical address of something of the core's that all CPUs share. */
uint64_t core_phys(const void *p);

/* Frequency of the TSC: CPUID leaf 15h, or counted against the ACPI PM timer at `pm_timer_port` (0: none). Boot CPU.
 * Returns 0 if there is neither. */
int timer_init(uint16_t pm_timer_port);

/* Is [hpa, hpa + size) write-back by the MTRRs? SDM Vol. 3A, 12.11. */
int mtrr_is_write_back(uint64_t hpa, uint64_t size);

/* Find the machine's CPUs in the ACPI tables; refuse() if that fails or there are too few. Fills cpu_apic_id. Boot CPU. */
void cpus_enumerate(void);

/* Start CPU `index` and wait, bounded, for its report; refuse() if it does not come. Park those that no partition uses. Boot CPU. */
void cpus_start(void);

/* Start what the configuration gives this CPU, or sleep. Does not return. */
_Noreturn void cpu_run(uint32_t index);

/* Build and prove the second-level tables of all partitions. panic() on an error, since the tool proved them before. Boot CPU. */
void ept_build(void);

/* Are the memories where the loader's rule allows, apart from each other and from the core, and write-back? panic() or refuse(). Boot CPU. */
void memory_check_placement(void);

/* Let every CPU print a line about what it runs. Any CPU. */
void attention_status(void);

/* Let every dedicated CPU that has a partition look at its registers (core/selfcheck.h). Any CPU. */
void attention_self_check(void);

/* Make CPU `cpu` leave its guest and look what there is to do. Any CPU. */
void attention_kick(uint32_t cpu);

/* Do what other CPUs have asked this one for. Called where an NMI has brought it here, and when it sleeps. */
void attention(void);

/* One line of what attention_status() asked this CPU for, if one is due and there is room for it: with each console_pump(). */
void attention_tell(void);

/* Scrub the memories that several partitions share, and those that the core writes. Boot CPU, before any partition runs. */
void memory_scrub_shared(void);

/* Host-physical address behind a guest-physical one, and how many bytes follow it in the same map; 0 bytes: not mapped. */
uint64_t partition_translate(uint16_t partition, uint64_t gpa, uint64_t *bytes);

/* Check the payload's digest, scrub the partition's own memory and fill it. Returns 0 if the digest differs. The CPU of its vCPU 0. */
int partition_load(uint16_t partition);

#endif

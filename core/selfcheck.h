// SPDX-License-Identifier: Apache-2.0
/*
 * What isolation rests on, looked at before any partition runs, and again while they run: control registers, MSRs, the current VMCS, the
 * core's own code and constants, the second-level tables of partitions and devices, remapping units. Linked where the configuration has `self_check`.
 *
 * At the start each CPU looks at its registers, and the boot CPU prints one table of all. In the background each shared CPU takes
 * a step now and then, outside of decisions: one register and 64 bytes. A round of a hundred kilobytes takes some 1,600 steps. What the
 * background finds is compared with what the start found; bits that may change are left out.
 */
#ifndef CORE_SELFCHECK_H
#define CORE_SELFCHECK_H

#include <stdint.h>

#define SELFCHECK_READINGS 21u /* registers: numbers 0 to 20, in the order of the table in core/selfcheck.c */

/* The numbers of all else that is looked at, in the audit too (docs/audit.md). */
enum {
	SELFCHECK_IMAGE = SELFCHECK_READINGS,
	SELFCHECK_L1D,
	SELFCHECK_BUFFERS,
	SELFCHECK_PREDICTORS,
	SELFCHECK_ITLB,
	SELFCHECK_UNITS,
	SELFCHECK_TABLES
};

struct vcpu;

/* Of each CPU. */
struct selfcheck {
	uint64_t due, told;                     /* TSC of the next step; bit n: that number n differs was said */
	uint64_t sum;                           /* of the part that is being read, so far */
	uint32_t part, at, next;                /* which part; bytes in `sum`; the register or unit that comes next */
	uint64_t reference[SELFCHECK_READINGS]; /* as found at the start */
};

/* Which of this CPU's own registers are not as they must be: bit n, reading n. Each CPU, when it reports. */
uint64_t selfcheck_registers(void);

/* Print the table; refuse() if a line fails and the configuration wants that. Boot CPU, when all CPUs have reported. */
void selfcheck_table(void);

/* Check the current VMCS, which is `vcpu`'s, and keep what this CPU has as reference. panic() if it differs from what the core
 * has just written. Before the CPU's first entry. */
void selfcheck_first(const struct vcpu *vcpu);

/* One step, if `now` (TSC) is not before its time. A shared CPU, in root mode, when the timer brought it there. */
void selfcheck_step(uint64_t now);

/* All registers at once, some 1,000 instructions: where another CPU has asked for it (core/attention.c). */
void selfcheck_now(void);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * What the attacks of the hostile partition share. An attack counts what it tried and what faulted, and reports with
 * breach() what should not have been possible; that it returns at all is the third result.
 */
#ifndef GUEST_APPS_HOSTILE_H
#define GUEST_APPS_HOSTILE_H

#include "kit.h"

struct attack {
	const char *name;
	void (*run)(struct attack *a, const struct kit_info *info);
	uint64_t tried, faulted, breaches;
};

/* Runs the function; true if no exception ended it. */
bool attempt(struct attack *a, void (*function)(void *), void *argument);

/* The same for a WRMSR: was it carried out? */
bool wrote(struct attack *a, uint32_t msr, uint64_t value);

void breach(struct attack *a, const char *what, uint64_t where);

/* A repeatable sequence of numbers. */
uint64_t random_number(void);

void attack_memory(struct attack *a, const struct kit_info *info);
void attack_rights(struct attack *a, const struct kit_info *info);
void attack_ports(struct attack *a, const struct kit_info *info);
void attack_strings(struct attack *a, const struct kit_info *info);
void attack_msrs(struct attack *a, const struct kit_info *info);
void attack_cr(struct attack *a, const struct kit_info *info);
void attack_xcr(struct attack *a, const struct kit_info *info);
void attack_dr(struct attack *a, const struct kit_info *info);
void attack_instructions(struct attack *a, const struct kit_info *info);
void attack_cpuid(struct attack *a, const struct kit_info *info);
void attack_ipi(struct attack *a, const struct kit_info *info);
void attack_storm(struct attack *a, const struct kit_info *info);
void attack_hypercalls(struct attack *a, const struct kit_info *info);
void attack_apic(struct attack *a, const struct kit_info *info);
void attack_step(struct attack *a, const struct kit_info *info);
void attack_combine(struct attack *a, const struct kit_info *info);
void attack_caching(struct attack *a, const struct kit_info *info);
void attack_values(struct attack *a, const struct kit_info *info);
/* Of shared CPUs, with a second vCPU. */
void attack_registers(struct attack *a, const struct kit_info *info);
void attack_timers(struct attack *a, const struct kit_info *info);
void attack_starts(struct attack *a, const struct kit_info *info);
void attack_rings(struct attack *a, const struct kit_info *info);
void attack_user(struct attack *a, const struct kit_info *info);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * How many system-management interrupts this CPU has had: they take time that nobody in the machine can see or forbid. MSR_SMI_COUNT, 34h
 * (SDM Vol. 4, table 2-15: Nehalem and later; table 2-6: Silvermont and later).
 */
#ifndef CORE_SMI_H
#define CORE_SMI_H

#include <stdint.h>

#define SMI_UNKNOWN UINT64_MAX

/* Find out whether this CPU counts them. Once, on each scheduled CPU. */
void smi_init(void);

/* Since its reset, at most 2^32 - 1; SMI_UNKNOWN if it does not count them. */
uint64_t smi_count(void);

#endif

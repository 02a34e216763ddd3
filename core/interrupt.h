// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

#include "core.h"
#include "cpu.h"
#include "posted.h"
#include "x86.h"

/* `vector` (32 to 255) for any vCPU, from any CPU in root mode. One on a dedicated CPU takes it with no exit: that CPU's vectors are its guest's. */
static inline void interrupt_vcpu(const struct config_vcpu *to, uint8_t vector)
{
	if (cpu_is_scheduled(to->cpu))
		posted_send(to->cpu, to->slot, vector);
	else
		wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[to->cpu] << 32 | 1u << 14 | vector);
}

#endif

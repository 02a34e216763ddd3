// SPDX-License-Identifier: Apache-2.0
/*
 * INIT, start-up IPI and NMI between the vCPUs of a partition. The sender leaves an event word for the target and kicks its CPU; the target's
 * CPU applies it to the vCPU when its VMCS is current. SDM Vol. 3A, 9.4 and 11.6; Vol. 3C, 26.2.
 */
#ifndef VMX_STARTUP_H
#define VMX_STARTUP_H

#include <stdint.h>

#include "core/cpu.h"
#include "vcpu.h"

/* Bits of an event word. INIT takes effect before SIPI. */
#define EVENT_SIPI_VECTOR 0xffu
#define EVENT_SIPI (1u << 8)
#define EVENT_INIT (1u << 9)
#define EVENT_NMI (1u << 10)
#define EVENT_RESET (1u << 11)     /* of the partition (vmx/clean.c): before all others */
#define EVENT_COMPANION (1u << 12) /* its companion is to be called: vCPU 0 only */

/* Leave events for vCPU `target` of the caller's partition. Any CPU. */
void startup_send(const struct vcpu *from, uint32_t target, uint32_t events);

/* The same for any vCPU, without EVENT_SIPI. */
void startup_post(const struct config_vcpu *to, uint32_t events);

/* Is anything left for this vCPU, which lives on the calling CPU? */
extern uint32_t startup_events[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];
static inline int startup_left(const struct vcpu *vcpu)
{
	return __atomic_load_n(&startup_events[this_cpu->index][vcpu - this_cpu->vcpu], __ATOMIC_ACQUIRE) != 0;
}

/* Apply what was left for the vCPU whose VMCS is current. Returns 1 if it can run, 0 if it waits for a SIPI. */
int startup_take(struct vcpu *vcpu);

/* A vCPU other than its partition's first begins here: it waits for a SIPI. Its VMCS is current. */
void startup_wait(struct vcpu *vcpu);

#endif

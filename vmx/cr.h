// SPDX-License-Identifier: Apache-2.0
/* Control registers of a vCPU (vmx/cr.c). */
#ifndef VMX_CR_H
#define VMX_CR_H

#include "vcpu.h"

/* Masks, shadows and first values, from the visible features: after vcpu_init_cpuid(), with the VMCS current. */
void vcpu_init_control_registers(struct vcpu *vcpu);

/* Only the first values. */
void vcpu_first_control_registers(void);

/* CR0 and CR4 as after INIT; CR0.CD and NW, which INIT sets, are the host's and only shown. */
void vcpu_reset_control_registers(struct vcpu *vcpu);

/* The VPID of a vCPU: not 0, unique in the machine. */
static inline uint16_t vcpu_vpid(const struct vcpu *vcpu)
{
	return (uint16_t)(vcpu->partition_index * 64u + vcpu->index + 1u);
}

#endif

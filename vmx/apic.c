// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt command register of a dedicated core: the one register of the local APIC by which a guest could reach a CPU that
 * is not its own. SDM Vol. 3A, 11.12.9. Destinations are virtual APIC IDs of the partition; the guest uses physical mode or a shorthand.
 */
#include "core/core.h"
#include "core/x86.h"
#include "exit.h"

#define ICR_VECTOR 0xffu
#define ICR_MODE(icr) ((icr) >> 8 & 7)
#define ICR_MODE_FIXED 0u
#define ICR_MODE_LOWEST 1u
#define ICR_MODE_NMI 4u
#define ICR_LOGICAL (1u << 11)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
#define ICR_BROADCAST 0xffffffffu

static int is_destination(const struct vcpu *vcpu, uint32_t index, uint64_t icr)
{
	const uint32_t destination = (uint32_t)(icr >> 32), id = vcpu->partition->vcpus[index].apic_id;

	switch (ICR_SHORTHAND(icr)) {
	case 0:
		if (destination == ICR_BROADCAST)
			return 1;
		if (icr & ICR_LOGICAL) /* cluster in the upper half, a bit per CPU in the lower */
			return destination >> 16 == id >> 4 && (destination >> (id & 0xf) & 1);
		return destination == id;
	case 1: /* self */
		return index == vcpu->index;
	case 2: /* all */
		return 1;
	default: /* all but self */
		return index != vcpu->index;
	}
}

/* Send to one vCPU of the partition. Returns 0 if that is not offered. */
static int deliver(struct vcpu *vcpu, uint32_t target, uint32_t mode, uint32_t vector)
{
	if (mode == ICR_MODE_NMI) {
		if (target != vcpu->index)
			return 0;
		inject_nmi(vcpu);
	} else if (vector >= 16) { /* below: the APIC would only record an illegal vector */
		wrmsr(MSR_X2APIC_ICR,
		      (uint64_t)cpu_apic_id[vcpu->partition->vcpus[target].cpu] << 32 | 1u << 14 | vector);
	}
	return 1;
}

void apic_write_icr(struct vcpu *vcpu, uint64_t icr)
{
	const uint32_t mode = ICR_MODE(icr);
	const int offered = mode == ICR_MODE_FIXED || mode == ICR_MODE_LOWEST || mode == ICR_MODE_NMI;
	uint32_t delivered = 0;

	for (uint32_t i = 0; offered && i < vcpu->partition->vcpu_count; i++)
		if (is_destination(vcpu, i, icr) && !(mode == ICR_MODE_LOWEST && delivered))
			delivered += (uint32_t)deliver(vcpu, i, mode, icr & ICR_VECTOR);
	if (delivered || (offered && ICR_SHORTHAND(icr))) /* "all but self" may be nobody */
		skip_instruction();
	else
		guest_error_skip(vcpu, ERROR_INTERRUPT, VECTOR_GP, "interrupt command", icr);
}

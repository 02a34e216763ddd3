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

enum exit_action apic_write_icr(struct vcpu *vcpu, uint64_t icr)
{
	const uint32_t mode = ICR_MODE(icr), vector = icr & ICR_VECTOR;
	uint32_t found = 0;

	if (mode != ICR_MODE_FIXED && mode != ICR_MODE_LOWEST && mode != ICR_MODE_NMI)
		return guest_error(vcpu, ERROR_INTERRUPT, VECTOR_GP, "interrupt command", icr);
	if (mode != ICR_MODE_NMI && vector < 16) /* illegal vector: the APIC would only record it */
		return EXIT_NEXT;
	for (uint32_t i = 0; i < vcpu->partition->vcpu_count; i++) {
		if (!is_destination(vcpu, i, icr) || (mode == ICR_MODE_LOWEST && found))
			continue;
		found = 1;
		if (mode != ICR_MODE_NMI)
			wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[vcpu->partition->vcpus[i].cpu] << 32 | 1u << 14 | vector);
		else if (i == vcpu->index)
			inject_nmi(vcpu);
		else
			return guest_error(vcpu, ERROR_INTERRUPT, VECTOR_GP, "NMI to another vCPU", icr);
	}
	if (!found)
		return guest_error(vcpu, ERROR_INTERRUPT, VECTOR_GP, "interrupt command to a foreign CPU", icr);
	return EXIT_NEXT;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The interrupt command register of a dedicated core: the one register of the local APIC by which a guest could reach a CPU that
 * is not its own. SDM Vol. 3A, 11.12.9. Destinations are virtual APIC IDs of the partition; the guest uses physical mode or a shorthand.
 */
#include "core/core.h"
#include "core/cpu.h"
#include "core/posted.h"
#include "core/x86.h"
#include "exit.h"
#include "startup.h"
#include "xapic.h"

#define ICR_VECTOR 0xffu
#define ICR_MODE(icr) ((icr) >> 8 & 7)
#define ICR_MODE_FIXED 0u
#define ICR_MODE_LOWEST 1u
#define ICR_MODE_NMI 4u
#define ICR_MODE_INIT 5u
#define ICR_MODE_STARTUP 6u
#define ICR_ASSERT (1u << 14)
#define ICR_LOGICAL (1u << 11)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
#define ICR_NOT_PLAIN (2u << 18 | ICR_LOGICAL | 7u << 8) /* to others, logical, not fixed */
#define ICR_BROADCAST 0xffffffffu

static int is_destination(const struct vcpu *vcpu, uint32_t index, uint64_t icr)
{
	const uint32_t destination = (uint32_t)(icr >> 32), id = vcpu->partition->vcpus[index].apic_id;

	switch (ICR_SHORTHAND(icr)) {
	case 0:
		if (CONFIG_XAPIC && xapic_is_on(vcpu))
			return xapic_receives(vcpu->partition, index, destination, icr & ICR_LOGICAL);
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

/* Send to one vCPU of the partition. */
static void deliver(struct vcpu *vcpu, uint32_t target, uint32_t mode, uint32_t vector)
{
	if (mode == ICR_MODE_NMI && target == vcpu->index) {
		inject_nmi(vcpu);
	} else if (mode >= ICR_MODE_NMI) {
		startup_send(vcpu, target,
		             mode == ICR_MODE_NMI  ? EVENT_NMI :
		             mode == ICR_MODE_INIT ? EVENT_INIT :
		                                     EVENT_SIPI | vector);
	} else if (vector >= 16) { /* below: the APIC would only record an illegal vector */
		const struct config_vcpu *to = &vcpu->partition->vcpus[target];

		if (cpu_is_scheduled(to->cpu) && target == vcpu->index)
			scheduled_accept(vector);
		else if (cpu_is_scheduled(to->cpu))
			posted_send(to->cpu, to->slot, vector);
		else
			wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[to->cpu] << 32 | 1u << 14 | vector);
	}
}

static __attribute__((noinline)) int send_any(struct vcpu *vcpu, uint64_t icr)
{
	const uint32_t mode = ICR_MODE(icr);
	/* INIT with level 0 is the de-assert of old: nothing to do (SDM Vol. 3A, 11.6.1). SMI and ExtINT are not a guest's to send. */
	const int deassert = mode == ICR_MODE_INIT && !(icr & ICR_ASSERT);
	const int startup = mode == ICR_MODE_INIT || mode == ICR_MODE_STARTUP;
	const int offered = mode == ICR_MODE_FIXED || mode == ICR_MODE_LOWEST || mode == ICR_MODE_NMI ||
	                    (startup && ICR_SHORTHAND(icr) != 1 && ICR_SHORTHAND(icr) != 2);
	uint32_t delivered = 0;

	/* The partition's first vCPU would begin at the reset vector after an INIT, where there is no firmware: it gets none. */
	for (uint32_t i = startup ? 1 : 0; offered && !deassert && i < vcpu->partition->vcpu_count; i++)
		if (is_destination(vcpu, i, icr) && !(mode == ICR_MODE_LOWEST && delivered)) {
			deliver(vcpu, i, mode, icr & ICR_VECTOR);
			delivered++;
		}
	return delivered || (offered && (deassert || ICR_SHORTHAND(icr))); /* "all but self" may be nobody */
}

/* The common commands first: fixed, to one vCPU by its ID, which is its index as a rule, or to itself. */
int apic_send(struct vcpu *vcpu, uint64_t icr)
{
	const struct config_partition *p = vcpu->partition;
	const uint32_t vector = icr & ICR_VECTOR;
	const uint64_t to = ICR_SHORTHAND(icr) == 1 ? vcpu->index : icr >> 32;

	if (icr & ICR_NOT_PLAIN || vector < 16 || to >= p->vcpu_count || p->vcpus[to].apic_id != to ||
	    !cpu_is_scheduled(p->vcpus[to].cpu))
		return send_any(vcpu, icr);
	if (to == vcpu->index)
		scheduled_accept(vector);
	else
		posted_send(p->vcpus[to].cpu, p->vcpus[to].slot, vector);
	return 1;
}

void apic_write_icr(struct vcpu *vcpu, uint64_t icr)
{
	if (apic_send(vcpu, icr))
		skip_instruction();
	else
		guest_error_skip(vcpu, ERROR_INTERRUPT, VECTOR_GP, "interrupt command", icr);
}

void vcpu_reset_apic(struct vcpu *vcpu)
{
	if (cpu_is_scheduled(this_cpu->index))
		scheduled_reset_apic(vcpu);
	else
		cpu_quiet_apic();
}

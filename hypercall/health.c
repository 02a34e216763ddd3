// SPDX-License-Identifier: Apache-2.0
/* Hypercalls about partitions' lives: abi.h says what each does. Linked only where CONFIG_HEALTH is not 0. */
#include "calls.h"
#include "core/seal.h"
#include "vmx/exit.h"
#include "vmx/health.h"

/* Whom RDI names, if `rights` has that bit; else CONFIG_NONE. */
static uint16_t named(const struct vcpu *vcpu, uint64_t rights)
{
	const uint64_t number = vcpu->regs[REG_RDI];

	return number < CONFIG_PARTITIONS && rights >> number & 1 ? (uint16_t)number : CONFIG_NONE;
}

static int64_t status(const struct vcpu *vcpu)
{
	const uint16_t partition = named(vcpu, vcpu->partition->health->watches);
	const struct life *l;

	if (partition == CONFIG_NONE)
		return BH_EINVAL;
	l = &health_life[partition];
	switch (vcpu->regs[REG_RSI]) {
	case BH_STATUS_LIFE:
		return (int64_t)__atomic_load_n(&l->word, __ATOMIC_ACQUIRE);
	case BH_STATUS_CHANGED:
		return (int64_t)__atomic_load_n(&l->changed, __ATOMIC_RELAXED);
	case BH_STATUS_ERROR:
		return (int64_t)__atomic_load_n(&l->error, __ATOMIC_RELAXED);
	default:
		return BH_EINVAL;
	}
}

static int64_t control(const struct vcpu *vcpu, uint32_t request)
{
	const uint16_t partition = named(vcpu, vcpu->partition->health->controls);

	if (partition == CONFIG_NONE)
		return BH_EINVAL;
	health_ask(partition, request);
	return 0;
}

/* The code is for whoever looks at the console: the class says what happens. */
static int64_t raise_error(struct vcpu *vcpu)
{
	if (vcpu->regs[REG_RDI] > 255)
		return BH_EINVAL;
	guest_error(vcpu, ERROR_APPLICATION, 0, "code", vcpu->regs[REG_RDI]);
	return 0;
}

int64_t call_health(struct vcpu *vcpu)
{
	switch (vcpu->regs[REG_RAX]) {
	case BH_PARTITION_STATUS:
		return status(vcpu);
	case BH_PARTITION_STOP:
		return control(vcpu, HEALTH_STOP);
	case BH_PARTITION_START:
		return control(vcpu, HEALTH_START);
	case BH_PARTITION_RESET:
		return control(vcpu, HEALTH_RESET);
	case BH_HEARTBEAT:
		if (CONFIG_HEARTBEATS)
			health_heartbeat(vcpu);
		return 0;
	case BH_SEAL:
		if (CONFIG_SEALS &&
		    seal_pages(vcpu->partition_index, vcpu->regs[REG_RDI], vcpu->regs[REG_RSI], vcpu->regs[REG_RDX]))
			return 0;
		return BH_EINVAL;
	case BH_RAISE_ERROR:
		return raise_error(vcpu);
	case BH_EVENTS:
		return (int64_t)__atomic_exchange_n(&health_events[vcpu->partition_index], 0, __ATOMIC_SEQ_CST);
	default:
		return BH_ENOCALL;
	}
}

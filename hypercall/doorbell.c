// SPDX-License-Identifier: Apache-2.0
/* Doorbells: a bit in a word of the receiver's, and an interrupt when it becomes set. */
#include "abi.h"
#include "calls.h"
#include "core/core.h"
#include "core/interrupt.h"
#include "vmx/startup.h"

/* The word is the receiver's to write at any time: the core takes nothing from it but whether to interrupt just him. */
void doorbell_ring(uint32_t doorbell)
{
	const struct config_doorbell *d = &config.doorbells[doorbell];
	const struct config_vcpu *to = &config.partitions[d->partition].vcpus[d->vcpu];
	uint64_t *word = (uint64_t *)(CORE_MEMORY_BASE + config.memories[d->memory].core_at);
	const uint64_t bit = 1ull << d->bit;

	if (__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit)
		return;
	if (CONFIG_COMPANIONS && !d->vector)
		startup_post(to, EVENT_COMPANION);
	else
		interrupt_vcpu(to, d->vector);
}

int64_t call_ring(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RDI];

	if (number >= CONFIG_DOORBELLS || !(config.doorbells[number].sources >> vcpu->partition_index & 1))
		return BH_EINVAL;
	doorbell_ring((uint32_t)number);
	return 0;
}

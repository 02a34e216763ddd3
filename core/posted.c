// SPDX-License-Identifier: Apache-2.0
#include "posted.h"

#include "core.h"
#include "cpu.h"
#include "x86.h"

_Static_assert(CONFIG_VCPUS_PER_CPU <= 64, "one bit a slot");

static uint64_t slots[CONFIG_CPUS];
static uint32_t vectors[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU][8];

void posted_send(uint32_t cpu, uint32_t slot, uint32_t vector)
{
	__atomic_or_fetch(&vectors[cpu][slot][vector / 32], 1u << vector % 32, __ATOMIC_SEQ_CST);
	posted_wake(cpu, slot);
}

void posted_wake(uint32_t cpu, uint32_t slot)
{
	/* The kick goes out once for as long as nobody has looked. */
	if (!(__atomic_fetch_or(&slots[cpu], 1ull << slot, __ATOMIC_SEQ_CST) >> slot & 1) && cpu != this_cpu->index)
		wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[cpu] << 32 | 1u << 14 | POSTED_VECTOR);
}

int posted_any(uint32_t cpu)
{
	return __atomic_load_n(&slots[cpu], __ATOMIC_ACQUIRE) != 0;
}

uint64_t posted_take_slots(uint32_t cpu)
{
	return __atomic_exchange_n(&slots[cpu], 0, __ATOMIC_SEQ_CST);
}

uint32_t posted_take(uint32_t cpu, uint32_t slot, uint32_t word)
{
	return __atomic_load_n(&vectors[cpu][slot][word], __ATOMIC_ACQUIRE) ?
	               __atomic_exchange_n(&vectors[cpu][slot][word], 0, __ATOMIC_SEQ_CST) :
	               0;
}

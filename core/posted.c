// SPDX-License-Identifier: Apache-2.0
#include "posted.h"

#include "core.h"
#include "cpu.h"
#include "x86.h"

_Static_assert(CONFIG_VCPUS_PER_CPU <= 64, "one bit a slot");
_Static_assert(sizeof(struct posted) == 64, "SDM Vol. 3C, table 30-1");

uint64_t posted_slots[CONFIG_CPUS];
struct posted posted_descriptor[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

static void kick(uint32_t cpu, uint32_t vector)
{
	wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[cpu] << 32 | 1u << 14 | vector);
}

/* Whoever closes does so first and looks for requests then: so it sees this one, or SN is seen here. */
void posted_send(uint32_t cpu, uint32_t slot, uint32_t vector)
{
	struct posted *d = &posted_descriptor[cpu][slot];

	__atomic_or_fetch(&d->requests[vector / 64], 1ull << vector % 64, __ATOMIC_SEQ_CST);
	if (cpu == this_cpu->index || __atomic_load_n(&d->control, __ATOMIC_SEQ_CST) & POSTED_SN)
		posted_wake(cpu, slot);
	else if (!(__atomic_fetch_or(&d->control, POSTED_ON, __ATOMIC_SEQ_CST) & POSTED_ON))
		kick(cpu, POSTED_NOTIFY_VECTOR);
}

void posted_wake(uint32_t cpu, uint32_t slot)
{
	/* The kick goes out once for as long as nobody has looked. */
	if (!(__atomic_fetch_or(&posted_slots[cpu], 1ull << slot, __ATOMIC_SEQ_CST) & 1ull << slot) &&
	    cpu != this_cpu->index)
		kick(cpu, POSTED_KICK_VECTOR);
}

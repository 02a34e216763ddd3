// SPDX-License-Identifier: Apache-2.0
#include "xapic.h"

#include "core/core.h"
#include "core/cpu.h"
#include "core/x86.h"
#include "exit.h"
#include "pins.h"

#define mine (&this_cpu->scheduled)

/* A vCPU's logical destinations, for all CPUs, written by its own: LDR's upper byte, and these. 0: x2APIC mode, its ID says it. */
#define LOGICAL_XAPIC (1u << 8)
#define LOGICAL_CLUSTER (1u << 9)
static uint32_t logical_id[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

static struct lapic *lapic_of(const struct vcpu *vcpu)
{
	return &mine->vcpu[vcpu - this_cpu->vcpu].lapic;
}

int xapic_is_on(const struct vcpu *vcpu)
{
	return vcpu->partition->xapic && !lapic_of(vcpu)->x2apic;
}

void xapic_note_logical(const struct vcpu *vcpu)
{
	const struct lapic *l = lapic_of(vcpu);
	const uint32_t model = l->reg[LAPIC_DFR / 4] >> 28 == 15 ? 0 : LOGICAL_CLUSTER;

	__atomic_store_n(&logical_id[this_cpu->index][vcpu - this_cpu->vcpu],
	                 l->x2apic ? 0 : LOGICAL_XAPIC | model | l->reg[LAPIC_LDR / 4] >> 24, __ATOMIC_RELEASE);
}

int xapic_receives(const struct config_partition *p, uint32_t index, uint32_t destination, uint32_t logical)
{
	const struct config_vcpu *v = &p->vcpus[index];
	const uint32_t word = __atomic_load_n(&logical_id[v->cpu][v->slot], __ATOMIC_ACQUIRE);

	if (destination == 0xff) /* all, in every mode (11.6.2.1 to 11.6.2.3) */
		return 1;
	if (!logical)
		return destination == v->apic_id;
	if (!(word & LOGICAL_XAPIC)) /* 8 bits reach the first cluster, and of it 8 (11.12.10.2) */
		return v->apic_id < 8 && (destination >> v->apic_id & 1);
	if (word & LOGICAL_CLUSTER)
		return destination >> 4 == (word >> 4 & 0xf) && (destination & word & 0xf);
	return (destination & word & 0xff) != 0;
}

void xapic_to_x2apic(struct vcpu *vcpu)
{
	lapic_to_x2apic(lapic_of(vcpu), vcpu->partition->vcpus[vcpu->index].apic_id);
	xapic_note_logical(vcpu);
}

static enum mmio_result send(struct vcpu *vcpu, const struct lapic *l)
{
	const uint32_t destination = l->reg[LAPIC_ICR2 / 4] >> 24;
	const uint64_t icr = (uint64_t)destination << 32 | l->reg[LAPIC_ICR / 4];

	if (apic_send(vcpu, icr) || guest_error(vcpu, ERROR_INTERRUPT, VECTOR_GP, "interrupt command", icr))
		return MMIO_DONE;
	return MMIO_EVENT;
}

/* Registers are 32 bits wide, 16 bytes apart; what other accesses do is undefined (11.4.1): they read as 0 or what lies there, and write nothing. */
enum mmio_result xapic_access(struct vcpu *vcpu, uint32_t offset, const struct decoded *d, uint64_t *value)
{
	struct lapic *l = lapic_of(vcpu);
	uint32_t word = 0;

	if (l->x2apic)
		return MMIO_NONE;
	if (!d->write) {
		lapic_read(l, offset, rdtsc(), &word);
		*value = word;
		return MMIO_DONE;
	}
	if (d->size != 4)
		return MMIO_DONE;
	mine->changed = 1;
	switch (lapic_write(l, offset, (uint32_t)*value, rdtsc())) {
	case LAPIC_SEND:
		return send(vcpu, l);
	case LAPIC_ENDED:
		if (CONFIG_IOAPICS)
			pins_ended(vcpu, l->ended);
		break;
	default:
		break;
	}
	if (offset == LAPIC_LDR || offset == LAPIC_DFR)
		xapic_note_logical(vcpu);
	return MMIO_DONE;
}

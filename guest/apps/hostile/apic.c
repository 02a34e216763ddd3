// SPDX-License-Identifier: Apache-2.0
/*
 * The local APIC that the partition does have: delivery modes that would reach root mode, enable bit and priorities,
 * interrupts from itself without end, NMIs to itself while it handles one. SDM Vol. 3A, 11.5 and 11.12.
 */
#include "hostile.h"

#define X2APIC_ESR 0x828u
#define ICR_SELF_NMI (1ull << 18 | 1ull << 14 | 4ull << 8)
#define MODE_BITS (7ull << 8)
#define NMI_VECTOR 2u
#define FIRST 16u
#define SPURIOUS 255u
#define BURST 50u
#define ERROR_CODES (1u << 17 | 1u << 21 | 1u << 29 | 1u << 30) /* the kit expects an error code there */

static const uint32_t lvt[] = { 0x82f, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837 };
static const uint64_t modes[] = { 2, 4, 5, 7, 1, 3, 6 }; /* SMI, NMI, INIT, ExtINT, reserved */
static volatile uint64_t taken, nmis, depth;

struct write {
	uint32_t number;
	uint64_t value;
};

static void do_write(void *argument)
{
	const struct write *w = argument;
	wrmsr(w->number, w->value);
}

bool wrote(struct attack *a, uint32_t number, uint64_t value)
{
	struct write w = { number, value };
	return attempt(a, do_write, &w);
}

static void on_vector(struct kit_frame *frame)
{
	taken++;
	if (frame->vector < 32)
		wrmsr(X2APIC_EOI, 0);
}

/* NMIs are blocked in here: three more must come as one, behind the IRET. */
static void on_nmi(struct kit_frame *frame)
{
	(void)frame;
	if (depth)
		nmis += 1000; /* inside another */
	depth = 1;
	if (nmis++ == 0)
		for (unsigned i = 0; i < 3; i++)
			wrmsr(X2APIC_ICR, ICR_SELF_NMI);
	cpuid(0, 0);
	depth = 0;
}

/* Each entry in each mode, unmasked, and an APIC error to set one off. */
static void local_vectors(struct attack *a)
{
	for (unsigned i = 0; i < sizeof lvt / sizeof lvt[0]; i++)
		for (unsigned m = 0; m < sizeof modes / sizeof modes[0]; m++) {
			wrote(a, lvt[i], modes[m] << 8 | 0xe0);
			if ((lvt[i] == 0x832 || lvt[i] == 0x837) && rdmsr(lvt[i]) & MODE_BITS)
				breach(a, "delivery mode of a real local vector", lvt[i]);
			wrote(a, X2APIC_SELF_IPI, 3); /* an illegal vector: error */
			wrote(a, X2APIC_ESR, 0);
			cpuid(0, 0);
			wrote(a, lvt[i], 1u << 16);
		}
}

static void storm(struct attack *a)
{
	for (uint32_t vector = FIRST; vector < SPURIOUS; vector++) {
		if (vector < 32 && ERROR_CODES >> vector & 1)
			continue;
		kit_handle((uint8_t)vector, on_vector);
		taken = 0;
		for (unsigned i = 0; i < BURST; i++) {
			wrote(a, X2APIC_SELF_IPI, vector);
			wrote(a, X2APIC_ICR, 1u << 18 | vector);
			sti();
			pause();
			cli();
		}
		if (taken < BURST || taken > 2 * BURST)
			breach(a, "interrupts from itself lost or multiplied, vector", vector);
		kit_handle((uint8_t)vector, 0);
	}
}

void attack_apic(struct attack *a, const struct kit_info *info)
{
	(void)info;
	local_vectors(a);
	wrote(a, X2APIC_SVR, SPURIOUS); /* software-disabled: the hypervisor's NMI must still get in */
	cpuid(0, 0);
	wrote(a, X2APIC_SVR, 0x100 | SPURIOUS);
	for (uint64_t priority = 0; priority < 16; priority++) {
		wrote(a, X2APIC_TPR, priority << 4);
		cpuid(0, 0);
	}
	wrote(a, X2APIC_TPR, 0);
	storm(a);
	kit_handle(NMI_VECTOR, on_nmi);
	nmis = 0;
	wrote(a, X2APIC_ICR, ICR_SELF_NMI);
	for (unsigned i = 0; i < 10; i++)
		cpuid(0, 0);
	if (nmis != 2)
		breach(a, "NMIs taken, not 2", nmis);
}

// SPDX-License-Identifier: Apache-2.0
/* See format.h. Sections are those of the VT-d specification 4.1. */
#include "vtd/format.h"

static uint32_t lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* 11.4.2, 11.4.3 */
const char *vtd_combine(struct vtd_ability *all, uint64_t cap, uint64_t ecap)
{
	const uint32_t pages = cap >> 34 & 3;

	all->depths &= cap >> 8 & 0x1f;
	if (!(ecap & VTD_ECAP_QI))
		return "it has no queued invalidation";
	if (!(ecap & VTD_ECAP_IR))
		return "it cannot remap interrupts";
	if (!all->depths)
		return "it has no tables of three or four levels, or not the same as the others";
	all->levels = all->depths & 4 ? 4 : 3;
	all->width = lesser(lesser(all->width, all->levels == 3 ? 39 : 48), (uint32_t)(cap >> 16 & 0x3f) + 1);
	all->max_shift = lesser(all->max_shift, pages & 1 ? pages & 2 ? 30 : 21 : 12);
	all->domains = lesser(all->domains, 1u << (4 + 2 * (cap & 7)));
	all->coherent &= (ecap & VTD_ECAP_COHERENT) != 0;
	all->extended &= (ecap & VTD_ECAP_EIM) != 0;
	return 0;
}

/* 9.3: present, translation type 0; address width 1 is 39 bits, 2 is 48 bits. */
void vtd_context_entry(uint64_t entry[2], uint64_t table, uint32_t levels, uint32_t domain)
{
	entry[1] = (uint64_t)domain << 8 | (levels - 2);
	entry[0] = table | VTD_PRESENT;
}

/* Source validation type 1, qualifier 0: the whole source ID must match. */
void vtd_interrupt_entry(uint64_t entry[2], const struct vtd_interrupt *x, int extended)
{
	entry[1] = 1u << 18 | x->source;
	entry[0] = (uint64_t)(extended ? x->apic_id : x->apic_id << 8) << 32 | (uint32_t)x->vector << 16 |
	           (uint32_t)(x->level != 0) << 4 | VTD_PRESENT;
}

int vtd_fault_decode(struct vtd_fault *f, uint64_t low, uint64_t high)
{
	f->reason = (uint8_t)(high >> 32);
	f->source = (uint16_t)high;
	f->write = !(high >> 62 & 1);
	f->address = f->reason < VTD_FAULT_INTERRUPT ? low & ~0xfffull : 0;
	f->index = f->reason < VTD_FAULT_INTERRUPT ? 0 : (uint32_t)(low >> 48);
	return high >> 63 != 0;
}

/* 7.1.3 and 7.3 (tables 25 and 26 in their order) */
const char *vtd_fault_text(uint8_t reason)
{
	static const char *const memory[] = {
		"unknown reason",
		"no partition has a device on this bus",
		"no partition has this device",
		"the context entry is wrong",
		"the address is beyond the tables' width",
		"no right to write there",
		"no right to read there",
		"a table cannot be read",
		"the root entry cannot be read",
		"the context entry cannot be read",
		"reserved bits in the root entry",
		"reserved bits in the context entry",
		"reserved bits in a table",
		"the device may not ask for translations",
	};
	static const char *const interrupt[] = {
		"reserved bits in the request",         "the index is beyond the table",
		"no partition has this interrupt",      "the remapping entry cannot be read",
		"reserved bits in the remapping entry", "not in remappable format",
		"another device's interrupt",
	};

	if (reason < sizeof memory / sizeof *memory)
		return memory[reason];
	if (reason >= VTD_FAULT_INTERRUPT && reason - VTD_FAULT_INTERRUPT < sizeof interrupt / sizeof *interrupt)
		return interrupt[reason - VTD_FAULT_INTERRUPT];
	return memory[0];
}

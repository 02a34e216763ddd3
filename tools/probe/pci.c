// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI functions of segment 0 as they hang together, each with a group: functions in one group can reach each other past any
 * remapping unit. A function gets a group of its own if nothing else is in its device, or if its ACS says that its requests go up
 * first; behind a bridge without ACS everything is in the bridge's group. PCI Express Base Specification 6.12 (ACS).
 */
#include "boot/loader.h"
#include "tools/probe/probe.h"

#define DEPTH_MAX 6u
#define ADDRESS 0xcf8u
#define DATA 0xcfcu
#define MULTI_FUNCTION 0x80u
#define EXTENDED_ID_ACS 0x000du
#define ACS_NEEDED 0x1du /* source validation, request and completion redirect, upstream forwarding */
#define EXTENDED_STEPS 96u
#define DMAR_HEADER 48u
#define DMAR_RMRR 1u
#define MCFG_FIRST 44u

struct walk {
	uint8_t devfn[DEPTH_MAX];
	uint8_t root_bus;
	uint32_t depth;
};

static uint64_t ecam; /* of segment 0, bus 0; 0: there is none */
static const uint8_t *rmrrs;
static uint32_t rmrrs_length, groups, functions;
static uint8_t visited[256];

static uint32_t read32(uint32_t bus, uint32_t devfn, uint32_t at)
{
	uint32_t value;

	__asm__ volatile("outl %0, %w1" : : "a"(0x80000000u | bus << 16 | devfn << 8 | (at & 0xfc)), "Nd"(ADDRESS));
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(DATA));
	return value;
}

static int present(uint32_t bus, uint32_t devfn)
{
	return (read32(bus, devfn, 0) & 0xffff) != 0xffff;
}

/* Does the function's ACS keep its requests from its neighbours? */
static int isolates(uint32_t bus, uint32_t devfn)
{
	const volatile uint8_t *space = (const volatile uint8_t *)(ecam + (bus << 20 | devfn << 12));
	uint32_t at = 0x100;

	for (uint32_t i = 0; ecam && i < EXTENDED_STEPS && at >= 0x100; i++) {
		const uint32_t header = *(const volatile uint32_t *)(space + at);

		if (header == 0 || header == 0xffffffff)
			return 0;
		if ((header & 0xffff) == EXTENDED_ID_ACS)
			return (*(const volatile uint32_t *)(space + at + 4) & ACS_NEEDED) == ACS_NEEDED;
		at = header >> 20 & ~3u;
	}
	return 0;
}

/* Does a scope of an RMRR lead to this function? VT-d specification, 8.3.1 and 8.4. */
static int scope_is(const uint8_t *scope, uint32_t length, const struct walk *w)
{
	if (length < 8 || scope[5] != w->root_bus || (length - 6) / 2 != w->depth)
		return 0;
	for (uint32_t i = 0; i < w->depth; i++)
		if ((scope[6 + 2 * i] << 3 | scope[7 + 2 * i]) != w->devfn[i])
			return 0;
	return 1;
}

static uint32_t le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static int has_rmrr(const struct walk *w)
{
	for (uint32_t at = DMAR_HEADER, size; at + 4 <= rmrrs_length; at += size) {
		size = le16(rmrrs + at + 2);
		if (size < 4 || size > rmrrs_length - at)
			return 0;
		for (uint32_t s = 24; le16(rmrrs + at) == DMAR_RMRR && s + 6 <= size && rmrrs[at + s + 1] >= 6;
		     s += rmrrs[at + s + 1])
			if (s + rmrrs[at + s + 1] <= size && scope_is(rmrrs + at + s, rmrrs[at + s + 1], w))
				return 1;
	}
	return 0;
}

static void tell(const struct walk *w, uint32_t bus, uint32_t devfn, uint32_t group)
{
	const uint32_t id = read32(bus, devfn, 0), class = read32(bus, devfn, 8) >> 8;

	functions++;
	add(functions == 1 ? "pci:\n  - {function: \"0000:" : "  - {function: \"0000:");
	add_hex(w->root_bus, 2);
	for (uint32_t i = 0; i < w->depth; i++) {
		add(i ? "/" : ":");
		add_hex(w->devfn[i] >> 3, 2);
		add(".");
		add_hex(w->devfn[i] & 7, 1);
	}
	add("\", group: \"");
	add_number(group);
	add(has_rmrr(w) ? "\", rmrr: \"true\"} # " : "\"} # ");
	add_hex(id & 0xffff, 4);
	add(":");
	add_hex(id >> 16, 4);
	add(" class ");
	add_hex(class, 6);
	add("\n");
	say("PCI bus %lu, device %lu, function %lu: %lx:%lx, class %lx, group %lu%s", (uint64_t)bus,
	    (uint64_t)devfn >> 3, (uint64_t)devfn & 7, (uint64_t)id & 0xffff, (uint64_t)id >> 16, (uint64_t) class,
	    (uint64_t)group, has_rmrr(w) ? ", the firmware goes on using memory of it (RMRR)" : "");
}

/* All functions of a bus. group: of the bridge that leads here, 0: each device has one of its own. */
static void walk_bus(struct walk *w, uint32_t bus, uint32_t group)
{
	visited[bus] = 1;
	for (uint32_t device = 0; device < 32; device++) {
		const uint32_t last = present(bus, device << 3) && read32(bus, device << 3, 12) >> 16 & MULTI_FUNCTION ?
		                              8 :
		                              1;
		uint32_t shared = group;

		for (uint32_t devfn = device << 3; devfn < (device << 3) + last; devfn++) {
			if (!present(bus, devfn))
				continue;
			const int apart = isolates(bus, devfn);

			if (!shared && !apart)
				shared = ++groups;
			const uint32_t mine = group ? group : apart ? ++groups : shared;
			const uint32_t bridge = (read32(bus, devfn, 12) >> 16 & 0x7f) == 1,
				       below = read32(bus, devfn, 24) >> 8 & 0xff;

			w->devfn[w->depth++] = (uint8_t)devfn;
			tell(w, bus, devfn, mine);
			if (bridge && below > bus && !visited[below] && w->depth < DEPTH_MAX)
				walk_bus(w, below, apart ? 0 : mine);
			w->depth--;
		}
	}
}

void probe_pci(uint64_t mcfg, uint64_t dmar, uint32_t dmar_length)
{
	const uint8_t *table = (const uint8_t *)mcfg;

	if (mcfg && *(const uint32_t *)(table + 4) >= MCFG_FIRST + 16 && le16(table + MCFG_FIRST + 8) == 0)
		ecam = *(const uint32_t *)(table + MCFG_FIRST) | (uint64_t) * (const uint32_t *)(table + MCFG_FIRST + 4)
		                                                         << 32;
	rmrrs = (const uint8_t *)dmar;
	rmrrs_length = dmar_length;
	for (uint32_t bus = 0; bus < 256; bus++) {
		struct walk w = { .root_bus = (uint8_t)bus };
		uint32_t any = 0;

		for (uint32_t devfn = 0; devfn < 256 && !visited[bus] && !any; devfn += 8)
			any = present(bus, devfn) != 0;
		if (any)
			walk_bus(&w, bus, 0);
	}
	say("PCI: %lu functions in %lu groups", (uint64_t)functions, (uint64_t)groups);
}

// SPDX-License-Identifier: Apache-2.0
/* See dmar.h. */
#include "vtd/dmar.h"

#include "core/acpi.h"

#define TABLE_FIRST 48u /* of the structures in a DMAR table */
#define DRHD 0u
#define DRHD_LENGTH 16u
#define DRHD_ALL 1u
#define RMRR 1u
#define RMRR_LENGTH 24u
#define SCOPE_LENGTH 6u /* and two bytes for each step of its path */
#define MCFG_FIRST 44u
#define MCFG_ENTRY 16u
#define BUS_BYTES (1ull << 20) /* of configuration space */
#define ADDRESS_LIMIT (1ull << 52)

#define HEADER_TYPE 0x0cu /* PCI 3.0, 6.2.1: in bits 22:16 of this word */
#define BUS_NUMBERS 0x18u
#define HEADER_BRIDGE 1u

static const char *parse_scope(const uint8_t *p, uint32_t left, struct dmar *dmar)
{
	struct dmar_scope *s = &dmar->scope[dmar->scope_count];

	if (left < SCOPE_LENGTH || p[1] < SCOPE_LENGTH + 2 || p[1] > left || p[1] & 1)
		return "a device scope has a wrong length";
	if ((p[1] - SCOPE_LENGTH) / 2u > CONFIG_PATH_MAX)
		return "a device scope's path is too long";
	if (dmar->scope_count == DMAR_MAX_SCOPES)
		return "too many device scopes";
	*s = (struct dmar_scope){ .type = p[0], .id = p[4] };
	s->path.bus = p[5];
	s->path.depth = (uint8_t)((p[1] - SCOPE_LENGTH) / 2);
	for (uint32_t i = 0; i < s->path.depth; i++) {
		const uint8_t device = p[SCOPE_LENGTH + 2 * i], function = p[SCOPE_LENGTH + 2 * i + 1];

		if (device > 31 || function > 7)
			return "a device scope's path has an impossible step";
		s->path.devfn[i] = (uint8_t)(device << 3 | function);
	}
	dmar->scope_count++;
	return 0;
}

/* The scopes from `at` to the end of a structure. */
static const char *parse_scopes(const uint8_t *p, uint32_t at, uint32_t length, struct dmar *dmar, uint16_t *count)
{
	for (*count = 0; at < length; at += p[at + 1], (*count)++) {
		const char *wrong = parse_scope(p + at, length - at, dmar);

		if (wrong)
			return wrong;
	}
	return 0;
}

static const char *parse_unit(const uint8_t *p, uint32_t length, struct dmar *dmar)
{
	struct dmar_unit *u = &dmar->unit[dmar->unit_count];

	if (dmar->unit_count == DMAR_MAX_UNITS)
		return "too many remapping units";
	*u = (struct dmar_unit){ acpi_number(p + 8, 8), (uint16_t)acpi_number(p + 6, 2), (uint16_t)dmar->scope_count, 0,
		                 p[4] & DRHD_ALL };
	if (!u->registers || u->registers % PAGE_SIZE || u->registers >= ADDRESS_LIMIT)
		return "a remapping unit's registers are at an impossible address";
	for (uint32_t i = 0; i < dmar->unit_count; i++) {
		if (dmar->unit[i].registers == u->registers)
			return "two remapping units have the same registers";
		if (dmar->unit[i].segment == u->segment && dmar->unit[i].all && u->all)
			return "two remapping units take all devices of a segment";
	}
	dmar->unit_count++;
	return parse_scopes(p, DRHD_LENGTH, length, dmar, &u->scope_count);
}

static const char *parse_region(const uint8_t *p, uint32_t length, struct dmar *dmar)
{
	struct dmar_region *r = &dmar->region[dmar->region_count];

	if (dmar->region_count == DMAR_MAX_REGIONS)
		return "too many reserved regions";
	*r = (struct dmar_region){ acpi_number(p + 8, 8), acpi_number(p + 16, 8), (uint16_t)acpi_number(p + 6, 2),
		                   (uint16_t)dmar->scope_count, 0 };
	if (r->base % PAGE_SIZE || (r->limit + 1) % PAGE_SIZE || r->limit < r->base)
		return "a reserved region is empty or not made of pages";
	dmar->region_count++;
	return parse_scopes(p, RMRR_LENGTH, length, dmar, &r->scope_count);
}

const char *dmar_parse(const uint8_t *table, uint32_t length, struct dmar *dmar, uint32_t *offset)
{
	const char *wrong = 0;
	uint32_t n;

	dmar->unit_count = dmar->region_count = dmar->scope_count = 0;
	*offset = 0;
	if (length < TABLE_FIRST)
		return "it is too short";
	dmar->width = (uint8_t)(table[36] + 1);
	dmar->flags = table[37];
	for (uint32_t at = TABLE_FIRST; at < length && !wrong; at += n) {
		const uint8_t *p = table + at;
		const uint32_t left = length - at, type = left < 4 ? 0 : (uint32_t)acpi_number(p, 2);

		*offset = at;
		n = left < 4 ? 0 : (uint32_t)acpi_number(p + 2, 2);
		if (n < 4 || n > left || (type == DRHD && n < DRHD_LENGTH) || (type == RMRR && n < RMRR_LENGTH))
			return "a structure has a wrong length";
		if (type == DRHD)
			wrong = parse_unit(p, n, dmar);
		else if (type == RMRR)
			wrong = parse_region(p, n, dmar);
	}
	return wrong || dmar->unit_count ? wrong : "it lists no remapping unit";
}

const char *mcfg_parse(const uint8_t *table, uint32_t length, struct mcfg *mcfg, uint32_t *offset)
{
	mcfg->count = 0;
	for (uint32_t at = MCFG_FIRST; at + MCFG_ENTRY <= length; at += MCFG_ENTRY) {
		const uint8_t *p = table + at;
		struct mcfg_area *a = &mcfg->area[mcfg->count];

		*offset = at;
		if (mcfg->count == MCFG_MAX_AREAS)
			return "too many areas";
		*a = (struct mcfg_area){ acpi_number(p, 8), (uint16_t)acpi_number(p + 8, 2), p[10], p[11] };
		if (!a->base || a->base % BUS_BYTES || a->base >= ADDRESS_LIMIT || a->first > a->last)
			return "an area has an impossible address or bus range";
		for (uint32_t i = 0; i < mcfg->count; i++)
			if (mcfg->area[i].segment == a->segment && a->first <= mcfg->area[i].last &&
			    mcfg->area[i].first <= a->last)
				return "two areas have the same buses";
		mcfg->count++;
	}
	*offset = 0;
	return mcfg->count ? 0 : "it lists no area";
}

/* Is there a bridge? Then its bus numbers: secondary in bits 15:8, subordinate in bits 23:16. */
static int bridge(uint16_t segment, uint16_t source, pci_reader *read, void *context, uint32_t *buses)
{
	const uint32_t header = read(context, segment, source, HEADER_TYPE) >> 16 & 0x7f;

	*buses = read(context, segment, source, BUS_NUMBERS);
	return header == HEADER_BRIDGE && (*buses >> 8 & 0xff) > source >> 8;
}

int pci_resolve(const struct config_path *path, uint16_t segment, pci_reader *read, void *context, uint16_t *source)
{
	uint32_t bus = path->bus, buses;

	for (uint32_t i = 0; i + 1u < path->depth; i++) {
		if (!bridge(segment, (uint16_t)(bus << 8 | path->devfn[i]), read, context, &buses))
			return 0;
		bus = buses >> 8 & 0xff;
	}
	*source = (uint16_t)(bus << 8 | path->devfn[path->depth - 1]);
	return 1;
}

static void resolve(struct dmar_scope *s, uint16_t segment, pci_reader *read, void *context)
{
	uint32_t buses;

	s->there = (uint8_t)pci_resolve(&s->path, segment, read, context, &s->source);
	if (s->there && s->type == DMAR_BRIDGE && bridge(segment, s->source, read, context, &buses)) {
		s->first_bus = (uint8_t)(buses >> 8);
		s->last_bus = (uint8_t)(buses >> 16);
	}
}

static int covers(const struct dmar_scope *s, uint16_t source)
{
	if (!s->there || s->type > DMAR_HPET)
		return 0;
	return s->source == source || (s->first_bus && s->first_bus <= source >> 8 && source >> 8 <= s->last_bus);
}

/* Index of the scope among these that covers the device, or DMAR_NONE. */
static uint32_t find(const struct dmar *dmar, uint32_t first, uint32_t count, uint16_t source)
{
	for (uint32_t i = first; i < first + count; i++)
		if (covers(&dmar->scope[i], source))
			return i;
	return DMAR_NONE;
}

const char *dmar_resolve(struct dmar *dmar, pci_reader *read, void *context)
{
	for (uint32_t i = 0; i < dmar->unit_count; i++) {
		const struct dmar_unit *u = &dmar->unit[i];

		for (uint32_t j = u->first_scope; j < (uint32_t)u->first_scope + u->scope_count; j++) {
			struct dmar_scope *s = &dmar->scope[j];

			resolve(s, u->segment, read, context);
			for (uint32_t k = 0; k < i && s->there; k++)
				if (dmar->unit[k].segment == u->segment &&
				    find(dmar, dmar->unit[k].first_scope, dmar->unit[k].scope_count, s->source) !=
				            DMAR_NONE)
					return "a device is in the scopes of two remapping units";
		}
	}
	for (uint32_t i = 0; i < dmar->region_count; i++)
		for (uint32_t j = 0; j < dmar->region[i].scope_count; j++)
			resolve(&dmar->scope[dmar->region[i].first_scope + j], dmar->region[i].segment, read, context);
	return 0;
}

uint32_t dmar_unit_of(const struct dmar *dmar, uint16_t segment, uint16_t source)
{
	uint32_t all = DMAR_NONE;

	for (uint32_t i = 0; i < dmar->unit_count; i++) {
		const struct dmar_unit *u = &dmar->unit[i];

		if (u->segment != segment)
			continue;
		if (find(dmar, u->first_scope, u->scope_count, source) != DMAR_NONE)
			return i;
		if (u->all)
			all = i;
	}
	return all;
}

uint32_t dmar_region_of(const struct dmar *dmar, uint16_t segment, uint16_t source)
{
	for (uint32_t i = 0; i < dmar->region_count; i++)
		if (dmar->region[i].segment == segment &&
		    find(dmar, dmar->region[i].first_scope, dmar->region[i].scope_count, source) != DMAR_NONE)
			return i;
	return DMAR_NONE;
}

uint32_t dmar_ioapic(const struct dmar *dmar, uint8_t id)
{
	for (uint32_t i = 0; i < dmar->unit_count; i++)
		for (uint32_t j = 0; j < dmar->unit[i].scope_count && dmar->unit[i].segment == 0; j++) {
			const uint32_t at = dmar->unit[i].first_scope + j;

			if (dmar->scope[at].type == DMAR_IOAPIC && dmar->scope[at].id == id && dmar->scope[at].there)
				return at;
		}
	return DMAR_NONE;
}

// SPDX-License-Identifier: Apache-2.0
/* PCI functions that partitions have, how they see them, and what to do where they cannot be confined. */
#include "mkconfig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS_MAX 32u
#define BAR_LIMIT (1ull << 40)
#define IO_BAR_MAX 256u
#define GROUP_RMRR UINT32_MAX

static const char *const iommu_names[] = { "absent_ok", "require" };

/* Reads `digits` hexadecimal digits at *at and goes on behind them, and behind `end` where that is not 0. */
static unsigned hex(unsigned line, const char *whole, const char **at, unsigned digits, char end)
{
	unsigned value = 0;

	for (unsigned i = 0; i < digits; i++, ++*at) {
		static const char known[] = "0123456789abcdef";
		const char one[2] = { **at };
		const size_t digit = strcspn(known, one); /* 16, also at the end */
		if (digit == 16 || one[0] == '\0')
			fail(line, "function: '%s' is not like 0000:00:1f.2, or 0000:00:1c.0/00.0 behind a bridge",
			     whole);
		value = value << 4 | (unsigned)digit;
	}
	if (end != '\0' && *(*at)++ != end)
		fail(line, "function: '%s' is not like 0000:00:1f.2, or 0000:00:1c.0/00.0 behind a bridge", whole);
	return value;
}

static struct config_path parse_path(unsigned line, const char *whole)
{
	struct config_path path = { 0 };
	const char *at = whole;

	if (hex(line, whole, &at, 4, ':') != 0)
		fail(line, "function: '%s' is not in segment 0000; only that one is supported", whole);
	path.bus = (uint8_t)hex(line, whole, &at, 2, ':');
	for (;;) {
		unsigned device, function;
		if (path.depth == CONFIG_PATH_MAX)
			fail(line, "function: '%s' has more than %u steps", whole, CONFIG_PATH_MAX);
		device = hex(line, whole, &at, 2, '.');
		function = hex(line, whole, &at, 1, '\0');
		if (device > 31 || function > 7)
			fail(line, "function: '%s' has a device above 1f or a function above 7", whole);
		path.devfn[path.depth++] = (uint8_t)(device << 3 | function);
		if (*at == '\0')
			return path;
		if (*at++ != '/')
			fail(line, "function: '%s' is not like 0000:00:1f.2, or 0000:00:1c.0/00.0 behind a bridge",
			     whole);
	}
}

static const char *path_text(const struct config_path *path)
{
	const char *list = text("0000:%02x:", path->bus);

	for (unsigned i = 0; i < path->depth; i++)
		list = text("%s%s%02x.%x", list, i > 0 ? "/" : "", path->devfn[i] >> 3, path->devfn[i] & 7);
	return list;
}

static void parse_id(unsigned line, const char *string, struct config_device *d)
{
	unsigned vendor, device;
	int used = 0;

	if (sscanf(string, "%4x:%4x%n", &vendor, &device, &used) != 2 || used != 9 || string[used] != '\0' ||
	    vendor == 0)
		fail(line, "id: '%s' is not like 8086:100e, vendor:device in hexadecimal digits", string);
	d->vendor = (uint16_t)vendor;
	d->device = (uint16_t)device;
}

/* Of the host bridge in config/acpi/dsdt.asl. */
static const struct range windows[] = { { 0xc0000000, 0x3ec00000 }, { GIB(32), GIB(32) } };

static bool in_window(const struct config_bar *bar)
{
	for (unsigned i = 0; i < LENGTH(windows); i++)
		if (bar->gpa >= windows[i].start && bar->gpa - windows[i].start <= windows[i].size &&
		    bar->size <= windows[i].size - (bar->gpa - windows[i].start))
			return true;
	return false;
}

/* The size in the tables is what the partition reaches: a page at least. What else may be in it is for the one to say who knows the machine, and for
 * the core to check. */
static void parse_bar_size(const char *path, const struct in_bar *in, struct config_bar *bar)
{
	static const char *const pages[] = { "own" };
	const unsigned line = line_of("%s/size", path);

	bar->size = parse_size(line, "size", in->size, 16, BAR_LIMIT);
	if (in->page != NULL) {
		parse_name(line_of("%s/page", path), "page", in->page, pages, LENGTH(pages));
		if (bar->size >= PAGE_SIZE)
			fail(line_of("%s/page", path), "page: the BAR has whole pages of its own");
		bar->small = (uint16_t)bar->size;
		bar->size = PAGE_SIZE;
	} else if (bar->size < PAGE_SIZE) {
		fail(line,
		     "size: %" PRIu64
		     " is less than a page, and the partition reaches all of that page: say 'page: own' if nothing "
		     "else is in it, which the core checks",
		     bar->size);
	}
}

static void parse_bar(const char *path, const struct in_bar *in, struct config_device *d)
{
	static const char *const kinds[] = { "memory", "io" };
	struct config_bar bar = { 0 };
	unsigned number = (unsigned)parse_number(line_of("%s/bar", path), "bar", in->bar, 0, CONFIG_BARS - 1);

	if (in->as != NULL)
		bar.io = (uint8_t)parse_name(line_of("%s/as", path), "as", in->as, kinds, LENGTH(kinds));
	if (bar.io) {
		bar.hpa = parse_number(line_of("%s/at", path), "at", in->at, 1, UINT16_MAX);
		bar.size = parse_number(line_of("%s/size", path), "size", in->size, 4, IO_BAR_MAX);
	} else {
		bar.hpa = parse_size(line_of("%s/at", path), "at", in->at, PAGE_SIZE, BAR_LIMIT);
		parse_bar_size(path, in, &bar);
	}
	if (in->page != NULL && bar.io)
		fail(line_of("%s/page", path), "page: ports are not in pages");
	bar.gpa = bar.hpa;
	if (in->gpa != NULL && bar.io)
		fail(line_of("%s/gpa", path), "gpa: ports are where they are");
	if (in->gpa != NULL)
		bar.gpa = parse_size(line_of("%s/gpa", path), "gpa", in->gpa, PAGE_SIZE, BAR_LIMIT);
	if (!bar.io && !in_window(&bar))
		fail(line_of("%s/%s", path, in->gpa != NULL ? "gpa" : "at"),
		     "%s: the partition's PCI bus has 0x%" PRIx64 "-0x%" PRIx64 " and 0x%" PRIx64 "-0x%" PRIx64
		     "; give the BAR a place there (gpa)",
		     in->gpa != NULL ? "gpa" : "at", windows[0].start, windows[0].start + windows[0].size - 1,
		     windows[1].start, windows[1].start + windows[1].size - 1);
	if (d->bars[number].size != 0)
		fail(line_of("%s/bar", path), "bar: number %u stands twice", number);
	d->bars[number] = bar;
}

bool pci_has_interrupts(const struct in_partition *in)
{
	for (unsigned i = 0; i < in->devices_count; i++)
		if (in->devices[i].irq != NULL)
			return true;
	return false;
}

static struct config_device parse_device(struct plan *plan, unsigned partition, unsigned index)
{
	static const char *const resets[] = { "absent_ok", "required" };
	const struct in_device *in = &plan->in->partitions[partition].devices[index];
	const char *path = text("partitions/%u/devices/%u", partition, index);
	struct config_interrupt x = { .partition = (uint16_t)partition };
	struct config_device d = {
		.partition = (uint16_t)partition, .vectors = 1, .slot = (uint8_t)(index + 1), .reset_required = 1
	};

	d.path = parse_path(line_of("%s/function", path), in->function);
	if (in->vectors != NULL)
		d.vectors = (uint16_t)parse_number(line_of("%s/vectors", path), "vectors", in->vectors, 0, VECTORS_MAX);
	if (in->id != NULL)
		parse_id(line_of("%s/id", path), in->id, &d);
	if (in->slot != NULL)
		d.slot = (uint8_t)parse_number(line_of("%s/slot", path), "slot", in->slot, 1, DEVICE_SLOTS);
	if (in->reset != NULL)
		d.reset_required = (uint8_t)parse_name(line_of("%s/reset", path), "reset", in->reset, resets,
		                                       LENGTH(resets));
	for (unsigned i = 0; i < in->bars_count; i++)
		parse_bar(text("%s/bars/%u", path, i), &in->bars[i], &d);
	if (in->irq != NULL) {
		x.irq = (uint8_t)parse_number(line_of("%s/irq", path), "irq", in->irq, 0, CONFIG_MAX_IRQ);
		x.pin = (uint8_t)DEVICE_PIN(d.slot);
		interrupt_wiring(&x, path, in->trigger, in->polarity);
		interrupt_add(plan, line_of("%s/irq", path), x, ORIGIN_DEVICE + index);
		d.interrupt = 1;
	}
	return d;
}

static unsigned device_line(const struct plan *plan, unsigned index, const char *key)
{
	return line_of("partitions/%u/devices/%u/%s", plan->devices[index].partition, plan->device_origin[index], key);
}

static bool same_path(const struct config_path *a, const struct config_path *b)
{
	return a->bus == b->bus && a->depth == b->depth && memcmp(a->devfn, b->devfn, a->depth) == 0;
}

/* The function's group by the board's list, or GROUP_RMRR. */
static unsigned group_of(const struct plan *plan, unsigned index)
{
	const struct in_board *board = plan->in->board;
	const struct config_path *path = &plan->devices[index].path;

	for (unsigned i = 0; i < board->pci_count; i++) {
		const struct in_function *f = &board->pci[i];
		struct config_path listed = parse_path(line_of("board/pci/%u/function", i), f->function);
		if (!same_path(&listed, path))
			continue;
		if (parse_truth(line_of("board/pci/%u/rmrr", i), "rmrr", f->rmrr))
			return GROUP_RMRR;
		return (unsigned)parse_number(line_of("board/pci/%u/group", i), "group", f->group, 0, UINT16_MAX);
	}
	fail(device_line(plan, index, "function"), "function: %s is not in the board's list (line %u)", path_text(path),
	     line_of("board/pci"));
}

/* What the board's list says beyond config/validate_devices.c: functions in one group can reach each other past any remapping unit. */
static void check_board(const struct plan *plan)
{
	unsigned *group = allocate(plan->config.device_count * sizeof *group);

	for (unsigned i = 0; plan->in->board->pci_count > 0 && i < plan->config.device_count; i++) {
		const struct config_device *a = &plan->devices[i];
		group[i] = group_of(plan, i);
		if (group[i] == GROUP_RMRR)
			fail(device_line(plan, i, "function"),
			     "function: %s has memory of the firmware's that it may go on using (RMRR): it cannot be a partition's",
			     path_text(&a->path));
		for (unsigned j = 0; j < i; j++)
			if (group[i] == group[j] && a->partition != plan->devices[j].partition)
				fail(device_line(plan, i, "function"),
				     "function: %s and %s of '%s' (line %u) are in group %u, and can reach each other: both "
				     "must belong to one partition",
				     path_text(&a->path), path_text(&plan->devices[j].path),
				     plan->in->partitions[plan->devices[j].partition].name,
				     device_line(plan, j, "function"), group[i]);
	}
}

void pci_build(struct plan *plan)
{
	const struct in_file *in = plan->in;

	if (in->iommu != NULL)
		plan->config.iommu = (uint8_t)(IOMMU_ABSENT_OK + parse_name(line_of("iommu"), "iommu", in->iommu,
		                                                            iommu_names, LENGTH(iommu_names)));
	for (unsigned i = 0; i < in->partitions_count; i++) {
		const struct in_partition *p = &in->partitions[i];
		for (unsigned j = 0; j < p->devices_count; j++) {
			unsigned n = plan->config.device_count;
			if (plan->config.iommu == IOMMU_NONE)
				fail(line_of("partitions/%u/devices", i),
				     "devices: say 'iommu: require' at the top level, or 'iommu: absent_ok' on a development "
				     "machine");
			if (n == CONFIG_MAX_DEVICES)
				fail(line_of("partitions/%u/devices/%u", i, j), "devices: the limit is %u in all",
				     CONFIG_MAX_DEVICES);
			plan->devices = grow(plan->devices, n, sizeof *plan->devices);
			plan->device_origin = grow(plan->device_origin, n, sizeof *plan->device_origin);
			plan->device_origin[n] = j;
			plan->devices[n] = parse_device(plan, i, j);
			plan->config.device_count++;
		}
	}
	check_board(plan);
	plan->config.devices = plan->devices;
}

void pci_vectors(struct plan *plan)
{
	unsigned vectors = plan->config.interrupt_count;

	for (unsigned i = 0; i < plan->config.device_count; i++) {
		plan->devices[i].first_vector = (uint16_t)vectors;
		vectors += plan->devices[i].vectors;
	}
}

unsigned pci_fault_line(const struct plan *plan, const struct config_fault *f)
{
	const unsigned device = f->rule == RULE_DEVICE_MAP ? f->other : f->index;

	return device_line(plan, device,
	                   f->rule == RULE_DEVICE_BAR  ? "bars" :
	                   f->rule == RULE_DEVICE_SLOT ? "slot" :
	                                                 "function");
}

const char *pci_fault_detail(const struct plan *plan, const struct config_fault *f)
{
	unsigned device = f->rule == RULE_DEVICE_MAP ? f->other : f->index;
	const struct config_device *d = &plan->devices[device];
	const char *one = text("%s of '%s'", path_text(&d->path), plan->partitions[d->partition].name);

	if (f->rule == RULE_DEVICE_MAP)
		return text("%s, map at 0x%" PRIx64, one, plan->partitions[d->partition].maps[f->index].gpa);
	if (f->other == CONFIG_NONE)
		return one;
	d = &plan->devices[f->other];
	return text("%s and %s of '%s'", one, path_text(&d->path), plan->partitions[d->partition].name);
}

const char *pci_text(const struct plan *plan, unsigned partition)
{
	const char *list = "";

	for (unsigned i = 0; i < plan->config.device_count; i++)
		if (plan->devices[i].partition == partition)
			list = text("%s%s%s in slot %u, %u vectors", list, list[0] != '\0' ? "; " : "",
			            path_text(&plan->devices[i].path), plan->devices[i].slot, plan->devices[i].vectors);
	return list[0] != '\0' ? list : "none";
}

void emit_pci(FILE *out, const struct plan *plan)
{
	if (plan->config.device_count == 0)
		return;
	fprintf(out, "\nstatic const struct config_device devices[] = {\n");
	for (unsigned i = 0; i < plan->config.device_count; i++) {
		const struct config_device *d = &plan->devices[i];
		fprintf(out, "\t{.path = {.bus = 0x%x, .depth = %u, .devfn = {", d->path.bus, d->path.depth);
		for (unsigned j = 0; j < d->path.depth; j++)
			fprintf(out, "%s0x%x", j > 0 ? ", " : "", d->path.devfn[j]);
		fprintf(out, "}}, .partition = %u, .first_vector = %u, .vectors = %u, /* %s */\n", d->partition,
		        d->first_vector, d->vectors, path_text(&d->path));
		fprintf(out, "\t .vendor = 0x%04x, .device = 0x%04x, .slot = %u, .reset_required = %u, .interrupt = %u",
		        d->vendor, d->device, d->slot, d->reset_required, d->interrupt);
		for (unsigned j = 0; j < CONFIG_BARS; j++)
			if (d->bars[j].size != 0)
				fprintf(out,
				        ",\n\t .bars[%u] = {.hpa = 0x%" PRIx64 ", .gpa = 0x%" PRIx64
				        ", .size = 0x%" PRIx64 ", .io = %u, .small = %u}",
				        j, d->bars[j].hpa, d->bars[j].gpa, d->bars[j].size, d->bars[j].io,
				        d->bars[j].small);
		fprintf(out, "},\n");
	}
	fprintf(out, "};\n");
}

void emit_pci_members(FILE *out, const struct config *c)
{
	static const char *const constants[] = { "IOMMU_NONE", "IOMMU_ABSENT_OK", "IOMMU_REQUIRE" };

	if (c->iommu != IOMMU_NONE)
		fprintf(out, "\t.iommu = %s,\n", constants[c->iommu]);
	if (c->device_count > 0)
		fprintf(out, "\t.devices = devices,\n\t.device_count = %u,\n", c->device_count);
}

/* BARs that are memory, of the partition that has most. */
static unsigned bars_max(const struct config *c)
{
	unsigned most = 0;

	for (unsigned i = 0; i < c->partition_count; i++) {
		unsigned count = 0;
		for (unsigned j = 0; j < c->device_count * CONFIG_BARS; j++) {
			const struct config_device *d = &c->devices[j / CONFIG_BARS];
			const struct config_bar *b = &d->bars[j % CONFIG_BARS];
			count += d->partition == i && b->size != 0 && !b->io;
		}
		most = count > most ? count : most;
	}
	return most;
}

void emit_pci_sizes(FILE *out, const struct plan *plan)
{
	const struct config *c = &plan->config;
	unsigned pages = 0;

	for (unsigned i = 0; i < c->partition_count; i++)
		pages += plan->extra[i].dma_pages;
	fprintf(out,
	        "/* Are devices confined; PCI functions of partitions; their BARs that are memory, of one partition; pages of all their tables\n"
	        " * for DMA, at the worst placement, 1 at least. */\n"
	        "#define CONFIG_IOMMU %u\n#define CONFIG_DEVICES %u\n#define CONFIG_BARS_MAX %u\n#define CONFIG_DMA_PAGES %u\n",
	        c->iommu != IOMMU_NONE, c->device_count, bars_max(c), pages > 0 ? pages : 1);
}

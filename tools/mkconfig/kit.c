// SPDX-License-Identifier: Apache-2.0
/*
 * A bare-metal partition's memory: the loadable segments of a static ELF file at their physical addresses, and at the
 * end of the partition's memory one page with struct kit_info and the GDT, then the page tables.
 */
#include "mkconfig.h"
#include "../../guest/kit/info.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ELF_LIMIT MIB(256)
#define GDT_OFFSET 3072u /* in the page that struct kit_info begins */
#define IDENTITY_MIN MIB(4)

_Static_assert(sizeof(struct kit_info) <= GDT_OFFSET, "the GDT stands behind the kit's information");

static const char *elf_fault(const struct blob *file)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file->bytes;

	if (file->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return "is not an ELF file";
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
		return "is not a 64-bit x86 ELF file";
	if (h->e_type != ET_EXEC)
		return "is not statically linked at fixed addresses (link with -static -no-pie)";
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
		return "has no program headers of 56 bytes";
	if (h->e_phoff % 8 != 0 || h->e_phoff > file->size ||
	    h->e_phnum > (file->size - h->e_phoff) / sizeof(Elf64_Phdr))
		return "is cut off within its program headers";
	return NULL;
}

static bool disjoint(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
	return a->p_paddr + a->p_memsz <= b->p_paddr || b->p_paddr + b->p_memsz <= a->p_paddr;
}

/* Adds the segments to the image; `limit` is where the tool's own tables begin. */
static void load_elf(struct image *image, unsigned line, const char *path, const struct blob *file, uint64_t limit)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file->bytes;
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(file->bytes + h->e_phoff);
	bool entry_found = false;

	for (unsigned i = 0; i < h->e_phnum; i++) {
		const Elf64_Phdr *s = &segments[i];
		if (s->p_type == PT_INTERP || s->p_type == PT_DYNAMIC)
			fail(line, "%s needs a dynamic linker; link with -static -no-pie", path);
		if (s->p_type != PT_LOAD || s->p_memsz == 0)
			continue;
		if (s->p_filesz > s->p_memsz || s->p_offset > file->size || s->p_filesz > file->size - s->p_offset)
			fail(line,
			     "%s: segment %u holds bytes 0x%" PRIx64 " + 0x%" PRIx64
			     " of a file of 0x%zx: it is cut off",
			     path, i, s->p_offset, s->p_filesz, file->size);
		if (s->p_paddr > limit || s->p_memsz > limit - s->p_paddr)
			fail(line,
			     "%s: segment %u needs memory 0x%" PRIx64 " + 0x%" PRIx64 "; the partition has 0x%" PRIx64
			     " free for it",
			     path, i, s->p_paddr, s->p_memsz, limit);
		for (unsigned j = 0; j < i; j++)
			if (segments[j].p_type == PT_LOAD && !disjoint(s, &segments[j]))
				fail(line, "%s: segments %u and %u overlap at 0x%" PRIx64, path, j, i, s->p_paddr);
		entry_found |= (s->p_flags & PF_X) != 0 && h->e_entry - s->p_paddr < s->p_memsz;
		image_add(image, line, s->p_paddr, file->bytes + s->p_offset, s->p_filesz);
	}
	if (!entry_found)
		fail(line, "%s: entry 0x%" PRIx64 " lies in no executable segment", path, h->e_entry);
}

static void fill_info(struct kit_info *info, const struct plan *plan, unsigned partition, uint64_t tables_start)
{
	const struct config_partition *p = &plan->partitions[partition];

	info->magic = KIT_INFO_MAGIC;
	info->version = KIT_INFO_VERSION;
	info->memory_size =
		plan->extra[partition].maps[0].size; /* with `identity` the first megabyte; the rest is a map */
	info->tables_start = tables_start;
	snprintf(info->name, sizeof info->name, "%s", p->name);
	info->vcpu_count = p->vcpu_count;
	info->map_count = p->map_count - 1u;
	for (unsigned i = 0; i < info->map_count; i++) {
		const struct config_map *m = &p->maps[i + 1];
		info->map[i].gpa = m->gpa;
		info->map[i].size = m->size;
		info->map[i].rights = m->rights;
		snprintf(info->map[i].name, sizeof info->map[i].name, "%s", plan->memories[m->memory].name);
	}
	ports_kit_info(info, plan, partition);
}

static void add_region(struct kit_info *info, uint64_t gpa, uint64_t size, bool registers)
{
	if (info->region_count < KIT_INFO_REGIONS)
		info->region[info->region_count++] = (struct kit_region){ gpa, size, registers };
}

/* What a companion is told of its guest. */
static void fill_master(struct kit_info *info, const struct plan *plan, unsigned master)
{
	const struct config_partition *p = &plan->partitions[master];

	info->pins = p->companion_pins;
	for (unsigned i = 0; i < p->mmio_count; i++)
		if (p->mmio[i].kind == MMIO_COMPANION)
			add_region(info, p->mmio[i].gpa, p->mmio[i].size, true);
	for (unsigned i = 1; i < p->map_count; i++)
		if (plan->memories[p->maps[i].memory].owner == CONFIG_SHARED)
			add_region(info, p->maps[i].gpa, p->maps[i].size, false);
}

/* A companion runs at privilege level 3 from its first instruction on. */
static void open_to_user(struct blob *tables)
{
	uint64_t *entries = (uint64_t *)tables->bytes;

	for (size_t i = 0; i < tables->size / sizeof *entries; i++)
		entries[i] |= (entries[i] & 1) << 2; /* U/S where P is set (SDM Vol. 3A, 4.5.4) */
}

void kit_image(const struct plan *plan, unsigned partition, const struct options *options)
{
	struct plan_partition *x = &plan->extra[partition];
	struct image *image = &x->image;
	unsigned line = line_of("partitions/%u/boot/kit", partition);
	const char *path = root_path(options, x->in->boot->kit);
	struct blob file = read_file(line, path, ELF_LIMIT);
	const char *fault = elf_fault(&file);
	const uint64_t memory = x->maps[0].size;
	const unsigned maps = plan->partitions[partition].map_count - 1u;
	struct range ranges[1 + KIT_INFO_MAPS + DEVICE_SLOTS * CONFIG_BARS] = {
		{ 0, memory > IDENTITY_MIN ? memory : IDENTITY_MIN }
	};
	unsigned count = 1;
	struct blob tables;
	uint64_t start;
	uint8_t page[PAGE_SIZE] = { 0 };
	struct kit_info info = { 0 };

	if (fault != NULL)
		fail(line, "%s %s", path, fault);
	if (maps > KIT_INFO_MAPS)
		fail(line_of("partitions/%u/maps/%u", partition, KIT_INFO_MAPS),
		     "maps: a kit partition has room for %u, those of channels and doorbells included", KIT_INFO_MAPS);
	for (unsigned i = 0; i < maps; i++)
		ranges[count++] = (struct range){ x->maps[i + 1].gpa, x->maps[i + 1].size };
	for (unsigned i = 0; i < plan->config.device_count; i++)
		for (unsigned j = 0; plan->devices[i].partition == partition && j < CONFIG_BARS; j++)
			if (plan->devices[i].bars[j].size != 0 && !plan->devices[i].bars[j].io)
				ranges[count++] = (struct range){ plan->devices[i].bars[j].gpa,
					                          plan->devices[i].bars[j].size };
	tables = identity_tables(0, ranges, count); /* only for the size: where they stand depends on it */
	start = memory - tables.size - PAGE_SIZE;
	free(tables.bytes);
	tables = identity_tables(start + PAGE_SIZE, ranges, count);
	if (x->in->cpus_count == 0)
		open_to_user(&tables);

	load_elf(image, line, path, &file, start);
	fill_info(&info, plan, partition, start);
	if (x->in->cpus_count == 0)
		fill_master(&info, plan, x->in->master);
	memcpy(page, &info, sizeof info);
	memcpy(page + GDT_OFFSET, flat_gdt, sizeof flat_gdt);
	image_add(image, line, start, page, sizeof page);
	image_add(image, line, start + PAGE_SIZE, tables.bytes, tables.size);
	free(tables.bytes);
	image->entry = (struct config_entry){
		.rip = ((const Elf64_Ehdr *)file.bytes)->e_entry,
		.rdi = start,
		.cr3 = start + PAGE_SIZE,
		.gdt_base = start + GDT_OFFSET,
		.gdt_limit = sizeof flat_gdt - 1,
	};
	free(file.bytes);
}

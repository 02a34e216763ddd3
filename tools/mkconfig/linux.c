// SPDX-License-Identifier: Apache-2.0
/*
 * A Linux partition's memory by the kernel's 64-bit boot protocol (Linux, Documentation/x86/boot.rst): everything that
 * a boot loader would do, done once, at build time.
 *
 *   0x01000  GDT                        0xe0000  ACPI tables
 *   0x02000  boot_params ("zero page")  pref     kernel, with init_size bytes to unpack itself
 *   0x03000  command line               top      initial RAM disk
 *   0x04000  page tables
 */
#include "mkconfig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOW_START 0x1000u
#define BOOT_PARAMS 0x2000u
#define CMDLINE 0x3000u
#define TABLES 0x4000u
#define LOW_END 0x9f000u /* where a PC's firmware keeps its own data: Linux expects no RAM from here to 1 MiB */
#define HOLE_START 0xa0000u
#define ACPI_START 0xe0000u
#define IDENTITY_SIZE GIB(4)
#define FILE_LIMIT GIB(1)

/* Offsets in the kernel file's first sectors and in boot_params: the same by design. */
enum {
	ACPI_RSDP = 0x070,
	E820_ENTRIES = 0x1e8,
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4,
	BOOT_FLAG = 0x1fe,
	HEADER_LENGTH = 0x201,
	HEADER_MAGIC = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	CODE32_START = 0x214,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	CMD_LINE_PTR = 0x228,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE_KERNEL = 0x234,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_END_MIN = 0x264,
	E820_TABLE = 0x2d0,
};

#define BOOT_FLAG_VALUE 0xaa55u
#define VERSION_MIN 0x020cu
#define XLF_KERNEL_64 1u
#define LOADED_HIGH 1u
#define LOADER_UNDEFINED 0xffu
#define ENTRY_64 0x200u
#define E820_RAM 1u
#define E820_RESERVED 2u
#define E820_ACPI 3u

static uint32_t get16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put(uint8_t *p, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

struct kernel {
	struct blob file;
	uint64_t code;  /* offset of the protected-mode code in the file */
	uint64_t load;  /* where it goes */
	uint64_t space; /* what it needs there to unpack itself */
};

static void check_header(unsigned line, const char *path, const struct blob *file)
{
	const uint8_t *h = file->bytes;
	uint64_t needed;

	if (file->size < HEADER_END_MIN || get16(h + BOOT_FLAG) != BOOT_FLAG_VALUE ||
	    memcmp(h + HEADER_MAGIC, "HdrS", 4) != 0)
		fail(line, "%s is not a Linux kernel (bzImage): %zu bytes, no 'HdrS' header", path, file->size);
	if (get16(h + VERSION) < VERSION_MIN)
		fail(line, "%s speaks boot protocol %u.%u; 2.12 is needed (Linux 3.8 or later)", path, h[VERSION + 1],
		     h[VERSION]);
	if ((get16(h + XLOADFLAGS) & XLF_KERNEL_64) == 0)
		fail(line, "%s has no 64-bit entry (XLF_KERNEL_64 is 0): a 32-bit kernel", path);
	if ((h[LOADFLAGS] & LOADED_HIGH) == 0)
		fail(line, "%s is a zImage, which loads below 1 MiB; a bzImage is needed", path);
	needed = (h[SETUP_SECTS] + 1ull) * 512 + get32(h + SYSSIZE) * 16ull; /* in paragraphs: the last may be cut */
	if (file->size + 15 < needed || needed <= (h[SETUP_SECTS] + 1ull) * 512 + ENTRY_64)
		fail(line, "%s is cut off: %zu bytes, its header promises %" PRIu64, path, file->size, needed);
}

/* A relocatable kernel also runs above the address it prefers, where the partition's memory is seen there only. */
static void move_kernel(struct kernel *k, uint64_t start, uint64_t alignment)
{
	if (k->load < start && (k->file.bytes[RELOCATABLE_KERNEL] & 1) != 0)
		k->load = (start + alignment - 1) / alignment * alignment;
}

/* The partition's memory above 1 MiB is [start, end). */
static struct kernel load_kernel(unsigned line, const char *path, uint64_t start, uint64_t end)
{
	struct kernel k = { .file = read_file(line, path, FILE_LIMIT) };
	const uint8_t *h = k.file.bytes;
	uint64_t alignment;

	check_header(line, path, &k.file);
	alignment = get32(h + KERNEL_ALIGNMENT);
	k.code = (h[SETUP_SECTS] + 1ull) * 512;
	k.load = get64(h + PREF_ADDRESS);
	k.space = get32(h + INIT_SIZE);
	if (k.file.size - k.code > k.space)
		k.space = k.file.size - k.code;
	if (alignment == 0 || (alignment & (alignment - 1)) != 0 || k.load % alignment != 0 || k.load < MIB(1))
		fail(line, "%s prefers address 0x%" PRIx64 " with alignment 0x%" PRIx64 ": that is no place for it",
		     path, k.load, alignment);
	move_kernel(&k, start, alignment);
	if (k.load < start || k.load > end || k.space > end - k.load)
		fail(line,
		     "%s needs 0x%" PRIx64 " + 0x%" PRIx64 " bytes to unpack itself; the partition has 0x%" PRIx64,
		     path, k.load, k.space, end - start + MIB(1));
	return k;
}

/* The RAM disk goes as high as it can. Returns its address; size 0 if there is none. */
static uint64_t place_initrd(unsigned line, const char *path, const struct kernel *k, uint64_t size,
                             uint64_t memory_size)
{
	uint64_t top = get32(k->file.bytes + INITRD_ADDR_MAX) + 1ull, low = k->load + k->space;

	if (top > memory_size)
		top = memory_size;
	if (size > top || (top - size) / PAGE_SIZE * PAGE_SIZE < low)
		fail(line,
		     "%s is %" PRIu64 " bytes; between the kernel's end at 0x%" PRIx64 " and 0x%" PRIx64
		     " there is no room",
		     path, size, low, top);
	return (top - size) / PAGE_SIZE * PAGE_SIZE;
}

static void add_e820(uint8_t *params, uint64_t start, uint64_t end, uint32_t type)
{
	uint8_t *entry = params + E820_TABLE + 20 * params[E820_ENTRIES]++;

	put(entry, start, 8);
	put(entry + 8, end - start, 8);
	put(entry + 16, type, 4);
}

static void fill_boot_params(uint8_t *params, const struct config_partition *p, const struct kernel *k, uint64_t initrd,
                             uint64_t initrd_size, uint64_t start, uint64_t end)
{
	const uint8_t *h = k->file.bytes;

	memcpy(params + SETUP_SECTS, h + SETUP_SECTS, HEADER_MAGIC + h[HEADER_LENGTH] - SETUP_SECTS);
	params[TYPE_OF_LOADER] = LOADER_UNDEFINED;
	put(params + CODE32_START, k->load, 4);
	put(params + RAMDISK_IMAGE, initrd_size > 0 ? initrd : 0, 4);
	put(params + RAMDISK_SIZE, initrd_size, 4);
	put(params + CMD_LINE_PTR, CMDLINE, 4);
	put(params + ACPI_RSDP, ACPI_START, 8);
	add_e820(params, 0, LOW_END, E820_RAM);
	add_e820(params, HOLE_START, ACPI_START, E820_RESERVED);
	add_e820(params, ACPI_START, MIB(1), E820_ACPI);
	add_e820(params, start, end, E820_RAM);
	/* What is mapped beside its own memory is no RAM of the kernel's: programs may map it through /dev/mem. */
	for (unsigned i = 1; i < p->map_count; i++)
		if (p->maps[i].gpa >= end)
			add_e820(params, p->maps[i].gpa, p->maps[i].gpa + p->maps[i].size, E820_RESERVED);
}

/* Everything below 640 KiB, as one run. */
static void add_low(struct image *image, unsigned line, const uint8_t *params, const char *cmdline)
{
	struct range all = { 0, IDENTITY_SIZE };
	struct blob tables = identity_tables(TABLES, &all, 1);
	uint64_t size = TABLES + tables.size - LOW_START;
	uint8_t *low = allocate(size);

	memcpy(low, flat_gdt, sizeof flat_gdt);
	memcpy(low + BOOT_PARAMS - LOW_START, params, PAGE_SIZE);
	memcpy(low + CMDLINE - LOW_START, cmdline, strlen(cmdline) + 1);
	memcpy(low + TABLES - LOW_START, tables.bytes, tables.size);
	image_add(image, line, LOW_START, low, size);
	free(tables.bytes);
	free(low);
}

static void add_acpi(struct image *image, const struct plan *plan, unsigned partition, const struct options *options)
{
	unsigned line = line_of("partitions/%u/boot/linux", partition);
	struct blob dsdt = read_file(line, dsdt_path(options, &plan->partitions[partition]), KIB(64));
	struct blob tables = acpi_tables(ACPI_START, MIB(1), &plan->partitions[partition], &dsdt);

	image_add(image, line, ACPI_START, tables.bytes, tables.size);
	free(dsdt.bytes);
	free(tables.bytes);
}

void linux_image(const struct plan *plan, unsigned partition, const struct options *options)
{
	struct plan_partition *x = &plan->extra[partition];
	const struct in_linux *in = x->in->boot->linux;
	unsigned line = line_of("partitions/%u/boot/linux/kernel", partition);
	const struct config_map *top = &x->maps[x->own_maps - 1];
	const uint64_t start = top->gpa > MIB(1) ? top->gpa : MIB(1), end = x->memory_end;
	struct kernel k = load_kernel(line, root_path(options, in->kernel), start, end);
	const char *cmdline = in->cmdline != NULL ? in->cmdline : "";
	uint32_t cmdline_max = get32(k.file.bytes + CMDLINE_SIZE);
	struct blob initrd = { 0 };
	uint64_t initrd_at = 0;
	uint8_t params[PAGE_SIZE] = { 0 };

	if (strlen(cmdline) > cmdline_max || strlen(cmdline) >= PAGE_SIZE)
		fail(line_of("partitions/%u/boot/linux/cmdline", partition),
		     "cmdline: %zu characters; this kernel takes %u", strlen(cmdline), cmdline_max);
	if (in->initrd != NULL) {
		unsigned initrd_line = line_of("partitions/%u/boot/linux/initrd", partition);
		const char *path = root_path(options, in->initrd);
		initrd = read_file(initrd_line, path, FILE_LIMIT);
		initrd_at = place_initrd(initrd_line, path, &k, initrd.size, end);
	}
	fill_boot_params(params, &plan->partitions[partition], &k, initrd_at, initrd.size, start, end);
	add_low(&x->image, line, params, cmdline);
	add_acpi(&x->image, plan, partition, options);
	image_add(&x->image, line, k.load, k.file.bytes + k.code, k.file.size - k.code);
	image_add(&x->image, line, initrd_at, initrd.bytes, initrd.size);
	x->image.entry = (struct config_entry){
		.rip = k.load + ENTRY_64,
		.rsi = BOOT_PARAMS,
		.cr3 = TABLES,
		.gdt_base = LOW_START,
		.gdt_limit = sizeof flat_gdt - 1,
	};
	free(k.file.bytes);
	free(initrd.bytes);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Finishes the PE image that objcopy made of the loader: see usage. Host tool.
 * Formats: PE/COFF specification, "COFF File Header", "Optional Header", "Section Table".
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_MAX (64u << 20)
#define PAGE 4096u
#define FILE_PAD 16u

#define MACHINE_X86_64 0x8664u
#define MAGIC_PE32_PLUS 0x20bu
#define SUBSYSTEM_EFI_APPLICATION 10u
#define DLL_NX_COMPAT 0x0100u
#define SECTION_EXECUTE 0x20000000u
#define SECTION_READ 0x40000000u
#define SECTION_WRITE 0x80000000u
#define SECTION_HEADER 40u

/* Offsets from the "PE\0\0" signature. */
#define AT_MACHINE 4u
#define AT_SECTION_COUNT 6u
#define AT_TIMESTAMP 8u
#define AT_OPTIONAL_SIZE 20u
#define AT_OPTIONAL 24u
/* Offsets into the optional header. */
#define OPT_SECTION_ALIGNMENT 32u
#define OPT_IMAGE_SIZE 56u
#define OPT_HEADERS_SIZE 60u
#define OPT_CHECKSUM 64u
#define OPT_SUBSYSTEM 68u
#define OPT_DLL_CHARACTERISTICS 70u
#define OPT_RELOCATIONS 152u /* data directory entry 5 */
#define OPT_MIN 160u
/* Offsets into a section header. */
#define SEC_VIRTUAL_SIZE 8u
#define SEC_ADDRESS 12u
#define SEC_RAW_SIZE 16u
#define SEC_RAW 20u
#define SEC_FLAGS 36u

static const char usage[] =
	"usage: pefix [--list] FILE\n"
	"\n"
	"Checks FILE, a UEFI application for x86-64, and changes it in place:\n"
	"  refuses it unless its sections are 4 KiB aligned, in order, and none is both writable and executable;\n"
	"  sets NX_COMPAT, so that firmware may enforce those rights;\n"
	"  clears timestamp and checksum, so that equal input gives an equal file;\n"
	"  pads the file to a multiple of 16 bytes.\n"
	"With --list only checks it, NX_COMPAT included, and prints the sections.\n"
	"\n"
	"Exit status: 0 done, 1 refused (with the reason), 2 wrong use.\n";

static const char *file_name;

_Noreturn static void refuse(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "pefix: %s: ", file_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

struct image {
	uint8_t *bytes;
	uint32_t size;
};

static uint32_t get(const struct image *image, uint32_t at, uint32_t width)
{
	uint32_t value = 0;

	if (at > image->size || width > image->size - at)
		refuse("cut short: a header leads to byte %u of %u; build it again", at, image->size);
	for (uint32_t i = 0; i < width; i++)
		value |= (uint32_t)image->bytes[at + i] << 8 * i;
	return value;
}

static void put(struct image *image, uint32_t at, uint32_t width, uint32_t value)
{
	for (uint32_t i = 0; i < width; i++)
		image->bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static struct image read_image(void)
{
	struct image image = { malloc(IMAGE_MAX + FILE_PAD), 0 };
	FILE *file = fopen(file_name, "rb");

	if (!file || !image.bytes)
		refuse("%s", strerror(errno));
	image.size = (uint32_t)fread(image.bytes, 1, IMAGE_MAX + 1, file);
	if (ferror(file))
		refuse("%s", strerror(errno));
	fclose(file);
	if (image.size > IMAGE_MAX)
		refuse("larger than %u bytes: not a loader of ours", IMAGE_MAX);
	return image;
}

/* Returns where the PE signature is. */
static uint32_t check_headers(const struct image *image)
{
	if (get(image, 0, 2) != 0x5a4d /* MZ */)
		refuse("not a PE image (no MZ); make it with objcopy -O efi-app-x86_64");
	uint32_t pe = get(image, 0x3c, 4);

	if (pe > IMAGE_MAX || get(image, pe, 4) != 0x4550 /* PE */)
		refuse("not a PE image (no PE signature); make it with objcopy -O efi-app-x86_64");
	if (get(image, pe + AT_MACHINE, 2) != MACHINE_X86_64 || get(image, pe + AT_OPTIONAL, 2) != MAGIC_PE32_PLUS ||
	    get(image, pe + AT_OPTIONAL_SIZE, 2) < OPT_MIN)
		refuse("not a PE32+ image for x86-64");
	uint32_t optional = pe + AT_OPTIONAL;

	if (get(image, optional + OPT_SUBSYSTEM, 2) != SUBSYSTEM_EFI_APPLICATION)
		refuse("subsystem %u is not EFI application (10)", get(image, optional + OPT_SUBSYSTEM, 2));
	if (get(image, optional + OPT_SECTION_ALIGNMENT, 4) != PAGE)
		refuse("section alignment is %u, not %u: firmware cannot give sections their rights",
		       get(image, optional + OPT_SECTION_ALIGNMENT, 4), PAGE);
	return pe;
}

static void check_sections(const struct image *image, uint32_t pe, int list)
{
	uint32_t count = get(image, pe + AT_SECTION_COUNT, 2);
	uint32_t table = pe + AT_OPTIONAL + get(image, pe + AT_OPTIONAL_SIZE, 2);
	uint64_t end = get(image, pe + AT_OPTIONAL + OPT_HEADERS_SIZE, 4);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = table + i * SECTION_HEADER, flags = get(image, at + SEC_FLAGS, 4);
		uint32_t address = get(image, at + SEC_ADDRESS, 4), size = get(image, at + SEC_VIRTUAL_SIZE, 4);
		uint32_t raw = get(image, at + SEC_RAW, 4), raw_size = get(image, at + SEC_RAW_SIZE, 4);
		char name[9] = { 0 };

		memcpy(name, image->bytes + at, 8);
		if (list)
			printf("%-8s 0x%06x %7u bytes %c%c%c\n", name, address, size, flags & SECTION_READ ? 'r' : '-',
			       flags & SECTION_WRITE ? 'w' : '-', flags & SECTION_EXECUTE ? 'x' : '-');
		if ((flags & SECTION_WRITE) && (flags & SECTION_EXECUTE))
			refuse("section %s is writable and executable; separate the two in boot/loader.lds", name);
		if (address % PAGE || address < end)
			refuse("section %s at 0x%x is not 4 KiB aligned or overlaps what is before it; see boot/loader.lds",
			       name, address);
		if (raw > image->size || raw_size > image->size - raw)
			refuse("section %s lies outside the file; build it again", name);
		end = (uint64_t)address + (size > raw_size ? size : raw_size);
	}
	if (count == 0 || end > get(image, pe + AT_OPTIONAL + OPT_IMAGE_SIZE, 4))
		refuse("no sections, or sections beyond the image size; build it again");
}

/* Firmware moves images, and loads none whose relocations lead out of it. Ours relocates itself: one empty block. */
static void check_relocations(const struct image *image, uint32_t pe)
{
	uint32_t table = pe + AT_OPTIONAL + get(image, pe + AT_OPTIONAL_SIZE, 2);
	uint32_t address = get(image, pe + AT_OPTIONAL + OPT_RELOCATIONS, 4);

	for (uint32_t i = 0; i < get(image, pe + AT_SECTION_COUNT, 2); i++) {
		uint32_t at = table + i * SECTION_HEADER, raw = get(image, at + SEC_RAW, 4);

		if (get(image, at + SEC_ADDRESS, 4) != address)
			continue;
		if (get(image, raw, 4) >= get(image, pe + AT_OPTIONAL + OPT_IMAGE_SIZE, 4) ||
		    get(image, raw + 4, 4) != 12)
			refuse("the relocation block is wrong; see .reloc in boot/loader.lds");
		return;
	}
	refuse("no relocations: firmware could not move the image; see .reloc in boot/loader.lds");
}

static void write_image(struct image *image)
{
	FILE *file = fopen(file_name, "r+b");

	while (image->size % FILE_PAD)
		image->bytes[image->size++] = 0;
	if (!file || fwrite(image->bytes, 1, image->size, file) != image->size || fclose(file) != 0)
		refuse("%s", strerror(errno));
}

int main(int argc, char **argv)
{
	int list = argc == 3 && !strcmp(argv[1], "--list");

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 2 + list || argv[argc - 1][0] == '-') {
		fputs(usage, stderr);
		return 2;
	}
	file_name = argv[argc - 1];
	struct image image = read_image();
	uint32_t pe = check_headers(&image), at = pe + AT_OPTIONAL + OPT_DLL_CHARACTERISTICS;

	check_sections(&image, pe, list);
	check_relocations(&image, pe);
	if (list) {
		if (!(get(&image, at, 2) & DLL_NX_COMPAT))
			refuse("NX_COMPAT is not set; run pefix without --list");
		return 0;
	}
	put(&image, at, 2, get(&image, at, 2) | DLL_NX_COMPAT);
	put(&image, pe + AT_TIMESTAMP, 4, 0);
	put(&image, pe + AT_OPTIONAL + OPT_CHECKSUM, 4, 0);
	write_image(&image);
	return 0;
}

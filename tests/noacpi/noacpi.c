/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware that does not do as it should, for tests: started in Bulkhead's place, does what the file DAMAGE.TXT on its
 * volume says, mostly to the ACPI tables, and starts BULKHEAD.EFI from there. DAMAGE.TXT is
 *
 *   remove                 no ACPI at all
 *   fill                   tables as they are, but all free memory full of A5h
 *   tpm ...                see tcg2.h
 *
 * or lines of 14 characters and a line feed:
 *
 *   TABL 1234 56 +         in a copy of table TABL, exclusive-or the byte at offset 1234h with 56h; +: mend the
 *                          checksum after that, -: do not. RSDP is a table, too; XSDT is the root.
 */
#include "tests/noacpi/tcg2.h"

#define LINE 15u
#define MAX_FILE 0x100000u
#define COPIES 0x10000u /* bytes for copies of tables */
#define RSDP_LENGTH 36u
#define HEADER_LENGTH 36u

static EFI_BOOT_SERVICES *boot;
static EFI_SYSTEM_TABLE *system_table;
static UINT8 *copies; /* first the RSDP, then the XSDT, then others, each at a multiple of 16 */
static UINTN used;

static void fail(const char *what)
{
	put("noacpi: cannot ");
	put(what);
	put("\nRESULT noacpi FAIL\n");
	end_machine(system_table);
}

static UINTN read_file(EFI_FILE_HANDLE root, CHAR16 *name, void **content)
{
	EFI_FILE_HANDLE file;
	UINTN size = MAX_FILE;

	if (EFI_ERROR(boot->AllocatePool(EfiLoaderData, MAX_FILE, content)) ||
	    EFI_ERROR(root->Open(root, &file, name, EFI_FILE_MODE_READ, 0)) ||
	    EFI_ERROR(file->Read(file, &size, *content)))
		fail("read DAMAGE.TXT and BULKHEAD.EFI");
	return size;
}

static int same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
	const UINT64 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static UINT64 find_rsdp(void)
{
	EFI_GUID acpi = ACPI_20_TABLE_GUID;

	for (UINTN i = 0; i < system_table->NumberOfTableEntries; i++)
		if (same_guid(&system_table->ConfigurationTable[i].VendorGuid, &acpi))
			return (UINT64)system_table->ConfigurationTable[i].VendorTable;
	fail("find the firmware's ACPI tables");
	return 0;
}

static UINT8 *copy(UINT64 from, UINTN size)
{
	UINT8 *to = copies + used;

	used += (size + 15) & ~(UINTN)15;
	if (used > COPIES)
		fail("hold a table");
	for (UINTN i = 0; i < size; i++)
		to[i] = ((const UINT8 *)from)[i];
	return to;
}

static UINT32 length_of(UINT64 table)
{
	return *(const UINT32 *)(table + 4);
}

static void mend(UINT8 *table, UINTN size, UINTN at)
{
	UINT8 sum = 0;

	table[at] = 0;
	for (UINTN i = 0; i < size; i++)
		sum = (UINT8)(sum + table[i]);
	table[at] = (UINT8)-sum;
}

static void mend_rsdp(UINT8 *rsdp)
{
	mend(rsdp, 20, 8);
	mend(rsdp, RSDP_LENGTH, 32);
}

/* The copy of the table with this signature, made if need be. */
static UINT8 *table_of(const UINT8 *signature, UINT8 *rsdp, UINT8 *xsdt, UINTN xsdt_size)
{
	if (*(const UINT32 *)signature == *(const UINT32 *)"RSDP")
		return rsdp;
	if (*(const UINT32 *)signature == *(const UINT32 *)"XSDT")
		return xsdt;
	for (UINTN at = HEADER_LENGTH; at < xsdt_size; at += 8) {
		UINT64 table = *(UINT64 *)(xsdt + at);

		if (*(const UINT32 *)table != *(const UINT32 *)signature)
			continue;
		if (table < (UINT64)copies || table >= (UINT64)copies + COPIES) {
			table = (UINT64)copy(table, length_of(table));
			*(UINT64 *)(xsdt + at) = table;
			mend(xsdt, xsdt_size, 9);
		}
		return (UINT8 *)table;
	}
	fail("find the table that DAMAGE.TXT names");
	return 0;
}

static UINTN hex(const UINT8 *text, UINTN digits)
{
	UINTN value = 0;

	for (UINTN i = 0; i < digits; i++)
		value = value << 4 | (UINTN)(text[i] <= '9' ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10);
	return value;
}

static void damage(const UINT8 *line, UINTN size)
{
	EFI_GUID acpi = ACPI_20_TABLE_GUID;
	EFI_PHYSICAL_ADDRESS at = 0xffffffff;

	if (EFI_ERROR(boot->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory, COPIES >> 12, &at)))
		fail("get memory");
	copies = (UINT8 *)at;
	UINT8 *rsdp = copy(find_rsdp(), RSDP_LENGTH);
	UINTN xsdt_size = length_of(*(UINT64 *)(rsdp + 24));
	UINT8 *xsdt = copy(*(UINT64 *)(rsdp + 24), xsdt_size);

	*(UINT64 *)(rsdp + 24) = (UINT64)xsdt;
	mend_rsdp(rsdp);
	for (; size >= LINE; line += LINE, size -= LINE) {
		UINT8 *table = table_of(line, rsdp, xsdt, xsdt_size);
		UINTN length = table == rsdp ? RSDP_LENGTH : length_of((UINT64)table);

		table[hex(line + 5, 4)] ^= (UINT8)hex(line + 10, 2);
		if (line[13] == '+' && table == rsdp)
			mend_rsdp(rsdp);
		else if (line[13] == '+')
			mend(table, length, 9);
	}
	if (EFI_ERROR(boot->InstallConfigurationTable(&acpi, rsdp)))
		fail("install the tables");
}

static void remove_acpi(void)
{
	EFI_GUID new = ACPI_20_TABLE_GUID, old = ACPI_TABLE_GUID;

	boot->InstallConfigurationTable(&old, NULL); /* not every firmware has it */
	if (EFI_ERROR(boot->InstallConfigurationTable(&new, NULL)))
		fail("remove the tables");
}

/* What the firmware and whatever ran before leave behind, only more of it. */
static void fill_memory(void)
{
	UINT8 *map;
	UINTN size = MAX_FILE, key, stride;
	UINT32 version;

	if (EFI_ERROR(boot->AllocatePool(EfiLoaderData, MAX_FILE, (void **)&map)) ||
	    EFI_ERROR(boot->GetMemoryMap(&size, (void *)map, &key, &stride, &version)))
		fail("read the memory map");
	for (UINT8 *at = map; at < map + size; at += stride) {
		const EFI_MEMORY_DESCRIPTOR *d = (const void *)at;
		void *to = (void *)d->PhysicalStart;
		UINTN words = d->NumberOfPages * 512;

		if (d->Type == EfiConventionalMemory && d->PhysicalStart >= 0x100000)
			__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0xa5a5a5a5a5a5a5a5) : "memory");
	}
}

/* Called by gnu-efi's crt0 in the System V way. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL, file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_LOADED_IMAGE *self, *child;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_FILE_HANDLE root;
	EFI_HANDLE handle = NULL;
	void *text, *program;

	system_table = table;
	boot = table->BootServices;
	if (EFI_ERROR(boot->HandleProtocol(image, &loaded_image, (void **)&self)) ||
	    EFI_ERROR(boot->HandleProtocol(self->DeviceHandle, &file_system, (void **)&volume)) ||
	    EFI_ERROR(volume->OpenVolume(volume, &root)))
		fail("open its volume");
	UINTN size = read_file(root, L"DAMAGE.TXT", &text);

	if (*(const UINT8 *)text == 'r')
		remove_acpi();
	else if (*(const UINT8 *)text == 'f')
		fill_memory();
	else if (*(const UINT8 *)text == 't')
		damage_tpm(boot, (const UINT8 *)text + 4);
	else
		damage(text, size);
	size = read_file(root, L"BULKHEAD.EFI", &program);
	if (EFI_ERROR(boot->LoadImage(FALSE, image, NULL, program, size, &handle)) ||
	    EFI_ERROR(boot->HandleProtocol(handle, &loaded_image, (void **)&child)))
		fail("load BULKHEAD.EFI");
	child->DeviceHandle = self->DeviceHandle; /* loaded from memory: it would not know its volume */
	boot->StartImage(handle, NULL, NULL);
	put("noacpi: BULKHEAD.EFI came back\n");
	end_machine(table);
	return EFI_SUCCESS;
}

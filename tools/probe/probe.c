// SPDX-License-Identifier: Apache-2.0
/*
 * probe.efi: what a board has, without starting Bulkhead on it. A UEFI application of its own that uses the loader's and core's code
 * where they look at the same things: the capability table, the ACPI parser. Needs no VT-x. Says everything on the console, writes
 * BOARD.YAML into the root of its volume (`board: {file: ...}` of a configuration reads it), and returns to the firmware.
 * Built for a configuration: what the CPU lacks depends on it. Reads only; the one thing it writes is that file.
 */
#include "boot/loader.h"
#include "core/acpi.h"
#include "core/panic.h"
#include "core/tpm2.h"
#include "core/x86.h"
#include "tools/probe/probe.h"
#include "vmx/capability.h"

#define FILE_BYTES 0x10000u
#define MAP_BYTES 0x10000u
#define TCG2_PRESENT 16u /* in EFI_TCG2_BOOT_SERVICE_CAPABILITY */

EFI_HANDLE loader_image;
EFI_SYSTEM_TABLE *system_table;
EFI_BOOT_SERVICES *boot_services;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* ---- BOARD.YAML, built in memory ---- */

static char text[FILE_BYTES];
static UINTN used;

void add(const char *s)
{
	for (; *s && used < FILE_BYTES; s++)
		text[used++] = *s;
}

void add_hex(uint32_t value, uint32_t digits)
{
	while (digits--)
		add((const char[2]){ "0123456789abcdef"[value >> 4 * digits & 15], 0 });
}

void add_number(uint64_t value)
{
	char digits[21] = { 0 };
	uint32_t at = 20;

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	add(digits + at);
}

static int write_file(void)
{
	EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL, volume_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_LOADED_IMAGE *self;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_FILE_HANDLE root, file;
	UINTN bytes = used;

	if (EFI_ERROR(boot_services->HandleProtocol(loader_image, &loaded_image_guid, (void **)&self)) ||
	    EFI_ERROR(boot_services->HandleProtocol(self->DeviceHandle, &volume_guid, (void **)&volume)) ||
	    EFI_ERROR(volume->OpenVolume(volume, &root)))
		return 0;
	if (!EFI_ERROR(root->Open(root, &file, L"BOARD.YAML", EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE, 0)))
		file->Delete(file); /* or the end of a longer one would stay */
	if (EFI_ERROR(root->Open(root, &file, L"BOARD.YAML",
	                         EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE | EFI_FILE_MODE_CREATE, 0)) ||
	    EFI_ERROR(file->Write(file, &bytes, text)) || bytes != used || EFI_ERROR(file->Close(file)))
		return 0;
	return used < FILE_BYTES;
}

/* ---- what the core's code calls ---- */

void panic(const char *format, ...)
{
	stop("the capability check met what it does not expect: %s", format);
}

/* ---- the parts ---- */

static void probe_cpu(void)
{
	uint64_t must, nice;

	vmx_check_capabilities(&must, &nice);
	for (uint32_t i = 0; i < VMX_CAPABILITY_LINES; i++)
		if ((must | nice) >> i & 1)
			say("CPU %s: %s", must >> i & 1 ? "lacks, and must have" : "would be better with",
			    vmx_capability_name(i));
	if (cpuid(1, 0).r[2] & 1u << 5 &&
	    vmx_feature_control(rdmsr(MSR_IA32_FEATURE_CONTROL)) == FEATURE_CONTROL_LOCKED_OFF) {
		say("VT-x is switched off in the firmware's settings, and locked (IA32_FEATURE_CONTROL)");
		must |= 1ull << 63;
	}
	say("CPU: %s for configuration %s", must ? "NOT good enough" : "good", config.name);
	add(must ? "# CPU: not good enough for configuration " : "# CPU: good for configuration ");
	add(config.name);
	add("\n");
}

static void probe_memory(void)
{
	static uint8_t map[MAP_BYTES] __attribute__((aligned(8)));
	UINTN size = sizeof map, key, stride;
	UINT32 version;
	uint64_t ram = 0, largest = 0;

	if (EFI_ERROR(boot_services->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)map, &key, &stride, &version)))
		stop("cannot read the firmware's memory map; it has %lu bytes", size);
	for (UINTN at = 0; at + stride <= size; at += stride) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map + at);
		const uint64_t bytes = d->NumberOfPages * PAGE_SIZE;

		say("memory 0x%lx, %lu KiB, type %lu%s", d->PhysicalStart, bytes >> 10, (uint64_t)d->Type,
		    d->Type == EfiConventionalMemory ? ", free" : "");
		if (d->Type >= EfiLoaderCode && d->Type <= EfiConventionalMemory && d->Type != EfiRuntimeServicesCode &&
		    d->Type != EfiRuntimeServicesData)
			ram += bytes;
		if (d->Type == EfiConventionalMemory && bytes > largest)
			largest = bytes;
	}
	say("memory: %lu MiB usable, largest free run %lu MiB", ram >> 20, largest >> 20);
	add("memory: ");
	add_number(ram >> 20);
	add(" MiB\n");
}

static const void *map_physical(void *context, uint64_t phys, uint32_t length)
{
	(void)context;
	return phys + length < phys ? NULL : (const void *)phys;
}

/* A board can have a TPM that its firmware does not lend: switched off in its settings, or a TPM 1.2 protocol only. */
static void probe_tpm_table(struct acpi *acpi)
{
	struct acpi_table table;
	struct tpm2_table t;
	uint32_t offset;

	if (acpi_find(acpi, "TPM2", &table) != ACPI_OK) {
		say("TPM: ACPI table TPM2 %s", acpi_result_text(acpi->fault.result));
		return;
	}
	const char *wrong = tpm2_parse((const uint8_t *)table.phys, table.length, &t, &offset);

	if (wrong)
		say("TPM: ACPI table TPM2 at 0x%lx, offset %lu: %s", table.phys, (uint64_t)offset, wrong);
	else
		say("TPM: ACPI table TPM2: %s, control area 0x%lx, log area 0x%lx, %lu bytes",
		    tpm2_method(t.start_method), t.control_area, t.log, (uint64_t)t.log_bytes);
	add("# TPM 2.0 in the ACPI tables: ");
	add(wrong ? wrong : tpm2_method(t.start_method));
	add("\n");
}

static void probe_acpi(void)
{
	static const EFI_GUID guids[] = { ACPI_20_TABLE_GUID, ACPI_TABLE_GUID };
	static struct acpi_cpus cpus;
	uint64_t rsdp = find_table(&guids[0]);
	struct acpi_table table;
	struct acpi acpi;

	if (!rsdp)
		rsdp = find_table(&guids[1]);
	if (!rsdp || acpi_open(&acpi, map_physical, NULL, rsdp) != ACPI_OK || acpi_cpus(&acpi, &cpus) != ACPI_OK)
		stop("the ACPI tables cannot be used: no root, or no CPUs in them");
	say("CPUs: %lu", (uint64_t)cpus.total);
	add("cpus: ");
	add_number(cpus.total < CONFIG_MAX_CPUS ? cpus.total : CONFIG_MAX_CPUS);
	add("\n");
	probe_tpm_table(&acpi);
	const uint64_t dmar = acpi_find(&acpi, "DMAR", &table) == ACPI_OK ? table.phys : 0;
	const uint32_t dmar_length = dmar ? table.length : 0;

	if (dmar)
		say("VT-d: DMAR at 0x%lx", dmar);
	else
		say("VT-d: none, there is no DMAR table; devices could not be confined");
	add(dmar ? "# VT-d: DMAR is there\n" : "# VT-d: none\n");
	probe_pci(acpi_find(&acpi, "MCFG", &table) == ACPI_OK ? table.phys : 0, dmar, dmar_length);
}

static void probe_trust(void)
{
	static EFI_GUID tcg2_guid = { 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } };
	static EFI_GUID global = EFI_GLOBAL_VARIABLE;
	uint8_t capability[64] = { sizeof capability }, secure = 0, setup = 0;
	struct {
		EFI_STATUS(EFIAPI *get_capability)(void *, uint8_t *);
	} * tcg2;
	UINTN size = 1;
	const int tpm = !EFI_ERROR(boot_services->LocateProtocol(&tcg2_guid, NULL, (void **)&tcg2)) &&
	                !EFI_ERROR(tcg2->get_capability(tcg2, capability)) && capability[TCG2_PRESENT];

	system_table->RuntimeServices->GetVariable(L"SecureBoot", &global, NULL, &size, &secure);
	size = 1;
	system_table->RuntimeServices->GetVariable(L"SetupMode", &global, NULL, &size, &setup);
	say("TPM 2.0: %s", tpm ? "yes" : "none that the firmware lends");
	say("Secure Boot: %s%s", secure ? "on" : "off", setup ? ", in Setup Mode" : "");
	add(tpm ? "# TPM 2.0: yes\n" : "# TPM 2.0: no\n");
	add(secure ? "# Secure Boot: on\n" : setup ? "# Secure Boot: off, in Setup Mode\n" : "# Secure Boot: off\n");
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	loader_image = image;
	system_table = table;
	boot_services = table->BootServices;
	add("# Written by probe.efi: what a board has. For `board: {file: ...}` of a configuration.\n");
	probe_cpu();
	probe_memory();
	probe_trust();
	probe_acpi();
	if (!write_file())
		stop("BOARD.YAML could not be written; start this from a FAT volume with room that is not write-protected");
	say("BOARD.YAML is written, %lu bytes", used);
	say("RESULT probe ok");
	return EFI_SUCCESS;
}

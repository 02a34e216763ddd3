// SPDX-License-Identifier: Apache-2.0
/*
 * Gives a machine in Setup Mode its owner's keys: writes db.auth, KEK.auth and PK.auth, from the root of the volume that this was
 * started from, into the firmware's variables. With PK Setup Mode ends, and from the next start on only images signed by a key
 * in db run. A UEFI application of its own, no part of Bulkhead; the firmware's own menus do the same. UEFI 2.10, 32.3.
 */
#include "tests/selfcheck/efi.h"

#define MAX_FILE 0x10000u
#define ATTRIBUTES                                                                                   \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS | \
	 0x20) /* EFI_VARIABLE_TIME_BASED_AUTHENTICATED_WRITE_ACCESS */

static EFI_SYSTEM_TABLE *system_table;

static void tell(const CHAR16 *text)
{
	system_table->ConOut->OutputString(system_table->ConOut, (CHAR16 *)text);
	for (; *text; text++)
		out8(0xe9, (UINT8)*text);
}

static EFI_STATUS enrol(EFI_FILE_HANDLE root, CHAR16 *file, CHAR16 *variable, EFI_GUID *guid)
{
	static UINT8 content[MAX_FILE];
	UINTN size = MAX_FILE;
	EFI_FILE_HANDLE handle;
	EFI_STATUS status = root->Open(root, &handle, file, EFI_FILE_MODE_READ, 0);

	if (!EFI_ERROR(status))
		status = handle->Read(handle, &size, content);
	if (!EFI_ERROR(status))
		status = system_table->RuntimeServices->SetVariable(variable, guid, ATTRIBUTES, size, content);
	tell(L"enrol: ");
	tell(file);
	tell(EFI_ERROR(status) ? L": not accepted, or not there\r\n" : L": enrolled\r\n");
	return status;
}

/* Called by gnu-efi's crt0 in the System V way. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL, file_system = SIMPLE_FILE_SYSTEM_PROTOCOL,
		 global = EFI_GLOBAL_VARIABLE;
	EFI_GUID database = { 0xd719b2cb, 0x3d3a, 0x4596, { 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f } };
	EFI_LOADED_IMAGE *self;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_FILE_HANDLE root;
	UINT8 setup = 0;
	UINTN size = 1;
	EFI_STATUS status;

	system_table = table;
	status = table->RuntimeServices->GetVariable(L"SetupMode", &global, NULL, &size, &setup);
	if (EFI_ERROR(status) || !setup) {
		tell(L"enrol: the firmware is not in Setup Mode; clear its Secure Boot keys in its settings first\r\n");
	} else if (!EFI_ERROR(table->BootServices->HandleProtocol(image, &loaded_image, (void **)&self)) &&
	           !EFI_ERROR(
			   table->BootServices->HandleProtocol(self->DeviceHandle, &file_system, (void **)&volume)) &&
	           !EFI_ERROR(volume->OpenVolume(volume, &root)) &&
	           !EFI_ERROR(enrol(root, L"db.auth", L"db", &database)) &&
	           !EFI_ERROR(enrol(root, L"KEK.auth", L"KEK", &global)) &&
	           !EFI_ERROR(enrol(root, L"PK.auth", L"PK", &global))) {
		tell(L"RESULT enrol ok\r\n");
		return EFI_SUCCESS;
	}
	tell(L"RESULT enrol FAIL\r\n");
	return EFI_LOAD_ERROR;
}

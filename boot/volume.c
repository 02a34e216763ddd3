// SPDX-License-Identifier: Apache-2.0
/* Payload files, from the root of the volume that the loader was started from. */
#include "boot/loader.h"

#define FILE_NAME_MAX 127u
#define TO_END UINT64_MAX /* as a file position: the end (UEFI 2.10, 13.5) */

static EFI_FILE_HANDLE open_volume(void)
{
	EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL, volume_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	EFI_LOADED_IMAGE *self;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_FILE_HANDLE root;
	EFI_STATUS status = boot_services->HandleProtocol(loader_image, &loaded_image_guid, (void **)&self);

	if (!EFI_ERROR(status))
		status = boot_services->HandleProtocol(self->DeviceHandle, &volume_guid, (void **)&volume);
	if (!EFI_ERROR(status))
		status = volume->OpenVolume(volume, &root);
	if (EFI_ERROR(status))
		stop("cannot open the volume that the loader came from (%s); start it from a FAT file system",
		     status_name(status));
	return root;
}

static void load(EFI_FILE_HANDLE root, const struct config_payload *payload, struct handoff_memory *memory)
{
	CHAR16 name[FILE_NAME_MAX + 1] = { 0 };
	EFI_FILE_HANDLE file;
	EFI_STATUS status;
	UINT64 size = 0;

	for (uint32_t i = 0; i < FILE_NAME_MAX && payload->file[i]; i++)
		name[i] = (CHAR16)payload->file[i];
	status = root->Open(root, &file, name, EFI_FILE_MODE_READ, 0);
	if (EFI_ERROR(status))
		stop("cannot open payload file %s (%s); copy it into the boot volume's root directory", payload->file,
		     status_name(status));
	status = file->SetPosition(file, TO_END);
	if (!EFI_ERROR(status))
		status = file->GetPosition(file, &size);
	if (!EFI_ERROR(status))
		status = file->SetPosition(file, 0);
	if (!EFI_ERROR(status) && size != payload->size)
		stop("payload file %s has %lu bytes, the configuration says %lu; copy the file that the image was built with",
		     payload->file, size, payload->size);
	if (EFI_ERROR(status))
		stop("cannot read payload file %s (%s); check the boot volume", payload->file, status_name(status));

	UINTN bytes = size;

	memory->size = size;
	memory->hpa = memory_place(&(struct place){ "payload file", payload->file, size, PAGE_SIZE, PLACE_FLOOR,
	                                            PLACE_ANYWHERE, EfiLoaderData });
	status = file->Read(file, &bytes, (void *)memory->hpa);
	if (EFI_ERROR(status) || bytes != size)
		stop("cannot read payload file %s (%s, %lu of %lu bytes); check the boot volume", payload->file,
		     status_name(status), bytes, size);
	file->Close(file);
}

void load_payloads(struct handoff_memory payload[CONFIG_PARTITIONS])
{
	EFI_FILE_HANDLE root = open_volume();

	for (uint32_t i = 0; i < config.partition_count; i++)
		load(root, &config.partitions[i].payload, &payload[i]);
	root->Close(root);
}

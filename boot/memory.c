// SPDX-License-Identifier: Apache-2.0
/*
 * Placement of memory, and the way out of boot services. Everything is allocated from the firmware, so that it keeps
 * its hands off, and only free memory is used: a device that the firmware left running can write into
 * boot-services memory at any time, and none of ours ever was that.
 */
#include "boot/loader.h"

#define MAP_BYTES ((uint64_t)64 << 10) /* of the firmware's memory map; some 1,300 entries */
#define LEAVE_TRIES 4u

static struct {
	EFI_MEMORY_DESCRIPTOR *first;
	UINTN bytes, key, stride;
} map;

static EFI_STATUS read_map(void)
{
	UINT32 version;

	map.bytes = MAP_BYTES;
	return boot_services->GetMemoryMap(&map.bytes, map.first, &map.key, &map.stride, &version);
}

/* The descriptor after d, or the first for NULL; NULL at the end. Its size is the firmware's to say. */
static const EFI_MEMORY_DESCRIPTOR *next(const EFI_MEMORY_DESCRIPTOR *d)
{
	const uint8_t *at = d ? (const uint8_t *)d + map.stride : (const uint8_t *)map.first;

	return at + map.stride <= (const uint8_t *)map.first + map.bytes ? (const EFI_MEMORY_DESCRIPTOR *)at : NULL;
}

static uint64_t end_of(const EFI_MEMORY_DESCRIPTOR *d)
{
	return d->PhysicalStart + d->NumberOfPages * PAGE_SIZE;
}

static void refresh_map(void)
{
	EFI_STATUS status = read_map();

	if (EFI_ERROR(status))
		stop("cannot read the firmware's memory map (%s; it has %lu bytes, room is for %lu); update the firmware",
		     status_name(status), map.bytes, MAP_BYTES);
}

void memory_init(void)
{
	EFI_PHYSICAL_ADDRESS at = 0;
	EFI_STATUS status = boot_services->AllocatePages(AllocateAnyPages, EfiLoaderData, MAP_BYTES / PAGE_SIZE, &at);

	if (EFI_ERROR(status))
		stop("the firmware gives no memory (%s); give the machine more", status_name(status));
	map.first = (EFI_MEMORY_DESCRIPTOR *)at;
}

/* The rule itself, on the map as read last. 0: no place; then *largest is the largest run. */
static uint64_t highest_fit(const struct place *p, uint64_t size, uint64_t *largest)
{
	uint64_t best = 0;

	*largest = 0;
	for (const EFI_MEMORY_DESCRIPTOR *d = next(NULL); d; d = next(d)) {
		uint64_t start = d->PhysicalStart > p->floor ? d->PhysicalStart : p->floor;
		uint64_t end = end_of(d) < p->end ? end_of(d) : p->end;

		if (d->Type != EfiConventionalMemory || !(d->Attribute & EFI_MEMORY_WB) || start >= end)
			continue;
		if (end - start > *largest)
			*largest = end - start;
		if (size > end - start)
			continue;
		uint64_t at = (end - size) & ~(p->align - 1);

		if (at >= start && at > best)
			best = at;
	}
	return best;
}

static EFI_STATUS take(const struct place *p, uint64_t at)
{
	return boot_services->AllocatePages(AllocateAddress, p->type, (p->size + PAGE_SIZE - 1) / PAGE_SIZE, &at);
}

uint64_t memory_place(const struct place *p)
{
	uint64_t size = (p->size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), largest;

	refresh_map();
	uint64_t at = highest_fit(p, size, &largest);

	if (!at)
		stop("too little memory: %s %s needs %lu KiB, aligned to %lu KiB, between 0x%lx and 0x%lx; the largest "
		     "free run there has %lu KiB; give the machine more memory or the configuration less",
		     p->kind, p->name, size >> 10, p->align >> 10, p->floor, p->end, largest >> 10);
	EFI_STATUS status = take(p, at);

	if (EFI_ERROR(status))
		stop("the firmware refuses %lu KiB of free memory at 0x%lx for %s %s (%s); update the firmware",
		     size >> 10, at, p->kind, p->name, status_name(status));
	return at;
}

uint64_t memory_place_at(const struct place *p, uint64_t hpa)
{
	EFI_STATUS status = take(p, hpa);

	if (EFI_ERROR(status))
		stop("%s %s: the %lu KiB at 0x%lx that the configuration asks for are not free (%s); use another address or "
		     "none, or a machine with more memory",
		     p->kind, p->name, p->size >> 10, hpa, status_name(status));
	return hpa;
}

static int is_ram(UINT32 type)
{
	return type == EfiConventionalMemory || type == EfiLoaderCode || type == EfiLoaderData ||
	       type == EfiBootServicesCode || type == EfiBootServicesData;
}

/* UEFI 2.10, 7.4.6: the key must be of the latest map; a failed call may have changed it, and only memory services may
 * follow. So the console is given up first. */
void leave_boot_services(struct handoff *h)
{
	EFI_STATUS status = EFI_LOAD_ERROR;

	console_gone();
	for (uint32_t i = 0; i < LEAVE_TRIES && EFI_ERROR(status); i++) {
		status = read_map();
		if (!EFI_ERROR(status))
			status = boot_services->ExitBootServices(loader_image, map.key);
	}
	if (EFI_ERROR(status))
		stop("the firmware does not let go (%s after %lu tries); update the firmware", status_name(status),
		     (uint64_t)LEAVE_TRIES);
	__asm__ volatile("cli" : : : "memory");
	for (const EFI_MEMORY_DESCRIPTOR *d = next(NULL); d; d = next(d)) {
		if (is_ram(d->Type))
			h->ram_bytes += d->NumberOfPages * PAGE_SIZE;
		if (end_of(d) > h->firmware_memory_end)
			h->firmware_memory_end = end_of(d);
	}
}

// SPDX-License-Identifier: Apache-2.0
/*
 * An application of the kit on the bare machine, as a yardstick: takes the machine from the firmware and enters
 * the very ELF file that a partition runs, in the same state. Needs x2APIC, and itself loaded below 4 GiB.
 */
#include <efi.h>

#include "cpu.h"
#include "info.h"

#define PAGE 4096u
#define IDENTITY_GIB 4u
#define IA32_APIC_BASE 0x1b
#define APIC_X2 (3u << 10) /* EN and EXTD, SDM Vol. 3A, 11.12.1 */
#define LVT_MASKED 0x10000u
#define EXIT_TRIES 4

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

extern uint8_t application[], application_end[];
void enter_application(uint64_t entry, const struct kit_info *info, uint64_t cr3);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static uint64_t tables[2 + IDENTITY_GIB][PAGE / 8] __attribute__((aligned(4096)));
static uint8_t map[64 * 1024] __attribute__((aligned(16)));
static struct kit_info info = { .magic = KIT_INFO_MAGIC, .version = KIT_INFO_VERSION, .name = "efi", .vcpu_count = 1 };

static EFI_STATUS fail(EFI_SYSTEM_TABLE *st, CHAR16 *text)
{
	st->ConOut->OutputString(st->ConOut, text);
	for (; *text; text++)
		outb(0xe9, (uint8_t)*text);
	return EFI_LOAD_ERROR;
}

static const struct elf_segment *segments(void)
{
	return (const struct elf_segment *)(application + ((const struct elf_header *)application)->phoff);
}

/* First byte behind the application's memory. */
static uint64_t application_top(uint64_t *bottom)
{
	uint64_t top = 0;
	*bottom = UINT64_MAX;
	for (unsigned i = 0; i < ((const struct elf_header *)application)->phnum; i++) {
		const struct elf_segment *s = &segments()[i];
		if (s->type != 1)
			continue;
		top = s->vaddr + s->memsz > top ? s->vaddr + s->memsz : top;
		*bottom = s->vaddr < *bottom ? s->vaddr : *bottom;
	}
	return (top + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Bytes of [bottom, top) that are nobody's once the firmware's boot services are gone. */
static uint64_t free_bytes(UINTN size, UINTN stride, uint64_t bottom, uint64_t top)
{
	uint64_t sum = 0;
	for (UINTN at = 0; at + stride <= size; at += stride) {
		const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map + at);
		uint64_t first = d->PhysicalStart, end = first + d->NumberOfPages * PAGE;
		if (d->Type != EfiConventionalMemory && d->Type != EfiBootServicesCode &&
		    d->Type != EfiBootServicesData)
			continue;
		first = first > bottom ? first : bottom;
		end = end < top ? end : top;
		sum += end > first ? end - first : 0;
	}
	return sum;
}

static void copy(uint8_t *to, const uint8_t *from, uint64_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void zero(uint8_t *to, uint64_t size)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

static void build_tables(void)
{
	tables[0][0] = (uint64_t)tables[1] | 3;
	for (uint64_t g = 0; g < IDENTITY_GIB; g++) {
		tables[1][g] = (uint64_t)tables[2 + g] | 3;
		for (uint64_t i = 0; i < PAGE / 8; i++)
			tables[2 + g][i] = (g << 30) | i << 21 | 0x83;
	}
}

static void silence_interrupts(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	wrmsr(IA32_APIC_BASE, rdmsr(IA32_APIC_BASE) | APIC_X2);
	for (uint32_t lvt = 0x832; lvt <= 0x837; lvt++) /* timer to error */
		wrmsr(lvt, LVT_MASKED);
	for (uint32_t i = 0; i < 8; i++) /* what the firmware's timer left in service */
		if (rdmsr(0x810 + i))
			wrmsr(0x80b, 0);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	uint64_t bottom, top = application_top(&bottom);
	if (!(cpuid(1, 0).ecx & 1u << 21))
		return fail(st, L"efi_start: this CPU has no x2APIC\r\n");
	EFI_STATUS status = EFI_LOAD_ERROR;
	UINTN size, key, stride;
	for (int tries = 0; tries < EXIT_TRIES && status != EFI_SUCCESS; tries++) {
		UINT32 version;
		size = sizeof map;
		status = st->BootServices->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)map, &key, &stride, &version);
		if (status != EFI_SUCCESS)
			return fail(st, L"efi_start: no memory map\r\n");
		if (free_bytes(size, stride, bottom, top) != top - bottom)
			return fail(st, L"efi_start: the firmware keeps the memory the application is linked to\r\n");
		status = st->BootServices->ExitBootServices(image, key);
	}
	if (status != EFI_SUCCESS)
		return fail(st, L"efi_start: the firmware does not let go\r\n");
	cli();
	silence_interrupts();
	build_tables();
	zero((uint8_t *)bottom, top - bottom);
	for (unsigned i = 0; i < ((const struct elf_header *)application)->phnum; i++) {
		const struct elf_segment *s = &segments()[i];
		if (s->type == 1)
			copy((uint8_t *)s->vaddr, application + s->offset, s->filesz);
	}
	info.memory_size = info.tables_start = top;
	enter_application(((const struct elf_header *)application)->entry, &info, (uint64_t)tables);
	return EFI_LOAD_ERROR;
}

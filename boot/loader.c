// SPDX-License-Identifier: Apache-2.0
/*
 * The loader: a UEFI application that carries configuration and core. It checks both, places memory, loads the payload
 * files, builds the core's address spaces, leaves the firmware and jumps into the core. handoff.h is its contract.
 */
#include "boot/loader.h"
#include "config/validate.h"

#define CR4_LA57 (1ull << 12)
#define HEADER_SIZE (offsetof(struct core_header, config_size) + sizeof(uint32_t)) /* without padding */
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_EDX_NX (1u << 20)

_Static_assert(sizeof(struct handoff) % 8 == 0, "copied in words");

EFI_HANDLE loader_image;
EFI_SYSTEM_TABLE *system_table;
EFI_BOOT_SERVICES *boot_services;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* Whole words: `bytes` is a multiple of 8. A string instruction is the fewest instructions, and needs no library. */
static void copy_words(void *to, const void *from, uint64_t bytes)
{
	uint64_t words = bytes / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static void zero_words(void *to, uint64_t bytes)
{
	uint64_t words = bytes / 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0) : "memory");
}

static void check_config(void)
{
	struct config_fault fault;

	if (config_validate(&config, &fault) != RULE_OK)
		stop("the configuration breaks a rule: %s (partition %s, entry %lu, other entry %lu; %lu is none); "
		     "rebuild the image with tables from tools/mkconfig",
		     config_rule_text(fault.rule),
		     fault.partition < config.partition_count ? config.partitions[fault.partition].name : "none",
		     (uint64_t)fault.index, (uint64_t)fault.other, (uint64_t)CONFIG_NONE);
	if (config.cpu_count != CONFIG_CPUS || config.memory_count != CONFIG_MEMORIES ||
	    config.partition_count != CONFIG_PARTITIONS)
		stop("the configuration's tables and its sizes (%lu CPUs, %lu memories, %lu partitions) differ; "
		     "rebuild the image",
		     (uint64_t)CONFIG_CPUS, (uint64_t)CONFIG_MEMORIES, (uint64_t)CONFIG_PARTITIONS);
}

/* Only what the jump rests on. The core checks everything else, on each of its CPUs. */
static void check_cpu(void)
{
	uint32_t eax = CPUID_EXTENDED_FEATURES, ebx, ecx = 0, edx;
	uint64_t cr4;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(edx & CPUID_EDX_NX))
		stop("the CPU has no execute-disable (CPUID.80000001h:EDX[20]); enable it in the firmware's settings");
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_LA57)
		stop("the firmware runs with 5-level paging (CR4.LA57); disable it in the firmware's settings");
}

static int inside(uint64_t start, uint64_t size, uint64_t limit)
{
	return start <= limit && size <= limit - start;
}

static int sections_fit(const struct core_header *h)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < SECTION_COUNT; i++) {
		const struct core_section *s = &h->section[i];

		if ((s->start | s->size) % PAGE_SIZE || s->start < end || !inside(s->start, s->size, h->total_size))
			return 0;
		if ((s->rights & RIGHT_WRITE) && (s->rights & RIGHT_EXEC))
			return 0;
		end = (uint64_t)s->start + s->size;
	}
	return 1;
}

static int percpu_fits(const struct core_header *h)
{
	uint64_t tables = TRANSITION_TABLE_PAGES + (uint64_t)h->cpu_count * CPU_TABLE_PAGES;

	if (h->cpu_count != config.cpu_count || h->percpu_stride % PAGE_SIZE ||
	    h->section[SECTION_PERCPU].size < (uint64_t)h->cpu_count * h->percpu_stride ||
	    h->section[SECTION_TABLES].size < tables * PAGE_SIZE)
		return 0;
	for (uint32_t i = 0; i < PERCPU_PIECES; i++)
		if (!inside(h->piece[i].offset, h->piece[i].size, h->percpu_stride))
			return 0;
	return 1;
}

/* The embedded core comes from the same build: this finds a build gone wrong, not an attacker. */
static const struct core_header *check_core(void)
{
	const struct core_header *h = (const struct core_header *)(const void *)core_image_start;
	uint64_t size = (uint64_t)(core_image_end - core_image_start);
	const char *fault = NULL;

	if (size < sizeof *h || h->magic != CORE_MAGIC)
		fault = "it has no header";
	else if (h->version != HANDOFF_VERSION || h->header_size != HEADER_SIZE)
		fault = "its header is of another version";
	else if (h->total_size % PAGE_SIZE || h->image_size % 8 || h->image_size > size ||
	         h->image_size > h->total_size)
		fault = "its sizes are wrong";
	else if (!sections_fit(h))
		fault = "its sections are out of order, or writable and executable";
	else if (!percpu_fits(h))
		fault = "its tables or per-CPU blocks do not fit this configuration's CPUs";
	else if (h->handoff < CORE_BASE + h->section[SECTION_DATA].start ||
	         !inside(h->handoff - CORE_BASE - h->section[SECTION_DATA].start, sizeof(struct handoff),
	                 h->section[SECTION_DATA].size))
		fault = "its handoff structure is not in its data";
	if (fault)
		stop("core image: %s; rebuild the image", fault);
	return h;
}

static uint64_t find_rsdp(void)
{
	static const EFI_GUID guids[] = { ACPI_20_TABLE_GUID, ACPI_TABLE_GUID };

	for (uint32_t g = 0; g < 2; g++) {
		const uint64_t rsdp = find_table(&guids[g]);

		if (rsdp)
			return rsdp;
	}
	stop("the firmware has no ACPI tables; enable ACPI in its settings");
}

static void place_memories(struct handoff_memory *memory, int fixed)
{
	for (uint32_t i = 0; i < config.memory_count; i++) {
		const struct config_memory *m = &config.memories[i];
		struct place p = { "memory", m->name, m->size, m->align, PLACE_FLOOR, PLACE_ANYWHERE, EfiLoaderData };
#if CONFIG_AUDIT_ENTRIES
		if (i ==
		    CONFIG_AUDIT_MEMORY) /* firmware works from the top down: there the next boot would find nothing */
			p.end = PLACE_128M;
#endif

		if ((m->hpa != CONFIG_HPA_ANY) == fixed)
			memory[i] = (struct handoff_memory){ fixed ? memory_place_at(&p, m->hpa) : memory_place(&p),
				                             m->size };
	}
}

/* Memories at fixed addresses come first, since they have no choice; then what must lie low; then the other memories in
 * the configuration's order. */
static void place_all(const struct core_header *core, struct handoff *h)
{
	place_memories(h->memory, 1);
	h->core_size = core->total_size;
	h->core_hpa = memory_place(
		&(struct place){ "the", "core", h->core_size, PAGE_SIZE, PLACE_FLOOR, PLACE_4G, EfiLoaderData });
	/* as code: some firmware maps all other kinds execute-disabled */
	h->trampoline = memory_place(
		&(struct place){ "the", "trampoline", 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, PLACE_640K, EfiLoaderCode });
	place_memories(h->memory, 0);
}

/* No message and no way back from here on: the handoff, then the jump, from memory that both address spaces have. */
static _Noreturn void enter(const struct core_header *core, struct handoff *h)
{
	uint8_t *stub = (uint8_t *)(h->trampoline + PAGE_SIZE);

	for (uint32_t i = 0; i < (uint32_t)(enter_end - enter_start); i++)
		stub[i] = enter_start[i];
	h->tsc_handoff = tsc_now();
	copy_words((void *)(h->core_hpa + core->handoff - CORE_BASE), h, sizeof *h);
	((enter_core *)(uint64_t)stub)(h->transition_cr3, core->entry, core->handoff);
	__builtin_unreachable();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	struct handoff h = { .magic = HANDOFF_MAGIC, .version = HANDOFF_VERSION, .size = sizeof h };

	h.tsc_loader_start = tsc_now();
	loader_image = image;
	system_table = table;
	boot_services = table->BootServices;
	boot_services->SetWatchdogTimer(0, 0, 0, NULL); /* it would reset the machine after five minutes */
	check_config();
	say("Bulkhead, configuration %s", config.name);
	check_cpu();

	const struct core_header *core = check_core();

	h.rsdp = find_rsdp();
	memory_init();
	place_all(core, &h);
	h.ticks_files = tsc_now();
	load_payloads(h.payload);
	h.ticks_files = tsc_now() - h.ticks_files;
	zero_words((void *)h.core_hpa, h.core_size);
	copy_words((void *)h.core_hpa, core, core->image_size);
#if CONFIG_TRUST
	/* The last place where boot services answer, and everything lies where it will be run from. */
	trust_measure(core, &h);
#endif
	build_spaces(core, &h);
	say("core at 0x%lx, leaving the firmware", h.core_hpa);
	leave_boot_services(&h);
	enter(core, &h);
}

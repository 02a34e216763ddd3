// SPDX-License-Identifier: Apache-2.0
/*
 * Plays partitions' devices: QEMU's edu, a DMA engine, several of them, in and out of partitions, on the root bus and behind root ports.
 * It knows of the remapping unit only what hardware shows (its registers, its tables in memory) and of the configuration what the tables say,
 * works out what each access must come to, and compares: memory, and the fault record. It runs on the boot CPU, once the core has switched
 * isolation on and before it asks for VMX, which these machines lack. In test images only (vtd.mk).
 */
#include "tests/vtd/exerciser.h"

void __real_cpus_start(void);
void __wrap_cpus_start(void);

/* edu (QEMU, docs/specs/edu.rst) */
#define EDU_ID 0x11e81234u
#define EDU_SOURCE 0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT 0x90u
#define EDU_COMMAND 0x98u
#define EDU_RUN 1u
#define EDU_TO_MEMORY 2u
#define EDU_BUFFER 0x40000ull
#define EDU_WAIT_MS 2000u

#define UNIT 0xfed90000ull /* where QEMU has it */
#define ENTRY_ADDRESS 0x000ffffffffff000ull

/* Behind root ports: 6.0, whose device a partition has, and 8.0, whose bus is nobody's. */
static const struct config_path paths[] = {
	{ 0, 1, { 4 << 3 } }, { 0, 1, { 5 << 3 } },    { 0, 2, { 6 << 3, 0 } },
	{ 0, 1, { 7 << 3 } }, { 0, 2, { 8 << 3, 0 } },
};
#define EDUS (sizeof paths / sizeof *paths)
static struct edu edus[EDUS];
static uint32_t edu_count;
static uint32_t combinations, wrong, faults;

void check(int good, const char *what, const struct edu *e, uint64_t address, uint64_t more)
{
	if (good)
		return;
	wrong++;
	if (wrong > 12)
		return;
	print("exerciser: WRONG: %s: device %x, address %lx, %lx\n", what, e ? e->source : 0xffffu, address, more);
	console_flush();
}

/* ---- memory and registers ------------------------------------------------------------------------------------------ */

uint64_t peek(uint64_t hpa)
{
	return *(volatile uint64_t *)window(0, hpa);
}

void poke(uint64_t hpa, uint64_t value)
{
	*(volatile uint64_t *)window(0, hpa) = value;
}

static uint64_t unit(uint32_t offset)
{
	return *(volatile uint64_t *)window_device(0, UNIT + offset);
}

volatile uint32_t *edu_register(const struct edu *e, uint32_t offset)
{
	return (volatile uint32_t *)window_device(0, e->registers + offset);
}

static void edu_write64(const struct edu *e, uint32_t offset, uint64_t value)
{
	*(volatile uint64_t *)window_device(0, e->registers + offset) = value;
}

/* One DMA of eight bytes. The device takes 100 ms for it. */
void start_dma(const struct edu *e, uint64_t address, int to_memory)
{
	edu_write64(e, to_memory ? EDU_SOURCE : EDU_DESTINATION, EDU_BUFFER);
	edu_write64(e, to_memory ? EDU_DESTINATION : EDU_SOURCE, address);
	edu_write64(e, EDU_COUNT, 8);
	edu_register(e, EDU_COMMAND)[0] = EDU_RUN | (to_memory ? EDU_TO_MEMORY : 0);
}

void dma(const struct edu *e, uint64_t address, int to_memory)
{
	const uint64_t end = rdtsc() + EDU_WAIT_MS * tsc_khz;

	start_dma(e, address, to_memory);
	while (edu_register(e, EDU_COMMAND)[0] & EDU_RUN) {
		for (volatile uint32_t i = 0; i < 20000; i++)
			;
		if (rdtsc() > end) {
			check(0, "the device does not end its DMA", e, address, 0);
			return;
		}
	}
}

/* ---- what must come of an access ----------------------------------------------------------------------------------- */

struct expectation expect(const struct edu *e, uint64_t address, int write)
{
	struct expectation x = { 0, write ? 5 : 6 };

	if (e->partition == NOBODY) {
		x.reason = e->source >> 8 && !(peek((unit(VTD_RTADDR) & ENTRY_ADDRESS) + (e->source >> 8) * 16u) & 1) ?
		                   1 :
		                   2;
		return x;
	}
	if (address >> (unit(VTD_CAP) >> 8 & 4 ? 48 : 39)) { /* four levels, or three */
		x.reason = 4;
		return x;
	}
	for (uint32_t i = 0; i < config.partitions[e->partition].map_count; i++) {
		const struct config_map *m = &config.partitions[e->partition].maps[i];

		if (address - m->gpa < m->size && m->rights & (write ? RIGHT_WRITE : RIGHT_READ))
			x = (struct expectation){ handoff.memory[m->memory].hpa + m->offset + (address - m->gpa), 0 };
	}
	return x;
}

static int is_core(uint64_t hpa)
{
	return hpa - handoff.core_hpa < handoff.core_size;
}

static int is_ram(uint64_t hpa)
{
	for (uint32_t i = 0; i < CONFIG_MEMORIES; i++)
		if (hpa - handoff.memory[i].hpa < handoff.memory[i].size)
			return 1;
	return is_core(hpa);
}

/* Exactly one record, of this access; or none. */
void check_fault(const struct edu *e, uint64_t address, int write, uint8_t reason)
{
	struct vtd_fault f;
	const int found = vtd_take_fault(&f);

	faults += found != 0;
	if (!reason) {
		check(!found, "a fault is recorded, but the access is allowed", e, address, found ? f.reason : 0);
		return;
	}
	check(found, write ? "no fault is recorded for a write" : "no fault is recorded for a read", e, address,
	      reason);
	if (!found)
		return;
	check(f.source == e->source, "the record names another device", e, address, f.source);
	check(f.reason == reason, "the record has another reason", e, address, f.reason);
	check(f.write == (write != 0), "the record has the other direction", e, address, f.write);
	check(f.address == (address & ~(PAGE_SIZE - 1)), "the record has another address", e, address, f.address);
	check(!vtd_take_fault(&f), "a second fault is recorded", e, address, f.address);
}

/* The device's buffer, through a DMA to memory that it may write. */
static uint64_t buffer(const struct edu *e)
{
	dma(e, e->scratch, 1);
	check_fault(e, e->scratch, 1, 0);
	return peek(expect(e, e->scratch, 1).hpa);
}

void fill(const struct edu *e, uint64_t value)
{
	poke(expect(e, e->scratch, 1).hpa, value);
	dma(e, e->scratch, 0);
	check_fault(e, e->scratch, 0, 0);
}

static uint64_t pattern(void)
{
	static uint64_t count;

	return ++count * 0x9e3779b97f4a7c15ull;
}

static void try_write(const struct edu *e, uint64_t address)
{
	const struct expectation x = expect(e, address, 1);
	const uint64_t there = is_ram(address) ? peek(address) : 0;
	const uint64_t value = pattern();

	if (e->partition != NOBODY)
		fill(e, value);
	dma(e, address, 1);
	check_fault(e, address, 1, x.reason);
	if (!x.reason)
		check(peek(x.hpa) == value, "a write did not arrive", e, address, x.hpa);
	if (is_ram(address) && address != x.hpa)
		check(peek(address) == there, "a write reached a frame that is not its own", e, address, there);
}

static void try_read(const struct edu *e, uint64_t address)
{
	const struct expectation x = expect(e, address, 0);
	const uint64_t value = pattern(), none = pattern();

	if (!x.reason)
		poke(x.hpa, value);
	else if (is_ram(address) && !is_core(address))
		poke(address, value);
	if (e->partition != NOBODY)
		fill(e, none);
	if (!x.reason)
		poke(x.hpa, value);
	dma(e, address, 0);
	check_fault(e, address, 0, x.reason);
	if (e->partition == NOBODY)
		return;
	const uint64_t got = buffer(e);

	check(x.reason ? got != value || !is_ram(address) : got == value, "a read brought something else", e, address,
	      got);
}

static void try(const struct edu *e, uint64_t address)
{
	address = (address & ~(PAGE_SIZE - 1)) | (combinations * 40 & 0xff8);
	/* QEMU does not record a write to a page that it has cached as not writable. */
	vtd_invalidate();
	try_write(e, address);
	vtd_invalidate();
	try_read(e, address);
	combinations += 2;
}

static void around(void (*what)(const struct edu *, uint64_t), const struct edu *e, uint64_t start, uint64_t size)
{
	what(e, start);
	what(e, start + size / 2);
	what(e, start + size - PAGE_SIZE);
	what(e, start + size);
	if (start)
		what(e, start - PAGE_SIZE);
}

void for_addresses(void (*what)(const struct edu *, uint64_t), const struct edu *e)
{
	static const uint64_t others[] = { UNIT,       0xfec00000, 0xb0000000, 0xe0000000, 0xfed00000,
		                           1ull << 32, 1ull << 38, 1ull << 47, 1ull << 48, 1ull << 52 };

	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++)
		for (uint32_t j = 0; j < config.partitions[i].map_count; j++)
			around(what, e, config.partitions[i].maps[j].gpa, config.partitions[i].maps[j].size);
	for (uint32_t i = 0; i < CONFIG_MEMORIES; i++)
		around(what, e, handoff.memory[i].hpa, handoff.memory[i].size);
	for (uint64_t at = 0; at < handoff.core_size; at += handoff.core_size / 8 & ~(PAGE_SIZE - 1))
		what(e, handoff.core_hpa + at);
	what(e, unit(VTD_RTADDR) & ENTRY_ADDRESS);
	what(e, unit(VTD_IRTA) & ENTRY_ADDRESS);
	what(e, unit(VTD_IQA) & ENTRY_ADDRESS);
	what(e, handoff.cpu_cr3[0]);
	for (uint32_t i = 0; i < sizeof others / sizeof *others; i++)
		what(e, others[i]);
}

/* ---- stale entries --------------------------------------------------------------------------------------------------- */

/* Physical address of the context entry, and of the leaf for an address: by the tables as they stand in memory. */
static uint64_t context_entry(const struct edu *e)
{
	const uint64_t root = unit(VTD_RTADDR) & ENTRY_ADDRESS;

	return (peek(root + (e->source >> 8) * 16u) & ENTRY_ADDRESS) + (e->source & 0xff) * 16u;
}

static uint64_t leaf(const struct edu *e, uint64_t address)
{
	uint64_t at = peek(context_entry(e)) & ENTRY_ADDRESS;
	const uint64_t width = peek(context_entry(e) + 8) & 7;
	uint32_t shift = width == 2 ? 39 : 30;

	for (;; shift -= 9) {
		const uint64_t entry = peek(at + (address >> shift & 511) * 8);

		if (shift == 12 || entry & 0x80 || !(entry & 3))
			return at + (address >> shift & 511) * 8;
		at = entry & ENTRY_ADDRESS;
	}
}

/* With the entry at `hpa` gone: nothing changes before the invalidation, and then the access is blocked with that reason. */
static void try_stale(const struct edu *e, uint64_t hpa, uint8_t reason, const char *what)
{
	const uint64_t address = e->scratch, entry = peek(hpa);
	const uint32_t before = wrong;

	vtd_invalidate();
	fill(e, pattern());
	dma(e, address, 1);
	check_fault(e, address, 1, 0);
	poke(hpa, 0);
	__asm__ volatile("clflush %0; mfence" : : "m"(*window(0, hpa)));
	dma(e, address, 1);
	check_fault(e, address, 1, 0);
	vtd_invalidate();
	dma(e, address, 1);
	check_fault(e, address, 1, reason);
	poke(hpa, entry);
	__asm__ volatile("clflush %0; mfence" : : "m"(*window(0, hpa)));
	vtd_invalidate();
	fill(e, pattern());
	print("exerciser: %s without invalidation: stale, with it: blocked: %s\n", what,
	      wrong == before ? "yes" : "NO");
}

/* ---- bus mastering --------------------------------------------------------------------------------------------------- */

static void try_bus_mastering(void)
{
	struct vtd_fault f;
	uint32_t on = 0;

	for (uint32_t source = 0; source < 3 << 8; source++) {
		const uint32_t id = pci_read(0, 0, (uint16_t)source, 0);

		if ((uint16_t)id != UINT16_MAX && pci_read(0, 0, (uint16_t)source, 4) & 4)
			on += source != 6 << 3; /* the port that a partition's device is behind */
	}
	check(on == 0, "functions may still use the bus", 0, 0, on);
	check((pci_read(0, 0, 6 << 3, 4) & 4) != 0, "a port does not pass on what its device sends", 0, 0, 0);
	for (uint32_t i = 0; i < edu_count; i++) {
		const uint64_t first = handoff.memory[0].hpa, there = peek(first);

		dma(&edus[i], first, 1);
		check(peek(first) == there && !vtd_take_fault(&f), "a device wrote without bus mastering", &edus[i],
		      first, 0);
	}
	print("exerciser: bus mastering off: %u functions left on\n", on);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

int find_device(struct edu *e, const struct config_path *path, uint32_t id)
{
	uint32_t bar;

	*e = (struct edu){ .partition = NOBODY, .scratch = 0x3000 };
	if (!pci_resolve(path, 0, pci_read, 0, &e->source) || pci_read(0, 0, e->source, 0) != id)
		return 0;
	bar = pci_read(0, 0, e->source, 0x10);
	e->registers = (bar & ~15u) | (bar & 4 ? (uint64_t)pci_read(0, 0, e->source, 0x14) << 32 : 0);
	for (uint32_t i = 0; i < config.device_count; i++) {
		uint16_t source;

		if (pci_resolve(&config.devices[i].path, 0, pci_read, 0, &source) && source == e->source)
			e->partition = config.devices[i].partition;
	}
	return 1;
}

static void find_edus(void)
{
	for (uint32_t i = 0; i < EDUS; i++)
		edu_count += (uint32_t)find_device(&edus[edu_count], &paths[i], EDU_ID);
	print("exerciser: %u DMA engines\n", edu_count);
}

void __wrap_cpus_start(void)
{
	if (vtd_active()) {
		check(vtd_intact(), "the units are not as they should be", 0, 0, 0);
		vtd_init(); /* once more: what is on already */
		check(vtd_intact(), "the units are not as they should be when set up again", 0, 0, 0);
		find_edus();
		try_bus_mastering();
		for (uint32_t i = 0; i < edu_count; i++) {
			const uint32_t before = wrong, first = combinations;

			pci_bus_master(0, edus[i].source, 1);
			for_addresses(try, &edus[i]);
			print("exerciser: device %x of %s: %u combinations, %u wrong\n", (uint32_t)edus[i].source,
			      edus[i].partition == NOBODY ? "nobody" : config.partitions[edus[i].partition].name,
			      combinations - first, wrong - before);
			console_flush();
		}
		combinations += try_others();
		if (edu_count && config.device_count > 2) {
			try_stale(&edus[0], leaf(&edus[0], edus[0].scratch), 5, "a page taken away");
			try_stale(&edus[0], context_entry(&edus[0]), 2, "a device taken away");
			try_interrupts(&edus[0], &edus[1]);
			try_ioapic();
			try_telling(&edus[1]);
		}
		print("exerciser: %u combinations, %u fault records, %u wrong\n", combinations, faults, wrong);
		window_close();
		console_flush();
	}
	__real_cpus_start();
}

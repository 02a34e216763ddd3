// SPDX-License-Identifier: Apache-2.0
/* See vtd.h. The machine's remapping units and the tables that all of them share. */
#include "vtd/vtd.h"

#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/panic.h"
#include "core/window.h"
#include "core/x86.h"
#include "ept/pagetable.h"
#include "ept/walk.h"
#include "hypercall/audit.h"
#include "vtd/dmar.h"
#include "vtd/pci.h"
#include "vtd/unit.h"

#define ROOMS (CONFIG_DEVICES + !CONFIG_DEVICES)
#define SEGMENTS 2u     /* segment 0, where partitions have devices, and all others, where nobody has one */
#define FAULTS_TOLD 32u /* and then no more, until somebody asks: what a device can do to this CPU ends */
#define FAULTS_AT_ONCE 2u

static struct dmar dmar;
static struct unit units[DMAR_MAX_UNITS];
static struct vtd_ability ability;
static const char *missing; /* why devices cannot be confined, found by vtd_find() */
static uint32_t missing_at; /* offset in the DMAR */
static uint32_t fault_cpu, told;
static volatile uint32_t done[DMAR_MAX_UNITS];
static uint32_t active;

/* What the units read. Only the boot CPU has it mapped. */
static struct {
	uint64_t root[SEGMENTS][PT_ENTRIES], context[ROOMS][PT_ENTRIES];
	uint64_t interrupts[SEGMENTS][2 * CONFIG_IRTES];
	uint64_t queue[DMAR_MAX_UNITS][2 * VTD_QUEUE_ENTRIES];
	uint64_t second_level[CONFIG_DMA_PAGES][PT_ENTRIES];
} tables __attribute__((section(".ept"), aligned(4096)));
static uint64_t second_level_root[CONFIG_PARTITIONS]; /* physical; 0: the partition has no device */
static uint16_t device_source[ROOMS];                 /* of config.devices */

void vtd_find(struct acpi *acpi)
{
	struct acpi_table table;

	if (acpi_find(acpi, "DMAR", &table) != ACPI_OK) {
		missing = acpi_result_text(acpi->fault.result);
	} else {
		const uint8_t *p = acpi->map(acpi->context, table.phys, table.length);

		missing = p ? dmar_parse(p, table.length, &dmar, &missing_at) : "it cannot be read";
	}
	const char *wrong = pci_find(acpi);

	if (wrong)
		refuse("ACPI table MCFG: %s", wrong);
}

/* Can this machine confine devices? Says why not. */
static int usable(void)
{
	const char *wrong = missing;
	uint64_t where = missing_at;

	if (!wrong) {
		wrong = dmar_resolve(&dmar, pci_read, 0);
		where = 0;
	}
	if (!wrong && !(dmar.flags & DMAR_INTERRUPT_REMAPPING))
		wrong = "the platform says that it cannot remap interrupts";
	ability = (struct vtd_ability)VTD_ABILITY_ALL;
	for (uint32_t i = 0; i < dmar.unit_count && !wrong; i++) {
		struct unit *u = &units[i];
		const uint32_t other = dmar.unit[i].segment != 0;

		*u = (struct unit){ .registers = dmar.unit[i].registers,
			            .root = core_phys(tables.root[other]),
			            .interrupts = core_phys(tables.interrupts[other]) | VTD_IRTA_SIZE,
			            .queue_at = core_phys(tables.queue[i]),
			            .queue = tables.queue[i],
			            .done_at = core_phys((const void *)&done[i]),
			            .done = &done[i] };
		where = u->registers;
		wrong = unit_probe(u);
		if (!wrong)
			wrong = vtd_combine(&ability, u->cap, u->ecap);
	}
	if (!wrong)
		return 1;
	if (config.iommu == IOMMU_REQUIRE)
		refuse("the configuration requires that devices are confined (iommu). DMAR, at %lx: %s", where, wrong);
	print("DMAR, at %lx: %s\n", where, wrong);
	return 0;
}

static const volatile uint64_t *read_table(void *context, uint64_t phys)
{
	const uint64_t first = core_phys(tables.second_level), offset = phys - first;

	(void)context;
	return phys < first || offset >= sizeof tables.second_level || offset % PAGE_SIZE ?
	               0 :
	               tables.second_level[offset / PAGE_SIZE];
}

/* A partition's devices reach its memory and what it shares, at the addresses at which it has them, to read and to write; not what the core
 * writes for it. Returns pages used. */
static uint32_t build_partition(uint16_t index, uint32_t used)
{
	const struct config_partition *p = &config.partitions[index];
	struct pt_pool pool = { tables.second_level[used], core_phys(tables.second_level[used]),
		                CONFIG_DMA_PAGES - used, 0 };
	struct walk_allowed allowed[CONFIG_MAPS_MAX];
	struct walk_fault fault;
	uint32_t count = 0;

	pt_init(&pool);
	for (uint32_t i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		const struct walk_allowed a = { m->gpa, handoff.memory[m->memory].hpa + m->offset, m->size,
			                        m->rights & (RIGHT_READ | RIGHT_WRITE) };

		if (config.memories[m->memory].owner == CONFIG_CORE)
			continue;
		if (a.in + a.size > 1ull << ability.width)
			refuse("%s has memory at %lx, which its devices cannot address: they have %u bits", p->name,
			       a.in, ability.width);
		const enum pt_result r = pt_map(&pt_format_vtd, &pool, a.in, a.out, a.size, a.rights,
		                                ability.max_shift);
		if (r != PT_OK)
			panic("DMA tables of %s, map %u: error %u", p->name, i, (uint32_t)r);
		allowed[count++] = a;
	}
	const enum walk_result result = walk_tables(WALK_VTD, pool.phys, read_table, 0, allowed, count,
	                                            cpuid(0x80000008, 0).r[0] & 0xff, ability.max_shift == 30, &fault);
	if (result != WALK_OK)
		panic("DMA tables of %s: %s at %lx, entry %lx, level %u", p->name, walk_result_name(result), fault.in,
		      fault.entry, fault.level);
	/* Of three levels, the first is what the root's first entry refers to: all addresses are below 2^39. */
	second_level_root[index] = ability.levels == 4 ? pool.phys : pool.virt[0] & ~(PAGE_SIZE - 1);
	return used + pool.used;
}

/* The context table of a bus, a new one if there is none. */
static uint64_t *context_of(uint32_t bus, uint32_t *used)
{
	uint64_t *root = &tables.root[0][2 * bus];

	if (!(root[0] & VTD_PRESENT))
		root[0] = core_phys(tables.context[(*used)++]) | VTD_PRESENT;
	return tables.context[(root[0] - core_phys(tables.context)) / PAGE_SIZE];
}

/* 0, or why the device cannot be given to a partition. */
static const char *give(const struct config_device *d, uint32_t *contexts)
{
	const char *wrong = pci_open_path(&d->path);
	uint16_t source;

	if (wrong)
		return wrong;
	if (!pci_resolve(&d->path, 0, pci_read, 0, &source) || (uint16_t)pci_read(0, 0, source, 0) == UINT16_MAX)
		return "it is not there";
	if (dmar_unit_of(&dmar, 0, source) == DMAR_NONE)
		return "no remapping unit is in charge of it";
	if (dmar_region_of(&dmar, 0, source) != DMAR_NONE)
		return "the firmware goes on using it (RMRR)";
	uint64_t *entry = context_of(source >> 8, contexts) + 2 * (source & 0xff);

	if (entry[0])
		return "it is there twice, by two paths";
	device_source[d - config.devices] = source;
	vtd_context_entry(entry, second_level_root[d->partition], ability.levels, d->partition + 1u);
	print("device %x:%x.%x: for %s\n", (uint32_t)source >> 8, (uint32_t)source >> 3 & 31, (uint32_t)source & 7,
	      config.partitions[d->partition].name);
	return 0;
}

static void build(void)
{
	uint32_t pages = 0, contexts = 0;

	for (uint32_t i = 0; i < config.device_count; i++) {
		const struct config_device *d = &config.devices[i];

		if (!second_level_root[d->partition])
			pages = build_partition(d->partition, pages);
		const char *wrong = give(d, &contexts);

		if (wrong)
			refuse("device %u of the configuration, for %s: %s", i, config.partitions[d->partition].name,
			       wrong);
	}
	print("DMA tables: %u pages, proved: no frame of the core or of a foreign partition is reachable\n", pages);
}

/* Units that do not snoop read tables past the caches. */
static void write_back(const void *from, uint64_t size)
{
	for (uint64_t i = 0; i < size && !ability.coherent; i += 64)
		__asm__ volatile("clflush %0" : : "m"(((const uint8_t *)from)[i]));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Faults are told by a CPU that has nothing else to do, or shares its time anyway, or else by the boot CPU. */
static uint32_t choose_fault_cpu(void)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < CONFIG_CPUS; i++) {
		if (!config.cpus[i].slot_count)
			return i;
		if (cpu_is_scheduled(i) && !cpu_is_scheduled(chosen))
			chosen = i;
	}
	return chosen;
}

void vtd_init(void)
{
	const int can = usable();

	active = 0;
	memset(&tables, 0, sizeof tables);
	memset(second_level_root, 0, sizeof second_level_root);
	print("%u PCI functions, none may use the bus\n", pci_quiet());
	if (!can) {
		print("*** DMA isolation is ABSENT: any device can read and write all memory. For development only ***\n");
		return;
	}
	if (ability.domains <= CONFIG_PARTITIONS)
		refuse("the remapping units know %u domains, the configuration needs %u", ability.domains,
		       CONFIG_PARTITIONS + 1u);
	memory_check_placement();
	build();
	write_back(&tables, sizeof tables);
	fault_cpu = choose_fault_cpu();
	for (uint32_t i = 0; i < dmar.unit_count; i++) {
		units[i].interrupts |= ability.extended ? VTD_IRTA_EXTENDED : 0;
		unit_enable(&units[i]);
		unit_signal_faults(&units[i], cpu_apic_id[fault_cpu]);
	}
	active = 1;
	window_close();
	print("%u remapping units on, %u levels, pages up to %u KiB%s%s; all else is blocked\n", dmar.unit_count,
	      ability.levels, 1u << (ability.max_shift - 10), ability.coherent ? "" : ", tables flushed",
	      ability.extended ? ", 32-bit APIC IDs" : "");
}

int vtd_active(void)
{
	return active != 0;
}

uint32_t vtd_units(void)
{
	return active ? dmar.unit_count : 0;
}

int vtd_unit_intact(uint32_t unit)
{
	const int good = unit_intact(&units[unit]);

	window_close();
	return good;
}

int vtd_intact(void)
{
	uint32_t good = 0;

	for (uint32_t i = 0; i < dmar.unit_count; i++)
		good += vtd_unit_intact(i) != 0;
	return good == dmar.unit_count;
}

void vtd_invalidate(void)
{
	for (uint32_t i = 0; i < dmar.unit_count; i++)
		unit_invalidate(&units[i]);
	window_close();
}

/* Not present while it changes, since its halves are read one by one. */
void vtd_interrupt_set(uint32_t index, const struct vtd_interrupt *x)
{
	volatile uint64_t *entry = &tables.interrupts[0][2 * index];
	uint64_t value[2];

	if (x->apic_id > 0xff && !ability.extended)
		refuse("interrupts of devices cannot reach APIC ID %u: this machine's units know 8 bits", x->apic_id);
	vtd_interrupt_entry(value, x, ability.extended);
	entry[0] = 0;
	entry[1] = value[1];
	entry[0] = value[0];
	write_back((const void *)entry, 16);
	vtd_invalidate();
}

uint16_t vtd_ioapic_source(uint8_t id)
{
	const uint32_t scope = dmar_ioapic(&dmar, id);

	if (scope < DMAR_MAX_SCOPES)
		return dmar.scope[scope].source;
	refuse("no remapping unit is in charge of I/O APIC %u: a fault of the firmware", id);
}

int vtd_take_fault(struct vtd_fault *fault)
{
	int found = 0;

	for (uint32_t i = 0; i < dmar.unit_count && !found; i++)
		found = unit_take_fault(&units[i], fault);
	window_close();
	return found;
}

/* Whose device it is: a partition's index, or AUDIT_CORE. */
static inline uint16_t owner(uint16_t source)
{
	for (uint32_t i = 0; i < config.device_count; i++)
		if (device_source[i] == source)
			return config.devices[i].partition;
	return AUDIT_CORE;
}

void vtd_record(void)
{
	if (!active)
		audit(AUDIT_SECURITY, AUDIT_DEVICE, AUDIT_CORE, 0, 0);
}

static void tell(const struct vtd_fault *f)
{
	audit(AUDIT_SECURITY, AUDIT_DEVICE, owner(f->source), (uint32_t)f->source << 8 | f->reason,
	      f->reason >= VTD_FAULT_INTERRUPT ? f->index : f->address);
	if (f->reason >= VTD_FAULT_INTERRUPT)
		print("device %x:%x.%x: blocked interrupt %u: %s\n", (uint32_t)f->source >> 8,
		      (uint32_t)f->source >> 3 & 31, (uint32_t)f->source & 7, f->index, vtd_fault_text(f->reason));
	else
		print("device %x:%x.%x: blocked %s at %lx: %s\n", (uint32_t)f->source >> 8,
		      (uint32_t)f->source >> 3 & 31, (uint32_t)f->source & 7, f->write ? "write" : "read", f->address,
		      vtd_fault_text(f->reason));
}

/* A step of bounded length; what is left makes another NMI. */
void vtd_attention(int again)
{
	struct vtd_fault fault;
	uint32_t i = 0;

	if (!active || this_cpu->index != fault_cpu)
		return;
	if (again && told == FAULTS_TOLD) {
		told = 0;
		for (uint32_t u = 0; u < dmar.unit_count; u++)
			unit_mask_faults(&units[u], 0);
	}
	for (; i < FAULTS_AT_ONCE && told < FAULTS_TOLD && vtd_take_fault(&fault); i++, told++)
		tell(&fault);
	if (i == FAULTS_AT_ONCE && told < FAULTS_TOLD)
		attention_kick(this_cpu->index);
	if (i && told == FAULTS_TOLD) {
		print("more faults of devices are not told, unless you ask (Ctrl-] !)\n");
		for (uint32_t u = 0; u < dmar.unit_count; u++)
			unit_mask_faults(&units[u], 1);
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "assign.h"

#include "audit.h"
#include "console.h"
#include "core.h"
#include "flr.h"
#include "panic.h"
#include "vmx/pci.h"
#include "vtd/dmar.h"
#include "vtd/pci.h"
#include "window.h"
#include "x86.h"

#define HEADER_TYPE 0x0cu /* in bits 22:16 */
#define HEADER_TYPE_MASK 0x7f0000u
#define CLASS 0x08u
#define CLASS_BRIDGE 6u

static struct flr functions[CONFIG_DEVICES];
static uint64_t given, told;             /* bit n: function n has a view; that it stays blocked was said */
static uint16_t turn[CONFIG_PARTITIONS]; /* whose reset takes the next step */

/* How a function is called in the configuration, for messages. */
#define NAME "PCI %x:%x.%x of %s"
#define NAME_OF(i)                                                                    \
	(uint32_t) functions[i].source >> 8, (uint32_t)functions[i].source >> 3 & 31, \
		(uint32_t)functions[i].source & 7, config.partitions[config.devices[i].partition].name

static uint32_t read(uint32_t i, uint32_t offset)
{
	return pci_read(0, 0, functions[i].source, offset);
}

static void write32(uint32_t i, uint32_t offset, uint32_t value)
{
	pci_write32(0, functions[i].source, offset, value);
}

static void find(uint32_t i)
{
	const struct config_device *d = &config.devices[i];

	if (!pci_resolve(&d->path, 0, pci_read, 0, &functions[i].source))
		refuse("device %u of the configuration, for %s: a bridge on its path is not there", i,
		       config.partitions[d->partition].name);
	const uint32_t id = read(i, 0);

	if ((uint16_t)id == UINT16_MAX)
		refuse(NAME ": there is nothing", NAME_OF(i));
	if (d->vendor && id != (d->vendor | (uint32_t)d->device << 16))
		refuse(NAME ": there is %x:%x, the configuration says %x:%x", NAME_OF(i), id & 0xffff, id >> 16,
		       (uint32_t)d->vendor, (uint32_t)d->device);
	if (read(i, HEADER_TYPE) & HEADER_TYPE_MASK || read(i, CLASS) >> 24 == CLASS_BRIDGE)
		refuse(NAME ": it is a bridge, which no partition can have", NAME_OF(i));
}

/* What a BAR decodes; the function is quiet. Returns its size, 0 if there is none. */
static uint64_t probe(uint32_t i, uint32_t number, uint64_t *at, uint32_t *kind)
{
	const uint32_t offset = PCI_BARS + 4 * number, low = functions[i].bars[number];
	const int wide = !(low & PCI_BAR_IO) && (low & PCI_BAR_64_MASK) == PCI_BAR_64 && number + 1 < CONFIG_BARS;
	uint64_t mask;

	*kind = low & PCI_BAR_IO;
	*at = low & (*kind ? ~3u : ~0xfu);
	write32(i, offset, UINT32_MAX);
	mask = read(i, offset) & (*kind ? ~3u : ~0xfu);
	mask |= *kind ? UINT64_MAX << (mask >> 16 ? 32 : 16) : UINT64_MAX << 32; /* I/O BARs may lack the upper half */
	write32(i, offset, low);
	if (wide) {
		*at |= (uint64_t)functions[i].bars[number + 1] << 32;
		write32(i, offset + 4, UINT32_MAX);
		mask = (mask & UINT32_MAX) | (uint64_t)read(i, offset + 4) << 32;
		write32(i, offset + 4, functions[i].bars[number + 1]);
	}
	return (uint32_t)mask || wide ? -mask : 0;
}

static void check_bar(uint32_t i, uint32_t number)
{
	const struct config_bar *b = &config.devices[i].bars[number];
	uint64_t at;
	uint32_t io;
	const uint64_t size = probe(i, number, &at, &io), wanted = b->small ? b->small : b->size;

	if (size != wanted || at != b->hpa || io != b->io) {
		print(NAME ": BAR %u is %s at %lx, size %lx\n", NAME_OF(i), number, io ? "io" : "memory", at, size);
		refuse(NAME ": the configuration says %s at %lx, size %lx", NAME_OF(i), b->io ? "io" : "memory", b->hpa,
		       wanted);
	}
	if (b->io)
		return;
	if (b->small && !pci_page_is_own(functions[i].source, number, at))
		refuse(NAME ": BAR %u at %lx is not alone in its page", NAME_OF(i), number, at);
	if (mtrr_is_write_back(at, size))
		refuse(NAME ": BAR %u at %lx is where memory is, by the MTRRs", NAME_OF(i), number, at);
	for (uint32_t j = 0; j < CONFIG_MEMORIES; j++)
		if (at < handoff.memory[j].hpa + handoff.memory[j].size && handoff.memory[j].hpa < at + size)
			refuse(NAME ": BAR %u at %lx is where memory %s is", NAME_OF(i), number, at,
			       config.memories[j].name);
	if (at < handoff.core_hpa + handoff.core_size && handoff.core_hpa < at + size)
		refuse(NAME ": BAR %u at %lx is where the core is", NAME_OF(i), number, at);
}

/* All at once, each within its own time (core/flr.h). */
static void reset_all(void)
{
	uint32_t left;

	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		flr_begin(&functions[i], rdtsc(), tsc_khz);
	do {
		left = 0;
		for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
			flr_step(&functions[i], rdtsc(), tsc_khz);
			left += !flr_over(&functions[i]);
		}
		pause();
	} while (left);
}

/* Told once, recorded each time. */
static void stays_blocked(uint32_t i)
{
	const int lost = functions[i].phase == FLR_LOST;

	audit(AUDIT_SECURITY, AUDIT_BLOCKED, config.devices[i].partition, functions[i].source, (uint64_t)lost);
	if (!(told >> i & 1))
		print(NAME ": it %s: it stays blocked\n", NAME_OF(i),
		      lost ? "did not come back from its reset" : "knows no function-level reset");
	__atomic_or_fetch(&told, 1ull << i, __ATOMIC_RELAXED);
}

static void show(uint32_t i)
{
	const struct config_device *d = &config.devices[i];
	const int reset = functions[i].phase == FLR_DONE;

	if (functions[i].phase == FLR_LOST || (!reset && d->reset_required)) {
		stays_blocked(i);
		return;
	}
	pciview_build(pci_show(i), d, 0, functions[i].source);
	given |= 1ull << i;
	print(NAME ": %x:%x, in slot %u, %s\n", NAME_OF(i), read(i, 0) & 0xffff, read(i, 0) >> 16, (uint32_t)d->slot,
	      reset ? "reset" : "NOT RESET, since it knows no function-level reset");
}

/* Where there is one register for all CPUs to name a function with, only one CPU may. */
static void check_cpus(void)
{
	const uint16_t first = config.partitions[config.devices[0].partition].vcpus[0].cpu;

	for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
		const struct config_partition *p = &config.partitions[config.devices[i].partition];

		for (uint32_t j = 0; j < p->vcpu_count; j++)
			if (p->vcpus[j].cpu != first)
				refuse("this machine has no MCFG: all devices must belong to partitions of one CPU, and %s has CPU %u "
				       "beside CPU %u",
				       p->name, p->vcpus[j].cpu, first);
	}
}

void assign_init(void)
{
	if (!pci_has_areas())
		check_cpus();
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++) {
		const char *wrong = pci_open_path(&config.devices[i].path);

		if (wrong)
			refuse("device %u of the configuration, for %s: %s", i,
			       config.partitions[config.devices[i].partition].name, wrong);
		find(i);
		flr_quiet(&functions[i]);
		flr_find(&functions[i], functions[i].source);
		for (uint32_t n = 0; n < CONFIG_BARS; n++)
			if (config.devices[i].bars[n].size)
				check_bar(i, n);
	}
	reset_all();
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		show(i);
	window_close();
}

void assign_record(void)
{
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		if (!(given >> i & 1))
			stays_blocked(i);
}

/* Before its memory is made new, into which they might write. */
void assign_block(uint16_t partition)
{
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		if (config.devices[i].partition == partition) {
			flr_begin(&functions[i], rdtsc(), tsc_khz);
			pci_hide(i);
		}
	window_close();
}

/* What its last user left in it can name memory of another time: at a restart nothing but a reset will do, whatever was enough at the start. */
static void step(uint32_t i)
{
	flr_step(&functions[i], rdtsc(), tsc_khz);
	window_close();
	if (!flr_over(&functions[i]))
		return;
	if (functions[i].phase == FLR_DONE && given >> i & 1)
		pci_renew(i);
	else
		stays_blocked(i);
}

int assign_step(uint16_t partition)
{
	const uint32_t i = turn[partition] % CONFIG_DEVICES;
	uint32_t left = 0;

	turn[partition]++;
	if (config.devices[i].partition == partition && !flr_over(&functions[i])) {
		step(i);
		return 0;
	}
	for (uint32_t j = 0; j < CONFIG_DEVICES; j++)
		left += config.devices[j].partition == partition && !flr_over(&functions[j]);
	return !left;
}

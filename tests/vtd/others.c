// SPDX-License-Identifier: Apache-2.0
/* The exerciser's third part: devices that fetch commands from memory, each in its own way. See exerciser.c. */
#include "tests/vtd/exerciser.h"

#include "core/flr.h"

#define LOOKS 400u

static uint32_t tried;

static volatile uint32_t *at(const struct edu *e, uint32_t offset)
{
	return (volatile uint32_t *)window_device(0, e->registers + offset);
}

/* Until `*word` is not `was`, or a fault is pending, or it has been long enough. */
static void wait_for_change(uint64_t hpa, uint64_t was)
{
	for (uint32_t i = 0; i < LOOKS && peek(hpa) == was; i++)
		for (volatile uint32_t j = 0; j < 2000; j++)
			;
}

/* ---- NVMe (base specification 1.4, 3.1): commands from the admin queue, completions into another -------------------- */

#define NVME_ID 0x00101b36u
#define NVME_CC 0x14u
#define NVME_CSTS 0x1cu
#define NVME_AQA 0x24u
#define NVME_ASQ 0x28u
#define NVME_ACQ 0x30u
#define NVME_DOORBELL 0x1000u
#define NVME_ENABLE (1u | 6u << 16 | 4u << 20)
#define COMMANDS 0x4000ull /* where the partition has its own queues */
#define COMPLETIONS 0x5000ull

static void nvme_switch(const struct edu *e, uint32_t cc, uint32_t ready)
{
	at(e, NVME_CC)[0] = cc;
	for (uint32_t i = 0; i < LOOKS && (at(e, NVME_CSTS)[0] & 1) != ready; i++)
		for (volatile uint32_t j = 0; j < 2000; j++)
			;
	check((at(e, NVME_CSTS)[0] & 1) == ready, "the NVMe controller does not start or stop", e, cc, ready);
}

/* One command that the controller does not know, and its answer: the third word of a completion has the command's number. */
static void nvme_command(const struct edu *e, uint64_t commands, uint64_t completions)
{
	const struct expectation read = expect(e, commands, 0), write = expect(e, completions, 1);
	static uint16_t number;
	uint64_t before = 0;

	number++;
	nvme_switch(e, 0, 0);
	*(volatile uint64_t *)at(e, NVME_ASQ) = commands;
	*(volatile uint64_t *)at(e, NVME_ACQ) = completions;
	at(e, NVME_AQA)[0] = 0x000f000f;
	if (!read.reason)
		poke(read.hpa, (uint64_t)number << 16 | 0xff);
	if (!write.reason) {
		poke(write.hpa + 8, 0);
		before = peek(write.hpa + 8);
	}
	nvme_switch(e, NVME_ENABLE, 1);
	at(e, NVME_DOORBELL)[0] = 1;
	wait_for_change(write.reason ? handoff.core_hpa : write.hpa + 8,
	                write.reason ? peek(handoff.core_hpa) : before);
	if (read.reason)
		check_fault(e, commands, 0, read.reason);
	else
		check_fault(e, completions, 1, write.reason);
	if (!read.reason && !write.reason)
		check((peek(write.hpa + 8) >> 32 & 0xffff) == number, "no answer of the NVMe controller", e, commands,
		      completions);
	tried++;
}

static void nvme(const struct edu *e, uint64_t address)
{
	address &= ~(PAGE_SIZE - 1);
	vtd_invalidate();
	if (expect(e, address, 1).hpa != expect(e, COMMANDS, 0).hpa)
		nvme_command(e, COMMANDS, address);
	vtd_invalidate();
	if (expect(e, address, 0).hpa != expect(e, COMPLETIONS, 1).hpa)
		nvme_command(e, address, COMPLETIONS);
}

/* As at a restart of its partition: the controller is at work, and is as new when it comes back, without the bus. */
static void nvme_reset(const struct edu *e)
{
	const uint64_t begun = rdtsc();
	uint32_t before, after;
	struct flr f;

	nvme_command(e, COMMANDS, COMPLETIONS);
	before = at(e, NVME_CC)[0];
	flr_find(&f, e->source);
	for (flr_begin(&f, rdtsc(), tsc_khz); !flr_over(&f); flr_step(&f, rdtsc(), tsc_khz))
		pause();
	check(f.phase == FLR_DONE, "the NVMe controller was not reset", e, 0, f.phase);
	check((pci_read(0, 0, e->source, PCI_COMMAND) & 0x407) == PCI_COMMAND_NO_INTERRUPT,
	      "it may use the bus after its reset", e, 0, pci_read(0, 0, e->source, PCI_COMMAND));
	pci_write16(0, e->source, PCI_COMMAND, PCI_COMMAND_MEMORY); /* its registers are where they were */
	after = at(e, NVME_CC)[0]; /* QEMU keeps the queues' addresses, as at a reset by this register */
	check(before & 1 && !after, "the NVMe controller has kept what it was told", e, before, after);
	print("exerciser: NVMe controller reset in %u ms, control %x before, %x after\n",
	      (uint32_t)((rdtsc() - begun) / tsc_khz), before, after);
}

/* ---- e1000e (82574L datasheet, 7.2): descriptors of what it is to send ------------------------------------------------ */

#define E1000E_ID 0x10d38086u
#define E1000E_TCTL 0x400u
#define E1000E_TDBAL 0x3800u
#define E1000E_TDLEN 0x3808u
#define E1000E_TDH 0x3810u
#define E1000E_TDT 0x3818u

static void e1000e(const struct edu *e, uint64_t address)
{
	const struct expectation x = expect(e, address & ~(PAGE_SIZE - 1), 0);
	struct vtd_fault f;

	address &= ~(PAGE_SIZE - 1);
	at(e, E1000E_TCTL)[0] = 0;
	at(e, E1000E_TDBAL)[0] = (uint32_t)address;
	at(e, E1000E_TDBAL + 4)[0] = (uint32_t)(address >> 32);
	at(e, E1000E_TDLEN)[0] = 128;
	at(e, E1000E_TDH)[0] = 0;
	at(e, E1000E_TDT)[0] = 0;
	if (!x.reason) { /* a descriptor of nothing */
		poke(x.hpa, 0);
		poke(x.hpa + 8, 0);
	}
	at(e, E1000E_TCTL)[0] = 2;
	at(e, E1000E_TDT)[0] = 1;
	wait_for_change(handoff.core_hpa, ~peek(handoff.core_hpa));
	check_fault(e, address, 0, x.reason);
	check(at(e, E1000E_TDH)[0] == 1 || x.reason, "the network controller did not take its descriptor", e, address,
	      0);
	while (vtd_take_fault(&f)) /* what it made of a descriptor that it could not read */
		;
	tried++;
}

/* ---- AHCI (1.3.1, 3.3 and 4.2): one command of the disk at its first port, by a list and a table in memory ------------- */

#define AHCI_ID 0x29228086u
#define AHCI_BAR 0x24u
#define AHCI_GHC 0x04u
#define AHCI_ENABLE (1u << 31)
#define AHCI_CLB 0x100u /* of port 0 */
#define AHCI_FB 0x108u
#define AHCI_IS 0x110u
#define AHCI_CMD 0x118u
#define AHCI_RUNNING (1u << 14 | 1u << 15) /* FR, CR */
#define AHCI_START 0x17u                   /* ST, SUD, POD, FRE */
#define AHCI_SERR 0x130u
#define AHCI_CI 0x138u
#define AHCI_LIST 0x6000ull /* where the partition has its own structures */
#define AHCI_RECEIVED 0x7000ull
#define AHCI_TABLE 0x8000ull
#define AHCI_IDENTIFY 0xecu /* 512 bytes to memory; */
#define AHCI_WRITE 0x30u    /* and from there */

static void own(const struct edu *e, uint64_t address, uint64_t value)
{
	poke(expect(e, address, 1).hpa, value);
}

static void ahci_command(const struct edu *e, uint64_t address, int to_memory)
{
	const struct expectation x = expect(e, address, to_memory);
	const uint64_t mark = 0x5ca1ab1e0ddba11ull + tried;

	at(e, AHCI_CMD)[0] = 0;
	for (uint32_t i = 0; i < LOOKS && at(e, AHCI_CMD)[0] & AHCI_RUNNING; i++)
		pause();
	at(e, AHCI_SERR)[0] = at(e, AHCI_IS)[0] = UINT32_MAX;
	own(e, AHCI_LIST, 5u | (to_memory ? 0 : 1u << 6) | 1u << 16); /* 20 bytes of command, one range of data */
	own(e, AHCI_LIST + 8, AHCI_TABLE);
	own(e, AHCI_TABLE, 0x8027u | (to_memory ? AHCI_IDENTIFY : AHCI_WRITE) << 16 | 0xe0ull << 56);
	own(e, AHCI_TABLE + 8, 1ull << 32); /* a sector */
	own(e, AHCI_TABLE + 0x80, address);
	own(e, AHCI_TABLE + 0x88, 511ull << 32);
	if (!x.reason)
		poke(x.hpa, mark);
	at(e, AHCI_CLB)[0] = (uint32_t)AHCI_LIST;
	at(e, AHCI_FB)[0] = (uint32_t)AHCI_RECEIVED;
	at(e, AHCI_CMD)[0] = AHCI_START;
	at(e, AHCI_CI)[0] = 1;
	for (uint32_t i = 0; i < LOOKS && at(e, AHCI_CI)[0] & 1; i++)
		for (volatile uint32_t j = 0; j < 2000; j++)
			;
	check(!(at(e, AHCI_CI)[0] & 1), "the disk controller does not end its command", e, address,
	      (uint64_t)to_memory);
	check_fault(e, address, to_memory, x.reason);
	if (!x.reason)
		check((peek(x.hpa) != mark) == to_memory, "the disk's data is not where it belongs", e, address, x.hpa);
	tried++;
}

/* Its own structures stay whole. */
static int is_structure(const struct edu *e, uint64_t address)
{
	const uint64_t hpa = expect(e, address, 0).hpa;

	return hpa && (hpa == expect(e, AHCI_LIST, 0).hpa || hpa == expect(e, AHCI_RECEIVED, 0).hpa ||
	               hpa == expect(e, AHCI_TABLE, 0).hpa);
}

static void ahci(const struct edu *e, uint64_t address)
{
	address &= ~(PAGE_SIZE - 1);
	for (int to_memory = 0; to_memory < 2 && !is_structure(e, address); to_memory++) {
		vtd_invalidate();
		ahci_command(e, address, to_memory);
	}
}

static void try_ahci(void)
{
	static const struct config_path path = { 0, 1, { 11 << 3 } };
	const uint32_t before = tried;
	struct edu e;

	if (!find_device(&e, &path, AHCI_ID))
		return;
	e.registers = pci_read(0, 0, e.source, AHCI_BAR) & ~15u;
	pci_write16(0, e.source, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	at(&e, AHCI_GHC)[0] = AHCI_ENABLE;
	for_addresses(ahci, &e);
	at(&e, AHCI_CMD)[0] = 0;
	print("exerciser: disk controller: %u combinations\n", tried - before);
}

uint32_t try_others(void)
{
	static const struct config_path nvme_path = { 0, 1, { 9 << 3 } }, e1000e_path = { 0, 1, { 10 << 3 } };
	struct edu e;

	if (find_device(&e, &nvme_path, NVME_ID)) {
		pci_write16(0, e.source, 4, 6);
		for_addresses(nvme, &e);
		print("exerciser: NVMe controller: %u combinations\n", tried);
		nvme_reset(&e);
	}
	if (find_device(&e, &e1000e_path, E1000E_ID)) {
		const uint32_t before = tried;

		pci_write16(0, e.source, 4, 6);
		for_addresses(e1000e, &e);
		print("exerciser: network controller: %u combinations\n", tried - before);
	}
	try_ahci();
	return tried;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A partition with one device, an Intel 82540EM, in slot 1 of its bus. It tries everything that configuration space might let through;
 * then it works the device as a driver does: serial EEPROM, interrupts, and a question to the network and its answer, by DMA.
 */
#include "hypercall/abi.h"
#include "kit.h"

#define IOAPIC 0xfec00000ull
#define PIN 16u /* INTA of slot 1 */
#define VECTOR 0x50u
#define ADDRESS 0xcf8
#define DATA 0xcfc
#define REGISTERS_SIZE 0x20000u
#define INTERRUPTS 1000u

enum {
	CTRL = 0,
	EERD = 0x14,
	ICR = 0xc0,
	ICS = 0xc8,
	IMS = 0xd0,
	RCTL = 0x100,
	TCTL = 0x400,
	RDBAL = 0x2800,
	TDBAL = 0x3800,
	RAL = 0x5400,
	RAH = 0x5404
};
enum { RING_BASE_HIGH = 4, RING_LENGTH = 8, RING_HEAD = 0x10, RING_TAIL = 0x18 }; /* behind RDBAL and TDBAL */
#define ICR_TXDW 1u

static uint32_t checks, failed;
static volatile uint8_t *registers;
static volatile uint32_t interrupts;
static volatile uint32_t causes;

static void check(bool good, const char *what, uint64_t value)
{
	checks++;
	if (good)
		return;
	failed++;
	kit_printf("nic: WRONG: %s: %lx\n", what, value);
}

static void name(uint32_t bus, uint32_t device, uint32_t function, uint32_t offset)
{
	outl(ADDRESS, 1u << 31 | bus << 16 | device << 11 | function << 8 | (offset & 0xfc));
}

static uint32_t get(uint32_t device, uint32_t offset)
{
	name(0, device, 0, offset);
	return inl(DATA);
}

static void set(uint32_t device, uint32_t offset, uint32_t value)
{
	name(0, device, 0, offset);
	outl(DATA, value);
}

/* A bridge and the device: nothing else on this bus or another, whatever the machine has. */
static void look_around(void)
{
	uint32_t found = 0;

	for (uint32_t bus = 0; bus < 256; bus += bus < 2 ? 1 : 23)
		for (uint32_t n = 0; n < 256; n++) {
			name(bus, n >> 3, n & 7, 0);
			if (inl(DATA) == UINT32_MAX)
				continue;
			found++;
			check(bus == 0 && (n == 0 || n == 8), "a function that is not ours", bus << 8 | n);
		}
	check(found == 2, "functions", found);
	check(get(0, 8) >> 16 == 0x0600, "host bridge", get(0, 8));
	check(get(1, 0) == 0x100e8086, "device", get(1, 0));
	check((get(1, 4) & 7) == 0, "it neither decodes nor uses the bus at the start", get(1, 4));
	outl(ADDRESS, 8 << 8); /* not enabled */
	check(inl(DATA) == UINT32_MAX, "address without its enable bit", inl(DATA));
	outl(ADDRESS, 1u << 31 | 1u << 24 | 1u << 11);
	check(inl(DATA) == UINT32_MAX, "address with a reserved bit", inl(DATA));
	check(inw(ADDRESS) == 0xffff, "address port by halves", inw(ADDRESS));
	const uint32_t bar = get(1, 0x10);
	outb(ADDRESS + 2, 0xff);
	check(inl(DATA) == bar, "a port between, written", inl(DATA));
	name(0, 1, 0, 0);
	check(inb(ADDRESS + 1) == 0xff && inl(ADDRESS + 1) == UINT32_MAX, "the ports between, read", inb(ADDRESS + 1));
	check(inw(DATA + 2) == 0x100e && inb(DATA + 1) == 0x80, "parts of a register", inw(DATA + 2));
	check(inl(DATA + 2) == UINT32_MAX, "across a register's end", inl(DATA + 2));
}

/* All ones and all zeros into each register: what changes is what a driver needs. */
static void try_everything(void)
{
	for (uint32_t offset = 0; offset < 256; offset += 4) {
		const uint32_t before = get(1, offset);
		uint32_t may = 0;

		if (offset == 4)
			may = 7 | 1 << 10;
		else if (offset == 0x10)
			may = ~(REGISTERS_SIZE - 1);
		else if (offset == 0x14)
			may = ~31u;
		set(1, offset, UINT32_MAX);
		check(((get(1, offset) ^ before) & ~may) == 0, "all ones into a register",
		      (uint64_t)offset << 32 | get(1, offset));
		if (offset == 0x10 || offset == 0x14)
			check((get(1, offset) & may) == may, "size of a BAR", get(1, offset));
		set(1, offset, 0);
		check(((get(1, offset) ^ before) & ~may) == 0, "zeros into a register",
		      (uint64_t)offset << 32 | get(1, offset));
		set(1, offset, before);
		check(get(1, offset) == before, "a register, restored", (uint64_t)offset << 32 | get(1, offset));
	}
	check(get(1, 0x30) == 0, "expansion ROM", get(1, 0x30));
	check((get(1, 0x3c) & 0xffff) == (1 << 8 | PIN), "interrupt pin and line", get(1, 0x3c));
}

static uint32_t read_register(uint32_t offset)
{
	return *(volatile uint32_t *)(registers + offset);
}

static void write_register(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(registers + offset) = value;
}

static uint16_t eeprom(uint32_t word)
{
	write_register(EERD, word << 8 | 1);
	for (uint32_t i = 0; i < 1000 && !(read_register(EERD) & 0x10); i++)
		;
	return (uint16_t)(read_register(EERD) >> 16);
}

/* Reading the causes takes them back, and the line with them. */
static void on_interrupt(struct kit_frame *frame)
{
	(void)frame;
	causes = read_register(ICR);
	interrupts++;
}

static void ioapic(uint32_t index, uint32_t value)
{
	volatile uint32_t *page = kit_window(IOAPIC, false);

	page[0] = index;
	page[4] = value;
}

static void take_interrupts(void)
{
	uint64_t before[80], total = 0, other;
	uint32_t late = 0;

	kit_handle(VECTOR, on_interrupt);
	ioapic(0x10 + 2 * PIN + 1, 0);
	ioapic(0x10 + 2 * PIN, VECTOR | 1 << 13 | 1 << 15); /* active low, level */
	read_register(ICR);
	write_register(IMS, ICR_TXDW);
	sti();
	for (uint32_t r = 0; r < 80; r++)
		before[r] = (uint64_t)kit_counter(BH_COUNTER_REASON + r);
	for (uint32_t i = 1; i <= INTERRUPTS; i++) {
		write_register(ICS, ICR_TXDW);
		for (uint32_t n = 0; n < 100000 && interrupts < i; n++)
			;
		late += interrupts != i;
	}
	for (uint32_t r = 0; r < 80; r++) {
		const uint64_t n = (uint64_t)kit_counter(BH_COUNTER_REASON + r) - before[r];

		if (n && r != 18 && r != 52) /* not of counting by VMCALL, nor of the windows' ends */
			kit_printf("nic: exits with reason %u: %lu\n", r, n), total += n;
	}
	cli();
	check(interrupts == INTERRUPTS && !late, "interrupts", interrupts);
	check(causes & ICR_TXDW, "cause", causes);
	other = (uint64_t)kit_stray_interrupts;
	check(!other, "strays", other);
	check(total <= 2 * INTERRUPTS, "exits", total);
	kit_printf("nic: %u interrupts, %lu exits\n", interrupts, total);
}

/* ---- a question to the network: who has 192.168.10.1? ---- */

struct descriptor { /* legacy, of both kinds */
	uint64_t address;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};
#define RING 8u
#define BUFFER 2048u
#define TX_COMMAND 0x0b00u /* in `checksum`: end of packet, insert FCS, report status */
#define DONE 1u

struct area {
	struct descriptor tx[RING], rx[RING];
	uint8_t question[64], buffer[RING][BUFFER];
};

static void ask(volatile struct area *a, const uint8_t *mac)
{
	static const uint8_t arp[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 }, from[] = { 192, 168, 10, 15 },
			     to[] = { 192, 168, 10, 1 };
	uint32_t got = 0;

	for (uint32_t i = 0; i < 64; i++)
		a->question[i] = i < 6 ? 0xff : 0;
	for (uint32_t i = 0; i < 6; i++)
		a->question[6 + i] = a->question[22 + i] = mac[i];
	for (uint32_t i = 0; i < sizeof arp; i++)
		a->question[12 + i] = arp[i];
	for (uint32_t i = 0; i < 4; i++) {
		a->question[28 + i] = from[i];
		a->question[38 + i] = to[i];
	}
	for (uint32_t i = 0; i < RING; i++)
		a->rx[i] = (struct descriptor){ .address = (uint64_t)a->buffer[i] };
	a->tx[0] = (struct descriptor){ .address = (uint64_t)a->question, .length = 60, .checksum = TX_COMMAND };
	write_register(RDBAL, (uint32_t)(uint64_t)a->rx);
	write_register(RDBAL + RING_BASE_HIGH, (uint32_t)((uint64_t)a->rx >> 32));
	write_register(RDBAL + RING_LENGTH, sizeof a->rx);
	write_register(RDBAL + RING_TAIL, RING - 1);
	write_register(TDBAL, (uint32_t)(uint64_t)a->tx);
	write_register(TDBAL + RING_BASE_HIGH, (uint32_t)((uint64_t)a->tx >> 32));
	write_register(TDBAL + RING_LENGTH, sizeof a->tx);
	write_register(CTRL, read_register(CTRL) | 1 << 6); /* link up */
	write_register(RCTL, 1 << 1 | 1 << 15 | 1 << 3);    /* on, broadcast, all unicast */
	write_register(TCTL, 1 << 1 | 1 << 3);
	write_register(TDBAL + RING_TAIL, 1);
	for (uint32_t n = 0; n < 10000000 && !(a->rx[0].status & DONE); n++)
		pause();
	check(a->tx[0].status & DONE, "the question is sent", a->tx[0].status);
	check(a->rx[0].status & DONE, "an answer is here", a->rx[0].status);
	for (uint32_t i = 0; i < 4; i++)
		got = got << 8 | a->buffer[0][28 + i];
	check(a->buffer[0][21] == 2 && got == 0xc0a80a01, "it is the answer", got);
	kit_printf("nic: 192.168.10.1 is at %02x:%02x:%02x:%02x:%02x:%02x\n", a->buffer[0][22], a->buffer[0][23],
	           a->buffer[0][24], a->buffer[0][25], a->buffer[0][26], a->buffer[0][27]);
}

int main(const struct kit_info *info)
{
	uint8_t mac[6];

	look_around();
	try_everything();
	registers = (volatile uint8_t *)(uint64_t)(get(1, 0x10) & ~0xfu);
	set(1, 4, 7);
	check((get(1, 4) & 7) == 7, "command", get(1, 4));
	for (uint32_t i = 0; i < 3; i++) {
		const uint16_t word = eeprom(i);

		mac[2 * i] = (uint8_t)word;
		mac[2 * i + 1] = (uint8_t)(word >> 8);
	}
	kit_printf("nic: registers at %lx, address %02x:%02x:%02x:%02x:%02x:%02x\n", (uint64_t)registers, mac[0],
	           mac[1], mac[2], mac[3], mac[4], mac[5]);
	take_interrupts();
	check(info->map_count > 0, "memory for DMA", info->map_count);
	ask((volatile struct area *)info->map[0].gpa, mac);
	kit_printf("RESULT nic checks=%u failed=%u\n", checks, failed);
	return failed != 0;
}

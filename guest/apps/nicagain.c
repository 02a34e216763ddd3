// SPDX-License-Identifier: Apache-2.0
/*
 * A partition with one device that ends with the device at work, and is started again: does it have it again, and in which state?
 *
 *   nicagain: device <id> command <register>     lets it use the bus, moves its BAR, and ends by an error of its own
 *   nicagain: small BAR at <address>: <what it reads there>
 *   RESULT nicagain device ffffffff              the device is there no more
 */
#include "hypercall/abi.h"
#include "hypercall.h"
#include "kit.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define SLOT(n) (1u << 31 | (n) << 11)
#define COMMAND 4u
#define BAR 0x10u

static uint32_t get(uint32_t offset)
{
	outl(ADDRESS, SLOT(1u) | offset);
	return inl(DATA);
}

static void set(uint32_t offset, uint32_t value)
{
	outl(ADDRESS, SLOT(1u) | offset);
	outl(DATA, value);
}

/* The other device has registers that are smaller than a page: what it says of itself (EHCI 1.0, 2.2). */
static void look_at_small(void)
{
	uint32_t bar;

	outl(ADDRESS, SLOT(2u) | COMMAND);
	outl(DATA, 2);
	outl(ADDRESS, SLOT(2u) | BAR);
	bar = inl(DATA);
	kit_printf("nicagain: small BAR at %x: %x\n", bar, *(volatile uint32_t *)(uint64_t)bar);
}

int main(const struct kit_info *info)
{
	const uint32_t id = get(0);

	(void)info;
	if (id == UINT32_MAX) {
		set(COMMAND, 7);
		kit_printf("RESULT nicagain device %x command %x\n", id, get(COMMAND));
		return 0;
	}
	kit_printf("nicagain: device %x command %x\n", id, get(COMMAND) & 0xffff);
	look_at_small();
	set(COMMAND, 7);
	set(BAR, 0xf0000000);
	kit_printf("nicagain: command %x, ends\n", get(COMMAND) & 7);
	hypercall1(BH_RAISE_ERROR, 0);
	return 1;
}

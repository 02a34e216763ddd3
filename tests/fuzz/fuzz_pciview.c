// SPDX-License-Identifier: Apache-2.0
/* A function that says anything of itself, and a partition that tries anything: only four bits of the function ever change. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmx/pciview.h"
#include "vtd/pci.h"

static uint32_t space[PCI_REGISTERS];
static uint32_t accesses;

uint32_t pci_read(void *context, uint16_t segment, uint16_t source, uint32_t offset)
{
	(void)context;
	fuzz_require(segment == 0 && source == 8 && offset < 256 && offset % 4 == 0, "a register of the function");
	accesses++;
	return space[offset / 4];
}

void pci_write16(uint16_t segment, uint16_t source, uint32_t offset, uint16_t value)
{
	const uint32_t shift = 8 * (offset & 2), before = space[1];

	fuzz_require(segment == 0 && source == 8 && offset == PCI_COMMAND, "the command register");
	space[1] = (space[1] & ~(0xffffu << shift)) | (uint32_t)value << shift;
	fuzz_require(((space[1] ^ before) & ~0x407u) == 0, "the bits that a partition may change");
	accesses++;
}

static struct config_device device(struct fuzz_input *in)
{
	struct config_device d = { .slot = (uint8_t)(1 + fuzz_byte(in) % DEVICE_SLOTS),
		                   .interrupt = fuzz_byte(in) & 1 };

	for (uint32_t i = 0; i < CONFIG_BARS; i++) {
		const uint32_t shift = fuzz_byte(in) % 46;

		d.bars[i].io = fuzz_byte(in) & 1;
		d.bars[i].size = fuzz_byte(in) & 1 ? 0 : d.bars[i].io ? 4u << shift % 7 : 4096ull << shift % 34;
		d.bars[i].gpa = fuzz_number(in) & -d.bars[i].size & ((1ull << 46) - 1);
	}
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const struct config_device d = device(&in);
	struct pci_view v;

	for (uint32_t i = 0; i < PCI_REGISTERS; i++)
		space[i] = fuzz_byte(&in) & 1 ? (uint32_t)fuzz_number(&in) :
		                                (uint32_t)fuzz_byte(&in) << 8 | PCI_CAPABILITY_EXPRESS;
	accesses = 0;
	pciview_build(&v, &d, 0, 8);
	fuzz_require(accesses <= PCI_CAPABILITIES_MAX + 16, "a bounded build");
	while (in.left) {
		uint32_t offset, slot = pci_decode((uint32_t)fuzz_number(&in), &offset);
		const uint32_t bytes = 1u << fuzz_byte(&in) % 3, byte = fuzz_byte(&in) % 4;

		fuzz_require(offset < 256 && offset % 4 == 0 && (slot < 32 || slot == UINT32_MAX), "a place");
		accesses = 0;
		if (byte + bytes <= 4)
			pciview_write(&v, offset + byte, bytes, (uint32_t)fuzz_number(&in));
		fuzz_require(accesses <= 4, "a bounded write");
		(void)pciview_read(&v, offset);
		fuzz_require((offset >= 0x10 && offset < 0x28) || v.r[offset / 4].latch == 0,
		             "only BARs live in the view");
		fuzz_require(offset < 0x28 || offset >= 0x34 || offset == 0x2c || pciview_read(&v, offset) == 0,
		             "the ROM is hidden");
	}
	return 0;
}

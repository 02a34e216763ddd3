// SPDX-License-Identifier: Apache-2.0
/* Who else is in a page of registers: for BARs smaller than one. Pure logic but for pci_read(). PCI Local Bus 3.0, 6.2.5; bridges: PCI-to-PCI Bridge 1.2, 3.2. */
#include "vtd/pci.h"

#define ROM 0x30u
#define BRIDGE_ROM 0x38u
#define BRIDGE_BARS 2u
#define HEADER_BRIDGE (1u << 16)
#define HEADER_TYPE_MASK 0x7f0000u

static int in_page(uint64_t at, uint64_t page)
{
	return at - page < PAGE_SIZE;
}

/* Memory BARs and ROM of a function that begin in the page. `own`: not this BAR. */
static uint32_t count(uint16_t source, uint32_t bridge, uint32_t own, uint64_t page)
{
	const uint32_t bars = bridge ? BRIDGE_BARS : CONFIG_BARS;
	uint32_t n = (uint32_t)in_page(pci_read(0, 0, source, bridge ? BRIDGE_ROM : ROM) & ~0x7ffu, page);

	for (uint32_t i = 0; i < bars; i++) {
		const uint32_t low = pci_read(0, 0, source, PCI_BARS + 4 * i);
		const int wide = !(low & PCI_BAR_IO) && (low & PCI_BAR_64_MASK) == PCI_BAR_64 && i + 1 < bars;
		uint64_t at = low & ~0xfu;

		if (wide)
			at |= (uint64_t)pci_read(0, 0, source, PCI_BARS + 4 * (i + 1)) << 32;
		n += (uint32_t)(!(low & PCI_BAR_IO) && i != own && in_page(at, page));
		i += (uint32_t)wide;
	}
	return n;
}

int pci_page_is_own(uint16_t source, uint32_t number, uint64_t page)
{
	uint32_t others = 0;

	for (uint32_t other = 0; other < 0x10000; other++) {
		if ((uint16_t)pci_read(0, 0, (uint16_t)other, 0) == UINT16_MAX) {
			other |= other & 7 ? 0 : 7; /* without function 0 there are no others */
			continue;
		}
		const uint32_t header = pci_read(0, 0, (uint16_t)other, PCI_HEADER);

		others += count((uint16_t)other, (header & HEADER_TYPE_MASK) == HEADER_BRIDGE,
		                other == source ? number : CONFIG_BARS, page);
		if (!(other & 7) && !(header & PCI_HEADER_MULTI_FUNCTION))
			other |= 7;
	}
	return !others;
}

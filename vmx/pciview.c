// SPDX-License-Identifier: Apache-2.0
#include "pciview.h"

#include "vtd/pci.h"

#define HEADER_TYPE_SHOWN 0x007f0000u /* not that there are other functions */
#define INTERRUPT_PIN_A (1u << 8)
#define EXPRESS_SIZE 0x3cu /* of version 2; what follows version 1's is zero there (PCI Express 5.0, 7.5.3) */
#define ADDRESS_ENABLE (1u << 31)
#define ADDRESS_DEVICE 11u
#define ADDRESS_REGISTER 0xfcu
#define DEVICES 32u

/* What is read from each function. All other bits of these registers, and all other registers, read as the view has them: 0 at first. */
static const struct {
	uint8_t offset;
	uint32_t real;
} header[] = {
	{ 0x00, UINT32_MAX },                 /* vendor, device */
	{ 0x04, ~PCI_STATUS_CAPABILITIES },   /* command, status */
	{ 0x08, UINT32_MAX },                 /* revision, class */
	{ 0x0c, HEADER_TYPE_SHOWN | 0xffff }, /* cache line size, latency timer, header type */
	{ 0x2c, UINT32_MAX },                 /* subsystem */
	{ 0x3c, 0xffff0000u },                /* grant, latency: not the interrupt line, which is the machine's */
};

/* Sizing works as on the function: the bits below the size cannot be set. Those that say what the BAR is are the function's own. */
static void show_bar(struct pci_view *v, uint32_t number, const struct config_bar *b)
{
	struct pci_register *r = &v->r[PCI_BARS / 4 + number];
	const uint32_t raw = pci_read(0, v->segment, v->source, PCI_BARS + 4 * number);
	const uint32_t kind = raw & (b->io ? PCI_BAR_IO : 0xf);

	r->latch = (uint32_t)-b->size & ~(b->io ? 3u : 0xfu);
	r->value = (uint32_t)b->gpa | kind;
	if ((kind & PCI_BAR_64_MASK) == PCI_BAR_64 && number + 1 < CONFIG_BARS) {
		r[1].latch = (uint32_t)(-b->size >> 32);
		r[1].value = (uint32_t)(b->gpa >> 32);
	}
}

static void show_express(struct pci_view *v, uint32_t at)
{
	struct pci_register *r = &v->r[at / 4];

	v->r[PCI_COMMAND / 4].value = PCI_STATUS_CAPABILITIES;
	v->r[PCI_CAPABILITIES / 4].value = at;
	for (uint32_t i = 0; i < EXPRESS_SIZE / 4; i++)
		r[i].real = UINT32_MAX;
	r[0].real = 0xffff0000u;
	r[0].value = PCI_CAPABILITY_EXPRESS; /* and none behind it */
	r[1].real = ~PCI_EXPRESS_FLR;
}

void pciview_build(struct pci_view *v, const struct config_device *d, uint16_t segment, uint16_t source)
{
	const uint32_t express = pci_capability(segment, source, PCI_CAPABILITY_EXPRESS);

	*v = (struct pci_view){ .segment = segment, .source = source };
	for (uint32_t i = 0; i < sizeof header / sizeof *header; i++)
		v->r[header[i].offset / 4].real = header[i].real;
	v->r[PCI_COMMAND / 4].write = PCI_COMMAND_BUS_MASTER | (d->interrupt ? PCI_COMMAND_NO_INTERRUPT : 0);
	if (d->interrupt)
		v->r[0x3c / 4].value = DEVICE_PIN(d->slot) | INTERRUPT_PIN_A;
	for (uint32_t i = 0; i < CONFIG_BARS; i++)
		if (d->bars[i].size) {
			v->r[PCI_COMMAND / 4].write |= d->bars[i].io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
			show_bar(v, i, &d->bars[i]);
		}
	if (express && express <= 0x100 - EXPRESS_SIZE)
		show_express(v, express);
	for (uint32_t i = 0; i < CONFIG_BARS; i++)
		v->bars[i] = v->r[PCI_BARS / 4 + i].value;
}

void pciview_renew(struct pci_view *v)
{
	for (uint32_t i = 0; i < CONFIG_BARS; i++)
		v->r[PCI_BARS / 4 + i].value = v->bars[i];
}

uint32_t pciview_read(const struct pci_view *v, uint32_t offset)
{
	const struct pci_register *r = &v->r[offset / 4 % PCI_REGISTERS];

	return r->value | (r->real ? pci_read(0, v->segment, v->source, offset) & r->real : 0);
}

/* In halves: with the command stands the status, whose bits a write of 1 clears. */
void pciview_write(struct pci_view *v, uint32_t offset, uint32_t size, uint32_t value)
{
	struct pci_register *r = &v->r[offset / 4 % PCI_REGISTERS];
	const uint32_t shift = 8 * (offset % 4), bytes = (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1) << shift;

	value <<= shift;
	r->value = (r->value & ~(bytes & r->latch)) | (value & bytes & r->latch);
	for (uint32_t half = 0; half < 32; half += 16) {
		const uint32_t mask = (bytes & r->write) >> half & 0xffff, at = (offset & ~3u) + half / 8;

		if (mask)
			pci_write16(v->segment, v->source, at,
			            (uint16_t)((pci_read(0, v->segment, v->source, offset & ~3u) >> half & ~mask) |
			                       (value >> half & mask)));
	}
}

/* A host bridge, for systems that look for one. The numbers are those that QEMU documents for such: there is no driver for it. */
uint32_t pciview_bridge(uint32_t offset)
{
	return offset == 0 ? 0x00081b36 : offset == 8 ? 0x06000000 : 0;
}

uint32_t pci_decode(uint32_t address, uint32_t *offset)
{
	*offset = address & ADDRESS_REGISTER;
	if ((address & ~((DEVICES - 1) << ADDRESS_DEVICE | ADDRESS_REGISTER)) != ADDRESS_ENABLE)
		return UINT32_MAX; /* off, another bus, another function than 0 */
	return address >> ADDRESS_DEVICE & (DEVICES - 1);
}

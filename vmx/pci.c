// SPDX-License-Identifier: Apache-2.0
#include "pci.h"

#include "core/window.h"
#include "vtd/pci.h"

static struct pci_view views[CONFIG_DEVICES];
static uint64_t shown;                      /* a bit a device */
static uint32_t address[CONFIG_PARTITIONS]; /* a partition's vCPUs have one, as a machine's CPUs */

_Static_assert(CONFIG_DEVICES <= 64, "one bit a device");

struct pci_view *pci_show(uint32_t index)
{
	shown |= 1ull << index;
	return &views[index];
}

void pci_hide(uint32_t index)
{
	__atomic_and_fetch(&shown, ~(1ull << index), __ATOMIC_SEQ_CST);
}

void pci_renew(uint32_t index)
{
	pciview_renew(&views[index]);
	__atomic_store_n(&address[config.devices[index].partition], 0, __ATOMIC_RELAXED);
	__atomic_or_fetch(&shown, 1ull << index, __ATOMIC_SEQ_CST);
}

static struct pci_view *find(uint16_t partition, uint32_t slot)
{
	for (uint32_t i = 0; i < CONFIG_DEVICES; i++)
		if (config.devices[i].partition == partition && config.devices[i].slot == slot && shown >> i & 1)
			return &views[i];
	return 0;
}

uint32_t pci_port_in(const struct vcpu *vcpu, uint32_t port, uint32_t size)
{
	const uint32_t at = __atomic_load_n(&address[vcpu->partition_index], __ATOMIC_RELAXED), byte = port % 4;
	uint32_t offset, slot = pci_decode(at, &offset), value = UINT32_MAX;
	const struct pci_view *v;

	if (port == PCI_ADDRESS_PORT && size == 4)
		return at;
	if (port < PCI_DATA_PORT || byte + size > 4 || slot > DEVICE_SLOTS)
		return UINT32_MAX;
	if (slot == 0)
		value = pciview_bridge(offset);
	else if ((v = find(vcpu->partition_index, slot)))
		value = pciview_read(v, offset);
	window_close();
	return value >> 8 * byte;
}

void pci_port_out(const struct vcpu *vcpu, uint32_t port, uint32_t size, uint32_t value)
{
	const uint32_t at = __atomic_load_n(&address[vcpu->partition_index], __ATOMIC_RELAXED), byte = port % 4;
	uint32_t offset, slot = pci_decode(at, &offset);
	struct pci_view *v = slot ? find(vcpu->partition_index, slot) : 0;

	if (port == PCI_ADDRESS_PORT && size == 4)
		__atomic_store_n(&address[vcpu->partition_index], value, __ATOMIC_RELAXED);
	else if (port >= PCI_DATA_PORT && byte + size <= 4 && v)
		pciview_write(v, offset + byte, size, value);
	window_close();
}

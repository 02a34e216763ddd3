// SPDX-License-Identifier: Apache-2.0
/* A partition's PCI bus: its functions' configuration spaces behind the ports CF8h and CFCh. Only with devices in the configuration. */
#ifndef VMX_PCI_H
#define VMX_PCI_H

#include "pciview.h"
#include "vcpu.h"

/* The partition sees device `index` of the configuration from now on. Boot CPU, before any partition runs. */
struct pci_view *pci_show(uint32_t index);

/* ... no more. Any CPU. */
void pci_hide(uint32_t index);

/* ... and again, as it was first shown. Any CPU, while none of the partition's vCPUs runs. */
void pci_renew(uint32_t index);

/* An access to one of the ports, `size` 1, 2 or 4. */
uint32_t pci_port_in(const struct vcpu *vcpu, uint32_t port, uint32_t size);
void pci_port_out(const struct vcpu *vcpu, uint32_t port, uint32_t size, uint32_t value);

#endif

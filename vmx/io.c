// SPDX-License-Identifier: Apache-2.0
/* I/O ports: default nothing there, the rest by the partition's table. Exit qualification: SDM Vol. 3C, table 28-5. */
#include "core/lib.h"
#include "companion.h"
#include "pci.h"
#include "exit.h"
#include "health.h"
#include "vmx.h"

#define IO_IN (1u << 3)
#define IO_STRING (1u << 4)

static const struct config_port *find(const struct config_partition *p, uint32_t port)
{
	for (uint32_t i = 0; i < p->port_count; i++)
		if (port - p->ports[i].first <= (uint32_t)(p->ports[i].last - p->ports[i].first))
			return &p->ports[i];
	return 0;
}

/* SDM Vol. 3C, 25.6.4: bitmap A for ports 0 to 7FFFh, B behind it for the rest; a set bit exits. */
void vcpu_init_io_bitmap(struct vcpu *vcpu)
{
	const struct config_partition *p = vcpu->partition;

	memset(vcpu->io_bitmap, 0xff, sizeof vcpu->io_bitmap);
	for (uint32_t i = 0; i < p->port_count; i++)
		for (uint32_t port = p->ports[i].first; p->ports[i].kind == PORT_PASS && port <= p->ports[i].last;
		     port++)
			vcpu->io_bitmap[port / 8] &= (uint8_t) ~(1u << port % 8);
}

/* Byte-wide devices; a wider access to them reads as nothing there. */
static void input(struct vcpu *vcpu, const struct config_port *p, uint32_t port, uint32_t size)
{
	const uint32_t ones = 0xffffffffu >> (32 - 8 * size);
	uint32_t value = ones;

	if (p && p->kind == PORT_UART && size == 1)
		value = uart_read(vcpu->partition_index, port - p->first);
	if (CONFIG_DEVICES && p && p->kind == PORT_PCI)
		value = pci_port_in(vcpu, port, size) & ones;
	/* A 32-bit result clears the upper half of RAX, narrower ones leave the rest alone. */
	vcpu->regs[REG_RAX] = size == 4 ? value : (vcpu->regs[REG_RAX] & ~(uint64_t)ones) | value;
}

static void output(struct vcpu *vcpu, const struct config_port *p, uint32_t port, uint8_t value)
{
	switch (p ? p->kind : PORT_NONE) {
	case PORT_UART:
		uart_write(vcpu, port - p->first, value);
		break;
	case PORT_SLEEP: /* ACPI 6.5, 4.8.3.7: SLP_EN bit 5, SLP_TYP bits 4:2 */
		if ((value & 0x3c) == (0x20 | 5 << 2))
			vcpu_stop(vcpu, "it has switched itself off");
		break;
	case PORT_RESET:
		if (CONFIG_HEALTH && value == 6)
			health_end(vcpu, HEALTH_REBOOT);
		if (value == 6)
			vcpu_stop(vcpu, "it asks for a reset");
		break;
	default:
		break;
	}
}

void exit_io(struct vcpu *vcpu)
{
	const uint32_t qualification = (uint32_t)vmread(VMCS_EXIT_QUALIFICATION), port = qualification >> 16;
	const uint32_t size = (qualification & 7) + 1;
	const struct config_port *p = find(vcpu->partition, port);

	if (!p && !guest_error(vcpu, ERROR_PORT, VECTOR_GP, qualification & IO_IN ? "IN" : "OUT", port))
		return;
	if (qualification & IO_STRING) { /* would need the guest's memory: no emulated device needs it */
		inject_exception(vcpu, VECTOR_GP, 0);
		return;
	}
	if (CONFIG_COMPANIONS && p && p->kind == PORT_COMPANION) {
		companion_io(vcpu, qualification); /* the answer goes on behind the instruction */
		return;
	}
	if (qualification & IO_IN)
		input(vcpu, p, port, size);
	else if (CONFIG_DEVICES && p && p->kind == PORT_PCI)
		pci_port_out(vcpu, port, size, (uint32_t)vcpu->regs[REG_RAX]);
	else
		output(vcpu, p, port, (uint8_t)vcpu->regs[REG_RAX]);
	skip_instruction();
}

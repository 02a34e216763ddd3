// SPDX-License-Identifier: Apache-2.0
/*
 * One forbidden thing each, as an application with a fault in it would do it: for the policies that stop.
 */
#include "fatal.h"

#define ICR_NMI 0x4400u

void fatal_msr(const struct kit_info *info)
{
	(void)info;
	wrmsr(0x1b, 0); /* IA32_APIC_BASE: the local APIC off */
}

void fatal_port(const struct kit_info *info)
{
	(void)info;
	outb(0xcf9, 6); /* the chip set's reset register */
}

void fatal_vmx(const struct kit_info *info)
{
	(void)info;
	__asm__ volatile("vmxoff");
}

/* An NMI to an APIC ID that the partition does not have and the machine does. */
void fatal_ipi(const struct kit_info *info)
{
	(void)info;
	wrmsr(X2APIC_ICR, (rdmsr(X2APIC_ID) ^ 1) << 32 | ICR_NMI);
}

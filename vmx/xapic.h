// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual local APIC in xAPIC mode: its registers in a page of memory, its 8-bit destinations (SDM Vol. 3A, 11.4.1, 11.6.2). For partitions
 * that the configuration lets begin so, on scheduled CPUs. Destinations also serve the virtual I/O APIC, whose messages have the same.
 */
#ifndef VMX_XAPIC_H
#define VMX_XAPIC_H

#include "mmio.h"

/* Is this vCPU, which lives on the calling CPU, in xAPIC mode? */
int xapic_is_on(const struct vcpu *vcpu);

/* An access to the page. The vCPU whose VMCS is current. */
enum mmio_result xapic_access(struct vcpu *vcpu, uint32_t offset, const struct decoded *d, uint64_t *value);

/* The guest has set IA32_APIC_BASE.EXTD. */
void xapic_to_x2apic(struct vcpu *vcpu);

/* Others must know which logical destinations this vCPU has now: after a change of mode, LDR or DFR, on its own CPU. */
void xapic_note_logical(const struct vcpu *vcpu);

/* Does vCPU `index` of the partition receive what is sent to an 8-bit destination? Any CPU. */
int xapic_receives(const struct config_partition *p, uint32_t index, uint32_t destination, uint32_t logical);

#endif

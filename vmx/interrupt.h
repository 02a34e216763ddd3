// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts of the machine for partitions (config.interrupts): from the machine's I/O APIC to a scheduled CPU, from there to the partition's
 * virtual I/O APIC. Linked only where the configuration has any.
 */
#ifndef VMX_INTERRUPT_H
#define VMX_INTERRUPT_H

#include <stdint.h>

/* Before any partition runs. Boot CPU. */
void interrupt_init(void);

/* A physical interrupt came to this CPU, and is not ended yet. */
void interrupt_arrived(uint32_t vector);

/* A vCPU of the partition is about to run on this CPU: it may be interrupted. */
void interrupt_admit(uint16_t partition);

/* The partition has ended the interrupts of these pins, a bit each. Machine inputs among them may interrupt again. Returns their pins. */
uint32_t interrupt_ended(uint16_t partition, uint32_t pins);

#endif

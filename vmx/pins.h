// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual I/O APICs of partitions and what is joined to their pins: the emulated 16550, and interrupts of the machine. Linked only
 * where the configuration has any. All vCPUs of such a partition are on scheduled CPUs.
 */
#ifndef VMX_PINS_H
#define VMX_PINS_H

#include "mmio.h"

/* Before any partition runs. Boot CPU. */
void pins_init(void);

/* As before any partition ran, for one none of whose vCPUs runs. */
void pins_reset(const struct config_partition *p);

/* An access to the I/O APIC's page. The vCPU whose VMCS is current. */
enum mmio_result pins_access(struct vcpu *vcpu, uint32_t offset, const struct decoded *d, uint64_t *value);

/* The input of a pin becomes active, and stays so until pins_ended(); or it was so for a moment. A scheduled CPU. */
void pins_raise(const struct config_partition *p, uint32_t pin);
void pins_pulse(const struct config_partition *p, uint32_t pin);

/* The inputs of the pins in `mask` become as their bits in `levels`, where they were as in `before`. */
void pins_drive(const struct config_partition *p, uint32_t mask, uint32_t before, uint32_t levels);

/*
 * Look what there is to do for the partition's serial port, and interrupt if there is something. Called with its vCPU 0, on its CPU, when the
 * time has come that the last call returned (first: 0). Nobody else looks at the line while its driver waits for an interrupt.
 */
uint64_t pins_poll(struct vcpu *vcpu, uint64_t now);

/* The vCPU has ended a level-triggered interrupt. */
void pins_ended(struct vcpu *vcpu, uint32_t vector);

/* For struct lapic.level: which vectors arrive level-triggered at this vCPU, by the last message of each; or 0 if it gets none. */
const uint32_t *pins_level(const struct vcpu *vcpu);

/* Take the level-triggered interrupts that other CPUs have sent to this vCPU of this CPU into its virtual APIC. */
void pins_take(const struct vcpu *vcpu);

#endif

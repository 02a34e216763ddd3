// SPDX-License-Identifier: Apache-2.0
/*
 * Hypercalls that have a file of their own: linked where the configuration uses them, called by hypercall.c with the right to the call already
 * checked. Root mode, on the calling vCPU's CPU; arguments in vcpu->regs. They return what the guest finds in RAX.
 */
#ifndef HYPERCALL_CALLS_H
#define HYPERCALL_CALLS_H

#include <stdint.h>

struct vcpu;
typedef int64_t hypercall_handler(struct vcpu *vcpu);

/* ports.c: where the configuration has channels. */
hypercall_handler call_port_send, call_port_receive, call_port_status;

/* Where the memories of channels are. Boot CPU, before any partition runs. */
void ports_init(void);

/* The partition starts anew: what waits for it in queues is gone. None of its vCPUs runs. */
void ports_restart(uint16_t partition);

/* doorbell.c: where the configuration has doorbells. */
hypercall_handler call_ring;

/* Ring that one. Any CPU that partitions run on which may ring it. */
void doorbell_ring(uint32_t doorbell);

/* health.c: BH_PARTITION_STATUS to BH_EVENTS, by the number in the caller's RAX, where CONFIG_HEALTH is not 0. */
hypercall_handler call_health;

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * Partitions that stop and start again (docs/health.md). Linked only where the configuration asks for it (CONFIG_HEALTH). What happens to a
 * partition is decided and done by the CPU of its vCPU 0, in steps of less than W, in the partition's own time. Who wants something,
 * a monitor, another vCPU, an error, leaves it in a request word and makes that CPU look.
 */
#ifndef VMX_HEALTH_H
#define VMX_HEALTH_H

#include <stdint.h>

#include "core/life.h"
#include "vcpu.h"

/* Bits of a request word. */
#define HEALTH_START 1u
#define HEALTH_STOP 2u
#define HEALTH_RESET 4u
#define HEALTH_CALL 8u    /* it has stopped itself */
#define HEALTH_REBOOT 16u /* it has asked its platform for a reset */
#define HEALTH_ERROR(class) (1u << (8 + (class)))
_Static_assert(8 + ERROR_CLASS_COUNT <= 32, "a bit an error class");

extern struct life health_life[CONFIG_PARTITIONS];
extern uint32_t health_requests[CONFIG_PARTITIONS];
extern uint8_t health_busy[CONFIG_PARTITIONS];    /* its CPU works on it */
extern uint64_t health_events[CONFIG_PARTITIONS]; /* BH_EVENTS, by the one that watches */

/* Is there anything to do for the partition whose vCPU 0 this is? Its own CPU. */
static inline int health_due(const struct vcpu *vcpu)
{
	return CONFIG_HEALTH && vcpu->index == 0 && vcpu->partition && vcpu->partition->health &&
	       (__atomic_load_n(&health_requests[vcpu->partition_index], __ATOMIC_ACQUIRE) |
	        health_busy[vcpu->partition_index]) != 0;
}

/* Before any partition runs. Boot CPU. */
void health_init(void);

/* Its memory was loaded for the first time, or is not `right`. Returns 1 if it is to run now. The CPU of vCPU 0. */
int health_begin(struct vcpu *vcpu, int right);

/* TSC at which the partition of `vcpu`, its vCPU 0, must have given a sign of life; 0: it need not, now. If that is past, it is silent: then
 * HEALTH_ERROR(ERROR_SILENCE) is asked for, and the next one is due as if it had given one now. Its own CPU. */
uint64_t health_heartbeat_due(struct vcpu *vcpu, uint64_t now);

/* A sign of life. Any of its CPUs. */
void health_heartbeat(struct vcpu *vcpu);

/* Leave requests for a partition. Any CPU. */
void health_ask(uint16_t partition, uint32_t requests);

/* The guest cannot go on, or must not: ask, and never come back to it but by its partition's start. */
_Noreturn void health_end(struct vcpu *vcpu, uint32_t requests);

/* An error whose action is one of ACTION_RECORD to ACTION_FAILOVER, and whose class lets the guest go on: returns 1 if it does. */
int health_goes_on(struct vcpu *vcpu, enum error_class class);

/*
 * A step of what is due for the partition of `vcpu`, its vCPU 0. No guest of it runs on this CPU; the VMCS that is current
 * is this_cpu->running's. HEALTH_MORE: again. HEALTH_DONE: vCPU->state says whether it may run.
 */
enum health_progress { HEALTH_MORE, HEALTH_DONE };
enum health_progress health_step(struct vcpu *vcpu);

/* On a dedicated CPU, whose vCPU has exited: do what is due. Returns if the guest just goes on. */
void health_attend(struct vcpu *vcpu);

/* On a dedicated CPU: the vCPU begins in HLT, out of reach for all but the core. */
_Noreturn void health_rest(struct vcpu *vcpu);

/* ---- vmx/clean.c: a vCPU as before its first entry ---- */

/* Step `step` of it, from 0 on, for a partition's vCPU 0. Returns 0 when there is none left. */
int clean_step(struct vcpu *vcpu, uint32_t step);

/* Another vCPU, whose VMCS is current: it waits for a SIPI, and its CPU says so. clean_registers() is for when that comes. */
void clean_park(struct vcpu *vcpu);
void clean_registers(struct vcpu *vcpu);

/* Ask for the others to be parked; are they all? For a partition's vCPU 0. */
void clean_order(struct vcpu *vcpu);
int clean_parked(const struct vcpu *vcpu);

void clean_init(void); /* boot CPU */

/* core/drain.asm: an interrupt handler */
void drain_interrupt(void);

#endif

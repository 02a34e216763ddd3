// SPDX-License-Identifier: Apache-2.0
/*
 * Channels and doorbells by their names in the configuration. Only for code that runs on Bulkhead. One vCPU at a time uses an end of a
 * channel.
 */
#ifndef GUEST_KIT_PORTS_H
#define GUEST_KIT_PORTS_H

#include "hypercall.h"
#include "hypercall/ports.h"
#include "kit.h"

static inline int64_t hypercall2(uint64_t number, uint64_t a, uint64_t b)
{
	int64_t result;
	__asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "memory");
	return result;
}

static inline bool kit_name_is(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* This partition's end of the channel, or 0. */
static inline const struct kit_port *kit_port(const struct kit_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->port_count; i++)
		if (kit_name_is(info->port[i].name, name))
			return &info->port[i];
	return 0;
}

/* The doorbell, to ring or to hear, or 0. */
static inline const struct kit_doorbell *kit_doorbell(const struct kit_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->doorbell_count; i++)
		if (kit_name_is(info->doorbell[i].name, name))
			return &info->doorbell[i];
	return 0;
}

/* Where the source writes its next message: up to p->size bytes, then kit_port_send_outbox(). */
static inline void *kit_port_outbox(const struct kit_port *p)
{
	return (void *)p->gpa;
}

/* 0 or an error, BH_EAGAIN where the queue is full. */
static inline int64_t kit_port_send_outbox(const struct kit_port *p, size_t length)
{
	return hypercall2(BH_PORT_SEND, p->number, length);
}

static inline int64_t kit_port_send(const struct kit_port *p, const void *message, size_t length)
{
	if (length > p->size)
		return BH_EINVAL;
	memcpy(kit_port_outbox(p), message, length);
	return kit_port_send_outbox(p, length);
}

/* The message, in place: nobody changes it until the next call for this port. 0: none. `valid`, unless 0: it is not older than the
 * channel's refresh period. */
static inline const struct port_slot *kit_port_receive(const struct kit_port *p, bool *valid)
{
	const int64_t slot = hypercall1(BH_PORT_RECEIVE, p->number);

	if (slot < 0)
		return 0;
	if (valid)
		*valid = slot & BH_PORT_VALID;
	return (const void *)(p->gpa + ((uint64_t)slot & 0xffff) * PORT_STRIDE(p->size));
}

/* Age of a message in TSC ticks. */
static inline uint64_t kit_port_age(const struct port_slot *slot)
{
	return rdtsc() - slot->tsc;
}

static inline int64_t kit_port_status(const struct kit_port *p, uint64_t which)
{
	return hypercall2(BH_PORT_STATUS, p->number, which);
}

static inline int64_t kit_ring(const struct kit_doorbell *bell)
{
	return hypercall1(BH_RING, bell->number);
}

/* Take all bits that are set in this partition's word. After this, look what there is to do: a bit that is set from now on interrupts again. */
static inline uint64_t kit_doorbells_take(const struct kit_doorbell *any_heard_here)
{
	return __atomic_exchange_n((uint64_t *)any_heard_here->gpa, 0, __ATOMIC_SEQ_CST);
}

#endif

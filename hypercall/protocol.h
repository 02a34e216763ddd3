// SPDX-License-Identifier: Apache-2.0
/*
 * How CPUs agree on slots without waiting for each other. Pure; the words live in memory that no guest can reach. Slots have numbers
 * from 1 on, 0 means none. tests/host/prove_ports.c goes through all interleavings of these steps.
 *
 * Sampling: J. Chen, A. Burns, "A three-slot asynchronous reader/writer mechanism for multiprocessor real-time systems", University of York,
 * 1997, for any number of readers. Each reader claims the slot it reads. It says that it is claiming, looks for the last message, and
 * enters that as its claim unless the writer was faster and entered the newer one: then it has that. The writer fills a slot that is neither the
 * last message nor claimed: with two slots more than readers there always is one.
 *
 * Queuing: a ring of one writer and one reader, one slot of it always empty. That is the one before the next to be received: the reader may
 * look at what it has received last until it receives again.
 */
#ifndef HYPERCALL_PROTOCOL_H
#define HYPERCALL_PROTOCOL_H

#include <stdint.h>

#define SAMPLING_CLAIMING UINT32_MAX

/* Steps of the writer: the last message is in this slot. Ordered before all that follows: who begins to claim after the look at its word sees it. */
static inline void sampling_publish(uint32_t *latest, uint32_t slot)
{
	__atomic_exchange_n(latest, slot, __ATOMIC_SEQ_CST);
}

/* What has this reader claimed? */
static inline uint32_t sampling_look(const uint32_t *claim)
{
	return __atomic_load_n(claim, __ATOMIC_SEQ_CST);
}

/* It was claiming: it gets this slot, unless it has one by now. Returns which. */
static inline uint32_t sampling_give(uint32_t *claim, uint32_t slot)
{
	uint32_t found = SAMPLING_CLAIMING;

	return __atomic_compare_exchange_n(claim, &found, slot, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? slot : found;
}

/* Steps of the reader: begin, look for the last message, and claim its slot by sampling_give(). */
static inline void sampling_begin(uint32_t *claim)
{
	__atomic_exchange_n(claim, SAMPLING_CLAIMING, __ATOMIC_SEQ_CST);
}

/* A set of slots, begun as 1, with this one; and one that is not in the set. There is one, and it is below 63. */
static inline uint64_t sampling_use(uint64_t used, uint32_t slot)
{
	__asm__ volatile("bts %q1, %0"
	                 : "+r"(used)
	                 : "r"(slot)
	                 : "cc"); /* bit slot % 64. The compiler takes three instructions */
	return used;
}

static inline uint32_t sampling_free(uint64_t used)
{
	return (uint32_t)__builtin_ctzll(~used);
}

/* The slot behind it in a ring of slots 1 to `last`. */
static inline uint32_t queue_next(uint32_t slot, uint32_t last)
{
	return slot < last ? slot + 1 : 1;
}

#endif

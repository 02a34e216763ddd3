// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts from one CPU to a vCPU that lives on another, and wake-ups. Shared words: any CPU sets bits, the owner takes them all at once.
 *
 * The vectors of a vCPU stand in a posted-interrupt descriptor (SDM Vol. 3C, 30.6). While it runs and the CPU can, the
 * notification vector brings them in with no exit. Else, and always without that hardware, notifications are suppressed
 * (SN), and the sender marks the vCPU's slot and kicks its CPU.
 */
#ifndef CORE_POSTED_H
#define CORE_POSTED_H

#include <stdint.h>

/* Physical vectors: one makes a scheduled CPU look at what is posted, the other is taken by the vCPU that runs. */
#define POSTED_KICK_VECTOR 0xf2u
#define POSTED_NOTIFY_VECTOR 0xf3u

#define POSTED_ON 1u /* control: outstanding notification */
#define POSTED_SN 2u /* control: suppress notification */

struct posted {
	uint64_t requests[4]; /* a bit a vector */
	uint32_t control;
	uint32_t reserved[7];
} __attribute__((aligned(64)));

/* Post `vector` (16 to 255) for the vCPU in `slot` of CPU `cpu`, and let that CPU know if it is another. Any CPU. */
void posted_send(uint32_t cpu, uint32_t slot, uint32_t vector);

/* Only make that CPU look at the slot: events for it stand elsewhere (vmx/startup.c). */
void posted_wake(uint32_t cpu, uint32_t slot);

extern uint64_t posted_slots[CONFIG_CPUS]; /* bit n: slot n of the CPU has something */
extern struct posted posted_descriptor[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

/* Is anything posted for vCPUs of this CPU? */
static inline int posted_any(uint32_t cpu)
{
	return __atomic_load_n(&posted_slots[cpu], __ATOMIC_ACQUIRE) != 0;
}

/* Take: which slots have something, and a vCPU's vectors, 64 in a word. The CPU itself. */
static inline uint64_t posted_take_slots(uint32_t cpu)
{
	return __atomic_exchange_n(&posted_slots[cpu], 0, __ATOMIC_SEQ_CST);
}

static inline uint64_t posted_take(uint32_t cpu, uint32_t slot, uint32_t word)
{
	uint64_t *requests = &posted_descriptor[cpu][slot].requests[word];

	return __atomic_load_n(requests, __ATOMIC_ACQUIRE) ? __atomic_exchange_n(requests, 0, __ATOMIC_SEQ_CST) : 0;
}

/* Is any vector of that vCPU posted? */
static inline int posted_waiting(uint32_t cpu, uint32_t slot)
{
	const uint64_t *r = posted_descriptor[cpu][slot].requests;

	return (__atomic_load_n(&r[0], __ATOMIC_SEQ_CST) | __atomic_load_n(&r[1], __ATOMIC_SEQ_CST) |
	        __atomic_load_n(&r[2], __ATOMIC_SEQ_CST) | __atomic_load_n(&r[3], __ATOMIC_SEQ_CST)) != 0;
}

/* The vCPU begins or ends to take notifications itself; closed before any runs. What is posted after the latter marks
 * the slot; what was before, posted_waiting() shows. The CPU itself. */
static inline void posted_open(uint32_t cpu, uint32_t slot)
{
	__atomic_and_fetch(&posted_descriptor[cpu][slot].control, ~(POSTED_SN | POSTED_ON), __ATOMIC_SEQ_CST);
}

static inline void posted_close(uint32_t cpu, uint32_t slot)
{
	__atomic_or_fetch(&posted_descriptor[cpu][slot].control, POSTED_SN, __ATOMIC_SEQ_CST);
}

#endif

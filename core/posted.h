// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts from one CPU to a vCPU that lives on another, and wake-ups. Shared words: any CPU sets bits, the owner takes them all at once.
 */
#ifndef CORE_POSTED_H
#define CORE_POSTED_H

#include <stdint.h>

/* Physical vector that only makes a scheduled CPU look at what is posted. */
#define POSTED_VECTOR 0xf2u

/* Post `vector` for the vCPU in `slot` of CPU `cpu`, and kick that CPU if it is another. Any CPU. */
void posted_send(uint32_t cpu, uint32_t slot, uint32_t vector);

/* Only make that CPU look at the slot: events for it stand elsewhere (vmx/startup.c). */
void posted_wake(uint32_t cpu, uint32_t slot);

/* Is anything posted for vCPUs of this CPU? */
int posted_any(uint32_t cpu);

/* Take: which slots have something, and a vCPU's vectors word by word. The CPU itself. */
uint64_t posted_take_slots(uint32_t cpu);
uint32_t posted_take(uint32_t cpu, uint32_t slot, uint32_t word);

#endif

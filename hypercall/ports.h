// SPDX-License-Identifier: Apache-2.0
/*
 * Where messages are. One header for core, guest kit and tools.
 *
 * The source of a channel writes a message to the begin of its outbox, a memory of its own, and calls port_send. The core copies it into a
 * slot of the channel's memory, which the destinations can only read, and where it stays unchanged as long as one of them holds it: slot n,
 * from 1 on, stands n * PORT_STRIDE(size) bytes behind the begin.
 *
 * The word of a partition's doorbells is the first of the memory that it and the core write: the core sets bits and interrupts the
 * partition when one becomes set; the partition takes them by exchanging the word for 0, and then looks what there is to do.
 */
#ifndef HYPERCALL_PORTS_H
#define HYPERCALL_PORTS_H

#include <stdint.h>

struct port_slot {
	uint64_t tsc;      /* when it was sent */
	uint32_t length;   /* bytes of the message */
	uint32_t reserved; /* 0 */
	uint64_t message[];
};

/* Bytes from slot to slot of a channel for messages of up to `size` bytes. */
#define PORT_STRIDE(size) ((sizeof(struct port_slot) + (size) + 63u) & ~63u)

#endif

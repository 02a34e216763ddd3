// SPDX-License-Identifier: Apache-2.0
/*
 * What the configuration tool tells a bare-metal partition about itself. RDI holds the guest-physical
 * address of this structure at the first instruction; the tool places it in the partition's memory.
 */
#ifndef GUEST_KIT_INFO_H
#define GUEST_KIT_INFO_H

#include <stdint.h>

#define KIT_INFO_MAGIC 0x4b495442u /* "BTIK" in memory */
#define KIT_INFO_VERSION 2u
#define KIT_INFO_MAPS 24u
#define KIT_INFO_PORTS 16u
#define KIT_INFO_DOORBELLS 16u
#define KIT_INFO_REGIONS 8u
#define KIT_NO_NUMBER 0xffffu
#define KIT_NAME_SIZE 24u /* a name and its terminating zero */

struct kit_info {
	uint32_t magic, version;
	uint64_t memory_size;  /* bytes from guest-physical 0 */
	uint64_t tables_start; /* page tables, GDT and this structure lie from here to memory_size */
	char name[KIT_NAME_SIZE];
	uint32_t vcpu_count; /* 0: a companion (companion.h), which has neither interrupts nor a local APIC */
	uint32_t map_count;
	struct { /* beside the partition's own memory */
		uint64_t gpa, size;
		uint32_t rights, pad; /* RIGHT_READ 1, RIGHT_WRITE 2, RIGHT_EXEC 4 */
		char name[KIT_NAME_SIZE];
	} map[KIT_INFO_MAPS];
	uint32_t port_count, doorbell_count;
	struct kit_port {        /* an end of a channel: ports.h */
		uint64_t gpa;    /* of its outbox, or of its slots */
		uint16_t number; /* for the calls */
		uint16_t size;   /* of a message, at most */
		uint16_t slots;
		uint8_t queuing, source; /* 1: it is so */
		char name[KIT_NAME_SIZE];
	} port[KIT_INFO_PORTS];
	struct kit_doorbell {
		uint64_t gpa;    /* of the word, if it rings here; else 0 */
		uint16_t number; /* for the call, if it may be rung from here; else KIT_NO_NUMBER */
		uint8_t vector, bit;
		uint32_t vcpu;
		char name[KIT_NAME_SIZE];
	} doorbell[KIT_INFO_DOORBELLS];
	/* Of a companion: pins of the I/O APIC that it drives, a bit a pin; and what its guest sees beside its own memory. */
	uint32_t pins, region_count;
	struct kit_region {
		uint64_t gpa, size;
		uint64_t registers; /* 1: the companion answers there; 0: a shared memory */
	} region[KIT_INFO_REGIONS];
};

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * What software and a remapping unit tell each other: registers, table entries, invalidation descriptors, fault records. Intel VT-d
 * specification 4.1, chapters 9 to 11; legacy mode. Pure.
 */
#ifndef VTD_FORMAT_H
#define VTD_FORMAT_H

#include <stdint.h>

#include "vtd/vtd.h"

/* Registers (11.4) */
#define VTD_VER 0x00u
#define VTD_CAP 0x08u
#define VTD_ECAP 0x10u
#define VTD_GCMD 0x18u
#define VTD_GSTS 0x1cu
#define VTD_RTADDR 0x20u
#define VTD_FSTS 0x34u
#define VTD_FECTL 0x38u
#define VTD_FEDATA 0x3cu
#define VTD_FEADDR 0x40u
#define VTD_FEUADDR 0x44u
#define VTD_PMEN 0x64u
#define VTD_IQH 0x80u
#define VTD_IQT 0x88u
#define VTD_IQA 0x90u
#define VTD_IRTA 0xb8u

/* GCMD, and the same bits in GSTS */
#define VTD_TE (1u << 31)    /* translation */
#define VTD_SRTP (1u << 30)  /* take the root table */
#define VTD_WBF (1u << 27)   /* flush the write buffer */
#define VTD_QIE (1u << 26)   /* queued invalidation */
#define VTD_IRE (1u << 25)   /* interrupt remapping */
#define VTD_SIRTP (1u << 24) /* take the interrupt remapping table */
#define VTD_LASTING         \
	(VTD_TE | VTD_QIE | \
	 VTD_IRE) /* what a write of GCMD must repeat; compatibility-format interrupts stay blocked */

#define VTD_CAP_RWBF (1u << 4)
#define VTD_CAP_PROTECTED (3u << 5) /* low or high protected memory region */
#define VTD_ECAP_COHERENT 1u
#define VTD_ECAP_QI (1u << 1)
#define VTD_ECAP_IR (1u << 3)
#define VTD_ECAP_EIM (1u << 4)

#define VTD_FSTS_PPF (1u << 1)   /* a record is pending, FSTS[15:8] says which */
#define VTD_FSTS_CLEAR 0x71u     /* overflow and queue errors, by writing 1 */
#define VTD_FSTS_QUEUE (7u << 4) /* queue error, time-out, completion error */
#define VTD_FECTL_MASKED (1u << 31)
#define VTD_PMEN_ON (1u << 31)
#define VTD_PMEN_STATUS 1u
#define VTD_IRTA_EXTENDED (1u << 11)
#define VTD_IRTA_SIZE 7u /* 2^(7+1) entries: CONFIG_IRTES */

/* Invalidation descriptors (6.5.2), low and high word; all of global scope. */
#define VTD_INVALIDATE_CONTEXT 0x11ull
#define VTD_INVALIDATE_IOTLB 0xd2ull /* and drain reads and writes */
#define VTD_INVALIDATE_INTERRUPTS 0x04ull
#define VTD_INVALIDATE_WAIT (0x25ull | 1ull << 32) /* write 1 to the address in the high word */
#define VTD_QUEUE_ENTRIES 256u

#define VTD_PRESENT 1ull

/* What the units of a machine agree on. */
struct vtd_ability {
	uint32_t depths;    /* bit 1: tables of three levels, bit 2: of four */
	uint32_t levels;    /* the deepest of these */
	uint32_t width;     /* bits of an address that devices may use */
	uint32_t max_shift; /* largest page: 12, 21 or 30 */
	uint32_t domains;
	uint8_t coherent, extended; /* tables need no flush; interrupts reach 32-bit APIC IDs */
};
#define VTD_ABILITY_ALL                      \
	{                                    \
		6, 4, 48, 30, 1u << 16, 1, 1 \
	}

/* Bring `all` down to what this unit can. 0, or what it lacks and must have. */
const char *vtd_combine(struct vtd_ability *all, uint64_t cap, uint64_t ecap);

/* A context entry that leads a device to a second-level table. */
void vtd_context_entry(uint64_t entry[2], uint64_t table, uint32_t levels, uint32_t domain);

/* A remapping entry (9.10): fixed delivery, only from `source`. */
void vtd_interrupt_entry(uint64_t entry[2], const struct vtd_interrupt *x, int extended);

/* A fault record (11.4.14.8). */
struct vtd_fault {
	uint64_t address; /* of the page; of an interrupt: 0 */
	uint32_t index;   /* of the interrupt */
	uint16_t source;
	uint8_t reason, write;
};
#define VTD_FAULT_INTERRUPT 0x20u /* reasons from here to 26h are of interrupt requests */
/* 1 if the record holds a fault. */
int vtd_fault_decode(struct vtd_fault *f, uint64_t low, uint64_t high);
const char *vtd_fault_text(uint8_t reason);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * A PCI bus with a host bridge, device 0, and QEMU's ivshmem device, revision 0 of its specification (registers with INTx), device 1: CF8h and
 * CFCh, the two configuration headers, and the device's registers. Pure logic, for the companion and the host tests.
 */
#ifndef GUEST_APPS_IVSHMEM_PCI_H
#define GUEST_APPS_IVSHMEM_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_VENDOR 0x1af4u
#define IVSHMEM_DEVICE 0x1110u

/* Registers in BAR 0, 32 bits wide. */
#define IVSHMEM_INTR_MASK 0x0u
#define IVSHMEM_INTR_STATUS 0x4u /* reading clears it */
#define IVSHMEM_IV_POSITION 0x8u
#define IVSHMEM_DOORBELL 0xcu /* write: peer in the upper half, vector in the lower */
#define IVSHMEM_REGISTERS 0x100u

#define PCI_HEADER_WORDS 16u
#define PCI_NOBODY 0xffffffffu

struct ivshmem {
	uint32_t address; /* CF8h */
	uint32_t header[2][PCI_HEADER_WORDS];
	uint32_t size0, size2; /* of BARs 0 and 2 */
	uint32_t mask, status;
	uint32_t position; /* this peer's number */
};

/* BARs where the memory is; `size2` a power of two. */
void ivshmem_reset(struct ivshmem *d, uint32_t bar0, uint64_t bar2, uint32_t size2);

/* Ports CF8h to CFFh, by 1, 2 or 4 bytes. */
uint32_t ivshmem_in(const struct ivshmem *d, uint16_t port, unsigned size);
void ivshmem_out(struct ivshmem *d, uint16_t port, unsigned size, uint32_t value);

/* Registers, by offset. A write to the doorbell returns the peer to ring, others PCI_NOBODY. Other widths than 32 bits do nothing. */
uint32_t ivshmem_read(struct ivshmem *d, uint32_t offset, unsigned size);
uint32_t ivshmem_write(struct ivshmem *d, uint32_t offset, unsigned size, uint32_t value);

/* A peer has rung. */
void ivshmem_rung(struct ivshmem *d);

/* Is INTA active? */
bool ivshmem_inta(const struct ivshmem *d);

#endif

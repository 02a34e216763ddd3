// SPDX-License-Identifier: Apache-2.0
/*
 * The companion that shows a shared memory and doorbells to its guest as a PCI device, ivshmem of QEMU: docs/ivshmem.md. From its
 * configuration: the registers are its mmio, BAR 2 is its guest's shared memory, INTA its pin; peer 0 is the guest, peer n + 1 the n-th doorbell
 * that it may ring; any doorbell that rings it interrupts the guest.
 */
#include "companion.h"
#include "ivshmem/pci.h"
#include "ports.h"

static struct ivshmem device;
static const struct kit_doorbell *heard, *peers[KIT_INFO_DOORBELLS];
static unsigned peer_count;
static uint64_t registers, pin;

static void find(const struct kit_info *info)
{
	uint64_t memory = 0, size = 4096;

	for (uint32_t i = 0; i < info->region_count; i++) {
		if (info->region[i].registers) {
			registers = info->region[i].gpa;
		} else if (!memory) {
			memory = info->region[i].gpa;
			size = info->region[i].size;
		}
	}
	for (uint32_t i = 0; i < info->doorbell_count; i++) {
		if (info->doorbell[i].number != KIT_NO_NUMBER)
			peers[peer_count++] = &info->doorbell[i];
		if (info->doorbell[i].gpa)
			heard = &info->doorbell[i];
	}
	pin = info->pins ? BH_COMPANION_PIN(__builtin_ctz(info->pins)) : 0;
	ivshmem_reset(&device, (uint32_t)registers, memory, (uint32_t)size);
}

static void ring(uint32_t peer)
{
	if (peer - 1 < peer_count)
		kit_ring(peers[peer - 1]);
}

static uint64_t work(const struct companion_request *r)
{
	switch (r->what) {
	case BH_REQUEST_READ:
		return ivshmem_in(&device, (uint16_t)r->port, (unsigned)r->size);
	case BH_REQUEST_WRITE:
		ivshmem_out(&device, (uint16_t)r->port, (unsigned)r->size, (uint32_t)r->value);
		return 0;
	case BH_REQUEST_MMIO_READ:
		return ivshmem_read(&device, (uint32_t)(r->port - registers), (unsigned)r->size);
	case BH_REQUEST_MMIO_WRITE:
		ring(ivshmem_write(&device, (uint32_t)(r->port - registers), (unsigned)r->size, (uint32_t)r->value));
		return 0;
	default:
		return 0;
	}
}

int main(const struct kit_info *info)
{
	struct companion_answer answer = { .next = BH_COMPANION_NEVER };
	struct companion_request request;

	find(info);
	for (;;) {
		companion_wait(&answer, &request);
		if (heard && kit_doorbells_take(heard))
			ivshmem_rung(&device);
		answer.value = work(&request);
		answer.line = ivshmem_inta(&device) ? pin : 0;
	}
}

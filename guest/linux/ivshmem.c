// SPDX-License-Identifier: Apache-2.0
/*
 * A program of Linux partitions, without a driver of ours: exchanges messages with guest/apps/ivpeer.c through an ivshmem PCI device. The memory
 * is BAR 2 by sysfs; it rings by the register, and sleeps until uio_pci_generic tells of INTA, or polls if there is no such module.
 *
 *   ivshmem: position=0 memory=<bytes> woken by uio|polls
 *   ivshmem: messages=<n> wrong=<n> wakeups=<n>
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/apps/ivshmem/messages.h"
#include "guest/apps/ivshmem/pci.h"

#define DEVICE "/sys/bus/pci/devices/0000:00:01.0/"
#define COMMAND 4
#define COMMAND_INTX_DISABLE 0x400
#define PEER 1u

static volatile uint32_t *registers;
static int uio, config;
static unsigned wakeups;

static void *map(const char *path, size_t *size)
{
	int file = open(path, O_RDWR | O_SYNC);
	struct stat status;
	void *memory = MAP_FAILED;

	if (file >= 0 && !fstat(file, &status)) {
		*size = (size_t)status.st_size;
		memory = mmap(0, *size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	}
	if (memory == MAP_FAILED) {
		perror(path);
		return 0;
	}
	close(file);
	return memory;
}

/* Plain MOVs: a companion's registers take no other instructions. */
static uint32_t get(unsigned offset)
{
	uint32_t value;

	__asm__ volatile("movl %1, %0" : "=r"(value) : "m"(registers[offset / 4]) : "memory");
	return value;
}

static void set(unsigned offset, uint32_t value)
{
	__asm__ volatile("movl %1, %0" : "=m"(registers[offset / 4]) : "r"(value) : "memory");
}

/* uio_pci_generic switches INTA off when it comes; who has seen to its cause switches it on again. */
static void wait_for_peer(const volatile struct message *answer, uint64_t number)
{
	uint16_t command = 0;
	uint32_t count;

	if (uio < 0) {
		sched_yield();
		return;
	}
	if (pread(config, &command, sizeof command, COMMAND) != sizeof command)
		return;
	command &= (uint16_t)~COMMAND_INTX_DISABLE;
	if (pwrite(config, &command, sizeof command, COMMAND) != sizeof command)
		return;
	if (__atomic_load_n(&answer->number, __ATOMIC_ACQUIRE) != number &&
	    read(uio, &count, sizeof count) == sizeof count)
		wakeups++;
	(void)get(IVSHMEM_INTR_STATUS);
}

static int exchange(volatile struct message_box *box, uint64_t number)
{
	const uint32_t size = (uint32_t)(number * 37 % MESSAGE_SIZE);
	int wrong = 0;

	for (uint32_t i = 0; i < size; i++)
		box->request.text[i] = (uint8_t)(number + i);
	box->request.size = size;
	__atomic_store_n(&box->request.number, number, __ATOMIC_RELEASE);
	set(IVSHMEM_DOORBELL, PEER << 16);
	while (__atomic_load_n(&box->answer.number, __ATOMIC_ACQUIRE) != number)
		wait_for_peer(&box->answer, number);
	for (uint32_t i = 0; i < size; i++)
		wrong |= box->answer.text[i] != (uint8_t) ~(number + i);
	return wrong || box->answer.size != size;
}

int main(void)
{
	volatile struct message_box *box;
	size_t size = 0, unused;
	unsigned wrong = 0;

	registers = map(DEVICE "resource0", &unused);
	box = map(DEVICE "resource2", &size);
	config = open(DEVICE "config", O_RDWR);
	uio = open("/dev/uio0", O_RDWR);
	if (!registers || !box || config < 0)
		return 1;
	set(IVSHMEM_INTR_MASK, 1);
	printf("ivshmem: position=%u memory=%zu %s\n", get(IVSHMEM_IV_POSITION), size,
	       uio < 0 ? "polls" : "woken by uio");
	for (uint64_t number = 1; number <= MESSAGES; number++)
		wrong += (unsigned)exchange(box, number);
	printf("ivshmem: messages=%u wrong=%u wakeups=%u\n", MESSAGES, wrong, wakeups);
	return wrong != 0;
}

// SPDX-License-Identifier: Apache-2.0
/* What guest/linux/ivshmem.c and guest/apps/ivpeer.c share: a message each way; a new one has the next number, written last. */
#ifndef GUEST_APPS_IVSHMEM_MESSAGES_H
#define GUEST_APPS_IVSHMEM_MESSAGES_H

#include <stdint.h>

#define MESSAGES 200u
#define MESSAGE_SIZE 1000u

struct message {
	uint64_t number;
	uint32_t size, reserved;
	uint8_t text[MESSAGE_SIZE];
};

struct message_box {
	struct message request, answer;
};

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The bare-metal side of guest/linux/ivshmem.c: what Linux writes into the shared memory comes back with each byte turned round, by
 * doorbells in both directions.
 *
 *   RESULT ivpeer messages=<n> interrupts=<n>
 */
#include "ivshmem/messages.h"
#include "ports.h"

static volatile uint64_t interrupts;

static void on_bell(struct kit_frame *frame)
{
	(void)frame;
	interrupts++;
}

static void answer(volatile struct message_box *box, uint64_t number)
{
	const uint32_t size = box->request.size < MESSAGE_SIZE ? box->request.size : MESSAGE_SIZE;

	for (uint32_t i = 0; i < size; i++)
		box->answer.text[i] = (uint8_t)~box->request.text[i];
	box->answer.size = size;
	__atomic_store_n(&box->answer.number, number, __ATOMIC_RELEASE);
}

int main(const struct kit_info *info)
{
	volatile struct message_box *const box = (volatile struct message_box *)info->map[0].gpa;
	const struct kit_doorbell *const in = kit_doorbell(info, "to-peer"), *const out = kit_doorbell(info,
	                                                                                               "to-linux");
	uint64_t done = 0;

	kit_handle(in->vector, on_bell);
	kit_doorbells_take(in);
	kit_printf("ivpeer: shared memory at %lx\n", info->map[0].gpa);
	while (done < MESSAGES) {
		if (__atomic_load_n(&box->request.number, __ATOMIC_ACQUIRE) == done) {
			wait_for_interrupt();
			kit_doorbells_take(in);
			continue;
		}
		answer(box, ++done);
		kit_ring(out);
	}
	kit_printf("RESULT ivpeer messages=%lu interrupts=%lu\n", done, interrupts);
	return 0;
}

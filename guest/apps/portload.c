// SPDX-License-Identifier: Apache-2.0
/*
 * The longest calls there are: "sender" sends messages of full size that ring at all destinations, at all phases of the frame; the others wait in
 * HLT, and take their bits when they are woken, so that each message rings anew.
 *
 *   RESULT portload sent=<n> worst=<longest stay in root mode, ticks>
 */
#include "ports.h"

#define MESSAGES 20000u

static void on_ring(struct kit_frame *frame)
{
	(void)frame;
}

int main(const struct kit_info *info)
{
	const struct kit_port *all = kit_port(info, "all"), *one = kit_port(info, "one");

	if (!all->source) {
		const struct kit_doorbell *bell = &info->doorbell[0];

		kit_handle(bell->vector, on_ring);
		for (;;) {
			if (!kit_doorbells_take(bell))
				wait_for_interrupt();
			kit_port_receive(all, 0);
			if (one)
				kit_port_receive(one, 0);
		}
	}
	for (unsigned i = 0; i < MESSAGES; i++) {
		kit_port_send_outbox(all, all->size);
		kit_port_send_outbox(one, one->size);
	}
	kit_printf("RESULT portload sent=%u worst=%ld\n", MESSAGES, kit_counter(BH_COUNTER_WORST));
	return 0;
}

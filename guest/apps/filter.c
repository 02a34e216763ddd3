// SPDX-License-Identifier: Apache-2.0
/*
 * A reference monitor: it stands between two partitions that have no other way to each other, which the configuration's `flows` has
 * proved, and sees each message. It passes what is allowed, changes what is too large, drops the rest, and counts.
 *
 *   RESULT filter seen=<n> passed=<n> changed=<n> dropped=<n>
 */
#include "order.h"
#include "ports.h"

static void on_ring(struct kit_frame *frame)
{
	(void)frame; /* it only ends the wait */
}

/* The first end that receives, or sends. */
static const struct kit_port *first(const struct kit_info *info, bool source)
{
	for (uint32_t i = 0; i < info->port_count; i++)
		if (info->port[i].source == source)
			return &info->port[i];
	return 0;
}

/* 0: not allowed. */
static bool check(struct order *order, uint64_t *changed)
{
	if (order->kind == ORDER_FORBIDDEN || order->kind > ORDER_END)
		return false;
	if (order->value > ORDER_LIMIT) {
		order->value = ORDER_LIMIT;
		++*changed;
	}
	order->passed = 1;
	return true;
}

int main(const struct kit_info *info)
{
	const struct kit_port *in = first(info, false), *out = first(info, true);
	const struct kit_doorbell *bell = &info->doorbell[0];
	uint64_t seen = 0, passed = 0, changed = 0, dropped = 0;
	bool end = false;

	kit_handle(bell->vector, on_ring);
	while (!end) {
		const struct port_slot *slot;

		if (!kit_doorbells_take(bell))
			wait_for_interrupt();
		while (!end && (slot = kit_port_receive(in, 0))) {
			struct order order;

			if (slot->length != sizeof order) { /* what it does not know does not pass */
				dropped++;
				continue;
			}
			memcpy(&order, slot->message, sizeof order);
			end = order.kind == ORDER_END;
			seen++;
			if (!check(&order, &changed)) {
				dropped++;
				continue;
			}
			while (kit_port_send(out, &order, sizeof order) == BH_EAGAIN)
				pause();
			passed++;
		}
	}
	kit_printf("RESULT filter seen=%lu passed=%lu changed=%lu dropped=%lu\n", seen, passed, changed, dropped);
	return 0;
}

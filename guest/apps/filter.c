// SPDX-License-Identifier: Apache-2.0
/*
 * A reference monitor: it stands between two partitions that have no other way to each other, which the configuration's `flows` has
 * proved, and sees each message. It passes what is allowed, changes what is too large, drops the rest, and counts.
 *
 *   filter        until an order says that it was the last:
 *   filter_live   (FILTER_LIVE) for ever, no order ends it; whenever none came for FILTER_REST_MS, what has become of them:
 *
 *   filter: seen <n> passed <n> changed <n> dropped <n>
 *   RESULT filter seen=<n> passed=<n> changed=<n> dropped=<n>
 */
#include "order.h"
#include "ports.h"

#ifndef FILTER_LIVE
#define FILTER_LIVE 0
#endif
#define FILTER_REST_MS 20u

static uint64_t seen, passed, changed, dropped;

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
static bool check(struct order *order)
{
	if (order->kind == ORDER_FORBIDDEN || order->kind > ORDER_END || (FILTER_LIVE && order->kind == ORDER_END))
		return false;
	if (order->value > ORDER_LIMIT) {
		order->value = ORDER_LIMIT;
		changed++;
	}
	order->passed = 1;
	return true;
}

/* One message. Returns whether it was the last. */
static bool take(const struct port_slot *slot, const struct kit_port *out)
{
	struct order order;

	if (slot->length != sizeof order) { /* what it does not know does not pass */
		dropped++;
		return false;
	}
	memcpy(&order, slot->message, sizeof order);
	seen++;
	if (!check(&order)) {
		dropped++;
		return false;
	}
	while (kit_port_send(out, &order, sizeof order) == BH_EAGAIN)
		pause();
	passed++;
	return order.kind == ORDER_END;
}

/* When nothing has come for a while. */
static void tell(uint64_t rest)
{
	static uint64_t told, at, last;
	const uint64_t now = seen + dropped;

	if (now != last) {
		last = now;
		at = rdtsc() + rest;
		kit_timer_at(at);
	} else if (told != now && rdtsc() >= at) {
		told = now;
		kit_printf("filter: seen %lu passed %lu changed %lu dropped %lu\n", seen, passed, changed, dropped);
	}
}

int main(const struct kit_info *info)
{
	const struct kit_port *in = first(info, false), *out = first(info, true);
	const struct kit_doorbell *bell = &info->doorbell[0];
	const uint64_t rest = kit_tsc_khz() * FILTER_REST_MS;
	bool end = false;

	kit_handle(bell->vector, on_ring);
	if (FILTER_LIVE)
		kit_timer_start(on_ring);
	while (!end) {
		const struct port_slot *slot;

		if (!kit_doorbells_take(bell))
			wait_for_interrupt();
		while (!end && (slot = kit_port_receive(in, 0)))
			end = take(slot, out);
		if (FILTER_LIVE)
			tell(rest);
	}
	kit_printf("RESULT filter seen=%lu passed=%lu changed=%lu dropped=%lu\n", seen, passed, changed, dropped);
	return 0;
}

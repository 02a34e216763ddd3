// SPDX-License-Identifier: Apache-2.0
/*
 * Ends of channels. "source" sends orders, and "sink" takes what the filter between them has passed. "writer" sends a sample as often as it can,
 * whose words all are its number, and "reader" holds samples while newer ones are written on the other CPU.
 *
 *   RESULT source orders=<n> refused=<n>
 *   RESULT sink orders=<n> wrong=<n>
 *   RESULT writer samples=<n>
 *   RESULT reader samples=<different ones> torn=<n> changed=<n> back=<n> stale=<n> rings=<n> strays=<n> box=<n>
 */
#include "order.h"
#include "ports.h"

#define WORDS 8u
#define HOLD 300u /* ticks for which a sample is held */
#define SAMPLES 50000u
#define BOX 0x1234u

static volatile uint64_t rings;

static void source(const struct kit_port *orders)
{
	uint64_t refused = 0, next = 1;

	while (next <= ORDERS + 1) {
		struct order o = order_make(next);

		if (next == ORDERS + 1)
			o = (struct order){ .number = next, .kind = ORDER_END };
		if (kit_port_send(orders, &o, sizeof o) == 0)
			next++;
		else
			refused++;
		for (uint64_t start = rdtsc(); rdtsc() - start < HOLD;)
			pause();
	}
	kit_printf("RESULT source orders=%lu refused=%lu\n", next - 1, refused);
}

static void sink(const struct kit_port *checked)
{
	uint64_t count = 0, wrong = 0, next = 1;

	for (bool end = false; !end;) {
		const struct port_slot *slot = kit_port_receive(checked, 0);
		const struct order *o;

		if (!slot)
			continue;
		o = (const struct order *)slot->message;
		while (order_make(next).kind == ORDER_FORBIDDEN)
			next++;
		end = o->kind == ORDER_END;
		count += !end;
		wrong += !o->passed || o->number != next || o->value > ORDER_LIMIT ||
		         (o->kind == ORDER_GOOD && o->value != (int64_t)o->number);
		next++;
	}
	kit_printf("RESULT sink orders=%lu wrong=%lu\n", count, wrong);
}

static void writer(const struct kit_port *speed, volatile uint64_t *box)
{
	volatile uint64_t *words = kit_port_outbox(speed);
	uint64_t n = 0;

	*box = BOX;
	while (n < SAMPLES) {
		n++;
		for (unsigned i = 0; i < WORDS; i++)
			words[i] = n;
		kit_port_send_outbox(speed, WORDS * 8);
	}
	kit_printf("RESULT writer samples=%lu\n", n);
}

static void on_ring(struct kit_frame *frame)
{
	(void)frame;
	rings++;
}

static struct {
	uint64_t samples, torn, changed, back, stale, last;
} found;

/* Look at the newest sample, wait, and look again. */
static void look(const struct kit_port *port)
{
	const struct port_slot *slot;
	uint64_t copy[WORDS];
	bool valid;

	slot = kit_port_receive(port, &valid);
	if (!slot)
		return;
	memcpy(copy, slot->message, sizeof copy);
	for (uint64_t start = rdtsc(); rdtsc() - start < HOLD;)
		pause();
	found.changed += memcmp(copy, slot->message, sizeof copy) != 0;
	for (unsigned i = 1; i < WORDS; i++)
		found.torn += copy[i] != copy[0];
	found.samples += copy[0] != found.last;
	found.back += copy[0] < found.last;
	found.stale += !valid && kit_port_age(slot) < kit_tsc_khz(); /* the refresh period is 10 ms */
	found.last = copy[0];
}

static void reader(const struct kit_info *info)
{
	const struct kit_port *speed = kit_port(info, "speed");
	const struct kit_doorbell *knock = kit_doorbell(info, "knock");
	const volatile uint64_t *box = (const volatile uint64_t *)info->map[0].gpa;

	kit_handle(knock->vector, on_ring);
	sti();
	while (found.last < SAMPLES - SAMPLES / 10) {
		look(speed);
		kit_doorbells_take(knock);
	}
	cli();
	kit_printf("RESULT reader samples=%lu torn=%lu changed=%lu back=%lu stale=%lu rings=%lu strays=%lu box=%lx\n",
	           found.samples, found.torn, found.changed, found.back, found.stale, rings, kit_stray_interrupts,
	           *box);
}

int main(const struct kit_info *info)
{
	if (kit_name_is(info->name, "source"))
		source(kit_port(info, "orders"));
	else if (kit_name_is(info->name, "sink"))
		sink(kit_port(info, "checked"));
	else if (kit_name_is(info->name, "writer"))
		writer(kit_port(info, "speed"), (volatile uint64_t *)info->map[0].gpa);
	else
		reader(info);
	return 0;
}

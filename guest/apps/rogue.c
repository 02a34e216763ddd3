// SPDX-License-Identifier: Apache-2.0
/*
 * The hostile partition of config/plant.yaml: it keeps still until a key is typed for it, or for ROGUE_STILL_S. From then on each life of it
 * is the same: ten setpoints for the loop, some of which no filter may pass, what it has no right to and is told so, and in the end a write into memory
 * that it does not have.
 *
 *   ROGUE keeps still ...
 *   ROGUE begins
 *   ROGUE msr=<exception> port=<what was read> call=<result>
 *   BREACH <what>
 */
#include "hostile/note.h"
#include "plant.h"

#define ROGUE_STILL_S 90u
#define ROGUE_ORDERS 10u
#define POLL_MS 20u
#define MSR_OF_HOST 0x3au /* IA32_FEATURE_CONTROL */
#define PORT_OF_RESET 0xcf9u
#define MEMORY_OF_NOBODY 0x40000000u

static void write_msr(void *unused)
{
	(void)unused;
	wrmsr(MSR_OF_HOST, 1);
}

static void send(const struct kit_port *port, const struct order *o, size_t size)
{
	while (kit_port_send(port, o, size) == BH_EAGAIN)
		pause();
}

/* Returns when the filter has them all: what is left in a queue is gone with the sender's life. */
static void send_all(const struct kit_port *port)
{
	struct order o;

	for (uint64_t n = 1; n <= ROGUE_ORDERS; n++) {
		o = order_make(n);
		send(port, &o, sizeof o);
	}
	o = (struct order){ .kind = ORDER_END, .passed = 1 };
	send(port, &o, sizeof o);
	send(port, &o, sizeof o - 1);
	while (kit_port_status(port, BH_PORT_WAITING) > 0)
		pause();
}

int main(const struct kit_info *info)
{
	const struct kit_port *port = kit_port(info, "setpoints");
	int vector;
	uint32_t byte;

	/* What was sent is counted over its restarts. */
	if (kit_port_status(port, BH_PORT_SENT) == 0) {
		kit_printf("ROGUE keeps still until a key is typed for it, %u s at most\n", ROGUE_STILL_S);
		for (const uint64_t end = after_loader(ROGUE_STILL_S * 1000);
		     rdtsc() < end && hypercall1(BH_CONSOLE_READ, 0) < 0;)
			wait_until(rdtsc() + POLL_MS * kit_tsc_khz());
	}
	kit_printf("ROGUE begins\n");
	send_all(port);
	vector = kit_try(write_msr, 0);
	byte = inb(PORT_OF_RESET);
	kit_printf("ROGUE msr=%d port=%x call=%ld\n", vector, byte, hypercall1(BH_SET_SCHEDULE, 0));
	wait_until(rdtsc() + POLL_MS * kit_tsc_khz());
	*(volatile uint64_t *)kit_window(MEMORY_OF_NOBODY, false) = 1;
	kit_printf("BREACH written\n");
	return 1;
}

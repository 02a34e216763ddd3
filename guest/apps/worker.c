// SPDX-License-Identifier: Apache-2.0
/* Whom monitor.c watches: gives signs of life, and does what it is told in its page of the shared memory `orders`. */
#include "worker/orders.h"

static volatile struct orders *o;
static uint8_t page[4096] __attribute__((aligned(4096)));

static void second(void)
{
	for (;;) {
		o->second++;
		pause();
	}
}

static void write_page(void *byte)
{
	page[0] = *(uint8_t *)byte;
}

static void run_page(void *unused)
{
	(void)unused;
	((void (*)(void))(uintptr_t)page)();
}

/* 1: can write; 2: can run; 4: reads what was written last */
static uint64_t try_page(uint8_t byte)
{
	const uint8_t ret = 0xc3;
	uint64_t can = kit_try(write_page, &byte) < 0;

	can |= (uint64_t)(page[0] == byte) << 2;
	if (can & 1)
		write_page((void *)&ret);
	return can | (uint64_t)(page[0] == ret && kit_try(run_page, 0) < 0) << 1;
}

static int64_t seal(uint64_t gpa, uint64_t pages, uint64_t rights)
{
	const uint64_t argument[6] = { gpa, pages, rights };

	return hypercall(BH_SEAL, argument);
}

static void seal_all(const struct kit_info *info)
{
	const uint64_t at = (uint64_t)page;
	static const uint64_t bad[][3] = {
		{ 0, 0, 2 },          { 0, 17, 2 },         { 0, UINT64_MAX, 2 }, { 0, 1, 0 },
		{ 0, 1, 1 },          { 0, 1, 3 },          { 0, 1, 8 },          { 0, 1, UINT64_MAX },
		{ 1, 1, 2 },          { 0x800, 1, 2 },      { UINT64_MAX, 1, 2 }, { UINT64_MAX << 12, 1, 2 },
		{ 1ull << 46, 1, 2 }, { 0x10000000, 1, 2 }, { 0xff000, 2, 2 },    { 0x100000, 1, 2 },
		{ 0x1ff000, 2, 2 },
	};
	uint64_t wrong = 0;

	(void)info;
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		wrong |= (uint64_t)(seal(bad[i][0], bad[i][1], bad[i][2]) != BH_EINVAL) << i;
	o->result[0] = wrong;
	o->result[1] = try_page(0xc3);                                            /* 7: as new */
	o->result[2] = (uint64_t)seal(at, 1, BH_SEAL_WRITE) << 8 | try_page(1);   /* 2: it runs */
	o->result[3] = (uint64_t)seal(at, 1, BH_SEAL_EXECUTE) << 8 | try_page(2); /* 0 */
}

static void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	o->died = rdtsc();
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

int main(const struct kit_info *info)
{
	const uint64_t ms = kit_tsc_khz();

	o = orders_of(info);
	o->born = kit_start_tsc;
	o->lives++;
	if (info->vcpu_count > 1)
		kit_start_second(1, second);
	for (uint64_t next = rdtsc();; next += ms) {
		const uint64_t order = o->order;

		o->alive++;
		if (order != ORDER_SILENCE)
			hypercall1(BH_HEARTBEAT, 0);
		if (order > ORDER_SILENCE) {
			o->order = ORDER_LIVE;
		}
		switch (order) {
		case ORDER_CRASH:
			triple_fault();
			break;
		case ORDER_STOP:
			kit_stop(0);
		case ORDER_HANG:
			cli();
			for (;;)
				pause();
		case ORDER_STORM: /* of signs of life */
			for (unsigned i = 0; i < 2000; i++)
				hypercall1(BH_HEARTBEAT, UINT64_MAX);
			break;
		case ORDER_RAISE:
			o->result[0] = (uint64_t)hypercall1(BH_RAISE_ERROR, 256);
			o->result[1] = (uint64_t)hypercall1(BH_RAISE_ERROR, UINT64_MAX);
			o->result[2] = (uint64_t)hypercall1(BH_RAISE_ERROR, 255);
			break;
		case ORDER_SEAL:
			seal_all(info);
			break;
		case ORDER_CALLS: /* it has the right to none of these */
			o->result[0] = 0;
			for (uint64_t call = BH_PARTITION_STATUS; call <= BH_EVENTS; call++)
				if (call != BH_HEARTBEAT && call != BH_RAISE_ERROR && call != BH_SEAL)
					o->result[0] |= (uint64_t)(hypercall1(call, 0) != BH_ENOCALL) << call;
			break;
		default:
			break;
		}
		if (order != ORDER_LIVE)
			o->done = order;
		wait_until(next + ms);
	}
}

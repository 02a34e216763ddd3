// SPDX-License-Identifier: Apache-2.0
/*
 * A companion whose registers are memory: a page of them, and eight ports. Some do more. guest/apps/forward.c is its guest.
 */
#include "companion.h"
#include "echo/echo.h"
#include "hypercall.h"

static uint8_t page[ECHO_PAGE], ports[8];
/* Not in .bss, which the kit zeroes: only who loads it again makes it 0. */
static uint64_t count __attribute__((section(".data")));

static uint64_t load(const uint8_t *from, uint64_t size)
{
	uint64_t value = 0;

	memcpy(&value, from, size);
	return value;
}

static void spend(uint64_t us)
{
	const uint64_t end = rdtsc() + us * kit_tsc_khz() / 1000;

	while (rdtsc() < end)
		pause();
}

static uint64_t write(struct companion_answer *answer, uint64_t offset, uint64_t value, uint64_t size)
{
	if (offset == ECHO_LINES)
		answer->line = value;
	else if (offset == ECHO_SPEND)
		spend(value);
	else if (offset == ECHO_HANG)
		for (;;)
			;
	else if (offset + size <= sizeof page)
		memcpy(page + offset, &value, size);
	return 0;
}

static uint64_t work(struct companion_answer *answer, const struct companion_request *r)
{
	switch (r->what) {
	case BH_REQUEST_MMIO_READ:
		return r->port - ECHO_AT == ECHO_COUNT ? count : load(page + r->port % ECHO_PAGE, r->size);
	case BH_REQUEST_MMIO_WRITE:
		return write(answer, r->port - ECHO_AT, r->value, r->size);
	case BH_REQUEST_READ:
		return load(ports + (r->port - ECHO_PORT) % 8, r->size);
	case BH_REQUEST_WRITE:
		memcpy(ports + (r->port - ECHO_PORT) % 8, &r->value, r->size);
		return 0;
	default:
		return 0;
	}
}

int main(const struct kit_info *info)
{
	struct companion_answer answer = { .next = BH_COMPANION_NEVER };
	struct companion_request request;

	(void)info;
	for (;;) {
		companion_wait(&answer, &request);
		count++;
		answer.value = work(&answer, &request);
	}
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The companion of guests that expect a PC's interrupt controllers, timers and clock: ports 20h-21h, 40h-43h, 60h, 61h, 64h,
 * 70h-71h, A0h-A1h and the ACPI timer at 608h, or as many of them as its configuration gives it. The clock begins with the TSC.
 */
#include "companion.h"
#include "legacy/legacy.h"

#define SECONDS_AT_TSC_0 820540800u /* 2026-01-01, since 2000 */

static struct legacy devices;

static uint64_t work(const struct companion_request *r, uint64_t now)
{
	switch (r->what) {
	case BH_REQUEST_READ:
		return legacy_read(&devices, (uint16_t)r->port, (unsigned)r->size, now);
	case BH_REQUEST_WRITE:
		legacy_write(&devices, (uint16_t)r->port, (unsigned)r->size, (uint32_t)r->value, now);
		return 0;
	case BH_REQUEST_ACKNOWLEDGE:
		devices.changed = true;
		return pics_acknowledge(&devices.pics);
	default:
		return 0;
	}
}

int main(const struct kit_info *info)
{
	struct companion_answer answer = { .next = BH_COMPANION_NEVER };
	struct companion_request request;

	(void)info;
	legacy_reset(&devices, kit_tsc_khz() * 1000, SECONDS_AT_TSC_0);
	for (;;) {
		companion_wait(&answer, &request);
		const uint64_t now = rdtsc();
		if (now >= answer.next) {
			legacy_time(&devices, now);
			devices.changed = true;
		}
		answer.value = work(&request, now);
		if (!devices.changed)
			continue;
		devices.changed = false;
		legacy_time(&devices, now);
		answer.line = pics_intr(&devices.pics) ? BH_COMPANION_INTR : 0;
		answer.next = legacy_next(&devices, now);
	}
}

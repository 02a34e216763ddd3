// SPDX-License-Identifier: Apache-2.0
/* A virtual local APIC and what the tests of it share. */
#ifndef TESTS_HOST_LAPIC_TEST_H
#define TESTS_HOST_LAPIC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmx/lapic.h"

#define TICKS 3000u /* TSC ticks a tick of the APIC's clock */
#define SVR_ON 0x1ffu
#define MASKED (1u << 16)
#define PERIODIC (1u << 17)
#define DEADLINE (2u << 17)
#define HUGE_TIME 10000000000000000000ull

static struct lapic l;

static inline void start(int x2apic)
{
	memset(&l, 0xa5, sizeof l); /* reset does not rely on what was there */
	l.hardware = 0;
	l.level = 0;
	l.x2apic = (uint8_t)x2apic;
	lapic_reset(&l, 0x23, TICKS);
}

static inline enum lapic_effect put(uint32_t offset, uint32_t value)
{
	return lapic_write(&l, offset, value, 1000);
}

static inline void enable(void)
{
	assert_int_equal(put(LAPIC_SVR, SVR_ON), LAPIC_DONE);
}

static inline uint32_t at_time(uint32_t offset, uint64_t now)
{
	uint32_t value = 0;

	assert_int_equal(lapic_read(&l, offset, now, &value), 1);
	return value;
}

static inline uint32_t read(uint32_t offset)
{
	return at_time(offset, 1000);
}

static inline int is_set(uint32_t base, uint32_t vector)
{
	return l.reg[(base + vector / 32 * 16) / 4] >> vector % 32 & 1;
}

static inline int highest(uint32_t base)
{
	for (int v = 255; v >= 0; v--)
		if (is_set(base, (uint32_t)v))
			return v;
	return -1;
}

static inline uint32_t bits_set(uint32_t base)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < 256; v++)
		n += (uint32_t)is_set(base, v);
	return n;
}

/* What `pending` and PPR must be, from IRR, ISR and TPR alone (11.8.3.1, 11.8.4). */
static inline void check_cache(void)
{
	const int irr = highest(LAPIC_IRR), isr = highest(LAPIC_ISR);
	const uint32_t tpr = read(LAPIC_TPR), service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;
	const uint32_t class = (tpr & 0xf0) > service ? tpr & 0xf0 : service;

	assert_int_equal(read(LAPIC_PPR) & 0xf0, class);
	assert_true((read(LAPIC_PPR) & 0xf) == 0 || (read(LAPIC_PPR) & 0xf) == (tpr & 0xf));
	assert_int_equal(l.pending, irr >= 0 && ((uint32_t)irr & 0xf0) > class ? irr : -1);
	assert_int_equal(l.reg[LAPIC_IRR / 4] & 0xffff, 0);
	assert_int_equal(l.reg[LAPIC_ISR / 4] & 0xffff, 0);
}

#endif

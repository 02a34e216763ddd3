// SPDX-License-Identifier: Apache-2.0
/* Which port is whose, and which interrupt. */
#include "legacy.h"

#define PM_TIMER_HZ 3579545u
#define PM_TIMER_MASK 0xffffffu /* ACPI 6.5, 4.8.3.3: 24 bits */
#define IRQ_TIMER 0u
#define IRQ_CLOCK 8u

void legacy_reset(struct legacy *l, uint64_t tsc_hz, uint64_t seconds)
{
	pics_reset(&l->pics);
	pit_reset(&l->pit, tsc_hz);
	rtc_reset(&l->rtc, tsc_hz, seconds);
	l->pm_timer = rate_of(PM_TIMER_HZ, tsc_hz);
	l->changed = true;
}

static uint32_t read_byte(struct legacy *l, uint16_t port, uint64_t now)
{
	switch (port) {
	case 0x20:
	case 0xa0:
		l->changed = true; /* it may be a poll, which acknowledges */
		return pics_read(&l->pics, port);
	case 0x21:
	case 0xa1:
		return pics_read(&l->pics, port);
	case 0x40:
	case 0x41:
	case 0x42:
	case 0x43:
	case 0x61:
		return pit_read(&l->pit, port, now);
	case 0x70:
	case 0x71:
		l->changed = true; /* register C */
		return rtc_read(&l->rtc, port, now);
	case 0x60: /* an 8042 with nothing at it: no byte has come, and there is always room for one */
	case 0x64:
		return 0;
	default:
		return 0xff;
	}
}

uint32_t legacy_read(struct legacy *l, uint16_t port, unsigned size, uint64_t now)
{
	uint32_t value = 0;

	if ((port & ~3u) == LEGACY_PM_TIMER)
		return (uint32_t)((rate_count(&l->pm_timer, now) & PM_TIMER_MASK) >> (port & 3) * 8);
	if (size == 1)
		return read_byte(l, port, now);
	for (unsigned i = 0; i < size && i < 4; i++) /* wider accesses are several, as on the ISA bus */
		value |= read_byte(l, (uint16_t)(port + i), now) << 8 * i;
	return value;
}

static void write_byte(struct legacy *l, uint16_t port, uint8_t value, uint64_t now)
{
	switch (port) {
	case 0x20:
	case 0x21:
	case 0xa0:
	case 0xa1:
		pics_write(&l->pics, port, value);
		break;
	case 0x40:
	case 0x41:
	case 0x42:
	case 0x43:
	case 0x61:
		pit_write(&l->pit, port, value, now);
		break;
	case 0x70:
	case 0x71:
		rtc_write(&l->rtc, port, value, now);
		break;
	default:
		break;
	}
}

void legacy_write(struct legacy *l, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	l->changed = true;
	for (unsigned i = 0; i < size && i < 4; i++)
		write_byte(l, (uint16_t)(port + i), (uint8_t)(value >> 8 * i), now);
}

void legacy_time(struct legacy *l, uint64_t now)
{
	if (pit_edge(&l->pit, now)) { /* low and high again: an edge each, however many have passed */
		pics_line(&l->pics, IRQ_TIMER, false);
		pics_line(&l->pics, IRQ_TIMER, true);
	}
	pics_line(&l->pics, IRQ_CLOCK, rtc_irq(&l->rtc, now));
}

uint64_t legacy_next(const struct legacy *l, uint64_t now)
{
	const uint64_t timer = pit_next_edge(&l->pit, now), clock = rtc_next(&l->rtc, now);

	return timer < clock ? timer : clock;
}

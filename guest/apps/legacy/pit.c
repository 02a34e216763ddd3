// SPDX-License-Identifier: Apache-2.0
/*
 * 8254 programmable interval timer and port 61h. Intel 8254 data sheet (231164). What a counter shows is computed from the time
 * when it is asked for: nothing runs. Left out: counting in BCD; a new count for modes 2 and 3 counts at once, not at the next reload.
 */
#include "legacy.h"

#define PIT_HZ 1193182u
#define RATE_SHIFT 42u
#define CONTROL_GATE 0x01u
#define CONTROL_KEPT 0x0fu
#define CONTROL_REFRESH 0x10u
#define CONTROL_OUT 0x20u
#define FULL 0x10000u      /* what a count of 0 means */
#define REFRESH_COUNTS 18u /* 15 us: channel 1 of old */

struct rate rate_of(uint64_t hz, uint64_t tsc_hz)
{
	return (struct rate){ .hz = hz, .tsc_hz = tsc_hz, .factor = (hz << RATE_SHIFT) / tsc_hz };
}

__extension__ typedef unsigned __int128 wide;

uint64_t rate_count(const struct rate *r, uint64_t ticks)
{
	return (uint64_t)((wide)ticks * r->factor >> RATE_SHIFT);
}

/* Seconds apart, so that the product stays within 64 bits; and one more where rounding would come too early. */
uint64_t rate_ticks(const struct rate *r, uint64_t count)
{
	uint64_t ticks = count / r->hz * r->tsc_hz + (count % r->hz * r->tsc_hz + r->hz - 1) / r->hz;

	for (unsigned i = 0; i < 64 && rate_count(r, ticks) < count; i++)
		ticks += r->tsc_hz / r->hz / 8 + 1;
	return ticks;
}

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t count)
{
	if (!c->counting)
		return 0;
	if (!c->gate && c->mode != 1 && c->mode != 5)
		return c->stopped_at;
	return count - c->start;
}

static bool output(const struct pit_channel *c, uint64_t count)
{
	const uint64_t e = elapsed(c, count);

	switch (c->mode) {
	case 0:
		return c->counting && e >= c->reload;
	case 1:
		return !c->counting || e >= c->reload;
	case 2:
		return !c->counting || !c->gate || e % c->reload != c->reload - 1;
	case 3:
		return !c->counting || !c->gate || e % c->reload < (c->reload + 1) / 2;
	default: /* strobes: low for one count */
		return !c->counting || e != c->reload;
	}
}

/* What the counting element holds. */
static uint16_t counter(const struct pit_channel *c, uint64_t count)
{
	const uint64_t e = elapsed(c, count);
	uint64_t left;

	switch (c->mode) {
	case 2:
		left = c->reload - e % c->reload;
		break;
	case 3: { /* by twos, twice a period */
		const uint64_t half = (c->reload + 1) / 2, at = e % c->reload;
		left = c->reload - 2 * (at < half ? at : at - half);
		break;
	}
	default:
		left = c->reload - e; /* on through 0 */
	}
	return (uint16_t)left;
}

/* How often the output has risen since counting began. */
static uint64_t rises(const struct pit_channel *c, uint64_t count)
{
	const uint64_t e = elapsed(c, count);

	if (!c->counting)
		return 0;
	if (is_periodic(c))
		return e / c->reload;
	return e >= c->reload + (c->mode >= 4);
}

static void begin(struct pit_channel *c, uint64_t count)
{
	c->start = count;
	c->stopped_at = 0;
	c->counting = true;
	c->edges = 0;
}

static void load(struct pit_channel *c, uint16_t value, uint64_t count)
{
	c->reload = value ? value : FULL;
	if (c->mode == 1 || c->mode == 5) /* the gate's edge begins */
		return;
	begin(c, count);
}

static void set_gate(struct pit_channel *c, bool gate, uint64_t count)
{
	if (gate == c->gate)
		return;
	if (!gate && c->counting)
		c->stopped_at = (uint32_t)elapsed(c, count);
	c->gate = gate;
	if (!gate)
		return;
	if (c->mode == 0 || c->mode == 4)
		c->start = count - c->stopped_at;
	else
		begin(c, count);
}

static void latch_count(struct pit_channel *c, uint64_t count)
{
	if (c->latched)
		return;
	c->latch = counter(c, count);
	c->latched = true;
}

static void latch_status(struct pit_channel *c, uint64_t count)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)(output(c, count) << 7 | !c->counting << 6 | c->access << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

static void write_control(struct pit *p, uint8_t value, uint64_t count)
{
	const unsigned which = value >> 6;
	struct pit_channel *c = &p->channel[which % 3];

	if (which == 3) { /* read-back */
		for (unsigned i = 0; i < 3; i++)
			if (value >> (i + 1) & 1) {
				if (!(value & 0x20))
					latch_count(&p->channel[i], count);
				if (!(value & 0x10))
					latch_status(&p->channel[i], count);
			}
	} else if ((value & 0x30) == 0) {
		latch_count(c, count);
	} else {
		*c = (struct pit_channel){ .gate = c->gate,
			                   .reload = FULL,
			                   .access = value >> 4 & 3,
			                   .mode = (value >> 1 & 7) > 5 ? (value >> 1 & 3) : value >> 1 & 7,
			                   .bcd = value & 1 };
	}
}

static void write_count(struct pit_channel *c, uint8_t value, uint64_t count)
{
	if (c->access == 1) {
		load(c, value, count);
	} else if (c->access == 2) {
		load(c, (uint16_t)(value << 8), count);
	} else if (!c->low_written) {
		c->low = value;
		c->low_written = true;
		if (c->mode == 0)
			c->counting = false;
	} else {
		c->low_written = false;
		load(c, (uint16_t)(value << 8 | c->low), count);
	}
}

static uint8_t read_count(struct pit_channel *c, uint64_t count)
{
	const uint16_t value = c->latched ? c->latch : counter(c, count);
	const bool high = c->access == 2 || (c->access == 3 && c->high_next);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->access == 3)
		c->high_next = !c->high_next;
	if (c->access != 3 || high)
		c->latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

void pit_reset(struct pit *p, uint64_t tsc_hz)
{
	*p = (struct pit){ .rate = rate_of(PIT_HZ, tsc_hz) };
	p->channel[0] = p->channel[1] = (struct pit_channel){ .gate = true, .access = 3, .mode = 3, .reload = FULL };
	p->channel[2] = (struct pit_channel){ .access = 3, .mode = 3, .reload = FULL };
}

uint8_t pit_read(struct pit *p, uint16_t port, uint64_t now)
{
	const uint64_t count = rate_count(&p->rate, now);

	if (port == 0x61)
		return (uint8_t)(p->control | (count / REFRESH_COUNTS & 1 ? CONTROL_REFRESH : 0) |
		                 (output(&p->channel[2], count) ? CONTROL_OUT : 0));
	return port == 0x43 ? 0xff : read_count(&p->channel[port & 3], count);
}

void pit_write(struct pit *p, uint16_t port, uint8_t value, uint64_t now)
{
	const uint64_t count = rate_count(&p->rate, now);

	if (port == 0x61) {
		p->control = value & CONTROL_KEPT;
		set_gate(&p->channel[2], value & CONTROL_GATE, count);
	} else if (port == 0x43) {
		write_control(p, value, count);
	} else {
		write_count(&p->channel[port & 3], value, count);
	}
}

bool pit_edge(struct pit *p, uint64_t now)
{
	struct pit_channel *c = &p->channel[0];
	const uint64_t seen = rises(c, rate_count(&p->rate, now));

	if (seen <= c->edges)
		return false;
	c->edges = seen;
	return true;
}

uint64_t pit_next_edge(const struct pit *p, uint64_t now)
{
	const struct pit_channel *c = &p->channel[0];
	const uint64_t count = rate_count(&p->rate, now);
	uint64_t left;

	if (!c->counting || (!is_periodic(c) && rises(c, count)))
		return LEGACY_NEVER;
	left = is_periodic(c) ? c->reload - elapsed(c, count) % c->reload :
	                        c->reload + (c->mode >= 4) - elapsed(c, count);
	return now + rate_ticks(&p->rate, left);
}

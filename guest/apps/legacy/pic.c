// SPDX-License-Identifier: Apache-2.0
/* 8259A, the pair of a PC. Intel 8259A data sheet (231468). Left out: level triggering, special fully nested mode, and 8080 mode. */
#include "legacy.h"

#define CASCADE 2u
#define SPURIOUS 7u
#define NOBODY 8u

void pics_reset(struct pics *p)
{
	*p = (struct pics){ .master = { .imr = 0xff, .base = 0x08, .lowest = 7 },
		            .slave = { .imr = 0xff, .base = 0x70, .lowest = 7 } };
}

/* Of the set lines the one of highest priority, which is behind `lowest`; NOBODY if none is set. */
static unsigned first(const struct pic *p, uint8_t lines)
{
	for (unsigned i = 1; i <= 8; i++)
		if (lines >> ((p->lowest + i) & 7) & 1)
			return (p->lowest + i) & 7;
	return NOBODY;
}

static unsigned priority(const struct pic *p, unsigned line)
{
	return line == NOBODY ? NOBODY : (line - p->lowest - 1) & 7;
}

/* The request that would interrupt now: above all that is in service, unless that is masked in special mask mode. */
static unsigned pending(const struct pic *p)
{
	const unsigned line = first(p, p->irr & (uint8_t)~p->imr);
	const uint8_t above = p->special_mask ? p->isr & (uint8_t)~p->imr : p->isr;

	return priority(p, line) < priority(p, first(p, above)) ? line : NOBODY;
}

static void set_line(struct pic *p, unsigned line, bool level)
{
	const uint8_t bit = (uint8_t)(1u << line);

	if (level && !(p->lines & bit))
		p->irr |= bit;
	if (!level)
		p->irr &= (uint8_t)~bit;
	p->lines = level ? p->lines | bit : p->lines & (uint8_t)~bit;
}

static void cascade(struct pics *p)
{
	set_line(&p->master, CASCADE, pending(&p->slave) != NOBODY);
}

/* One of the pair takes its request into service. */
static unsigned take(struct pic *p)
{
	const unsigned line = pending(p);

	if (line == NOBODY)
		return SPURIOUS;
	p->irr &= (uint8_t) ~(1u << line);
	if (!p->auto_eoi)
		p->isr |= (uint8_t)(1u << line);
	return line;
}

void pics_line(struct pics *p, unsigned irq, bool level)
{
	set_line(irq < 8 ? &p->master : &p->slave, irq & 7, level);
	cascade(p);
}

bool pics_intr(const struct pics *p)
{
	return pending(&p->master) != NOBODY;
}

uint8_t pics_acknowledge(struct pics *p)
{
	unsigned line = pending(&p->master) == NOBODY ? SPURIOUS : take(&p->master);
	uint8_t vector = (uint8_t)(p->master.base + line);

	if (line == CASCADE) {
		line = take(&p->slave);
		vector = (uint8_t)(p->slave.base + line);
		set_line(&p->master, CASCADE, false); /* the edge for the slave's next */
		cascade(p);
	}
	return vector;
}

static void init(struct pic *p, uint8_t icw1)
{
	*p = (struct pic){ .base = p->base, .lines = p->lines, .lowest = 7, .step = 2, .needs_icw4 = icw1 & 1 };
}

/* OCW2: ends of interrupt and rotation. */
static void command(struct pic *p, uint8_t value)
{
	unsigned line = value & 7;

	if (!(value & 0x40)) /* not specific: the highest in service */
		line = value & 0x20 ? first(p, p->isr) : NOBODY;
	if (value & 0x20 && line != NOBODY)
		p->isr &= (uint8_t) ~(1u << line);
	if (value & 0x80 && line != NOBODY && value != 0x80)
		p->lowest = (uint8_t)line;
}

static void write_command(struct pic *p, uint8_t value)
{
	if (value & 0x10) {
		init(p, value);
	} else if (value & 0x08) { /* OCW3 */
		if (value & 0x02)
			p->read_isr = value & 1;
		if (value & 0x04)
			p->poll = 1;
		if (value & 0x40)
			p->special_mask = value >> 5 & 1;
	} else {
		command(p, value);
	}
}

static void write_data(struct pic *p, uint8_t value)
{
	switch (p->step) {
	case 2:
		p->base = value & 0xf8;
		p->step = 3;
		break;
	case 3: /* who is whose slave is wired */
		p->step = p->needs_icw4 ? 4 : 0;
		break;
	case 4:
		p->auto_eoi = value >> 1 & 1;
		p->step = 0;
		break;
	default:
		p->imr = value;
	}
}

void pics_write(struct pics *p, uint16_t port, uint8_t value)
{
	struct pic *which = port & 0x80 ? &p->slave : &p->master;

	if (port & 1)
		write_data(which, value);
	else
		write_command(which, value);
	cascade(p);
}

uint8_t pics_read(struct pics *p, uint16_t port)
{
	struct pic *which = port & 0x80 ? &p->slave : &p->master;
	uint8_t value;

	if (which->poll) {
		which->poll = 0;
		value = pending(which) == NOBODY ? 0 : 0x80;
		value |= value ? (uint8_t)take(which) : 0;
		cascade(p);
		return value;
	}
	return port & 1 ? which->imr : which->read_isr ? which->isr : which->irr;
}

// SPDX-License-Identifier: Apache-2.0
#include "model_ports.h"

#include <string.h>

#include "hypercall/protocol.h"

#define CLAIMING 0xffu
#define NUMBERS 16u /* messages of a queue are told apart modulo this */

enum { FILL, FILLED, LOOK, GIVE };  /* the writer's next step */
enum { BEGIN, READ_LATEST, CLAIM }; /* a reader's */

/* The protocol's words are wider than the model's. */
static uint32_t widen(uint8_t word)
{
	return word == CLAIMING ? SAMPLING_CLAIMING : word;
}

void model_start(struct model *m, int queuing, uint32_t readers, uint32_t slots, enum variant variant, uint32_t watched)
{
	memset(m, 0, sizeof *m);
	m->slots = (uint8_t)(slots - (variant == SLOT_MISSING));
	m->readers = (uint8_t)readers;
	m->queuing = (uint8_t)queuing;
	m->variant = (uint8_t)variant;
	m->watched = (uint8_t)watched;
	m->next = m->next_seen = m->head = m->head_seen = 1;
}

uint32_t model_actors(const struct model *m)
{
	return 1u + m->readers + (m->queuing ? 2 : 1);
}

/* ---- sampling ---- */

static void publish(struct model *m, uint8_t slot)
{
	uint32_t latest;

	sampling_publish(&latest, slot);
	m->latest = (uint8_t)latest;
	if (m->reader[m->watched].pc != BEGIN)
		m->possible |= (uint8_t)(1u << slot);
}

static const char *choose(struct model *m)
{
	const uint32_t slot = sampling_free(m->used);

	if (m->variant == LOOK_FIRST)
		publish(m, m->next);
	if (slot > m->slots)
		return "sampling: no slot is free";
	m->next = (uint8_t)slot;
	m->writer_pc = FILL;
	return 0;
}

static const char *note_claim(struct model *m, uint32_t claim)
{
	m->used = (uint8_t)sampling_use(m->used, claim);
	m->writer_pc = LOOK;
	return ++m->look == m->readers ? choose(m) : 0;
}

static const char *writer_step(struct model *m)
{
	struct model_reader *r = &m->reader[m->look];
	uint32_t claim = widen(r->claim);

	switch (m->writer_pc) {
	case FILL:
		for (uint32_t i = 0; i < m->readers; i++)
			if (m->reader[i].holds == m->next)
				return "sampling: a slot changes while a reader holds it";
		m->writer_pc = FILLED;
		return 0;
	case FILLED:
		m->used = (uint8_t)sampling_use(1, m->next);
		m->look = 0;
		m->writer_pc = LOOK;
		if (m->variant == NO_FENCE)
			m->pending = m->next;
		else if (m->variant != LOOK_FIRST)
			publish(m, m->next);
		return 0;
	case LOOK:
		claim = sampling_look(&claim);
		if (claim != SAMPLING_CLAIMING)
			return note_claim(m, claim);
		m->writer_pc = GIVE;
		return m->variant == NO_HELP ? note_claim(m, 0) : 0;
	default:
		claim = sampling_give(&claim, m->next);
		if (r->claim == CLAIMING)
			r->claim = (uint8_t)claim;
		return note_claim(m, claim);
	}
}

static const char *hold(struct model *m, struct model_reader *r, uint32_t slot)
{
	r->pc = BEGIN;
	r->holds = (uint8_t)slot;
	if (r == &m->reader[m->watched]) {
		if (!(m->possible >> slot & 1))
			return "sampling: a message that was not the last at any moment of the call";
		m->possible = 0;
	}
	if (slot && m->writer_pc == FILLED && m->next == slot)
		return "sampling: a reader gets a slot that is being filled";
	return 0;
}

static const char *reader_step(struct model *m, struct model_reader *r)
{
	uint32_t claim = widen(r->claim);

	switch (r->pc) {
	case BEGIN:
		sampling_begin(&claim);
		if (m->variant != NO_ANNOUNCEMENT)
			r->claim = CLAIMING;
		r->holds = 0;
		if (r == &m->reader[m->watched])
			m->possible = (uint8_t)(1u << m->latest);
		r->pc = READ_LATEST;
		return 0;
	case READ_LATEST:
		r->seen = m->latest;
		r->pc = CLAIM;
		return 0;
	default:
		if (m->variant == NO_ANNOUNCEMENT)
			claim = r->seen;
		else
			claim = sampling_give(&claim, r->seen);
		r->claim = (uint8_t)claim;
		r->seen = 0;
		return hold(m, r, claim);
	}
}

/* ---- queuing: a call is one step but for its store, which others see when the buffer lets it go. A call's own loads are earlier. ---- */

static const char *send_step(struct model *m)
{
	const uint8_t next = (uint8_t)queue_next(m->next, m->slots);

	if (m->writer_pc) { /* only where it publishes first */
		m->content[m->pending] = m->sent;
		m->writer_pc = m->pending = 0;
		return 0;
	}
	if ((m->variant == NO_EMPTY_SLOT ? m->next == m->head_seen && m->sent != m->received : next == m->head_seen))
		return 0; /* refused */
	if (m->holding && m->next == m->holding)
		return "queuing: a slot changes while the reader holds it";
	if ((m->sent + NUMBERS - m->received) % NUMBERS > m->slots)
		return "queuing: more messages than slots";
	m->sent = (uint8_t)((m->sent + 1u) % NUMBERS);
	if (m->variant == PUBLISH_FIRST)
		m->writer_pc = 1, m->pending = m->next;
	else
		m->content[m->next] = m->sent;
	m->next = next;
	return 0;
}

static const char *receive_step(struct model *m)
{
	m->holding = 0;
	if (m->head == m->next_seen)
		return 0; /* none */
	m->holding = m->head;
	m->received = (uint8_t)((m->received + 1u) % NUMBERS);
	if (m->content[m->head] != m->received)
		return "queuing: a message is lost, comes twice or out of order";
	m->head = (uint8_t)queue_next(m->head, m->slots);
	return 0;
}

const char *model_step(struct model *m, uint32_t actor, int *acts)
{
	*acts = 1;
	if (!m->queuing && actor == 0)
		return writer_step(m);
	if (!m->queuing && actor <= m->readers)
		return reader_step(m, &m->reader[actor - 1]);
	if (!m->queuing) {
		*acts = m->pending != 0;
		if (m->pending)
			publish(m, m->pending);
		m->pending = 0;
		return 0;
	}
	switch (actor) {
	case 0:
		return send_step(m);
	case 1:
		return receive_step(m);
	case 2: /* one store at a time, in order */
		*acts = m->next_seen != m->next;
		if (*acts)
			m->next_seen = (uint8_t)queue_next(m->next_seen, m->slots);
		return 0;
	default:
		*acts = m->head_seen != m->head;
		if (*acts)
			m->head_seen = (uint8_t)queue_next(m->head_seen, m->slots);
		return 0;
	}
}

// SPDX-License-Identifier: Apache-2.0
/* The console multiplexer. See consolemux.h for who may call what. */
#include "core/consolemux.h"

_Static_assert((MUX_OUT & (MUX_OUT - 1)) == 0 && (MUX_IN & (MUX_IN - 1)) == 0, "ring sizes are powers of two");
_Static_assert(MUX_OUT > 2 * MUX_LINE && MUX_KEPT < MUX_LINE, "half a ring holds a line, and a line its kept text");

#define ESC 0x1b
#define HELP \
	"--- Ctrl-]: keyboard to the next partition; then ?: this help, !: state of all CPUs, Ctrl-\\: send a Ctrl-] ---\r\n"

void mux_init(struct mux *m, const char *const *names, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct mux_source *s = &m->source[i];
		uint32_t n = 0;
		s->marker[n++] = '[';
		for (uint32_t k = 0; k < MUX_NAME && names[i][k]; k++)
			s->marker[n++] = names[i][k];
		s->marker[n++] = ']';
		s->marker[n++] = ' ';
		s->marker_length = n;
	}
	m->count = count;
	m->keyboards = count - 1;
	m->focus = m->previous = count > 1 ? 1 : 0;
	m->current = m->screen = MUX_NONE;
}

/* ---- Producers of output ---- */

static void store(struct mux_source *s, uint8_t byte)
{
	s->out[s->tail % MUX_OUT] = byte;
	__atomic_store_n(&s->tail, s->tail + 1, __ATOMIC_RELEASE);
}

size_t mux_space(const struct mux *m, uint32_t source)
{
	const struct mux_source *s = &m->source[source];
	uint32_t used = s->tail - __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);
	return used + 1 < MUX_OUT ? MUX_OUT - 1 - used : 0; /* one place is for a held carriage return */
}

/* "\r\n" becomes "\n" here, so that to the pump every byte is one to print. */
int mux_put(struct mux *m, uint32_t source, uint8_t byte)
{
	struct mux_source *s = &m->source[source];
	if (mux_space(m, source) == 0)
		return 0;
	if (byte == '\r') {
		s->held_cr = 1;
		return 1;
	}
	if (s->held_cr && byte != '\n')
		store(s, '\r');
	s->held_cr = 0;
	store(s, byte);
	if (byte == '\n')
		__atomic_store_n(&s->line_end, s->tail, __ATOMIC_RELEASE);
	return 1;
}

/* ---- The pump: output ---- */

static void queue(struct mux *m, const char *text, uint32_t length)
{
	if (length)
		m->queue[m->queued++] = (struct mux_text){ text, length };
}

static int next_queued(struct mux *m)
{
	char c = m->queue[0].text[m->position++];
	if (m->position == m->queue[0].length) {
		m->position = 0;
		m->queued--;
		for (uint32_t i = 0; i < m->queued; i++)
			m->queue[i] = m->queue[i + 1];
	}
	return (uint8_t)c;
}

static uint32_t used(const struct mux_source *s)
{
	return __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE) - s->head;
}

/* The one with the keyboard may print whatever it has; the others a whole line, or half a ring without one. */
static int ready(const struct mux *m, uint32_t source)
{
	const struct mux_source *s = &m->source[source];
	uint32_t line_end = __atomic_load_n(&s->line_end, __ATOMIC_ACQUIRE); /* before tail: a line is in the ring */
	uint32_t n = used(s);
	if (n == 0 || source == m->focus)
		return n != 0;
	return line_end - s->head - 1 < n || n > MUX_OUT / 2;
}

/* Leave the line the cursor is in. CAN ends an escape sequence that its owner did not. */
static void leave_line(struct mux *m)
{
	if (m->screen == MUX_NONE)
		return;
	struct mux_source *s = &m->source[m->screen];
	if (s->escape)
		queue(m, "\x18", 1);
	s->escape = 0;
	queue(m, "\r\n", 2);
	m->screen = MUX_NONE;
}

static void begin_turn(struct mux *m, uint32_t source)
{
	m->current = m->last = source;
	m->turn = 0;
	if (m->screen == source)
		return;
	struct mux_source *s = &m->source[source];
	leave_line(m);
	queue(m, s->marker, s->marker_length);
	queue(m, s->kept, s->kept_length);
	s->column = s->kept_length;
	m->screen = source;
}

static uint32_t append(char *to, uint32_t at, const char *text, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		to[at++] = text[i];
	return at;
}

static uint32_t append_number(char *to, uint32_t at, uint32_t n)
{
	if (n > 9)
		to[at++] = (char)('0' + n / 10 % 10);
	to[at++] = (char)('0' + n % 10);
	return at;
}

static void queue_notice(struct mux *m)
{
	char *t = m->notice_text;
	const struct mux_source *s = &m->source[m->focus];
	uint32_t n;
	leave_line(m);
	if (m->notice & MUX_NOTICE_FOCUS) {
		n = append(t, 0, "--- keyboard: ", 14);
		n = append(t, n, s->marker + 1, s->marker_length - 3);
		n = append(t, n, " (", 2);
		n = append_number(t, n, m->focus);
		n = append(t, n, " of ", 4);
		n = append_number(t, n, m->keyboards);
		n = append(t, n, "); Ctrl-] switches, then ? is help ---\r\n", 40);
		queue(m, t, n);
	}
	if (m->notice & MUX_NOTICE_HELP)
		queue(m, HELP, sizeof(HELP) - 1);
	m->notice = 0;
}

/* Whose turn is it now? In turn, so that nobody waits for more than one line of each other source. */
static void choose(struct mux *m)
{
	m->current = MUX_NONE;
	if (m->notice) {
		queue_notice(m);
		return;
	}
	const struct mux_source *s = &m->source[m->last], *const end = &m->source[m->count];
	for (uint32_t i = 0; i < m->count; i++) { /* few instructions a source: a look at all of them counts in W */
		if (++s == end)
			s = m->source;
		if (used(s) && ready(m, (uint32_t)(s - m->source))) {
			begin_turn(m, (uint32_t)(s - m->source));
			return;
		}
	}
	if (m->source[m->focus].kept_length && m->screen != m->focus)
		begin_turn(m, m->focus); /* prints its open line again */
}

/* What may reach the terminal. Only the one with the keyboard may move the cursor. */
static char clean(uint8_t c, int focused)
{
	if ((c >= ' ' && c < 0x7f) || c == '\t' || c == '\n')
		return (char)c;
	return focused && (c == '\r' || c == '\b' || c == ESC) ? (char)c : '.';
}

/* Keep the open line's text for printing it again. Not escape sequences: they could be questions to the terminal. */
static void keep(struct mux_source *s, char c)
{
	if (c == '\r' || c == '\n') {
		s->column = s->kept_length = s->escape = 0;
	} else if (c == '\b') {
		if (s->column && s->column-- == s->kept_length)
			s->kept_length--;
	} else if (c == ESC) {
		s->escape = 1;
	} else if (s->escape) {
		s->escape = s->escape == 1 ? (c == '[' ? 2 : 0) : (c >= '@' ? 0 : 2);
	} else {
		if (s->column++ < MUX_KEPT)
			s->kept[s->kept_length++] = c;
	}
}

int mux_next_output(struct mux *m)
{
	if (m->queued)
		return next_queued(m);
	if (m->current == MUX_NONE || m->turn >= MUX_LINE || m->notice || used(&m->source[m->current]) == 0)
		choose(m);
	if (m->queued)
		return next_queued(m);
	if (m->current == MUX_NONE)
		return -1;

	struct mux_source *s = &m->source[m->current];
	char c = clean(s->out[s->head % MUX_OUT], m->current == m->focus);
	__atomic_store_n(&s->head, s->head + 1, __ATOMIC_RELEASE);
	m->turn++;
	keep(s, c);
	if (c != '\n' && s->column < MUX_LINE)
		return (uint8_t)c;
	s->column = s->kept_length = 0;
	m->current = m->screen = MUX_NONE;
	queue(m, "\r\n", 2);
	return c == '\n' ? next_queued(m) : (uint8_t)c;
}

/* ---- Input ---- */

static void set_focus(struct mux *m, uint32_t focus)
{
	m->previous = m->focus;
	m->focus = focus;
	m->notice |= MUX_NOTICE_FOCUS; /* also ends the turn: from here on only whole lines of the previous one */
}

uint32_t mux_input(struct mux *m, uint8_t byte)
{
	uint8_t escape = m->escape;
	m->escape = byte == MUX_ESCAPE && m->keyboards > 0;
	if (m->escape) {
		set_focus(m, m->focus % m->keyboards + 1);
		return 0;
	}
	if (escape && byte == '?') {
		m->notice |= MUX_NOTICE_HELP;
		return 0;
	}
	if (escape && byte == '!') {
		m->status_wanted = 1;
		return 0;
	}
	if (escape && byte == '\\' - '@') {
		set_focus(m, m->previous);
		byte = MUX_ESCAPE;
	}
	struct mux_source *s = &m->source[m->focus];
	if (m->focus == 0 || s->in_tail - __atomic_load_n(&s->in_head, __ATOMIC_ACQUIRE) >= MUX_IN)
		return 0;
	s->in[s->in_tail % MUX_IN] = byte;
	__atomic_store_n(&s->in_tail, s->in_tail + 1, __ATOMIC_RELEASE);
	return m->focus;
}

int mux_get_input(struct mux *m, uint32_t source)
{
	struct mux_source *s = &m->source[source];
	if (s->in_head == __atomic_load_n(&s->in_tail, __ATOMIC_ACQUIRE))
		return -1;
	uint8_t byte = s->in[s->in_head % MUX_IN];
	__atomic_store_n(&s->in_head, s->in_head + 1, __ATOMIC_RELEASE);
	return byte;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The console multiplexer: the core's and all partitions' consoles on one serial line. Pure logic, no hardware.
 *
 * Source 0 is the core, source n partition n - 1. mux_put(), mux_space(): one CPU a source, never two at once.
 * mux_next_output(), mux_input(): whoever holds the pump, one CPU at a time, handed over with acquire and release.
 * mux_get_input(): one CPU a partition. Between these parties only ring indices are shared.
 *
 * Each line begins with its source's marker, "[linux] ". The partition that has the keyboard is shown character by
 * character; of the others whole lines only, in turn. A line that cuts into an open one ends it; afterwards
 * the open one's text is printed again, so that a prompt survives.
 */
#ifndef CORE_CONSOLEMUX_H
#define CORE_CONSOLEMUX_H

#include <stddef.h>
#include <stdint.h>

#ifndef MUX_SOURCES
#define MUX_SOURCES 9u /* the core and eight partitions; the build gives what the configuration needs */
#endif
#define MUX_OUT 2048u /* bytes of an output ring: a power of two, more than twice a line */
#define MUX_IN 64u    /* bytes of an input ring: a power of two */
#define MUX_LINE 160u /* longer lines are cut */
#define MUX_KEPT 120u /* characters of an open line that are printed again */
#define MUX_NAME 23u  /* characters of a name that are shown */
#define MUX_CACHE_LINE 64
#define MUX_ESCAPE 0x1d /* Ctrl-] */

struct mux_source {
	/* Output: written by the producer. */
	_Alignas(MUX_CACHE_LINE) uint32_t tail; /* free-running index behind the last byte */
	uint32_t line_end;                      /* tail behind the last line feed */
	uint32_t in_head;                       /* input: next byte the partition reads */
	uint8_t held_cr;                        /* a carriage return that waits to see whether a line feed follows */
	uint8_t out[MUX_OUT];
	/* Written by the pump. */
	_Alignas(MUX_CACHE_LINE) uint32_t head;
	uint32_t in_tail;
	uint32_t column; /* characters of the open line so far */
	uint32_t kept_length;
	uint32_t marker_length;
	uint8_t escape;            /* inside an escape sequence: 1 after ESC, 2 after ESC [ */
	char kept[MUX_KEPT];       /* printable text of the open line */
	char marker[MUX_NAME + 4]; /* "[name] " */
	uint8_t in[MUX_IN];
};

struct mux_text {
	const char *text;
	uint32_t length;
};

struct mux {
	struct mux_source source[MUX_SOURCES];
	uint32_t count;
	uint32_t keyboards;        /* sources 1 to this take part in switching */
	uint32_t focus, previous;  /* who has the keyboard, who had it before */
	uint32_t current;          /* whose turn it is, or MUX_NONE */
	uint32_t last;             /* whose turn it was */
	uint32_t screen;           /* whose open line the cursor is in, or MUX_NONE at a line's begin */
	uint32_t turn;             /* bytes in this turn */
	uint32_t queued, position; /* texts in queue[], next byte of queue[0] */
	struct mux_text queue[4];  /* to print before anything else */
	uint8_t escape;            /* the escape key was the last one */
	uint8_t status_wanted;     /* the state of all CPUs was asked for; whoever pumps sees to it and clears this */
	uint8_t notice;            /* a line of the multiplexer itself that is due: MUX_NOTICE_* */
	char notice_text[128];
};
#define MUX_NONE UINT32_MAX
#define MUX_NOTICE_FOCUS 1u
#define MUX_NOTICE_HELP 2u

/*
 * `m` is zeroed; names[0] is the core's. 1 <= count <= MUX_SOURCES. The first partition gets the keyboard. All sources
 * but 0 take part in switching; who has more without a keyboard (the core's other CPUs) puts them last and lowers
 * m->keyboards.
 */
void mux_init(struct mux *m, const char *const *names, uint32_t count);

/* Queue a byte of output. Returns 1, or 0 if the ring is full. Never waits. */
int mux_put(struct mux *m, uint32_t source, uint8_t byte);

/* Bytes that mux_put() will take now. */
size_t mux_space(const struct mux *m, uint32_t source);

/* The next byte for the serial line, or -1 if there is nothing to print. Work: one look at each source at most. */
int mux_next_output(struct mux *m);

/*
 * A key was typed. Ctrl-] gives the keyboard to the next partition; right after it, ? prints a line of help, and Ctrl-\
 * takes the switch back and sends a Ctrl-]. Returns the source that got the byte, or 0 if none did (the escape key, or
 * its ring is full: dropped).
 */
uint32_t mux_input(struct mux *m, uint8_t byte);

/* The next byte typed for a source, or -1. */
int mux_get_input(struct mux *m, uint32_t source);

#endif

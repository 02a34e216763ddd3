// SPDX-License-Identifier: Apache-2.0
/*
 * A channel's two ends as programs of single steps, each of which reads or writes one shared word as hypercall/ports.c does, with the
 * functions of hypercall/protocol.h. What no step may ever find is checked in it.
 */
#ifndef TESTS_HOST_MODEL_PORTS_H
#define TESTS_HOST_MODEL_PORTS_H

#include <stdint.h>

#define MAX_READERS 4u

/* What is taken out of the protocol, to see that the checks find it. */
enum variant {
	AS_IT_IS,
	SLOT_MISSING,    /* sampling: readers + 1 slots */
	NO_ANNOUNCEMENT, /* sampling: a reader claims without saying so first */
	LOOK_FIRST,      /* sampling: the writer looks at claims before it publishes */
	NO_HELP,         /* sampling: the writer leaves who is claiming alone */
	NO_FENCE,        /* sampling: the message is published by a plain store, which others see later (TSO) */
	NO_EMPTY_SLOT,   /* queuing: all slots are filled */
	PUBLISH_FIRST,   /* queuing: the message is published before its slot is filled */
	VARIANTS
};

struct model_reader {
	uint8_t pc, claim, seen, holds;
};

/* All that the future depends on. Zeros behind the readers in use. */
struct model {
	uint8_t slots, readers, queuing, variant;
	uint8_t watched, possible; /* bit n: slot n was the last message at some moment of this reader's call */
	/* shared words, as others see them */
	uint8_t latest, next_seen, head_seen;
	/* the writer */
	uint8_t writer_pc, next, look, used, pending;
	/* the queue's reader */
	uint8_t head, holding;
	uint8_t content[6]; /* queuing: number of the message in the slot, modulo 16 */
	uint8_t sent, received;
	struct model_reader reader[MAX_READERS];
};

/* `watched`: of this reader it is checked that it gets the last message; of all, that theirs do not change. */
void model_start(struct model *m, int queuing, uint32_t readers, uint32_t slots, enum variant variant,
                 uint32_t watched);

/* Who can take a step: 0 the writer, 1 to readers the readers, behind them what store buffers hold. */
uint32_t model_actors(const struct model *m);

/* Let that one take its next step. Returns 0, or what must not be. `acts`: it had one to take. */
const char *model_step(struct model *m, uint32_t actor, int *acts);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "reload.h"

#include "config/config.h"
#include "core.h"
#include "lib.h"
#include "panic.h"
#include "window.h"

#define STEP PAGE_SIZE /* 512 words: a third of W */

void reload_begin(struct reload *r, uint16_t partition)
{
	r->partition = partition;
	r->phase = RELOAD_DIGEST;
	sha256_begin(&r->hash, config.partitions[partition].payload.size);
}

static void next(struct reload *r, uint8_t phase)
{
	r->phase = phase;
	r->done = 0;
	r->index = 0;
}

/* At most a step, and not beyond the page that holds `hpa`, so that the window shows it all. */
static uint64_t piece(uint64_t hpa, uint64_t left)
{
	const uint64_t room = STEP - (hpa & (STEP - 1));

	return left < room ? left : room;
}

/* A block of 64 bytes lies in one page: the file begins at one. */
static void digest_step(struct reload *r)
{
	const uint8_t *file = sha256_wants(&r->hash) ?
	                              window(0, handoff.payload[r->partition].hpa + r->hash.hash.bytes) :
	                              0;

	if (sha256_step(&r->hash, file))
		r->phase = RELOAD_COMPARE;
}

static void compare_step(struct reload *r)
{
	const struct config_payload *payload = &config.partitions[r->partition].payload;
	uint8_t digest[SHA256_SIZE];

	sha256_result(&r->hash, digest);
	next(r, memcmp(digest, payload->sha256, sizeof digest) ? RELOAD_WRONG : RELOAD_SCRUB);
}

/* A memory of its own, or what is not, is passed by in a step. */
static void scrub_step(struct reload *r)
{
	const struct handoff_memory *m = &handoff.memory[r->index];
	const uint64_t n = piece(m->hpa + r->done, m->size - r->done);

	if (config.memories[r->index].owner == r->partition && r->done < m->size) {
		memset(window(0, m->hpa + r->done), 0, n);
		r->done += n;
		return;
	}
	r->done = 0;
	if (++r->index == CONFIG_MEMORIES)
		next(r, RELOAD_COPY);
}

static void copy_step(struct reload *r)
{
	const struct config_partition *p = &config.partitions[r->partition];
	const struct config_segment *s = &p->segments[r->index];
	const uint64_t from = handoff.payload[r->partition].hpa + s->offset + r->done;
	uint64_t bytes, n, to;

	if (r->done < s->size) {
		to = partition_translate(r->partition, s->gpa + r->done, &bytes);
		ASSERT(bytes); /* config_validate() saw to it */
		n = piece(from, piece(to, s->size - r->done < bytes ? s->size - r->done : bytes));
		memcpy(window(1, to), window(0, from), n);
		r->done += n;
		return;
	}
	r->done = 0;
	if (++r->index == p->segment_count)
		next(r, RELOAD_DONE);
}

void reload_step(struct reload *r)
{
	if (r->phase == RELOAD_DIGEST)
		digest_step(r);
	else if (r->phase == RELOAD_COMPARE)
		compare_step(r);
	else if (r->phase == RELOAD_SCRUB)
		scrub_step(r);
	else if (r->phase == RELOAD_COPY)
		copy_step(r);
	window_close();
}

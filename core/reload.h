// SPDX-License-Identifier: Apache-2.0
/*
 * A partition's memory as at its first start, in steps of less than W: payload checked against its digest, memory of its own zeroed, segments
 * copied. What the file holds was copied before anybody ran, and no partition can reach it (core/partition.c).
 */
#ifndef CORE_RELOAD_H
#define CORE_RELOAD_H

#include <stdint.h>

#include "sha256.h"

enum reload_phase { RELOAD_DIGEST, RELOAD_COMPARE, RELOAD_SCRUB, RELOAD_COPY, RELOAD_DONE, RELOAD_WRONG };

struct reload {
	struct sha256_steps hash;
	uint64_t done;             /* bytes of the memory or segment */
	uint16_t partition, index; /* index: of memory or segment */
	uint8_t phase;             /* enum reload_phase */
};

void reload_begin(struct reload *r, uint16_t partition);

/* A step. The CPU of the partition's vCPU 0, while none of its vCPUs runs. Done when phase is RELOAD_DONE or RELOAD_WRONG: the digest
 * differs; then nothing was written. */
void reload_step(struct reload *r);

#endif

// SPDX-License-Identifier: Apache-2.0
/* SHA-256 (FIPS 180-4), in pieces of any size. Pure: compiled for core, tools and host tests. */
#ifndef CORE_SHA256_H
#define CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32u
#define SHA256_BLOCK 64u

struct sha256 {
	uint32_t state[8];
	uint64_t bytes; /* taken so far; its remainder by SHA256_BLOCK wait in `block` */
	uint8_t block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t size);
void sha256_final(struct sha256 *s, uint8_t digest[SHA256_SIZE]);

/*
 * The same in steps of at most some 900 instructions, for who may not stay longer: begin with the message's size, then step until it
 * returns 1. Each step is given the next sha256_wants() bytes of the message, which may be none.
 */
struct sha256_steps {
	struct sha256 hash; /* of the blocks that are done */
	uint64_t size;
	uint32_t v[8], w[16]; /* inside a block */
	uint8_t turn, last;
};
void sha256_begin(struct sha256_steps *s, uint64_t size);
uint32_t sha256_wants(const struct sha256_steps *s);
int sha256_step(struct sha256_steps *s, const uint8_t *piece);
void sha256_result(const struct sha256_steps *s, uint8_t digest[SHA256_SIZE]);

/* All at once. */
void sha256(const void *data, size_t size, uint8_t digest[SHA256_SIZE]);

#endif

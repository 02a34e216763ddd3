// SPDX-License-Identifier: Apache-2.0
/*
 * SHA-256. Sixteen rounds are unrolled, so that the eight working variables stay in registers with no moves between
 * rounds and the message schedule is a ring of sixteen words; four turns make a block. About 42 instructions a byte.
 */
#include "sha256.h"

static const uint32_t round_constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* The standard's functions, with rotations nested where that saves copies. */
#define BIG0(x) rotate(rotate(rotate(x, 9) ^ (x), 11) ^ (x), 2)
#define BIG1(x) rotate(rotate(rotate(x, 14) ^ (x), 5) ^ (x), 6)
#define SMALL0(x) (rotate(rotate(x, 11) ^ (x), 7) ^ (x) >> 3)
#define SMALL1(x) (rotate(rotate(x, 2) ^ (x), 17) ^ (x) >> 10)
#define CHOICE(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define MAJORITY(x, y, z) ((((x) ^ (y)) & ((y) ^ (z))) ^ (y))

/* clang-format off */
#define ROUND(a, b, c, d, e, f, g, h, i) do { \
	h += BIG1(e) + CHOICE(e, f, g) + k[i] + w[i]; \
	d += h; \
	h += BIG0(a) + MAJORITY(a, b, c); \
} while (0)
#define SCHEDULE(i) (w[i] += SMALL1(w[((i) + 14) % 16]) + w[((i) + 9) % 16] + SMALL0(w[((i) + 1) % 16]))
/* clang-format on */

/* Each macro argument list is the previous one turned by a place. NEXT(i) makes word i ready. */
/* clang-format off */
#define EIGHT_ROUNDS(i, NEXT) do { \
	NEXT(i); ROUND(a, b, c, d, e, f, g, h, i); \
	NEXT(i + 1); ROUND(h, a, b, c, d, e, f, g, i + 1); \
	NEXT(i + 2); ROUND(g, h, a, b, c, d, e, f, i + 2); \
	NEXT(i + 3); ROUND(f, g, h, a, b, c, d, e, i + 3); \
	NEXT(i + 4); ROUND(e, f, g, h, a, b, c, d, i + 4); \
	NEXT(i + 5); ROUND(d, e, f, g, h, a, b, c, i + 5); \
	NEXT(i + 6); ROUND(c, d, e, f, g, h, a, b, i + 6); \
	NEXT(i + 7); ROUND(b, c, d, e, f, g, h, a, i + 7); \
} while (0)
/* clang-format on */

static uint32_t load_big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
#define LOAD(i) (w[i] = load_big_endian(block + 4 * (i)))

#define WORKING_VARIABLES(v) \
	uint32_t a = (v)[0], b = (v)[1], c = (v)[2], d = (v)[3], e = (v)[4], f = (v)[5], g = (v)[6], h = (v)[7]

static void hash_block(uint32_t state[8], const uint8_t *block)
{
	WORKING_VARIABLES(state);
	const uint32_t *k = round_constant;
	uint32_t w[16];

	EIGHT_ROUNDS(0, LOAD);
	EIGHT_ROUNDS(8, LOAD);
	for (k += 16; k < round_constant + 64; k += 16) {
		EIGHT_ROUNDS(0, SCHEDULE);
		EIGHT_ROUNDS(8, SCHEDULE);
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
	state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	for (unsigned i = 0; i < 8; i++)
		s->state[i] = initial[i];
	s->bytes = 0;
}

void sha256_update(struct sha256 *s, const void *data, size_t size)
{
	const uint8_t *p = data;
	size_t used = s->bytes % SHA256_BLOCK;

	s->bytes += size;
	while (size > 0) { /* whole blocks from where they lie, the rest through s->block */
		if (used == 0 && size >= SHA256_BLOCK) {
			hash_block(s->state, p);
			p += SHA256_BLOCK;
			size -= SHA256_BLOCK;
			continue;
		}
		s->block[used++] = *p++;
		size--;
		if (used == SHA256_BLOCK) {
			hash_block(s->state, s->block);
			used = 0;
		}
	}
}

void sha256_final(struct sha256 *s, uint8_t digest[SHA256_SIZE])
{
	static const uint8_t padding[SHA256_BLOCK] = { 0x80 };
	uint64_t bits = s->bytes * 8;
	uint8_t length[8];

	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	/* one bit, then zeros until only the length's eight bytes are missing in the last block */
	sha256_update(s, padding, 1 + (SHA256_BLOCK + 55 - s->bytes % SHA256_BLOCK) % SHA256_BLOCK);
	sha256_update(s, length, sizeof length);
	for (unsigned i = 0; i < SHA256_SIZE; i++)
		digest[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *data, size_t size, uint8_t digest[SHA256_SIZE])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, data, size);
	sha256_final(&s, digest);
}

/* ---- in bounded steps ---- */

void sha256_begin(struct sha256_steps *s, uint64_t size)
{
	*s = (struct sha256_steps){ .size = size };
	sha256_init(&s->hash);
}

uint32_t sha256_wants(const struct sha256_steps *s)
{
	const uint64_t left = s->hash.bytes < s->size ? s->size - s->hash.bytes : 0;

	return s->turn ? 0 : left < SHA256_BLOCK ? (uint32_t)left : SHA256_BLOCK;
}

/* The block that begins at byte hash.bytes: a piece of the message, and where that ends a one bit, zeros, and its length in bits. */
static void fill_block(struct sha256_steps *s, const uint8_t *piece)
{
	const uint64_t at = s->hash.bytes, bits = s->size * 8;
	const uint32_t length = sha256_wants(s);

	__builtin_memset(s->hash.block, 0, SHA256_BLOCK);
	if (length)
		__builtin_memcpy(s->hash.block, piece, length);
	if (s->size >= at && s->size - at < SHA256_BLOCK)
		s->hash.block[s->size - at] = 0x80;
	s->last = at + SHA256_BLOCK > s->size + 8;
	for (uint32_t i = 0; s->last && i < 8; i++)
		s->hash.block[SHA256_BLOCK - 1 - i] = (uint8_t)(bits >> 8 * i);
}

/* Sixteen rounds on the variables v and the ring w. */
static void turn(uint32_t v[8], uint32_t w[16], const uint32_t *k, const uint8_t *block)
{
	WORKING_VARIABLES(v);

	if (block) {
		EIGHT_ROUNDS(0, LOAD);
		EIGHT_ROUNDS(8, LOAD);
	} else {
		EIGHT_ROUNDS(0, SCHEDULE);
		EIGHT_ROUNDS(8, SCHEDULE);
	}
	v[0] = a, v[1] = b, v[2] = c, v[3] = d, v[4] = e, v[5] = f, v[6] = g, v[7] = h;
}

int sha256_step(struct sha256_steps *s, const uint8_t *piece)
{
	uint32_t *state = s->hash.state;

	if (s->turn == 0) {
		fill_block(s, piece);
		__builtin_memcpy(s->v, state, sizeof s->v);
	}
	turn(s->v, s->w, round_constant + 16 * s->turn, s->turn ? 0 : s->hash.block);
	if (++s->turn < 4)
		return 0;
	s->turn = 0;
	for (uint32_t i = 0; i < 8; i++)
		state[i] += s->v[i];
	s->hash.bytes += SHA256_BLOCK;
	return s->last;
}

void sha256_result(const struct sha256_steps *s, uint8_t digest[SHA256_SIZE])
{
	for (unsigned i = 0; i < SHA256_SIZE; i++)
		digest[i] = (uint8_t)(s->hash.state[i / 4] >> (24 - 8 * (i % 4)));
}

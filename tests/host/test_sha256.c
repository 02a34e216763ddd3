// SPDX-License-Identifier: Apache-2.0
/* SHA-256 against the vectors of FIPS 180-4 / NIST's examples, and in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/sha256.h"

static void assert_digest(const uint8_t digest[SHA256_SIZE], const char *hex)
{
	char text[2 * SHA256_SIZE + 1];

	for (unsigned i = 0; i < SHA256_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

static void nist_vectors(void **state)
{
	static const struct {
		const char *message, *digest;
	} vectors[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
		  "nopqrstu",
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	};
	uint8_t digest[SHA256_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		sha256(vectors[i].message, strlen(vectors[i].message), digest);
		assert_digest(digest, vectors[i].digest);
	}
}

static void million_a(void **state)
{
	struct sha256 s;
	uint8_t digest[SHA256_SIZE], piece[1000];

	(void)state;
	memset(piece, 'a', sizeof piece);
	sha256_init(&s);
	for (int i = 0; i < 1000; i++)
		sha256_update(&s, piece, sizeof piece);
	sha256_final(&s, digest);
	assert_digest(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Cutting a message in two anywhere gives the same digest: covers every fill of the block and every padding. */
static void any_cut(void **state)
{
	uint8_t message[200], whole[SHA256_SIZE], cut[SHA256_SIZE];
	struct sha256 s;

	(void)state;
	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (uint8_t)(i * 37 + 11);
	for (size_t size = 0; size <= sizeof message; size++) {
		sha256(message, size, whole);
		for (size_t at = 0; at <= size; at++) {
			sha256_init(&s);
			sha256_update(&s, message, at);
			sha256_update(&s, message + at, size - at);
			sha256_final(&s, cut);
			assert_memory_equal(cut, whole, SHA256_SIZE);
		}
	}
}

/* The same in steps, whatever the size: none takes more than it asks for. */
static void in_steps(void **state)
{
	uint8_t message[300], whole[SHA256_SIZE], stepped[SHA256_SIZE];
	struct sha256_steps s;

	(void)state;
	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (uint8_t)(i * 53 + 7);
	for (size_t size = 0; size <= sizeof message; size++) {
		size_t taken = 0;
		unsigned steps = 0;
		int done = 0;

		sha256(message, size, whole);
		sha256_begin(&s, size);
		for (; !done; steps++) {
			uint8_t piece[SHA256_BLOCK];
			size_t n = sha256_wants(&s);

			assert_true(taken + n <= size);
			memcpy(piece, message + taken, n);
			done = sha256_step(&s, n ? piece : NULL);
			taken += n;
		}
		assert_int_equal(taken, size);
		assert_int_equal(steps, 4 * ((size + 8) / SHA256_BLOCK + 1));
		sha256_result(&s, stepped);
		assert_memory_equal(stepped, whole, SHA256_SIZE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nist_vectors),
		cmocka_unit_test(million_a),
		cmocka_unit_test(any_cut),
		cmocka_unit_test(in_steps),
	};

	return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}

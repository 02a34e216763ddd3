// SPDX-License-Identifier: Apache-2.0
/* The console multiplexer: markers, turns, redrawing of open lines, the keyboard, and two threads on the rings. */
#include "core/consolemux.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define CORE 0u
#define LINUX 1u
#define RT 2u

static struct mux mux;
static char text[1 << 16];

static int setup(void **state)
{
	static const char *const names[] = { "core", "linux", "rt" };
	(void)state;
	memset(&mux, 0, sizeof(mux));
	mux_init(&mux, names, 3);
	return 0;
}

static void put(uint32_t source, const char *s)
{
	for (; *s; s++)
		assert_int_equal(mux_put(&mux, source, (uint8_t)*s), 1);
}

/* All output there is now, at most `limit` bytes. */
static const char *output(size_t limit)
{
	size_t n = 0;
	for (int c; n < limit && n < sizeof(text) - 1 && (c = mux_next_output(&mux)) >= 0;)
		text[n++] = (char)c;
	text[n] = 0;
	return text;
}

static void expect(const char *want)
{
	assert_string_equal(output(SIZE_MAX), want);
}

static void keys(const char *s)
{
	for (; *s; s++)
		mux_input(&mux, (uint8_t)*s);
}

static void test_silence(void **state)
{
	(void)state;
	expect("");
	assert_int_equal(mux_next_output(&mux), -1);
	assert_int_equal(mux_get_input(&mux, LINUX), -1);
}

static void test_lines_are_marked(void **state)
{
	(void)state;
	put(CORE, "one\n");
	put(LINUX, "two\r\n\n");
	put(RT, "three\n");
	expect("[linux] two\r\n[rt] three\r\n[core] one\r\n[linux] \r\n");
}

static void test_background_waits_for_its_line(void **state)
{
	(void)state;
	put(RT, "half");
	expect("");
	put(RT, " a line\n");
	expect("[rt] half a line\r\n");
}

static void test_keyboard_holder_is_immediate(void **state)
{
	(void)state;
	put(LINUX, "login: ");
	expect("[linux] login: ");
	put(LINUX, "r");
	expect("r");
	put(LINUX, "oot\n");
	expect("oot\r\n");
}

static void test_prompt_survives(void **state)
{
	(void)state;
	put(LINUX, "# ls");
	expect("[linux] # ls");
	put(RT, "tick\n");
	expect("\r\n[rt] tick\r\n[linux] # ls");
	put(LINUX, " -l\n");
	expect(" -l\r\n");
	put(RT, "tock\n");
	expect("[rt] tock\r\n");
}

static void test_prompt_after_editing(void **state)
{
	(void)state;
	put(LINUX, "old\r\x1b[6n\x1b[1;32m# \x1b[0mlx\b \bs");
	output(SIZE_MAX);
	put(RT, "tick\n");
	expect("\r\n[rt] tick\r\n[linux] # ls"); /* no sequence is repeated: ESC [6n would make the terminal answer */
}

static void test_backspace_beyond_line(void **state)
{
	(void)state;
	put(LINUX, "a\b\b\bb");
	output(SIZE_MAX);
	put(CORE, "x\n");
	expect("\r\n[core] x\r\n[linux] b");
}

static void test_open_escape_sequence_is_cancelled(void **state)
{
	(void)state;
	put(LINUX, "a\x1b[3");
	output(SIZE_MAX);
	put(RT, "tick\n");
	expect("\x18\r\n[rt] tick\r\n[linux] a");
}

static void test_kept_text_is_bounded(void **state)
{
	char line[MUX_LINE];
	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	put(LINUX, line); /* one short of being cut */
	output(SIZE_MAX);
	put(LINUX, "\b");
	output(SIZE_MAX);
	put(RT, "t\n");
	output(SIZE_MAX);
	assert_int_equal(strlen(text), strlen("\r\n[rt] t\r\n[linux] ") + MUX_KEPT);
}

static void test_long_line_is_cut(void **state)
{
	(void)state;
	for (uint32_t source = LINUX; source <= RT; source++) {
		for (uint32_t i = 0; i < 2 * MUX_LINE + 5; i++)
			assert_int_equal(mux_put(&mux, source, 'y'), 1);
		put(source, "\n");
		output(SIZE_MAX);
		const char *marker = source == LINUX ? "[linux] " : "[rt] ";
		char *at = text;
		for (int part = 0; part < 3; part++) {
			size_t length = part < 2 ? MUX_LINE : 5;
			assert_int_equal(strncmp(at, marker, strlen(marker)), 0);
			at += strlen(marker);
			assert_int_equal(strspn(at, "y"), length);
			assert_int_equal(strncmp(at + length, "\r\n", 2), 0);
			at += length + 2;
		}
		assert_string_equal(at, "");
	}
}

static void test_control_characters(void **state)
{
	(void)state;
	put(LINUX, "a\x1b[1mb\bc\td\x07\x7f\x9b\n");
	expect("[linux] a\x1b[1mb\bc\td...\r\n");
	put(RT, "a\x1b[1mb\bc\td\rf\n");
	expect("[rt] a.[1mb.c\td.f\r\n");
}

static void test_carriage_returns(void **state)
{
	(void)state;
	put(LINUX, "10%\r20%\r\r\n");
	expect("[linux] 10%\r20%\r\n");
	put(LINUX, "x\r");
	expect("[linux] x"); /* held: it may belong to a line feed */
	put(LINUX, "\n");
	expect("\r\n");
}

static void test_ring_full(void **state)
{
	size_t n = 0;
	(void)state;
	assert_int_equal(mux_space(&mux, RT), MUX_OUT - 1);
	while (mux_put(&mux, RT, 'z'))
		n++;
	assert_int_equal(n, MUX_OUT - 1);
	assert_int_equal(mux_space(&mux, RT), 0);
	assert_int_equal(mux_put(&mux, RT, '\r'), 0);
	/* Half a ring without a line feed is printed in cut lines, so that a source cannot lock itself up. */
	assert_int_equal(strncmp(output(SIZE_MAX), "[rt] zzz", 8), 0);
	assert_true(mux_space(&mux, RT) >= MUX_OUT / 2 - 1);
	assert_string_equal(text + strlen(text) - 2, "\r\n");
}

static void test_indices_wrap(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct mux_source *s = &mux.source[i];
		s->tail = s->line_end = s->head = s->in_head = s->in_tail = UINT32_MAX - 3;
	}
	put(RT, "wrapped line\n");
	put(LINUX, "prompt");
	expect("[linux] prompt\r\n[rt] wrapped line\r\n[linux] prompt");
	keys("abcdef");
	for (char c = 'a'; c <= 'f'; c++)
		assert_int_equal(mux_get_input(&mux, LINUX), c);
}

/* Both talk without end: lines alternate, whichever has the keyboard and whether it ever ends a line. */
static void test_no_starvation(void **state)
{
	static const char *const endless[] = { "line\n", "text ", "\rx", "\b", "\x1b[m" };
	for (size_t e = 0; e < sizeof(endless) / sizeof(*endless); e++) {
		unsigned rt_lines = 0, column = 0;
		setup(state);
		for (unsigned i = 0; i < 100000; i++) {
			while (mux_space(&mux, LINUX) >= strlen(endless[e]))
				put(LINUX, endless[e]);
			while (mux_space(&mux, RT) >= 5)
				put(RT, "tick\n");
			int c = mux_next_output(&mux);
			assert_true(c >= 0);
			column = c == "tick"[column] ? column + 1 : 0;
			if (column == 4) {
				rt_lines++;
				column = 0;
			}
		}
		assert_true(rt_lines > 100000 / (2 * MUX_LINE + 40));
	}
}

static void test_keyboard_switches(void **state)
{
	(void)state;
	put(LINUX, "# ");
	output(SIZE_MAX);
	keys("a\x1d"
	     "b");
	expect("\r\n--- keyboard: rt (2 of 2); Ctrl-] switches, then ? is help ---\r\n");
	put(RT, "now at once");
	expect("[rt] now at once");
	put(LINUX, "background");
	expect("");
	keys("\x1d");
	expect("\r\n--- keyboard: linux (1 of 2); Ctrl-] switches, then ? is help ---\r\n[linux] # background");
	assert_int_equal(mux_get_input(&mux, LINUX), 'a');
	assert_int_equal(mux_get_input(&mux, LINUX), -1);
	assert_int_equal(mux_get_input(&mux, RT), 'b');
	assert_int_equal(mux_get_input(&mux, RT), -1);
	assert_int_equal(mux_get_input(&mux, CORE), -1);
}

static void test_switch_within_a_line(void **state)
{
	(void)state;
	put(LINUX, "abcdef");
	output(strlen("[linux] abc"));
	keys("\x1d");
	assert_non_null(strstr(output(SIZE_MAX), "keyboard: rt"));
	assert_null(strstr(text, "def")); /* the rest waits for its line feed, and then comes with the begin */
	put(LINUX, "\n");
	expect("[linux] abcdef\r\n");
}

static void test_help_and_literal_escape(void **state)
{
	(void)state;
	keys("\x1d?");
	assert_non_null(strstr(output(SIZE_MAX), "keyboard: rt"));
	assert_non_null(strstr(text, "send a Ctrl-]"));
	assert_int_equal(mux_get_input(&mux, RT), -1);
	keys("?");
	assert_int_equal(mux_get_input(&mux, RT), '?');
	assert_int_equal(mux_input(&mux, 0x1d), 0);
	assert_int_equal(mux_input(&mux, 0x1c), RT); /* back again, and the key itself goes through */
	assert_int_equal(mux_get_input(&mux, RT), 0x1d);
	assert_int_equal(mux_input(&mux, 0x1c), RT);
	assert_int_equal(mux_get_input(&mux, RT), 0x1c);
}

static void test_input_ring_full(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MUX_IN; i++)
		assert_int_equal(mux_input(&mux, 'k'), LINUX);
	assert_int_equal(mux_input(&mux, 'l'), 0);
	for (unsigned i = 0; i < MUX_IN; i++)
		assert_int_equal(mux_get_input(&mux, LINUX), 'k');
	assert_int_equal(mux_get_input(&mux, LINUX), -1);
}

static void test_few_sources(void **state)
{
	static const char *const names[] = { "core", "a-name-that-is-much-too-long-to-be-shown" };
	(void)state;
	memset(&mux, 0, sizeof(mux));
	mux_init(&mux, names, 1);
	keys("x\x1d?");
	put(CORE, "alone\n");
	expect("[core] alone\r\n");
	memset(&mux, 0, sizeof(mux));
	mux_init(&mux, names, 2);
	keys("\x1d");
	put(1, "x");
	expect("--- keyboard: a-name-that-is-much-too (1 of 1); Ctrl-] switches, then ? is help ---\r\n"
	       "[a-name-that-is-much-too] x");
}

static void test_random_operations(void **state)
{
	uint32_t r = 12345;
	size_t in = 0, out = 0;
	(void)state;
	for (unsigned i = 0; i < 2000000; i++) {
		r = r * 1664525u + 1013904223u;
		uint8_t byte = (uint8_t)(r >> 16);
		switch (r >> 29) {
		case 0:
		case 1:
		case 2:
			in += (size_t)mux_put(&mux, (r >> 25) % 3,
			                      byte & 1 ? byte : (uint8_t) "\n\r\b\x1b[z12"[byte >> 5]);
			break;
		case 3:
			mux_input(&mux, byte < 8 ? 0x1d : byte);
			break;
		case 4:
			mux_get_input(&mux, (r >> 25) % 3);
			break;
		default:
			out += mux_next_output(&mux) >= 0;
		}
		assert_true(mux.queued <= 4);
	}
	assert_true(in > 10000 && out > 10000);
}

#define THREAD_LINES 20000

static void *producer(void *source)
{
	static const char line[] = "0123456789 the same line again\n";
	for (unsigned i = 0; i < THREAD_LINES; i++)
		for (const char *p = line; *p;)
			p += mux_put(&mux, *(uint32_t *)source, (uint8_t)*p);
	return NULL;
}

static void test_threads(void **state)
{
	static uint32_t id[] = { CORE, LINUX, RT };
	static const char *const want[] = { "[core] ", "[linux] ", "[rt] " };
	pthread_t thread[3];
	char line[256];
	size_t n = 0;
	unsigned lines = 0;
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, producer, &id[i]), 0);
	while (lines < 2 * THREAD_LINES) { /* of the two in the background: each line whole */
		int c = mux_next_output(&mux);
		if (c < 0)
			continue;
		line[n++] = (char)c;
		assert_true(n < sizeof(line));
		if (c != '\n')
			continue;
		line[n] = 0;
		n = 0;
		if (strncmp(line, want[LINUX], 8) == 0)
			continue;
		size_t marker = strlen(strncmp(line, want[CORE], 7) == 0 ? want[CORE] : want[RT]);
		assert_string_equal(line + marker, "0123456789 the same line again\r\n");
		lines++;
	}
	for (uint32_t source = LINUX; source < RT; source++)
		while (__atomic_load_n(&mux.source[source].head, __ATOMIC_RELAXED) != THREAD_LINES * 31u)
			mux_next_output(&mux);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_silence),
		TEST(test_lines_are_marked),
		TEST(test_background_waits_for_its_line),
		TEST(test_keyboard_holder_is_immediate),
		TEST(test_prompt_survives),
		TEST(test_prompt_after_editing),
		TEST(test_backspace_beyond_line),
		TEST(test_open_escape_sequence_is_cancelled),
		TEST(test_kept_text_is_bounded),
		TEST(test_long_line_is_cut),
		TEST(test_control_characters),
		TEST(test_carriage_returns),
		TEST(test_ring_full),
		TEST(test_indices_wrap),
		TEST(test_no_starvation),
		TEST(test_keyboard_switches),
		TEST(test_switch_within_a_line),
		TEST(test_help_and_literal_escape),
		TEST(test_input_ring_full),
		TEST(test_few_sources),
		TEST(test_random_operations),
		TEST(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

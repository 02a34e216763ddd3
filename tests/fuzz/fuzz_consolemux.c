// SPDX-License-Identifier: Apache-2.0
/*
 * The console multiplexer under random puts, keys and reads. What must hold: only bytes a terminal may get come out; a
 * partition's text never stands on a line with another one's marker; keys arrive whole and in order; it always comes to rest.
 */
#include "core/consolemux.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define COUNT 4u

static struct mux mux;
static char line[1024];
static size_t length;
static struct {
	uint8_t byte[MUX_IN];
	uint32_t head, tail;
} typed[COUNT];

/* "[2] cccc": of source 2, whose only letter is c. Notices begin with dashes. */
static void check_line(void)
{
	uint32_t source;

	if (length == 0 || strncmp(line, "--- ", 4) == 0)
		return;
	fuzz_require(length >= 4 && line[0] == '[' && line[2] == ']' && line[3] == ' ', "a line begins with a marker");
	source = (uint32_t)(line[1] - '0');
	fuzz_require(source < COUNT, "the marker is a source's");
	for (size_t i = 4; i < length; i++)
		fuzz_require(line[i] == (char)('a' + source) || line[i] == '.', "text stands behind its own marker");
}

static void take(int c, int tame)
{
	fuzz_require((c >= ' ' && c < 0x7f) || strchr("\t\n\r\b\x1b\x18", c), "only clean bytes come out");
	if (!tame || c == '\r')
		return;
	if (c == '\n') {
		check_line();
		length = 0;
		return;
	}
	fuzz_require(length < sizeof line - 1, "lines are bounded");
	line[length++] = (char)c;
}

static void key(uint8_t byte)
{
	const int quoted = mux.escape && byte == '\\' - '@'; /* sends the escape key itself */
	const uint32_t to = mux_input(&mux, byte);

	fuzz_require(to < COUNT, "keys go to a source");
	if (to) {
		fuzz_require(typed[to].tail - typed[to].head < MUX_IN, "no more keys are taken than a ring holds");
		typed[to].byte[typed[to].tail++ % MUX_IN] = quoted ? MUX_ESCAPE : byte;
	}
}

static void read_key(uint32_t source)
{
	const int byte = mux_get_input(&mux, source);

	fuzz_require((byte >= 0) == (typed[source].head != typed[source].tail), "every key arrives");
	if (byte >= 0)
		fuzz_require(byte == typed[source].byte[typed[source].head++ % MUX_IN], "keys arrive in order");
}

static void step(struct fuzz_input *in, int tame)
{
	const uint8_t op = fuzz_byte(in), argument = fuzz_byte(in);
	const uint32_t source = argument % COUNT;
	int c;

	switch (op % 8) {
	case 0:
	case 1:
	case 2: /* some text, perhaps a line */
		for (uint32_t i = 0; i < op; i++)
			mux_put(&mux, source, tame ? (uint8_t)('a' + source) : fuzz_byte(in));
		break;
	case 3:
		mux_put(&mux, source, '\n');
		break;
	case 4:
		key(argument);
		break;
	case 5:
		key(MUX_ESCAPE);
		break;
	case 6:
		read_key(source);
		break;
	default:
		for (uint32_t i = 0; i < argument && (c = mux_next_output(&mux)) >= 0; i++)
			take(c, tame);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[COUNT] = { "0", "1", "2", "3" };
	struct fuzz_input in = { data, size };
	const int tame = fuzz_byte(&in) & 1;
	uint32_t i;
	int c = 0;

	memset(&mux, 0, sizeof mux);
	memset(typed, 0, sizeof typed);
	length = 0;
	mux_init(&mux, names, COUNT);
	while (in.left > 0)
		step(&in, tame);
	for (i = 0; i < COUNT * MUX_OUT * 8 && (c = mux_next_output(&mux)) >= 0; i++)
		take(c, tame);
	fuzz_require(c < 0, "the output comes to rest");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A driver for fuzz targets where clang's libFuzzer is not at hand: first the inputs of tests/fuzz/corpus_NAME.hex, if there are any, then random ones
 * for some seconds, with no coverage to guide them.
 * Each input follows from seed and number alone, and both are printed when one fails.
 *
 *   random_NAME SECONDS [SEED]     random_NAME --one SEED NUMBER
 */
#include "tests/fuzz/fuzz.h"
#include <signal.h>
#include <string.h>
#include <time.h>

#define MAX_SIZE 2048u

/* The sanitizers end with SIGABRT, so that the failing input can be told. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static uint64_t seed, number;
static const char *program;

static uint64_t next(uint64_t *state) /* SplitMix64 */
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void run_one(void)
{
	static uint8_t data[MAX_SIZE];
	uint64_t state = seed ^ number * 0xd1342543de82ef95;
	const size_t size = next(&state) % (number % 8 ? 256 : MAX_SIZE);
	const uint64_t sparse = next(&state) % 4; /* some inputs are mostly small numbers */

	for (size_t i = 0; i < size; i++) {
		const uint64_t r = next(&state);

		data[i] = (uint8_t)(r & 0x300 && sparse == 0 ? r & 3 : r);
	}
	LLVMFuzzerTestOneInput(data, size);
}

/* A line of hexadecimal digits an input; lines that begin otherwise are comments. Returns how many there were. */
static unsigned run_corpus(const char *name)
{
	static char line[2 * MAX_SIZE + 2], path[256];
	static uint8_t data[MAX_SIZE];
	unsigned count = 0, byte;
	FILE *file;

	snprintf(path, sizeof path, "tests/fuzz/corpus_%s.hex", name);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		size_t size = 0;

		while (sscanf(line + 2 * size, "%2x", &byte) == 1)
			data[size++] = (uint8_t)byte;
		if (size == 0)
			continue;
		LLVMFuzzerTestOneInput(data, size);
		count++;
	}
	if (file)
		fclose(file);
	return count;
}

static void on_abort(int signal_number)
{
	fprintf(stderr, "fuzz: to see it again: %s --one %llu %llu\n", program, (unsigned long long)seed,
	        (unsigned long long)number);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

int main(int argc, char **argv)
{
	const time_t begin = time(0);
	const char *name = strrchr(argv[0], '/');
	long seconds = argc > 1 ? strtol(argv[1], 0, 10) : 10;
	unsigned kept;

	program = argv[0];
	signal(SIGABRT, on_abort);
	if (argc == 4 && strcmp(argv[1], "--one") == 0) {
		seed = strtoull(argv[2], 0, 10);
		number = strtoull(argv[3], 0, 10);
		run_one();
		return 0;
	}
	kept = run_corpus(name && strchr(name, '_') ? strchr(name, '_') + 1 : "");
	seed = argc > 2 ? strtoull(argv[2], 0, 10) : (uint64_t)begin;
	do {
		run_one();
		number++;
	} while (number & 63 || time(0) - begin < seconds);
	printf("  %-14s %10llu inputs in %ld s, seed %llu ok", name ? name + 1 : argv[0], (unsigned long long)number,
	       (long)(time(0) - begin), (unsigned long long)seed);
	printf(kept ? ", and %u that are kept\n" : "\n", kept);
	return 0;
}

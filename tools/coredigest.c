// SPDX-License-Identifier: Apache-2.0
/* Writes the SHA-256 of what stands before an offset of a file to that offset: see usage. Host tool, for core/selfcheck.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sha256.h"

static const char usage[] =
	"coredigest FILE OFFSET: write the SHA-256 of FILE's first OFFSET bytes to OFFSET; OFFSET is hexadecimal.\n"
	"Status 1: the file cannot be read or written, or is shorter than OFFSET and the digest.\n";

static int fail(const char *file, const char *what)
{
	fprintf(stderr, "coredigest: %s: %s\n", file, what);
	return 1;
}

int main(int argc, char **argv)
{
	uint8_t digest[SHA256_SIZE], *bytes;
	long offset;
	FILE *f;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return fputs(usage, stdout) < 0;
	if (argc != 3)
		return fputs(usage, stderr), 2;
	offset = strtol(argv[2], NULL, 16);
	f = fopen(argv[1], "r+b");
	bytes = offset > 0 ? malloc((size_t)offset + SHA256_SIZE) : NULL;
	if (!f || !bytes || fread(bytes, 1, (size_t)offset + SHA256_SIZE, f) != (size_t)offset + SHA256_SIZE)
		return fail(argv[1], "cannot be read, or is too short");
	sha256(bytes, (size_t)offset, digest);
	if (fseek(f, offset, SEEK_SET) || fwrite(digest, 1, sizeof digest, f) != sizeof digest || fclose(f))
		return fail(argv[1], "cannot be written");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A program of Linux partitions: prints the audit (hypercall/audit.h) live, a line a record. It maps the memory through /dev/mem, for reading; the
 * kernel allows that where it has no RAM of its own.
 *
 *   auditor ADDRESS            until it is interrupted; ADDRESS: `at` of the map in the configuration
 *   auditor ADDRESS --once     what is there now
 *   auditor ADDRESS --dump     the memory as it is, on standard output, for tools/audit
 *   auditor ADDRESS --write    tries to write there, and says how that was refused
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/kit/auditread.h"

#define LOOK_US 20000u

static const volatile void *map(uint64_t address, size_t size, int rights)
{
	const int fd = open("/dev/mem", rights & PROT_WRITE ? O_RDWR : O_RDONLY);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, size, rights, MAP_SHARED, fd, (off_t)address);

	if (at == MAP_FAILED) {
		fprintf(stderr, "auditor: /dev/mem at 0x%llx: %s\n", (unsigned long long)address, strerror(errno));
		exit(1);
	}
	close(fd);
	return at;
}

/* The header tells how large the whole is. */
static size_t size_of(uint64_t address)
{
	const volatile struct audit_header *h = map(address, AUDIT_HEADER, PROT_READ);

	if (!auditread_header_whole(h)) {
		fprintf(stderr, "auditor: no audit at 0x%llx\n", (unsigned long long)address);
		exit(1);
	}
	return (size_t)h->cpus * h->stride;
}

static void print_lost(const struct auditread *reader, uint64_t *told)
{
	for (uint32_t cpu = 0; cpu < reader->cpus; cpu++)
		if (auditread_lost(reader, cpu) != told[cpu]) {
			told[cpu] = auditread_lost(reader, cpu);
			printf("AUDIT lost %u %llu\n", cpu, (unsigned long long)told[cpu]);
		}
}

static int print_all(const volatile void *memory, size_t size, int once)
{
	static struct auditread reader;
	static uint64_t told[AUDITREAD_CPUS];
	struct auditread_record r = { 0 };

	if (!auditread_begin(&reader, memory, size)) {
		fprintf(stderr, "auditor: the headers of the CPUs disagree\n");
		return 1;
	}
	do {
		while (auditread_next(&reader, &r)) {
			if (r.missed)
				printf("AUDIT missed %u %llu\n", r.cpu, (unsigned long long)r.missed);
			printf(AUDITREAD_FORMAT "\n", AUDITREAD_ARGUMENTS(&r));
		}
		print_lost(&reader, told);
		fflush(stdout);
	} while (!once && usleep(LOOK_US) == 0);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";
	char *end = NULL;
	const uint64_t address = argc > 1 ? strtoull(argv[1], &end, 0) : 0;
	const volatile void *memory;
	size_t size;

	if (argc < 2 || argc > 3 || *end || (*what && !strstr("--once --dump --write", what))) {
		fprintf(stderr, "usage: auditor ADDRESS [--once | --dump | --write]\n");
		return 2;
	}
	size = size_of(address);
	if (strcmp(what, "--write") == 0) {
		puts("auditor: writes now");
		fflush(stdout);
		((volatile struct audit_ring *)map(address, AUDIT_HEADER, PROT_READ | PROT_WRITE))->head = 0;
		puts("AUDIT written");
		return 1;
	}
	memory = map(address, size, PROT_READ);
	if (strcmp(what, "--dump") == 0)
		return fwrite((const void *)memory, 1, size, stdout) != size;
	return print_all(memory, size, *what != 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Every MSR number of the architectural ranges, KVM's and Hyper-V's range, and a sample of the rest: RDMSR; WRMSR of
 * all ones, of 0, and of what was there. Nothing is left out: what the local APIC loses, the check after the attack
 * sets anew.
 */
#include "hostile.h"

static const struct {
	uint32_t first, last;
} ranges[] = {
	{ 0, 0x1fff },
	{ 0xc0000000, 0xc0001fff },
	{ 0x40000000, 0x400001ff },
	{ 0x2000, 0x2003 },
	{ 0x10000, 0x10001 },
	{ 0x3fffffff, 0x3fffffff },
	{ 0x7fffffff, 0x80000001 },
	{ 0xbfffffff, 0xbfffffff },
	{ 0xc0002000, 0xc0002001 },
	{ 0xc0010000, 0xc0010063 },
	{ 0xc0011020, 0xc0011023 },
	{ 0xffffffff, 0xffffffff },
};

static uint32_t msr;
static uint64_t value;

static void do_read(void *unused)
{
	(void)unused;
	value = rdmsr(msr);
}

static void do_write(void *data)
{
	wrmsr(msr, *(uint64_t *)data);
}

/* MSRs of the host: a read that works may be right, a write that sticks is not. */
static bool of_the_host(uint32_t number)
{
	return number == 0x10 || number == 0x1b || number == 0x3a || number == 0x3b || number == 0x79 ||
	       (number >= 0x480 && number <= 0x4ff) || (number >= 0x200 && number <= 0x26f) || number == 0x2ff;
}

static void one(struct attack *a, uint32_t number)
{
	uint64_t other[] = { ~0ull, 0 };
	msr = number;
	bool readable = attempt(a, do_read, 0);
	uint64_t before = readable ? value : 0;
	for (unsigned i = 0; i < 2; i++) {
		if (!attempt(a, do_write, &other[i]) || !readable || kit_try(do_read, 0) >= 0)
			continue;
		if (of_the_host(number) && number != 0x10 && value != before)
			breach(a, "write sticks", number);
	}
	/* The TSC cannot be compared, but a partition that moved it reads a number near the one written. */
	if (number == 0x10 && readable && kit_try(do_read, 0) < 0 && value < before)
		breach(a, "TSC moved", value);
	if (readable && number != 0x10) /* the old time is not what was there */
		attempt(a, do_write, &before);
}

void attack_msrs(struct attack *a, const struct kit_info *info)
{
	(void)info;
	for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		for (uint64_t n = ranges[i].first; n <= ranges[i].last; n++)
			one(a, (uint32_t)n);
}

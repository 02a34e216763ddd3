// SPDX-License-Identifier: Apache-2.0
/*
 * Exit storms, hypercalls with random arguments, hypercalls from user mode.
 */
#include "hostile.h"
#include "hypercall.h"

#define STORM 100000u
#define RANDOM_CALLS 10000u
#define NUMBERS 16u
#define NOISE_LINES 16u /* console writes of random bytes; more would bury the results */
#define PAGE 4096u

void attack_storm(struct attack *a, const struct kit_info *info)
{
	(void)info;
	for (unsigned i = 0; i < STORM; i++) {
		cpuid(0, 0);
		hypercall1(BH_VERSION, 0);
	}
	a->tried += 2 * STORM;
}

/* Values as attackers choose them: small, huge, one bit, random. */
static uint64_t argument(void)
{
	uint64_t r = random_number();
	switch (r >> 60) {
	case 0:
	case 1:
		return r & 0xff;
	case 2:
		return ~(r & 0xff);
	case 3:
		return 1ull << (r & 63);
	case 4:
		return r & 0xffffffff;
	default:
		return r;
	}
}

struct call {
	uint64_t number, argument[6];
	int64_t result;
};

static void make_call(void *argument_)
{
	struct call *c = argument_;
	c->result = hypercall(c->number, c->argument);
}

/* BH_STOP is left out: it works. A console write of a right length is a right one: few of them. */
void attack_hypercalls(struct attack *a, const struct kit_info *info)
{
	unsigned noise = 0;
	(void)info;
	for (unsigned i = 0; i < RANDOM_CALLS; i++) {
		struct call c = { .number = i % 4 ? argument() : random_number() % NUMBERS };
		for (unsigned k = 0; k < 6; k++)
			c.argument[k] = argument();
		if (c.number == BH_STOP)
			continue;
		if (c.number == BH_CONSOLE_WRITE && c.argument[0] - 1 < 40 && noise++ >= NOISE_LINES)
			c.argument[0] = 0;
		if (!attempt(a, make_call, &c))
			continue;
		if (c.number >= BH_CALL_COUNT && c.result != BH_ENOCALL)
			breach(a, "unknown call answered", c.number);
		if (c.result < BH_EAGAIN)
			breach(a, "unknown error", (uint64_t)c.result);
	}
	kit_write("\n", 1);
}

/* Calls 0 to 15 from CPL 3, results into its own page; then HLT, which is #GP there. Position independent. */
extern const uint8_t user_code[], user_results[], user_halt[], user_end[];
__asm__(".pushsection .text\n"
        "user_code: xor %ebx, %ebx\n"
        "1: mov %ebx, %eax\n"
        "	mov $1, %edi\n"
        "	mov $0x0a, %esi\n"
        "	vmcall\n"
        "	lea user_results(%rip), %rdx\n"
        "	mov %rax, (%rdx,%rbx,8)\n"
        "	inc %ebx\n"
        "	cmp $16, %ebx\n"
        "	jne 1b\n"
        "user_halt: hlt\n"
        "	.balign 8\n"
        "user_results: .skip 16 * 8\n"
        "user_end:\n"
        ".popsection");

static uint8_t user_page[PAGE] __attribute__((aligned(4096)));

/* Not memcpy(): the emulator stops the neighbour's time for a string instruction. */
static void copy(volatile uint8_t *to, const uint8_t *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = from[i];
}

static void enter_user(void *linear)
{
	uint64_t top = (uint64_t)linear + PAGE;
	__asm__ volatile("push %0; push %1; push $2; push %2; push %3; iretq"
	                 :
	                 : "r"((uint64_t)KIT_USER_DATA), "r"(top), "r"((uint64_t)KIT_USER_CODE), "r"(linear)
	                 : "memory");
}

void attack_user(struct attack *a, const struct kit_info *info)
{
	uint64_t linear = (uint64_t)kit_window((uint64_t)user_page, true);
	int64_t results[NUMBERS];
	(void)info;
	copy(user_page, user_code, (size_t)(user_end - user_code));
	a->tried += NUMBERS;
	kit_try(enter_user, (void *)linear);
	if (kit_fault.vector != 13 || kit_fault.rip != linear + (uint64_t)(user_halt - user_code)) {
		kit_printf("hostile: user mode ended with exception %lu at %lx\n", kit_fault.vector,
		           kit_fault.rip - linear);
		a->faulted++;
		return;
	}
	copy((uint8_t *)results, user_page + (user_results - user_code), sizeof results);
	for (unsigned i = 0; i < NUMBERS; i++)
		if (results[i] != BH_EPERM)
			breach(a, "call from user mode", i);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A guest of the companion echo: each form of MOV that is decoded, on its page of registers; ports CF8h to CFFh; an interrupt by a pin of the
 * I/O APIC if it has one; and, with a second vCPU, both at once, while the companion takes longer than a vCPU's budget.
 *
 *   RESULT forward checks=<n> failed=<n> interrupts=<n>
 */
#include "echo/echo.h"
#include "hypercall.h"
#include "kit.h"

#define IOAPIC 0xfec00000ull
#define PIN 16u
#define VECTOR 0x51
#define LEVEL (1u << 15)
#define INTERRUPTS 20u
#define ROUNDS 150u
#define MEASURED 1000u

static unsigned checks, failed;
static volatile uint32_t interrupts, second_done, second_failed, hangs;

static void check(bool good, const char *what, uint64_t value)
{
	checks++;
	if (good)
		return;
	failed++;
	kit_printf("WRONG %s: %lx\n", what, value);
}

static volatile uint64_t *word(uint64_t offset)
{
	return (volatile uint64_t *)(ECHO_AT + offset);
}

#define MARK 0x8899aabbccddeeffull

/* RDI: the register's address. A load finds a pattern in RAX, a store MARK, and zeros in the register. */
#define CHECK_LOAD(offset, instruction, result)                                                                  \
	do {                                                                                                     \
		uint64_t rax = 0x1111111111111111;                                                               \
		__asm__ volatile(instruction : "+a"(rax) : "D"(ECHO_AT + (uint64_t)(offset)) : "r14", "memory"); \
		check(rax == (result), instruction, rax);                                                        \
	} while (0)
#define CHECK_STORE(instruction, result)                                                        \
	do {                                                                                    \
		*word(0) = 0;                                                                   \
		__asm__ volatile(instruction : : "a"(MARK), "D"((uint64_t)ECHO_AT) : "memory"); \
		check(*word(0) == (result), instruction, *word(0));                             \
	} while (0)

static void check_forms(void)
{
	*word(0x20) = MARK;
	check(*word(0x20) == MARK, "8 bytes", *word(0x20));
	CHECK_LOAD(0x20, "movb (%%rdi), %%al", 0x11111111111111ff);
	CHECK_LOAD(0x20, "movb (%%rdi), %%ah", 0x111111111111ff11);
	CHECK_LOAD(0x20, "movw (%%rdi), %%ax", 0x111111111111eeff);
	CHECK_LOAD(0x20, "movl (%%rdi), %%eax", 0xccddeeff);
	CHECK_LOAD(0x20, "movq (%%rdi), %%rax", MARK);
	CHECK_LOAD(0x27, "movzbl (%%rdi), %%eax", 0x88);
	CHECK_LOAD(0x26, "movzwl (%%rdi), %%eax", 0x8899);
	CHECK_LOAD(0x27, "movsbq (%%rdi), %%rax", 0xffffffffffffff88);
	CHECK_LOAD(0x26, "movswl (%%rdi), %%eax", 0xffff8899);
	CHECK_LOAD(0x20, "movabs 0x200020, %%rax", MARK);
	CHECK_LOAD(0x20, "movl (%%rdi), %%r14d; movq %%r14, %%rax", 0xccddeeff);
	CHECK_STORE("movb %%al, (%%rdi)", 0xff);
	CHECK_STORE("movb %%ah, 1(%%rdi)", 0xee00);
	CHECK_STORE("movw %%ax, 6(%%rdi)", 0xeeff000000000000);
	CHECK_STORE("movl %%eax, (%%rdi)", 0xccddeeff);
	CHECK_STORE("movq $-2, (%%rdi)", 0xfffffffffffffffe);
	CHECK_STORE("movb $0x5a, 3(%%rdi)", 0x5a000000);
}

/* The pair by which PCI configuration is accessed, as any ports. */
static void check_ports(void)
{
	outl(ECHO_PORT, 0x80001234);
	check(inl(ECHO_PORT) == 0x80001234, "CF8h", inl(ECHO_PORT));
	outw(ECHO_PORT + 6, 0xa55a);
	check(inb(ECHO_PORT + 7) == 0xa5 && inw(ECHO_PORT + 6) == 0xa55a, "CFEh", inl(ECHO_PORT + 4));
}

/* A level: it comes again until its cause is gone, which the handler sees to at each second time. */
static void on_pin(struct kit_frame *frame)
{
	(void)frame;
	if (++interrupts % 2 == 0)
		*word(ECHO_LINES) = 0;
}

static void check_interrupts(void)
{
	volatile uint32_t *ioapic = kit_window(IOAPIC, false);

	kit_handle(VECTOR, on_pin);
	ioapic[0] = 0x10 + 2 * PIN;
	ioapic[4] = LEVEL | VECTOR;
	for (unsigned i = 0; i < INTERRUPTS / 2; i++) {
		*word(ECHO_LINES) = BH_COMPANION_PIN(PIN);
		while (interrupts < 2 * i + 2)
			wait_for_interrupt();
	}
	*word(ECHO_LINES) = BH_COMPANION_PIN(PIN + 1); /* not its own: nothing */
	check(interrupts == INTERRUPTS, "interrupts", interrupts);
}

/* Each vCPU at its own register; the companion is busy with the other's for longer than a vCPU may run. */
static uint32_t together(uint64_t offset)
{
	uint32_t wrong = 0;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		*word(offset) = i << 32 | offset;
		*(volatile uint32_t *)word(ECHO_SPEND) = 100;
		wrong += *word(offset) != (i << 32 | offset);
		outb((uint16_t)(ECHO_PORT + (offset >> 8)), (uint8_t)i);
		wrong += inb((uint16_t)(ECHO_PORT + (offset >> 8))) != (uint8_t)i;
	}
	return wrong;
}

static void second(void)
{
	second_failed = together(0x200);
	second_done = 1;
	while (!hangs)
		pause();
	for (;;) /* until one finds that nobody answers: the first may be answered before the companion hangs */
		(void)*word(0x300);
}

static void check_two(void)
{
	const uint64_t before = *word(ECHO_COUNT);
	uint64_t asked;
	uint32_t wrong;

	kit_start_second(1, second);
	wrong = together(0x100);
	while (!second_done)
		pause();
	asked = *word(ECHO_COUNT) - before;
	check(wrong == 0, "answers of the first vCPU", wrong);
	check(second_failed == 0, "answers of the second vCPU", second_failed);
	check(asked == 2 * 5 * ROUNDS + 1, "requests, each carried out once", asked);
}

static void measure(void)
{
	uint64_t least = ~0ull, pair = ~0ull;

	for (unsigned i = 0; i < MEASURED; i++) {
		uint64_t start = rdtsc(), now = rdtsc();

		pair = now - start < pair ? now - start : pair;
		start = rdtsc();
		(void)*(volatile uint32_t *)word(0x20);
		now = rdtsc();
		least = now - start < least ? now - start : least;
	}
	kit_printf("FIGURE companion_mmio_read min=%lu n=%u\n", least - pair, MEASURED);
	kit_printf("FIGURE longest_stay %ld\n", kit_counter(BH_COUNTER_WORST));
}

int main(const struct kit_info *info)
{
	check_forms();
	check_ports();
	if (memcmp(info->name, "alone", 5))
		check_interrupts();
	measure();
	if (info->vcpu_count > 1)
		check_two();
	kit_printf("RESULT forward checks=%u failed=%u interrupts=%u\n", checks, failed, interrupts);
	if (!memcmp(info->name, "hang", 4)) { /* the second vCPU then wants an answer, too */
		hangs = 1;
		*word(ECHO_HANG) = 1;
	}
	return failed != 0;
}

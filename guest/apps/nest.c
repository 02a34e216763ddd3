// SPDX-License-Identifier: Apache-2.0
/*
 * A guest of the companion echo that ends and is started again, and its companion with it (tests/system/nest.yaml): by a triple fault, by a companion that never
 * answers, by its own word. In each life the companion has to be as new: its count begins, and its registers hold nothing of the life before.
 *
 *   RESULT nest lives=<n> count=<the first of a life that was not 1> registers=<not zero at a life's begin> silent=<lives without an answer>
 */
#include "echo/echo.h"
#include "hypercall.h"
#include "kit.h"

#define LIVES 7u
#define MARK 0x5ca1ab1e0ddbull

static volatile struct {
	uint64_t count, wrong_count, registers, silent;
} * lives; /* nobody scrubs it */

static volatile uint64_t *word(uint64_t offset)
{
	return (volatile uint64_t *)(ECHO_AT + offset);
}

static void end(uint64_t how)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	if (how == 0)
		*(volatile uint32_t *)word(ECHO_HANG) = 1; /* in the middle of a request */
	if (how == 1)
		hypercall1(BH_RAISE_ERROR, 1);
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

int main(const struct kit_info *info)
{
	uint64_t first;

	lives = (volatile void *)info->map[0].gpa;
	lives->count++;
	first = *word(ECHO_COUNT);
	if (first != 1)
		lives->wrong_count = first;
	lives->registers += *word(0x20) != 0 || inl(ECHO_PORT) != 0;
	*word(0x20) = MARK;
	outl(ECHO_PORT, (uint32_t)MARK);
	lives->silent += *word(0x20) != MARK || inl(ECHO_PORT) != (uint32_t)MARK;
	if (lives->count < LIVES)
		end(lives->count % 3);
	kit_printf("RESULT nest lives=%lu count=%lu registers=%lu silent=%lu\n", lives->count, lives->wrong_count,
	           lives->registers, lives->silent);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "reset.h"

#include "x86.h"

#define RESET_CONTROL \
	0xcf9u /* of the chipset: bit 1 all of the system, bit 2 now; bit 3, power too, stays 0: memory is to live */
#define KEYBOARD_COMMAND 0x64u
#define KEYBOARD_PULSE_RESET 0xfeu
#define PAUSES 100000u

static void write_and_wait(uint16_t port, uint8_t value)
{
	outb(port, value);
	for (uint32_t i = 0; i < PAUSES; i++)
		pause();
}

/* By what PCs have, one after the other; at last a shutdown, which the platform answers with a reset. */
void reset_machine(void)
{
	const struct descriptor_pointer nothing = { 0, 0 };

	write_and_wait(RESET_CONTROL, 2);
	write_and_wait(RESET_CONTROL, 6);
	write_and_wait(KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
	lidt(&nothing);
	for (;;)
		__asm__ volatile("ud2");
}

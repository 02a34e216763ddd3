// SPDX-License-Identifier: Apache-2.0
/* A second vCPU for applications that want one: INIT, start-up IPI, and the kit's tables. SDM Vol. 3A, 9.4. */
#include "kit.h"
#include "parts.h"

#define PAGE 0x8000u /* second.asm */
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u

extern const uint8_t kit_second[], kit_second_end[], kit_second_cr3[];
_Noreturn void kit_second_main(void); /* from second.asm */

static void (*function)(void);

_Noreturn void kit_second_main(void)
{
	kit_interrupts_second();
	function();
	for (;;)
		__asm__ volatile("cli; hlt");
}

void kit_start_second(uint32_t apic_id, void (*function_)(void))
{
	uint8_t *const page = (uint8_t *)(uint64_t)PAGE;
	const uint64_t destination = (uint64_t)apic_id << 32;
	uint32_t cr3 = (uint32_t)read_cr3();

	function = function_;
	memcpy(page, kit_second, (uint64_t)kit_second_end - (uint64_t)kit_second);
	memcpy(page + ((uint64_t)kit_second_cr3 - (uint64_t)kit_second), &cr3, sizeof cr3);
	wrmsr(X2APIC_ICR, destination | ICR_INIT);
	wrmsr(X2APIC_ICR, destination | ICR_STARTUP | PAGE >> 12);
}

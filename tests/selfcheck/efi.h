/* SPDX-License-Identifier: Apache-2.0 */
/* What the test-bed checks need besides gnu-efi's start code: port 0xe9 and the end of the machine. */
#ifndef SELFCHECK_EFI_H
#define SELFCHECK_EFI_H

#include <efi.h>

static inline void out8(UINT16 port, UINT8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void put(const char *text)
{
	for (; *text; text++)
		out8(0xe9, (UINT8)*text);
}

static inline void put_hex(UINT64 value)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		out8(0xe9, (UINT8) "0123456789abcdef"[(value >> shift) & 15]);
}

/* Both Bochs and EFI: the machine ends; whether it was good is what was written before. */
static inline void end_machine(EFI_SYSTEM_TABLE *system)
{
	for (const char *text = "Shutdown"; *text; text++)
		out8(0x8900, (UINT8)*text);
	uefi_call_wrapper(system->RuntimeServices->ResetSystem, 4, EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	for (;;)
		__asm__ volatile("hlt");
}

#endif

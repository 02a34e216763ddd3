/* SPDX-License-Identifier: Apache-2.0 */
/* Uses VMX wrongly on purpose (VMXON region not page aligned), to show that the test bed notices. */
#include "efi.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	UINT64 cr4, address = 0x1008;
	UINT8 failed;

	(void)image;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 13) : "memory");
	__asm__ volatile("vmxon %1\n\tsetbe %0" : "=qm"(failed) : "m"(address) : "cc", "memory");
	put(failed ? "RESULT misuse refused\n" : "RESULT misuse accepted\n");
	end_machine(system);
	return EFI_SUCCESS;
}

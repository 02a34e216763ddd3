/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest application that the test bed can boot: shows that the way to port 0xe9 works. */
#include "efi.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	(void)image;
	put("RESULT empty ok\n");
	end_machine(system);
	return EFI_SUCCESS;
}

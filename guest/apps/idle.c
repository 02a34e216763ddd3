// SPDX-License-Identifier: Apache-2.0
/* A partition that does nothing, for ever, with interrupts on. */
#include "kit.h"

int main(const struct kit_info *info)
{
	kit_printf("RESULT idle name=%s\n", info->name);
	for (;;)
		wait_for_interrupt();
}

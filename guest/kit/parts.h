// SPDX-License-Identifier: Apache-2.0
/*
 * What the parts of the kit call of each other; not for applications.
 */
#ifndef GUEST_KIT_PARTS_H
#define GUEST_KIT_PARTS_H

#include "kit.h"

_Noreturn void kit_main(const struct kit_info *info); /* from start.asm */
void kit_interrupts_init(void);
void kit_interrupts_second(void);           /* the same tables on another vCPU, but for the TSS */
void kit_dispatch(struct kit_frame *frame); /* from interrupt.asm */

extern const uint8_t kit_entries[256][16];
extern const uint8_t kit_try_recover[];
extern uint64_t kit_try_stack;

#endif

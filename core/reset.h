// SPDX-License-Identifier: Apache-2.0
/* The way back to the firmware, where the configuration says `panic: reset`. */
#ifndef CORE_RESET_H
#define CORE_RESET_H

/* A warm reset: memory stays as it is, if the board and its firmware let it. Any CPU, any state; not linked without that key. */
_Noreturn void reset_machine(void);

#endif

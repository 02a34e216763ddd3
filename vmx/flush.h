// SPDX-License-Identifier: Apache-2.0
/* Buffers that are emptied at a switch between partitions (vmx/flush.c). */
#ifndef VMX_FLUSH_H
#define VMX_FLUSH_H

#include <stdint.h>

#include "core/cpu.h"

/* Look what this CPU has commands for. Once per CPU; all are alike. */
void flush_init(void);

/* Empty what the bits FLUSH_* of config.h ask for. Root mode, between two vCPUs. */
void flush_for_next_partition(uint8_t what);

#endif

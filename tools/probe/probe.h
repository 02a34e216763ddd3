// SPDX-License-Identifier: Apache-2.0
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

/* To the end of BOARD.YAML. */
void add(const char *s);
void add_hex(uint32_t value, uint32_t digits);
void add_number(uint64_t value);

/* pci.c: all functions of segment 0 with their groups. Physical addresses of MCFG and DMAR, 0: there is none. */
void probe_pci(uint64_t mcfg, uint64_t dmar, uint32_t dmar_length);

#endif

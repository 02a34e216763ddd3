// SPDX-License-Identifier: Apache-2.0
/*
 * The attacks that end their partition or never end, one a function; guest.mk makes hostile_<kind>.elf of each
 * fatal_<kind>.
 */
#ifndef GUEST_APPS_FATAL_H
#define GUEST_APPS_FATAL_H

#include "kit.h"

void fatal_loop(const struct kit_info *info);
void fatal_hlt(const struct kit_info *info);
void fatal_triple(const struct kit_info *info);
void fatal_ud(const struct kit_info *info);
void fatal_cr3(const struct kit_info *info);
void fatal_read(const struct kit_info *info);
void fatal_db(const struct kit_info *info);
void fatal_ac(const struct kit_info *info);
void fatal_init(const struct kit_info *info);
void fatal_storm(const struct kit_info *info);
/* fatal/one.c: one forbidden thing each */
void fatal_msr(const struct kit_info *info);
void fatal_port(const struct kit_info *info);
void fatal_vmx(const struct kit_info *info);
void fatal_ipi(const struct kit_info *info);
/* fatal/tricks.c */
void fatal_modes(const struct kit_info *info);
void fatal_task(const struct kit_info *info);
void fatal_wrap(const struct kit_info *info);
void fatal_edge(const struct kit_info *info);
void fatal_idt(const struct kit_info *info);
void fatal_stack(const struct kit_info *info);

#endif

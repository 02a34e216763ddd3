// SPDX-License-Identifier: Apache-2.0
/*
 * The audit of the last boot, where a warm reset has left it in memory (hypercall/audit.h). Anybody who had the machine in between could have
 * written there: nothing in it is believed further than to be shown, and to be kept for those who may read the audit.
 */
#ifndef CORE_SURVIVOR_H
#define CORE_SURVIVOR_H

#if CONFIG_AUDIT_ENTRIES
#include "hypercall/audit.h"

enum survivor {
	SURVIVOR_NONE,    /* no audit: a cold start, or memory that the firmware has used */
	SURVIVOR_DAMAGED, /* header or last record are not what was written */
	SURVIVOR_FOREIGN, /* of another version, place or configuration: its numbers mean something else */
	SURVIVOR_WHOLE
};

/* Pure. What stands in a part of the memory; `want`: the header that this boot would write there, but for generation and frequency. */
enum survivor survivor_examine(const struct audit_ring *ring, const struct audit_header *want);

/* Pure. Is record number `n` there, as it was written? */
int survivor_holds(const struct audit_ring *ring, uint64_t n, uint32_t entries);

/* Pure. The panic that ended the boot, or 0; its text into `text`, printable and ended. Of a whole part. */
const struct audit_panic *survivor_panic(const struct audit_ring *ring, char text[AUDIT_TEXT]);

/* Show what the last boot has left, and begin each CPU's part: behind it, or anew. Boot CPU, before any partition runs. Closes no window. */
void audit_boot(void);
#else
#define audit_boot() ((void)0)
#endif

#endif

// SPDX-License-Identifier: Apache-2.0
/* The boot report's lines about trust. What was measured, and what was not: the loader knows. */
#include "trust.h"

#include "config/config.h"
#include "console.h"
#include "core.h"

void trust_report(void)
{
	static const char *const needs[] = TXT_NEED_TEXTS;
	const struct handoff_trust *t = &handoff.trust;

	if (t->banks)
		print("trust: %u components measured into PCRs %u, %u, %u; %u FAILED; banks %x; %lu ticks\n",
		      t->measured, PCR_CORE, PCR_CONFIG, PCR_PAYLOADS, t->failed, t->banks, t->ticks);
	else
		print("trust: NOTHING IS MEASURED, there is no TPM\n");
	if (t->log)
		print("trust: event log %lx, last event %lx; final events %lx, from number %lu on\n", t->log,
		      t->log_last, t->final_events, t->final_known);
	else
		print("trust: NO EVENT LOG\n");
	print("trust: Secure Boot %s\n", t->secure_boot ? "on" : "OFF");
	print("trust: late launch %s, GETSEC capabilities %x\n", t->txt_lacks ? "not possible" : "possible",
	      t->txt_capabilities);
	for (uint32_t i = 0; i < TXT_NEEDS; i++)
		if (t->txt_lacks >> i & 1)
			print("trust: late launch lacks %s\n", needs[i]);
}

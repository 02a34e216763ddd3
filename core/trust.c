// SPDX-License-Identifier: Apache-2.0
/* The boot report's lines about trust. What was measured, and what was not: the loader knows. */
#include "trust.h"

#include "acpi.h"
#include "config/config.h"
#include "console.h"
#include "core.h"
#include "tpm2.h"

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

void trust_report_table(struct acpi *acpi)
{
	struct acpi_table table;
	struct tpm2_table t;
	uint32_t offset = 0;

	if (acpi_find(acpi, "TPM2", &table) != ACPI_OK) {
		print("trust: ACPI table TPM2, at %lx: %s\n", acpi->fault.address,
		      acpi_result_text(acpi->fault.result));
		return;
	}
	const uint8_t *p = acpi->map(acpi->context, table.phys, table.length);
	const char *wrong = p ? tpm2_parse(p, table.length, &t, &offset) : "it cannot be read";

	if (wrong)
		print("trust: ACPI table TPM2, at %lx, offset %u: %s\n", table.phys, offset, wrong);
	else
		print("trust: ACPI table TPM2: %s, control area %lx, log area %lx, %u bytes%s\n",
		      tpm2_method(t.start_method), t.control_area, t.log, t.log_bytes,
		      handoff.trust.banks ? "" : "; THE FIRMWARE DOES NOT LEND THAT TPM");
}

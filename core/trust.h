// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_TRUST_H
#define CORE_TRUST_H

/* Print what the loader has found out about TPM, Secure Boot and TXT. Boot CPU, once; only where the configuration has `trust`. */
void trust_report(void);

/* Print what the ACPI tables say of the TPM: a machine may have one that its firmware does not lend. Boot CPU, once, when they are open. */
struct acpi;
void trust_report_table(struct acpi *acpi);

#endif

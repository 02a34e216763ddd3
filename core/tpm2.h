/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware's ACPI table TPM2 says of the machine's TPM (TCG ACPI Specification 1.4, 8): by which registers it is driven, and
 * where memory for an event log was set aside. For reports only: the loader measures through the firmware's protocol, and nothing of ours
 * touches the TPM itself. It tells a machine without a TPM from one whose TPM the firmware does not lend. Pure logic; the caller has checked
 * the table's checksum (core/acpi.h).
 */
#ifndef CORE_TPM2_H
#define CORE_TPM2_H

#include <stdint.h>

#define TPM2_ACPI 2u     /* start methods: by an ACPI method, */
#define TPM2_FIFO 6u     /* by the registers of a FIFO (TIS), at FED40000h, */
#define TPM2_CRB 7u      /* by a command response buffer, */
#define TPM2_CRB_ACPI 8u /* by the same and an ACPI method */

struct tpm2_table {
	uint32_t start_method; /* one of the above, or another one */
	uint32_t log_bytes;    /* 0: no memory for a log is named */
	uint64_t control_area; /* physical; 0 where the start method needs none */
	uint64_t log;
};

/* Of a table of `length` bytes whose header is right. 0, or what is wrong; *offset is then where in the table. */
const char *tpm2_parse(const uint8_t *table, uint32_t length, struct tpm2_table *t, uint32_t *offset);

/* The start method in words. */
const char *tpm2_method(uint32_t start_method);

#endif

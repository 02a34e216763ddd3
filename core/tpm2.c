// SPDX-License-Identifier: Apache-2.0
/* See tpm2.h. */
#include "tpm2.h"

#include "acpi.h"

#define REVISION 8u
#define CONTROL_AREA 40u
#define START_METHOD 48u
#define SHORTEST 52u
#define CONTROL_AREA_BYTES 0x30u /* TCG PC Client Platform TPM Profile 1.05, 6.5.3 */
#define ADDRESS_LIMIT (1ull << 52)

/* Behind the start method's parameters: 12 bytes of them, since revision 5 16. A table may end before. */
static uint32_t log_at(const uint8_t *table)
{
	return table[REVISION] < 5 ? 64 : 68;
}

static int outside(uint64_t address, uint64_t bytes)
{
	return address >= ADDRESS_LIMIT || bytes > ADDRESS_LIMIT - address;
}

/* A method whose control area the specification asks for. */
static int known(uint32_t method)
{
	return method == TPM2_ACPI || method == TPM2_CRB || method == TPM2_CRB_ACPI;
}

const char *tpm2_parse(const uint8_t *table, uint32_t length, struct tpm2_table *t, uint32_t *offset)
{
	*t = (struct tpm2_table){ 0 };
	*offset = 4;
	if (length < SHORTEST)
		return "it is too short";
	*offset = REVISION;
	if (table[REVISION] < 3)
		return "it is of a revision before TPM 2.0";
	t->control_area = acpi_number(table + CONTROL_AREA, 8);
	t->start_method = (uint32_t)acpi_number(table + START_METHOD, 4);
	*offset = START_METHOD;
	if (!t->start_method)
		return "it has no start method";
	*offset = CONTROL_AREA;
	if (t->start_method == TPM2_FIFO)
		t->control_area = 0; /* whatever stands there: the registers have their fixed place */
	else if (outside(t->control_area, CONTROL_AREA_BYTES) || (!t->control_area && known(t->start_method)))
		return "its control area is at an impossible address";
	*offset = log_at(table);
	if (length < *offset + 12)
		return 0;
	t->log_bytes = (uint32_t)acpi_number(table + *offset, 4);
	t->log = acpi_number(table + *offset + 4, 8);
	if (!t->log || !t->log_bytes) /* one without the other is the same as none: firmware leaves the length there */
		t->log = t->log_bytes = 0;
	return outside(t->log, t->log_bytes) ? "its event log is at an impossible address" : 0;
}

const char *tpm2_method(uint32_t start_method)
{
	return start_method == TPM2_FIFO                                 ? "FIFO registers" :
	       start_method == TPM2_CRB || start_method == TPM2_CRB_ACPI ? "command response buffer" :
	       start_method == TPM2_ACPI                                 ? "ACPI method" :
	                                                                   "another start method";
}

// SPDX-License-Identifier: Apache-2.0
/* The recorder behind vmwrite(), and the auditor's entry. */
#include "tests/auditor/audit.h"
#include <stdio.h>

struct vmcs_image *vmcs_current;

uint64_t vmread(uint32_t field);
void vmwrite(uint32_t field, uint64_t value);

uint64_t vmread(uint32_t field)
{
	return vmcs_image_read(vmcs_current, field);
}

void vmwrite(uint32_t field, uint64_t value)
{
	vmcs_image_write(vmcs_current, field, value);
}

const char *vmcs_field_name(uint32_t field)
{
	switch (field) {
#define NAME(name, encoding) \
	case encoding:       \
		return "VMCS_" #name;
		VMCS_FIELDS_ALL(NAME)
	default:
		return NULL;
	}
}

static uint32_t slot(uint32_t field)
{
	return VMCS_WIDTH(field) << 8 | VMCS_KIND(field) << 6 | (field >> 1 & 63);
}

static void misuse(struct vmcs_image *v, const char *text, uint32_t field)
{
	if (v->misuse)
		return;
	v->misuse = text;
	v->misuse_field = field;
}

void vmcs_image_write(struct vmcs_image *v, uint32_t field, uint64_t value)
{
	if (!vmcs_field_name(field)) {
		misuse(v, "31.3, VMWRITE: there is no such field", field);
		return;
	}
	if (VMCS_KIND(field) == 1)
		misuse(v, "31.3, VMWRITE: the field is read-only", field);
	if ((VMCS_WIDTH(field) == VMCS_WIDTH_16 && value >> 16) || (VMCS_WIDTH(field) == VMCS_WIDTH_32 && value >> 32))
		misuse(v, "31.3, VMWRITE: the value is wider than the field", field);
	v->value[slot(field)] = value;
	v->written[slot(field)] = 1;
}

uint64_t vmcs_image_read(const struct vmcs_image *v, uint32_t field)
{
	return v->value[slot(field)];
}

static const char *examine(struct audit *a)
{
	a->field = a->v->misuse_field;
	PART(a->v->misuse);
	a->pin = (uint32_t)get(a, VMCS_CTRL_PIN);
	a->proc = (uint32_t)get(a, VMCS_CTRL_PROC);
	a->proc2 = a->proc & PROC_SECONDARY_CONTROLS ? (uint32_t)get(a, VMCS_CTRL_PROC2) : 0;
	a->proc3 = a->proc & PROC_TERTIARY_CONTROLS ? get(a, VMCS_CTRL_PROC3) : 0;
	a->exit = (uint32_t)get(a, VMCS_CTRL_EXIT);
	a->entry = (uint32_t)get(a, VMCS_CTRL_ENTRY);
	PART(audit_controls(a));
	PART(audit_host(a));
	PART(audit_guest(a));
	RULE(a->unwritten == NO_FIELD, "25.11.3", "a field that matters was never written", a->unwritten);
	return NULL;
}

const char *vmentry_audit(const struct vmcs_image *v, const struct vmx_caps *caps, char *detail, size_t size)
{
	struct audit a = { .v = v, .caps = caps, .unwritten = NO_FIELD };
	const char *broken = examine(&a), *name = vmcs_field_name(a.field);
	if (broken && name)
		snprintf(detail, size, "%s (%04xh) = %llxh%s", name, a.field,
		         (unsigned long long)vmcs_image_read(v, a.field),
		         v->written[slot(a.field)] ? "" : ", never written");
	else
		snprintf(detail, size, "%s %04xh", broken ? "field" : "no field", a.field);
	return broken;
}

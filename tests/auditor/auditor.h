// SPDX-License-Identifier: Apache-2.0
/*
 * The VM-entry auditor: the SDM's checks on VM entry, made on the host over a recorded VMCS, naming the rule that fails
 * where the CPU says only "invalid control fields" or "invalid guest state". Not part of the shipped image.
 *
 * Not checked: contents of memory that the VMCS refers to (virtual-APIC page, shadow VMCS, MSR lists), launch state,
 * blocking by MOV SS at the time of entry, and fields of PT, LBRs, PASIDs and FRED, which the core never turns on. The
 * CPU is taken to be in IA-32e mode, outside SMM. IA32_PERF_GLOBAL_CTRL's reserved bits differ by model: not checked.
 */
#ifndef TESTS_AUDITOR_AUDITOR_H
#define TESTS_AUDITOR_AUDITOR_H

#include <stddef.h>
#include <stdint.h>

#define VMCS_SLOTS 1024u

/* A VMCS as a dictionary by field encoding. All zero: nothing was written yet. */
struct vmcs_image {
	uint64_t value[VMCS_SLOTS];
	uint8_t written[VMCS_SLOTS];
	const char *misuse; /* the first VMWRITE that no CPU would do as it was meant, or NULL */
	uint32_t misuse_field;
};

/* Contents of the capability MSRs; the control words' ones are the TRUE variants. */
struct vmx_caps {
	uint64_t basic, pin, proc, proc2, proc3, exit, exit2, entry, misc;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, ept_vpid, vmfunc;
	uint32_t physical_bits, linear_bits; /* CPUID.80000008h:EAX */
};

void vmcs_image_write(struct vmcs_image *v, uint32_t field, uint64_t value);
uint64_t vmcs_image_read(const struct vmcs_image *v, uint32_t field);

/* "VMCS_GUEST_RIP", or NULL if there is no such field. */
const char *vmcs_field_name(uint32_t field);

/* Where the core's vmwrite() and vmread() of host builds go (VMX_HOST_TEST in vmx/vmx.h). */
extern struct vmcs_image *vmcs_current;

/*
 * Would VM entry succeed? NULL, or the first rule that is broken, "section: text" (sections of SDM Vol. 3C).
 * detail: the field in question with its value.
 */
const char *vmentry_audit(const struct vmcs_image *v, const struct vmx_caps *caps, char *detail, size_t size);

/* A VMCS that enters a 64-bit guest on a CPU with these capabilities: where tests start from. */
void vmentry_good(struct vmcs_image *v, struct vmx_caps *caps);

#endif

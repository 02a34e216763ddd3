// SPDX-License-Identifier: Apache-2.0
/*
 * Device registers in a partition's memory that the core emulates (config_partition.mmio): an EPT violation there is decoded and carried
 * out. Linked only where the configuration has such ranges.
 */
#ifndef VMX_MMIO_H
#define VMX_MMIO_H

#include <stdint.h>

#include "decode.h"
#include "vcpu.h"

enum mmio_result {
	MMIO_DONE,  /* go on behind the instruction; a read has its value */
	MMIO_EVENT, /* the guest takes an exception instead */
	MMIO_NONE,  /* there is nothing: an error of the guest, as anywhere else */
};

/* The vCPU whose VMCS is current has caused an EPT violation with that exit qualification. Returns 0 if it is none of ours:
 * no such range, or an access that is not decoded. */
int mmio_access(struct vcpu *vcpu, uint64_t qualification);

/* Complete a decoded instruction, which may be long after: `value` into the register if it is a read; the guest goes on behind it. */
void mmio_finish(struct vcpu *vcpu, const struct decoded *d, uint64_t value);

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * For fuzz_hypercall: what becomes of partitions and their seals, as a simple model beside the real vmx/health.c, core/life.c and core/seal.c. What
 * loads a partition and makes a vCPU new stands in life_model.c, too; its tests are elsewhere.
 */
#ifndef TESTS_FUZZ_LIFE_MODEL_H
#define TESTS_FUZZ_LIFE_MODEL_H

#include "tests/fuzz/fuzz.h"
#include "vmx/health.h"

/* All as at the machine's start. */
void life_model_begin(struct vcpu *vcpu);

/* Does that partition run, so that it can make a call? */
int life_model_runs(uint32_t partition);

/* Arguments of one of the calls 16 to 23 that are often right. */
void life_model_arguments(struct vcpu *vcpu, struct fuzz_input *in);

/* Partition p has called with these arguments, to which it has the right; it `ended`, or got the result. Checks what the call has done, and carries
 * out what it asked for. Returns 0 if that was the machine's end. */
int life_model_called(struct vcpu *vcpu, uint32_t p, uint64_t number, const uint64_t argument[3], int ended,
                      int64_t result);

/* Time passes, and signs of life are looked for; or the copy of a payload is damaged. Returns 0 if that was the machine's end. */
int life_model_event(struct vcpu *vcpu, struct fuzz_input *in);

/* For fuzz_hypercall.c to define: the partition has been loaded again. */
void ports_model_restarted(uint32_t partition);

#endif

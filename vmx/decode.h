// SPDX-License-Identifier: Apache-2.0
/*
 * The MOV instructions that drivers use on device registers, and no others: 88 to 8B, A0 to A3, C6 /0, C7 /0, 0F B6, B7, BE and BF (SDM
 * Vol. 2A, chapter 2 and MOV, MOVZX, MOVSX). Where they access memory is not decoded: the exit says it. Pure logic; the bytes are a
 * guest's, and may be anything.
 */
#ifndef VMX_DECODE_H
#define VMX_DECODE_H

#include <stdint.h>

#define DECODE_MAX 15u /* bytes of an instruction */
#define DECODE_IMMEDIATE 16u

/* Default operand and address size of the code segment. */
enum decode_mode { DECODE_16, DECODE_32, DECODE_64 };

struct decoded {
	uint64_t immediate; /* sign-extended */
	uint8_t length;     /* bytes of the instruction */
	uint8_t write;      /* 1: to memory */
	uint8_t size;       /* of the access: 1, 2, 4 or 8 bytes */
	uint8_t reg;        /* source or destination by number, or DECODE_IMMEDIATE */
	uint8_t shift;      /* 8: bits 15 to 8 of the register (AH, CH, DH, BH); else 0 */
	uint8_t to;         /* a read: size of the destination */
	uint8_t sign;       /* a read: extended with its sign, else with zeros */
};

/* Decode the instruction at `bytes`, of which `available` are there. Returns 0 if it is none of the above, or is not wholly there. */
int decode(const uint8_t *bytes, uint32_t available, enum decode_mode mode, struct decoded *d);

/* What a write brings to memory, in the low d->size bytes. `reg`: contents of register d->reg. */
uint64_t decode_source(const struct decoded *d, uint64_t reg);

/* Register d->reg, which held `reg`, after a read of `value`. */
uint64_t decode_result(const struct decoded *d, uint64_t reg, uint64_t value);

#endif

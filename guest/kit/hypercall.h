// SPDX-License-Identifier: Apache-2.0
/*
 * The hypercalls of hypercall/abi.h as C functions. Only for code that runs on Bulkhead: elsewhere VMCALL
 * is #UD. kit_counter() and the console of kit.h work on both.
 */
#ifndef GUEST_KIT_HYPERCALL_H
#define GUEST_KIT_HYPERCALL_H

#include <stdint.h>

#include "hypercall/abi.h"

static inline int64_t hypercall(uint64_t number, const uint64_t argument[6])
{
	register uint64_t r10 __asm__("r10") = argument[3];
	register uint64_t r8 __asm__("r8") = argument[4];
	register uint64_t r9 __asm__("r9") = argument[5];
	int64_t result;
	__asm__ volatile("vmcall"
	                 : "=a"(result)
	                 : "a"(number), "D"(argument[0]), "S"(argument[1]), "d"(argument[2]), "r"(r10), "r"(r8), "r"(r9)
	                 : "memory");
	return result;
}

static inline int64_t hypercall1(uint64_t number, uint64_t argument)
{
	int64_t result;
	__asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(argument) : "memory");
	return result;
}

#endif

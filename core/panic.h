// SPDX-License-Identifier: Apache-2.0
/*
 * The end: of the machine (panic: a core bug), or of the start (refuse: a machine or configuration that cannot carry this image).
 */
#ifndef CORE_PANIC_H
#define CORE_PANIC_H

#include <stdint.h>

/* Registers as core/entry.asm pushes them. */
struct exception_frame {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Stop all CPUs, print the reason, this CPU's state and the current VMCS. Any CPU, any state. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void panic_exception(const struct exception_frame *frame);

/* VMREAD that may fail, which gives ~0: the panic may be about just that. */
uint64_t panic_peek(uint32_t field);

/* Another CPU panicked: sleep for good if so. Called where an NMI brought the core's attention. */
void panic_check(void);

/* Stop before any partition has run: says what is missing and what to do. Boot CPU. */
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Stays in release builds. */
#define ASSERT(condition)                                                                               \
	do {                                                                                            \
		if (!(condition))                                                                       \
			panic("assertion failed: %s, %s:%u", #condition, __FILE__, (uint32_t)__LINE__); \
	} while (0)

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The privileged instructions as C functions: nothing but the instruction, named as the SDM names it.
 */
#ifndef GUEST_KIT_CPU_H
#define GUEST_KIT_CPU_H

#include <stdint.h>

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;
	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t xgetbv(uint32_t xcr)
{
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(xcr));
	return (uint64_t)hi << 32 | lo;
}

static inline void xsetbv(uint32_t xcr, uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(xcr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define KIT_PORT(suffix, type)                                                    \
	static inline type in##suffix(uint16_t port)                              \
	{                                                                         \
		type v;                                                           \
		__asm__ volatile("in %1, %0" : "=a"(v) : "Nd"(port) : "memory");  \
		return v;                                                         \
	}                                                                         \
	static inline void out##suffix(uint16_t port, type v)                     \
	{                                                                         \
		__asm__ volatile("out %0, %1" : : "a"(v), "Nd"(port) : "memory"); \
	}
KIT_PORT(b, uint8_t)
KIT_PORT(w, uint16_t)
KIT_PORT(l, uint32_t)
#undef KIT_PORT

#define KIT_REGISTER(name)                                                      \
	static inline uint64_t read_##name(void)                                \
	{                                                                       \
		uint64_t v;                                                     \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v) : : "memory"); \
		return v;                                                       \
	}                                                                       \
	static inline void write_##name(uint64_t v)                             \
	{                                                                       \
		__asm__ volatile("mov %0, %%" #name : : "r"(v) : "memory");     \
	}
KIT_REGISTER(cr0)
KIT_REGISTER(cr2)
KIT_REGISTER(cr3)
KIT_REGISTER(cr4)
KIT_REGISTER(cr8)
KIT_REGISTER(dr0)
KIT_REGISTER(dr6)
KIT_REGISTER(dr7)
#undef KIT_REGISTER

static inline void invlpg(uint64_t linear)
{
	__asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}

static inline void pause(void)
{
	__asm__ volatile("pause");
}

/* For an emulator's trace (tools/bench): to Bochs's debugger a breakpoint if it is told so, to everybody else nothing. */
static inline void mark(void)
{
	__asm__ volatile("xchg %%bx, %%bx" : : : "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

/* Waits for an interrupt and loses none: STI takes effect after HLT (SDM Vol. 2B, STI). Ends with interrupts off. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

#endif

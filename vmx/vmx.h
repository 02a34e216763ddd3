// SPDX-License-Identifier: Apache-2.0
/*
 * VMX instructions, each with its result checked, and VMX on a CPU.
 * All of this: root mode, on the CPU whose VMX state it is about. SDM Vol. 3C, chapter 31.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <stdint.h>

#include "vcpu.h"
#include "vmcs.h"

/* A VMX instruction failed: a core bug, panic. Names instruction, operand (a VMCS field's encoding, or an address)
 * and the VM-instruction error (SDM Vol. 3C, 31.4). */
_Noreturn void vmx_failed(const char *instruction, uint64_t operand);

#ifdef VMX_HOST_TEST /* host tests put a recorder in the hardware's place */
uint64_t vmread(uint32_t field);
void vmwrite(uint32_t field, uint64_t value);
int vmxon(uint64_t phys);
int vmclear(uint64_t phys);
int vmptrld(uint64_t phys);
int invept(uint64_t type, uint64_t low, uint64_t high);
int invvpid(uint64_t type, uint64_t low, uint64_t high);
#else
static inline uint64_t vmread(uint32_t field)
{
	uint64_t value;
	__asm__ goto volatile("vmread %1, %0; jbe %l2" : "=r"(value) : "r"((uint64_t)field) : "cc" : bad);
	return value;
bad:
	vmx_failed("VMREAD", field);
}

static inline void vmwrite(uint32_t field, uint64_t value)
{
	__asm__ goto volatile("vmwrite %1, %0; jbe %l2" : : "r"((uint64_t)field), "rm"(value) : "cc" : bad);
	return;
bad:
	vmx_failed("VMWRITE", field);
}

/* VMXON, VMCLEAR, VMPTRLD take a physical address from memory; 0 on success. */
#define VMX_POINTER_INSTRUCTION(name)                                                             \
	static inline int name(uint64_t phys)                                                     \
	{                                                                                         \
		__asm__ goto volatile(#name " %0; jbe %l1" : : "m"(phys) : "cc", "memory" : bad); \
		return 0;                                                                         \
	bad:                                                                                      \
		return -1;                                                                        \
	}
VMX_POINTER_INSTRUCTION(vmxon)
VMX_POINTER_INSTRUCTION(vmclear)
VMX_POINTER_INSTRUCTION(vmptrld)

/* INVEPT and INVVPID: type and a 16-byte descriptor; 0 on success. */
#define VMX_INVALIDATE_INSTRUCTION(name)                                                                               \
	static inline int name(uint64_t type, uint64_t low, uint64_t high)                                             \
	{                                                                                                              \
		const struct {                                                                                         \
			uint64_t low, high;                                                                            \
		} descriptor = { low, high };                                                                          \
		__asm__ goto volatile(#name " %0, %1; jbe %l2" : : "m"(descriptor), "r"(type) : "cc", "memory" : bad); \
		return 0;                                                                                              \
	bad:                                                                                                           \
		return -1;                                                                                             \
	}
VMX_INVALIDATE_INSTRUCTION(invept)
VMX_INVALIDATE_INSTRUCTION(invvpid)
#endif

/* vmx/exit.asm: load the guest's registers and enter for the first time. If the instruction fails: vmx_failed. */
_Noreturn void vmx_launch(struct vcpu *vcpu);
void vmx_exit_entry(void); /* HOST_RIP */

/* vmx/resume.asm: enter one that was launched before. Only with shared CPUs, companions or health. */
_Noreturn void vmx_resume(struct vcpu *vcpu);

/* vmx/scheduled.asm: HOST_RIP of scheduled vCPUs. */
void vmx_exit_entry_scheduled(void);

#endif

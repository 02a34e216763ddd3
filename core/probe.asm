; SPDX-License-Identifier: Apache-2.0
; Reading an MSR that may not be there. Linked where the scheduler is.
bits 64
default rel

section .text
global cpu_probe_msr, cpu_probe_rdmsr, cpu_probe_failed

; int cpu_probe_msr(uint32_t msr, uint64_t *value)
cpu_probe_msr:
	mov	ecx, edi
cpu_probe_rdmsr:			; a #GP here goes on at cpu_probe_failed: core/cpu.c
	rdmsr
	mov	[rsi], eax
	mov	[rsi + 4], edx
	mov	eax, 1
	ret
cpu_probe_failed:
	xor	eax, eax
	ret

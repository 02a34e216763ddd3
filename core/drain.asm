; SPDX-License-Identifier: Apache-2.0
; For vmx/clean.c: takes interrupts that nobody is to get any more. EOI, and back with interrupts off.
bits 64
default rel

section .text
global drain_interrupt

drain_interrupt:
	push	rax
	push	rcx
	push	rdx
	mov	ecx, 0x80b			; x2APIC EOI
	xor	eax, eax
	xor	edx, edx
	wrmsr
	pop	rdx
	pop	rcx
	pop	rax
	and	qword [rsp + 16], ~0x200	; RFLAGS.IF
	iretq

; SPDX-License-Identifier: Apache-2.0
; For vmx/health.c on dedicated CPUs: into a vCPU that was entered before, and what takes interrupts that nobody is to get any more.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern vmx_failed

section .text
global vmx_enter_again, drain_interrupt

; RDI = vCPU
vmx_enter_again:
	load_guest_registers
	vmresume
	lea	rdi, [name_resume]
	xor	esi, esi
	mov	rsp, STACK_TOP
	call	vmx_failed
	ud2

; The handler: EOI, and back with interrupts off.
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

section .rodata
name_resume: db "VMRESUME", 0

; SPDX-License-Identifier: Apache-2.0
; The way out of a scheduled vCPU and back into it, or into another.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern vmx_exit_scheduled, vmx_failed

section .text
global vmx_exit_entry_scheduled, vmx_resume

align 16
vmx_exit_entry_scheduled:
	save_guest_registers
	call	vmx_exit_scheduled	; does not return if another vCPU goes on
	rdtsc
	sub	eax, [rbx + VCPU_START]
	cmp	eax, [rbx + VCPU_WORST]
	ja	worse
resume:
	mov	rdi, rbx
	load_changed_registers
	vmresume
entry_failed:
	lea	rdi, [name_resume]
	xor	esi, esi
	mov	rsp, STACK_TOP
	call	vmx_failed
	ud2
worse:
	mov	[rbx + VCPU_WORST], eax
	jmp	resume

; RDI = vCPU that was entered before
vmx_resume:
	load_guest_registers
	vmresume
	jmp	entry_failed

section .rodata
name_resume: db "VMRESUME", 0

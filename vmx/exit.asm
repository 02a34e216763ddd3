; SPDX-License-Identifier: Apache-2.0
; The way out of a guest and back in.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern vmx_exit, vmx_failed

section .text
global vmx_exit_entry, vmx_launch, vmx_resume_failed

align 16
vmx_exit_entry:
	save_guest_registers
	call	vmx_exit
	rdtsc
	sub	eax, [rbx + VCPU_START]	; a stay in root mode is far below 2^32 ticks
	cmp	eax, [rbx + VCPU_WORST]
	ja	worse
resume:
	mov	rdi, rbx
	load_changed_registers
	vmresume
vmx_resume_failed:
	lea	rdi, [name_resume]
	jmp	entry_failed

worse:
	mov	[rbx + VCPU_WORST], eax
	jmp	resume

; RDI = vCPU
vmx_launch:
	load_guest_registers
	vmlaunch
	lea	rdi, [name_launch]
entry_failed:
	mov	rsp, STACK_TOP
	xor	esi, esi
	call	vmx_failed
	ud2

section .rodata
name_resume: db "VMRESUME", 0
name_launch: db "VMLAUNCH", 0

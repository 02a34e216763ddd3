; SPDX-License-Identifier: Apache-2.0
; The way out of a guest and back in. HOST_RSP points behind vcpu.regs, so that the pushes fill it: the first
; register pushed is R15, the last RAX, in the order of register numbers from the low end.
%include "core/layout.inc"
bits 64
default rel

extern vmx_exit, vmx_failed

%macro load_guest_registers 0
	pop	rax
	pop	rcx
	pop	rdx
	pop	rbx
	pop	rbp			; slot of RSP
	pop	rbp
	pop	rsi
	pop	rdi
	pop	r8
	pop	r9
	pop	r10
	pop	r11
	pop	r12
	pop	r13
	pop	r14
	pop	r15
%endmacro

section .text
global vmx_exit_entry, vmx_resume, vmx_launch

align 16
vmx_exit_entry:
	push	r15
	push	r14
	push	r13
	push	r12
	push	r11
	push	r10
	push	r9
	push	r8
	push	rdi
	push	rsi
	push	rbp
	push	rbp			; slot of RSP, which is in the VMCS
	push	rbx
	push	rdx
	push	rcx
	push	rax
	mov	rdi, rsp
	mov	rsp, STACK_TOP
	call	vmx_exit		; returns the vCPU to go on with
	mov	rdi, rax

; RDI = vCPU
vmx_resume:
	mov	rsp, rdi
	load_guest_registers
	vmresume
	lea	rdi, [name_resume]
	jmp	failed

vmx_launch:
	mov	rsp, rdi
	load_guest_registers
	vmlaunch
	lea	rdi, [name_launch]
failed:
	mov	rsp, STACK_TOP
	xor	esi, esi
	call	vmx_failed
	ud2

section .rodata
name_resume: db "VMRESUME", 0
name_launch: db "VMLAUNCH", 0

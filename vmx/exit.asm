; SPDX-License-Identifier: Apache-2.0
; The way out of a guest and back in. HOST_RSP points behind vcpu.regs, so that the pushes fill it: the first
; register pushed is R15, the last RAX, in the order of register numbers from the low end.
%include "core/layout.inc"
%define VCPU_START 128		; offsets in struct vcpu: _Static_assert in vmx/exit.c
%define VCPU_WORST 132
bits 64
default rel

extern vmx_exit, vmx_failed

; All of the guest's registers, for a first entry or another vCPU than the one that exited.
%macro load_guest_registers 0
	mov	rbp, [rdi + 5 * 8]
	mov	r12, [rdi + 12 * 8]
	mov	r13, [rdi + 13 * 8]
	mov	r14, [rdi + 14 * 8]
	mov	r15, [rdi + 15 * 8]
	load_changed_registers
%endmacro

; Those that C code may have changed: it keeps RBP and R12 to R15, and no handler writes these for the guest.
%macro load_changed_registers 0
	mov	rax, [rdi]
	mov	rcx, [rdi + 1 * 8]
	mov	rdx, [rdi + 2 * 8]
	mov	rbx, [rdi + 3 * 8]
	mov	rsi, [rdi + 6 * 8]
	mov	r8, [rdi + 8 * 8]
	mov	r9, [rdi + 9 * 8]
	mov	r10, [rdi + 10 * 8]
	mov	r11, [rdi + 11 * 8]
	mov	rdi, [rdi + 7 * 8]
%endmacro

section .text
global vmx_exit_entry, vmx_launch

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
	rdtsc
	mov	rdi, rsp
	mov	rbx, rsp		; kept by C code
	mov	rsp, STACK_TOP
	mov	[rdi + VCPU_START], eax
	call	vmx_exit
	rdtsc
	sub	eax, [rbx + VCPU_START]	; a stay in root mode is far below 2^32 ticks
	cmp	eax, [rbx + VCPU_WORST]
	ja	worse
resume:
	mov	rdi, rbx
	load_changed_registers
	vmresume
	lea	rdi, [name_resume]
	jmp	failed

worse:
	mov	[rbx + VCPU_WORST], eax
	jmp	resume

; RDI = vCPU
vmx_launch:
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

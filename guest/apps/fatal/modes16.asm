; SPDX-License-Identifier: Apache-2.0
; The 16-bit part of modes.asm, with its data: offsets are from base16, and nothing pages here.
default rel

global m_v86, m_real, base16, segment16, ivt
extern tss, back
%include "guest/apps/fatal/modes.inc"

section .text
bits 32
m_v86:
	mov [tss + 4], esp
	xor eax, eax
	push eax
	push eax
	push eax
	push eax
	mov eax, base16
	shr eax, 4
	push eax                ; SS
	push stack16 - base16
	push 1 << 17 | 2        ; VM
	push eax                ; CS
	push v86 - base16
	iretd
m_real:
	lidt [idtr_real]
	jmp CODE16:to_real - base16

section .data align=16
base16:
bits 16
v86:
	xor eax, eax
	vmcall
	cmp eax, HYPERCALL_EPERM
	jne .wrong
	cpuid
	hlt                     ; #GP
.wrong:	ud2
to_real:
	mov ax, DATA16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, cr0
	and eax, ~CR0_PE
	mov cr0, eax
	jmp far [far16 - base16]
real:
	mov ax, cs
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, stack16 - base16
	xor eax, eax
	cpuid
	xor eax, eax
	vmcall
	cmp eax, 1
	jne real_other
	in al, 0x80
	out 0x80, eax
	mov eax, cr0
	or eax, CR0_CD
	mov cr0, eax
	cpuid
	wbinvd
	mov eax, cr4
	xor eax, CR4_OSXSAVE
	mov cr4, eax
	mov ecx, DENIED_MSR
	rdmsr
real_other:
	mov bx, 99
	jmp real_end
real_gp:
	mov bx, GP
real_end:
	mov eax, cr0
	or eax, CR0_PE
	mov cr0, eax
	jmp dword CODE32:from_real
align 4
far16:	dw real - base16
segment16: dw 0
ivt:
%assign v 0
%rep 32
%if v == GP
	dw real_gp - base16, 0
%else
	dw real_other - base16, 0
%endif
%assign v v+1
%endrep
	times 64 dw 0
stack16:

section .text
bits 32
from_real:
	mov ax, DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	movzx eax, bx
	jmp back

section .data align=4
idtr_real: dw 32 * 4 - 1
	dd ivt

; SPDX-License-Identifier: Apache-2.0
; First instructions of the core on each CPU, exception stubs, IDT, and the APs' real-mode start.
%include "core/layout.inc"
bits 64
default rel

extern core_main, core_ap_main, core_exception

; ---- start of the boot CPU: RDI = struct handoff, transition tables, no stack ------------------
section .text
global core_entry
core_entry:
	cli
	cld
	mov	rax, [rdi + 56]			; handoff.cpu_cr3[0]: _Static_assert in core/main.c
	mov	cr3, rax
	mov	rsp, STACK_TOP
	xor	ebp, ebp
	call	core_main
	ud2					; core_main does not return

; ---- start of an AP: long mode, transition tables; RDI = its own CR3, RSI = CPU index ----------
global ap_entry
ap_entry:
	mov	cr3, rdi
	mov	rsp, STACK_TOP
	xor	ebp, ebp
	mov	edi, esi
	call	core_ap_main
	ud2

; ---- exception stubs, at a fixed address so that the IDT below is constant ----------------------
section .stubs exec align=16
%assign v 0
%rep 32
	align 16
	%if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
	nop					; the CPU has pushed an error code
	nop
	%else
	push	0
	%endif
	push	v
	jmp	strict near exception_common
	%assign v v+1
%endrep

section .text
exception_common:
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
	push	rbx
	push	rdx
	push	rcx
	push	rax
	cld
	mov	rdi, rsp
	call	core_exception			; returns only from an NMI that was handled
	pop	rax
	pop	rcx
	pop	rdx
	pop	rbx
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
	add	rsp, 16
	iretq

; void cpu_load_segments(void): after LGDT, reload CS, data segments and TR.
global cpu_load_segments
cpu_load_segments:
	mov	eax, SEL_DATA
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	xor	eax, eax
	mov	fs, eax
	mov	gs, eax
	mov	eax, SEL_TSS
	ltr	ax
	pop	rax
	push	SEL_CODE
	push	rax
	retfq

; void cpu_unblock_nmi(void): IRET to the caller ends the blocking that an NMI exit left (SDM Vol. 3A, 6.7.1).
global cpu_unblock_nmi
cpu_unblock_nmi:
	pop	rcx
	mov	rdx, rsp
	push	SEL_DATA
	push	rdx
	pushfq
	push	SEL_CODE
	push	rcx
	iretq

; ---- the IDT: interrupt gates, IST 1 for NMI, 2 for #DF, 3 for #MC --------------------------------
section .rodata
align 16
global core_idt
core_idt:
%assign v 0
%rep 32
	%assign ist 0
	%if v == 2
	%assign ist 1
	%elif v == 8
	%assign ist 2
	%elif v == 18
	%assign ist 3
	%endif
	dw	(STUB_BASE + v * 16) & 0xffff
	dw	SEL_CODE
	db	ist, 0x8e
	dw	((STUB_BASE + v * 16) >> 16) & 0xffff
	dd	(STUB_BASE + v * 16) >> 32
	dd	0
	%assign v v+1
%endrep

; ---- the APs' start, copied to a page below 1 MiB; its parameters are the last words of the page ---------
; struct ap_parameters in core/smp.c: dword cr3 (transition), dword index, qword own cr3, qword entry
%define AP_PARAMETERS 0xfc0
global ap_trampoline, ap_trampoline_end
align 16
ap_trampoline:
bits 16
	cli
	cld
	mov	ax, cs
	mov	ds, ax
	movzx	ebx, ax
	shl	ebx, 4				; linear address of this page
	lea	eax, [ebx + .gdt - ap_trampoline]
	mov	[.gdt_pointer + 2 - ap_trampoline], eax
	lea	eax, [ebx + .long - ap_trampoline]
	mov	[.target - ap_trampoline], eax
	o32 lgdt [.gdt_pointer - ap_trampoline]
	mov	eax, cr4
	or	eax, 1 << 5			; PAE
	mov	cr4, eax
	mov	eax, [AP_PARAMETERS]
	mov	cr3, eax
	mov	ecx, 0xc0000080			; EFER: LME, NXE
	rdmsr
	or	eax, 1 << 8 | 1 << 11
	wrmsr
	mov	eax, 0x80010011			; PG, WP, ET, PE in one step
	mov	cr0, eax
	jmp	far dword [.target - ap_trampoline]
bits 64
.long:
	mov	ebx, ebx
	mov	rdi, [rbx + AP_PARAMETERS + 8]
	mov	esi, [rbx + AP_PARAMETERS + 4]
	jmp	[rbx + AP_PARAMETERS + 16]
align 8
.gdt:
	dq	0, 0x00209b0000000000		; 08h: 64-bit code
.gdt_pointer:
	dw	15
	dd	0
.target:
	dd	0
	dw	8
ap_trampoline_end:

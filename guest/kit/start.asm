; SPDX-License-Identifier: Apache-2.0
; First instruction of a bare-metal partition, in the state of config.h, struct config_entry.
; RDI: struct kit_info. RSP: undefined.
bits 64
default rel

global _start
extern kit_main, kit_stack_top, kit_bss_start, kit_bss_end, kit_start_tsc

section .text.start progbits alloc exec nowrite align=16
_start:
	rdtsc                           ; before anything else: kit_start_tsc is a figure
	shl rdx, 32
	or rax, rdx
	mov rbx, rax
	mov rsi, rdi
	lea rsp, [kit_stack_top]
	cld
	lea rdi, [kit_bss_start]        ; the loader need not have zeroed it
	lea rcx, [kit_bss_end]
	sub rcx, rdi
	shr rcx, 3
	xor eax, eax
	rep stosq
	mov [kit_start_tsc], rbx
	mov rdi, rsi
	xor ebp, ebp
	call kit_main
	ud2

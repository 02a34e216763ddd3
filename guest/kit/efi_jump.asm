; SPDX-License-Identifier: Apache-2.0
; The application's ELF file, and the jump into it in the state of config.h, struct config_entry.
bits 64
default rel

global application, application_end, enter_application

section .data
align 16
application: incbin APPLICATION
application_end:

align 8
gdt:	dq 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	dw $ - gdt - 1
	dq 0

section .text
; void enter_application(uint64_t entry, const struct kit_info *info, uint64_t cr3); System V order of arguments.
enter_application:
	cli
	lea rax, [gdt]
	mov [gdtr + 2], rax
	lgdt [gdtr]
	mov cr3, rdx
	mov ax, 0x18
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov rdx, rdi
	mov rdi, rsi
	push 0x10
	push rdx
	retfq

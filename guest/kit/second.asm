; SPDX-License-Identifier: Apache-2.0
; How the partition's second vCPU gets from the start-up IPI to C. Copied to a page below 1 MiB; SDM Vol. 3A, 9.4 and 10.8.5.
%define PAGE 0x8000             ; second.c

global kit_second, kit_second_end, kit_second_cr3
extern kit_second_main

%define AT(label) (PAGE + label - kit_second)

section .rodata
align 16
bits 16
kit_second:
	cli
	xor ax, ax
	mov ds, ax
	lgdt [AT(gdtr)]
	mov eax, 1 << 5         ; PAE
	mov cr4, eax
	mov eax, [AT(kit_second_cr3)]
	mov cr3, eax
	mov ecx, 0xc0000080     ; EFER
	mov eax, 1 << 8         ; LME
	xor edx, edx
	wrmsr
	mov eax, 1 << 31 | 1 << 16 | 1 << 5 | 1 ; PG, WP, NE, PE
	mov cr0, eax
	jmp dword 0x10:AT(long_mode)
bits 64
long_mode:
	mov eax, 0x18
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov rsp, kit_second_top
	mov rax, kit_second_main
	call rax
	ud2
align 8
gdt:	dq 0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	dw gdtr - gdt - 1
	dd AT(gdt)
kit_second_cr3: dd 0            ; below 4 GiB, where all of a kit partition is
kit_second_end:

section .bss align=16
	resb 8192
kit_second_top:

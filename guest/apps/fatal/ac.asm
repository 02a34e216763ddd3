; SPDX-License-Identifier: Apache-2.0
; The endless #AC. Entered in compatibility mode at CPL 0, identity-mapped; goes on to protected mode without paging,
; then to CPL 3 with EFLAGS.AC and an odd stack pointer. The gate of #AC leads to CPL 3: no stack switch, the push of
; its frame is misaligned and raises #AC. #AC is benign (SDM Vol. 3A, table 6-4): no double fault, no end.
bits 32

global fatal_ac_code

CR0_PG_OFF equ ~(1 << 31)
CR0_AM equ 1 << 18
IA32_EFER equ 0xc0000080
EFER_LME_OFF equ ~(1 << 8)
RFLAGS_AC equ 1 << 18
CODE3 equ 0x1b
DATA3 equ 0x23
VECTOR_AC equ 17

section .text
fatal_ac_code:
	mov eax, cr0
	and eax, CR0_PG_OFF
	mov cr0, eax
	mov ecx, IA32_EFER
	rdmsr
	and eax, EFER_LME_OFF
	wrmsr
	mov eax, ac_handler
	mov [gate], ax
	shr eax, 16
	mov [gate + 6], ax
	lgdt [gdtr]
	lidt [idtr]
	mov eax, cr0
	or eax, CR0_AM
	mov cr0, eax
	mov ax, 0x10
	mov ss, ax
	mov esp, stack_top
	mov ax, DATA3
	mov ds, ax
	mov es, ax
	push DATA3
	push stack_top - 65
	push 2 | RFLAGS_AC
	push CODE3
	push user
	iretd

user:
	push eax                ; four bytes at an odd address
	jmp user

ac_handler:
	jmp ac_handler

section .data
align 16
gdt:	dq 0
	dq 0x00cf9b000000ffff   ; 08h, CPL 0
	dq 0x00cf93000000ffff   ; 10h
	dq 0x00cffb000000ffff   ; 1bh, CPL 3
	dq 0x00cff3000000ffff   ; 23h
gdtr:	dw gdtr - gdt - 1
	dd gdt
align 16
idt:	times VECTOR_AC dq 0
gate:	dw 0, CODE3, 0xee00, 0  ; 32-bit interrupt gate, DPL 3
idt_end:
idtr:	dw idt_end - idt - 1
	dd idt

section .bss align=16
	resb 1024
stack_top:

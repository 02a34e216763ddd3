; SPDX-License-Identifier: Apache-2.0
;
; The loader's last instructions, copied to the trampoline's second page, which the firmware's address space and the
; transition one both have at the same place. Position independent.
;
;   void enter_core(uint64_t cr3, uint64_t entry, uint64_t handoff)
;
bits 64
default rel

IA32_EFER	equ 0xc0000080
EFER_NXE	equ 11
CR4_PGE		equ 1 << 7
CR4_PCIDE	equ 1 << 17
CR4_CET		equ 1 << 23

section .rodata
global enter_start, enter_end
enter_start:
	cli
	mov	r8, rdx
	mov	ecx, IA32_EFER
	rdmsr
	bts	eax, EFER_NXE		; before tables with NX bits are loaded
	wrmsr
	mov	rax, cr4		; without PGE and PCIDE, a new CR3 leaves nothing of the firmware in the TLB
	and	eax, ~(CR4_PGE | CR4_PCIDE | CR4_CET)
	mov	cr4, rax		; (SDM Vol. 3A, 4.10.4.1)
	mov	cr3, rdi
	mov	rdi, r8
	jmp	rsi
enter_end:

section .note.GNU-stack noalloc noexec nowrite progbits

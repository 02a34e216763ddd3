; SPDX-License-Identifier: Apache-2.0
; The modes a kit application never sees: protected mode without paging, with PAE and with legacy paging, compatibility,
; virtual-8086 and real mode. What is emulated in them, and page-directory pointers that lead out of the partition.
;
; run32(code) leaves 64-bit mode, calls code in 32-bit protected mode without paging, and comes back. modes32 is such
; code: it runs each line of the table `modes`, whose `got` is the vector of the exception that ended it or -1.
default rel

global run32, modes32, modes, modes_end, task32, tss, back

extern m_v86, m_real, base16, segment16, ivt
%include "guest/apps/fatal/modes.inc"

section .text
bits 64
run32:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [saved_rsp], rsp
	sgdt [saved_gdt]
	sidt [saved_idt]
	mov rax, cr3
	mov [saved_cr3], rax
	mov rax, cr4
	mov [saved_cr4], rax
	lgdt [gdtr64]
	push CODE32
	lea rax, [.enter]
	push rax
	retfq
bits 32
.enter:
	mov ax, DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, stack_top
	call plain
	lidt [idtr32]
	call edi
	call plain
	mov eax, [saved_cr3]
	mov cr3, eax
	mov eax, ~0
	mov ebx, EFER_LME
	call change_efer
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
	jmp CODE64:.leave
bits 64
.leave:
	mov rsp, [saved_rsp]
	lgdt [saved_gdt]
	lidt [saved_idt]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

bits 32
change_efer:                    ; EFER & EAX | EBX
	mov esi, eax
	mov ecx, EFER
	rdmsr
	and eax, esi
	or eax, ebx
	wrmsr
	ret

plain:                          ; protected mode without paging, caches on, CR4 as it was
	mov eax, cr0
	and eax, ~(CR0_PG | CR0_CD | CR0_NW | CR0_TS)
	mov cr0, eax
	mov eax, [saved_cr4]
	mov cr4, eax
	mov dword [pdpt + 8], 0
	mov dword [pdpt + 12], 0
	mov eax, ~EFER_LME
	xor ebx, ebx
	jmp change_efer

; ---- the runner --------------------------------------------------------------------------------------------------
modes32:
	mov eax, base16         ; bases and gates, which the assembler cannot spread
	mov ebx, gdt + CODE16
	call set_base
	mov ebx, gdt + DATA16
	call set_base
	mov eax, edge_cpuid - 0xfffe
	mov ebx, gdt + EDGE16
	call set_base
	mov eax, tss
	mov ebx, gdt + TSS32
	call set_base
	mov ax, TSS32
	ltr ax
	mov eax, stubs
	mov ebx, idt
.gates:
	mov [ebx], ax
	ror eax, 16
	mov [ebx + 6], ax
	ror eax, 16
	add eax, STUB
	add ebx, 8
	cmp ebx, idt + TASK_VECTOR * 8
	jb .gates
	mov eax, pd
	or eax, 1
	mov [pdpt], eax
	mov eax, base16
	shr eax, 4
	mov [segment16], ax
	mov ecx, 32
	mov ebx, ivt + 2
.segments:
	mov [ebx], ax
	add ebx, 4
	loop .segments
	mov ebp, modes
.next:
	call try
	mov [ebp + 24], eax
	xor eax, eax
	cpuid                   ; an exit and an entry with the state that is left
	call plain
	lidt [idtr32]
	add ebp, 32
	cmp ebp, modes_end
	jb .next
	ret

set_base:                       ; EBX = descriptor, EAX = base
	mov [ebx + 2], ax
	mov ecx, eax
	shr ecx, 16
	mov [ebx + 4], cl
	mov [ebx + 7], ch
	ret

try:
	push ebp
	mov [try_esp], esp
	mov ebx, [ebp + 8]
	call ebx
	mov eax, NONE
back:
	mov esp, [try_esp]
	pop ebp
	ret

align STUB
stubs:
%assign v 0
%rep 32
	align STUB
	push v
	jmp exception
%assign v v+1
%endrep
exception:
	pop eax
	mov cx, DATA
	mov ds, cx
	mov es, cx
	jmp back

; ---- what is tried -----------------------------------------------------------------------------------------------
%macro MODE 3                   ; name, vector that is due or NONE, code label
section .rodata
%%name:	db %1, 0
section .data
	dq %%name, %3
	dq %2, 0
%endmacro
%macro CR0_OR 1
	mov eax, cr0
	or eax, %1
	mov cr0, eax
%endmacro
%macro CR4_XOR 1
	mov eax, cr4
	xor eax, %1
	mov cr4, eax
%endmacro
%macro PAE 1                    ; into PAE paging; further bits of CR0
	mov eax, pdpt
	mov cr3, eax
	CR0_OR CR0_PG | %1
%endmacro

section .data align=32
modes:
MODE "cpuid", NONE, m_cpuid
MODE "vmcall", NONE, m_vmcall
MODE "rdmsr", GP, m_rdmsr
MODE "in", NONE, m_in
MODE "caches_off", NONE, m_caches_off
MODE "nw_without_cd", GP, m_nw
MODE "pg_without_pe", GP, m_pg_without_pe
MODE "pg_without_pe_emulated", GP, m_pg_without_pe_cd
MODE "vmxe", GP, m_vmxe
MODE "la57", GP, m_la57
MODE "pcide", GP, m_pcide
MODE "pcide_emulated", GP, m_pcide_emulated
MODE "lmsw_clts", NONE, m_lmsw
MODE "vmxon", UD, m_vmxon
MODE "getsec", UD, m_getsec
MODE "pae", NONE, m_pae
MODE "pae_emulated", NONE, m_pae_emulated
MODE "pae_cr4", NONE, m_pae_cr4
MODE "pae_reserved", GP, m_pae_reserved
MODE "pae_reserved_emulated", GP, m_pae_reserved_emulated
MODE "pae_width", GP, m_pae_width
MODE "pae_width_emulated", GP, m_pae_width_emulated
MODE "pae_cr4_reserved", GP, m_pae_cr4_reserved
MODE "pae_outside", GP, m_pae_outside
MODE "pae_outside_emulated", GP, m_pae_outside_emulated
MODE "pae_cr3_outside", GP, m_pae_cr3_outside
MODE "pae_entry_outside", GP, m_pae_entry_outside
MODE "legacy", NONE, m_legacy
MODE "legacy_emulated", NONE, m_legacy_emulated
MODE "long_emulated", NONE, m_long
MODE "long_without_pae", GP, m_long_without_pae
MODE "long_without_pae_emulated", GP, m_long_without_pae_emulated
MODE "segment_end", GP, m_segment_end
MODE "virtual_8086", GP, m_v86
MODE "real", GP, m_real
section .data
modes_end:

section .text
m_cpuid:
	cpuid
	ret
m_vmcall:                       ; BH_VERSION
	xor eax, eax
	vmcall
	cmp eax, 1
	je .right
	int3
.right:	ret
m_rdmsr:
	mov ecx, DENIED_MSR
	rdmsr
	ret
m_in:
	in al, 0x80
	out 0x80, ax
	ret
m_caches_off:
	CR0_OR CR0_CD
	cpuid
	CR0_OR CR0_CD | CR0_NW
	wbinvd
	invd
	ret
m_nw:
	CR0_OR CR0_NW
	ret
m_pg_without_pe:
	mov eax, cr0
	and eax, ~CR0_PE
	or eax, CR0_PG
	mov cr0, eax
	ret
m_pg_without_pe_cd:
	mov eax, cr0
	and eax, ~CR0_PE
	or eax, CR0_PG | CR0_CD
	mov cr0, eax
	ret
m_vmxe:
	CR4_XOR CR4_VMXE
	ret
m_la57:
	CR4_XOR CR4_LA57
	ret
m_pcide:
	CR4_XOR CR4_PCIDE
	ret
m_pcide_emulated:
	CR4_XOR CR4_PCIDE | CR4_OSXSAVE
	ret
m_lmsw:
	smsw eax
	and eax, ~CR0_PE        ; which it cannot clear
	or eax, CR0_TS
	lmsw ax
	cpuid
	clts
	ret
m_vmxon:
	vmxon [pdpt]
	ret
m_getsec:
	getsec
	ret
m_pae:
	PAE 0
	cpuid
	ret
m_pae_emulated:
	PAE CR0_CD
	cpuid
	ret
m_pae_cr4:
	PAE 0
	CR4_XOR CR4_PGE | CR4_OSXSAVE
	cpuid
	CR4_XOR CR4_PGE
	ret
m_pae_reserved:
	mov dword [pdpt + 8], 3
	PAE 0
	ret
m_pae_reserved_emulated:
	mov dword [pdpt + 8], 3
	PAE CR0_CD
	ret
m_pae_width:                    ; bit 51
	mov dword [pdpt + 8], 1
	mov dword [pdpt + 12], 1 << 19
	PAE 0
	ret
m_pae_width_emulated:
	mov dword [pdpt + 8], 1
	mov dword [pdpt + 12], 1 << 19
	PAE CR0_CD
	ret
m_pae_cr4_reserved:
	PAE 0
	mov dword [pdpt + 8], 3
	CR4_XOR CR4_PGE | CR4_OSXSAVE
	ret
m_pae_outside:
	mov eax, FOREIGN
	mov cr3, eax
	CR0_OR CR0_PG
	ret
m_pae_outside_emulated:
	mov eax, FOREIGN
	mov cr3, eax
	CR0_OR CR0_PG | CR0_CD
	ret
m_pae_cr3_outside:
	PAE 0
	mov eax, FOREIGN
	mov cr3, eax
	ret
m_pae_entry_outside:
	mov dword [pdpt + 8], FOREIGN | 1
	PAE CR0_CD
	mov eax, [1 << 30]
	ret
legacy_tables:
	mov eax, cr4
	and eax, ~CR4_PAE
	or eax, CR4_PSE
	mov cr4, eax
	mov eax, directory
	mov cr3, eax
	ret
m_legacy:
	call legacy_tables
	CR0_OR CR0_PG
	cpuid
	call m_vmcall
	ret
m_legacy_emulated:
	call legacy_tables
	CR0_OR CR0_PG | CR0_CD
	cpuid
	CR4_XOR CR4_PGE | CR4_OSXSAVE
	ret
m_long:                         ; into compatibility mode and out of it, both emulated
	mov eax, [saved_cr3]
	mov cr3, eax
	mov eax, ~0
	mov ebx, EFER_LME
	call change_efer
	CR0_OR CR0_PG | CR0_CD
	cpuid
	call m_vmcall
	mov eax, cr0
	and eax, ~(CR0_PG | CR0_CD)
	mov cr0, eax
	ret
without_pae:
	mov eax, ~0
	mov ebx, EFER_LME
	call change_efer
	mov eax, cr4
	and eax, ~CR4_PAE
	mov cr4, eax
	ret
m_long_without_pae:
	call without_pae
	CR0_OR CR0_PG
	ret
m_long_without_pae_emulated:
	call without_pae
	CR0_OR CR0_PG | CR0_CD
	ret
m_segment_end:                  ; CPUID in the last two bytes of a 16-bit segment
	call EDGE16:0xfffe
	ret
edge_cpuid:
	cpuid
	retf
; A task gate: what it leads to must never run.
task32:
	mov eax, tss
	mov ebx, gdt + TSS32
	call set_base
	int TASK_VECTOR
	ret

section .data align=16
gdt:	dq 0
	dq 0x00cf9b000000ffff   ; 08h
	dq 0x00af9b000000ffff   ; 10h
	dq 0x00cf93000000ffff   ; 18h
	dq 0x00009b000000ffff   ; 20h, 16-bit, base set at run time, as for all below
	dq 0x000093000000ffff   ; 28h
	dq 0, 0
	dq 0x0000890000000067   ; 40h, TSS
	dq 0x00009b000000ffff   ; 48h
gdt_end:
gdtr64:	dw gdt_end - gdt - 1
	dq gdt
tss:	dd 0, stack_top, DATA
	times 23 dd 0
idtr32:	dw idt_end - idt - 1
	dd idt
align 16
idt:
%assign v 0
%rep 32
%if v == TASK_VECTOR
	dw 0, TSS32, 0x8500, 0
%else
	dw 0, CODE32, 0x8e00, 0
%endif
%assign v v+1
%endrep
idt_end:

align 4096
directory: dd 0x83              ; 4 MiB, one to one
	times 1023 dd 0
pd:	dq 0x83
	times 511 dq 0
align 32
pdpt:	dq 0, 0, 0, 0

section .bss align=16
	resb 2048
stack_top:
saved_rsp: resq 1
saved_cr3: resq 1
saved_cr4: resq 1
saved_gdt: resb 16
saved_idt: resb 16
try_esp: resd 1

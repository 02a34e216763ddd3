; SPDX-License-Identifier: Apache-2.0
; Single steps over instructions that exit: the trap must come right behind each, as over any other. A table of name, code, the
; address behind the instruction, and the vector that is due.
bits 64
default rel

global steps, steps_end

DB_VECTOR equ 1
GP_VECTOR equ 13

%macro STEP 4-5+                ; name, vector, where it points (0 behind, 1 at it), instruction, what comes first
section .rodata
%%name:	db %1, 0
section .data
	dq %%name, %%code
%if %3
	dq %%before
%else
	dq %%after
%endif
	dq %2
section .text
%%code:
%if %0 > 4
	%5
%endif
	pushfq
	or dword [rsp], 1 << 8          ; TF
	popfq
%%before:
	%4
%%after:
	nop
	nop
	ret
%endmacro

section .data align=8
steps:
STEP "nop", DB_VECTOR, 0, nop
STEP "cpuid", DB_VECTOR, 0, cpuid
STEP "vmcall", DB_VECTOR, 0, vmcall, xor eax, eax
STEP "rdmsr", DB_VECTOR, 0, rdmsr, mov ecx, 0x802
STEP "rdmsr_denied", GP_VECTOR, 1, rdmsr, mov ecx, 0x200
STEP "in", DB_VECTOR, 0, {in al, 0x80}
STEP "out", DB_VECTOR, 0, {out 0x80, al}, xor eax, eax
STEP "wbinvd", DB_VECTOR, 0, wbinvd
STEP "invd", DB_VECTOR, 0, invd
STEP "mov_cr0", DB_VECTOR, 0, {mov cr0, rax}, {mov rax, cr0}
STEP "vmxoff", 6, 1, vmxoff
%macro MOV_SS_CPUID 0
	mov ss, ax
	cpuid
%endmacro
STEP "mov_ss_cpuid", DB_VECTOR, 0, MOV_SS_CPUID, {mov eax, ss}
; ICEBP is a trap of its own accord.
section .rodata
icebp_name: db "icebp", 0
section .data
	dq icebp_name, icebp_code, icebp_after, DB_VECTOR
section .text
icebp_code:
	db 0xf1
icebp_after:
	nop
	ret
section .data
steps_end:

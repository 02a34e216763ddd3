; SPDX-License-Identifier: Apache-2.0
; Instructions for tests/host/test_decode.c as an assembler writes them, each with what the decoder must make of it.
; struct form { bytes, immediate, mode, write, size, reg, shift, to, sign, length } (test_decode.c)

global forms, forms_end, others, others_end


%assign immediate 0
%macro bitsof 1
	bits	%1
	%assign mode %1 / 32 ; 16: 0, 32: 1, 64: 2
%endmacro

; form write, size, register, shift, destination size, sign, instruction
%macro form 7+
section .text
%%begin:
	%7
%%end:
section .data
	dq	%%begin, immediate
	db	mode, %1, %2, %3, %4, %5, %6, %%end - %%begin
%endmacro

%macro other 1+
section .text
%%begin:
	%1
%%end:
	times	16 db 90h
section .data2
	dq	%%begin, 0
	db	mode, 0, 0, 0, 0, 0, 0, %%end - %%begin
%endmacro

; Every register of a size with one address: regs size, destination size, address, registers in the order of their numbers
%macro regs 3-*
	%assign count 0
	%assign size %1
	%define address %3
	%rep	%0 - 3
		form	0, size, count, 0, size, 0, {mov %4, [address]}
		form	1, size, count, 0, size, 0, {mov [address], %4}
		%assign count count + 1
		%rotate 1
	%endrep
%endmacro

; MOVZX and MOVSX from a byte and a word: extend destination size, address, registers
%macro extend 3-*
	%assign count 0
	%assign size %1
	%define address %2
	%rep	%0 - 2
		form	0, 1, count, 0, size, 0, {movzx %3, byte [address]}
		form	0, 1, count, 0, size, 1, {movsx %3, byte [address]}
		%if size > 2
		form	0, 2, count, 0, size, 0, {movzx %3, word [address]}
		form	0, 2, count, 0, size, 1, {movsx %3, word [address]}
		%endif
		%assign count count + 1
		%rotate 1
	%endrep
%endmacro

; The four byte registers that REX takes away
%macro high 1
	%define address %1
	form	0, 1, 0, 8, 1, 0, {mov ah, [address]}
	form	1, 1, 1, 8, 1, 0, {mov [address], ch}
	form	0, 1, 2, 8, 1, 0, {mov dh, [address]}
	form	1, 1, 3, 8, 1, 0, {mov [address], bh}
%endmacro

; Immediates of all sizes but the 64-bit one
%macro immediates 1
	%define address %1
	%assign immediate 12h
	form	1, 1, 16, 0, 1, 0, {mov byte [address], 12h}
	%assign immediate -2
	form	1, 1, 16, 0, 1, 0, {mov byte [address], -2}
	form	1, 2, 16, 0, 2, 0, {mov word [address], -2}
	form	1, 4, 16, 0, 4, 0, {mov dword [address], -2}
	%assign immediate 12345678h
	form	1, 4, 16, 0, 4, 0, {mov dword [address], 12345678h}
	%assign immediate 0
%endmacro

%macro wide 1 ; an address, in 64-bit mode
	regs	8, 0, {%1}, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	regs	4, 0, {%1}, eax, ecx, edx, ebx, esp, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
	regs	2, 0, {%1}, ax, cx, dx, bx, sp, bp, si, di, r8w, r9w, r10w, r11w, r12w, r13w, r14w, r15w
	regs	1, 0, {%1}, al, cl, dl, bl, spl, bpl, sil, dil, r8b, r9b, r10b, r11b, r12b, r13b, r14b, r15b
	extend	8, {%1}, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	extend	4, {%1}, eax, ecx, edx, ebx, esp, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
	extend	2, {%1}, ax, cx, dx, bx, sp, bp, si, di, r8w, r9w, r10w, r11w, r12w, r13w, r14w, r15w
	immediates {%1}
	%assign immediate -3
	form	1, 8, 16, 0, 8, 0, {mov qword [address], -3}
	%assign immediate 0
%endmacro

%macro narrow 1 ; an address, in 16-bit and 32-bit code
	regs	4, 0, {%1}, eax, ecx, edx, ebx, esp, ebp, esi, edi
	regs	2, 0, {%1}, ax, cx, dx, bx, sp, bp, si, di
	regs	1, 0, {%1}, al, cl, dl, bl
	extend	4, {%1}, eax, ecx, edx, ebx, esp, ebp, esi, edi
	extend	2, {%1}, ax, cx, dx, bx, sp, bp, si, di
	high	{%1}
	immediates {%1}
%endmacro

section .data2 progbits alloc noexec write align=8
others:
section .data
align 8
forms:
default abs

section .text
somewhere:

bitsof 64
	wide	rax
	wide	r13
	wide	rsp
	wide	r12 + 8
	wide	rbp + 1000h
	wide	rbx + rcx * 4
	wide	rbp + r9 * 8 + 40h
	wide	rdi * 2 + 12345h
	wide	rel somewhere
	wide	abs 1000h
	wide	eax
	wide	esp + edx * 2 + 5
	wide	fs:rsi
	wide	gs:r15d - 800000h
	high	rax
	high	rbx + rsi * 2 + 1000h
	high	fs:rbp - 4
	form	0, 1, 0, 0, 1, 0, {mov al, [qword 1122334455667788h]}
	form	0, 2, 0, 0, 2, 0, {mov ax, [qword 1122334455667788h]}
	form	0, 4, 0, 0, 4, 0, {mov eax, [qword 1122334455667788h]}
	form	0, 8, 0, 0, 8, 0, {mov rax, [qword 1122334455667788h]}
	form	1, 1, 0, 0, 1, 0, {mov [qword 1122334455667788h], al}
	form	1, 2, 0, 0, 2, 0, {mov [qword 1122334455667788h], ax}
	form	1, 4, 0, 0, 4, 0, {mov [qword 1122334455667788h], eax}
	form	1, 8, 0, 0, 8, 0, {mov [qword 1122334455667788h], rax}
	form	0, 4, 0, 0, 4, 0, {db 67h, 0a1h, 1, 2, 3, 4}
	; prefixes that come twice, and a REX that another prefix makes void
	form	1, 2, 0, 0, 2, 0, {db 66h, 66h, 2eh, 89h, 7}
	form	1, 2, 0, 0, 2, 0, {db 48h, 66h, 89h, 7}
	form	1, 8, 0, 0, 8, 0, {db 66h, 48h, 89h, 7}
	form	1, 4, 0, 0, 4, 0, {db 4ch, 3eh, 89h, 7}
	; fifteen bytes, the longest
	form	1, 4, 8, 0, 4, 0, {db 2eh, 2eh, 2eh, 2eh, 2eh, 2eh, 67h, 44h, 89h, 84h, 8bh, 1, 2, 3, 4}

bitsof 32
	narrow	eax
	narrow	esp
	narrow	ebp + 8
	narrow	ebx + ecx * 4 + 12345h
	narrow	edi * 8 + 1000h
	narrow	12345678h
	narrow	es:esi
	narrow	bx
	narrow	bp + di - 3
	narrow	word 1234h
	narrow	si + 1000h

bitsof 16
	narrow	bx + si
	narrow	bp
	narrow	di + 4
	narrow	bp + 1000h
	narrow	1234h
	narrow	es:bx
	narrow	eax
	narrow	dword 12345678h
	narrow	esp + ebp * 2 + 7

section .data
forms_end:

; What is not decoded, though it accesses memory, or is no memory access at all.
bitsof 64
	other	add [rax], ecx
	other	add ecx, [rax]
	other	xchg [rax], ecx
	other	or dword [rax], 1
	other	test dword [rax], 1
	other	inc dword [rax]
	other	push qword [rax]
	other	pop qword [rax]
	other	movsb
	other	movsd
	other	stosd
	other	lodsd
	other	rep stosd
	other	lock xadd [rax], ecx
	other	lock cmpxchg [rax], ecx
	other	cmpxchg8b [rax]
	other	movnti [rax], ecx
	other	movsxd rax, dword [rax]
	other	movbe eax, [rax]
	other	bts dword [rax], 1
	other	movups xmm0, [rax]
	other	movd [rax], mm0
	other	vmovdqu ymm0, [rax]
	other	fld dword [rax]
	other	fxsave [rax]
	other	xsave [rax]
	other	mov ds, [rax]
	other	mov [rax], ds
	other	call [rax]
	other	jmp [rax]
	other	lgdt [rax]
	other	sgdt [rax]
	other	clflush [rax]
	other	mov eax, ecx
	other	mov al, ch
	other	movzx eax, cl
	other	{db 0c7h, 0c0h, 1, 2, 3, 4} ; MOV to a register
	other	{db 0c7h, 08h, 1, 2, 3, 4}  ; C7 /1
	other	{db 0c6h, 38h, 1}           ; C6 /7
	other	{db 0f3h, 89h, 7}
	other	{db 0f2h, 89h, 7}
	other	{db 0f0h, 89h, 7}
	other	{db 2eh, 2eh, 2eh, 2eh, 2eh, 2eh, 2eh, 67h, 44h, 89h, 84h, 8bh, 1, 2, 3, 4} ; sixteen bytes
	other	{times 15 db 66h}
	other	{db 62h, 0f1h, 7ch, 48h, 10h, 0}
bitsof 32
	other	{db 48h, 89h, 7} ; DEC
	other	les eax, [eax]
section .data2
others_end:

section .note.GNU-stack noalloc noexec nowrite progbits

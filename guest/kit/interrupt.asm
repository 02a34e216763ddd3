; SPDX-License-Identifier: Apache-2.0
; Interrupt entries, one a vector, and kit_try. The frame is struct kit_frame of kit.h.
bits 64
default rel

global kit_entries, kit_try, kit_try_recover, kit_try_stack, kit_ist1_top
extern kit_dispatch

ENTRY_SIZE equ 16
; Exceptions that push an error code: SDM Vol. 3A, table 6-1.
%define ERROR_CODES (1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30)

section .text
align ENTRY_SIZE
kit_entries:
%assign vector 0
%rep 256
	align ENTRY_SIZE
%if vector > 31
	push 0
%elif (ERROR_CODES >> vector) & 1 == 0
	push 0
%endif
	push strict dword vector
	jmp save_frame
%assign vector vector + 1
%endrep

save_frame:
	push rax
	push rbx
	push rcx
	push rdx
	push rsi
	push rdi
	push rbp
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	cld
	mov rdi, rsp            ; a multiple of 16: the CPU aligned it and 22 words were pushed
	call kit_dispatch
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rbp
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rbx
	pop rax
	add rsp, 16
	iretq

; int kit_try(void (*function)(void *), void *argument)
; The function may destroy every register but RSP. After an exception kit_dispatch returns
; to kit_try_recover with RSP as saved here and the vector in RAX.
kit_try:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	pushfq
	mov [kit_try_stack], rsp
	mov rax, rdi
	mov rdi, rsi
	call rax
	mov eax, -1
kit_try_recover:
	mov qword [kit_try_stack], 0
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .bss align=16
	resb 4096
kit_ist1_top:
kit_try_stack: resq 1           ; 0: nobody tries anything

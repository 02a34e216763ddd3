; SPDX-License-Identifier: Apache-2.0
; The way out of companions, and of vCPUs on dedicated CPUs that have one; and back into either.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern companion_exit, companion_master_exit, vmx_failed

section .text
global vmx_exit_entry_companion, vmx_exit_entry_master, vmx_companion_resume

align 16
vmx_exit_entry_companion:
	save_guest_registers
	call	companion_exit		; does not return
	ud2

align 16
vmx_exit_entry_master:
	save_guest_registers
	call	companion_master_exit	; does not return
	ud2

; RDI = vCPU that was entered before
vmx_companion_resume:
	load_guest_registers
	vmresume
	lea	rdi, [name_resume]
	xor	esi, esi
	mov	rsp, STACK_TOP
	call	vmx_failed
	ud2

section .rodata
name_resume: db "VMRESUME", 0

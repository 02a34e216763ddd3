; SPDX-License-Identifier: Apache-2.0
; The way out of a scheduled vCPU and back into it.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern vmx_exit_scheduled, vmx_resume_failed

section .text
global vmx_exit_entry_scheduled

align 16
vmx_exit_entry_scheduled:
	save_guest_registers
	call	vmx_exit_scheduled	; does not return if another vCPU goes on
	rdtsc
	sub	eax, [rbx + VCPU_START]
	cmp	eax, [rbx + VCPU_WORST]
	ja	worse
resume:
	mov	rdi, rbx
	load_changed_registers
	vmresume
	jmp	vmx_resume_failed
worse:
	mov	[rbx + VCPU_WORST], eax
	jmp	resume

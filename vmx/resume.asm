; SPDX-License-Identifier: Apache-2.0
; Into a vCPU that was entered before, with all of its registers: another one than exited last on this CPU, or one that has rested.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern vmx_resume_failed

section .text
global vmx_resume

; RDI = vCPU
vmx_resume:
	load_guest_registers
	vmresume
	jmp	vmx_resume_failed

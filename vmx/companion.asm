; SPDX-License-Identifier: Apache-2.0
; The way out of companions, and of vCPUs on dedicated CPUs that have one.
%include "core/layout.inc"
%include "vmx/exit.inc"
bits 64
default rel

extern companion_exit, companion_master_exit

section .text
global vmx_exit_entry_companion, vmx_exit_entry_master

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

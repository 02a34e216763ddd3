; SPDX-License-Identifier: Apache-2.0
; struct core_header of boot/handoff.h, in the first bytes of the image.
%include "core/layout.inc"
extern core_entry, handoff
extern core_total_size, core_image_size, text_size, rodata_size, data_start, data_size
extern ept_start, ept_size, tables_start, tables_size, percpu_start, percpu_size, percpu_stride, percpu_data_size
extern config_cpus, config_start, config_size

%define R 1
%define RW 3
%define RX 5
%define BOOT_CPU 1

%macro percpu 3				; offset from PERCPU_BASE, offset in the block, bytes
	dd	%1, %2, %3
%endmacro

section .header progbits alloc noexec nowrite align=16
header:
	dq	0x45524f434b4c5542		; "BULKCORE"
	dd	1, header_end - header
	dq	core_entry
	dq	core_total_size
	dq	core_image_size
	dq	handoff
	; start, size, rights, flags (link-time absolute values: see core/core.lds)
	dd	0, text_size, RX, 0
	dd	text_size, rodata_size, R, 0
	dd	data_start, data_size, RW, 0
	dd	ept_start, ept_size, RW, BOOT_CPU
	dd	tables_start, tables_size, 0, 0
	dd	percpu_start, percpu_size, 0, 0
	dd	config_cpus, percpu_stride
	percpu	0x1000, 0x0000, 0x2000	; stack
	percpu	0x4000, 0x2000, 0x1000	; NMI stack
	percpu	0x6000, 0x3000, 0x1000	; #DF stack
	percpu	0x8000, 0x4000, 0x1000	; #MC stack
	percpu	0xa000, 0x5000, percpu_data_size
	times 3 dd 0, 0, 0
	dd	0x1f0000			; the page directory with the window
	dd	config_start, config_size
header_end:


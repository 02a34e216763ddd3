; SPDX-License-Identifier: Apache-2.0
; The core's flat image, which begins with struct core_header. nasm finds it through -I.
section .rodata align=16
global core_image_start, core_image_end
core_image_start:
	incbin	"core.bin"
core_image_end:

section .note.GNU-stack noalloc noexec nowrite progbits

# SPDX-License-Identifier: Apache-2.0
# Small EFI applications that check the test bed itself. The including Makefile may
# set BUILD (build) and GNU_EFI (/usr); alone: make -f tests/selfcheck/selfcheck.mk

BUILD ?= build
GNU_EFI ?= /usr

SELFCHECK_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
SELFCHECK_EFI := $(BUILD)/selfcheck.efi $(BUILD)/empty.efi $(BUILD)/misuse.efi
SELFCHECK_CFLAGS := -std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fpic -fshort-wchar \
	-fno-stack-protector -fno-strict-aliasing -mno-red-zone -mgeneral-regs-only -maccumulate-outgoing-args \
	-DGNU_EFI_USE_MS_ABI -isystem $(GNU_EFI)/include/efi -isystem $(GNU_EFI)/include/efi/x86_64
# crt0 calls _relocate, which is in libgnuefi.a; nothing else of the library is used.
SELFCHECK_LDFLAGS := -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic --no-undefined \
	-T $(GNU_EFI)/lib/elf_x86_64_efi.lds $(GNU_EFI)/lib/crt0-efi-x86_64.o
SELFCHECK_SECTIONS := -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j .rel -j .rela -j .reloc

.PHONY: selfcheck
selfcheck: $(SELFCHECK_EFI)

$(SELFCHECK_EFI): $(BUILD)/%.efi: $(SELFCHECK_DIR)/%.c $(SELFCHECK_DIR)/efi.h $(SELFCHECK_DIR)/selfcheck.mk
	@mkdir -p $(BUILD)/selfcheck.d
	$(CC) $(SELFCHECK_CFLAGS) -c -o $(BUILD)/selfcheck.d/$*.o $<
	$(LD) $(SELFCHECK_LDFLAGS) $(BUILD)/selfcheck.d/$*.o $(GNU_EFI)/lib/libgnuefi.a -o $(BUILD)/selfcheck.d/$*.so
	$(OBJCOPY) $(SELFCHECK_SECTIONS) --target=efi-app-x86_64 $(BUILD)/selfcheck.d/$*.so $@

ifeq ($(origin OBJCOPY),undefined)
OBJCOPY := objcopy
endif

# SPDX-License-Identifier: Apache-2.0
# The guest kit's applications: build/guest/<app>.elf, and build/guest/<app>.efi to run them on the bare machine.
# Included by the top Makefile, or alone: make -f guest/guest.mk help

O ?= build
GUEST_OUT := $(O)/guest
GUEST_CC ?= gcc
GUEST_EFI_DIR ?= /usr/lib

GUEST_CFLAGS := -std=c17 -O2 -ffreestanding -fno-stack-protector -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)=. \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror \
	-I. -Iguest/kit -MMD -MP
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,-T,guest/kit/link.ld -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,--gc-sections -Wl,--fatal-warnings

GUEST_KIT_OBJECTS := $(patsubst guest/kit/%,$(GUEST_OUT)/kit/%.o,$(addprefix guest/kit/,start.asm interrupt.asm main.c \
	interrupt.c console.c memory.c window.c second.asm second.c))

# An application is guest/apps/NAME.c and, if it has more, guest/apps/NAME/. A variant is the same with other -D options:
# GUEST_DEFINES_<variant>, GUEST_SOURCE_<variant>. Variants keep objects of their own.
GUEST_FATAL_KINDS := $(patsubst fatal_%,%,$(shell sed -n 's/^void \(fatal_[a-z0-9]*\)(const struct kit_info \*info);.*/\1/p' guest/apps/fatal/fatal.h))
GUEST_APPS := $(filter-out fatal,$(basename $(notdir $(wildcard guest/apps/*.c)))) rtbench rtspin rtload hostile_late hostile_shared tracebench tracewrite auditwrite counterswrite \
	phoenix_few phoenix_many phoenix_large filter_live rtorders rthist \
	$(addprefix hostile_,$(GUEST_FATAL_KINDS))
GUEST_SOURCE_rtbench := rt
GUEST_DEFINES_rtbench := -DRT_BENCH=1
GUEST_SOURCE_rthist := rt
GUEST_DEFINES_rthist := -DRT_BENCH=1 -DRT_PERIODS=1000u -DRT_ROUNDS=10u
GUEST_SOURCE_rtorders := rt
GUEST_DEFINES_rtorders := -DRT_ORDERS=1
GUEST_SOURCE_filter_live := filter
GUEST_DEFINES_filter_live := -DFILTER_LIVE=1
GUEST_SOURCE_rtspin := rt
GUEST_DEFINES_rtspin := -DRT_BENCH=1 -DRT_SPIN=1
GUEST_SOURCE_rtload := rt
GUEST_DEFINES_rtload := -DRT_BENCH=1 -DRT_DELAY_MS=90000u
GUEST_SOURCE_tracebench := trace
GUEST_DEFINES_tracebench := -DTRACE_WINDOWS=100000u -DTRACE_RECORDS=64u
GUEST_SOURCE_tracewrite := trace
GUEST_DEFINES_tracewrite := -DTRACE_WRITE=1
GUEST_SOURCE_counterswrite := counters
GUEST_DEFINES_counterswrite := -DCOUNTERS_WRITE=1
GUEST_SOURCE_auditwrite := auditor
GUEST_DEFINES_auditwrite := -DAUDITOR_WRITE=1
GUEST_APPS += porthostile1m
GUEST_SOURCE_porthostile1m := porthostile
GUEST_DEFINES_porthostile1m := -DHOSTILE_CALLS=1000000u
GUEST_SOURCE_hostile_late := hostile
GUEST_DEFINES_hostile_late := -DHOSTILE_KEY=1
GUEST_SOURCE_hostile_shared := hostile
GUEST_DEFINES_hostile_shared := -DHOSTILE_SHARED=1
GUEST_SOURCE_phoenix_few := phoenix
GUEST_DEFINES_phoenix_few := -DPHOENIX_LIVES=30u
GUEST_SOURCE_phoenix_many := phoenix
GUEST_DEFINES_phoenix_many := -DPHOENIX_LIVES=10000u
GUEST_SOURCE_phoenix_large := phoenix
GUEST_DEFINES_phoenix_large := -DPHOENIX_LIVES=11u
$(foreach k,$(GUEST_FATAL_KINDS),$(eval GUEST_SOURCE_hostile_$k := fatal) \
	$(eval GUEST_DEFINES_hostile_$k := -DFATAL_KIND=$k))

GUEST_ELFS := $(GUEST_APPS:%=$(GUEST_OUT)/%.elf)
GUEST_EFIS := $(GUEST_APPS:%=$(GUEST_OUT)/%.efi)

.PHONY: guest guest-efi guest-clean
.SECONDARY:
guest: $(GUEST_ELFS)
guest-efi: $(GUEST_EFIS)
guest-clean:
	rm -rf $(GUEST_OUT)

$(GUEST_OUT)/kit/%.c.o: guest/kit/%.c
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) -c $< -o $@

$(GUEST_OUT)/kit/%.asm.o: guest/kit/%.asm
	@mkdir -p $(@D)
	nasm -f elf64 -Werror -MD $(@:.o=.d) -o $@ $<

# $1 application or variant, $2 name of its source
define GUEST_RULES
$(GUEST_OUT)/$1/%.c.o: guest/apps/%.c guest/guest.mk
	@mkdir -p $$(@D)
	$$(GUEST_CC) $$(GUEST_CFLAGS) $$(GUEST_DEFINES_$1) -c $$< -o $$@
$(GUEST_OUT)/$1/%.asm.o: guest/apps/%.asm
	@mkdir -p $$(@D)
	nasm -f elf64 -Werror -MD $$(@:.o=.d) -o $$@ $$<
$(GUEST_OUT)/$1.elf: $(patsubst guest/apps/%,$(GUEST_OUT)/$1/%.o,guest/apps/$2.c $(wildcard guest/apps/$2/*.c \
	guest/apps/$2/*.asm)) $(GUEST_KIT_OBJECTS) guest/kit/link.ld
	$$(GUEST_CC) $$(GUEST_LDFLAGS) $$(filter %.o,$$^) -o $$@
endef
$(foreach a,$(GUEST_APPS),$(eval $(call GUEST_RULES,$a,$(or $(GUEST_SOURCE_$a),$a))))

# The .efi: gnu-efi's start code, efi_start.c, and the application's ELF file as it is.
GUEST_EFI_CFLAGS := -std=c17 -O2 -ffreestanding -fno-stack-protector -mno-red-zone -mgeneral-regs-only -fpic -fshort-wchar \
	-fno-asynchronous-unwind-tables -fcf-protection=none -DGNU_EFI_USE_MS_ABI -maccumulate-outgoing-args \
	-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror \
	-isystem /usr/include/efi -isystem /usr/include/efi/x86_64 -I. -Iguest/kit -MMD -MP

$(GUEST_OUT)/efi/efi_start.o: guest/kit/efi_start.c
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_EFI_CFLAGS) -c $< -o $@

$(GUEST_OUT)/efi/%.o: guest/kit/efi_jump.asm $(GUEST_OUT)/%.elf
	@mkdir -p $(@D)
	nasm -f elf64 -Werror -DAPPLICATION='"$(GUEST_OUT)/$*.elf"' -o $@ $<

$(GUEST_OUT)/%.efi: $(GUEST_OUT)/efi/efi_start.o $(GUEST_OUT)/efi/%.o
	ld -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic -T $(GUEST_EFI_DIR)/elf_x86_64_efi.lds $(GUEST_EFI_DIR)/crt0-efi-x86_64.o \
		$^ $(GUEST_EFI_DIR)/libgnuefi.a -o $(GUEST_OUT)/efi/$*.so
	objcopy -j .text -j .sdata -j .data -j .dynamic -j .rodata -j .rel -j .rela -j .rel.* -j .rela.* -j .reloc \
		--target=efi-app-x86_64 $(GUEST_OUT)/efi/$*.so $@

-include $(wildcard $(GUEST_OUT)/*/*.d $(GUEST_OUT)/*/*/*.d)

ifeq ($(firstword $(MAKEFILE_LIST)),guest/guest.mk)
.DEFAULT_GOAL := guest
.PHONY: help
help:
	@echo 'make -f guest/guest.mk [guest]     applications as ELF files in $(GUEST_OUT)/'
	@echo 'make -f guest/guest.mk guest-efi   the same as .efi, for the bare machine'
	@echo 'make -f guest/guest.mk $(GUEST_OUT)/hello.elf   one of them'
	@echo 'applications: $(GUEST_APPS)'
endif

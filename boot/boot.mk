# SPDX-License-Identifier: Apache-2.0
#
# $(OBJDIR)/bulkhead.efi from the loader, the configuration and the core. Included by the Makefile, from the
# repository's root. Needs:
#   OBJDIR        directory for everything made here
#   CONFIG_C      generated tables (config.c); config_sizes.h beside it
#   CORE_BIN      the core's flat image, named core.bin
# Link: gnu-efi's crt0 calls _relocate (all that libgnuefi.a has) and efi_main; boot/loader.lds gives each section pages
# of its own; tools/pefix sets NX_COMPAT and refuses an image that is writable and executable anywhere.

BOOT_DIR := $(OBJDIR)/boot
BOOT_C := boot/loader.c boot/message.c boot/memory.c boot/table.c boot/volume.c boot/spaces.c ept/pagetable.c config/validate.c config/validate_time.c \
	$(if $(filter-out 0,$(CONFIG_MMIO)),config/validate_io.c) $(if $(filter-out 0,$(CONFIG_HEALTH)),config/validate_health.c) \
	$(if $(filter-out 0,$(CONFIG_IOMMU)),config/validate_devices.c) $(if $(filter-out 0,$(CONFIG_DEVICES)),config/validate_pci.c) \
	$(if $(filter-out 0,$(CONFIG_CHANNELS) $(CONFIG_DOORBELLS)),config/validate_ports.c) \
	$(if $(filter-out 0,$(CONFIG_TRUST)),boot/measure.c boot/txt.c boot/txt_needs.c)
BOOT_ASM := boot/enter.asm boot/core_image.asm
BOOT_OBJS := $(BOOT_C:%.c=$(BOOT_DIR)/%.o) $(BOOT_ASM:%.asm=$(BOOT_DIR)/%.o) $(BOOT_DIR)/config.o
CONFIG_SIZES := $(dir $(CONFIG_C))config_sizes.h

EFI_LIB ?= $(dir $(firstword $(wildcard $(addsuffix /crt0-efi-x86_64.o,/usr/lib /usr/lib/x86_64-linux-gnu/gnuefi \
	/usr/lib/x86_64-linux-gnu /usr/lib/gnuefi))))
EFI_INCLUDE ?= /usr/include/efi
BOOT_CFLAGS := -std=c17 -Os -ffreestanding -fpic -fvisibility=hidden -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-jump-tables -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	-fcf-protection=none -DGNU_EFI_USE_MS_ABI \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror \
	-I. -isystem $(EFI_INCLUDE) -isystem $(EFI_INCLUDE)/x86_64 -include $(CONFIG_SIZES)
BOOT_LDFLAGS := -shared -Bsymbolic -nostdlib -T boot/loader.lds -z norelro -z max-page-size=4096 \
	--hash-style=sysv --build-id=none --no-undefined --strip-debug --orphan-handling=error

$(BOOT_DIR)/%.o: %.c $(CONFIG_SIZES) boot/boot.mk
	@mkdir -p $(@D)
	$(CC) $(BOOT_CFLAGS) -MMD -MP -c $< -o $@

$(BOOT_DIR)/config.o: $(CONFIG_C) $(CONFIG_SIZES) boot/boot.mk
	@mkdir -p $(@D)
	$(CC) $(BOOT_CFLAGS) -MMD -MP -c $< -o $@

$(BOOT_DIR)/boot/core_image.o: $(CORE_BIN)
$(BOOT_DIR)/%.o: %.asm boot/boot.mk
	@mkdir -p $(@D)
	nasm -f elf64 -I $(dir $(CORE_BIN)) $< -o $@

$(BOOT_DIR)/pefix: tools/pefix.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror $< -o $@

$(BOOT_DIR)/bulkhead.so: $(BOOT_OBJS) boot/loader.lds
	$(LD) $(BOOT_LDFLAGS) $(EFI_LIB)crt0-efi-x86_64.o $(BOOT_OBJS) $(EFI_LIB)libgnuefi.a -o $@

$(OBJDIR)/bulkhead.efi: $(BOOT_DIR)/bulkhead.so $(BOOT_DIR)/pefix
	objcopy -j .text -j .rodata -j .data -j .rela -j .reloc --strip-all \
		-I elf64-x86-64 -O efi-app-x86_64 --file-alignment 512 --section-alignment 4096 $< $@.tmp
	$(BOOT_DIR)/pefix $@.tmp
	mv $@.tmp $@

-include $(BOOT_OBJS:.o=.d)

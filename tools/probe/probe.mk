# SPDX-License-Identifier: Apache-2.0
#
# build/probe.efi: what a board has, against the needs of CONFIG. Included by the Makefile after boot/boot.mk, whose way of building
# it takes.
PROBE_C := tools/probe/probe.c tools/probe/pci.c boot/message.c boot/table.c core/acpi.c core/tpm2.c vmx/capability.c
PROBE_OBJS := $(PROBE_C:%.c=$(BUILD)/probe.d/$(NAME)/%.o) $(BOOT_DIR)/config.o

$(BUILD)/probe.d/$(NAME)/%.o: %.c $(CONFIG_SIZES) tools/probe/probe.mk boot/boot.mk
	@mkdir -p $(@D)
	$(CC) $(BOOT_CFLAGS) -ffunction-sections -MMD -MP -c $< -o $@
$(BUILD)/probe.d/$(NAME)/probe.efi: $(PROBE_OBJS) $(BOOT_DIR)/pefix boot/loader.lds
	$(LD) $(BOOT_LDFLAGS) --gc-sections $(EFI_LIB)crt0-efi-x86_64.o $(PROBE_OBJS) $(EFI_LIB)libgnuefi.a -o $@.so
	objcopy -j .text -j .rodata -j .data -j .rela -j .reloc --strip-all \
		-I elf64-x86-64 -O efi-app-x86_64 --file-alignment 512 --section-alignment 4096 $@.so $@
	$(BOOT_DIR)/pefix $@
-include $(PROBE_OBJS:.o=.d)

.PHONY: probe
probe: $(BUILD)/probe.d/$(NAME)/probe.efi
	@cp $< $(BUILD)/probe.efi
	@echo "$(BUILD)/probe.efi: for configuration $(NAME); it writes BOARD.YAML beside itself. As EFI/BOOT/BOOTX64.EFI on a stick it starts by itself"

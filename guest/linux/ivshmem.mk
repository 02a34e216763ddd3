# SPDX-License-Identifier: Apache-2.0
# The initramfs with guest/linux/ivshmem.c, and the kernel's own modules that wake it. Included by the Makefile.

UIO := $(addprefix $(CACHE)/kernel/modules/,uio.ko uio_pci_generic.ko)
$(UIO) &: | $(HOST_READY)
	@tools/setup --only kernel
$(BUILD)/payload/ivshmem: guest/linux/ivshmem.c guest/apps/ivshmem/messages.h guest/apps/ivshmem/pci.h | $(HOST_READY)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -I. $< -o $@
$(BUILD)/payload/initrd-ivshmem.cpio.gz: tools/initramfs guest/linux/init guest/linux/ivshmem.mk $(BUILD)/payload/ivshmem | $(UIO)
	@tools/initramfs --add $(BUILD)/payload/ivshmem $(foreach m,$(UIO),--add $m:/lib/$(notdir $m)) $@ guest/linux/init

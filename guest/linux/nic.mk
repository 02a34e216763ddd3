# SPDX-License-Identifier: Apache-2.0
# Debian's generic kernel, which has drivers for real hardware, and its driver e1000: payloads of a partition with that device.
# Included by the Makefile. tools/setup --only generic fetches them, when they are asked for.

GENERIC := $(CACHE)/generic

$(GENERIC)/vmlinuz: | $(HOST_READY)
	@tools/setup --only generic
$(PAYLOAD)/vmlinuz-generic: | $(GENERIC)/vmlinuz
	@mkdir -p $(@D)
	@cp $(GENERIC)/vmlinuz $@
$(PAYLOAD)/initrd-nic.cpio.gz: tools/initramfs guest/linux/init guest/linux/nic.mk | $(GENERIC)/vmlinuz
	@tools/initramfs --add $(GENERIC)/e1000.ko:/lib/e1000.ko $@ guest/linux/init

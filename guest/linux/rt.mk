# SPDX-License-Identifier: Apache-2.0
# Debian's PREEMPT_RT kernel with cyclictest: as payloads of a partition, and as an EFI application for the bare emulator.
# Included by the Makefile. tools/setup --only rt fetches them, when they are asked for.

RT := $(CACHE)/rt
RT_LIB := $(RT)/root/usr/lib/x86_64-linux-gnu
RT_LIBRARIES := libc.so.6 libnuma.so.1 libpthread.so.0 librt.so.1
RT_CMDLINE := console=ttyS0 cryptomgr.notests quiet bulkhead.test=cyclictest bulkhead.cycles=2000
PAYLOAD := $(BUILD)/payload

$(RT)/vmlinuz: | $(HOST_READY)
	@tools/setup --only rt
$(PAYLOAD)/vmlinuz-rt: | $(RT)/vmlinuz
	@mkdir -p $(@D)
	@cp $(RT)/vmlinuz $@
$(PAYLOAD)/exits: guest/linux/exits.c guest/kit/hypercall.h hypercall/abi.h | $(HOST_READY)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -I. $< -o $@
$(PAYLOAD)/initrd-rt.cpio.gz: tools/initramfs guest/linux/init guest/linux/rt.mk $(PAYLOAD)/exits | $(RT)/vmlinuz
	@tools/initramfs --add $(RT)/root/usr/bin/cyclictest --add $(PAYLOAD)/exits \
		--add $(RT_LIB)/ld-linux-x86-64.so.2:/lib64/ld-linux-x86-64.so.2 \
		$(foreach l,$(RT_LIBRARIES),--add $(RT_LIB)/$l:/lib/x86_64-linux-gnu/$l) $@ guest/linux/init

# Sections and addresses: systemd-stub(7). clearcpuid=fsrm: docs/testbed.md, faults of the emulator.
$(PAYLOAD)/linux-rt.efi: $(PAYLOAD)/vmlinuz-rt $(PAYLOAD)/initrd-rt.cpio.gz guest/linux/rt.mk
	@printf '%s' '$(RT_CMDLINE) clearcpuid=fsrm' >$@.cmdline
	@objcopy --add-section .cmdline=$@.cmdline --change-section-vma .cmdline=0x30000 \
		--add-section .linux=$(PAYLOAD)/vmlinuz-rt --change-section-vma .linux=0x2000000 \
		--add-section .initrd=$(PAYLOAD)/initrd-rt.cpio.gz --change-section-vma .initrd=0x3000000 \
		$(RT)/root/usr/lib/systemd/boot/efi/linuxx64.efi.stub $@

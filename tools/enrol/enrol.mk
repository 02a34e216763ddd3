# SPDX-License-Identifier: Apache-2.0
# $(BUILD)/enrol.efi, which enrols Secure Boot keys. Included by the Makefile after tests/selfcheck/selfcheck.mk, whose way of
# building it takes.

$(BUILD)/enrol.efi: tools/enrol/enrol.c tests/selfcheck/efi.h tests/selfcheck/selfcheck.mk tools/enrol/enrol.mk
	@mkdir -p $(BUILD)/selfcheck.d
	$(CC) $(SELFCHECK_CFLAGS) -I. -c -o $(BUILD)/selfcheck.d/enrol.o $<
	$(LD) $(SELFCHECK_LDFLAGS) $(BUILD)/selfcheck.d/enrol.o $(GNU_EFI)/lib/libgnuefi.a -o $(BUILD)/selfcheck.d/enrol.so
	$(OBJCOPY) $(SELFCHECK_SECTIONS) --target=efi-app-x86_64 $(BUILD)/selfcheck.d/enrol.so $@
selfcheck: $(BUILD)/enrol.efi

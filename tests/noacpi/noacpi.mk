# SPDX-License-Identifier: Apache-2.0
# $(BUILD)/noacpi.efi, which starts Bulkhead with bad ACPI tables. Included by the Makefile after
# tests/selfcheck/selfcheck.mk, whose way of building it takes; made with `make selfcheck`.

selfcheck: $(BUILD)/noacpi.efi
$(BUILD)/noacpi.efi: tests/noacpi/noacpi.c tests/noacpi/tcg2.h tests/selfcheck/efi.h tests/selfcheck/selfcheck.mk tests/noacpi/noacpi.mk
	@mkdir -p $(BUILD)/selfcheck.d
	$(CC) $(SELFCHECK_CFLAGS) -I. -c -o $(BUILD)/selfcheck.d/noacpi.o $<
	$(LD) $(SELFCHECK_LDFLAGS) $(BUILD)/selfcheck.d/noacpi.o $(GNU_EFI)/lib/libgnuefi.a -o $(BUILD)/selfcheck.d/noacpi.so
	$(OBJCOPY) $(SELFCHECK_SECTIONS) --target=efi-app-x86_64 $(BUILD)/selfcheck.d/noacpi.so $@

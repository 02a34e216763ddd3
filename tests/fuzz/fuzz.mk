# SPDX-License-Identifier: Apache-2.0
#
# Fuzz targets: tests/fuzz/fuzz_NAME.c with the sources that FUZZ_NAME lists. `make fuzz SECONDS=n` gives each of them n seconds,
# with clang's libFuzzer if clang is there, else with random inputs (random.c). The host tests run each for a moment.
# Included by the Makefile, behind tests/host/host.mk.

FUZZ_acpi := core/acpi.c
FUZZ_audit := $(SEAM_SOURCES) $(SEAM)/config.c
FUZZ_consolemux := core/consolemux.c
FUZZ_config := config/validate.c config/validate_time.c config/validate_io.c config/validate_health.c config/validate_devices.c config/validate_pci.c config/validate_ports.c $(SEAM)/config.c
FUZZ_dmar := vtd/dmar.c
FUZZ_decode := vmx/decode.c vmx/linear.c
FUZZ_pciview := vmx/pciview.c
FUZZ_tpm2 := core/tpm2.c
FUZZ_exit := $(SEAM_SOURCES) $(SEAM)/config.c
# With tables of its own, that have health too.
FUZZ_TABLES_hypercall := $(BUILD)/fuzz/tables_hypercall
FUZZ_hypercall := $(SEAM_SOURCES) hypercall/health.c vmx/health.c core/seal.c config/validate_health.c tests/fuzz/life_model.c $(FUZZ_TABLES_hypercall)/config.c
$(FUZZ_TABLES_hypercall)/config.c: tests/fuzz/hypercall.yaml $(BUILD)/mkconfig $(BUILD)/guest/hello.elf
	@mkdir -p $(@D)
	$(BUILD)/mkconfig build $< --out $(@D) --root $(BUILD)

FUZZ_TARGETS := acpi audit config consolemux decode dmar exit
FUZZ_TARGETS += hypercall
FUZZ_TARGETS += pciview tpm2
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_HEADERS := $(wildcard tests/fuzz/*.h tests/host/seam.h tests/auditor/*.h core/*.h vmx/*.h vtd/*.h config/*.h boot/handoff.h)
# fuzz_exit and fuzz_hypercall write through the seam's VMREAD and VMWRITE, like the tests that have all of vmx/.
FUZZ_exit_LDFLAGS := -Wl,--wrap=vmread,--wrap=vmwrite
FUZZ_hypercall_LDFLAGS := $(FUZZ_exit_LDFLAGS)
FUZZ_audit_LDFLAGS := $(FUZZ_exit_LDFLAGS)
FUZZ_CFLAGS = -include $(or $(FUZZ_TABLES_$(1)),$(SEAM))/config_sizes.h -include tests/host/seam.h
FUZZ_SHORT := 2 # seconds a target in the host tests
SECONDS ?= 60
CLANG := $(shell command -v clang)

define FUZZ_PROGRAM
$(FUZZ_BUILD)/random_$(1): tests/fuzz/fuzz_$(1).c $(HOST_BUILD)/tests/fuzz/random.o $(FUZZ_$(1)) $(SEAM)/config.c $(FUZZ_HEADERS)
	@mkdir -p $$(@D)
	$$(HOST_CC) $$(HOST_CFLAGS) $(FUZZ_CFLAGS) tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) \
		$(HOST_BUILD)/tests/fuzz/random.o $(FUZZ_$(1)_LDFLAGS) -o $$@
$(FUZZ_BUILD)/guided_$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) $(SEAM)/config.c $(FUZZ_HEADERS)
	@mkdir -p $$(@D)
	clang -std=c17 -D_GNU_SOURCE -DVMX_HOST_TEST -g -O1 -I. -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $(FUZZ_CFLAGS) tests/fuzz/fuzz_$(1).c $(FUZZ_$(1)) $(FUZZ_$(1)_LDFLAGS) -o $$@
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call FUZZ_PROGRAM,$(t))))

.PHONY: fuzz-short fuzz-random fuzz-guided
fuzz-short: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/random_%)
	@for t in $(FUZZ_TARGETS); do $(FUZZ_BUILD)/random_$$t $(FUZZ_SHORT) || exit 1; done
fuzz-random: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/random_%)
	@echo "clang is not installed: random inputs, $(SECONDS) s each"
	@for t in $(FUZZ_TARGETS); do $(FUZZ_BUILD)/random_$$t $(SECONDS) || exit 1; done
# What reaches new code is kept in build/fuzz/corpus_NAME, and from there by `tools/corpus pack` in tests/fuzz/corpus_NAME.hex; an input that fails is written to build/fuzz/NAME-crash-*.
fuzz-guided: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/guided_%)
	@for t in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ_BUILD)/corpus_$$t; \
		if [ -f tests/fuzz/corpus_$$t.hex ]; then tools/corpus unpack tests/fuzz/corpus_$$t.hex $(FUZZ_BUILD)/corpus_$$t; fi; \
		$(FUZZ_BUILD)/guided_$$t -max_total_time=$(SECONDS) -max_len=2048 -timeout=10 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ_BUILD)/$$t- $(FUZZ_BUILD)/corpus_$$t >$(FUZZ_BUILD)/$$t.log 2>&1 || \
			{ tail -n 30 $(FUZZ_BUILD)/$$t.log; echo "FAILED: fuzz_$$t, see $(FUZZ_BUILD)/$$t.log"; exit 1; }; \
		printf '  %-14s %10s inputs in $(SECONDS) s, guided by coverage: ok\n' $$t \
			"$$(sed -n 's/^stat::number_of_executed_units: *//p' $(FUZZ_BUILD)/$$t.log)"; \
	done

# SPDX-License-Identifier: Apache-2.0
#
# Host tests: each tests/host/test_NAME.c is a cmocka program of its own, built with sanitizers together with
# the sources that HOST_NAME lists. Those in SEAM_TESTS take all of vmx/ and hypercall/ instead, with a fake
# CPU in the hardware's place (seam.h). Included by the Makefile.

# What each test tests.
HOST_acpi := core/acpi.c
HOST_auditor := tests/auditor/auditor.c tests/auditor/control.c tests/auditor/host.c tests/auditor/guest.c \
	tests/auditor/good.c
HOST_consolemux := core/consolemux.c
HOST_decode := vmx/decode.c tests/host/decode_forms.asm
HOST_flr := core/flr.c
HOST_ioapic := vmx/ioapic.c
HOST_lapic := vmx/lapic.c
HOST_lapic_timer := vmx/lapic.c
HOST_ivshmem := guest/apps/ivshmem/pci.c
HOST_legacy := $(wildcard guest/apps/legacy/*.c)
HOST_linear := vmx/linear.c
HOST_life := core/life.c
HOST_message := core/message.c
HOST_page := vtd/page.c
HOST_pagetable := ept/pagetable.c
HOST_pciview := vmx/pciview.c
HOST_reload := core/reload.c core/sha256.c
HOST_sched := sched/sched.c
HOST_sha256 := core/sha256.c
HOST_tpm2 := core/tpm2.c
HOST_txt := boot/txt_needs.c
HOST_validate := config/validate.c config/validate_time.c config/validate_io.c config/validate_health.c config/validate_devices.c config/validate_pci.c config/validate_ports.c
HOST_validate_io := config/validate_io.c
HOST_validate_devices := config/validate_devices.c
HOST_vtd := vtd/format.c
HOST_dmar := vtd/dmar.c
HOST_validate_pci := config/validate_pci.c
HOST_validate_ports := config/validate_ports.c
HOST_validate_time := config/validate_time.c sched/sched.c
HOST_walk := ept/walk.c ept/pagetable.c

SEAM_TESTS := apicv audit cpuid event hypercall icr io mmio msr registers selfcheck scheduled scheduled_core startup trace uart vcpu
SEAM_TESTS += ports overrun

HOST_BUILD := build/host
HOST_CC := gcc
HOST_CFLAGS := -std=c17 -D_GNU_SOURCE -DVMX_HOST_TEST -g -O1 -I. \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
comma := ,
SEAM := $(HOST_BUILD)/seam
SEAM_SOURCES := core/sha256.c $(filter-out vmx/switch.c vmx/flush.c vmx/companion.c vmx/health.c vmx/clean.c vmx/counters.c vmx/pci.c vmx/pciview.c vmx/overrun.c,$(wildcard vmx/*.c)) core/life.c core/posted.c core/audit.c core/survivor.c core/message.c sched/sched.c $(filter-out hypercall/health.c,$(wildcard hypercall/*.c)) tests/host/seam.c tests/host/seam_scheduled.c tests/host/seam_models.c $(HOST_auditor)
SEAM_OBJS := $(SEAM_SOURCES:%.c=$(SEAM)/%.o) $(SEAM)/config.o
HOST_TESTS := $(patsubst tests/host/test_%.c,%,$(sort $(wildcard tests/host/test_*.c)))
HOST_TIME_LIMIT := $(shell echo $$((240 * $${BULKHEAD_TIME_FACTOR:-1}))) # seconds a program

.PHONY: host-tests host-proofs
host-tests: host-proofs $(HOST_TESTS:%=$(HOST_BUILD)/test_%)
	@passed=0; bad=; \
	for t in $(HOST_TESTS); do \
		log=$(HOST_BUILD)/test_$$t.log; \
		if timeout $(HOST_TIME_LIMIT) $(HOST_BUILD)/test_$$t >$$log 2>&1; then state=ok; \
		else state=FAILED; bad="$$bad $$t"; grep -v -E '^\[( RUN|       OK)' $$log | tail -n 40; fi; \
		n=$$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' $$log); passed=$$((passed + $${n:-0})); \
		printf '  %-14s %4s tests %s\n' $$t "$${n:-0}" $$state; \
	done; \
	echo "host tests: $(words $(HOST_TESTS)) programs, $$passed tests passed"; \
	[ -z "$$bad" ] || echo "FAILED:$$bad: see $(HOST_BUILD)/test_NAME.log"; \
	[ -z "$$bad" ]
	@$(MAKE) --no-print-directory fuzz-short

$(HOST_BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(HOST_CFLAGS) -MMD -MP -c $< -o $@

$(HOST_BUILD)/%.asm.o: %.asm
	@mkdir -p $(@D)
	nasm -f elf64 -Werror $< -o $@

# The tables that mkconfig makes of seam.yaml.
$(SEAM)/config.c $(SEAM)/config_sizes.h &: tests/host/seam.yaml $(BUILD)/mkconfig $(BUILD)/guest/hello.elf
	@mkdir -p $(@D)
	$(BUILD)/mkconfig build $< --out $(SEAM) --root $(BUILD)
SEAM_CC = @mkdir -p $(@D) && \
	$(HOST_CC) $(HOST_CFLAGS) -include $(SEAM)/config_sizes.h -include tests/host/seam.h -MMD -MP -c $< -o $@
$(SEAM)/%.o: %.c $(SEAM)/config_sizes.h
	$(SEAM_CC)
$(SEAM)/config.o: $(SEAM)/config.c
	$(SEAM_CC)
$(SEAM_TESTS:%=$(HOST_BUILD)/test_%): $(HOST_BUILD)/test_%: $(SEAM)/tests/host/test_%.o $(SEAM_OBJS)
	$(HOST_CC) $(HOST_CFLAGS) -Wl,--wrap=vmread,--wrap=vmwrite $^ -lcmocka -o $@

# Threads: a sanitizer of their own.
$(HOST_BUILD)/test_posted: HOST_CFLAGS := $(subst address$(comma)undefined,thread,$(HOST_CFLAGS))

define HOST_PROGRAM
$(HOST_BUILD)/test_$(1): $(patsubst %.asm,$(HOST_BUILD)/%.asm.o,$(patsubst %.c,$(HOST_BUILD)/%.o,tests/host/test_$(1).c $(HOST_$(1))))
	$$(HOST_CC) $$(HOST_CFLAGS) $$^ -lcmocka -lpthread -o $$@
endef
$(foreach t,$(filter-out $(SEAM_TESTS),$(HOST_TESTS)),$(eval $(call HOST_PROGRAM,$(t))))

# Exhaustive and random runs that take too long with sanitizers: prove_NAME.c with model_NAME.c, again when a source changes.
HOST_PROOFS := $(patsubst tests/host/prove_%.c,%,$(sort $(wildcard tests/host/prove_*.c)))
host-proofs: $(HOST_PROOFS:%=$(HOST_BUILD)/prove_%.log)
define HOST_PROOF
$(HOST_BUILD)/prove_$(1).log: tests/host/prove_$(1).c tests/host/model_$(1).c tests/host/model_$(1).h $(HOST_$(1)) $(HOST_$(1):.c=.h)
	@mkdir -p $$(@D)
	$$(HOST_CC) $$(filter-out -fsanitize% -O1,$$(HOST_CFLAGS)) -O2 $$(filter %.c,$$^) -o $$(@:.log=)
	@$$(@:.log=) >$$@ || { tail -n 20 $$@; false; }
	@printf '  prove_%-8s %s\n' $(1) "$$$$(tail -n 1 $$@)"
endef
$(foreach t,$(HOST_PROOFS),$(eval $(call HOST_PROOF,$(t))))

-include $(shell find $(HOST_BUILD) -name '*.d' 2>/dev/null)

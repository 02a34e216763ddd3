# SPDX-License-Identifier: Apache-2.0
#
# make            build/bulkhead.efi and the payload files beside it, for CONFIG
# make help       everything else

CONFIG ?= config/demo.yaml
BUILD := build
NAME := $(basename $(notdir $(CONFIG)))
OBJDIR := $(BUILD)/$(NAME)
PYTHON := /usr/bin/python3
export PYTHONDONTWRITEBYTECODE := 1

# Commands are shown with V=1.
ifneq ($(V),1)
MAKEFLAGS += --silent
endif
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all image plan help clean
all: image
	@cp $(OBJDIR)/bulkhead.efi $(BUILD)/bulkhead.efi
	@rm -rf $(BUILD)/esp && cp -r $(OBJDIR)/esp $(BUILD)/esp
	@echo "$(BUILD)/bulkhead.efi: $$(stat -c %s $(BUILD)/bulkhead.efi) bytes, configuration $(NAME); payloads in $(BUILD)/esp; what guests may do: $(OBJDIR)/allow.txt. Next: make run"

# What a fresh machine lacks is fetched first, so that each target alone works on it. As a plain user the packages are in
# the cache, and host/env.mk there says where.
CACHE := $(or $(BULKHEAD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bulkhead)
HOST_READY := $(BUILD)/.host-packages
$(HOST_READY): tools/setup
	@mkdir -p $(BUILD)
	@tools/setup --only host && touch $@
-include $(HOST_READY)
-include $(CACHE)/host/env.mk

include tools/mkconfig/mkconfig.mk
include guest/guest.mk

# ---- payloads that are not ours: Debian's kernel, memtest86+, busybox -------------------------------------------------------
$(CACHE)/kernel/vmlinuz: | $(HOST_READY)
	@tools/setup --only kernel
$(CACHE)/memtest/memtest.bin: | $(HOST_READY)
	@tools/setup --only memtest
$(BUILD)/payload/memtest: | $(CACHE)/memtest/memtest.bin
	@mkdir -p $(@D)
	@cp $(CACHE)/memtest/memtest.bin $@
$(BUILD)/payload/vmlinuz: | $(CACHE)/kernel/vmlinuz
	@mkdir -p $(@D)
	@cp $(CACHE)/kernel/vmlinuz $@
$(BUILD)/payload/initrd.cpio.gz: tools/initramfs guest/linux/init $(HOST_READY)
	@mkdir -p $(@D)
	@tools/initramfs $@ guest/linux/init
# The same with the program that prints the audit.
$(BUILD)/payload/auditor: guest/linux/auditor.c guest/kit/auditread.h hypercall/audit.h | $(HOST_READY)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -I. $< -o $@
$(BUILD)/payload/initrd-audit.cpio.gz: tools/initramfs guest/linux/init $(BUILD)/payload/auditor
	@tools/initramfs --add $(BUILD)/payload/auditor $@ guest/linux/init
include guest/linux/rt.mk
include guest/linux/ivshmem.mk
include guest/linux/nic.mk

# ---- configuration -----------------------------------------------------------------------------------------------
CONFIG_C := $(OBJDIR)/config.c
CONFIG_SIZES_H := $(OBJDIR)/config_sizes.h
$(OBJDIR)/inputs.mk: $(CONFIG) $(BUILD)/mkconfig
	@mkdir -p $(@D)
	@printf '$(OBJDIR)/config.stamp: %s\n' "$$($(BUILD)/mkconfig inputs $(CONFIG) --root $(BUILD) 2>/dev/null | tr '\n' ' ')" > $@
ifneq ($(filter all image plan run pcrs sign probe usb,$(or $(MAKECMDGOALS),all)),)
-include $(OBJDIR)/inputs.mk
# In a second pass: what config.mk needs is in inputs.mk.
ifneq ($(wildcard $(OBJDIR)/inputs.mk),)
-include $(OBJDIR)/config.mk
endif
endif
$(OBJDIR)/config.stamp: $(CONFIG) $(BUILD)/mkconfig
	$(BUILD)/mkconfig build $(CONFIG) --out $(OBJDIR) --root $(BUILD)
	@touch $@
$(CONFIG_C) $(CONFIG_SIZES_H): $(OBJDIR)/config.stamp ;
# The sizes as make variables: they decide what is compiled.
$(OBJDIR)/config.mk: $(CONFIG_SIZES_H)
	sed -n 's/^#define \(CONFIG_[A-Z_]*\) \([0-9]*\)$$/\1 := \2/p' $< > $@

# ---- core --------------------------------------------------------------------------------------------------------
CORE_C := $(wildcard core/*.c vmx/*.c hypercall/*.c) ept/pagetable.c ept/walk.c config/validate.c config/validate_time.c
CORE_ASM := $(wildcard core/*.asm vmx/*.asm)
# What a configuration does not need is not linked in: sharing a CPU, emulated registers, I/O APICs, interrupts of the machine, companions.
ifneq ($(filter-out 0,$(CONFIG_SCHEDULED_CPUS)),)
CORE_C += sched/sched.c
else
CORE_C := $(filter-out vmx/scheduled.c vmx/scheduled_init.c vmx/access.c vmx/apicv.c vmx/timeplan.c vmx/switch.c vmx/flush.c vmx/lapic.c vmx/account.c vmx/xapic.c core/posted.c core/smi.c,$(CORE_C))
CORE_ASM := $(filter-out vmx/scheduled.asm core/probe.asm,$(CORE_ASM))
endif
ifeq ($(filter-out 0,$(CONFIG_SCHEDULED_CPUS) $(CONFIG_COMPANIONS) $(CONFIG_HEALTH)),)
CORE_ASM := $(filter-out vmx/resume.asm,$(CORE_ASM))
endif
# The trace, and the audit.
ifeq ($(filter-out 0,$(CONFIG_TRACE_ENTRIES)),)
CORE_C := $(filter-out vmx/trace.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_AUDIT_ENTRIES)),)
CORE_C := $(filter-out core/audit.c core/survivor.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_OVERRUNS)),)
CORE_C := $(filter-out vmx/overrun.c,$(CORE_C))
endif
ifneq ($(CONFIG_COUNTERS),1)
CORE_C := $(filter-out vmx/counters.c,$(CORE_C))
endif
ifneq ($(CONFIG_PANIC_RESET),1)
CORE_C := $(filter-out core/reset.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_SELF_CHECK)),)
CORE_C := $(filter-out core/selfcheck.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_MMIO)),)
CORE_C := $(filter-out vmx/mmio.c vmx/decode.c vmx/linear.c vmx/xapic.c,$(CORE_C))
else
CORE_C += config/validate_io.c
endif
ifeq ($(filter-out 0,$(CONFIG_HEALTH)),)
CORE_C := $(filter-out vmx/health.c vmx/clean.c hypercall/health.c core/life.c core/reload.c core/seal.c,$(CORE_C))
CORE_ASM := $(filter-out core/drain.asm,$(CORE_ASM))
else
CORE_C += config/validate_health.c
endif
ifeq ($(filter-out 0,$(CONFIG_SEALS)),)
CORE_C := $(filter-out core/seal.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_IOAPICS)),)
CORE_C := $(filter-out vmx/ioapic.c vmx/pins.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_INTERRUPTS)),)
CORE_C := $(filter-out core/machine_ioapic.c vmx/interrupt.c,$(CORE_C))
endif
ifneq ($(filter-out 0,$(CONFIG_IOMMU)),)
CORE_C += $(wildcard vtd/*.c) config/validate_devices.c
endif
ifneq ($(filter-out 0,$(CONFIG_DEVICES)),)
CORE_C += config/validate_pci.c
else
CORE_C := $(filter-out core/assign.c core/flr.c vtd/page.c vmx/pci.c vmx/pciview.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_COMPANIONS)),)
CORE_C := $(filter-out vmx/companion.c,$(CORE_C))
CORE_ASM := $(filter-out vmx/companion.asm,$(CORE_ASM))
endif
ifeq ($(filter-out 0,$(CONFIG_CHANNELS)),)
CORE_C := $(filter-out hypercall/ports.c,$(CORE_C))
endif
ifeq ($(filter-out 0,$(CONFIG_DOORBELLS)),)
CORE_C := $(filter-out hypercall/doorbell.c,$(CORE_C))
endif
ifneq ($(filter-out 0,$(CONFIG_CHANNELS) $(CONFIG_DOORBELLS)),)
CORE_C += config/validate_ports.c
endif
# Measured launch. The tables' strings stand with them then, so that they can be measured apart.
ifeq ($(filter-out 0,$(CONFIG_TRUST)),)
CORE_C := $(filter-out core/trust.c core/tpm2.c,$(CORE_C))
else
$(OBJDIR)/core/config.o: CORE_CFLAGS += -fno-merge-constants
endif
include tests/vtd/vtd.mk
CORE_OBJS := $(CORE_C:%.c=$(OBJDIR)/core/%.o) $(CORE_ASM:%.asm=$(OBJDIR)/core/%.asm.o) $(OBJDIR)/core/config.o
CORE_BIN := $(OBJDIR)/core.bin
CORE_CFLAGS := -std=c17 -Os -ffreestanding -fno-stack-protector -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
	-mcmodel=kernel -mpreferred-stack-boundary=3 -fcf-protection=none -fno-asynchronous-unwind-tables -fno-jump-tables -ffunction-sections \
	-fdata-sections -fmerge-all-constants -ffile-prefix-map=$(CURDIR)=. \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wframe-larger-than=2048 -Werror \
	-I. -include $(CONFIG_SIZES_H) -DMUX_SOURCES='(CONFIG_PARTITIONS + CONFIG_CPUS)'

# Small code everywhere but where each instruction is counted: the exit paths, and hashing.
CORE_HOT := vmx/exit vmx/companion vmx/event vmx/cpuid vmx/msr vmx/io vmx/scheduled vmx/access vmx/apicv vmx/switch vmx/lapic vmx/trace vmx/mmio vmx/decode vmx/linear vmx/xapic \
	vmx/ioapic vmx/pins vmx/interrupt core/window sched/sched vmx/overrun hypercall/hypercall hypercall/ports hypercall/doorbell core/sha256 \
	core/posted
ifneq ($(filter-out 0,$(CONFIG_SCHEDULED_CPUS)),)
CORE_HOT += vmx/apic vmx/startup core/console core/consolemux core/partition # on dedicated CPUs they delay nobody
endif
$(CORE_HOT:%=$(OBJDIR)/core/%.o): CORE_CFLAGS += -O2
$(OBJDIR)/core/hypercall/ports.o: CORE_CFLAGS += -falign-loops=1 # no NOPs before them
$(OBJDIR)/core/%.o: %.c $(CONFIG_SIZES_H) Makefile
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -MMD -MP -c $< -o $@
$(OBJDIR)/core/config.o: $(CONFIG_C) $(CONFIG_SIZES_H) Makefile
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -MMD -MP -c $< -o $@
$(OBJDIR)/core/%.asm.o: %.asm core/layout.inc vmx/exit.inc Makefile
	@mkdir -p $(@D)
	nasm -f elf64 -Werror -I. $< -o $@
$(OBJDIR)/core.elf: $(CORE_OBJS) core/core.lds
	$(LD) -static -nostdlib --gc-sections --build-id=none -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		--defsym=config_cpus=$(CONFIG_CPUS) $(CORE_WRAP) \
		-T core/core.lds $(CORE_OBJS) -Map=$@.map -o $@
$(CORE_BIN): $(OBJDIR)/core.elf
	objcopy -O binary -j .text -j .rodata -j .data $< $@
ifneq ($(filter-out 0,$(CONFIG_SELF_CHECK)),)
	$(BUILD)/coredigest $@ $$(nm $< | sed -n 's/^0*\([0-9a-f]*\) A data_start$$/\1/p')
$(CORE_BIN): $(BUILD)/coredigest
endif
$(BUILD)/coredigest: tools/coredigest.c core/sha256.c core/sha256.h
	@mkdir -p $(@D)
	$(HOSTCC) -std=c17 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -I. -o $@ tools/coredigest.c core/sha256.c
-include $(CORE_OBJS:.o=.d)

include boot/boot.mk

image: $(OBJDIR)/bulkhead.efi

# Memory, CPUs and rights of CONFIG, as text and as a picture.
plan: $(BUILD)/mkconfig $(OBJDIR)/config.stamp
	$(BUILD)/mkconfig plan $(CONFIG) --root $(BUILD) --svg $(OBJDIR)/plan.svg --dot $(OBJDIR)/flows.dot
	dot -Tsvg $(OBJDIR)/flows.dot -o $(OBJDIR)/flows.svg
	echo "pictures: $(OBJDIR)/plan.svg, flows.svg"

clean:
	rm -rf $(BUILD)

help:
	echo "make             build/bulkhead.efi for CONFIG=$(CONFIG), payload files in build/esp"
	echo "make run         boot it in an emulator, with a console (ACCEL=kvm: with nested VMX)"
	echo "make test        all tests that belong to a change, with their counts"
	echo "make test-long   every CPU model and number of CPUs"
	echo "make check       format, analyzers, host tests: about a minute"
	echo "make bench       instruction counts and latencies in the emulator"
	echo "make pcrs        what the TPM's PCRs will hold, of a CONFIG with the key trust"
	echo "make attest      predicted, measured, quoted, verified; and each change caught"
	echo "make sign        sign the image: KEY=FILE CERT=FILE"
	echo "make probe       build/probe.efi: what a board has, written to a file that 'board: {file: ...}' reads"
	echo "make usb         build/usb.img: CONFIG's image, its payloads and probe.efi, to start a board from"
	echo "make rt          PREEMPT_RT Linux: how late a real-time thread wakes, with a picture"
	echo "make size        bytes, memory and lines"
	echo "make plan        memory, CPUs and rights of CONFIG, as text and picture"
	echo "make fuzz        fuzzers, SECONDS=10 each"
	echo "make doctor      what this machine has and lacks"
	echo "make clean       remove build/"
	echo "Variables: CONFIG=FILE.yaml  V=1 (show commands)  BULKHEAD_CACHE=DIR  BULKHEAD_TIME_FACTOR=N (slow machine)"

# ---- trust: docs/trust.md ------------------------------------------------------------------------------------------
.PHONY: pcrs sign attest
pcrs: image
	tools/pcrs.py $(OBJDIR) --events --keylime $(if $(LOG),--log $(LOG))
sign: image | $(CACHE)/qemu/version
	$(if $(KEY),,$(error KEY=FILE and CERT=FILE are needed; tools/secureboot keys DIR makes some for trying it out))
	tools/secureboot sign --key $(KEY) --cert $(CERT) $(OBJDIR)/bulkhead.efi $(OBJDIR)/bulkhead.signed.efi
ATTEST ?= tests/system/trust.yaml
attest: | $(CACHE)/qemu/version
	$(MAKE) --no-print-directory CONFIG=$(ATTEST) image
	tools/attest $(BUILD)/$(basename $(notdir $(ATTEST)))
$(CACHE)/qemu/version:
	@tools/setup --only qemu

# A stick for a board: a FAT image, to be written with dd. It holds CONFIG's image with its payloads, and probe.efi beside it.
.PHONY: usb
usb: image probe
	tools/usb $(OBJDIR) $(BUILD)/probe.efi $(BUILD)/usb.img

# ---- tests, figures, tools -----------------------------------------------------------------------------------------
include tests/selfcheck/selfcheck.mk
include tests/noacpi/noacpi.mk
include tools/enrol/enrol.mk
include tools/probe/probe.mk
include tests/host/host.mk
include tests/fuzz/fuzz.mk

# Of use elsewhere: make bench, make test-long, make check.
NOT_TESTED := $(addprefix tests/system/,bench%.yaml latency.yaml linux_four.yaml whole.yaml)
TEST_CONFIGS := config/demo.yaml config/plant.yaml config/scheduled.yaml $(filter-out $(NOT_TESTED),$(wildcard tests/system/*.yaml tests/vtd/*.yaml)) \
	$(if $(wildcard $(RT)/vmlinuz),tests/long/rt_dedicated.yaml)
.PHONY: test-images doctor
# One image a configuration, each in a directory of its own: build/NAME/bulkhead.efi.
# What several need is there first: they are built side by side.
test-images: $(BUILD)/mkconfig guest selfcheck $(BUILD)/dsdt.aml $(BUILD)/dsdt_ioapic.aml $(BUILD)/coredigest $(BUILD)/payload/vmlinuz \
		$(BUILD)/payload/initrd.cpio.gz $(BUILD)/payload/initrd-audit.cpio.gz $(BUILD)/payload/memtest
	@printf '%s\n' $(TEST_CONFIGS) | xargs -P $(TEST_JOBS) -I{} $(MAKE) --no-print-directory CONFIG={} image
	@$(MAKE) --no-print-directory CONFIG=tests/system/hello.yaml probe
doctor: selfcheck
	@tools/doctor

# Source checks (tools/check), about a minute; then the fuzz targets, SECONDS=n each.
.PHONY: check fuzz
check: # on the configuration that links everything
	$(MAKE) --no-print-directory CONFIG=tests/system/whole.yaml image
	tools/check $(BUILD)/whole
fuzz: $(if $(CLANG),fuzz-guided,fuzz-random)

# Two emulators at once on two cores: a machine of several CPUs has one thread. Each test has a time limit of its own.
.PHONY: test test-long
TEST_JOBS ?= $(shell n=$$(nproc); echo $$((n < 8 ? n : 8)))
PYTEST := $(PYTHON) -m pytest -q -n $(TEST_JOBS) --dist loadgroup
test:
	tools/setup
	tools/doctor
	$(MAKE) --no-print-directory test-images $(BUILD)/mkconfig-sanitized
	status=0; \
	$(MAKE) --no-print-directory host-tests >$(BUILD)/test-host.log 2>&1 || { cat $(BUILD)/test-host.log; status=1; }; \
	$(PYTEST) tests --durations=5 --junitxml=$(BUILD)/tests.xml || status=1; \
	grep -h -E '^host tests:|^FAILED' $(BUILD)/test-host.log; \
	sed -n 's/.*<testsuite .*errors="\([0-9]*\)" failures="\([0-9]*\)" skipped="\([0-9]*\)" tests="\([0-9]*\)" time="\([0-9]*\).*/system tests: \4, of which failed \2, in error \1, skipped \3; \5 s/p' $(BUILD)/tests.xml; \
	exit $$status
test-long:
	tools/setup
	tools/doctor
	for c in config/demo.yaml config/plant.yaml tests/system/linux_four.yaml tests/system/audit_linux.yaml tests/system/restart.yaml $(wildcard tests/long/smp*.yaml tests/long/restart*.yaml) tests/long/nic_linux.yaml; do $(MAKE) --no-print-directory CONFIG=$$c image || exit 1; done
	rm -rf $(BUILD)/long
	status=0; $(PYTEST) tests/long || status=1; cat $(BUILD)/long/*.txt; exit $$status

# ACCEL=kvm: in QEMU, with nested VMX. MODEL=NAME: another CPU model of Bochs.
.PHONY: run
run: image
	tools/setup
	tools/doctor
	tools/run $(CONFIG) $(if $(ACCEL),--accel $(ACCEL)) $(if $(MODEL),--cpu $(MODEL))

# Figures: a line each, status 1 if one is over its limit. docs/figures.md says how they are got.
.PHONY: size bench
size:
	$(MAKE) --no-print-directory CONFIG=config/reference.yaml image
	tools/size $(BUILD)/reference
BENCH_IMAGES := bench bench_hostile bench_windows latency bench_sched bench_w bench_ipi cost2 cost2_flush cost32 companion vectors bench_ipc bench_ipc_w bench_ipc_hostile
bench: $(BUILD)/guest/rtload.efi
	set -e; for c in $(BENCH_IMAGES); do $(MAKE) --no-print-directory CONFIG=tests/system/$$c.yaml image; done
	tools/bench --plot $(BUILD)/latency.svg

# PREEMPT_RT and cyclictest: on the bare emulator, on a dedicated CPU, on a shared one. Some five minutes.
.PHONY: rt
rt: $(PAYLOAD)/linux-rt.efi
	set -e; for c in rt_dedicated rt_scheduled; do $(MAKE) --no-print-directory CONFIG=tests/long/$$c.yaml image; done
	tools/cyclictest --plot $(BUILD)/cyclictest.svg

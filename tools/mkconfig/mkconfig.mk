# SPDX-License-Identifier: Apache-2.0
# The configuration tool, a program of the build machine. Included by the top Makefile, which may set BUILD.
BUILD ?= build
HOSTCC ?= gcc
MKCONFIG = $(BUILD)/mkconfig
MKCONFIG_SOURCES = $(sort $(wildcard tools/mkconfig/*.c)) config/validate.c config/validate_time.c config/validate_io.c config/validate_health.c config/validate_devices.c config/validate_pci.c \
	config/validate_ports.c ept/pagetable.c ept/walk.c core/sha256.c
MKCONFIG_HEADERS = $(wildcard tools/mkconfig/*.h config/*.h ept/*.h guest/kit/info.h hypercall/*.h core/sha256.h) config/features.def
MKCONFIG_CFLAGS = -std=c17 -O1 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Werror -D_POSIX_C_SOURCE=200809L

$(MKCONFIG): $(MKCONFIG_SOURCES) $(MKCONFIG_HEADERS)
	@mkdir -p $(@D)
	$(HOSTCC) $(MKCONFIG_CFLAGS) -o $@ $(MKCONFIG_SOURCES) -lcyaml -lyaml

# The same with sanitizers, for the tests of bad input.
$(MKCONFIG)-sanitized: $(MKCONFIG_SOURCES) $(MKCONFIG_HEADERS)
	@mkdir -p $(@D)
	$(HOSTCC) $(MKCONFIG_CFLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(MKCONFIG_SOURCES) -lcyaml -lyaml

# For partitions without and with an I/O APIC, without and with a PCI bus.
DSDTS := $(addprefix $(BUILD)/dsdt,.aml _ioapic.aml _pci.aml _ioapic_pci.aml)
$(DSDTS): config/acpi/dsdt.asl
	@mkdir -p $(@D)
	iasl $(if $(findstring _ioapic,$(@F)),-D HAVE_IOAPIC) $(if $(findstring _pci,$(@F)),-D HAVE_PCI) -p $(basename $@) $< \
		>$(basename $@).log || { cat $(basename $@).log; exit 1; }

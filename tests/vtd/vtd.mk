# SPDX-License-Identifier: Apache-2.0
#
# Configurations in this directory get the exerciser beside the core, and no others: it runs in the place of cpus_start(), and calls that at
# its end. Included by the Makefile behind the list of the core's sources.
ifneq ($(filter tests/vtd/%.yaml,$(CONFIG)),)
CORE_C += tests/vtd/exerciser.c tests/vtd/events.c tests/vtd/others.c
CORE_C += $(filter-out $(CORE_C),core/flr.c) # it resets a device, also where the configuration has none
CORE_WRAP := --wrap=cpus_start
endif

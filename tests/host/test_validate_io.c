// SPDX-License-Identifier: Apache-2.0
/* The validator of emulated registers and interrupts: a good table passes, and each way to break it is found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"

#define NONE CONFIG_NONE
#define MIB (1ull << 20)

/* Partitions 0 and 1 on CPU 0, 2 with one vCPU there and one on CPU 1, both scheduled; 3 on CPU 2, dedicated. Three interrupts. */
struct table {
	struct config config;
	struct config_cpu cpus[3];
	struct config_partition partitions[4];
	struct config_vcpu vcpus[4][2];
	struct config_map maps[4][1];
	struct config_mmio mmio[4][CONFIG_MAX_MMIO];
	struct config_interrupt interrupts[3];
};

static void good(struct table *t)
{
	memset(t, 0, sizeof *t);
	for (uint16_t i = 0; i < 4; i++) {
		t->maps[i][0].size = MIB;
		t->mmio[i][0] = (struct config_mmio){ MMIO_IOAPIC_BASE, PAGE_SIZE, MMIO_IOAPIC };
		t->mmio[i][1] = (struct config_mmio){ MMIO_LAPIC_BASE, PAGE_SIZE, MMIO_LAPIC };
		t->partitions[i] = (struct config_partition){ .maps = t->maps[i],
			                                      .map_count = 1,
			                                      .vcpus = t->vcpus[i],
			                                      .vcpu_count = i == 2 ? 2 : 1,
			                                      .mmio = t->mmio[i],
			                                      .mmio_count = i == 3 ? 0 : 2,
			                                      .ioapic = (uint8_t)(i == 3 ? 0 : i + 1),
			                                      .xapic = i != 3 };
	}
	t->vcpus[2][1].cpu = 1;
	t->vcpus[3][0].cpu = 2;
	t->cpus[0].scheduled = t->cpus[1].scheduled = 1;
	t->interrupts[0] = (struct config_interrupt){ .partition = 0, .irq = 3, .pin = 3 };
	t->interrupts[1] =
		(struct config_interrupt){ .partition = 1, .irq = 20, .pin = 3, .level = 1, .active_low = 1 };
	t->interrupts[2] =
		(struct config_interrupt){ .partition = 0, .irq = 21, .pin = 4, .level = 1, .active_low = 1 };
	t->config = (struct config){ .cpus = t->cpus,
		                     .cpu_count = 3,
		                     .partitions = t->partitions,
		                     .partition_count = 4,
		                     .interrupts = t->interrupts,
		                     .interrupt_count = 3 };
}

#define P t->partitions
#define M t->mmio[0]
#define X t->interrupts
#define BREAKS(B)                                                                                          \
	B(ranges, RULE_COUNT, 0, NONE, NONE, P[0].mmio_count = CONFIG_MAX_MMIO + 1)                        \
	B(range_empty, RULE_MMIO, 0, 0, NONE, M[0].size = 0)                                               \
	B(range_odd, RULE_MMIO, 0, 0, NONE, M[0].gpa += 1)                                                 \
	B(range_odd_size, RULE_MMIO, 0, 1, NONE, M[1].size += 8)                                           \
	B(range_high, RULE_MMIO, 0, 1, NONE, M[1].gpa = 1ull << 46)                                        \
	B(range_huge, RULE_MMIO, 0, 1, NONE, M[1].size = -PAGE_SIZE)                                       \
	B(range_kind, RULE_MMIO, 0, 1, NONE, M[1].kind = MMIO_KIND_COUNT)                                  \
	B(range_memory, RULE_MMIO, 0, 0, NONE, t->maps[0][0].size = MMIO_IOAPIC_BASE + PAGE_SIZE)          \
	B(range_memory_inside, RULE_MMIO, 0, 0, NONE,                                                      \
	  t->maps[0][0] = (struct config_map){ .gpa = MMIO_IOAPIC_BASE - PAGE_SIZE, .size = MIB })         \
	B(range_unsorted, RULE_MMIO, 0, 1, NONE, M[1].gpa = MMIO_IOAPIC_BASE - PAGE_SIZE)                  \
	B(range_overlap, RULE_MMIO, 0, 1, NONE, M[1].gpa = MMIO_IOAPIC_BASE)                               \
	B(companion_none, RULE_MMIO, 0, 0, NONE, M[0].kind = MMIO_COMPANION)                               \
	B(pins_of_nobody, RULE_COMPANION, 0, NONE, NONE, P[0].companion_pins = 1)                          \
	B(pins_nowhere, RULE_COMPANION, 3, NONE, NONE, P[3].companion = 1; P[3].companion_pins = 1)        \
	B(pins_high, RULE_COMPANION, 0, NONE, NONE, P[0].companion = 1; P[0].companion_pins = 1u << 24)    \
	B(pins_many, RULE_COMPANION, 0, NONE, NONE, P[0].companion = 1; P[0].companion_pins = 0x1f00)      \
	B(pin_interrupt, RULE_INTERRUPT, NONE, 0, NONE, P[0].companion = 1; P[0].companion_pins = 1u << 3) \
	B(lapic_moved, RULE_MMIO, 0, NONE, NONE, M[1].gpa += PAGE_SIZE)                                    \
	B(lapic_large, RULE_MMIO, 0, NONE, NONE, M[1].size += PAGE_SIZE)                                   \
	B(lapic_missing, RULE_MMIO, 0, NONE, NONE, P[0].mmio_count = 1)                                    \
	B(lapic_unwanted, RULE_MMIO, 0, NONE, NONE, P[0].xapic = 0)                                        \
	B(lapic_twice, RULE_MMIO, 0, NONE, NONE, P[0].mmio_count = 3;                                      \
	  M[2] = (struct config_mmio){ MMIO_LAPIC_BASE + PAGE_SIZE, PAGE_SIZE, MMIO_LAPIC })               \
	B(xapic_absurd, RULE_MMIO, 0, NONE, NONE, P[0].xapic = 2)                                          \
	B(ioapic_moved, RULE_MMIO, 0, NONE, NONE, M[0].gpa += PAGE_SIZE)                                   \
	B(ioapic_unwanted, RULE_MMIO, 0, NONE, NONE, P[0].ioapic = 0)                                      \
	B(ioapic_number, RULE_APIC, 0, NONE, NONE, P[0].ioapic = 2)                                        \
	B(ioapic_shared, RULE_APIC, 1, NONE, NONE, P[1].ioapic = 1)                                        \
	B(dedicated, RULE_APIC, 0, 0, NONE, t->vcpus[0][0].cpu = 2)                                        \
	B(dedicated_second, RULE_APIC, 2, 1, NONE, t->vcpus[2][1].cpu = 2)                                 \
	B(interrupts, RULE_COUNT, NONE, NONE, NONE, t->config.interrupt_count = CONFIG_MAX_INTERRUPTS + 1) \
	B(interrupt_nobody, RULE_INTERRUPT, NONE, 0, NONE, X[0].partition = 4)                             \
	B(interrupt_no_ioapic, RULE_INTERRUPT, NONE, 0, NONE, X[0].partition = 3)                          \
	B(interrupt_high, RULE_INTERRUPT, NONE, 1, NONE, X[1].irq = CONFIG_MAX_IRQ + 1)                    \
	B(interrupt_pin, RULE_INTERRUPT, NONE, 0, NONE, X[0].pin = IOAPIC_PINS)                            \
	B(interrupt_level, RULE_INTERRUPT, NONE, 0, NONE, X[0].level = 2)                                  \
	B(interrupt_low, RULE_INTERRUPT, NONE, 0, NONE, X[0].active_low = 2)                               \
	B(interrupt_twice, RULE_INTERRUPT, NONE, 1, 0, X[1].irq = 3)                                       \
	B(interrupt_twice_here, RULE_INTERRUPT, NONE, 2, 0, X[2].irq = 3)                                  \
	B(interrupt_pin_twice, RULE_INTERRUPT, NONE, 2, 0, X[2].pin = 3)                                   \
	B(interrupt_two_cpus, RULE_INTERRUPT_CPU, NONE, 2, 0, X[2].partition = 2)                          \
	B(interrupt_two_cpus_first, RULE_INTERRUPT_CPU, NONE, 0, 0, X[0].partition = 2)                    \
	B(interrupt_other_cpu, RULE_INTERRUPT_CPU, NONE, 1, 0, t->vcpus[1][0].cpu = 1)

#define VALIDATE config_validate_io
#include "breaks.h"

static void test_good_passes(void **state)
{
	struct config_fault fault;
	struct table t;

	(void)state;
	good(&t);
	assert_int_equal(config_validate_io(&t.config, &fault), RULE_OK);
	t.interrupts[1].pin = t.interrupts[0].pin; /* another partition's */
	t.mmio[0][1].gpa = t.mmio[0][0].gpa = 0;
	t.partitions[0].mmio_count = 0;
	t.partitions[0].xapic = 0;
	t.partitions[0].ioapic = 0;
	t.partitions[1].ioapic = 1;
	t.partitions[2].ioapic = 2;
	t.interrupts[0].partition = t.interrupts[2].partition = 1;
	t.interrupts[2].pin = 5;
	t.interrupts[0].pin = 6;
	assert_int_equal(config_validate_io(&t.config, &fault), RULE_OK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_good_passes),
		                                   cmocka_unit_test(test_each_break_is_found) };

	return cmocka_run_group_tests(tests, 0, 0);
}

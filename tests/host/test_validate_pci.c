// SPDX-License-Identifier: Apache-2.0
/* The validator of how partitions see their devices: a good table passes, and each way to break it is found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"

#define NONE CONFIG_NONE
#define MIB (1ull << 20)
#define BASE (256 * MIB)

/* Partition 0, with two devices, sees its memory where it is, but for the first megabyte; 1, with one, nowhere special. */
struct table {
	struct config config;
	struct config_partition partitions[3];
	struct config_memory memories[3];
	struct config_map maps[3][2];
	struct config_port ports[3][1];
	struct config_mmio mmio[1];
	struct config_interrupt interrupts[1];
	struct config_device devices[3];
};

static void good(struct table *t)
{
	static const struct config_bar registers = { 0xc0000000, 0xc0000000, 0x20000, 0, 0 },
				       ports = { 0xc000, 0xc000, 32, 1, 0 };

	memset(t, 0, sizeof *t);
	for (uint16_t i = 0; i < 3; i++) {
		t->memories[i] =
			(struct config_memory){ .size = 64 * MIB, .hpa = i ? CONFIG_HPA_ANY : BASE, .owner = i };
		t->maps[i][0] = (struct config_map){ .memory = i, .size = i ? 64 * MIB : MIB };
		t->partitions[i] = (struct config_partition){
			.maps = t->maps[i], .map_count = 1, .vcpu_count = 1, .ports = t->ports[i], .port_count = 1
		};
	}
	t->maps[0][1] = (struct config_map){ .memory = 0, .gpa = BASE + MIB, .offset = MIB, .size = 63 * MIB };
	t->partitions[0].map_count = 2;
	t->ports[0][0] = (struct config_port){ 0xc000, 0xc01f, PORT_PASS };
	t->ports[1][0] = (struct config_port){ 0x3f8, 0x3ff, PORT_UART };
	t->ports[2][0] = (struct config_port){ 0x60, 0x60, PORT_PASS };
	t->mmio[0] = (struct config_mmio){ MMIO_IOAPIC_BASE, PAGE_SIZE, MMIO_IOAPIC };
	t->partitions[0].mmio = t->mmio;
	t->partitions[0].mmio_count = 1;
	t->interrupts[0] = (struct config_interrupt){ .partition = 0, .irq = 18, .pin = DEVICE_PIN(2), .level = 1 };
	t->devices[0] = (struct config_device){ .partition = 0, .slot = 1, .bars = { registers, ports } };
	t->devices[1] = (struct config_device){ .partition = 0, .slot = 2, .interrupt = 1 };
	t->devices[2] = (struct config_device){ .partition = 1, .slot = 2, .reset_required = 1 };
	t->devices[2].bars[5] = (struct config_bar){ 0x4000000000, 0x800000000, 64 * MIB, 0, 0 };
	t->config = (struct config){ .partitions = t->partitions,
		                     .partition_count = 3,
		                     .memories = t->memories,
		                     .memory_count = 3,
		                     .interrupts = t->interrupts,
		                     .interrupt_count = 1,
		                     .devices = t->devices,
		                     .device_count = 3,
		                     .iommu = IOMMU_REQUIRE };
}

#define D t->devices
#define B0 t->devices[0].bars[0]
#define IO t->devices[0].bars[1]
#define FAR t->devices[2].bars[5]
#define BREAKS(B)                                                                                                      \
	B(slot_none, RULE_DEVICE_SLOT, NONE, 0, NONE, D[0].slot = 0)                                                   \
	B(slot_high, RULE_DEVICE_SLOT, NONE, 0, NONE, D[0].slot = DEVICE_SLOTS + 1)                                    \
	B(slot_twice, RULE_DEVICE_SLOT, NONE, 1, 0, D[0].slot = 2; D[0].interrupt = 1)                                 \
	B(reset_absurd, RULE_DEVICE_SLOT, NONE, 2, NONE, D[2].reset_required = 2)                                      \
	B(interrupt_absurd, RULE_DEVICE_SLOT, NONE, 1, NONE, D[1].interrupt = 2)                                       \
	B(interrupt_missing, RULE_DEVICE_SLOT, NONE, 1, NONE, t->interrupts[0].pin++)                                  \
	B(interrupt_other, RULE_DEVICE_SLOT, NONE, 1, NONE, t->interrupts[0].partition = 2)                            \
	B(interrupt_edge, RULE_DEVICE_SLOT, NONE, 1, NONE, t->interrupts[0].level = 0)                                 \
	B(interrupt_untold, RULE_DEVICE_SLOT, NONE, 1, NONE, D[1].interrupt = 0)                                       \
	B(bar_odd, RULE_DEVICE_BAR, NONE, 0, NONE, B0.size = 0x3000)                                                   \
	B(bar_small, RULE_DEVICE_BAR, NONE, 0, NONE, B0.size = 256)                                                    \
	B(bar_small_large, RULE_DEVICE_BAR, NONE, 0, NONE, B0.small = 256)                                             \
	B(bar_small_tiny, RULE_DEVICE_BAR, NONE, 0, NONE, B0.size = PAGE_SIZE; B0.small = 8)                           \
	B(bar_small_odd, RULE_DEVICE_BAR, NONE, 0, NONE, B0.size = PAGE_SIZE; B0.small = 768)                          \
	B(bar_small_page, RULE_DEVICE_BAR, NONE, 0, NONE, B0.size = PAGE_SIZE; B0.small = PAGE_SIZE)                   \
	B(bar_small_io, RULE_DEVICE_BAR, NONE, 0, NONE, IO.small = 16)                                                 \
	B(bar_not_aligned, RULE_DEVICE_BAR, NONE, 0, NONE, B0.hpa += 0x10000)                                          \
	B(bar_seen_not_aligned, RULE_DEVICE_BAR, NONE, 0, NONE, B0.gpa += 0x10000)                                     \
	B(bar_at_0, RULE_DEVICE_BAR, NONE, 0, NONE, B0.hpa = 0)                                                        \
	B(bar_seen_at_0, RULE_DEVICE_BAR, NONE, 0, NONE, B0.gpa = 0)                                                   \
	B(bar_high, RULE_DEVICE_BAR, NONE, 2, NONE, FAR.hpa = 1ull << 46)                                              \
	B(bar_seen_high, RULE_DEVICE_BAR, NONE, 2, NONE, FAR.gpa = 1ull << 46)                                         \
	B(bar_huge, RULE_DEVICE_BAR, NONE, 2, NONE, FAR.hpa = FAR.gpa = FAR.size = 1ull << 63)                         \
	B(bar_kind, RULE_DEVICE_BAR, NONE, 0, NONE, IO.io = 2)                                                         \
	B(bar_in_memory, RULE_DEVICE_BAR, NONE, 0, NONE, B0.hpa = BASE)                                                \
	B(bar_seen_in_memory, RULE_DEVICE_BAR, NONE, 0, NONE, B0.gpa = BASE + 2 * MIB)                                 \
	B(bar_seen_in_ioapic, RULE_DEVICE_BAR, NONE, 0, NONE, B0.gpa = MMIO_IOAPIC_BASE)                               \
	B(bar_twice, RULE_DEVICE_BAR, NONE, 1, 0, D[1].bars[2] = B0)                                                   \
	B(bar_twice_here, RULE_DEVICE_BAR, NONE, 0, 0, D[0].bars[3] = B0)                                              \
	B(bar_of_other, RULE_DEVICE_BAR, NONE, 2, 0, FAR.hpa = 0xc0000000)                                             \
	B(bar_seen_twice, RULE_DEVICE_BAR, NONE, 1, 0, D[1].bars[0] = B0; D[1].bars[0].hpa += 0x100000)                \
	B(io_small, RULE_DEVICE_BAR, NONE, 0, NONE, IO.size = 2)                                                       \
	B(io_large, RULE_DEVICE_BAR, NONE, 0, NONE, IO.size = 512)                                                     \
	B(io_odd, RULE_DEVICE_BAR, NONE, 0, NONE, IO.size = 24)                                                        \
	B(io_not_aligned, RULE_DEVICE_BAR, NONE, 0, NONE, IO.hpa = IO.gpa = 0xc008)                                    \
	B(io_moved, RULE_DEVICE_BAR, NONE, 0, NONE, IO.gpa = 0xd000)                                                   \
	B(io_high, RULE_DEVICE_BAR, NONE, 0, NONE, IO.hpa = IO.gpa = 0x10000)                                          \
	B(io_at_0, RULE_DEVICE_BAR, NONE, 0, NONE, IO.hpa = IO.gpa = 0)                                                \
	B(io_of_other, RULE_DEVICE_BAR, NONE, 0, NONE,                                                                 \
	  t->ports[2][0] = (struct config_port){ 0xc01f, 0xc020, PORT_PASS })                                          \
	B(dma_placed, RULE_DEVICE_DMA, NONE, 0, NONE, t->config.iommu = IOMMU_ABSENT_OK;                               \
	  t->memories[0].hpa = CONFIG_HPA_ANY)                                                                         \
	B(dma_moved, RULE_DEVICE_DMA, NONE, 0, NONE, t->config.iommu = IOMMU_ABSENT_OK; t->maps[0][1].gpa += MIB)      \
	B(dma_low, RULE_DEVICE_DMA, NONE, 0, NONE, t->config.iommu = IOMMU_ABSENT_OK; t->maps[0][0].size += PAGE_SIZE) \
	B(dma_second, RULE_DEVICE_DMA, NONE, 2, NONE, t->config.iommu = IOMMU_ABSENT_OK)

#define VALIDATE config_validate_pci
#include "breaks.h"

static void test_good(void **state)
{
	struct config_fault fault;
	struct table t;

	(void)state;
	good(&t);
	assert_int_equal(config_validate_pci(&t.config, &fault), RULE_OK);
	t.config.iommu = IOMMU_ABSENT_OK;
	t.config.device_count = 2;
	assert_int_equal(config_validate_pci(&t.config, &fault), RULE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_each_break_is_found) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

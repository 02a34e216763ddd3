// SPDX-License-Identifier: Apache-2.0
/* The validator of PCI functions: a good table passes, and each way to break it is found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"

#define NONE CONFIG_NONE
#define MIB (1ull << 20)

struct table {
	struct config config;
	struct config_partition partitions[3];
	struct config_map maps[3][2];
	struct config_device devices[5];
};

/* Functions of partition 0 on the root bus and behind a root port, two of one device; of partition 1 behind another root port. */
static void good(struct table *t)
{
	memset(t, 0, sizeof *t);
	for (unsigned i = 0; i < 3; i++) {
		t->maps[i][0] = (struct config_map){ .size = MIB };
		t->maps[i][1] = (struct config_map){ .gpa = 0xfef00000, .size = MIB };
		t->partitions[i] = (struct config_partition){ .maps = t->maps[i], .map_count = 2 };
	}
	t->partitions[2].flags = PARTITION_COMPANION;
	t->devices[0] =
		(struct config_device){ .path = { 0, 1, { 0x20 } }, .partition = 0, .first_vector = 2, .vectors = 4 };
	t->devices[1] = (struct config_device){
		.path = { 0, 2, { 0xe0, 0 } }, .partition = 0, .first_vector = 6, .vectors = 0
	};
	t->devices[2] = (struct config_device){
		.path = { 0, 2, { 0xe0, 1 } }, .partition = 0, .first_vector = 6, .vectors = 1
	};
	t->devices[3] = (struct config_device){
		.path = { 0, 2, { 0xe1, 0 } }, .partition = 1, .first_vector = 7, .vectors = 1
	};
	t->devices[4] = (struct config_device){
		.path = { 0x20, 1, { 0x20 } }, .partition = 1, .first_vector = 8, .vectors = 1
	};
	t->config = (struct config){ .partitions = t->partitions,
		                     .partition_count = 3,
		                     .devices = t->devices,
		                     .device_count = 5,
		                     .interrupt_count = 2,
		                     .iommu = IOMMU_REQUIRE };
}

#define D t->devices
#define BREAKS(B)                                                                                     \
	B(count, RULE_COUNT, NONE, NONE, NONE, t->config.device_count = CONFIG_MAX_DEVICES + 1)       \
	B(iommu_absurd, RULE_COUNT, NONE, NONE, NONE, t->config.iommu = IOMMU_REQUIRE + 1)            \
	B(iommu_none, RULE_DEVICE, NONE, 0, NONE, t->config.iommu = IOMMU_NONE)                       \
	B(nobody, RULE_DEVICE, NONE, 4, NONE, D[4].partition = 3)                                     \
	B(companion, RULE_DEVICE, NONE, 4, NONE, D[4].partition = 2)                                  \
	B(order, RULE_DEVICE, NONE, 4, NONE, D[4].partition = 0)                                      \
	B(no_path, RULE_DEVICE, NONE, 1, NONE, D[1].path.depth = 0)                                   \
	B(long_path, RULE_DEVICE, NONE, 1, NONE, D[1].path.depth = CONFIG_PATH_MAX + 1)               \
	B(vectors_gap, RULE_DEVICE, NONE, 1, NONE, D[1].first_vector = 7)                             \
	B(vectors_overlap, RULE_DEVICE, NONE, 0, NONE, D[0].first_vector = 1)                         \
	B(vectors_many, RULE_DEVICE, NONE, 4, NONE, D[4].vectors = CONFIG_IRTES - 7)                  \
	B(twice, RULE_DEVICE, NONE, 2, 1, D[2].path.devfn[1] = 0)                                     \
	B(twice_elsewhere, RULE_DEVICE, NONE, 3, 1, D[3].path = D[1].path)                            \
	B(one_port, RULE_DEVICE_GROUP, NONE, 3, 1, D[3].path.devfn[0] = 0xe0; D[3].path.devfn[1] = 8) \
	B(functions, RULE_DEVICE_GROUP, NONE, 4, 0, D[4].path.bus = 0; D[4].path.devfn[0] = 0x21)     \
	B(port_itself, RULE_DEVICE_GROUP, NONE, 4, 1, D[4].path.bus = 0; D[4].path.devfn[0] = 0xe0)   \
	B(map_msi, RULE_DEVICE_MAP, 0, 1, 0, t->maps[0][1].gpa -= PAGE_SIZE)                          \
	B(map_msi_first, RULE_DEVICE_MAP, 1, 0, 3, t->maps[1][0].size = 0xfee01000)                   \
	B(map_msi_inside, RULE_DEVICE_MAP, 1, 1, 3,                                                   \
	  t->maps[1][1] = (struct config_map){ .gpa = 0xfee80000, .size = PAGE_SIZE })

#define VALIDATE config_validate_devices
#include "breaks.h"

static void test_good_passes(void **state)
{
	struct table t;
	struct config_fault fault;

	(void)state;
	good(&t);
	assert_int_equal(config_validate_devices(&t.config, &fault), RULE_OK);
	t.devices[4].vectors = CONFIG_IRTES - 8;
	assert_int_equal(config_validate_devices(&t.config, &fault), RULE_OK);
	t.maps[2][0].size = 0xffffffff000; /* a partition without devices */
	assert_int_equal(config_validate_devices(&t.config, &fault), RULE_OK);
	t.config.device_count = 0;
	t.config.iommu = IOMMU_ABSENT_OK;
	assert_int_equal(config_validate_devices(&t.config, &fault), RULE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_passes),
		cmocka_unit_test(test_each_break_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

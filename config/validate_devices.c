// SPDX-License-Identifier: Apache-2.0
/* The validator's part for PCI functions that partitions have: see validate.h. */
#include "validate.h"

#include <stdbool.h>

#define MSI_BASE \
	0xfee00000ull /* where a device's write is an interrupt, whatever the tables say (VT-d specification 3.14) */
#define MSI_END 0xfef00000ull

static bool same_path(const struct config_path *a, const struct config_path *b)
{
	if (a->bus != b->bus || a->depth != b->depth)
		return false;
	for (unsigned i = 0; i < a->depth; i++)
		if (a->devfn[i] != b->devfn[i])
			return false;
	return true;
}

/*
 * Can they reach each other without passing a remapping unit? Behind one root port, yes, unless the switches between have and use access
 * control services, which the tool cannot know; and so can functions of one device.
 */
static bool one_group(const struct config_path *a, const struct config_path *b)
{
	if (a->bus != b->bus)
		return false;
	if (a->depth > 1 && b->depth > 1)
		return a->devfn[0] == b->devfn[0];
	return a->devfn[0] >> 3 == b->devfn[0] >> 3;
}

static enum config_rule check_pair(const struct config *c, unsigned i, unsigned j, struct config_fault *fault)
{
	const struct config_device *a = &c->devices[i], *b = &c->devices[j];

	if (same_path(&a->path, &b->path))
		return config_fault_at(fault, RULE_DEVICE, CONFIG_NONE, i, j);
	if (a->partition != b->partition && one_group(&a->path, &b->path))
		return config_fault_at(fault, RULE_DEVICE_GROUP, CONFIG_NONE, i, j);
	return RULE_OK;
}

static enum config_rule check_maps(const struct config *c, unsigned device, struct config_fault *fault)
{
	const struct config_partition *p = &c->partitions[c->devices[device].partition];

	for (unsigned i = 0; i < p->map_count; i++)
		if (p->maps[i].gpa < MSI_END && p->maps[i].gpa + p->maps[i].size > MSI_BASE)
			return config_fault_at(fault, RULE_DEVICE_MAP, c->devices[device].partition, i, device);
	return RULE_OK;
}

enum config_rule config_validate_devices(const struct config *c, struct config_fault *fault)
{
	unsigned vectors = c->interrupt_count;

	if (c->device_count > CONFIG_MAX_DEVICES || c->iommu > IOMMU_REQUIRE)
		return config_fault_at(fault, RULE_COUNT, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->device_count; i++) {
		const struct config_device *d = &c->devices[i];
		if (c->iommu == IOMMU_NONE || d->partition >= c->partition_count ||
		    (c->partitions[d->partition].flags & PARTITION_COMPANION) != 0 ||
		    (i > 0 && d->partition < d[-1].partition) || d->path.depth == 0 ||
		    d->path.depth > CONFIG_PATH_MAX || d->first_vector != vectors ||
		    d->vectors > CONFIG_IRTES - vectors)
			return config_fault_at(fault, RULE_DEVICE, CONFIG_NONE, i, CONFIG_NONE);
		vectors += d->vectors;
		for (unsigned j = 0; j < i; j++)
			if (check_pair(c, i, j, fault) != RULE_OK)
				return fault->rule;
		if (check_maps(c, i, fault) != RULE_OK)
			return fault->rule;
	}
	return RULE_OK;
}

// SPDX-License-Identifier: Apache-2.0
/* The part of the validator that is about a partition's life beside that of the others: see validate.h. */
#include "validate.h"
#include "../hypercall/abi.h"

#include <stdbool.h>

/* The rights to calls follow from the table: nobody has one without the other. */
static bool calls_agree(const struct config_partition *p, const struct config_health *h)
{
	const uint64_t control = 1ull << BH_PARTITION_STOP | 1ull << BH_PARTITION_START | 1ull << BH_PARTITION_RESET;
	const uint64_t watch = 1ull << BH_PARTITION_STATUS | 1ull << BH_EVENTS;

	return (p->hypercalls & watch) == (h->watches ? watch : 0) &&
	       (p->hypercalls & control) == (h->controls ? control : 0);
}

static bool has_action(const struct config_partition *p, unsigned action)
{
	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++)
		if (p->action[i] == action)
			return true;
	return false;
}

/* A partition that runs of itself: not a companion, which lives and dies with its master. */
static bool runs(const struct config *c, unsigned partition)
{
	return partition < c->partition_count && (c->partitions[partition].flags & PARTITION_COMPANION) == 0;
}

/* Partitions up to `index` that are interrupted when they are called. */
static unsigned vectors(const struct config *c, unsigned index)
{
	unsigned count = 0;

	for (unsigned i = 0; i <= index; i++)
		count += c->partitions[i].health && c->partitions[i].health->vector != 0;
	return count;
}

/* The first thing that is wrong, or HEALTH_RIGHT. */
static enum health_fault fault_of(const struct config *c, unsigned index)
{
	const struct config_partition *p = &c->partitions[index];
	const struct config_health *h = p->health;

	if (!h)
		return HEALTH_MISSING;
	for (unsigned i = 0; i < CONFIG_MAX_PARTITIONS; i++)
		if ((h->watches >> i & 1) != 0 && !runs(c, i))
			return HEALTH_WATCHES;
	if ((h->controls & ~h->watches) != 0 || !calls_agree(p, h))
		return HEALTH_WATCHES;
	if (h->heartbeat > HEARTBEAT_MAX_US || (h->heartbeat != 0) != (p->hypercalls >> BH_HEARTBEAT & 1))
		return HEALTH_HEARTBEAT;
	if (h->restarts > RESTARTS_MAX || (h->restarts != 0 && h->restart_period_ms == 0))
		return HEALTH_RESTARTS;
	if (h->standby == CONFIG_NONE ? has_action(p, ACTION_FAILOVER) : h->standby == index || !runs(c, h->standby))
		return HEALTH_STANDBY;
	if (h->schedule == CONFIG_NONE ? has_action(p, ACTION_SCHEDULE) : h->schedule >= c->schedule_count)
		return HEALTH_SCHEDULE;
	if (h->seals > 1 || (h->seals == 1 && p->vcpu_count != 1) || h->seals != (p->hypercalls >> BH_SEAL & 1))
		return HEALTH_SEALS;
	if (h->held > 1 || (h->held == 1 && !runs(c, index)))
		return HEALTH_HELD;
	if (h->vector != 0 && (h->vector < 32 || h->watches == 0 || vectors(c, index) > (unsigned)EVENT_VECTORS_MAX))
		return HEALTH_VECTOR;
	return HEALTH_RIGHT;
}

/* All have a table, or none has and none needs one. */
enum config_rule config_validate_health(const struct config *c, struct config_fault *fault)
{
	bool needed = false;

	for (unsigned i = 0; i < c->partition_count; i++) {
		needed |= c->partitions[i].health != 0 || (c->partitions[i].hypercalls & HEALTH_CALLS) != 0;
		for (unsigned action = ACTION_RECORD; action < ACTION_STOP; action++)
			needed |= has_action(&c->partitions[i], action);
	}
	for (unsigned i = 0; needed && i < c->partition_count; i++)
		if (fault_of(c, i) != HEALTH_RIGHT)
			return config_fault_at(fault, RULE_HEALTH, i, fault_of(c, i), CONFIG_NONE);
	return RULE_OK;
}

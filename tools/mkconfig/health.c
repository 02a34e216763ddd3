// SPDX-License-Identifier: Apache-2.0
/* A partition's life beside that of the others: who watches and controls it, restarts, heartbeat, standby, seals. */
#include "mkconfig.h"
#include "../../hypercall/abi.h"

#include <string.h>

#define RESTARTS_DEFAULT 3u
#define RESTART_PERIOD_DEFAULT_MS 10000u

const char *const health_keys[] = {
	[HEALTH_MISSING] = "name",      [HEALTH_WATCHES] = "watches", [HEALTH_HEARTBEAT] = "heartbeat",
	[HEALTH_RESTARTS] = "restarts", [HEALTH_STANDBY] = "standby", [HEALTH_SCHEDULE] = "failure_schedule",
	[HEALTH_SEALS] = "seals",       [HEALTH_HELD] = "start",      [HEALTH_VECTOR] = "event_vector",
};

#define STRING(number) #number
#define TEXT_OF(macro) STRING(macro)
const char *const health_causes[] = {
	[HEALTH_MISSING] = "it has none, and others have",
	[HEALTH_WATCHES] = "it watches or controls one that does not exist, or the rights to the calls differ",
	[HEALTH_HEARTBEAT] = "the time, or the right to the call",
	[HEALTH_RESTARTS] = "how many, or in what time",
	[HEALTH_STANDBY] = "'failover' needs a standby, which is another partition",
	[HEALTH_SCHEDULE] = "'switch_schedule' needs a failure_schedule",
	[HEALTH_SEALS] = "only a partition of one vCPU can seal pages",
	[HEALTH_HELD] = "only a partition with vCPUs can be held",
	[HEALTH_VECTOR] = "only one that watches others is called, and " TEXT_OF(
		EVENT_VECTORS_MAX) " partitions at most by an interrupt",
};

static uint16_t find_living(const struct plan *plan, unsigned line, const char *what, const char *name)
{
	for (uint16_t i = 0; i < plan->config.partition_count; i++)
		if (strcmp(plan->partitions[i].name, name) == 0 && plan->extra[i].in->cpus_count != 0)
			return i;
	fail(line, "%s: no partition is named '%s'", what, name);
}

static uint64_t named(const struct plan *plan, unsigned partition, const char *what, const char **names, unsigned count)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < count; i++)
		mask |= 1ull << find_living(plan, line_of("partitions/%u/%s/%u", partition, what, i), what, names[i]);
	return mask;
}

/* "3 per 10 s", or "unlimited". */
static void parse_restarts(unsigned line, const char *string, struct config_health *h)
{
	static const char per[] = " per ";
	const char *middle = strstr(string, per);

	if (strcmp(string, "unlimited") == 0) {
		h->restarts = 0;
		return;
	}
	if (middle == NULL)
		fail(line, "restarts: '%s' is neither 'unlimited' nor like '3 per 10 s'", string);
	h->restarts = (uint16_t)parse_number(line, "restarts", text("%.*s", (int)(middle - string), string), 1,
	                                     RESTARTS_MAX);
	h->restart_period_ms = parse_time(line, "restarts", middle + sizeof per - 1, 1000, UINT32_MAX) / 1000;
}

static uint16_t find_schedule(const struct plan *plan, unsigned line, const char *name)
{
	for (uint16_t i = 0; i < plan->config.schedule_count; i++)
		if (strcmp(plan->config.schedules[i].name, name) == 0)
			return i;
	fail(line, "failure_schedule: no schedule is named '%s'", name);
}

/* What can never happen needs no action. */
static void check_time_errors(const struct plan *plan, unsigned partition)
{
	const struct config_partition *p = &plan->partitions[partition];
	bool budget = false, shared = false;

	for (unsigned i = 0; i < p->vcpu_count; i++) {
		budget |= p->vcpus[i].budget != 0;
		shared |= plan->cpus[p->vcpus[i].cpu].scheduled;
	}
	if (p->action[ERROR_OVERRUN] != ACTION_IGNORE && !budget)
		fail(line_of("partitions/%u/on_error/overrun", partition), "overrun: no vCPU of it has a budget");
	if (p->action[ERROR_WINDOW] != ACTION_IGNORE && !shared)
		fail(line_of("partitions/%u/on_error/window", partition),
		     "window: it is on no CPU that 'schedules' names");
}

static void build_one(struct plan *plan, unsigned partition)
{
	const struct in_partition *in = plan->extra[partition].in;
	struct config_partition *p = &plan->partitions[partition];
	struct config_health *h = &plan->extra[partition].health;

	*h = (struct config_health){ .restarts = RESTARTS_DEFAULT,
		                     .restart_period_ms = RESTART_PERIOD_DEFAULT_MS,
		                     .standby = CONFIG_NONE,
		                     .schedule = CONFIG_NONE };
	h->controls = named(plan, partition, "controls", in->controls, in->controls_count);
	h->watches = h->controls | named(plan, partition, "watches", in->watches, in->watches_count);
	if (in->heartbeat != NULL)
		h->heartbeat = parse_time(line_of("partitions/%u/heartbeat", partition), "heartbeat", in->heartbeat,
		                          100, HEARTBEAT_MAX_US);
	if (in->restarts != NULL)
		parse_restarts(line_of("partitions/%u/restarts", partition), in->restarts, h);
	if (in->standby != NULL)
		h->standby = find_living(plan, line_of("partitions/%u/standby", partition), "standby", in->standby);
	if (in->failure_schedule != NULL)
		h->schedule = find_schedule(plan, line_of("partitions/%u/failure_schedule", partition),
		                            in->failure_schedule);
	if (in->event_vector != NULL)
		h->vector = (uint8_t)parse_number(line_of("partitions/%u/event_vector", partition), "event_vector",
		                                  in->event_vector, 32, 255);
	h->held = in->start != NULL && !parse_truth(line_of("partitions/%u/start", partition), "start", in->start);
	h->seals = parse_truth(line_of("partitions/%u/seals", partition), "seals", in->seals);
	check_time_errors(plan, partition);
	p->health = h;
	p->hypercalls |= (h->watches != 0 ? 1ull << BH_PARTITION_STATUS | 1ull << BH_EVENTS : 0) |
	                 (h->controls != 0 ?
	                          1ull << BH_PARTITION_STOP | 1ull << BH_PARTITION_START | 1ull << BH_PARTITION_RESET :
	                          0) |
	                 (h->heartbeat != 0 ? 1ull << BH_HEARTBEAT : 0) | (h->seals ? 1ull << BH_SEAL : 0);
}

/* Does the entry in the file ask for anything of this? */
static bool asks(const struct plan *plan, unsigned partition)
{
	const struct in_partition *in = plan->extra[partition].in;
	const struct config_partition *p = &plan->partitions[partition];
	bool asked = in->watches_count + in->controls_count != 0 || in->heartbeat != NULL || in->restarts != NULL ||
	             in->start != NULL || in->standby != NULL || in->failure_schedule != NULL || in->seals != NULL ||
	             in->event_vector != NULL || p->action[ERROR_OVERRUN] != ACTION_IGNORE ||
	             p->action[ERROR_WINDOW] != ACTION_IGNORE || (p->hypercalls >> BH_RAISE_ERROR & 1) != 0;

	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++)
		asked |= p->action[i] >= ACTION_RECORD && p->action[i] < ACTION_STOP;
	return asked;
}

bool has_health(const struct config *c)
{
	return c->partitions[0].health != NULL;
}

void health_build(struct plan *plan)
{
	bool asked = false;

	for (unsigned i = 0; i < plan->config.partition_count; i++)
		asked |= asks(plan, i);
	for (unsigned i = 0; asked && i < plan->config.partition_count; i++)
		build_one(plan, i);
}

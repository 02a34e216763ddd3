// SPDX-License-Identifier: Apache-2.0
/* What the validator finds wrong in the tables, in terms of the file: line, names, numbers. */
#include "mkconfig.h"
#include "../../hypercall/audit.h"
#include "../../hypercall/trace.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The file's line for a fault the validator found, as near as the indices lead. */
static unsigned fault_line(const struct plan *plan, const struct config_fault *f)
{
	const struct plan_partition *x = f->partition != CONFIG_NONE ? &plan->extra[f->partition] : NULL;
	unsigned partition = f->partition;

	switch (f->rule) {
	case RULE_NAME:
	case RULE_MEMORY_SIZE:
	case RULE_MEMORY_PLACE:
	case RULE_MEMORY_OWNER:
		if (x != NULL && f->index != CONFIG_NONE)
			return line_of("partitions/%u/maps/%u/memory", partition, f->index - x->own_maps);
		if (x != NULL)
			return line_of("partitions/%u/name", partition);
		if (f->schedule != CONFIG_NONE)
			return line_of("schedules/%u/name", f->schedule);
		if (f->index == CONFIG_NONE)
			return line_of("name");
		partition = plan->config.partition_count;
		if (plan->memories[f->index].owner == CONFIG_CORE)
			return line_of("%s", plan->memories[f->index].name);
		if (f->index >= partition && plan->memories[f->index].owner != CONFIG_SHARED)
			return line_of("channels");
		if (f->index >= partition)
			return line_of("shared/%u/%s", f->index - partition,
			               f->rule == RULE_MEMORY_PLACE ? "base" : "name");
		return line_of("partitions/%u/%s", f->index, f->rule == RULE_MEMORY_PLACE ? "base" : "name");
	case RULE_MAP_RANGE:
	case RULE_MAP_OVERLAP:
	case RULE_MAP_ALIAS:
		return line_of("partitions/%u/maps/%u/at", partition, f->index - x->own_maps);
	case RULE_MAP_RIGHTS:
		return line_of("partitions/%u/maps/%u/rights", partition, f->index - x->own_maps);
	case RULE_MSR:
	case RULE_MSR_HOST:
		return line_of("partitions/%u/msrs/%u", partition, x->msr_origin[f->index]);
	case RULE_COMPANION:
		return line_of("partitions/%u/name", partition);
	case RULE_PORT:
	case RULE_PORT_HOST:
		return line_of("partitions/%u/ports/%u", partition, x->port_origin[f->index]);
	case RULE_ACTION:
		return line_of("partitions/%u/on_error/%s", partition, error_names[f->index]);
	case RULE_CONSOLE:
		return line_of("console/debug_port");
	case RULE_CHANNEL:
	case RULE_CHANNEL_ENDS:
	case RULE_CHANNEL_MEMORY:
	case RULE_DOORBELL:
	case RULE_DOORBELL_CHANNEL:
		return ports_fault_line(plan, f);
	case RULE_HEALTH:
		return line_of("partitions/%u/%s", partition, health_keys[f->index]);
	case RULE_MMIO:
	case RULE_APIC:
	case RULE_INTERRUPT:
	case RULE_INTERRUPT_CPU:
		return device_fault_line(plan, f);
	case RULE_DEVICE:
	case RULE_DEVICE_GROUP:
	case RULE_DEVICE_MAP:
	case RULE_DEVICE_SLOT:
	case RULE_DEVICE_BAR:
	case RULE_DEVICE_DMA:
		return pci_fault_line(plan, f);
	default:
		if (f->rule >= RULE_DEDICATED)
			return time_fault_line(plan, f);
		return x != NULL ? line_of("partitions/%u/name", partition) : 1;
	}
}

static const char *memory_detail(const struct config_memory *m)
{
	return text("'%s' 0x%" PRIx64 "-0x%" PRIx64, m->name, m->hpa, m->hpa + m->size - 1);
}

static const char *map_detail(const struct plan *plan, const struct config_map *m)
{
	return text("'%s' at 0x%" PRIx64 "-0x%" PRIx64, plan->memories[m->memory].name, m->gpa, m->gpa + m->size - 1);
}

/* The numbers behind a fault. */
static const char *fault_detail(const struct plan *plan, const struct config_fault *f)
{
	const struct config_partition *p = f->partition != CONFIG_NONE ? &plan->partitions[f->partition] : NULL;

	switch (f->rule) {
	case RULE_NAME:
		if (p != NULL)
			return text("'%s'", p->name);
		if (f->schedule != CONFIG_NONE)
			return text("'%s'", plan->config.schedules[f->schedule].name);
		return text("'%s'", f->index == CONFIG_NONE ? plan->config.name : plan->memories[f->index].name);
	case RULE_MEMORY_PLACE:
		if (f->other == CONFIG_NONE)
			return memory_detail(&plan->memories[f->index]);
		return text("%s and %s", memory_detail(&plan->memories[f->index]),
		            memory_detail(&plan->memories[f->other]));
	case RULE_MEMORY_OWNER:
		return text("'%s'", plan->memories[p != NULL ? f->other : f->index].name);
	case RULE_MAP_OVERLAP:
	case RULE_MAP_ALIAS:
		return text("%s and %s", map_detail(plan, &p->maps[f->index]), map_detail(plan, &p->maps[f->other]));
	case RULE_MAP_RIGHTS:
		return text("%s %s", map_detail(plan, &p->maps[f->index]), rights_text(p->maps[f->index].rights));
	case RULE_MSR:
	case RULE_MSR_HOST: {
		const struct config_msr *m = &p->msrs[f->index];
		return text("0x%x-0x%x read %s, write %s", m->first, m->last, kind_names[m->read],
		            kind_names[m->write]);
	}
	case RULE_PORT:
	case RULE_PORT_HOST:
		return text("0x%x-0x%x", p->ports[f->index].first, p->ports[f->index].last);
	case RULE_COMPANION:
		return text("'%s'", p->name);
	case RULE_ACTION:
		return text("%s: %s", error_names[f->index], action_names[p->action[f->index]]);
	case RULE_CONSOLE:
		return text("uart 0x%x-0x%x, debug port 0x%x", plan->config.uart_port, plan->config.uart_port + 7,
		            plan->config.debug_port);
	case RULE_CHANNEL:
	case RULE_CHANNEL_ENDS:
	case RULE_CHANNEL_MEMORY:
	case RULE_DOORBELL:
	case RULE_DOORBELL_CHANNEL:
		return ports_fault_detail(plan, f);
	case RULE_HEALTH:
		return text("'%s': %s", p->name, health_causes[f->index]);
	case RULE_MMIO:
	case RULE_APIC:
	case RULE_INTERRUPT:
	case RULE_INTERRUPT_CPU:
		return device_fault_detail(plan, f);
	case RULE_DEVICE:
	case RULE_DEVICE_GROUP:
	case RULE_DEVICE_MAP:
	case RULE_DEVICE_SLOT:
	case RULE_DEVICE_BAR:
	case RULE_DEVICE_DMA:
		return pci_fault_detail(plan, f);
	default:
		if (f->rule >= RULE_DEDICATED)
			return time_fault_detail(plan, f);
		return p != NULL ? text("'%s', entry %u", p->name, f->index) : "tables";
	}
}

void plan_check(struct plan *plan)
{
	struct config_fault fault;

	if (config_validate(&plan->config, &fault) != RULE_OK)
		fail(fault_line(plan, &fault), "%s (%s)", config_rule_text(fault.rule), fault_detail(plan, &fault));
	prove(plan);
	flows_check(plan);
}

// SPDX-License-Identifier: Apache-2.0
/* What each partition may do, in words: the allow lists that the build prints, and the plan as a text table. */
#include "mkconfig.h"
#include "../../hypercall/abi.h"

#include <inttypes.h>
#include <string.h>

#define LIST_WIDTH 100

const char *rights_text(unsigned rights)
{
	return text("%c%c%c", rights & RIGHT_READ ? 'r' : '-', rights & RIGHT_WRITE ? 'w' : '-',
	            rights & RIGHT_EXEC ? 'x' : '-');
}

const char *range_text(uint32_t first, uint32_t last)
{
	return first == last ? text("0x%x", first) : text("0x%x-0x%x", first, last);
}

const char *boot_text(const struct plan_partition *x)
{
	const struct in_boot *boot = x->in->boot;

	return boot->linux != NULL ? text("Linux %s", boot->linux->kernel) : text("kit %s", boot->kit);
}

const char *hypercalls_text(const struct config_partition *p)
{
	static const char *const calls[] = {
		[BH_VERSION] = "version",
		[BH_CONSOLE_WRITE] = "console write",
		[BH_CONSOLE_READ] = "console read",
		[BH_COUNTER] = "counters",
		[BH_STOP] = "stop",
		[BH_SET_SCHEDULE] = "set schedule",
		[BH_PORT_SEND] = "port send",
		[BH_PORT_RECEIVE] = "port receive",
		[BH_PORT_STATUS] = "port status",
		[BH_RING] = "ring",
		[BH_PARTITION_STATUS] = "partition status",
		[BH_PARTITION_STOP] = "partition stop",
		[BH_PARTITION_START] = "partition start",
		[BH_PARTITION_RESET] = "partition reset",
		[BH_HEARTBEAT] = "heartbeat",
		[BH_RAISE_ERROR] = "raise error",
		[BH_SEAL] = "seal",
		[BH_EVENTS] = "events",
		[BH_AUDIT] = "audit",
	};
	const char *list = "";

	for (unsigned i = 0; i < LENGTH(calls); i++)
		if ((p->hypercalls >> i & 1) != 0 && calls[i] != NULL)
			list = text("%s%s%s", list, list[0] != '\0' ? ", " : "", calls[i]);
	return list[0] != '\0' ? list : "none";
}

const char *ports_text(const struct config_partition *p)
{
	const char *list = "";

	for (unsigned i = 0; i < p->port_count; i++)
		list = text("%s%s%s %s", list, i > 0 ? ", " : "", range_text(p->ports[i].first, p->ports[i].last),
		            port_names[p->ports[i].kind]);
	return list[0] != '\0' ? list : "none";
}

const char *actions_text(const struct config_partition *p, unsigned first, unsigned end)
{
	const char *list = "";

	/* Behind ERROR_COMPANION stand those that can happen only where there are health tables. */
	for (unsigned i = first; i < end && (i <= ERROR_COMPANION || p->health != NULL); i++)
		list = text("%s%s%s: %s", list, i > first ? ", " : "", error_names[i], action_names[p->action[i]]);
	return list;
}

const char *place_text(const struct config_memory *m)
{
	return m->hpa != CONFIG_HPA_ANY ? text("fixed at 0x%" PRIx64, m->hpa) :
	                                  text("placed at boot, %s aligned", size_text(m->align));
}

static unsigned shared_vcpus(const struct plan *plan, const struct config_partition *p)
{
	unsigned count = 0;

	for (unsigned i = 0; i < p->vcpu_count; i++)
		count += plan->cpus[p->vcpus[i].cpu].scheduled;
	return count;
}

/* On a CPU that partitions share the core keeps local APIC and deadline timer for itself: a vCPU has virtual ones. */
static bool of_local_apic(const struct config_msr *m)
{
	return m->first == 0x6e0 || m->first >> 8 == 0x8;
}

unsigned count_msrs(const struct plan *plan, const struct config_partition *p, bool passed)
{
	const bool all_shared = p->vcpu_count > 0 && shared_vcpus(plan, p) == p->vcpu_count;
	unsigned count = 0;

	for (unsigned i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];
		if (m->read == MSR_DENY && m->write == MSR_DENY)
			continue;
		if (((m->read == MSR_PASS || m->write == MSR_PASS) && !(all_shared && of_local_apic(m))) == passed)
			count += m->last - m->first + 1;
	}
	return count;
}

static void list_features(FILE *out, const struct plan_partition *x)
{
	int column = LIST_WIDTH;

	fprintf(out, "  CPUID features, where the CPU has them:");
	for (unsigned i = 0; i < feature_count; i++) {
		if (!x->feature_shown[i])
			continue;
		if (column >= LIST_WIDTH)
			column = fprintf(out, "\n   ");
		column += fprintf(out, " %s", features[i].name);
	}
	fprintf(out, "\n  CPUID features hidden:");
	for (unsigned i = 0; i < feature_count; i++)
		if (!x->feature_shown[i])
			fprintf(out, " %s", features[i].name);
	fprintf(out, "\n");
}

static void list_msrs(FILE *out, const struct plan *plan, const struct config_partition *p)
{
	const char *where = shared_vcpus(plan, p) == 0 ? "" : "; on shared CPUs a virtual one";

	fprintf(out, "  MSRs; all others give #GP:\n");
	for (unsigned i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];
		const char *name = msr_name(m->first, m->last);
		fprintf(out, "    %-22s read %-10s write %-10s %s%s\n", range_text(m->first, m->last),
		        kind_names[m->read], kind_names[m->write], name != NULL ? name : "(not one of the defaults)",
		        of_local_apic(m) ? where : "");
	}
}

void emit_allow(FILE *out, const struct plan *plan)
{
	fprintf(out,
	        "# What each partition of '%s' may do. Everything else is denied.\n"
	        "# MSRs: pass: straight to the hardware; value, shadow, real: the core answers, the hardware is not\n"
	        "# written; other kinds: the core emulates. Ports: unlisted ones read as all ones, writes vanish.\n",
	        plan->config.name);
	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		const struct config_partition *p = &plan->partitions[i];
		fprintf(out, "\npartition %s\n", p->name);
		for (unsigned j = 0; j < p->map_count; j++)
			fprintf(out, "  memory %s %s at 0x%" PRIx64 ", %s\n", plan->memories[p->maps[j].memory].name,
			        rights_text(p->maps[j].rights), p->maps[j].gpa, size_text(p->maps[j].size));
		list_features(out, &plan->extra[i]);
		list_msrs(out, plan, p);
		fprintf(out, "  ports: %s\n", ports_text(p));
		fprintf(out, "  APICs: %s; interrupts: %s\n", apics_text(p), interrupts_text(plan, i));
		if (plan->config.iommu != IOMMU_NONE)
			fprintf(out, "  PCI functions: %s\n", pci_text(plan, i));
		fprintf(out, "  hypercalls: %s%s\n", hypercalls_text(p),
		        (p->flags & PARTITION_CPL3_HYPERCALLS) != 0 ? "; from user mode too" : "; not from user mode");
		fprintf(out, "  on error: %s\n", actions_text(p, 0, ERROR_CLASS_COUNT));
	}
}

static void plan_memory(FILE *out, const struct plan *plan)
{
	uint64_t total = BOARD_RESERVE;

	fprintf(out, "MEMORY            size        place                             mapped by\n");
	for (unsigned i = 0; i < plan->config.memory_count; i++) {
		const struct config_memory *m = &plan->memories[i];
		const char *users = "";
		for (unsigned j = 0; j < plan->config.partition_count; j++)
			for (unsigned k = 0; k < plan->partitions[j].map_count; k++) {
				const struct config_map *map = &plan->partitions[j].maps[k];
				if (map->memory == i)
					users = text("%s%s%s %s at 0x%" PRIx64, users, users[0] != '\0' ? ", " : "",
					             plan->partitions[j].name, rights_text(map->rights), map->gpa);
			}
		fprintf(out, "  %-15s %-11s %-33s %s\n", m->name, size_text(m->size), place_text(m), users);
		total += m->size;
	}
	fprintf(out, "  %-15s %s\n  %-15s %s of %s\n", "(reserve)", size_text(BOARD_RESERVE), "(free)",
	        size_text(plan->board_memory - total), size_text(plan->board_memory));
}

static void plan_cpus(FILE *out, const struct plan *plan)
{
	fprintf(out, "\nCPU  runs\n");
	for (unsigned i = 0; i < plan->config.cpu_count; i++) {
		const struct config_cpu *c = &plan->cpus[i];
		if (c->slot_count == 0)
			fprintf(out, "  %-3u parked\n", i);
		else if (!c->scheduled)
			fprintf(out, "  %-3u %s, vCPU %u, dedicated\n", i, plan->partitions[c->slots->partition].name,
			        c->slots->vcpu);
		else
			fprintf(out, "  %-3u %s, scheduled\n", i, slots_text(plan, c));
	}
	emit_time(out, plan);
}

void emit_plan(FILE *out, const struct plan *plan)
{
	fprintf(out, "Plan of '%s': %u CPUs, %s, %u partitions\n\n", plan->config.name, plan->config.cpu_count,
	        size_text(plan->board_memory), plan->config.partition_count);
	plan_memory(out, plan);
	plan_cpus(out, plan);
	fprintf(out, "\nRIGHTS; what is not listed is denied\n");
	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		const struct config_partition *p = &plan->partitions[i];
		fprintf(out, "  %s\n", p->name);
		fprintf(out, "    boots       %s\n", boot_text(&plan->extra[i]));
		fprintf(out, "    hypercalls  %s%s\n", hypercalls_text(p),
		        (p->flags & PARTITION_CPL3_HYPERCALLS) != 0 ? " (also from user mode)" : "");
		fprintf(out, "    ports       %s\n", ports_text(p));
		fprintf(out, "    APICs       %s\n", apics_text(p));
		if (plan->config.interrupt_count > 0)
			fprintf(out, "    interrupts  %s\n", interrupts_text(plan, i));
		if (plan->config.iommu != IOMMU_NONE)
			fprintf(out, "    PCI         %s\n", pci_text(plan, i));
		fprintf(out, "    MSRs        %u direct, %u answered by the core\n", count_msrs(plan, p, true),
		        count_msrs(plan, p, false));
		fprintf(out, "    on error    %s\n", actions_text(p, 0, ERROR_COMPANION / 2));
		fprintf(out, "                %s\n", actions_text(p, ERROR_COMPANION / 2, ERROR_CLASS_COUNT));
		fprintf(out, "    tables      %u pages of EPT at most\n", plan->extra[i].ept_pages);
	}
	emit_flows(out, plan);
}

// SPDX-License-Identifier: Apache-2.0
/* config_sizes.h: how much of each thing the configuration has. Arrays are sized by it, and it decides what is linked. */
#include "mkconfig.h"
#include "../../core/sha256.h"
#include <inttypes.h>
#include <string.h>

static unsigned shadows_of(const struct config_partition *p)
{
	unsigned shadows = 0;

	for (unsigned i = 0; i < p->msr_count; i++)
		if (p->msrs[i].read == MSR_SHADOW || p->msrs[i].write == MSR_SHADOW)
			shadows += p->msrs[i].last - p->msrs[i].first + 1;
	return shadows;
}

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static void emit_time_sizes(FILE *out, const struct config *c)
{
	unsigned slots = 1, windows = 1, scheduled = 0;

	for (unsigned i = 0; i < c->cpu_count; i++) {
		slots = larger(slots, c->cpus[i].slot_count);
		scheduled += c->cpus[i].scheduled;
		for (unsigned s = 0; s < c->schedule_count; s++)
			windows = larger(windows, c->schedules[s].frames[i].window_count);
	}
	fprintf(out,
	        "#define CONFIG_VCPUS_PER_CPU %u\n"
	        "#define CONFIG_SCHEDULED_CPUS %u\n"
	        "#define CONFIG_SCHEDULES %u /* 1 at least */\n"
	        "#define CONFIG_WINDOWS_MAX %u /* of one frame; 1 at least */\n",
	        slots, scheduled, larger(c->schedule_count, 1), windows);
}

/* Of the partitions by their numbers: records mean something only to a configuration that has the same. */
static uint64_t identity(const struct config *c)
{
	const char *names = text("%s", c->name);
	uint8_t digest[32];
	uint64_t value = 0;

	for (unsigned i = 0; i < c->partition_count; i++)
		names = text("%s/%s", names, c->partitions[i].name);
	sha256(names, strlen(names), digest);
	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | digest[i];
	return value;
}

/* Memories that the core writes for partitions to read, and their indices in config.memories. */
static void emit_core_memory_sizes(FILE *out, const struct plan *plan)
{
	unsigned core = 0;

	for (unsigned i = 0; i < plan->config.memory_count; i++)
		core += plan->memories[i].owner == CONFIG_CORE || plan->memories[i].core_cpus != 0;
	fprintf(out,
	        "#define CONFIG_CORE_MEMORIES %u /* that the core sees, too */\n"
	        "#define CONFIG_TRACE_ENTRIES %u\n"
	        "#define CONFIG_AUDIT_ENTRIES %u\n"
	        "#define CONFIG_PANIC_RESET %u\n"
	        "#define CONFIG_COUNTERS %u\n",
	        core, plan->trace_entries, plan->audit_entries, plan->panic_reset, plan->counters);
	if (plan->counters)
		fprintf(out, "#define CONFIG_COUNTERS_AT 0x%x\n", plan->counters_at);
	if (plan->trace_entries > 0)
		fprintf(out, "#define CONFIG_TRACE_MEMORY %u\n", plan->trace_memory);
	if (plan->audit_entries > 0)
		fprintf(out,
		        "#define CONFIG_AUDIT_MEMORY %u\n#define CONFIG_AUDIT_RATE %u /* a second */\n"
		        "#define CONFIG_AUDIT_IDENTITY 0x%016" PRIx64 "ull\n",
		        plan->audit_memory, plan->audit_rate, identity(&plan->config));
}

static void emit_device_sizes(FILE *out, const struct config *c)
{
	unsigned mmio = 0, xapic = 0, ioapics = 0;

	for (unsigned i = 0; i < c->partition_count; i++) {
		mmio = larger(mmio, c->partitions[i].mmio_count);
		xapic += c->partitions[i].xapic;
		ioapics += c->partitions[i].ioapic != 0;
	}
	fprintf(out,
	        "/* Emulated ranges of one partition; partitions that begin in xAPIC mode, and with an I/O APIC; interrupts. */\n"
	        "#define CONFIG_MMIO %u\n#define CONFIG_XAPIC %u\n#define CONFIG_IOAPICS %u\n#define CONFIG_INTERRUPTS %u\n",
	        mmio, xapic, ioapics, c->interrupt_count);
}

static void emit_health_sizes(FILE *out, const struct config *c)
{
	unsigned heartbeats = 0, seals = 0, vectors = 0, overruns = 0;

	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &c->partitions[i];
		const struct config_health *h = p->health;
		heartbeats += h != NULL && h->heartbeat != 0;
		seals += h != NULL && h->seals;
		vectors += h != NULL && h->vector != 0;
		overruns += p->action[ERROR_OVERRUN] != ACTION_IGNORE || p->action[ERROR_WINDOW] != ACTION_IGNORE;
	}
	fprintf(out,
	        "/* Partitions may be stopped and started again; those with a heartbeat, and that may seal pages, that are "
	        "interrupted\n * when they are called, and for which it is an error to use up a budget or to lose a window. */\n"
	        "#define CONFIG_HEALTH %u\n#define CONFIG_HEARTBEATS %u\n#define CONFIG_SEALS %u\n"
	        "#define CONFIG_EVENT_VECTORS %u\n#define CONFIG_OVERRUNS %u\n",
	        has_health(c), heartbeats, seals, vectors, overruns);
}

static void emit_companion_sizes(FILE *out, const struct config *c)
{
	unsigned companions = 0, most = 0, vcpus = 0;

	for (unsigned i = 0; i < c->cpu_count; i++) {
		unsigned here = 0;
		for (unsigned s = 0; s < c->cpus[i].slot_count; s++)
			here += c->partitions[c->cpus[i].slots[s].partition].companion != 0 &&
			        c->cpus[i].slots[s].vcpu == 0;
		companions += here;
		most = larger(most, here);
	}
	for (unsigned i = 0; i < c->partition_count; i++)
		vcpus = larger(vcpus, c->partitions[i].companion != 0 ? c->partitions[i].vcpu_count : 0);
	fprintf(out,
	        "#define CONFIG_COMPANIONS %u\n#define CONFIG_COMPANIONS_PER_CPU %u\n"
	        "#define CONFIG_COMPANION_VCPUS %u /* of one partition that has a companion */\n",
	        companions, most, vcpus);
}

void emit_sizes(FILE *out, const struct plan *plan)
{
	const struct config *c = &plan->config;
	unsigned maps = 0, cpuid = 0, shadows = 1, vcpus = 0, ept = 0, ept_max = 0;

	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &plan->partitions[i];
		maps = larger(maps, p->map_count);
		cpuid = larger(cpuid, p->cpuid_count);
		shadows = larger(shadows, shadows_of(p));
		vcpus += p->vcpu_count;
		ept += plan->extra[i].ept_pages;
		ept_max = larger(ept_max, plan->extra[i].ept_pages);
	}
	fprintf(out,
	        "// SPDX-License-Identifier: Apache-2.0\n"
	        "/* Written by mkconfig: array sizes of the configuration '%s'. */\n",
	        c->name);
	fprintf(out, "#define CONFIG_CPUS %u\n#define CONFIG_PARTITIONS %u\n#define CONFIG_MEMORIES %u\n", c->cpu_count,
	        c->partition_count, c->memory_count);
	fprintf(out,
	        "#define CONFIG_MAPS_MAX %u /* of one partition */\n"
	        "#define CONFIG_CPUID_MAX %u /* of one partition */\n"
	        "#define CONFIG_MSR_SHADOWS %u /* of one vCPU; 1 at least */\n",
	        maps, cpuid, shadows);
	fprintf(out, "#define CONFIG_VCPUS %u\n", vcpus);
	emit_core_memory_sizes(out, plan);
	emit_trust_sizes(out, plan);
	fprintf(out, "#define CONFIG_SELF_CHECK %u\n", plan->self_check ? 1u : 0u);
	emit_time_sizes(out, c);
	emit_device_sizes(out, c);
	emit_companion_sizes(out, c);
	emit_pci_sizes(out, plan);
	emit_ports_sizes(out, plan);
	emit_health_sizes(out, c);
	fprintf(out,
	        "#define CONFIG_EPT_PAGES %u /* all partitions, at the worst placement */\n"
	        "#define CONFIG_EPT_PAGES_MAX %u /* of one partition */\n",
	        ept, ept_max);
}

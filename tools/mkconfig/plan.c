// SPDX-License-Identifier: Apache-2.0
/* From the file's structures to the tables, and the tables past the validator with every fault led back to its line. */
#include "mkconfig.h"
#include "../../hypercall/audit.h"
#include "../../hypercall/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LINUX_LIMIT GIB(3) /* below the local APIC's and the devices' addresses */
#define KIT_LIMIT GIB(1)
#define LINUX_MIN MIB(64)
#define KIT_MIN KIB(64)
#define BASE_MIN MIB(1)
#define ANSWER_LIMIT_DEFAULT_US 1000u
#define AUDIT_RATE_DEFAULT 16u
#define PCI_HOLE GIB(1) /* boards with more than 3 GiB move what lies under it above 4 GiB */

struct config_memory *plan_memory_add(struct plan *plan, const char *name, uint64_t size, uint16_t owner)
{
	struct config_memory *m = &plan->memories[plan->config.memory_count++];

	*m = (struct config_memory){ .name = name, .size = size, .hpa = CONFIG_HPA_ANY, .owner = owner };
	m->align = size >= LARGE_PAGE_SIZE ? LARGE_PAGE_SIZE : PAGE_SIZE; /* large pages need both addresses aligned */
	return m;
}

static void fix_base(const struct plan *plan, struct config_memory *m, unsigned line, const char *base)
{
	uint64_t limit = plan->board_memory + (plan->board_memory > GIB(3) ? PCI_HOLE : 0);

	if (base == NULL)
		return;
	m->hpa = parse_size(line, "base", base, BASE_MIN, limit);
	if (m->hpa % m->align != 0)
		fail(line, "base: 0x%" PRIx64 " is not a multiple of %s", m->hpa, size_text(m->align));
	if (m->size > limit - m->hpa)
		fail(line, "base: 0x%" PRIx64 " + %s ends beyond the board's memory (%s)", m->hpa, size_text(m->size),
		     size_text(plan->board_memory));
}

/* A memory that the core writes: a part for each CPU, whether it has partitions or not; its place is then its number's. */
static struct config_memory *add_core_memory(struct plan *plan, const char *name, uint64_t part)
{
	const uint64_t size = (part + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	struct config_memory *m = plan_memory_add(plan, name, size * plan->config.cpu_count, CONFIG_CORE);

	m->core_at = plan->core_used;
	if (size > CORE_MEMORY_SIZE - plan->core_used)
		fail(line_of("%s", name), "%s: what the core writes for partitions needs more than %s a CPU", name,
		     size_text(CORE_MEMORY_SIZE));
	plan->core_used += (uint32_t)size;
	return m;
}

static unsigned parse_entries(unsigned line, const char *string, unsigned min, unsigned max)
{
	uint64_t entries = parse_number(line, "entries", string, min, max);

	if ((entries & (entries - 1)) != 0)
		fail(line, "entries: %" PRIu64 " is not a power of two", entries);
	return (unsigned)entries;
}

static void build_trace(struct plan *plan)
{
	const struct in_trace *trace = plan->in->trace;

	if (trace == NULL)
		return;
	plan->trace_entries = parse_entries(line_of("trace/entries"), trace->entries, TRACE_ENTRIES_MIN,
	                                    TRACE_ENTRIES_MAX);
	plan->trace_memory = plan->config.memory_count;
	add_core_memory(plan, "trace", sizeof(struct trace_ring) + plan->trace_entries * sizeof(struct trace_record));
}

static void build_audit(struct plan *plan)
{
	const struct in_audit *audit = plan->in->audit;

	if (audit == NULL)
		return;
	plan->audit_entries = parse_entries(line_of("audit/entries"), audit->entries, AUDIT_ENTRIES_MIN,
	                                    AUDIT_ENTRIES_MAX);
	plan->audit_rate = AUDIT_RATE_DEFAULT;
	if (audit->rate != NULL)
		plan->audit_rate = (unsigned)parse_number(line_of("audit/rate"), "rate", audit->rate, 1,
		                                          plan->audit_entries / 4);
	plan->audit_memory = plan->config.memory_count;
	fix_base(plan,
	         add_core_memory(plan, "audit",
	                         sizeof(struct audit_ring) + plan->audit_entries * sizeof(struct audit_record)),
	         line_of("audit/base"), audit->base);
}

static void build_self_check(struct plan *plan)
{
	static const char *const starts[] = { "report", "refuse" }, *const later[] = { "record", "halt_machine" };
	const struct in_self_check *in = plan->in->self_check;
	struct config *c = &plan->config;
	unsigned line = line_of("self_check/every");
	bool halt = true;

	if (in == NULL)
		return;
	plan->self_check = true;
	if (in->at_start != NULL &&
	    parse_name(line_of("self_check/at_start"), "at_start", in->at_start, starts, LENGTH(starts)) == 1)
		c->self_check |= SELF_CHECK_REFUSE;
	if (in->on_difference != NULL)
		halt = parse_name(line_of("self_check/on_difference"), "on_difference", in->on_difference, later,
		                  LENGTH(later)) == 1;
	c->self_check |= halt ? SELF_CHECK_HALT : 0;
	if (in->every != NULL)
		c->self_check_us = parse_time(line, "every", in->every, SELF_CHECK_STEP_MIN_US, SELF_CHECK_TIME_MAX_US);
	if (c->self_check_us > 0 && plan->in->schedules_count == 0)
		fail(line,
		     "every: steps are taken on CPUs that partitions share, and there is none: the check at the start remains");
	if (in->interrupt_dedicated == NULL)
		return;
	line = line_of("self_check/interrupt_dedicated");
	c->self_check_kick_us = parse_time(line, "interrupt_dedicated", in->interrupt_dedicated, 1000,
	                                   SELF_CHECK_TIME_MAX_US);
	if (c->self_check_us == 0)
		fail(line, "interrupt_dedicated: without 'every' nobody is there to do it");
}

/* A page for each vCPU of a CPU, and one for those that are nobody's. CPUs are read in full later: here it counts how often each is named. */
static void build_counters(struct plan *plan)
{
	unsigned *named = allocate(plan->config.cpu_count * sizeof *named), most = 1;

	plan->counters = parse_truth(line_of("counters"), "counters", plan->in->counters);
	if (!plan->counters)
		return;
	for (unsigned i = 0; i < plan->in->partitions_count; i++)
		for (unsigned j = 0; j < plan->in->partitions[i].cpus_count; j++) {
			uint64_t cpu = parse_number(line_of("partitions/%u/cpus/%u", i, j), "cpus",
			                            plan->in->partitions[i].cpus[j], 0, plan->config.cpu_count - 1u);
			if (++named[cpu] > most)
				most = named[cpu];
		}
	plan->counters_at = plan->core_used;
	add_core_memory(plan, "counters", (most + 1) * PAGE_SIZE);
}

static void build_memories(struct plan *plan)
{
	const struct in_file *in = plan->in;
	uint64_t total = 0, limit = plan->board_memory - BOARD_RESERVE;

	plan->memories = allocate((in->partitions_count + in->shared_count + CORE_MEMORIES_MAX + ports_memories(in)) *
	                          sizeof *plan->memories);
	for (unsigned i = 0; i < in->partitions_count; i++) {
		const struct in_partition *p = &in->partitions[i];
		bool linux = p->boot->linux != NULL;
		uint64_t size = parse_size(line_of("partitions/%u/memory", i), "memory", p->memory,
		                           linux ? LINUX_MIN : KIT_MIN, linux ? LINUX_LIMIT : KIT_LIMIT);
		fix_base(plan, plan_memory_add(plan, p->name, size, (uint16_t)i), line_of("partitions/%u/base", i),
		         p->base);
		plan->extra[i].memory_size = size;
	}
	for (unsigned i = 0; i < in->shared_count; i++) {
		const struct in_shared *s = &in->shared[i];
		uint64_t size = parse_size(line_of("shared/%u/size", i), "size", s->size, PAGE_SIZE, GIB(1));
		fix_base(plan, plan_memory_add(plan, s->name, size, CONFIG_SHARED), line_of("shared/%u/base", i),
		         s->base);
	}
	build_trace(plan);
	build_audit(plan);
	build_counters(plan);
	for (unsigned i = 0; i < plan->config.memory_count; i++)
		total += plan->memories[i].size;
	if (total > limit)
		fail(line_of("board/memory"),
		     "the partitions and shared memories need %s; the board has %s, less %s for "
		     "firmware and core leaves %s: %s too little",
		     size_text(total), size_text(plan->board_memory), size_text(BOARD_RESERVE), size_text(limit),
		     size_text(total - limit));
}

static uint8_t parse_rights(unsigned line, const char *string)
{
	static const char letters[] = "rwx";
	unsigned rights = 0;

	for (const char *c = string; *c != '\0'; c++) {
		const char *letter = strchr(letters, *c);
		if (letter == NULL || (rights >> (letter - letters) & 1) != 0)
			fail(line, "rights: '%s' is not one of r, rw, rx", string);
		rights |= 1u << (letter - letters);
	}
	return (uint8_t)rights;
}

static unsigned find_shared(const struct plan *plan, unsigned line, const char *name)
{
	for (unsigned i = 0; i < plan->config.memory_count; i++)
		if (strcmp(plan->memories[i].name, name) == 0)
			return i;
	fail(line, "memory: no shared memory is named '%s'", name);
}

/* What a device is to reach is seen where it is; the first megabyte, which a guest needs and gives to no device, at 0 all the same. */
static void make_identity(const struct plan *plan, unsigned partition, struct config_map *maps)
{
	struct plan_partition *x = &plan->extra[partition];
	const uint64_t base = plan->memories[partition].hpa;
	unsigned line = line_of("partitions/%u/identity", partition);

	if (base == CONFIG_HPA_ANY)
		fail(line, "identity: the partition's memory needs a fixed place (base:)");
	if (x->memory_size <= MIB(1) || base % MIB(1) != 0 || x->memory_size > LINUX_LIMIT ||
	    base > LINUX_LIMIT - x->memory_size)
		fail(line, "identity: needs more than 1 MiB of memory, at a whole MiB, below %s",
		     size_text(LINUX_LIMIT));
	maps[1] = maps[0];
	maps[0].size = MIB(1);
	maps[1].offset = MIB(1);
	maps[1].gpa = base + MIB(1);
	maps[1].size = x->memory_size - MIB(1);
	x->memory_end = base + x->memory_size;
	x->own_maps = 2;
}

static void build_maps(struct plan *plan, unsigned partition)
{
	struct plan_partition *x = &plan->extra[partition];
	const struct in_partition *in = x->in;
	struct config_map *maps = allocate((in->maps_count + 2) * sizeof *maps);

	maps[0] = (struct config_map){ .memory = (uint16_t)partition,
		                       .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC,
		                       .size = x->memory_size };
	x->memory_end = x->memory_size;
	x->own_maps = 1;
	if (parse_truth(line_of("partitions/%u/identity", partition), "identity", in->identity))
		make_identity(plan, partition, maps);
	for (unsigned i = 0; i < in->maps_count; i++) {
		const struct in_map *from = &in->maps[i];
		struct config_map *to = &maps[i + x->own_maps];
		uint64_t whole;
		to->memory = (uint16_t)find_shared(plan, line_of("partitions/%u/maps/%u/memory", partition, i),
		                                   from->memory);
		whole = plan->memories[to->memory].size;
		to->gpa = parse_size(line_of("partitions/%u/maps/%u/at", partition, i), "at", from->at, 0,
		                     GUEST_LIMIT - PAGE_SIZE);
		to->rights = parse_rights(line_of("partitions/%u/maps/%u/rights", partition, i), from->rights);
		if (from->offset != NULL)
			to->offset = parse_size(line_of("partitions/%u/maps/%u/offset", partition, i), "offset",
			                        from->offset, 0, whole - PAGE_SIZE);
		to->size = whole - to->offset;
		if (from->size != NULL)
			to->size = parse_size(line_of("partitions/%u/maps/%u/size", partition, i), "size", from->size,
			                      PAGE_SIZE, to->size);
		if (to->size > GUEST_LIMIT - to->gpa)
			fail(line_of("partitions/%u/maps/%u/at", partition, i), "at: 0x%" PRIx64 " + %s ends beyond %s",
			     to->gpa, size_text(to->size), size_text(GUEST_LIMIT));
	}
	x->maps = maps;
	plan->partitions[partition].maps = maps;
	plan->partitions[partition].map_count = (uint16_t)(in->maps_count + x->own_maps);
}

static void build_partition(struct plan *plan, unsigned partition)
{
	struct config_partition *p = &plan->partitions[partition];

	p->payload.file = text("%s.img", p->name);
	if (plan->extra[partition].in->cpus_count == 0) {
		const struct in_partition *master = &plan->in->partitions[plan->extra[partition].in->master];
		const char *limit = master->companion->answer_within;
		p->flags = PARTITION_COMPANION | PARTITION_CPL3_HYPERCALLS; /* that is where it runs */
		p->answer_limit_us = ANSWER_LIMIT_DEFAULT_US;
		if (limit != NULL)
			p->answer_limit_us = parse_time(line_of("partitions/%u/answer_within", partition),
			                                "answer_within", limit, 1, CONFIG_ANSWER_LIMIT_MAX_US);
		plan->partitions[plan->extra[partition].in->master].companion = (uint16_t)partition;
	}
	vcpus_build(plan, partition);
	build_maps(plan, partition);
	cpuid_build(plan, partition);
	rights_build(plan, partition);
	devices_build(plan, partition);
}

static void build_machine(struct plan *plan)
{
	static const char *const itlb[] = { "small_pages", "accept", "refuse" };
	static const char *const panics[] = { "stop", "reset" };
	const struct in_file *in = plan->in;
	struct config *c = &plan->config;

	c->magic = CONFIG_MAGIC;
	c->version = CONFIG_VERSION;
	c->name = in->name;
	c->cpu_count = (uint16_t)parse_number(line_of("board/cpus"), "cpus", in->board->cpus, 1, CONFIG_MAX_CPUS);
	plan->board_memory = parse_size(line_of("board/memory"), "memory", in->board->memory, 2 * BOARD_RESERVE,
	                                GIB(4096));
	if (in->console != NULL && in->console->uart != NULL)
		c->uart_port = (uint16_t)parse_number(line_of("console/uart"), "uart", in->console->uart, 1, 0xfff8);
	if (in->console != NULL && in->console->debug_port != NULL)
		c->debug_port = (uint16_t)parse_number(line_of("console/debug_port"), "debug_port",
		                                       in->console->debug_port, 1, UINT16_MAX);
	build_self_check(plan);
	if (in->itlb_multihit != NULL)
		c->itlb_multihit = (uint8_t)parse_name(line_of("itlb_multihit"), "itlb_multihit", in->itlb_multihit,
		                                       itlb, LENGTH(itlb));
	if (in->panic != NULL)
		plan->panic_reset = parse_name(line_of("panic"), "panic", in->panic, panics, LENGTH(panics)) == 1;
	trust_build(plan);
	plan->cpus = allocate(c->cpu_count * sizeof *plan->cpus);
	plan->slots = allocate(c->cpu_count * sizeof *plan->slots);
}

void plan_build(struct plan *plan, const struct in_file *in)
{
	struct config *c = &plan->config;

	*plan = (struct plan){ .in = in };
	build_machine(plan);
	schedules_open(plan);
	c->partition_count = (uint16_t)in->partitions_count;
	plan->partitions = allocate(in->partitions_count * sizeof *plan->partitions);
	plan->extra = allocate(in->partitions_count * sizeof *plan->extra);
	for (unsigned i = 0; i < in->partitions_count; i++) {
		const struct in_boot *boot = in->partitions[i].boot;
		plan->extra[i].in = &in->partitions[i];
		plan->partitions[i].name = in->partitions[i].name;
		if (boot == NULL || (boot->linux != NULL) == (boot->kit != NULL))
			fail(line_of("partitions/%u/boot", i), "boot: give one of 'linux' and 'kit'");
	}
	build_memories(plan);
	pci_build(plan);
	for (unsigned i = 0; i < in->partitions_count; i++)
		build_partition(plan, i);
	ports_build(plan);
	schedules_build(plan);
	pci_vectors(plan);
	health_build(plan);
	c->cpus = plan->cpus;
	c->memories = plan->memories;
	c->partitions = plan->partitions;
	c->interrupts = plan->interrupts;
}

// SPDX-License-Identifier: Apache-2.0
/* The validator of configuration tables: see validate.h. One function a concern, called in an order
 * in which each may rely on what those before it have established. */
#include "validate.h"
#include "../hypercall/abi.h"

#include <stdbool.h>
#include <stddef.h>

/* Where the sizes of one configuration are known (-include config_sizes.h), the tables must fit them. */
#ifndef CONFIG_CPUS
#define CONFIG_CPUS CONFIG_MAX_CPUS
#define CONFIG_PARTITIONS CONFIG_MAX_PARTITIONS
#define CONFIG_MEMORIES (2u * CONFIG_MAX_PARTITIONS + CONFIG_CORE_MEMORIES)
#define CONFIG_CORE_MEMORIES (3u + 2u * CONFIG_MAX_CHANNELS + CONFIG_MAX_PARTITIONS)
#define CONFIG_MAPS_MAX CONFIG_MAX_MAPS
#define CONFIG_CPUID_MAX 255u
#define CONFIG_MSR_SHADOWS 255u
#define CONFIG_SCHEDULES CONFIG_MAX_SCHEDULES
#define CONFIG_MMIO CONFIG_MAX_MMIO
#define CONFIG_COMPANIONS CONFIG_MAX_PARTITIONS
#define CONFIG_IOMMU 1u
#define CONFIG_DEVICES CONFIG_MAX_DEVICES
#define CONFIG_CHANNELS CONFIG_MAX_CHANNELS
#define CONFIG_DOORBELLS CONFIG_MAX_DOORBELLS
#define CONFIG_AUDIT_ENTRIES 1
#define CONFIG_HEALTH 1u
#endif

#define ADDRESS_LIMIT (1ull << 46)
#define MSR_RANGE_MAX 0x2000u /* numbers in an entry: the core walks over them; a bitmap has as many */
#define GDT_LIMIT_MIN 31u     /* null, unused, 10h code, 18h data */

/* [a, a + a_size) and [b, b + b_size) share a byte. Neither range wraps. */
static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* [start, start + size) lies in [0, limit), with no sum that could wrap. */
static bool within(uint64_t start, uint64_t size, uint64_t limit)
{
	return start <= limit && size <= limit - start;
}

static bool page_multiple(uint64_t n)
{
	return n % PAGE_SIZE == 0;
}

/* One map of the partition holds all of [gpa, gpa + size) with the rights. */
static bool mapped(const struct config_partition *p, uint64_t gpa, uint64_t size, unsigned rights)
{
	for (unsigned i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		if (gpa >= m->gpa && within(gpa - m->gpa, size, m->size) && (m->rights & rights) == rights)
			return true;
	}
	return false;
}

static bool name_valid(const char *name)
{
	unsigned length = 0;

	for (; name[length] != '\0'; length++) {
		char c = name[length];
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
		if (!good || length == CONFIG_NAME_MAX)
			return false;
	}
	return length > 0;
}

/* Both names are valid, so the loop is bounded. */
static bool name_equal(const char *a, const char *b)
{
	unsigned i = 0;

	while (a[i] != '\0' && a[i] == b[i])
		i++;
	return a[i] == b[i];
}

static enum config_rule check_counts(const struct config *c, struct config_fault *fault)
{
	if (c->cpu_count == 0 || c->cpu_count > CONFIG_CPUS || c->memory_count == 0 ||
	    c->memory_count > CONFIG_MEMORIES || c->partition_count == 0 || c->partition_count > CONFIG_PARTITIONS ||
	    c->schedule_count > CONFIG_SCHEDULES)
		return config_fault_at(fault, RULE_COUNT, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &c->partitions[i];
		bool companion = CONFIG_COMPANIONS && (p->flags & PARTITION_COMPANION) != 0;
		if ((p->vcpu_count == 0) != companion || p->vcpu_count > CONFIG_MAX_CPUS || p->map_count == 0 ||
		    p->map_count > CONFIG_MAPS_MAX || p->segment_count == 0 || p->segment_count > CONFIG_MAX_SEGMENTS ||
		    p->cpuid_count == 0 || p->cpuid_count > CONFIG_CPUID_MAX || (p->msr_count == 0) != companion)
			return config_fault_at(fault, RULE_COUNT, i, CONFIG_NONE, CONFIG_NONE);
	}
	return RULE_OK;
}

/* Its companion is where a vCPU is whose access waits for it: all of them are on one CPU. */
static bool on_one_cpu(const struct config_partition *p)
{
	for (unsigned i = 1; i < p->vcpu_count; i++)
		if (p->vcpus[i].cpu != p->vcpus[0].cpu)
			return false;
	return true;
}

/* A companion lives for one partition on one CPU, and can do nothing but answer it: it has neither ports nor MSRs. */
static inline enum config_rule check_companions(const struct config *c, struct config_fault *fault)
{
	const uint64_t calls = 1ull << BH_VERSION | 1ull << BH_COUNTER | 1ull << BH_CONSOLE_WRITE |
	                       1ull << BH_CONSOLE_READ | 1ull << BH_RING;

	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &c->partitions[i];
		bool companion = (p->flags & PARTITION_COMPANION) != 0;
		unsigned masters = 0;
		for (unsigned j = 0; j < c->partition_count; j++)
			masters += c->partitions[j].companion == i && i != 0;
		if (masters != companion)
			return config_fault_at(fault, RULE_COMPANION, i, CONFIG_NONE, CONFIG_NONE);
		if (companion ? p->flags != (PARTITION_COMPANION | PARTITION_CPL3_HYPERCALLS) || p->port_count != 0 ||
		                        p->companion != 0 || (p->hypercalls & ~calls) != 0 || p->answer_limit_us == 0 ||
		                        p->answer_limit_us > CONFIG_ANSWER_LIMIT_MAX_US :
		                p->companion >= c->partition_count || (p->companion != 0 && !on_one_cpu(p)))
			return config_fault_at(fault, RULE_COMPANION, i, CONFIG_NONE, CONFIG_NONE);
	}
	return RULE_OK;
}

static enum config_rule check_names(const struct config *c, struct config_fault *fault)
{
	if (!name_valid(c->name))
		return config_fault_at(fault, RULE_NAME, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->partition_count; i++) {
		if (!name_valid(c->partitions[i].name))
			return config_fault_at(fault, RULE_NAME, i, CONFIG_NONE, CONFIG_NONE);
		for (unsigned j = 0; j < i; j++)
			if (name_equal(c->partitions[i].name, c->partitions[j].name))
				return config_fault_at(fault, RULE_NAME, i, CONFIG_NONE, j);
	}
	for (unsigned i = 0; i < c->memory_count; i++) {
		if (!name_valid(c->memories[i].name))
			return config_fault_at(fault, RULE_NAME, CONFIG_NONE, i, CONFIG_NONE);
		for (unsigned j = 0; j < i; j++)
			if (name_equal(c->memories[i].name, c->memories[j].name))
				return config_fault_at(fault, RULE_NAME, CONFIG_NONE, i, j);
	}
	for (unsigned i = 0; i < c->schedule_count; i++) {
		fault->schedule = (uint16_t)i;
		if (!name_valid(c->schedules[i].name))
			return config_fault_at(fault, RULE_NAME, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
		for (unsigned j = 0; j < i; j++)
			if (name_equal(c->schedules[i].name, c->schedules[j].name))
				return config_fault_at(fault, RULE_NAME, CONFIG_NONE, CONFIG_NONE, j);
	}
	fault->schedule = CONFIG_NONE;
	return RULE_OK;
}

/* Constant 0 where the configuration has none such: then there is no such owner. */
static bool core_writes(const struct config_memory *m)
{
	return CONFIG_CORE_MEMORIES && (m->owner == CONFIG_CORE || m->owner == CONFIG_CHANNEL);
}

/* Bytes of it that one CPU's core sees. */
static uint64_t core_part(const struct config *c, const struct config_memory *m)
{
	return m->owner == CONFIG_CORE ? m->size / c->cpu_count : m->core_cpus != 0 ? m->size : 0;
}

/* Room for it where CPUs see it; and perhaps a part for each of them. */
static enum config_rule check_core_memory(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_memory *m = &c->memories[index];
	uint64_t part = core_part(c, m);

	if ((m->owner == CONFIG_CORE && m->size % c->cpu_count != 0) || !page_multiple(part))
		return config_fault_at(fault, RULE_MEMORY_SIZE, CONFIG_NONE, index, CONFIG_NONE);
	if (!page_multiple(m->core_at) || !within(m->core_at, part, CORE_MEMORY_SIZE))
		return config_fault_at(fault, RULE_MEMORY_PLACE, CONFIG_NONE, index, CONFIG_NONE);
	for (unsigned j = 0; j < index; j++) {
		const struct config_memory *n = &c->memories[j];
		if (overlap(m->core_at, part, n->core_at, core_part(c, n)))
			return config_fault_at(fault, RULE_MEMORY_PLACE, CONFIG_NONE, index, j);
	}
	return RULE_OK;
}

static enum config_rule check_memories(const struct config *c, struct config_fault *fault)
{
	for (unsigned i = 0; i < c->memory_count; i++) {
		const struct config_memory *m = &c->memories[i];
		bool fixed = m->hpa != CONFIG_HPA_ANY;
		if (m->size == 0 || !page_multiple(m->size) || m->size > ADDRESS_LIMIT)
			return config_fault_at(fault, RULE_MEMORY_SIZE, CONFIG_NONE, i, CONFIG_NONE);
		if (m->align < PAGE_SIZE || (m->align & (m->align - 1)) != 0 || m->align > ADDRESS_LIMIT ||
		    (fixed && (m->hpa % m->align != 0 || !within(m->hpa, m->size, ADDRESS_LIMIT))))
			return config_fault_at(fault, RULE_MEMORY_PLACE, CONFIG_NONE, i, CONFIG_NONE);
		for (unsigned j = 0; fixed && j < i; j++) {
			const struct config_memory *n = &c->memories[j];
			if (n->hpa != CONFIG_HPA_ANY && overlap(m->hpa, m->size, n->hpa, n->size))
				return config_fault_at(fault, RULE_MEMORY_PLACE, CONFIG_NONE, i, j);
		}
		if (CONFIG_CORE_MEMORIES && core_part(c, m) != 0 && check_core_memory(c, i, fault) != RULE_OK)
			return fault->rule;
	}
	return RULE_OK;
}

static enum config_rule check_map(const struct config *c, unsigned partition, unsigned index,
                                  struct config_fault *fault)
{
	const struct config_partition *p = &c->partitions[partition];
	const struct config_map *m = &p->maps[index];
	const struct config_memory *memory;

	if (m->memory >= c->memory_count)
		return config_fault_at(fault, RULE_MAP_RANGE, partition, index, CONFIG_NONE);
	memory = &c->memories[m->memory];
	if (m->size == 0 || !page_multiple(m->size | m->gpa | m->offset) || !within(m->offset, m->size, memory->size) ||
	    !within(m->gpa, m->size, ADDRESS_LIMIT))
		return config_fault_at(fault, RULE_MAP_RANGE, partition, index, CONFIG_NONE);
	if (memory->owner != CONFIG_SHARED && memory->owner != partition && !core_writes(memory))
		return config_fault_at(fault, RULE_MEMORY_OWNER, partition, index, m->memory);
	if ((m->rights & RIGHT_READ) == 0 || (m->rights & ~(RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC)) != 0 ||
	    (memory->owner == CONFIG_SHARED && (m->rights & RIGHT_WRITE) != 0 && (m->rights & RIGHT_EXEC) != 0) ||
	    (core_writes(memory) && m->rights != RIGHT_READ))
		return config_fault_at(fault, RULE_MAP_RIGHTS, partition, index, CONFIG_NONE);
	for (unsigned j = 0; j < index; j++) {
		const struct config_map *n = &p->maps[j];
		if (overlap(m->gpa, m->size, n->gpa, n->size))
			return config_fault_at(fault, RULE_MAP_OVERLAP, partition, index, j);
		if (m->memory == n->memory && memory->owner == partition &&
		    overlap(m->offset, m->size, n->offset, n->size))
			return config_fault_at(fault, RULE_MAP_ALIAS, partition, index, j);
	}
	return RULE_OK;
}

static bool memory_is_mapped(const struct config *c, unsigned memory)
{
	for (unsigned i = 0; i < c->partition_count; i++)
		for (unsigned j = 0; j < c->partitions[i].map_count; j++)
			if (c->partitions[i].maps[j].memory == memory)
				return true;
	return false;
}

static enum config_rule check_maps(const struct config *c, struct config_fault *fault)
{
	for (unsigned i = 0; i < c->partition_count; i++)
		for (unsigned j = 0; j < c->partitions[i].map_count; j++)
			if (check_map(c, i, j, fault) != RULE_OK)
				return fault->rule;
	for (unsigned i = 0; i < c->memory_count; i++) {
		uint16_t owner = c->memories[i].owner;
		if ((owner != CONFIG_SHARED && owner >= c->partition_count && !core_writes(&c->memories[i])) ||
		    !memory_is_mapped(c, i))
			return config_fault_at(fault, RULE_MEMORY_OWNER, CONFIG_NONE, i, CONFIG_NONE);
	}
	return RULE_OK;
}

static enum config_rule check_start(const struct config_partition *p, unsigned partition, struct config_fault *fault)
{
	const struct config_entry *e = &p->entry;

	for (unsigned i = 0; i < p->segment_count; i++) {
		const struct config_segment *s = &p->segments[i];
		if (!s->size || !within(s->offset, s->size, p->payload.size) ||
		    !mapped(p, s->gpa, s->size, RIGHT_WRITE))
			return config_fault_at(fault, RULE_SEGMENT, partition, i, CONFIG_NONE);
	}
	/* RSP 0: the guest sets its own. The CPU sets accessed bits in the tables and in the descriptors. */
	if (!mapped(p, e->rip, 1, RIGHT_EXEC) || (e->rsp != 0 && !mapped(p, e->rsp - 1, 1, RIGHT_WRITE)) ||
	    !page_multiple(e->cr3) || !mapped(p, e->cr3, PAGE_SIZE, RIGHT_WRITE) || e->gdt_limit < GDT_LIMIT_MIN ||
	    !mapped(p, e->gdt_base, e->gdt_limit + 1ull, RIGHT_WRITE))
		return config_fault_at(fault, RULE_ENTRY, partition, CONFIG_NONE, CONFIG_NONE);
	return RULE_OK;
}

/* Entries of each leaf stand together, sub-leaf n at place n, so that the core can index; none is left over. */
static enum config_rule check_cpuid_range(const struct config_partition *p, unsigned partition,
                                          const struct config_cpuid_index *index, unsigned count, uint32_t leaf,
                                          unsigned *seen, struct config_fault *fault)
{
	for (unsigned i = 0; i < count; i++) {
		const struct config_cpuid_index *x = &index[i];
		if ((unsigned)x->first + x->count > p->cpuid_count || x->any_subleaf > (x->count == 1))
			return config_fault_at(fault, RULE_CPUID, partition, i, CONFIG_NONE);
		for (unsigned j = 0; j < x->count; j++)
			if (p->cpuid[x->first + j].leaf != leaf + i || p->cpuid[x->first + j].subleaf != j)
				return config_fault_at(fault, RULE_CPUID, partition, x->first + j, CONFIG_NONE);
		*seen += x->count;
	}
	return RULE_OK;
}

static const struct {
	uint32_t leaf, subleaf;
	uint8_t reg, bit;
} hidden[] = {
#define FEATURE_HIDDEN_0(...)
#define FEATURE_HIDDEN_1(...)
#define FEATURE_HIDDEN_2(leaf, subleaf, reg, bit) { leaf, subleaf, reg, bit },
#define FEATURE(name, leaf, subleaf, reg, bit, control, cr4, set) FEATURE_HIDDEN_##set(leaf, subleaf, reg, bit)
#include "features.def"
};

static enum config_rule check_cpuid(const struct config_partition *p, unsigned partition, struct config_fault *fault)
{
	unsigned seen = 0;

	if (check_cpuid_range(p, partition, p->basic, CONFIG_CPUID_BASIC, 0, &seen, fault) != RULE_OK ||
	    check_cpuid_range(p, partition, p->extended, CONFIG_CPUID_EXTENDED, 0x80000000u, &seen, fault) != RULE_OK ||
	    check_cpuid_range(p, partition, p->hyper, CONFIG_CPUID_HYPER, 0x40000000u, &seen, fault) != RULE_OK ||
	    check_cpuid_range(p, partition, p->own, CONFIG_CPUID_OWN, BH_CPUID_LEAF, &seen, fault) != RULE_OK)
		return fault->rule;
	if (seen != p->cpuid_count) /* an entry no index leads to, or one that two lead to */
		return config_fault_at(fault, RULE_CPUID, partition, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < p->cpuid_count; i++)
		for (size_t j = 0; j < sizeof hidden / sizeof hidden[0]; j++) {
			const struct config_cpuid *e = &p->cpuid[i];
			if (e->leaf == hidden[j].leaf && e->subleaf == hidden[j].subleaf &&
			    ((e->mask[hidden[j].reg] | e->set[hidden[j].reg]) >> hidden[j].bit & 1) != 0)
				return config_fault_at(fault, RULE_CPUID_HIDDEN, partition, i, CONFIG_NONE);
		}
	return RULE_OK;
}

struct span {
	uint32_t first, last;
};

/*
 * The only MSRs a guest may write directly. All are swapped by VM entry and exit, or are harmless to the host and to
 * other CPUs whatever they hold. A list of what is allowed, because what a future CPU adds must be refused.
 */
static const struct span msr_write[] = {
	{ 0x48, 0x49 },             /* SPEC_CTRL, PRED_CMD */
	{ 0xe1, 0xe1 },             /* UMWAIT_CONTROL */
	{ 0x10b, 0x10b },           /* FLUSH_CMD */
	{ 0x174, 0x176 },           /* SYSENTER */
	{ 0x1a4, 0x1a4 },           /* prefetcher control */
	{ 0x277, 0x277 },           /* PAT, loaded and saved by the VMCS */
	{ 0x6e0, 0x6e0 },           /* TSC_DEADLINE */
	{ 0x808, 0x808 },           /* x2APIC: TPR */
	{ 0x80b, 0x80b },           /* EOI */
	{ 0x828, 0x828 },           /* ESR */
	{ 0x832, 0x832 },           /* LVT timer: it has no delivery mode, fixed only (SDM Vol. 3A, 11.5.1) */
	{ 0x837, 0x838 },           /* LVT error: likewise; timer initial count */
	{ 0x83e, 0x83f },           /* timer divide, self IPI */
	{ 0xc0000080, 0xc0000084 }, /* EFER (loaded and saved by the VMCS), STAR, LSTAR, CSTAR, FMASK */
	{ 0xc0000100, 0xc0000103 }, /* FS, GS and kernel GS base, TSC_AUX */
};

/* What not even a direct read may reach: the core answers for these, or their values are the host's own affair. */
static const struct span msr_no_read[] = {
	{ 0x1b, 0x1b },   { 0x3a, 0x3b },   { 0x79, 0x79 },   { 0x9b, 0x9e },   { 0x38d, 0x390 }, { 0x480, 0x4ff },
	{ 0x802, 0x802 }, { 0x80d, 0x80d }, { 0x830, 0x830 }, { 0xd90, 0xd90 }, { 0xda0, 0xda0 },
};

static bool touches(const struct span *list, size_t count, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < count; i++)
		if (first <= list[i].last && list[i].first <= last)
			return true;
	return false;
}

/* Only these two ranges have bits in the MSR bitmaps (SDM Vol. 3C, 25.6.9). */
static bool in_bitmaps(uint32_t first, uint32_t last)
{
	return last <= 0x1fff || (first >= 0xc0000000u && last <= 0xc0001fffu);
}

/* Every number of [first, last] is in msr_write. The range lies in the bitmaps, so the loop is bounded. */
static bool all_writable(uint32_t first, uint32_t last)
{
	for (uint32_t msr = first; msr <= last; msr++)
		if (!touches(msr_write, sizeof msr_write / sizeof msr_write[0], msr, msr))
			return false;
	return true;
}

/* The kinds that the core implements for one MSR each; and the two that it may read on any CPU, or knows when it may.
 */
static bool kind_has_place(unsigned kind, uint32_t first, uint32_t last)
{
	static const uint32_t place[MSR_KIND_COUNT] = {
		[MSR_APIC_BASE] = 0x1b, [MSR_APIC_ID] = 0x802,  [MSR_APIC_LDR] = 0x80d,
		[MSR_APIC_ICR] = 0x830, [MSR_APIC_SVR] = 0x80f, [MSR_XSS] = 0xda0,
	};

	if (kind == MSR_REAL)
		return first == last && (first == 0x8b || first == 0x10a);
	return kind < MSR_APIC_BASE || (first == last && first == place[kind]);
}

static enum config_rule check_msrs(const struct config_partition *p, unsigned partition, struct config_fault *fault)
{
	unsigned next_shadow = 0;

	for (unsigned i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];
		bool both = m->read != MSR_DENY && m->write != MSR_DENY;
		if (m->first > m->last || m->last - m->first >= MSR_RANGE_MAX ||
		    (i > 0 && m->first <= p->msrs[i - 1].last))
			return config_fault_at(fault, RULE_MSR, partition, i, i > 0 ? i - 1 : CONFIG_NONE);
		if (m->read >= MSR_KIND_COUNT || m->write >= MSR_KIND_COUNT ||
		    (both && (m->read >= MSR_SHADOW || m->write >= MSR_SHADOW) && m->read != m->write) ||
		    !kind_has_place(m->read, m->first, m->last) || !kind_has_place(m->write, m->first, m->last))
			return config_fault_at(fault, RULE_MSR, partition, i, CONFIG_NONE);
		if (m->read == MSR_SHADOW || m->write == MSR_SHADOW) { /* slots are given out in order, none twice */
			if (m->shadow < next_shadow || m->shadow >= CONFIG_MSR_SHADOWS ||
			    m->last - m->first >= (uint32_t)CONFIG_MSR_SHADOWS - m->shadow)
				return config_fault_at(fault, RULE_MSR, partition, i, CONFIG_NONE);
			next_shadow = m->shadow + (m->last - m->first) + 1;
		}
		if ((m->read == MSR_PASS || m->write == MSR_PASS) && !in_bitmaps(m->first, m->last))
			return config_fault_at(fault, RULE_MSR_HOST, partition, i, CONFIG_NONE);
		if (m->read == MSR_PASS &&
		    touches(msr_no_read, sizeof msr_no_read / sizeof msr_no_read[0], m->first, m->last))
			return config_fault_at(fault, RULE_MSR_HOST, partition, i, CONFIG_NONE);
		if (m->write == MSR_PASS && !all_writable(m->first, m->last))
			return config_fault_at(fault, RULE_MSR_HOST, partition, i, CONFIG_NONE);
	}
	return RULE_OK;
}

/* Ports through which a guest could reach the machine: never passed. The consoles' own ports come on top. */
static const struct span port_host[] = {
	{ 0x00, 0x1f }, { 0x81, 0x8f },   { 0xc0, 0xdf },   /* DMA controllers and their page registers */
	{ 0x20, 0x21 }, { 0xa0, 0xa1 },   { 0x4d0, 0x4d1 }, /* interrupt controllers */
	{ 0x61, 0x61 }, { 0x70, 0x70 },                     /* NMI sources and mask: NMI is the core's kick */
	{ 0x64, 0x64 }, { 0x92, 0x92 },                     /* reset lines, A20 */
	{ 0xb2, 0xb3 }, { 0xcf8, 0xcff },                   /* SMI command; PCI configuration and reset control */
};

static bool host_port(const struct config *c, uint16_t first, uint16_t last)
{
	return touches(port_host, sizeof port_host / sizeof port_host[0], first, last) ||
	       (c->uart_port != 0 && first <= c->uart_port + 7 && c->uart_port <= last) ||
	       (c->debug_port != 0 && first <= c->debug_port && c->debug_port <= last);
}

static enum config_rule check_ports(const struct config *c, const struct config_partition *p, unsigned partition,
                                    struct config_fault *fault)
{
	for (unsigned i = 0; i < p->port_count; i++) {
		const struct config_port *port = &p->ports[i];
		if (port->first > port->last || port->kind >= PORT_KIND_COUNT ||
		    (port->kind == PORT_UART && port->last - port->first != 7) ||
		    ((port->kind == PORT_SLEEP || port->kind == PORT_RESET) && port->first != port->last) ||
		    (i > 0 && port->first <= p->ports[i - 1].last))
			return config_fault_at(fault, RULE_PORT, partition, i, i > 0 ? i - 1 : CONFIG_NONE);
		if (port->kind == PORT_COMPANION && p->companion == 0)
			return config_fault_at(fault, RULE_COMPANION, partition, i, CONFIG_NONE);
		if (port->kind == PORT_PASS && host_port(c, port->first, port->last))
			return config_fault_at(fault, RULE_PORT_HOST, partition, i, CONFIG_NONE);
	}
	return RULE_OK;
}

#define ALLOW(action) (1u << (action))
#define ALLOW_HEALTH (ALLOW(ACTION_MONITOR) | ALLOW(ACTION_SCHEDULE) | ALLOW(ACTION_RESTART) | ALLOW(ACTION_FAILOVER))
#define ALLOW_END (ALLOW(ACTION_STOP) | ALLOW(ACTION_HALT_MACHINE) | (CONFIG_HEALTH ? ALLOW_HEALTH : 0))
#define ALLOW_IGNORE (ALLOW(ACTION_IGNORE) | (CONFIG_HEALTH ? ALLOW(ACTION_RECORD) : 0))

static enum config_rule check_policy(const struct config *c, const struct config_partition *p, unsigned partition,
                                     struct config_fault *fault)
{
	/* What the configuration does not use, the core has no code for. */
	const uint64_t calls = ((1ull << BH_SET_SCHEDULE) - 1) |
	                       (c->schedule_count != 0 ? 1ull << BH_SET_SCHEDULE : 0) |
	                       (CONFIG_CHANNELS && c->channel_count != 0 ? 7ull << BH_PORT_SEND : 0) |
	                       (CONFIG_DOORBELLS && c->doorbell_count != 0 ? 1ull << BH_RING : 0) |
	                       (CONFIG_AUDIT_ENTRIES ? 1ull << BH_AUDIT : 0) | (CONFIG_HEALTH ? HEALTH_CALLS : 0);
	static const uint16_t allowed[ERROR_CLASS_COUNT] = {
		[ERROR_TRIPLE_FAULT] = ALLOW_END,
		[ERROR_MEMORY] = ALLOW_END | ALLOW(ACTION_INJECT), /* ignored, it would fault again */
		[ERROR_MSR] = ALLOW_END | ALLOW(ACTION_INJECT),
		[ERROR_PORT] = ALLOW_END | ALLOW(ACTION_INJECT) | ALLOW_IGNORE,
		[ERROR_INSTRUCTION] = ALLOW_END | ALLOW(ACTION_INJECT),
		[ERROR_INTERRUPT] = ALLOW_END | ALLOW(ACTION_INJECT) | ALLOW_IGNORE,
		[ERROR_EXIT] = ALLOW_END,
		[ERROR_PAYLOAD] = ALLOW(ACTION_STOP),
		[ERROR_COMPANION] = ALLOW_END, /* the instruction that waits for it cannot end */
		[ERROR_OVERRUN] = ALLOW_END | ALLOW_IGNORE,
		[ERROR_SILENCE] = ALLOW_END | ALLOW_IGNORE,
		[ERROR_APPLICATION] = ALLOW_END | ALLOW_IGNORE,
		[ERROR_SEAL] = ALLOW_END | ALLOW(ACTION_INJECT),
		[ERROR_WINDOW] = ALLOW_END | ALLOW_IGNORE,
	};

	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++)
		if (p->action[i] >= ACTION_COUNT || (allowed[i] & ALLOW(p->action[i])) == 0)
			return config_fault_at(fault, RULE_ACTION, partition, i, CONFIG_NONE);
	if ((p->hypercalls & ~calls) != 0 || (p->flags & ~(PARTITION_CPL3_HYPERCALLS | PARTITION_COMPANION)) != 0)
		return config_fault_at(fault, RULE_HYPERCALL, partition, CONFIG_NONE, CONFIG_NONE);
	return RULE_OK;
}

static bool console_valid(const struct config *c)
{
	bool uart = c->uart_port != 0, debug = c->debug_port != 0;

	return (!uart || c->uart_port <= 0xfff8) && c->itlb_multihit <= ITLB_REFUSE &&
	       !(uart && debug && c->debug_port >= c->uart_port && c->debug_port - c->uart_port < 8);
}

enum config_rule config_validate(const struct config *c, struct config_fault *fault)
{
	const struct config_fault nowhere = { .schedule = CONFIG_NONE, .cpu = CONFIG_NONE };

	*fault = nowhere;
	if (c->magic != CONFIG_MAGIC || c->version != CONFIG_VERSION)
		return config_fault_at(fault, RULE_MAGIC, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	if (check_counts(c, fault) != RULE_OK || (CONFIG_COMPANIONS && check_companions(c, fault) != RULE_OK) ||
	    check_names(c, fault) != RULE_OK || check_memories(c, fault) != RULE_OK ||
	    check_maps(c, fault) != RULE_OK || config_validate_time(c, fault) != RULE_OK ||
	    (CONFIG_MMIO && config_validate_io(c, fault) != RULE_OK) ||
	    (CONFIG_IOMMU && config_validate_devices(c, fault) != RULE_OK) ||
	    ((CONFIG_CHANNELS || CONFIG_DOORBELLS) && config_validate_ports(c, fault) != RULE_OK))
		return fault->rule;
	if (!console_valid(c))
		return config_fault_at(fault, RULE_CONSOLE, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->partition_count; i++) {
		const struct config_partition *p = &c->partitions[i];
		if (check_start(p, i, fault) != RULE_OK || check_cpuid(p, i, fault) != RULE_OK ||
		    check_msrs(p, i, fault) != RULE_OK || check_ports(c, p, i, fault) != RULE_OK ||
		    check_policy(c, p, i, fault) != RULE_OK)
			return fault->rule;
	}
	if (CONFIG_DEVICES && config_validate_pci(c, fault) != RULE_OK)
		return fault->rule;
	if (CONFIG_HEALTH && config_validate_health(c, fault) != RULE_OK)
		return fault->rule;
	return config_fault_at(fault, RULE_OK, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
}

static const char *const rule_text[RULE_LAST] = {
	[RULE_OK] = "no rule is broken",
	[RULE_MAGIC] = "the tables are of another version than this build",
	[RULE_COUNT] = "a count is zero or above its limit",
	[RULE_NAME] = "a name is empty, longer than 23 characters, not of a-z 0-9 _ -, or used twice",
	[RULE_MEMORY_SIZE] = "a memory's size is zero, not a multiple of 4 KiB, or absurd",
	[RULE_MEMORY_PLACE] = "a memory's fixed address is not aligned, too high, or inside another memory",
	[RULE_MEMORY_OWNER] = "a memory is mapped by a partition that does not own it, or by nobody",
	[RULE_MAP_RANGE] = "a map is empty, not page-aligned, or leads outside its memory",
	[RULE_MAP_OVERLAP] = "two maps of a partition overlap",
	[RULE_MAP_RIGHTS] =
		"a map's rights lack read, write and execute a shared memory, or do more than read one that the core writes",
	[RULE_MAP_ALIAS] = "a partition maps the same bytes of its memory twice",
	[RULE_CPU_OWNER] = "a dedicated CPU is owned twice, or CPUs and vCPUs disagree",
	[RULE_APIC_ID] = "a virtual APIC ID is used twice or above 254",
	[RULE_SEGMENT] = "a payload segment lies outside the payload or outside the partition's memory",
	[RULE_ENTRY] = "the first instruction, stack, page table or GDT lies outside the partition's memory",
	[RULE_CPUID] = "the CPUID entries and their index disagree",
	[RULE_CPUID_HIDDEN] = "CPUID shows a feature that no guest may see",
	[RULE_MSR] = "the MSR list is unsorted, overlaps, or has kinds that do not go together",
	[RULE_MSR_HOST] = "an MSR that belongs to the host is passed through",
	[RULE_PORT] = "the port list is unsorted, overlaps, or has a kind that does not fit",
	[RULE_PORT_HOST] = "a port that belongs to the host is passed through",
	[RULE_ACTION] = "an error has an action that it does not allow",
	[RULE_HYPERCALL] = "a right to a hypercall or a flag that does not exist",
	[RULE_CONSOLE] = "the console ports are out of range or overlap",
#if CONFIG_MMIO
	[RULE_MMIO] = "emulated registers overlap memory, are not page-aligned, or lie where they cannot be",
	[RULE_APIC] = "xAPIC mode and a virtual I/O APIC need a partition whose CPUs are all scheduled",
	[RULE_INTERRUPT] = "an interrupt is out of range, belongs to two, or to a partition without a virtual I/O APIC",
	[RULE_INTERRUPT_CPU] = "interrupts of the machine can go to one CPU only, on which their owners' vCPUs all are",
#endif
#if CONFIG_IOMMU
	[RULE_DEVICE] = "a PCI function is out of range, out of order, or given twice",
	[RULE_DEVICE_GROUP] =
		"PCI functions that can reach each other, of one device or behind one root port, belong to one partition",
	[RULE_DEVICE_MAP] =
		"a partition with devices has memory at FEE00000h-FEEFFFFFh, where their writes are interrupts",
#endif
#if CONFIG_DEVICES
	[RULE_DEVICE_SLOT] = "a device's slot is out of range or taken, or its interrupt is missing or an edge",
	[RULE_DEVICE_BAR] =
		"a BAR is not of a possible size and place, or overlaps memory, ports of others, or another BAR",
	[RULE_DEVICE_DMA] =
		"where devices may be not confined, a partition that has some must see its memory where it is (identity)",
#endif
#if CONFIG_CHANNELS || CONFIG_DOORBELLS
	[RULE_CHANNEL] = "a channel's kind, size, refresh period or number of slots is out of range",
	[RULE_CHANNEL_ENDS] = "a channel's source or destination does not exist, or is the same",
	[RULE_CHANNEL_MEMORY] = "a channel's memories are too small, or mapped by others than its ends",
	[RULE_DOORBELL] = "a doorbell's receiver, vector or bit is out of range or taken",
	[RULE_DOORBELL_CHANNEL] =
		"a doorbell rings with a channel that does not lead to its receiver, or is its second",
#endif
#if CONFIG_HEALTH
	[RULE_HEALTH] = "a partition's health table does not go together",
#endif
	[RULE_COMPANION] =
		"a companion and its master disagree: one companion, for one partition, on one CPU, without ports of its own; its pins are of the master's I/O APIC, 4 at most",
	[RULE_DEDICATED] = "a vCPU on a dedicated CPU has a priority, a budget or a right to slack",
	[RULE_SLOT] = "the vCPUs of a CPU are not in order: by partition, then by priority",
	[RULE_GUARD] = "the guard time or the list of what is flushed is out of range",
	[RULE_SCHEDULE] = "the schedules and the scheduled CPUs disagree",
	[RULE_FRAME] = "a frame is too short or too long, or has too many windows",
	[RULE_FRAME_DIFFERS] = "the frames of a schedule differ in length, so that its CPUs could not switch together",
	[RULE_WINDOW] = "a window is shorter than the guard",
	[RULE_WINDOW_FIT] = "a window and its guard do not fit in the frame",
	[RULE_WINDOW_OVERLAP] = "two windows overlap, or leave less than the guard between them",
	[RULE_WINDOW_OWNER] = "a window's owner has no vCPU on the CPU",
	[RULE_NO_TIME] = "a vCPU gets no time: it has no window in any schedule, and no right to slack",
	[RULE_BUDGET] = "a budget is below the guard or above its period, or the period is out of range",
	[RULE_EARLY] = "a vCPU may open its window early, but has no budget to run on then",
	[RULE_PERIOD] = "a period neither divides the frame nor is a multiple of it",
	[RULE_BUDGET_FIT] = "the windows do not give what the budgets promise",
	[RULE_RATE] = "the windows do not come at the rate that the partition asks for",
};

const char *config_rule_text(enum config_rule rule)
{
	return (unsigned)rule < RULE_LAST ? rule_text[rule] : "unknown rule";
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The validator over the generated tables of tests/host/seam.yaml with a few fields changed: it never crashes, and what it
 * lets pass has none of the overlaps that a second, plain look finds.
 */
#include "config/validate.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define MAX 48u
#define SLOTS 8u

/* A copy of everything the tables point to, so that each field can be written. */
static struct {
	struct config config;
	struct config_cpu cpus[MAX];
	struct config_slot slots[MAX][SLOTS];
	struct config_memory memories[MAX];
	struct config_partition partitions[CONFIG_PARTITIONS];
	struct {
		struct config_vcpu vcpus[MAX];
		struct config_map maps[MAX];
		struct config_segment segments[MAX];
		struct config_cpuid cpuid[MAX];
		struct config_msr msrs[MAX];
		struct config_port ports[MAX];
	} of[CONFIG_PARTITIONS];
} t;

#define COPY(to, from, count) memcpy(to, from, (count) * sizeof *(from))

static void copy_tables(void)
{
	static const struct config_port port[] = { { 0x300, 0x30f, PORT_PASS }, { 0x3f8, 0x3ff, PORT_UART } };

	memset(&t, 0, sizeof t);
	t.config = config;
	COPY(t.cpus, config.cpus, config.cpu_count);
	COPY(t.memories, config.memories, config.memory_count);
	COPY(t.partitions, config.partitions, config.partition_count);
	for (uint32_t i = 0; i < config.cpu_count; i++) {
		COPY(t.slots[i], config.cpus[i].slots, config.cpus[i].slot_count);
		t.cpus[i].slots = t.slots[i];
	}
	t.config.cpus = t.cpus;
	t.config.memories = t.memories;
	t.config.partitions = t.partitions;
	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++) {
		struct config_partition *p = &t.partitions[i];

		COPY(t.of[i].vcpus, p->vcpus, p->vcpu_count);
		COPY(t.of[i].maps, p->maps, p->map_count);
		COPY(t.of[i].segments, p->segments, p->segment_count);
		COPY(t.of[i].cpuid, p->cpuid, p->cpuid_count);
		COPY(t.of[i].msrs, p->msrs, p->msr_count);
		COPY(t.of[i].ports, port, 2);
		p->vcpus = t.of[i].vcpus;
		p->maps = t.of[i].maps;
		p->segments = t.of[i].segments;
		p->cpuid = t.of[i].cpuid;
		p->msrs = t.of[i].msrs;
		p->ports = t.of[i].ports;
		p->port_count = 2;
	}
}

/* Give the other party's values to somebody: the overlaps that chance would not find. */
static void steal(struct fuzz_input *in)
{
	const uint32_t i = fuzz_byte(in) % CONFIG_PARTITIONS;

	switch (fuzz_byte(in) % 5) {
	case 0:
		t.memories[0].hpa = t.memories[1].hpa = fuzz_byte(in) * PAGE_SIZE;
		t.memories[1].hpa += fuzz_byte(in) * PAGE_SIZE;
		t.memories[0].align = t.memories[1].align = PAGE_SIZE;
		break;
	case 1:
		t.of[i].maps[0].memory = (uint16_t)fuzz_byte(in) % 3;
		break;
	case 2:
		t.of[i].maps[1].gpa = fuzz_byte(in) * 8 * PAGE_SIZE;
		t.of[i].maps[1].size = (fuzz_byte(in) % 16 + 1u) * PAGE_SIZE;
		break;
	case 3:
		t.cpus[fuzz_byte(in) % 4] = t.cpus[fuzz_byte(in) % 4];
		break;
	default:
		t.of[i].vcpus[fuzz_byte(in) % 3].cpu = fuzz_byte(in) % 4;
		break;
	}
}

static void change(struct fuzz_input *in)
{
	struct config_partition *p = &t.partitions[fuzz_byte(in) % CONFIG_PARTITIONS];
	uint8_t *const first = (uint8_t *)&t.of[0];
	/* Everything but pointers; the memories' names are pointers. */
	switch (fuzz_byte(in) % 12) {
	case 0:
		if (fuzz_byte(in) & 1)
			((uint8_t *)t.slots)[fuzz_number(in) % sizeof t.slots] = fuzz_byte(in);
		else
			t.cpus[fuzz_byte(in) % config.cpu_count].slot_count = fuzz_byte(in) % SLOTS;
		break;
	case 1:
		t.memories[fuzz_byte(in) % 3].size = fuzz_number(in);
		break;
	case 2:
		t.memories[fuzz_byte(in) % 3].hpa = fuzz_number(in);
		break;
	case 3:
		t.memories[fuzz_byte(in) % 3].owner = (uint16_t)fuzz_number(in);
		break;
	case 4:
		p->entry.rip = fuzz_number(in);
		p->payload.size = fuzz_number(in);
		break;
	case 5:
		p->vcpu_count = fuzz_byte(in) % MAX;
		p->map_count = fuzz_byte(in) % MAX;
		break;
	case 6:
		p->msr_count = fuzz_byte(in) % MAX;
		p->port_count = fuzz_byte(in) % MAX;
		break;
	case 7:
		((uint8_t *)p->basic)[fuzz_byte(in) % sizeof p->basic] = fuzz_byte(in);
		break;
	case 8:
		p->action[fuzz_byte(in) % ERROR_CLASS_COUNT] = fuzz_byte(in);
		break;
	case 9:
		steal(in);
		break;
	default:
		first[(fuzz_byte(in) << 16 | fuzz_byte(in) << 8 | fuzz_byte(in)) % (int)sizeof t.of] = fuzz_byte(in);
		break;
	}
}

static int overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b ? b - a < a_size : a - b < b_size;
}

static void check_memory(void)
{
	for (uint32_t i = 0; i < t.config.memory_count; i++)
		for (uint32_t j = 0; j < i; j++)
			fuzz_require(t.memories[i].hpa == CONFIG_HPA_ANY || t.memories[j].hpa == CONFIG_HPA_ANY ||
			                     !overlap(t.memories[i].hpa, t.memories[i].size, t.memories[j].hpa,
			                              t.memories[j].size),
			             "fixed memories do not overlap");
}

static void check_maps(uint32_t partition)
{
	const struct config_partition *p = &t.partitions[partition];

	for (uint32_t i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		const struct config_memory *memory = &t.memories[m->memory];

		fuzz_require(m->memory < t.config.memory_count, "maps are of memories");
		fuzz_require(m->offset < memory->size && m->size <= memory->size - m->offset,
		             "maps stay in their memory");
		fuzz_require(memory->owner == CONFIG_SHARED || memory->owner == partition ||
		                     ((memory->owner == CONFIG_CORE || memory->owner == CONFIG_CHANNEL) &&
		                      m->rights == RIGHT_READ),
		             "nobody maps foreign memory");
		for (uint32_t j = 0; j < i; j++)
			fuzz_require(!overlap(m->gpa, m->size, p->maps[j].gpa, p->maps[j].size), "maps do not overlap");
	}
}

static void check_cpus(void)
{
	uint32_t seen[MAX] = { 0 };

	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++)
		for (uint32_t j = 0; j < t.partitions[i].vcpu_count; j++) {
			const struct config_vcpu *v = &t.of[i].vcpus[j];
			const struct config_cpu *cpu = &t.cpus[v->cpu];

			fuzz_require(v->cpu < t.config.cpu_count && (!seen[v->cpu]++ || cpu->scheduled),
			             "a dedicated CPU has one owner");
			fuzz_require(v->slot < cpu->slot_count && cpu->slots[v->slot].partition == i &&
			                     cpu->slots[v->slot].vcpu == j,
			             "both tables name the same one");
		}
}

/* No MSR that decides over the CPU is passed for writing, no console port of the core is passed at all. */
static void check_rights(const struct config_partition *p)
{
	static const uint32_t host[] = { 0x1b,  0x3a,  0x3b,  0x10,  0x79,  0x1d9, 0x480,
		                         0x48c, 0x802, 0x82f, 0x830, 0x833, 0x835, 0xda0 };

	for (uint32_t i = 0; i < p->msr_count; i++)
		for (size_t h = 0; h < sizeof host / sizeof *host; h++)
			fuzz_require(p->msrs[i].write != MSR_PASS || host[h] < p->msrs[i].first ||
			                     host[h] > p->msrs[i].last,
			             "no MSR of the host is passed for writing");
	for (uint32_t i = 0; i < p->port_count; i++)
		fuzz_require(p->ports[i].kind != PORT_PASS || p->ports[i].first > 0xcff || p->ports[i].last < 0xcf8,
		             "PCI configuration is not passed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct config_fault fault;

	copy_tables();
	fuzz_require(config_validate(&t.config, &fault) == RULE_OK, "the tables are good as generated");
	for (uint32_t changes = fuzz_byte(&in) % 8 + 1; changes > 0; changes--)
		change(&in);
	if (config_validate(&t.config, &fault) != RULE_OK) {
		fuzz_require(fault.rule < RULE_LAST && config_rule_text(fault.rule) != 0, "a rule has a text");
		return 0;
	}
	check_memory();
	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++) {
		check_maps(i);
		check_rights(&t.partitions[i]);
	}
	check_cpus();
	return 0;
}

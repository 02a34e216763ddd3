// SPDX-License-Identifier: Apache-2.0
/*
 * The validator: a good table passes, and each way to break a rule is found under that rule, at the right place. A row
 * of `breaks` is one change to a fresh good table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"
#include "hypercall/abi.h"

#define RWX (RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC)
#define MIB (1ull << 20)
#define NONE CONFIG_NONE

/* Two partitions, one and two, each with 1 MiB of its own and a shared page run; CPU 3 is scheduled. All writable. */
struct table {
	struct config config;
	struct config_cpu cpus[4];
	struct config_slot slots[4][3];
	struct config_schedule schedules[2];
	struct config_frame frames[2][4];
	struct config_window windows[2][3];
	struct config_memory memories[5];
	struct config_partition partitions[2];
	struct config_health health[2];
	struct config_vcpu vcpus[2][4];
	struct config_map maps[2][4];
	struct config_segment segments[2][2];
	struct config_cpuid cpuid[2][3];
	struct config_msr msrs[2][4];
	struct config_port ports[2][2];
};

static void good_partition(struct table *t, unsigned i)
{
	struct config_partition *p = &t->partitions[i];

	t->maps[i][0] = (struct config_map){ .memory = (uint16_t)i, .rights = RWX, .size = MIB };
	t->maps[i][1] = (struct config_map){
		.memory = 2, .rights = RIGHT_READ | RIGHT_WRITE, .gpa = 2 * MIB, .size = 2 * PAGE_SIZE
	};
	t->segments[i][0] = (struct config_segment){ .offset = 0, .size = 100, .gpa = 0x10000 };
	t->segments[i][1] = (struct config_segment){ .offset = 128, .size = 872, .gpa = 0xff000 };
	t->cpuid[i][0] = (struct config_cpuid){ .leaf = 1, .mask = { 0, 0, 1, 0 } };
	t->cpuid[i][1] = (struct config_cpuid){ .leaf = 4, .subleaf = 0 };
	t->cpuid[i][2] = (struct config_cpuid){ .leaf = 4, .subleaf = 1 };
	t->msrs[i][0] = (struct config_msr){ .first = 0x10, .last = 0x10, .read = MSR_PASS, .write = MSR_VALUE };
	t->msrs[i][1] = (struct config_msr){ .first = 0x1a0, .last = 0x1a0, .read = MSR_SHADOW, .write = MSR_SHADOW };
	t->msrs[i][2] =
		(struct config_msr){ .first = 0x830, .last = 0x830, .read = MSR_APIC_ICR, .write = MSR_APIC_ICR };
	t->msrs[i][3] =
		(struct config_msr){ .first = 0xc0000080, .last = 0xc0000084, .read = MSR_PASS, .write = MSR_PASS };
	t->ports[i][0] = (struct config_port){ .first = 0x60, .last = 0x60, .kind = PORT_PASS };
	t->ports[i][1] = (struct config_port){ .first = 0x3f8, .last = 0x3ff, .kind = PORT_UART };
	*p = (struct config_partition){
		.name = i == 0 ? "one" : "two",
		.hypercalls = 1ull << BH_VERSION,
		.payload = { .file = "x.img", .size = 1000 },
		.entry = { .rip = 0x10000, .cr3 = 0xfe000, .gdt_base = 0xff000, .gdt_limit = 31 },
		.vcpus = t->vcpus[i],
		.maps = t->maps[i],
		.segments = t->segments[i],
		.cpuid = t->cpuid[i],
		.msrs = t->msrs[i],
		.ports = t->ports[i],
		.vcpu_count = i == 0 ? 4 : 2,
		.map_count = 2,
		.segment_count = 2,
		.cpuid_count = 3,
		.msr_count = 4,
		.port_count = 2,
		.basic = { [1] = { .first = 0, .count = 1, .any_subleaf = 1 }, [4] = { .first = 1, .count = 2 } },
		.action = { [ERROR_TRIPLE_FAULT] = ACTION_STOP,
		            [ERROR_MEMORY] = ACTION_STOP,
		            [ERROR_MSR] = ACTION_INJECT,
		            [ERROR_PORT] = ACTION_IGNORE,
		            [ERROR_INSTRUCTION] = ACTION_INJECT,
		            [ERROR_INTERRUPT] = ACTION_INJECT,
		            [ERROR_EXIT] = ACTION_STOP,
		            [ERROR_PAYLOAD] = ACTION_STOP,
		            [ERROR_COMPANION] = ACTION_STOP,
		            [ERROR_SEAL] = ACTION_INJECT },
	};
}

/* Both partitions have a health table; that of the first. */
static struct config_health *healthy(struct table *t)
{
	for (unsigned i = 0; i < 2; i++) {
		t->health[i] = (struct config_health){
			.restarts = 3, .restart_period_ms = 10, .standby = CONFIG_NONE, .schedule = CONFIG_NONE
		};
		t->partitions[i].health = &t->health[i];
	}
	return &t->health[0];
}

/* The first one watches the other. */
static struct config_health *watcher(struct table *t)
{
	healthy(t)->watches = 2;
	t->partitions[0].hypercalls |= 1ull << BH_PARTITION_STATUS | 1ull << BH_EVENTS;
	return &t->health[0];
}

static void good_vcpu(struct table *t, uint16_t partition, uint16_t vcpu, uint16_t cpu)
{
	struct config_cpu *c = &t->cpus[cpu];

	t->vcpus[partition][vcpu] = (struct config_vcpu){ .cpu = cpu, .apic_id = vcpu, .slot = c->slot_count };
	t->slots[cpu][c->slot_count++] = (struct config_slot){ partition, vcpu };
	c->slots = t->slots[cpu];
}

/* CPU 3: two vCPUs with budgets, one above the other, and in other windows a partition that asks for a rate. */
static void good_time(struct table *t)
{
	good_vcpu(t, 0, 0, 0);
	good_vcpu(t, 1, 0, 1);
	good_vcpu(t, 0, 1, 2);
	good_vcpu(t, 0, 2, 3);
	good_vcpu(t, 0, 3, 3);
	good_vcpu(t, 1, 1, 3);
	t->cpus[3].scheduled = 1;
	t->vcpus[0][2].budget = 100, t->vcpus[0][2].period = 500;
	t->vcpus[0][3].budget = 50, t->vcpus[0][3].period = 1000, t->vcpus[0][3].priority = 1;
	t->partitions[1].rate_period = 1000;
	t->windows[0][0] = (struct config_window){ .start = 0, .length = 200, .partition = 0 };
	t->windows[0][1] = (struct config_window){ .start = 250, .length = 100, .partition = 1 };
	t->windows[0][2] = (struct config_window){ .start = 500, .length = 200, .partition = 0 };
	t->windows[1][0] = (struct config_window){ .start = 0, .length = 150, .partition = 0 };
	t->windows[1][1] = (struct config_window){ .start = 200, .length = 100, .partition = 1 };
	t->frames[0][3] = (struct config_frame){ .length = 1000, .window_count = 3, .windows = t->windows[0] };
	t->frames[1][3] = (struct config_frame){ .length = 500, .window_count = 2, .windows = t->windows[1] };
	t->schedules[0] = (struct config_schedule){ .name = "normal", .frames = t->frames[0] };
	t->schedules[1] = (struct config_schedule){ .name = "degraded", .frames = t->frames[1] };
}

static void good(struct table *t)
{
	memset(t, 0, sizeof *t);
	t->memories[0] =
		(struct config_memory){ .name = "one", .size = MIB, .hpa = 16 * MIB, .align = PAGE_SIZE, .owner = 0 };
	t->memories[1] =
		(struct config_memory){ .name = "two", .size = MIB, .hpa = 17 * MIB, .align = PAGE_SIZE, .owner = 1 };
	t->memories[2] = (struct config_memory){
		.name = "box", .size = 2 * PAGE_SIZE, .hpa = CONFIG_HPA_ANY, .align = PAGE_SIZE, .owner = CONFIG_SHARED
	};
	good_partition(t, 0);
	good_partition(t, 1);
	good_time(t);
	t->config = (struct config){
		.magic = CONFIG_MAGIC,
		.version = CONFIG_VERSION,
		.name = "good",
		.cpus = t->cpus,
		.memories = t->memories,
		.partitions = t->partitions,
		.schedules = t->schedules,
		.cpu_count = 4,
		.memory_count = 3,
		.partition_count = 2,
		.schedule_count = 2,
		.guard = 20,
		.flush = FLUSH_ALL,
		.uart_port = 0x3f8,
		.debug_port = 0xe9,
	};
}

/* With two memories that the core writes, and the first partition reads. */
static void logs(struct table *t)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t size = (i + 1) * 4 * PAGE_SIZE; /* four CPUs */

		t->memories[3 + i] = (struct config_memory){ .name = i == 0 ? "log" : "other-log",
			                                     .size = size,
			                                     .hpa = CONFIG_HPA_ANY,
			                                     .align = PAGE_SIZE,
			                                     .owner = CONFIG_CORE,
			                                     .core_at = i * (uint32_t)PAGE_SIZE };
		t->maps[0][2 + i] = (struct config_map){
			.memory = (uint16_t)(3 + i), .rights = RIGHT_READ, .gpa = (3 + i) * MIB, .size = size
		};
	}
	t->config.memory_count = 5;
	t->partitions[0].map_count = 4;
}

/* The second partition as the companion of the first, as far as the rules for that look. */
static void companion(struct table *t)
{
	struct config_partition *c = &t->partitions[1];

	t->partitions[0].companion = 1;
	t->partitions[0].vcpu_count = 1;
	c->flags = PARTITION_COMPANION | PARTITION_CPL3_HYPERCALLS;
	c->vcpu_count = c->msr_count = c->port_count = 0;
	c->answer_limit_us = 1000;
}

/* The ways to break it: a name, the rule, the fault's partition, index and other, and the change to a good table t,
 * whose first partition is p. */
#define BREAKS(X)                                                                                                     \
	X(magic, RULE_MAGIC, NONE, NONE, NONE, t->config.magic ^= 1)                                                  \
	X(version, RULE_MAGIC, NONE, NONE, NONE, t->config.version++)                                                 \
	X(companion_port, RULE_COMPANION, 0, 0, NONE, t->ports[0][0].kind = PORT_COMPANION)                           \
	X(companion_is_none, RULE_COMPANION, 0, NONE, NONE, p->companion = 1; p->vcpu_count = 4)                      \
	X(companion_absent, RULE_COMPANION, 0, NONE, NONE, p->companion = 2)                                          \
	X(companion_of_many, RULE_COMPANION, 0, NONE, NONE, companion(t); p->vcpu_count = 4)                          \
	X(companion_of_nobody, RULE_COMPANION, 1, NONE, NONE, companion(t); p->companion = 0)                         \
	X(companion_ports, RULE_COMPANION, 1, NONE, NONE, companion(t); p[1].port_count = 2)                          \
	X(companion_itself, RULE_COMPANION, 1, NONE, NONE, companion(t); p[1].companion = 1)                          \
	X(companion_calls, RULE_COMPANION, 1, NONE, NONE, companion(t); p[1].hypercalls = 1ull << BH_STOP)            \
	X(companion_quick, RULE_COMPANION, 1, NONE, NONE, companion(t); p[1].answer_limit_us = 0)                     \
	X(companion_slow, RULE_COMPANION, 1, NONE, NONE, companion(t);                                                \
	  p[1].answer_limit_us = CONFIG_ANSWER_LIMIT_MAX_US + 1)                                                      \
	X(companion_vcpu, RULE_COUNT, 1, NONE, NONE, companion(t); p[1].vcpu_count = 1)                               \
	X(companion_msr, RULE_COUNT, 1, NONE, NONE, companion(t); p[1].msr_count = 1)                                 \
	X(no_cpu, RULE_COUNT, NONE, NONE, NONE, t->config.cpu_count = 0)                                              \
	X(many_cpus, RULE_COUNT, NONE, NONE, NONE, t->config.cpu_count = CONFIG_MAX_CPUS + 1)                         \
	X(no_memory, RULE_COUNT, NONE, NONE, NONE, t->config.memory_count = 0)                                        \
	X(many_memories, RULE_COUNT, NONE, NONE, NONE, t->config.memory_count = UINT16_MAX)                           \
	X(no_partition, RULE_COUNT, NONE, NONE, NONE, t->config.partition_count = 0)                                  \
	X(many_partitions, RULE_COUNT, NONE, NONE, NONE, t->config.partition_count = CONFIG_MAX_PARTITIONS + 1)       \
	X(no_vcpu, RULE_COUNT, 1, NONE, NONE, t->partitions[1].vcpu_count = 0)                                        \
	X(many_vcpus, RULE_COUNT, 0, NONE, NONE, p->vcpu_count = CONFIG_MAX_CPUS + 1)                                 \
	X(many_schedules, RULE_COUNT, NONE, NONE, NONE, t->config.schedule_count = CONFIG_MAX_SCHEDULES + 1)          \
	X(no_map, RULE_COUNT, 0, NONE, NONE, p->map_count = 0)                                                        \
	X(many_maps, RULE_COUNT, 0, NONE, NONE, p->map_count = CONFIG_MAX_MAPS + 1)                                   \
	X(no_segment, RULE_COUNT, 0, NONE, NONE, p->segment_count = 0)                                                \
	X(many_segments, RULE_COUNT, 0, NONE, NONE, p->segment_count = CONFIG_MAX_SEGMENTS + 1)                       \
	X(no_cpuid, RULE_COUNT, 0, NONE, NONE, p->cpuid_count = 0)                                                    \
	X(no_msr, RULE_COUNT, 0, NONE, NONE, p->msr_count = 0)                                                        \
	X(msr_endless, RULE_MSR, 0, 0, NONE,                                                                          \
	  t->msrs[0][0] = (struct config_msr){ .last = 0xffffffff, .read = MSR_VALUE })                               \
	X(many_cpuid, RULE_COUNT, 0, NONE, NONE, p->cpuid_count = 256)                                                \
	X(name_empty, RULE_NAME, 0, NONE, NONE, p->name = "")                                                         \
	X(name_letter, RULE_NAME, 0, NONE, NONE, p->name = "One")                                                     \
	X(name_slash, RULE_NAME, 0, NONE, NONE, p->name = "a/b")                                                      \
	X(name_long, RULE_NAME, 0, NONE, NONE, p->name = "abcdefghijklmnopqrstuvwx")                                  \
	X(name_twice, RULE_NAME, 1, NONE, 0, p->name = "two")                                                         \
	X(name_memory, RULE_NAME, NONE, 2, NONE, t->memories[2].name = "b x")                                         \
	X(name_memory_twice, RULE_NAME, NONE, 2, 0, t->memories[2].name = "one")                                      \
	X(name_config, RULE_NAME, NONE, NONE, NONE, t->config.name = "")                                              \
	X(size_zero, RULE_MEMORY_SIZE, NONE, 1, NONE, t->memories[1].size = 0)                                        \
	X(size_odd, RULE_MEMORY_SIZE, NONE, 1, NONE, t->memories[1].size++)                                           \
	X(size_absurd, RULE_MEMORY_SIZE, NONE, 1, NONE, t->memories[1].size = 1ull << 47)                             \
	X(align_small, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].align = 2048)                                 \
	X(align_odd, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].align = 3 * PAGE_SIZE)                          \
	X(align_zero, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].align = 0)                                     \
	X(align_absurd, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].align = 1ull << 63)                          \
	X(place_odd, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].hpa++)                                          \
	X(place_high, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].hpa = 1ull << 46)                              \
	X(place_wraps, RULE_MEMORY_PLACE, NONE, 0, NONE, t->memories[0].hpa = UINT64_MAX - PAGE_SIZE + 1)             \
	X(place_overlap, RULE_MEMORY_PLACE, NONE, 1, 0, t->memories[1].hpa = 17 * MIB - PAGE_SIZE)                    \
	X(place_inside, RULE_MEMORY_PLACE, NONE, 1, 0, t->memories[1].hpa = 16 * MIB)                                 \
	X(owner_absent, RULE_MEMORY_OWNER, 0, 1, 2, t->memories[2].owner = 2)                                         \
	X(owner_other, RULE_MEMORY_OWNER, 0, 1, 2, t->memories[2].owner = 1)                                          \
	X(owner_foreign_map, RULE_MEMORY_OWNER, 0, 1, 1, t->maps[0][1].memory = 1; t->maps[0][1].offset = 0)          \
	X(memory_unmapped, RULE_MEMORY_OWNER, NONE, 2, NONE, p->map_count = 1; t->partitions[1].map_count = 1)        \
	X(map_memory, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].memory = 3)                                           \
	X(map_empty, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].size = 0)                                              \
	X(map_beyond, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].size += PAGE_SIZE)                                    \
	X(map_offset, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].offset = PAGE_SIZE)                                   \
	X(map_offset_wraps, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].offset = UINT64_MAX - PAGE_SIZE + 1)            \
	X(map_size_odd, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].size--)                                             \
	X(map_gpa_odd, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].gpa++)                                               \
	X(map_gpa_high, RULE_MAP_RANGE, 0, 1, NONE, t->maps[0][1].gpa = 1ull << 46)                                   \
	X(map_overlap, RULE_MAP_OVERLAP, 0, 1, 0, t->maps[0][1].gpa = MIB - PAGE_SIZE)                                \
	X(rights_none, RULE_MAP_RIGHTS, 0, 0, NONE, t->maps[0][0].rights = 0)                                         \
	X(rights_write, RULE_MAP_RIGHTS, 0, 0, NONE, t->maps[0][0].rights = RIGHT_WRITE)                              \
	X(rights_execute, RULE_MAP_RIGHTS, 0, 0, NONE, t->maps[0][0].rights = RIGHT_EXEC)                             \
	X(rights_unknown, RULE_MAP_RIGHTS, 0, 0, NONE, t->maps[0][0].rights = 15)                                     \
	X(rights_shared, RULE_MAP_RIGHTS, 1, 1, NONE, t->maps[1][1].rights = RWX)                                     \
	X(core_size, RULE_MEMORY_SIZE, NONE, 3, NONE, logs(t); t->memories[3].size = 5 * PAGE_SIZE)                   \
	X(core_size_odd, RULE_MEMORY_SIZE, NONE, 3, NONE, logs(t); t->config.cpu_count = 3)                           \
	X(core_place_odd, RULE_MEMORY_PLACE, NONE, 3, NONE, logs(t); t->memories[3].core_at = 2048)                   \
	X(core_place_high, RULE_MEMORY_PLACE, NONE, 4, NONE, logs(t);                                                 \
	  t->memories[4].core_at = CORE_MEMORY_SIZE - PAGE_SIZE)                                                      \
	X(core_place_overlap, RULE_MEMORY_PLACE, NONE, 4, 3, logs(t); t->memories[4].core_at = 0)                     \
	X(core_write, RULE_MAP_RIGHTS, 0, 2, NONE, logs(t); t->maps[0][2].rights |= RIGHT_WRITE)                      \
	X(core_execute, RULE_MAP_RIGHTS, 0, 2, NONE, logs(t); t->maps[0][2].rights |= RIGHT_EXEC)                     \
	X(core_unread, RULE_MEMORY_OWNER, NONE, 4, NONE, logs(t); p->map_count = 3)                                   \
	X(alias, RULE_MAP_ALIAS, 0, 1, 0,                                                                             \
	  t->maps[0][1] = (struct config_map){                                                                        \
		  .memory = 0, .rights = 1, .gpa = 4 * MIB, .offset = PAGE_SIZE, .size = PAGE_SIZE })                 \
	X(cpu_beyond, RULE_CPU_OWNER, 1, 0, 4, t->vcpus[1][0].cpu = 4)                                                \
	X(cpu_twice, RULE_CPU_OWNER, 1, 0, 0, t->vcpus[1][0].cpu = 0)                                                 \
	X(cpu_other_vcpu, RULE_CPU_OWNER, 0, 0, 0, t->slots[0][0].vcpu = 1)                                           \
	X(cpu_extra, RULE_CPU_OWNER, NONE, NONE, NONE, t->partitions[1].vcpu_count = 1)                               \
	X(cpu_unknown_partition, RULE_CPU_OWNER, 1, 0, 1, t->slots[1][0].partition = 9)                               \
	X(cpu_dedicated_twice, RULE_CPU_OWNER, NONE, NONE, 0, t->cpus[0].slot_count = 2)                              \
	X(cpu_kind, RULE_CPU_OWNER, NONE, NONE, 3, t->cpus[3].scheduled = 2)                                          \
	X(slot_beyond, RULE_CPU_OWNER, 0, 3, 3, t->vcpus[0][3].slot = 3)                                              \
	X(slot_other, RULE_CPU_OWNER, 0, 2, 3, t->vcpus[0][2].slot = 1)                                               \
	X(slots_many, RULE_CPU_OWNER, NONE, NONE, 3, t->cpus[3].slot_count = CONFIG_MAX_SLOTS + 1)                    \
	X(guard_none, RULE_GUARD, NONE, NONE, NONE, t->config.guard = 0)                                              \
	X(guard_long, RULE_GUARD, NONE, NONE, NONE, t->config.guard = CONFIG_GUARD_MAX_US + 1)                        \
	X(flush, RULE_GUARD, NONE, NONE, NONE, t->config.flush = FLUSH_ALL + 1)                                       \
	X(schedule_none, RULE_SCHEDULE, NONE, NONE, NONE, t->config.schedule_count = 0)                               \
	X(schedule_name, RULE_NAME, NONE, NONE, NONE, t->schedules[0].name = "Normal", at->schedule = 0)              \
	X(schedule_name_twice, RULE_NAME, NONE, NONE, 0, t->schedules[1].name = "normal", at->schedule = 1)           \
	X(apic_twice, RULE_APIC_ID, 0, 1, 0, t->vcpus[0][1].apic_id = 0)                                              \
	X(apic_high, RULE_APIC_ID, 0, 1, NONE, t->vcpus[0][1].apic_id = 255)                                          \
	X(segment_empty, RULE_SEGMENT, 0, 0, NONE, t->segments[0][0].size = 0)                                        \
	X(segment_beyond, RULE_SEGMENT, 0, 1, NONE, t->segments[0][1].size++)                                         \
	X(segment_offset_wraps, RULE_SEGMENT, 0, 1, NONE, t->segments[0][1].offset = UINT64_MAX)                      \
	X(segment_outside, RULE_SEGMENT, 0, 1, NONE, t->segments[0][1].gpa = MIB - 100)                               \
	X(segment_across, RULE_SEGMENT, 0, 1, NONE, t->maps[0][1].gpa = MIB; t->segments[0][1].gpa = MIB - 100)       \
	X(segment_read_only, RULE_SEGMENT, 0, 0, NONE, t->maps[0][0].rights = RIGHT_READ | RIGHT_EXEC)                \
	X(rip_outside, RULE_ENTRY, 0, NONE, NONE, p->entry.rip = MIB)                                                 \
	X(rip_not_executable, RULE_ENTRY, 0, NONE, NONE, p->entry.rip = 2 * MIB)                                      \
	X(rsp_outside, RULE_ENTRY, 0, NONE, NONE, p->entry.rsp = MIB + 1)                                             \
	X(cr3_odd, RULE_ENTRY, 0, NONE, NONE, p->entry.cr3 += 8)                                                      \
	X(cr3_outside, RULE_ENTRY, 0, NONE, NONE, p->entry.cr3 = 8 * MIB)                                             \
	X(gdt_short, RULE_ENTRY, 0, NONE, NONE, p->entry.gdt_limit = 30)                                              \
	X(gdt_outside, RULE_ENTRY, 0, NONE, NONE, p->entry.gdt_base = MIB - 16)                                       \
	X(cpuid_first, RULE_CPUID, 0, 1, NONE, p->basic[1].first = 3)                                                 \
	X(cpuid_long, RULE_CPUID, 0, 4, NONE, p->basic[4].count = 3)                                                  \
	X(cpuid_leaf, RULE_CPUID, 0, 0, NONE, t->cpuid[0][0].leaf = 2)                                                \
	X(cpuid_subleaf, RULE_CPUID, 0, 2, NONE, t->cpuid[0][2].subleaf = 2)                                          \
	X(cpuid_any_two, RULE_CPUID, 0, 4, NONE, p->basic[4].any_subleaf = 1)                                         \
	X(cpuid_any_value, RULE_CPUID, 0, 1, NONE, p->basic[1].any_subleaf = 2)                                       \
	X(cpuid_lost, RULE_CPUID, 0, NONE, NONE, p->basic[1] = (struct config_cpuid_index){ 0 })                      \
	X(cpuid_twice, RULE_CPUID, 0, 0, NONE, p->hyper[0] = p->basic[1])                                             \
	X(cpuid_extended, RULE_CPUID, 0, 0, NONE, p->extended[1] = p->basic[1])                                       \
	X(cpuid_own, RULE_CPUID, 0, 0, NONE, p->own[1] = p->basic[1])                                                 \
	X(hidden_mask, RULE_CPUID_HIDDEN, 0, 0, NONE, t->cpuid[0][0].mask[2] |= 1u << 5)                              \
	X(hidden_set, RULE_CPUID_HIDDEN, 0, 0, NONE, t->cpuid[0][0].set[3] |= 1u << 12)                               \
	X(msr_backwards, RULE_MSR, 0, 0, NONE, t->msrs[0][0].last = 0xf)                                              \
	X(msr_unsorted, RULE_MSR, 0, 1, 0, t->msrs[0][1].first = t->msrs[0][1].last = 0x9)                            \
	X(msr_overlap, RULE_MSR, 0, 3, 2,                                                                             \
	  t->msrs[0][2] = (struct config_msr){ .first = 0xc000007f, .last = 0xc0000080 };                             \
	  t->msrs[0][1].last = 0x1a0)                                                                                 \
	X(msr_kind, RULE_MSR, 0, 0, NONE, t->msrs[0][0].read = MSR_KIND_COUNT)                                        \
	X(msr_kind_write, RULE_MSR, 0, 0, NONE, t->msrs[0][0].write = MSR_KIND_COUNT)                                 \
	X(msr_pair, RULE_MSR, 0, 1, NONE, t->msrs[0][1].write = MSR_VALUE)                                            \
	X(msr_pair_core, RULE_MSR, 0, 2, NONE, t->msrs[0][2].read = MSR_VALUE)                                        \
	X(msr_place, RULE_MSR, 0, 2, NONE, t->msrs[0][2].first = t->msrs[0][2].last = 0x831)                          \
	X(msr_place_range, RULE_MSR, 0, 2, NONE, t->msrs[0][2].last = 0x831)                                          \
	X(msr_slot, RULE_MSR, 0, 1, NONE, t->msrs[0][1].shadow = 255)                                                 \
	X(msr_slots, RULE_MSR, 0, 1, NONE, t->msrs[0][1].last = 0x1a0 + 255)                                          \
	X(msr_slot_twice, RULE_MSR, 0, 2, NONE,                                                                       \
	  t->msrs[0][2] = (struct config_msr){ .first = 0x200, .last = 0x200, .read = MSR_SHADOW })                   \
	X(host_read, RULE_MSR_HOST, 0, 0, NONE, t->msrs[0][0].first = t->msrs[0][0].last = 0x3b)                      \
	X(host_feature_control, RULE_MSR_HOST, 0, 0, NONE, t->msrs[0][0].first = t->msrs[0][0].last = 0x3a)           \
	X(host_vmx, RULE_MSR_HOST, 0, 3, NONE,                                                                        \
	  t->msrs[0][3] = (struct config_msr){ .first = 0x47f, .last = 0x481, .read = MSR_PASS };                     \
	  p->msr_count = 4; t->msrs[0][2] = t->msrs[0][1]; t->msrs[0][1] = t->msrs[0][0];                             \
	  t->msrs[0][0] = (struct config_msr){ .first = 1, .last = 1 })                                               \
	X(msr_real, RULE_MSR, 0, 0, NONE,                                                                             \
	  t->msrs[0][0] = (struct config_msr){ .first = 0x3a, .last = 0x3a, .read = MSR_REAL })                       \
	X(host_write_tsc, RULE_MSR_HOST, 0, 0, NONE, t->msrs[0][0].write = MSR_PASS)                                  \
	X(host_write_debugctl, RULE_MSR_HOST, 0, 1, NONE,                                                             \
	  t->msrs[0][1] = (struct config_msr){ .first = 0x1d9, .last = 0x1d9, .write = MSR_PASS })                    \
	X(host_write_range, RULE_MSR_HOST, 0, 3, NONE, t->msrs[0][3].last = 0xc0000085)                               \
	X(host_not_in_bitmap, RULE_MSR_HOST, 0, 3, NONE,                                                              \
	  t->msrs[0][3] = (struct config_msr){ .first = 0xc0002000, .last = 0xc0002000, .read = MSR_PASS })           \
	X(port_backwards, RULE_PORT, 0, 0, NONE, t->ports[0][0].last = 0x5f)                                          \
	X(port_unsorted, RULE_PORT, 0, 1, 0, t->ports[0][0] = (struct config_port){ .first = 0x400, .last = 0x400 })  \
	X(port_overlap, RULE_PORT, 0, 1, 0, t->ports[0][0].kind = PORT_NONE; t->ports[0][0].last = 0x3f8)             \
	X(port_kind, RULE_PORT, 0, 0, NONE, t->ports[0][0].kind = PORT_KIND_COUNT)                                    \
	X(port_uart_size, RULE_PORT, 0, 1, 0, t->ports[0][1].last = 0x3fe)                                            \
	X(port_sleep_size, RULE_PORT, 0, 0, NONE, t->ports[0][0].kind = PORT_SLEEP; t->ports[0][0].last = 0x61)       \
	X(host_pci, RULE_PORT_HOST, 0, 0, NONE,                                                                       \
	  t->ports[0][0] = (struct config_port){ .first = 0x60, .last = 0x64, .kind = PORT_PASS })                    \
	X(host_uart, RULE_PORT_HOST, 0, 1, NONE, t->ports[0][1].kind = PORT_PASS)                                     \
	X(host_debug, RULE_PORT_HOST, 0, 0, NONE,                                                                     \
	  t->ports[0][0] = (struct config_port){ .first = 0xe8, .last = 0xea, .kind = PORT_PASS })                    \
	X(action_triple, RULE_ACTION, 0, 0, NONE, p->action[ERROR_TRIPLE_FAULT] = ACTION_INJECT)                      \
	X(action_memory, RULE_ACTION, 0, 1, NONE, p->action[ERROR_MEMORY] = ACTION_IGNORE)                            \
	X(action_exit, RULE_ACTION, 0, 6, NONE, p->action[ERROR_EXIT] = ACTION_INJECT)                                \
	X(action_payload, RULE_ACTION, 0, 7, NONE, p->action[ERROR_PAYLOAD] = ACTION_HALT_MACHINE)                    \
	X(action_unknown, RULE_ACTION, 0, 3, NONE, p->action[ERROR_PORT] = ACTION_COUNT)                              \
	X(action_absurd, RULE_ACTION, 0, 3, NONE, p->action[ERROR_PORT] = 255)                                        \
	X(call_schedule, RULE_HYPERCALL, 0, NONE, NONE, dedicated(t); p->hypercalls |= 1ull << BH_SET_SCHEDULE)       \
	X(hypercall, RULE_HYPERCALL, 0, NONE, NONE, p->hypercalls |= 1ull << BH_CALL_COUNT)                           \
	X(hypercall_last, RULE_HYPERCALL, 0, NONE, NONE, p->hypercalls |= 1ull << 63)                                 \
	X(flag, RULE_HYPERCALL, 0, NONE, NONE, p->flags = 4)                                                          \
	X(console_high, RULE_CONSOLE, NONE, NONE, NONE, t->config.uart_port = 0xfff9)                                 \
	X(console_overlap, RULE_CONSOLE, NONE, NONE, NONE, t->config.debug_port = 0x3ff)                              \
	X(itlb, RULE_CONSOLE, NONE, NONE, NONE, t->config.itlb_multihit = ITLB_REFUSE + 1)                            \
	X(health_missing, RULE_HEALTH, 1, HEALTH_MISSING, NONE, healthy(t); t->partitions[1].health = 0)              \
	X(health_action, RULE_HEALTH, 0, HEALTH_MISSING, NONE, p->action[ERROR_MEMORY] = ACTION_RESTART)              \
	X(health_call, RULE_HEALTH, 0, HEALTH_MISSING, NONE, p->hypercalls |= 1ull << BH_RAISE_ERROR)                 \
	X(health_nobody, RULE_HEALTH, 0, HEALTH_WATCHES, NONE, healthy(t)->watches = 4)                               \
	X(health_no_call, RULE_HEALTH, 0, HEALTH_WATCHES, NONE, healthy(t)->watches = 2)                              \
	X(health_unwatched, RULE_HEALTH, 0, HEALTH_WATCHES, NONE, healthy(t)->controls = 2;                           \
	  p->hypercalls |= 7ull << BH_PARTITION_STOP)                                                                 \
	X(health_stop, RULE_HEALTH, 0, HEALTH_WATCHES, NONE, healthy(t); p->hypercalls |= 1ull << BH_PARTITION_STOP)  \
	X(heartbeat_call, RULE_HEALTH, 0, HEALTH_HEARTBEAT, NONE, healthy(t)->heartbeat = 1000)                       \
	X(heartbeat_none, RULE_HEALTH, 0, HEALTH_HEARTBEAT, NONE, healthy(t); p->hypercalls |= 1ull << BH_HEARTBEAT)  \
	X(heartbeat_long, RULE_HEALTH, 0, HEALTH_HEARTBEAT, NONE, healthy(t)->heartbeat = HEARTBEAT_MAX_US + 1;       \
	  p->hypercalls |= 1ull << BH_HEARTBEAT)                                                                      \
	X(restarts_many, RULE_HEALTH, 0, HEALTH_RESTARTS, NONE, healthy(t)->restarts = RESTARTS_MAX + 1)              \
	X(restarts_period, RULE_HEALTH, 0, HEALTH_RESTARTS, NONE, healthy(t)->restart_period_ms = 0)                  \
	X(standby_self, RULE_HEALTH, 0, HEALTH_STANDBY, NONE, healthy(t)->standby = 0)                                \
	X(standby_nobody, RULE_HEALTH, 0, HEALTH_STANDBY, NONE, healthy(t)->standby = 2)                              \
	X(standby_missing, RULE_HEALTH, 0, HEALTH_STANDBY, NONE, healthy(t); p->action[ERROR_EXIT] = ACTION_FAILOVER) \
	X(failure_none, RULE_HEALTH, 0, HEALTH_SCHEDULE, NONE, healthy(t)->schedule = 2)                              \
	X(schedule_missing, RULE_HEALTH, 0, HEALTH_SCHEDULE, NONE, healthy(t);                                        \
	  p->action[ERROR_EXIT] = ACTION_SCHEDULE)                                                                    \
	X(seals_many, RULE_HEALTH, 0, HEALTH_SEALS, NONE, healthy(t)->seals = 1; p->hypercalls |= 1ull << BH_SEAL)    \
	X(seals_call, RULE_HEALTH, 0, HEALTH_SEALS, NONE, healthy(t); p->hypercalls |= 1ull << BH_SEAL)               \
	X(held_absurd, RULE_HEALTH, 0, HEALTH_HELD, NONE, healthy(t)->held = 2)                                       \
	X(vector_low, RULE_HEALTH, 0, HEALTH_VECTOR, NONE, watcher(t)->vector = 31)                                   \
	X(vector_nobody, RULE_HEALTH, 0, HEALTH_VECTOR, NONE, healthy(t)->vector = 32)                                \
	X(overrun_inject, RULE_ACTION, 0, ERROR_OVERRUN, NONE, p->action[ERROR_OVERRUN] = ACTION_INJECT)              \
	X(window_inject, RULE_ACTION, 0, ERROR_WINDOW, NONE, p->action[ERROR_WINDOW] = ACTION_INJECT)                 \
	X(mmio, RULE_MMIO, 0, NONE, NONE, p->xapic = 1) /* the others of its kind: test_validate_io.c */

/* The same for CPU time: the fault's schedule and CPU, what is needed and what there is, stand before the change. */
#define W0 t->windows[0]
#define W1 t->windows[1]
#define V2 t->vcpus[0][2]
#define V3 t->vcpus[0][3]
#define TIME_BREAKS(X)                                                                                              \
	X(priority_dedicated, RULE_DEDICATED, 0, 0, NONE, NONE, 0, 0, 0, t->vcpus[0][0].priority = 1)               \
	X(slack_dedicated, RULE_DEDICATED, 0, 1, NONE, NONE, 2, 0, 0, t->vcpus[0][1].background = 1)                \
	X(early_dedicated, RULE_DEDICATED, 0, 1, NONE, NONE, 2, 0, 0, t->vcpus[0][1].early = 1)                     \
	X(budget_dedicated, RULE_DEDICATED, 0, 0, NONE, NONE, 0, 0, 0, t->vcpus[0][0].budget = 500)                 \
	X(period_dedicated, RULE_DEDICATED, 0, 0, NONE, NONE, 0, 0, 0, t->vcpus[0][0].period = 500)                 \
	X(slot_priority, RULE_SLOT, 0, 3, NONE, NONE, 3, 0, 0, V2.priority = 2)                                     \
	X(slot_partition, RULE_SLOT, 0, 3, NONE, NONE, 3, 0, 0, swap_slots(t, 1, 2))                                \
	X(slot_vcpu, RULE_SLOT, 0, 2, NONE, NONE, 3, 0, 0, swap_slots(t, 0, 1); V3.priority = 0)                    \
	X(frame_missing, RULE_SCHEDULE, NONE, NONE, NONE, 1, 3, 0, 0, t->frames[1][3].length = 0)                   \
	X(frame_extra, RULE_SCHEDULE, NONE, NONE, NONE, 1, 2, 0, 0, t->frames[1][2].length = 500)                   \
	X(frame_empty, RULE_SCHEDULE, NONE, NONE, NONE, 0, 2, 0, 0, t->frames[0][2].window_count = 1)               \
	X(frame_short, RULE_FRAME, NONE, NONE, NONE, 0, 3, 0, 1, t->frames[0][3].length = 1)                        \
	X(frame_long, RULE_FRAME, NONE, NONE, NONE, 0, 3, 0, 3600000000, t->frames[0][3].length = 3600000000)       \
	X(frame_windows, RULE_FRAME, NONE, NONE, NONE, 0, 3, 257, 256, t->frames[0][3].window_count = 257)          \
	X(frame_differs, RULE_FRAME_DIFFERS, NONE, NONE, 2, 0, 3, 500, 1000, t->cpus[2].scheduled = 1;              \
	  t->vcpus[0][1].background = 1; t->frames[0][2].length = t->frames[1][2].length = 500)                     \
	X(window_zero, RULE_WINDOW, 1, 1, NONE, 0, 3, 20, 0, W0[1].length = 0)                                      \
	X(window_short, RULE_WINDOW, 1, 1, NONE, 0, 3, 20, 19, W0[1].length = 19)                                   \
	X(window_beyond, RULE_WINDOW_FIT, 0, 2, NONE, 0, 3, 1020, 1000, W0[2].length = 500)                         \
	X(window_last_guard, RULE_WINDOW_FIT, 0, 2, NONE, 0, 3, 1001, 1000, W0[2].length = 481)                     \
	X(window_wraps, RULE_WINDOW_FIT, 1, 1, NONE, 1, 3, UINT32_MAX + 219ull, 500, W1[1].length = UINT32_MAX - 1) \
	X(window_first_high, RULE_WINDOW_FIT, 0, 0, NONE, 1, 3, UINT32_MAX + 170ull, 500, W1[0].start = UINT32_MAX) \
	X(window_guard, RULE_WINDOW_OVERLAP, 1, 1, 0, 0, 3, 20, 19, W0[1].start = 219)                              \
	X(window_touch, RULE_WINDOW_OVERLAP, 1, 1, 0, 0, 3, 20, 0, W0[1].start = 200)                               \
	X(window_overlap, RULE_WINDOW_OVERLAP, 0, 2, 1, 0, 3, 20, 0, W0[2].start = 349)                             \
	X(window_unsorted, RULE_WINDOW_OVERLAP, 0, 2, 1, 0, 3, 20, 0, W0[2].start = 0)                              \
	X(window_nobody, RULE_WINDOW_OWNER, NONE, 1, NONE, 0, 3, 0, 0, W0[1].partition = 2)                         \
	X(window_stranger, RULE_WINDOW_OWNER, 0, 0, NONE, 0, 2, 0, 0, stranger(t))                                  \
	X(no_window, RULE_NO_TIME, 1, 1, NONE, NONE, 3, 0, 0, W0[1].partition = W1[1].partition = 0)                \
	X(slack_flag, RULE_BUDGET, 0, 2, NONE, NONE, 3, 100, 500, V2.background = 2)                                \
	X(budget_only, RULE_BUDGET, 0, 2, NONE, NONE, 3, 100, 0, V2.period = 0)                                     \
	X(period_only, RULE_BUDGET, 0, 2, NONE, NONE, 3, 0, 500, V2.budget = 0)                                     \
	X(budget_long, RULE_BUDGET, 0, 2, NONE, NONE, 3, 501, 500, V2.budget = 501)                                 \
	X(budget_short, RULE_BUDGET, 0, 2, NONE, NONE, 3, 19, 500, V2.budget = 19)                                  \
	X(early_flag, RULE_EARLY, 0, 2, NONE, NONE, 3, 0, 0, V2.early = 2)                                          \
	X(early_unlimited, RULE_EARLY, 1, 1, NONE, NONE, 3, 0, 0, t->vcpus[1][1].early = 1)                         \
	X(period_short, RULE_BUDGET, 0, 2, NONE, NONE, 3, 50, 99, V2.budget = 50; V2.period = 99)                   \
	X(period_long, RULE_BUDGET, 0, 2, NONE, NONE, 3, 100, 10000001, V2.period = 10000001)                       \
	X(period_odd, RULE_PERIOD, 0, 2, NONE, 0, 3, 1000, 300, V2.period = 300)                                    \
	X(period_odd_above, RULE_PERIOD, 0, 2, NONE, 0, 3, 1000, 1500, V2.period = 1500)                            \
	X(budget_slack, RULE_BUDGET_FIT, 1, 1, NONE, NONE, 3, 100, 0, W0[1].partition = W1[1].partition = 0;        \
	  t->vcpus[1][1].background = 1; t->vcpus[1][1].budget = 100; t->vcpus[1][1].period = 1000)                 \
	X(budget_fit, RULE_BUDGET_FIT, 0, 2, NONE, 1, 3, 151, 150, V2.budget = 151; V3.budget = 20)                 \
	X(budget_fit_below, RULE_BUDGET_FIT, 0, 3, NONE, 1, 3, 301, 300, V3.budget = 101)                           \
	X(budget_fit_equal, RULE_BUDGET_FIT, 0, 3, NONE, 1, 3, 301, 300, V3.budget = 101; V3.priority = 0)          \
	X(budget_fit_period, RULE_BUDGET_FIT, 0, 2, NONE, 0, 3, 100, 99, W0[2].length = 99)                         \
	X(budget_fit_across, RULE_BUDGET_FIT, 0, 2, NONE, 0, 3, 100, 40, W0[2].start = 370; W0[2].length = 170;     \
	  W0[0].length = 200)                                                                                       \
	X(budget_fit_long, RULE_BUDGET_FIT, 0, 2, NONE, 0, 3, 350, 200, V2.priority = 2; V3.budget = 250;           \
	  swap_slots(t, 0, 1))                                                                                      \
	X(budget_unlimited, RULE_BUDGET_FIT, 0, 3, 2, 0, 3, 50, 400, V2.budget = V2.period = 0)                     \
	X(rate_high, RULE_RATE, 1, NONE, NONE, NONE, NONE, 99, 0, t->partitions[1].rate_period = 99)                \
	X(rate_low, RULE_RATE, 1, NONE, NONE, NONE, NONE, 10000001, 0, t->partitions[1].rate_period = 10000001)     \
	X(rate_odd, RULE_PERIOD, 1, NONE, NONE, 0, 3, 1000, 400, t->partitions[1].rate_period = 400)                \
	X(rate_missed, RULE_RATE, 1, NONE, NONE, 0, 3, 500, 500, t->partitions[1].rate_period = 500)                \
	X(rate_missed_first, RULE_RATE, 1, NONE, NONE, 0, 3, 200, 0, t->partitions[1].rate_period = 200)            \
	X(rate_no_window, RULE_RATE, 1, NONE, NONE, 1, 3, 1000, 0, t->frames[1][3].window_count = 1)

static void swap_slots(struct table *t, uint16_t a, uint16_t b)
{
	struct config_slot slot = t->slots[3][a];

	t->slots[3][a] = t->slots[3][b];
	t->slots[3][b] = slot;
	t->vcpus[t->slots[3][a].partition][t->slots[3][a].vcpu].slot = a;
	t->vcpus[slot.partition][slot.vcpu].slot = b;
}

/* No schedules: CPU 3 has one vCPU. */
static void dedicated(struct table *t)
{
	t->config.schedule_count = 0;
	t->cpus[3].scheduled = 0;
	t->cpus[3].slot_count = 1;
	t->partitions[0].vcpu_count = 3;
	t->partitions[1].vcpu_count = 1;
	t->partitions[1].rate_period = 0;
	V2.budget = V2.period = 0;
}

/* CPU 2 becomes a scheduled one, too, with a window of a partition that does not live there. */
static void stranger(struct table *t)
{
	t->cpus[2].scheduled = 1;
	t->slots[1][0] = (struct config_slot){ 0, 1 };
	t->slots[2][0] = (struct config_slot){ 1, 0 };
	t->vcpus[0][1].cpu = 1;
	t->vcpus[1][0].cpu = 2;
	t->frames[0][2] = (struct config_frame){ .length = 1000, .window_count = 1, .windows = t->windows[0] };
}

#define FUNCTION(name, rule, partition, index, other, ...)                                             \
	static void break_##name(struct table *t, struct config_partition *p, struct config_fault *at) \
	{                                                                                              \
		(void)t;                                                                               \
		(void)p;                                                                               \
		(void)at;                                                                              \
		__VA_ARGS__;                                                                           \
	}
#define TIME_FUNCTION(name, rule, partition, index, other, where, on, needed, had, ...)                \
	FUNCTION(name, rule, partition, index, other, __VA_ARGS__; at->schedule = where; at->cpu = on; \
	         at->need = needed; at->have = had)
BREAKS(FUNCTION)
TIME_BREAKS(TIME_FUNCTION)

static const struct {
	const char *name;
	void (*change)(struct table *t, struct config_partition *p, struct config_fault *at);
	enum config_rule rule;
	uint16_t partition, index, other;
} breaks[] = {
#define ROW(name, rule, partition, index, other, ...) { #name, break_##name, rule, partition, index, other },
	BREAKS(ROW) TIME_BREAKS(ROW)
};

static void test_good_passes(void **state)
{
	struct config_fault fault;
	struct table t;

	(void)state;
	good(&t);
	assert_int_equal(config_validate(&t.config, &fault), RULE_OK);
	assert_int_equal(fault.rule, RULE_OK);
	t.partitions[0].entry.rsp = MIB; /* a stack that begins at the memory's end */
	t.config.debug_port = 0;
	t.config.uart_port = 0;
	t.vcpus[1][1].background = 1;
	t.config.flush = 0;
	t.ports[0][1].kind = PORT_PASS; /* with no console of the host's own, the UART may be given away */
	assert_int_equal(config_validate(&t.config, &fault), RULE_OK);
	good(&t);
	healthy(&t)->watches = 3, t.health[0].controls = 2, t.health[0].heartbeat = 1000, t.health[0].standby = 1,
	t.health[0].held = 1, t.health[0].vector = 255;
	t.partitions[0].action[ERROR_WINDOW] = ACTION_MONITOR, t.partitions[1].action[ERROR_OVERRUN] = ACTION_RECORD;
	t.health[0].schedule = 1, t.partitions[0].action[ERROR_EXIT] = ACTION_SCHEDULE,
	t.partitions[0].action[ERROR_MEMORY] = ACTION_FAILOVER;
	t.partitions[0].hypercalls |= HEALTH_CALLS & ~(1ull << BH_SEAL);
	assert_int_equal(config_validate(&t.config, &fault), RULE_OK);
	good(&t);
	logs(&t);
	assert_int_equal(config_validate(&t.config, &fault), RULE_OK);
}

static void test_each_break_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
		struct config_fault fault, at = { .schedule = NONE, .cpu = NONE };
		struct table t, before;
		enum config_rule rule;

		good(&t);
		breaks[i].change(&t, &t.partitions[0], &at);
		memcpy(&before, &t, sizeof t);
		rule = config_validate(&t.config, &fault);
		if (rule != breaks[i].rule || fault.rule != rule || fault.partition != breaks[i].partition ||
		    fault.index != breaks[i].index || fault.other != breaks[i].other)
			fail_msg("%s: rule %d at %u, %u, %u (\"%s\"); expected %d at %u, %u, %u", breaks[i].name, rule,
			         fault.partition, fault.index, fault.other, config_rule_text(rule), breaks[i].rule,
			         breaks[i].partition, breaks[i].index, breaks[i].other);
		if (fault.schedule != at.schedule || fault.cpu != at.cpu || fault.need != at.need ||
		    fault.have != at.have)
			fail_msg("%s: schedule %u, CPU %u, needs %llu, has %llu; expected %u, %u, %llu, %llu",
			         breaks[i].name, fault.schedule, fault.cpu, (unsigned long long)fault.need,
			         (unsigned long long)fault.have, at.schedule, at.cpu, (unsigned long long)at.need,
			         (unsigned long long)at.have);
		assert_memory_equal(&before, &t, sizeof t); /* nothing is changed */
	}
}

static void test_each_rule_is_broken(void **state)
{
	(void)state;
	for (int rule = RULE_OK + 1; rule < RULE_LAST; rule++) {
		unsigned found = 0;
		for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++)
			found += breaks[i].rule == (enum config_rule)rule;
		if (found == 0 &&
		    !(rule >= RULE_APIC &&
		      rule <= RULE_DOORBELL_CHANNEL)) /* test_validate_io.c, _devices.c, _pci.c and _ports.c have them */
			fail_msg("rule %d, %s, has no test", rule, config_rule_text((enum config_rule)rule));
	}
}

static void test_each_rule_has_a_text(void **state)
{
	(void)state;
	for (int rule = RULE_OK; rule < RULE_LAST; rule++) {
		assert_non_null(config_rule_text((enum config_rule)rule));
		for (int other = RULE_OK; other < rule; other++)
			assert_string_not_equal(config_rule_text((enum config_rule)rule),
			                        config_rule_text((enum config_rule)other));
	}
	assert_string_equal(config_rule_text(RULE_LAST), "unknown rule");
	assert_string_equal(config_rule_text((enum config_rule) - 1), "unknown rule");
}

/* Any bytes in the numbers of a table: never a crash, never a bound exceeded (the sanitizers watch). Counts stay, since
 * the validator trusts that they size the arrays. */
static void test_noise_is_survived(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct {
			uint8_t *bytes;
			size_t size;
		} part[9];
		struct config_fault fault;
		struct table t;
		unsigned k;

		good(&t);
		part[0].bytes = (uint8_t *)t.slots, part[0].size = sizeof t.slots;
		part[1].bytes = (uint8_t *)t.vcpus, part[1].size = sizeof t.vcpus;
		part[2].bytes = (uint8_t *)t.maps, part[2].size = sizeof t.maps;
		part[3].bytes = (uint8_t *)t.segments, part[3].size = sizeof t.segments;
		part[4].bytes = (uint8_t *)t.cpuid, part[4].size = sizeof t.cpuid;
		part[5].bytes = (uint8_t *)t.msrs, part[5].size = sizeof t.msrs;
		part[6].bytes = (uint8_t *)t.ports, part[6].size = sizeof t.ports;
		part[7].bytes = (uint8_t *)t.partitions[1].basic, part[7].size = sizeof t.partitions[1].basic;
		part[8].bytes = (uint8_t *)t.windows, part[8].size = sizeof t.windows;
		for (int change = 0; change < 3; change++) {
			random = random * 1664525 + 1013904223;
			k = (random >> 24) % 9;
			part[k].bytes[(random >> 8) % part[k].size] ^= (uint8_t)(1u << (random >> 21 & 7));
		}
		assert_true(config_validate(&t.config, &fault) < RULE_LAST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_passes),         cmocka_unit_test(test_each_break_is_found),
		cmocka_unit_test(test_each_rule_is_broken), cmocka_unit_test(test_each_rule_has_a_text),
		cmocka_unit_test(test_noise_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

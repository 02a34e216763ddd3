// SPDX-License-Identifier: Apache-2.0
/* The validator's part for channels and doorbells: a good table passes, and each way to break it is found under its rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/validate.h"
#include "hypercall/ports.h"

#define NONE CONFIG_NONE
#define RW (RIGHT_READ | RIGHT_WRITE)

enum { A, B, C, PARTITIONS }; /* on CPUs 0; 1 and 2; 2. D is the companion of A */
#define D 3u
enum { SAMPLE = D + 1, SAMPLE_OUT, STREAM, STREAM_OUT, BELLS_B, BELLS_C, MEMORIES };

struct table {
	struct config config;
	struct config_partition partitions[D + 1];
	struct config_vcpu vcpus[PARTITIONS][2];
	struct config_map maps[D + 1][8];
	struct config_memory memories[MEMORIES];
	struct config_channel channels[2];
	struct config_doorbell doorbells[3];
};

static void memory(struct table *t, unsigned index, uint16_t owner, uint64_t cpus, unsigned rights)
{
	t->memories[index] = (struct config_memory){
		.name = "m", .size = PAGE_SIZE, .owner = owner, .core_cpus = cpus, .core_rights = (uint8_t)rights
	};
}

static void map(struct table *t, unsigned partition, unsigned index, unsigned rights)
{
	struct config_partition *p = &t->partitions[partition];

	t->maps[partition][p->map_count++] =
		(struct config_map){ .memory = (uint16_t)index, .rights = (uint8_t)rights, .size = PAGE_SIZE };
	p->maps = t->maps[partition];
}

/* A tells B and C, and sends B a queue that rings; the companion of A rings at C. */
static void good(struct table *t)
{
	memset(t, 0, sizeof *t);
	t->vcpus[A][0].cpu = 0, t->vcpus[B][0].cpu = 1, t->vcpus[B][1].cpu = 2, t->vcpus[C][0].cpu = 2;
	for (unsigned i = 0; i < PARTITIONS; i++) {
		t->partitions[i].vcpus = t->vcpus[i];
		t->partitions[i].vcpu_count = i == B ? 2 : 1;
	}
	t->partitions[A].companion = D;
	memory(t, SAMPLE, CONFIG_CHANNEL, 7, RW);
	memory(t, SAMPLE_OUT, A, 1, RIGHT_READ);
	memory(t, STREAM, CONFIG_CHANNEL, 7, RW);
	memory(t, STREAM_OUT, A, 1, RIGHT_READ);
	memory(t, BELLS_B, B, 1, RW);
	memory(t, BELLS_C, C, 1, RW);
	map(t, A, SAMPLE_OUT, RW);
	map(t, A, STREAM_OUT, RW);
	map(t, B, SAMPLE, RIGHT_READ);
	map(t, C, SAMPLE, RIGHT_READ);
	map(t, B, STREAM, RIGHT_READ);
	map(t, B, BELLS_B, RW);
	map(t, C, BELLS_C, RW);
	t->channels[0] = (struct config_channel){ .kind = CHANNEL_SAMPLING,
		                                  .source = A,
		                                  .destinations = 1 << B | 1 << C,
		                                  .size = 64,
		                                  .slots = SAMPLE,
		                                  .outbox = SAMPLE_OUT,
		                                  .slot_count = 4,
		                                  .refresh = 1000 };
	t->channels[1] = (struct config_channel){ .kind = CHANNEL_QUEUING,
		                                  .source = A,
		                                  .destinations = 1 << B,
		                                  .doorbells = 2,
		                                  .size = 100,
		                                  .slots = STREAM,
		                                  .outbox = STREAM_OUT,
		                                  .slot_count = 10 };
	t->doorbells[0] =
		(struct config_doorbell){ .sources = 1 << D, .partition = C, .memory = BELLS_C, .vector = 0x20 };
	t->doorbells[1] = (struct config_doorbell){ .partition = B, .vcpu = 1, .memory = BELLS_B, .vector = 0xff };
	t->doorbells[2] = (struct config_doorbell){
		.sources = 1 << A, .partition = B, .memory = BELLS_B, .vector = 0xff, .bit = 63
	};
	t->config = (struct config){ .memories = t->memories,
		                     .partitions = t->partitions,
		                     .channels = t->channels,
		                     .doorbells = t->doorbells,
		                     .cpu_count = 3,
		                     .memory_count = MEMORIES,
		                     .partition_count = D + 1,
		                     .channel_count = 2,
		                     .doorbell_count = 3 };
}

/* A name, the rule, index and other of the fault, and the change to a good table. */
#define BREAKS(X)                                                                                                    \
	X(many_channels, RULE_COUNT, NONE, NONE, NONE, t->config.channel_count = CONFIG_MAX_CHANNELS + 1)            \
	X(many_doorbells, RULE_COUNT, NONE, NONE, NONE, t->config.doorbell_count = CONFIG_MAX_DOORBELLS + 1)         \
	X(kind, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].kind = CHANNEL_KIND_COUNT)                               \
	X(size_none, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].size = 0)                                           \
	X(size_much, RULE_CHANNEL, NONE, 1, NONE, t->channels[1].size = CONFIG_MAX_MESSAGE + 1)                      \
	X(nobody, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].destinations = 0)                                      \
	X(queue_for_two, RULE_CHANNEL, NONE, 1, NONE, t->channels[1].destinations |= 1 << C)                         \
	X(crowd, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].destinations = 0x1ff << 1;                              \
	  t->channels[0].slot_count = 11)                                                                            \
	X(slots_few, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].slot_count = 3)                                     \
	X(slots_more, RULE_CHANNEL, NONE, 0, NONE, t->channels[0].slot_count = 5)                                    \
	X(queue_short, RULE_CHANNEL, NONE, 1, NONE, t->channels[1].slot_count = 1)                                   \
	X(queue_long, RULE_CHANNEL, NONE, 1, NONE, t->channels[1].slot_count = CONFIG_MAX_SLOTS_IN_CHANNEL + 1)      \
	X(queue_refresh, RULE_CHANNEL, NONE, 1, NONE, t->channels[1].refresh = 1)                                    \
	X(source_beyond, RULE_CHANNEL_ENDS, NONE, 0, NONE, t->channels[0].source = D + 1)                            \
	X(destination_beyond, RULE_CHANNEL_ENDS, NONE, 0, NONE, t->channels[0].destinations = 1 << B | 1 << (D + 1)) \
	X(to_itself, RULE_CHANNEL_ENDS, NONE, 1, NONE, t->channels[1].destinations = 1 << A)                         \
	X(slots_beyond, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->channels[0].slots = MEMORIES)                         \
	X(outbox_beyond, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->channels[0].outbox = MEMORIES)                       \
	X(slots_private, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].owner = B)                          \
	X(slots_shared, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].owner = CONFIG_SHARED)               \
	X(outbox_foreign, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE_OUT].owner = B)                     \
	X(outbox_unmapped, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->maps[A][0].memory = STREAM_OUT)                    \
	X(slots_unmapped, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->partitions[C].map_count = 0)                        \
	X(slots_by_others, RULE_CHANNEL_MEMORY, NONE, 1, NONE, map(t, C, STREAM, RIGHT_READ))                        \
	X(slots_small, RULE_CHANNEL_MEMORY, NONE, 1, NONE, t->channels[1].size = 1000)                               \
	X(slots_elsewhere, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].core_cpus = 6)                    \
	X(slots_not_at_reader, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].core_cpus = 5)                \
	X(slots_everywhere, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].core_cpus = 15)                  \
	X(slots_no_write, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE].core_rights = RIGHT_READ)          \
	X(outbox_write, RULE_CHANNEL_MEMORY, NONE, 0, NONE, t->memories[SAMPLE_OUT].core_rights = RW)                \
	X(outbox_elsewhere, RULE_CHANNEL_MEMORY, NONE, 1, NONE, t->memories[STREAM_OUT].core_cpus = 2)               \
	X(slots_twice, RULE_CHANNEL_MEMORY, NONE, 1, 0, t->channels[1].destinations |= 1 << C;                       \
	  t->channels[1] = t->channels[0]; t->channels[1].outbox = STREAM_OUT)                                       \
	X(outbox_twice, RULE_CHANNEL_MEMORY, NONE, 1, 0, t->channels[1].outbox = SAMPLE_OUT)                         \
	X(bell_beyond, RULE_DOORBELL_CHANNEL, NONE, 3, 1, t->channels[1].doorbells |= 8)                             \
	X(bell_elsewhere, RULE_DOORBELL_CHANNEL, NONE, 0, 1, t->channels[1].doorbells = 1)                           \
	X(bell_second, RULE_DOORBELL_CHANNEL, NONE, 2, 1, t->channels[1].doorbells |= 4)                             \
	X(receiver_beyond, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].partition = D + 1)                          \
	X(receiver_companion, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].partition = D)                           \
	X(vcpu_beyond, RULE_DOORBELL, NONE, 1, NONE, t->doorbells[1].vcpu = 2)                                       \
	X(ringer_beyond, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].sources |= 1ull << 63)                        \
	X(vector_low, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].vector = 31)                                     \
	X(companion_none, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].vector = 0)                                  \
	X(bit_high, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].bit = 64)                                          \
	X(bit_twice, RULE_DOORBELL, NONE, 2, 1, t->doorbells[2].bit = 0)                                             \
	X(word_beyond, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].memory = MEMORIES)                              \
	X(word_foreign, RULE_DOORBELL, NONE, 0, NONE, t->doorbells[0].memory = BELLS_B)                              \
	X(word_second, RULE_DOORBELL, NONE, 2, 0, map(t, B, BELLS_C, RW); t->memories[BELLS_C].owner = B;            \
	  t->doorbells[0] = t->doorbells[1]; t->doorbells[2].memory = BELLS_C; t->doorbells[1].bit = 7)              \
	X(word_unmapped, RULE_DOORBELL, NONE, 0, NONE, t->partitions[C].map_count = 1)                               \
	X(word_not_at_ringer, RULE_DOORBELL, NONE, 0, NONE, t->memories[BELLS_C].core_cpus = 4)                      \
	X(word_not_at_channel, RULE_DOORBELL, NONE, 1, NONE, t->doorbells[2].sources = 1 << C;                       \
	  t->memories[BELLS_B].core_cpus = 4)                                                                        \
	X(word_no_write, RULE_DOORBELL, NONE, 0, NONE, t->memories[BELLS_C].core_rights = RIGHT_READ)                \
	X(unused, RULE_MEMORY_OWNER, NONE, 0, NONE, t->memories[0].core_cpus = 1)

#define VALIDATE config_validate_ports
#include "breaks.h"

static void test_good_passes(void **state)
{
	struct config_fault fault;
	struct table t;

	(void)state;
	good(&t);
	assert_int_equal(config_validate_ports(&t.config, &fault), RULE_OK);
	t.config.channel_count = 0;
	t.config.doorbell_count = 0;
	for (unsigned i = 0; i < MEMORIES; i++)
		t.memories[i].core_cpus = 0;
	assert_int_equal(config_validate_ports(&t.config, &fault), RULE_OK);
}

static void test_each_rule_is_broken(void **state)
{
	(void)state;
	for (int rule = RULE_CHANNEL; rule <= RULE_DOORBELL_CHANNEL; rule++) {
		unsigned found = 0;
		for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++)
			found += breaks[i].rule == (enum config_rule)rule;
		assert_int_not_equal(found, 0);
	}
}

/* Any bytes in the tables: never a bound exceeded (the sanitizers watch). */
static void test_noise_is_survived(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct config_fault fault;
		struct table t;

		good(&t);
		for (int change = 0; change < 3; change++) {
			uint8_t *bytes = (uint8_t *)t.channels;
			const size_t size = sizeof t.channels + sizeof t.doorbells;

			random = random * 1664525 + 1013904223;
			bytes[(random >> 8) % size] ^= (uint8_t)(1u << (random >> 21 & 7));
		}
		assert_true(config_validate_ports(&t.config, &fault) < RULE_LAST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_passes),
		cmocka_unit_test(test_each_break_is_found),
		cmocka_unit_test(test_each_rule_is_broken),
		cmocka_unit_test(test_noise_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

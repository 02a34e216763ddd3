// SPDX-License-Identifier: Apache-2.0
/*
 * Channels and doorbells through real exits: what is sent arrives, whoever has no right or gives a bad argument changes nothing, and calls
 * that come while another one is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/posted.h"
#include "hypercall/abi.h"
#include "hypercall/calls.h"
#include "hypercall/ports.h"

enum { MANY, OTHER, PAIR, SINGLE, DEVICES }; /* partitions of seam.yaml */
enum { SAMPLE, STREAM, CROWD };              /* channels: other to many and single; other to single; many to pair */
enum { WAKE, STREAM_BELL, PAIR_BELL };       /* doorbells: of other; of single, with the stream; of pair's vCPU 2 */
#define MARK 0x5a5a000000000000ull

static struct vcpu *vcpu;
static uint64_t ticks;

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	seam.tsc_step = 0;
	seam.tsc = ticks = 1ull << 40;
	memset(posted_descriptor, 0, sizeof posted_descriptor);
	return 0;
}

static int64_t call(uint32_t partition, uint64_t number, uint64_t rdi, uint64_t rsi)
{
	vcpu->partition_index = (uint16_t)partition;
	vcpu->partition = &config.partitions[partition];
	for (uint32_t i = 0; i < REG_COUNT; i++)
		vcpu->regs[i] = MARK + i;
	vcpu->regs[REG_RAX] = number;
	vcpu->regs[REG_RDI] = rdi;
	vcpu->regs[REG_RSI] = rsi;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_VMCALL, 0), END_RETURNED);
	assert_true(seam_skipped());
	for (uint32_t i = 1; i < REG_COUNT; i++)
		assert_int_equal(vcpu->regs[i], i == REG_RDI ? rdi : i == REG_RSI ? rsi : MARK + i);
	return (int64_t)vcpu->regs[REG_RAX];
}

static uint8_t *memory(uint32_t index)
{
	return (uint8_t *)(CORE_MEMORY_BASE + config.memories[index].core_at);
}

static const struct port_slot *slot(uint32_t channel, int64_t number)
{
	const struct config_channel *c = &config.channels[channel];
	const int64_t n = number & 0xffff;

	assert_true(n >= 1 && n <= c->slot_count);
	return (const void *)(memory(c->slots) + (uint64_t)n * PORT_STRIDE(c->size));
}

/* Sends so many bytes, all of them `byte`. */
static int64_t send(uint32_t channel, uint8_t byte, uint64_t length)
{
	const struct config_channel *c = &config.channels[channel];

	memset(memory(c->outbox), byte, c->size);
	return call(c->source, BH_PORT_SEND, channel, length);
}

static void expect(uint32_t channel, int64_t number, uint8_t byte, uint32_t length)
{
	const struct port_slot *s = slot(channel, number);

	assert_int_equal(s->length, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(((const uint8_t *)s->message)[i], byte);
}

static uint64_t *word(uint32_t doorbell)
{
	return (uint64_t *)memory(config.doorbells[doorbell].memory);
}

static void test_sampling(void **state)
{
	const uint64_t refresh = 10 * tsc_khz;
	int64_t held, other;

	(void)state;
	assert_int_equal(call(SINGLE, BH_PORT_RECEIVE, SAMPLE, 0), BH_EAGAIN);
	assert_int_equal(call(SINGLE, BH_PORT_STATUS, SAMPLE, BH_PORT_WAITING), 0);
	for (uint32_t length = 1; length <= 64; length++) {
		assert_int_equal(send(SAMPLE, (uint8_t)length, length), 0);
		held = call(SINGLE, BH_PORT_RECEIVE, SAMPLE, 0);
		assert_true(held & BH_PORT_VALID);
		expect(SAMPLE, held, (uint8_t)length, length);
		assert_int_equal(slot(SAMPLE, held)->tsc, seam.tsc);
		assert_int_equal(call(SINGLE, BH_PORT_RECEIVE, SAMPLE, 0), held); /* again and again */
	}
	/* One holds a message; the other one sees all that come. */
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(send(SAMPLE, (uint8_t)i, 8), 0);
		other = call(MANY, BH_PORT_RECEIVE, SAMPLE, 0);
		expect(SAMPLE, other, (uint8_t)i, 8);
		expect(SAMPLE, held, 64, 64);
	}
	assert_int_equal(call(OTHER, BH_PORT_STATUS, SAMPLE, BH_PORT_SENT), 164);
	assert_int_equal(call(OTHER, BH_PORT_STATUS, SAMPLE, BH_PORT_WAITING), 1);
	/* To the tick. */
	seam.tsc += refresh;
	assert_true(call(MANY, BH_PORT_RECEIVE, SAMPLE, 0) & BH_PORT_VALID);
	seam.tsc += 1;
	assert_int_equal(call(MANY, BH_PORT_RECEIVE, SAMPLE, 0), other & 0xffff);
}

static void test_queuing(void **state)
{
	int64_t held = 0;

	(void)state;
	assert_int_equal(call(SINGLE, BH_PORT_RECEIVE, STREAM, 0), BH_EAGAIN);
	for (uint32_t i = 0; i < 50; i++) { /* two can wait, beside the one that is held */
		assert_int_equal(send(STREAM, (uint8_t)(2 * i), 100), 0);
		assert_int_equal(send(STREAM, (uint8_t)(2 * i + 1), 1), 0);
		for (uint32_t j = 0; j < 3; j++)
			assert_int_equal(send(STREAM, 0xff, 100), BH_EAGAIN);
		if (i)
			expect(STREAM, held, (uint8_t)(2 * i - 1), 1);
		assert_int_equal(call(OTHER, BH_PORT_STATUS, STREAM, BH_PORT_WAITING), 2);
		held = call(SINGLE, BH_PORT_RECEIVE, STREAM, 0);
		expect(STREAM, held, (uint8_t)(2 * i), 100);
		held = call(SINGLE, BH_PORT_RECEIVE, STREAM, 0);
		expect(STREAM, held, (uint8_t)(2 * i + 1), 1);
		assert_int_equal(call(SINGLE, BH_PORT_RECEIVE, STREAM, 0), BH_EAGAIN);
		expect(STREAM, held, (uint8_t)(2 * i + 1), 1);
		assert_int_equal(call(SINGLE, BH_PORT_STATUS, STREAM, BH_PORT_WAITING), 0);
	}
	assert_int_equal(call(SINGLE, BH_PORT_STATUS, STREAM, BH_PORT_SENT), 100);
	assert_int_equal(call(OTHER, BH_PORT_STATUS, STREAM, BH_PORT_REFUSED), 150);
	assert_int_equal(call(OTHER, BH_PORT_STATUS, STREAM, BH_PORT_SIZE), 100);
	assert_int_equal(call(OTHER, BH_PORT_STATUS, STREAM, BH_PORT_SLOTS), 3);
}

static void test_restart_empties_queues(void **state)
{
	(void)state;
	send(STREAM, 1, 10);
	send(STREAM, 2, 10);
	send(SAMPLE, 3, 10);
	ports_restart(OTHER); /* the source: what was sent is sent */
	ports_restart(MANY);
	expect(STREAM, call(SINGLE, BH_PORT_RECEIVE, STREAM, 0), 1, 10);
	ports_restart(SINGLE);
	assert_int_equal(call(SINGLE, BH_PORT_RECEIVE, STREAM, 0), BH_EAGAIN);
	expect(SAMPLE, call(SINGLE, BH_PORT_RECEIVE, SAMPLE, 0), 3, 10);
	assert_int_equal(send(STREAM, 4, 10), 0);
	expect(STREAM, call(SINGLE, BH_PORT_RECEIVE, STREAM, 0), 4, 10);
}

/* Channel and doorbell numbers as they must not be, and those of others. */
static const uint64_t odd[] = { CONFIG_CHANNELS, CONFIG_CHANNELS + 1, 63,         64,        1ull << 31,
	                        1ull << 32,      (1ull << 32) + 1,    1ull << 63, ~0ull - 1, ~0ull };
static const uint64_t bad_length[] = { 0, 1ull << 16, 1ull << 32, (1ull << 32) + 1, 1ull << 63, ~0ull, ~0ull - 6 };

static void test_bad_arguments(void **state)
{
	static uint8_t before[9 << 12]; /* all memories of channels and doorbells */
	const uint8_t *const begin = memory(config.channels[0].slots);

	(void)state;
	send(SAMPLE, 1, 64);
	send(STREAM, 2, 100);
	memcpy(before, begin, sizeof before);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		for (uint64_t number = BH_PORT_SEND; number <= BH_RING; number++)
			assert_int_equal(call(MANY, number, odd[i], 1), BH_EINVAL);
	for (uint32_t channel = 0; channel < CONFIG_CHANNELS; channel++) {
		const struct config_channel *c = &config.channels[channel];

		for (size_t i = 0; i < sizeof bad_length / sizeof *bad_length; i++)
			assert_int_equal(call(c->source, BH_PORT_SEND, channel, bad_length[i]), BH_EINVAL);
		assert_int_equal(call(c->source, BH_PORT_SEND, channel, c->size + 1u), BH_EINVAL);
		for (uint64_t which = BH_PORT_SLOTS + 1; which; which = which < 1ull << 63 ? which << 1 : 0)
			assert_int_equal(call(c->source, BH_PORT_STATUS, channel, which), BH_EINVAL);
	}
	assert_memory_equal(before, begin, sizeof before);
}

/* Each call for each channel and doorbell by each partition: only those that the configuration gives. */
static void test_rights(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++) {
		const int64_t none = p == DEVICES ? BH_ENOCALL : BH_EINVAL; /* it has no channel at all */

		for (uint32_t channel = 0; channel < CONFIG_CHANNELS; channel++) {
			const struct config_channel *c = &config.channels[channel];
			const int source = c->source == p, destination = c->destinations >> p & 1;
			const int64_t sent = call(p, BH_PORT_SEND, channel, 1);
			const int64_t received = call(p, BH_PORT_RECEIVE, channel, 0);
			const int64_t status = call(p, BH_PORT_STATUS, channel, BH_PORT_SIZE);

			assert_int_equal(sent == 0, source);
			assert_int_equal(received > 0 || received == BH_EAGAIN, destination);
			assert_int_equal(status, source || destination ? c->size : none);
		}
		for (uint32_t bell = 0; bell < CONFIG_DOORBELLS; bell++)
			assert_int_equal(call(p, BH_RING, bell, 0) == 0, config.doorbells[bell].sources >> p & 1);
	}
	seam_set(VMCS_GUEST_SS_ACCESS, 0xc0f3); /* user mode */
	for (uint64_t number = BH_PORT_SEND; number <= BH_RING; number++)
		assert_int_equal(call(OTHER, number, SAMPLE, 1), BH_EPERM);
}

/* Another vCPU of the partition enters its call while this one is in the middle of it: it is sent away, and nothing is mixed. */
static uint32_t intruder;
static int64_t intruder_got;

static void intrude(void)
{
	struct vcpu second = *vcpu;

	seam.on_instruction = 0;
	second.regs[REG_RDI] = CROWD;
	second.regs[REG_RSI] = 5;
	intruder_got = intruder == PAIR ? call_port_receive(&second) : call_port_send(&second);
}

static void test_calls_at_once(void **state)
{
	(void)state;
	vcpu->partition_index = MANY;
	vcpu->partition = &config.partitions[MANY];
	vcpu->regs[REG_RDI] = CROWD;
	vcpu->regs[REG_RSI] = 1024;
	intruder = MANY;
	intruder_got = 0;
	memset(memory(config.channels[CROWD].outbox), 7, 1024);
	seam.on_instruction = intrude; /* at the RDTSC, while the slot is being filled */
	assert_int_equal(call_port_send(vcpu), 0);
	assert_int_equal(intruder_got, BH_EAGAIN);
	expect(CROWD, call(PAIR, BH_PORT_RECEIVE, CROWD, 0), 7, 1024);
	assert_int_equal(send(CROWD, 8, 1), 0); /* the way is free again */
	assert_int_equal(send(CROWD, 8, 1), BH_EAGAIN);
	assert_int_equal(call(MANY, BH_PORT_STATUS, CROWD, BH_PORT_SENT), 2);
}

static void test_doorbells(void **state)
{
	const struct config_vcpu *pair = &config.partitions[PAIR].vcpus[2],
				 *single = &config.partitions[SINGLE].vcpus[0];
	uint32_t writes = seam.wrmsr_count;

	(void)state;
	/* A dedicated CPU: a physical interrupt with that vector, once until the receiver has looked. */
	assert_int_equal(call(MANY, BH_RING, WAKE, 0), 0);
	assert_int_equal(seam_written(MSR_X2APIC_ICR), (uint64_t)cpu_apic_id[1] << 32 | 1u << 14 | 0x51);
	assert_int_equal(*word(WAKE), 1);
	assert_int_equal(seam.wrmsr_count, ++writes);
	assert_int_equal(call(SINGLE, BH_RING, WAKE, 0), 0);
	assert_int_equal(seam.wrmsr_count, writes);
	*word(WAKE) = 0;
	assert_int_equal(call(SINGLE, BH_RING, WAKE, 0), 0);
	assert_int_equal(seam.wrmsr_count, ++writes);
	/* A scheduled one: posted for its vCPU, and no other. */
	assert_int_equal(call(MANY, BH_RING, PAIR_BELL, 0), 0);
	assert_int_equal(posted_descriptor[pair->cpu][pair->slot].requests[1], 1ull << (0x53 - 64));
	assert_int_equal(*word(PAIR_BELL), 1);
	/* With a message, and only with one. */
	assert_int_equal(posted_descriptor[single->cpu][single->slot].requests[1], 0);
	assert_int_equal(send(STREAM, 1, 101), BH_EINVAL);
	assert_int_equal(*word(STREAM_BELL), 0);
	assert_int_equal(send(STREAM, 1, 100), 0);
	assert_int_equal(posted_descriptor[single->cpu][single->slot].requests[1], 1ull << (0x52 - 64));
	assert_int_equal(*word(STREAM_BELL), 1);
	assert_int_equal(send(STREAM, 1, 100), 0);
	*word(STREAM_BELL) = 0;
	assert_int_equal(send(STREAM, 1, 100), BH_EAGAIN);
	assert_int_equal(*word(STREAM_BELL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sampling, setup),
		cmocka_unit_test_setup(test_queuing, setup),
		cmocka_unit_test_setup(test_restart_empties_queues, setup),
		cmocka_unit_test_setup(test_bad_arguments, setup),
		cmocka_unit_test_setup(test_rights, setup),
		cmocka_unit_test_setup(test_calls_at_once, setup),
		cmocka_unit_test_setup(test_doorbells, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

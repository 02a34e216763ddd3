// SPDX-License-Identifier: Apache-2.0
/*
 * Hypercalls from all partitions with any registers, through real exits, against simple models of what channels and doorbells hold, and of partitions'
 * lives (life_model.c): only what the configuration allows has an effect, and that is the right one. A message is a number; who holds one finds it unchanged.
 */
#include "tests/fuzz/life_model.h"

#include <string.h>

#include "core/core.h"
#include "hypercall/abi.h"
#include "hypercall/calls.h"
#include "hypercall/ports.h"

#define QUEUE 16u /* more than any depth there */

static struct {
	uint64_t latest, held[CONFIG_PARTITIONS]; /* messages; 0: none */
	uint64_t queue[QUEUE];
	const struct port_slot *slot[CONFIG_PARTITIONS];
	uint32_t waiting;
} model[CONFIG_CHANNELS];
static uint64_t last_message;

static uint8_t *memory(uint32_t index)
{
	return (uint8_t *)(CORE_MEMORY_BASE + config.memories[index].core_at);
}

static void check_held(uint32_t channel)
{
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++)
		if (model[channel].held[p])
			fuzz_require((model[channel].slot[p]->message[0] & 0xff) == (model[channel].held[p] & 0xff) &&
			                     (model[channel].slot[p]->length < 8 ||
			                      model[channel].slot[p]->message[0] == model[channel].held[p]),
			             "a message that is held stays as it is");
}

static void sent(uint32_t p, uint64_t channel, uint64_t length, int64_t result)
{
	const struct config_channel *c = &config.channels[channel < CONFIG_CHANNELS ? channel : 0];

	if (channel >= CONFIG_CHANNELS || c->source != p || length == 0 || length > c->size) {
		fuzz_require(result == BH_EINVAL, "sending what is not one's to send is refused");
		return;
	}
	if (c->kind == CHANNEL_QUEUING && model[channel].waiting == c->slot_count - 1u) {
		fuzz_require(result == BH_EAGAIN, "a full queue says so");
		return;
	}
	fuzz_require(result == 0, "there is room");
	if (c->kind == CHANNEL_QUEUING)
		model[channel].queue[model[channel].waiting++] = last_message;
	else
		model[channel].latest = last_message;
	last_message++;
}

static void received(uint32_t p, uint64_t channel, int64_t result)
{
	const struct config_channel *c = &config.channels[channel < CONFIG_CHANNELS ? channel : 0];
	const int64_t slot = result & 0xffff;
	uint64_t message = 0;

	if (channel >= CONFIG_CHANNELS || !(c->destinations >> p & 1)) {
		fuzz_require(result == BH_EINVAL, "receiving what is another's is refused");
		return;
	}
	if (c->kind == CHANNEL_SAMPLING) {
		message = model[channel].latest;
	} else if (model[channel].waiting) {
		message = model[channel].queue[0];
		memmove(model[channel].queue, model[channel].queue + 1, --model[channel].waiting * sizeof message);
	}
	fuzz_require((result > 0) == (message != 0), "a message is there, or none");
	if (!message)
		return;
	fuzz_require(slot >= 1 && slot <= c->slot_count, "the slot exists");
	model[channel].held[p] = message;
	model[channel].slot[p] = (const void *)(memory(c->slots) + (uint64_t)slot * PORT_STRIDE(c->size));
}

/* What waited for it is gone, and what it held it does not know any more. */
void ports_model_restarted(uint32_t partition)
{
	for (uint32_t i = 0; i < CONFIG_CHANNELS; i++) {
		if (config.channels[i].kind != CHANNEL_QUEUING || !(config.channels[i].destinations >> partition & 1))
			continue;
		model[i].waiting = 0;
		model[i].held[partition] = 0;
	}
}

/* Returns 0 if it was the machine's end. */
static int one_call(struct vcpu *vcpu, struct fuzz_input *in)
{
	const uint8_t how = fuzz_byte(in);
	const uint32_t p = how % CONFIG_PARTITIONS;
	uint64_t number, channel, argument[3];
	enum seam_end end;
	int64_t result;

	if (!life_model_runs(p) || (how & 0x18) == 0x18)
		return life_model_event(vcpu, in);
	for (uint32_t i = 0; i < REG_COUNT; i++)
		vcpu->regs[i] = i % 3 == how % 3 ? fuzz_number(in) : i;
	if (how & 0x80)
		vcpu->regs[REG_RAX] = BH_PORT_SEND + fuzz_byte(in) % (BH_RING - BH_PORT_SEND + 1);
	if (how & 0x40)
		vcpu->regs[REG_RDI] = fuzz_byte(in) % (CONFIG_CHANNELS + 1u);
	if (how & 0x20)
		vcpu->regs[REG_RSI] = fuzz_byte(in) % 128;
	if ((how & 0xc0) == 0x40)
		life_model_arguments(vcpu, in);
	number = vcpu->regs[REG_RAX];
	channel = vcpu->regs[REG_RDI];
	vcpu->partition_index = (uint16_t)p;
	vcpu->partition = &config.partitions[p];
	for (uint32_t i = 0; i < CONFIG_CHANNELS; i++)
		memcpy(memory(config.channels[i].outbox), &last_message, sizeof last_message);
	memcpy(argument, (uint64_t[]){ channel, vcpu->regs[REG_RSI], vcpu->regs[REG_RDX] }, sizeof argument);
	vcpu->state = VCPU_RUNNING;
	end = seam_exit(vcpu, EXIT_REASON_VMCALL, 0);
	fuzz_require(end == END_RESUME || (end == END_RETURNED && seam_skipped()),
	             "a call returns, or ends the caller");
	result = (int64_t)vcpu->regs[REG_RAX];
	if (number >= BH_CALL_COUNT || !(config.partitions[p].hypercalls >> number & 1))
		fuzz_require(end == END_RETURNED && result == BH_ENOCALL,
		             "a call without the right to it does nothing");
	else if (number == BH_STOP || (number >= BH_PARTITION_STATUS && number <= BH_EVENTS))
		return life_model_called(vcpu, p, number, argument, end == END_RESUME, result);
	else if (number == BH_AUDIT)
		fuzz_require(channel > UINT32_MAX ? result == BH_EINVAL : result == 0 || result == BH_EAGAIN,
		             "a note is taken, or there were too many");
	else if (number == BH_PORT_SEND)
		sent(p, channel, vcpu->regs[REG_RSI], result);
	else if (number == BH_PORT_RECEIVE)
		received(p, channel, result);
	else if (number == BH_RING)
		fuzz_require((result == 0) ==
		                     (channel < CONFIG_DOORBELLS && config.doorbells[channel].sources >> p & 1),
		             "only those that may ring do");
	for (uint32_t i = 0; i < CONFIG_CHANNELS; i++)
		check_held(i);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vcpu *vcpu;
	struct fuzz_input in = { data, size };

	if (!vcpu)
		vcpu = seam_start(&seam_models[0], 0);
	ports_init();
	memset(model, 0, sizeof model);
	last_message = 0x1234567800000001;
	life_model_begin(vcpu);
	while (in.left && one_call(vcpu, &in))
		;
	return 0;
}

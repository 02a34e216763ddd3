// SPDX-License-Identifier: Apache-2.0
/* The validator's part for channels and doorbells: see validate.h. */
#include "validate.h"
#include "../hypercall/ports.h"

#include <stdbool.h>

/* CPUs of a partition; a companion has those of its master. */
static uint64_t cpus_of(const struct config *c, unsigned partition)
{
	const struct config_partition *p = &c->partitions[partition];
	uint64_t cpus = 0;

	for (unsigned i = 0; p->vcpu_count == 0 && i < c->partition_count; i++)
		if (c->partitions[i].companion == partition)
			p = &c->partitions[i];
	for (unsigned i = 0; i < p->vcpu_count; i++)
		cpus |= 1ull << p->vcpus[i].cpu;
	return cpus;
}

static uint64_t cpus_of_all(const struct config *c, uint64_t partitions)
{
	uint64_t cpus = 0;

	for (unsigned i = 0; i < c->partition_count; i++)
		cpus |= (partitions >> i & 1) != 0 ? cpus_of(c, i) : 0;
	return cpus;
}

static unsigned count_bits(uint64_t bits)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 64; i++)
		count += (unsigned)(bits >> i & 1);
	return count;
}

/* Only partitions that exist. */
static bool partitions_valid(const struct config *c, uint64_t partitions)
{
	return c->partition_count == CONFIG_MAX_PARTITIONS || partitions >> c->partition_count == 0;
}

/* The core sees `size` bytes of the memory, with these rights and no more, on all those CPUs and on no other. */
static bool core_sees(const struct config *c, unsigned memory, uint64_t size, unsigned rights, uint64_t cpus)
{
	const struct config_memory *m = &c->memories[memory];

	return m->size >= size && m->core_rights == rights && m->core_cpus == cpus;
}

static bool is_mapped(const struct config *c, unsigned partition, unsigned memory)
{
	const struct config_partition *p = &c->partitions[partition];

	for (unsigned i = 0; i < p->map_count; i++)
		if (p->maps[i].memory == memory)
			return true;
	return false;
}

/* Its slots are mapped by its destinations and nobody else. */
static bool slots_mapped(const struct config *c, const struct config_channel *x)
{
	for (unsigned i = 0; i < c->partition_count; i++)
		if (is_mapped(c, i, x->slots) != ((x->destinations >> i & 1) != 0))
			return false;
	return true;
}

static enum config_rule check_channel(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_channel *x = &c->channels[index];
	const unsigned readers = count_bits(x->destinations);
	const bool sampling = x->kind == CHANNEL_SAMPLING;

	if (x->kind >= CHANNEL_KIND_COUNT || x->size == 0 || x->size > CONFIG_MAX_MESSAGE || readers == 0 ||
	    readers > (sampling ? CONFIG_MAX_READERS : 1) || (!sampling && x->refresh != 0) ||
	    (sampling ? x->slot_count != readers + 2 :
	                x->slot_count < 2 || x->slot_count > CONFIG_MAX_SLOTS_IN_CHANNEL))
		return config_fault_at(fault, RULE_CHANNEL, CONFIG_NONE, index, CONFIG_NONE);
	if (x->source >= c->partition_count || !partitions_valid(c, x->destinations) ||
	    (x->destinations >> x->source & 1) != 0)
		return config_fault_at(fault, RULE_CHANNEL_ENDS, CONFIG_NONE, index, CONFIG_NONE);
	if (x->slots >= c->memory_count || x->outbox >= c->memory_count ||
	    c->memories[x->slots].owner != CONFIG_CHANNEL || c->memories[x->outbox].owner != x->source ||
	    !is_mapped(c, x->source, x->outbox) || !slots_mapped(c, x) ||
	    !core_sees(c, x->slots, (x->slot_count + 1u) * PORT_STRIDE(x->size), RIGHT_READ | RIGHT_WRITE,
	               cpus_of(c, x->source) | cpus_of_all(c, x->destinations)) ||
	    !core_sees(c, x->outbox, (x->size + 7u) & ~7u, RIGHT_READ, cpus_of(c, x->source)))
		return config_fault_at(fault, RULE_CHANNEL_MEMORY, CONFIG_NONE, index, CONFIG_NONE);
	for (unsigned i = 0; i < index; i++)
		if (c->channels[i].slots == x->slots || c->channels[i].outbox == x->outbox)
			return config_fault_at(fault, RULE_CHANNEL_MEMORY, CONFIG_NONE, index, i);
	return RULE_OK;
}

/* At most one a destination: sending rings them all. */
static enum config_rule check_channel_doorbells(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_channel *x = &c->channels[index];
	uint64_t rung = 0;

	for (unsigned i = 0; i < CONFIG_MAX_DOORBELLS; i++) {
		const struct config_doorbell *d = &c->doorbells[i];
		if ((x->doorbells >> i & 1) == 0)
			continue;
		if (i >= c->doorbell_count || (x->destinations >> d->partition & 1) == 0 ||
		    (rung >> d->partition & 1) != 0)
			return config_fault_at(fault, RULE_DOORBELL_CHANNEL, CONFIG_NONE, i, index);
		rung |= 1ull << d->partition;
	}
	return RULE_OK;
}

static enum config_rule check_doorbell(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_doorbell *d = &c->doorbells[index];
	unsigned owner = d->partition;

	if (d->partition >= c->partition_count || d->vcpu >= c->partitions[d->partition].vcpu_count ||
	    !partitions_valid(c, d->sources) || d->bit >= 64 || (d->vector < 32 && d->vector != 0))
		return config_fault_at(fault, RULE_DOORBELL, CONFIG_NONE, index, CONFIG_NONE);
	if (d->vector == 0) /* its companion is called: the word is that one's */
		owner = c->partitions[d->partition].companion;
	if ((d->vector == 0 && (owner == 0 || d->vcpu != 0)) || d->memory >= c->memory_count ||
	    c->memories[d->memory].owner != owner || !is_mapped(c, owner, d->memory))
		return config_fault_at(fault, RULE_DOORBELL, CONFIG_NONE, index, CONFIG_NONE);
	for (unsigned i = 0; i < index; i++) {
		const struct config_doorbell *e = &c->doorbells[i];
		if (e->memory == d->memory ? e->bit == d->bit : c->memories[e->memory].owner == owner)
			return config_fault_at(fault, RULE_DOORBELL, CONFIG_NONE, index, i);
	}
	return RULE_OK;
}

/* All that ring one of a partition's doorbells reach its word, and nobody else does. */
static enum config_rule check_doorbell_word(const struct config *c, unsigned index, struct config_fault *fault)
{
	const struct config_doorbell *d = &c->doorbells[index];
	uint64_t ringers = 0;

	for (unsigned i = 0; i < c->doorbell_count; i++) {
		if (c->doorbells[i].memory != d->memory)
			continue;
		ringers |= c->doorbells[i].sources;
		for (unsigned j = 0; j < c->channel_count; j++)
			if ((c->channels[j].doorbells >> i & 1) != 0)
				ringers |= 1ull << c->channels[j].source;
	}
	if (!core_sees(c, d->memory, sizeof(uint64_t), RIGHT_READ | RIGHT_WRITE, cpus_of_all(c, ringers)))
		return config_fault_at(fault, RULE_DOORBELL, CONFIG_NONE, index, CONFIG_NONE);
	return RULE_OK;
}

/* The core sees no memory of a partition but for these. */
static enum config_rule check_core_memories(const struct config *c, struct config_fault *fault)
{
	for (unsigned m = 0; m < c->memory_count; m++) {
		bool used = c->memories[m].core_cpus == 0;
		for (unsigned i = 0; i < c->channel_count; i++)
			used = used || c->channels[i].slots == m || c->channels[i].outbox == m;
		for (unsigned i = 0; i < c->doorbell_count; i++)
			used = used || c->doorbells[i].memory == m;
		if (!used)
			return config_fault_at(fault, RULE_MEMORY_OWNER, CONFIG_NONE, m, CONFIG_NONE);
	}
	return RULE_OK;
}

enum config_rule config_validate_ports(const struct config *c, struct config_fault *fault)
{
	if (c->channel_count > CONFIG_MAX_CHANNELS || c->doorbell_count > CONFIG_MAX_DOORBELLS)
		return config_fault_at(fault, RULE_COUNT, CONFIG_NONE, CONFIG_NONE, CONFIG_NONE);
	for (unsigned i = 0; i < c->channel_count; i++)
		if (check_channel(c, i, fault) != RULE_OK)
			return fault->rule;
	for (unsigned i = 0; i < c->doorbell_count; i++)
		if (check_doorbell(c, i, fault) != RULE_OK)
			return fault->rule;
	for (unsigned i = 0; i < c->channel_count; i++)
		if (check_channel_doorbells(c, i, fault) != RULE_OK)
			return fault->rule;
	for (unsigned i = 0; i < c->doorbell_count; i++)
		if (check_doorbell_word(c, i, fault) != RULE_OK)
			return fault->rule;
	return check_core_memories(c, fault);
}

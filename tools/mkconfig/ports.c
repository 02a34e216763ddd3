// SPDX-License-Identifier: Apache-2.0
/* Channels and doorbells: their tables, the memories that they need, and where partitions find these. */
#include "mkconfig.h"
#include "../../guest/kit/info.h"
#include "../../hypercall/abi.h"
#include "../../hypercall/ports.h"

#include <inttypes.h>
#include <string.h>

#define PORTS_GPA 0xf8000000ull /* in each partition, from here on: above its memory, below the APICs */

static const char *const channel_kinds[CHANNEL_KIND_COUNT] = { "sampling", "queuing" };
static const char *const channel_constants[CHANNEL_KIND_COUNT] = { "CHANNEL_SAMPLING", "CHANNEL_QUEUING" };

unsigned ports_memories(const struct in_file *in)
{
	return 2 * in->channels_count + in->partitions_count;
}

unsigned find_partition(const struct plan *plan, unsigned line, const char *what, const char *name)
{
	for (unsigned i = 0; i < plan->config.partition_count; i++)
		if (strcmp(plan->partitions[i].name, name) == 0)
			return i;
	fail(line, "%s: no partition is named '%s'", what, name);
}

/* Of a companion: its master's. */
static uint64_t cpus_of(const struct plan *plan, unsigned partition)
{
	const struct config_partition *p = &plan->partitions[partition];
	uint64_t cpus = 0;

	if (p->vcpu_count == 0)
		p = &plan->partitions[plan->extra[partition].in->master];
	for (unsigned i = 0; i < p->vcpu_count; i++)
		cpus |= 1ull << p->vcpus[i].cpu;
	return cpus;
}

/* A memory that the core sees, too, on CPUs that are still to be told. */
static uint16_t add_memory(struct plan *plan, unsigned line, const char *name, uint64_t bytes, uint16_t owner,
                           unsigned core_rights)
{
	const uint64_t size = (bytes + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
	struct config_memory *m;

	if (size > CORE_MEMORY_SIZE - plan->core_used)
		fail(line, "%s: no room is left for it: all channels, doorbells and the trace of a CPU have %s", name,
		     size_text(CORE_MEMORY_SIZE));
	m = plan_memory_add(plan, name, size, owner);
	m->core_at = plan->core_used;
	m->core_rights = (uint8_t)core_rights;
	plan->core_used += (uint32_t)size;
	return (uint16_t)(m - plan->memories);
}

/* Behind the partition's other maps. */
static void add_map(struct plan *plan, unsigned line, unsigned partition, uint16_t memory, unsigned rights)
{
	struct config_partition *p = &plan->partitions[partition];
	struct config_map *maps = allocate((p->map_count + 1u) * sizeof *maps);
	uint64_t gpa = PORTS_GPA;

	if (p->map_count == CONFIG_MAX_MAPS)
		fail(line, "'%s' has more than %u maps with this one", p->name, CONFIG_MAX_MAPS);
	memcpy(maps, p->maps, p->map_count * sizeof *maps);
	for (unsigned i = 0; i < p->map_count; i++)
		if (maps[i].gpa >= gpa && maps[i].gpa + maps[i].size <= PORTS_GPA + 4 * CORE_MEMORY_SIZE)
			gpa = maps[i].gpa + maps[i].size;
	maps[p->map_count] = (struct config_map){
		.memory = memory, .rights = (uint8_t)rights, .gpa = gpa, .size = plan->memories[memory].size
	};
	plan->extra[partition].maps = maps;
	p->maps = maps;
	p->map_count++;
}

static uint64_t destinations(const struct plan *plan, unsigned channel)
{
	const struct in_channel *in = &plan->in->channels[channel];
	uint64_t all = 0;

	for (unsigned i = 0; i < in->to_count; i++) {
		unsigned line = line_of("channels/%u/to/%u", channel, i);
		uint64_t bit = 1ull << find_partition(plan, line, "to", in->to[i]);
		if ((all & bit) != 0)
			fail(line, "to: '%s' stands twice", in->to[i]);
		all |= bit;
	}
	return all;
}

static void build_channel(struct plan *plan, unsigned index)
{
	const struct in_channel *in = &plan->in->channels[index];
	struct config_channel *x = &plan->channels[index];
	unsigned line = line_of("channels/%u/name", index);
	bool queuing;

	x->kind = (uint8_t)parse_name(line_of("channels/%u/kind", index), "kind", in->kind, channel_kinds,
	                              CHANNEL_KIND_COUNT);
	queuing = x->kind == CHANNEL_QUEUING;
	x->source = (uint16_t)find_partition(plan, line_of("channels/%u/from", index), "from", in->from);
	x->destinations = destinations(plan, index);
	if ((x->destinations >> x->source & 1) != 0)
		fail(line_of("channels/%u/to", index), "to: '%s' is its source, too", in->from);
	if (in->to_count > (queuing ? 1 : CONFIG_MAX_READERS))
		fail(line_of("channels/%u/to", index), "to: a %s channel has at most %u destinations", in->kind,
		     queuing ? 1 : CONFIG_MAX_READERS);
	x->size = (uint16_t)parse_number(line_of("channels/%u/size", index), "size", in->size, 1, CONFIG_MAX_MESSAGE);
	if ((in->depth != NULL) != queuing)
		fail(line_of("channels/%u/depth", index), "depth: %s",
		     queuing ? "a queuing channel needs it: how many messages can wait" :
		               "only a queuing channel has it");
	if (in->refresh != NULL && queuing)
		fail(line_of("channels/%u/refresh", index), "refresh: only a sampling channel has it");
	if (in->refresh != NULL)
		x->refresh = parse_time(line_of("channels/%u/refresh", index), "refresh", in->refresh, 1,
		                        3600 * SECOND);
	x->slot_count = (uint16_t)(queuing ? 1 + parse_number(line_of("channels/%u/depth", index), "depth", in->depth,
	                                                      1, CONFIG_MAX_SLOTS_IN_CHANNEL - 1) :
	                                     2 + in->to_count);
	if (strlen(in->name) > CONFIG_NAME_MAX - 4)
		fail(line, "name: '%s' is longer than %u characters", in->name, CONFIG_NAME_MAX - 4);
	x->slots = add_memory(plan, line, in->name, (x->slot_count + 1u) * PORT_STRIDE(x->size), CONFIG_CHANNEL,
	                      RIGHT_READ | RIGHT_WRITE);
	x->outbox = add_memory(plan, line, text("%s-out", in->name), x->size, x->source, RIGHT_READ);
	plan->memories[x->outbox].core_cpus = cpus_of(plan, x->source);
	plan->memories[x->slots].core_cpus = cpus_of(plan, x->source);
	add_map(plan, line, x->source, x->outbox, RIGHT_READ | RIGHT_WRITE);
	plan->partitions[x->source].hypercalls |= 1ull << BH_PORT_SEND | 1ull << BH_PORT_STATUS;
	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		if ((x->destinations >> i & 1) == 0)
			continue;
		plan->memories[x->slots].core_cpus |= cpus_of(plan, i);
		plan->partitions[i].hypercalls |= 1ull << BH_PORT_RECEIVE | 1ull << BH_PORT_STATUS;
		add_map(plan, line, i, x->slots, RIGHT_READ);
	}
}

/* Who rings it: those that it names, or a channel with each message. */
static void build_ringers(struct plan *plan, unsigned index)
{
	const struct in_doorbell *in = &plan->in->doorbells[index];
	struct config_doorbell *x = &plan->doorbells[index];
	unsigned line = line_of("doorbells/%u/channel", index), channel = 0;

	if (in->from_count == 0 && in->channel == NULL)
		fail(line_of("doorbells/%u", index), "doorbell '%s': give 'from', 'channel' or both", in->name);
	for (unsigned i = 0; i < in->from_count; i++) {
		unsigned from = find_partition(plan, line_of("doorbells/%u/from/%u", index, i), "from", in->from[i]);
		x->sources |= 1ull << from;
		plan->partitions[from].hypercalls |= 1ull << BH_RING;
		plan->memories[x->memory].core_cpus |= cpus_of(plan, from);
	}
	if (in->channel == NULL)
		return;
	while (channel < plan->in->channels_count && strcmp(plan->in->channels[channel].name, in->channel) != 0)
		channel++;
	if (channel == plan->in->channels_count)
		fail(line, "channel: none is named '%s'", in->channel);
	plan->channels[channel].doorbells |= 1ull << index;
	plan->memories[x->memory].core_cpus |= cpus_of(plan, plan->channels[channel].source);
}

static void build_doorbell(struct plan *plan, unsigned index)
{
	const struct in_doorbell *in = &plan->in->doorbells[index];
	struct config_doorbell *x = &plan->doorbells[index];
	unsigned line = line_of("doorbells/%u/to", index), owner;

	x->partition = (uint16_t)find_partition(plan, line, "to", in->to);
	owner = x->partition;
	if (plan->partitions[owner].vcpu_count == 0) {
		if (in->vector != NULL)
			fail(line_of("doorbells/%u/vector", index), "vector: '%s' is a companion, which is called",
			     in->to);
		x->partition = (uint16_t)plan->extra[owner].in->master;
	} else if (in->vector == NULL) {
		fail(line_of("doorbells/%u", index), "doorbell '%s': no vector", in->name);
	} else {
		x->vector = (uint8_t)parse_number(line_of("doorbells/%u/vector", index), "vector", in->vector, 32, 255);
	}
	if (in->vcpu != NULL)
		x->vcpu = (uint16_t)parse_number(line_of("doorbells/%u/vcpu", index), "vcpu", in->vcpu, 0,
		                                 plan->partitions[x->partition].vcpu_count - 1u);
	for (unsigned i = 0; i < index; i++) {
		if (strcmp(plan->in->doorbells[i].name, in->name) == 0)
			fail(line_of("doorbells/%u/name", index), "name: '%s' is taken on line %u", in->name,
			     line_of("doorbells/%u/name", i));
		if (plan->memories[plan->doorbells[i].memory].owner != owner)
			continue;
		x->memory = plan->doorbells[i].memory;
		x->bit++;
	}
	if (x->memory == 0) { /* that is partition 0's own */
		x->memory = add_memory(plan, line, text("bells-%u", owner), sizeof(uint64_t), (uint16_t)owner,
		                       RIGHT_READ | RIGHT_WRITE);
		add_map(plan, line, owner, x->memory, RIGHT_READ | RIGHT_WRITE);
	}
	build_ringers(plan, index);
}

void ports_build(struct plan *plan)
{
	const struct in_file *in = plan->in;

	if (in->channels_count > CONFIG_MAX_CHANNELS)
		fail(line_of("channels"), "channels: the limit is %u", CONFIG_MAX_CHANNELS);
	if (in->doorbells_count > CONFIG_MAX_DOORBELLS)
		fail(line_of("doorbells"), "doorbells: the limit is %u", CONFIG_MAX_DOORBELLS);
	plan->channels = allocate(in->channels_count * sizeof *plan->channels);
	plan->doorbells = allocate(in->doorbells_count * sizeof *plan->doorbells);
	for (unsigned i = 0; i < in->channels_count; i++)
		build_channel(plan, i);
	for (unsigned i = 0; i < in->doorbells_count; i++)
		build_doorbell(plan, i);
	plan->config.channels = plan->channels;
	plan->config.doorbells = plan->doorbells;
	plan->config.channel_count = (uint16_t)in->channels_count;
	plan->config.doorbell_count = (uint16_t)in->doorbells_count;
}

unsigned ports_fault_line(const struct plan *plan, const struct config_fault *f)
{
	(void)plan;
	return f->rule == RULE_DOORBELL || f->rule == RULE_DOORBELL_CHANNEL ? line_of("doorbells/%u", f->index) :
	                                                                      line_of("channels/%u", f->index);
}

const char *ports_fault_detail(const struct plan *plan, const struct config_fault *f)
{
	if (f->rule == RULE_DOORBELL_CHANNEL)
		return text("'%s' and '%s'", plan->in->doorbells[f->index].name, plan->in->channels[f->other].name);
	return text("'%s'",
	            f->rule == RULE_DOORBELL ? plan->in->doorbells[f->index].name : plan->in->channels[f->index].name);
}

static uint64_t gpa_of(const struct config_partition *p, unsigned memory)
{
	for (unsigned i = 0; i < p->map_count; i++)
		if (p->maps[i].memory == memory)
			return p->maps[i].gpa;
	return 0;
}

static void port_info(struct kit_info *info, const struct plan *plan, unsigned partition, unsigned channel)
{
	const struct config_channel *x = &plan->channels[channel];
	bool source = x->source == partition;

	if (!source && (x->destinations >> partition & 1) == 0)
		return;
	if (info->port_count == KIT_INFO_PORTS)
		fail(line_of("channels/%u", channel), "'%s': a kit partition has room for %u channels", info->name,
		     KIT_INFO_PORTS);
	struct kit_port *port = &info->port[info->port_count++];
	*port = (struct kit_port){ .gpa = gpa_of(&plan->partitions[partition], source ? x->outbox : x->slots),
		                   .number = (uint16_t)channel,
		                   .size = x->size,
		                   .slots = x->slot_count,
		                   .queuing = x->kind == CHANNEL_QUEUING,
		                   .source = source };
	snprintf(port->name, sizeof port->name, "%s", plan->in->channels[channel].name);
}

static void doorbell_info(struct kit_info *info, const struct plan *plan, unsigned partition, unsigned doorbell)
{
	const struct config_doorbell *x = &plan->doorbells[doorbell];
	bool rings = (x->sources >> partition & 1) != 0, here = plan->memories[x->memory].owner == partition;

	if (!rings && !here)
		return;
	if (info->doorbell_count == KIT_INFO_DOORBELLS)
		fail(line_of("doorbells/%u", doorbell), "'%s': a kit partition has room for %u doorbells", info->name,
		     KIT_INFO_DOORBELLS);
	struct kit_doorbell *bell = &info->doorbell[info->doorbell_count++];
	*bell = (struct kit_doorbell){ .gpa = here ? gpa_of(&plan->partitions[partition], x->memory) : 0,
		                       .number = (uint16_t)(rings ? doorbell : KIT_NO_NUMBER),
		                       .vector = x->vector,
		                       .bit = x->bit,
		                       .vcpu = x->vcpu };
	snprintf(bell->name, sizeof bell->name, "%s", plan->in->doorbells[doorbell].name);
}

void ports_kit_info(struct kit_info *info, const struct plan *plan, unsigned partition)
{
	for (unsigned i = 0; i < plan->config.channel_count; i++)
		port_info(info, plan, partition, i);
	for (unsigned i = 0; i < plan->config.doorbell_count; i++)
		doorbell_info(info, plan, partition, i);
}

void emit_ports_tables(FILE *out, const struct plan *plan)
{
	const struct config *c = &plan->config;

	if (c->channel_count > 0)
		fprintf(out, "\nstatic const struct config_channel channels[] = {\n");
	for (unsigned i = 0; i < c->channel_count; i++) {
		const struct config_channel *x = &c->channels[i];
		fprintf(out,
		        "\t{.kind = %s, .source = %u, .destinations = 0x%" PRIx64
		        ", .size = %u, .slot_count = %u, .slots = %u, "
		        ".outbox = %u, .refresh = %u, .doorbells = 0x%" PRIx64 "}, /* %s */\n",
		        channel_constants[x->kind], x->source, x->destinations, x->size, x->slot_count, x->slots,
		        x->outbox, x->refresh, x->doorbells, plan->in->channels[i].name);
	}
	if (c->channel_count > 0)
		fprintf(out, "};\n");
	if (c->doorbell_count > 0)
		fprintf(out, "\nstatic const struct config_doorbell doorbells[] = {\n");
	for (unsigned i = 0; i < c->doorbell_count; i++) {
		const struct config_doorbell *x = &c->doorbells[i];
		fprintf(out,
		        "\t{.sources = 0x%" PRIx64
		        ", .partition = %u, .vcpu = %u, .memory = %u, .vector = 0x%x, .bit = %u}, /* %s */\n",
		        x->sources, x->partition, x->vcpu, x->memory, x->vector, x->bit, plan->in->doorbells[i].name);
	}
	if (c->doorbell_count > 0)
		fprintf(out, "};\n");
}

void emit_ports_sizes(FILE *out, const struct plan *plan)
{
	unsigned readers = 0;

	for (unsigned i = 0; i < plan->config.channel_count; i++)
		if (plan->in->channels[i].to_count > readers)
			readers = plan->in->channels[i].to_count;
	fprintf(out,
	        "#define CONFIG_CHANNELS %u\n#define CONFIG_READERS_MAX %u /* of one channel */\n#define CONFIG_DOORBELLS %u\n",
	        plan->config.channel_count, readers, plan->config.doorbell_count);
}

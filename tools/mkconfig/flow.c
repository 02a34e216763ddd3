// SPDX-License-Identifier: Apache-2.0
/*
 * Who can tell whom something: the graph of all flows that the configuration allows, and the proof that some do not exist.
 *
 * An arrow is there if what one partition does can change what another reads by a mechanism of the core. What hardware shares beneath it
 * (caches, memory bus) is not in the graph.
 */
#include "mkconfig.h"
#include "../../hypercall/abi.h"

#include <string.h>

struct flow {
	unsigned from, to;
	const char *by;
	const char *style; /* for graphviz */
};

static struct flow *flows;
static unsigned flow_count;

static void add(unsigned from, unsigned to, const char *by, const char *style)
{
	if (from == to)
		return;
	for (unsigned i = 0; i < flow_count; i++)
		if (flows[i].from == from && flows[i].to == to && strcmp(flows[i].by, by) == 0)
			return;
	flows = grow(flows, flow_count, sizeof *flows);
	flows[flow_count++] = (struct flow){ .from = from, .to = to, .by = by, .style = style };
}

/* The sender sees whether there is room: the receiver of a queue can tell it something by that. */
static void add_channels(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->config.channel_count; i++) {
		const struct config_channel *x = &plan->channels[i];
		const char *name = plan->in->channels[i].name;
		for (unsigned p = 0; p < plan->config.partition_count; p++) {
			if ((x->destinations >> p & 1) == 0)
				continue;
			add(x->source, p,
			    text("%s channel %s", x->kind == CHANNEL_QUEUING ? "queuing" : "sampling", name),
			    "penwidth=2");
			if (x->kind == CHANNEL_QUEUING)
				add(p, x->source, text("room in %s", name), "style=dotted");
		}
	}
}

/* So does who rings: his call shows nothing, but the receiver owns the word. */
static void add_doorbells(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->config.doorbell_count; i++)
		for (unsigned p = 0; p < plan->config.partition_count; p++)
			if ((plan->doorbells[i].sources >> p & 1) != 0)
				add(p, plan->doorbells[i].partition, text("doorbell %s", plan->in->doorbells[i].name),
				    "style=dashed");
}

static bool can(const struct config_partition *p, unsigned memory, unsigned rights)
{
	for (unsigned i = 0; i < p->map_count; i++)
		if (p->maps[i].memory == memory && (p->maps[i].rights & rights) != 0)
			return true;
	return false;
}

/* Trace, audit and counters tell what all partitions do. */
static void add_memories(const struct plan *plan)
{
	for (unsigned m = 0; m < plan->config.memory_count; m++) {
		const struct config_memory *memory = &plan->memories[m];
		bool core = memory->owner == CONFIG_CORE;
		if (memory->owner != CONFIG_SHARED && !core)
			continue;
		for (unsigned a = 0; a < plan->config.partition_count; a++)
			for (unsigned b = 0; b < plan->config.partition_count; b++)
				if ((core || can(&plan->partitions[a], m, RIGHT_WRITE)) &&
				    can(&plan->partitions[b], m, RIGHT_READ))
					add(a, b, text("%s %s", core ? "the core's" : "memory", memory->name),
					    core ? "style=dotted" : "color=\"#8b8b8b\"");
	}
}

static bool has_action(const struct config_partition *p, enum error_action action)
{
	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++)
		if (p->action[i] == action)
			return true;
	return false;
}

/* Who watches sees each change in the life of another, and errors call him; who controls decides whether it runs, which it sees. So does a standby that an
 * error starts, and everybody when it changes the schedule. */
static void add_lives(const struct plan *plan, unsigned a, unsigned b)
{
	const struct config_partition *p = &plan->partitions[a], *other = &plan->partitions[b];

	if (p->health == NULL || other->health == NULL)
		return;
	if ((p->health->watches >> b & 1) != 0)
		add(b, a, "state", "style=dotted");
	if ((p->health->controls >> b & 1) != 0)
		add(a, b, "control", "style=bold");
	if (p->health->standby == b && has_action(p, ACTION_FAILOVER))
		add(a, b, "fail-over", "style=dotted");
	if (has_action(p, ACTION_SCHEDULE))
		add(a, b, "schedule", "style=dotted");
}

static void add_rights(const struct plan *plan)
{
	for (unsigned a = 0; a < plan->config.partition_count; a++) {
		const struct config_partition *p = &plan->partitions[a];
		if (p->companion != 0) {
			add(a, p->companion, "companion", "style=bold");
			add(p->companion, a, "companion", "style=bold");
		}
		for (unsigned b = 0; b < plan->config.partition_count; b++) {
			if ((p->hypercalls >> BH_SET_SCHEDULE & 1) != 0)
				add(a, b, "schedule", "style=dotted");
			add_lives(plan, a, b);
		}
	}
}

/* A shortest way from `from` to `to` that does not touch `without`: its text, or NULL. */
static const char *way(const struct plan *plan, unsigned from, unsigned to, unsigned without)
{
	unsigned by[CONFIG_MAX_PARTITIONS], queue[CONFIG_MAX_PARTITIONS], head = 0, tail = 0;
	bool seen[CONFIG_MAX_PARTITIONS] = { false };
	const char *path = "";

	seen[from] = true;
	for (queue[tail++] = from; head < tail && !seen[to]; head++)
		for (unsigned i = 0; i < flow_count; i++) {
			const struct flow *f = &flows[i];
			if (f->from != queue[head] || seen[f->to] || f->to == without)
				continue;
			seen[f->to] = true;
			by[f->to] = i;
			queue[tail++] = f->to;
		}
	if (!seen[to])
		return NULL;
	for (unsigned at = to; at != from; at = flows[by[at]].from)
		path = text(" -> %s by %s%s", plan->partitions[at].name, flows[by[at]].by, path);
	return text("%s%s", plan->partitions[from].name, path);
}

/* `only_through: nobody` says that there is no way at all. */
static void check_flow(const struct plan *plan, unsigned index)
{
	const struct in_flow *in = &plan->in->flows[index];
	unsigned line = line_of("flows/%u/only_through", index), filter = CONFIG_NONE;
	unsigned from = find_partition(plan, line_of("flows/%u/from", index), "from", in->from);
	unsigned to = find_partition(plan, line_of("flows/%u/to", index), "to", in->to);
	const char *path;

	if (strcmp(in->only_through, "nobody") != 0)
		filter = find_partition(plan, line, "only_through", in->only_through);
	if (from == to || from == filter || to == filter)
		fail(line_of("flows/%u", index), "flow: three different partitions are needed");
	path = way(plan, from, to, filter);
	if (path != NULL)
		fail(line, "only_through: %s, but there is another way: %s", in->only_through, path);
	if (filter != CONFIG_NONE && way(plan, from, to, CONFIG_NONE) == NULL)
		fail(line, "only_through: there is no way from '%s' to '%s' at all; then say nobody", in->from, in->to);
}

void flows_check(const struct plan *plan)
{
	add_channels(plan);
	add_doorbells(plan);
	add_memories(plan);
	add_rights(plan);
	for (unsigned i = 0; i < plan->in->flows_count; i++)
		check_flow(plan, i);
}

void emit_flows(FILE *out, const struct plan *plan)
{
	fprintf(out, "\nFLOWS; what is not listed does not exist\n");
	for (unsigned i = 0; i < flow_count; i++)
		fprintf(out, "  %s -> %s by %s\n", plan->partitions[flows[i].from].name,
		        plan->partitions[flows[i].to].name, flows[i].by);
	if (flow_count == 0)
		fprintf(out, "  none\n");
	for (unsigned i = 0; i < plan->in->flows_count; i++)
		fprintf(out, "  proved: from %s to %s only through %s\n", plan->in->flows[i].from,
		        plan->in->flows[i].to, plan->in->flows[i].only_through);
}

/* Is it the filter of a proved flow? */
static bool is_filter(const struct plan *plan, const char *name)
{
	for (unsigned i = 0; i < plan->in->flows_count; i++)
		if (strcmp(plan->in->flows[i].only_through, name) == 0)
			return true;
	return false;
}

void emit_flow_graph(FILE *out, const struct plan *plan)
{
	fprintf(out,
	        "digraph flows {\n\tlabel=\"Flows of '%s'\";\n\trankdir=LR;\n"
	        "\tnode [shape=box, style=\"rounded,filled\", fillcolor=\"#eef1f5\", fontname=\"sans-serif\"];\n"
	        "\tedge [fontname=\"sans-serif\", fontsize=10];\n",
	        plan->config.name);
	for (unsigned i = 0; i < plan->config.partition_count; i++)
		fprintf(out, "\t\"%s\"%s;\n", plan->partitions[i].name,
		        is_filter(plan, plan->partitions[i].name) ? " [fillcolor=\"#f5d9a8\", shape=octagon]" : "");
	for (unsigned i = 0; i < flow_count; i++)
		fprintf(out, "\t\"%s\" -> \"%s\" [label=\"%s\", %s];\n", plan->partitions[flows[i].from].name,
		        plan->partitions[flows[i].to].name, flows[i].by, flows[i].style);
	fprintf(out, "}\n");
}

// SPDX-License-Identifier: Apache-2.0
/* The tables as C: config.c to compile, config_sizes.h to size arrays with. Written to be read. */
#include "mkconfig.h"

#include "../../core/sha256.h"

#include <inttypes.h>
#include <string.h>

static const char *const kind_constants[MSR_KIND_COUNT] = {
	[MSR_DENY] = "MSR_DENY",         [MSR_PASS] = "MSR_PASS",         [MSR_VALUE] = "MSR_VALUE",
	[MSR_SHADOW] = "MSR_SHADOW",     [MSR_REAL] = "MSR_REAL",         [MSR_APIC_BASE] = "MSR_APIC_BASE",
	[MSR_APIC_ID] = "MSR_APIC_ID",   [MSR_APIC_LDR] = "MSR_APIC_LDR", [MSR_APIC_ICR] = "MSR_APIC_ICR",
	[MSR_APIC_SVR] = "MSR_APIC_SVR", [MSR_XSS] = "MSR_XSS",
};
static const char *const port_constants[PORT_KIND_COUNT] = {
	[PORT_NONE] = "PORT_NONE",   [PORT_PASS] = "PORT_PASS",   [PORT_UART] = "PORT_UART",
	[PORT_SLEEP] = "PORT_SLEEP", [PORT_RESET] = "PORT_RESET", [PORT_COMPANION] = "PORT_COMPANION",
	[PORT_PCI] = "PORT_PCI",
};
static const char *const error_constants[ERROR_CLASS_COUNT] = {
	[ERROR_TRIPLE_FAULT] = "ERROR_TRIPLE_FAULT",
	[ERROR_MEMORY] = "ERROR_MEMORY",
	[ERROR_MSR] = "ERROR_MSR",
	[ERROR_PORT] = "ERROR_PORT",
	[ERROR_INSTRUCTION] = "ERROR_INSTRUCTION",
	[ERROR_INTERRUPT] = "ERROR_INTERRUPT",
	[ERROR_EXIT] = "ERROR_EXIT",
	[ERROR_PAYLOAD] = "ERROR_PAYLOAD",
	[ERROR_COMPANION] = "ERROR_COMPANION",
	[ERROR_OVERRUN] = "ERROR_OVERRUN",
	[ERROR_SILENCE] = "ERROR_SILENCE",
	[ERROR_APPLICATION] = "ERROR_APPLICATION",
	[ERROR_SEAL] = "ERROR_SEAL",
	[ERROR_WINDOW] = "ERROR_WINDOW",
};
static const char *const action_constants[ACTION_COUNT] = {
	[ACTION_IGNORE] = "ACTION_IGNORE",
	[ACTION_INJECT] = "ACTION_INJECT",
	[ACTION_RECORD] = "ACTION_RECORD",
	[ACTION_MONITOR] = "ACTION_MONITOR",
	[ACTION_SCHEDULE] = "ACTION_SCHEDULE",
	[ACTION_RESTART] = "ACTION_RESTART",
	[ACTION_FAILOVER] = "ACTION_FAILOVER",
	[ACTION_STOP] = "ACTION_STOP",
	[ACTION_HALT_MACHINE] = "ACTION_HALT_MACHINE",
};
static const char *const itlb_constants[] = { "ITLB_SMALL_PAGES", "ITLB_ACCEPT", "ITLB_REFUSE" };

static const char *const flags_constants[] = {
	"0",
	"PARTITION_CPL3_HYPERCALLS",
	"PARTITION_COMPANION",
	"PARTITION_COMPANION | PARTITION_CPL3_HYPERCALLS",
};
static const char *const flush_constants[] = {
	"FLUSH_L1D",
	"FLUSH_BUFFERS",
	"FLUSH_BRANCH_PREDICTORS",
	"FLUSH_RETURN_STACK",
};

static const char *rights_constants(unsigned rights)
{
	static const char *const names[8] = {
		"0",
		"RIGHT_READ",
		"RIGHT_WRITE",
		"RIGHT_READ | RIGHT_WRITE",
		"RIGHT_EXEC",
		"RIGHT_READ | RIGHT_EXEC",
		"RIGHT_WRITE | RIGHT_EXEC",
		"RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC",
	};

	return names[rights & 7];
}

static const char *core_place(const struct config_memory *m)
{
	if (m->owner == CONFIG_CORE)
		return text(", .core_at = 0x%x", m->core_at);
	if (m->core_cpus == 0)
		return "";
	return text(", .core_at = 0x%x, .core_cpus = 0x%" PRIx64 ", .core_rights = %s", m->core_at, m->core_cpus,
	            rights_constants(m->core_rights));
}

static void emit_machine(FILE *out, const struct plan *plan)
{
	const struct config *c = &plan->config;

	for (unsigned i = 0; i < c->cpu_count; i++) {
		const struct config_cpu *cpu = &c->cpus[i];
		if (cpu->slot_count == 0)
			continue;
		fprintf(out, "static const struct config_slot cpu%u_slots[] = {", i);
		for (unsigned j = 0; j < cpu->slot_count; j++)
			fprintf(out, "\n\t{.partition = %u, .vcpu = %u}, /* %s */", cpu->slots[j].partition,
			        cpu->slots[j].vcpu, c->partitions[cpu->slots[j].partition].name);
		fprintf(out, "\n};\n");
	}
	fprintf(out, "\nstatic const struct config_cpu cpus[] = {\n");
	for (unsigned i = 0; i < c->cpu_count; i++)
		fprintf(out, "\t{.slots = %s, .slot_count = %u, .scheduled = %u},\n",
		        c->cpus[i].slot_count > 0 ? text("cpu%u_slots", i) : "0", c->cpus[i].slot_count,
		        c->cpus[i].scheduled);
	fprintf(out, "};\n\nstatic const struct config_memory memories[] = {\n");
	for (unsigned i = 0; i < c->memory_count; i++) {
		const struct config_memory *m = &c->memories[i];
		fprintf(out,
		        "\t{.name = \"%s\", .size = 0x%" PRIx64 ", .hpa = %s, .align = 0x%" PRIx64
		        ", .owner = %s%s}, /* %s */\n",
		        m->name, m->size, m->hpa == CONFIG_HPA_ANY ? "CONFIG_HPA_ANY" : text("0x%" PRIx64, m->hpa),
		        m->align,
		        m->owner == CONFIG_SHARED  ? "CONFIG_SHARED" :
		        m->owner == CONFIG_CORE    ? "CONFIG_CORE" :
		        m->owner == CONFIG_CHANNEL ? "CONFIG_CHANNEL" :
		                                     text("%u", m->owner),
		        core_place(m), size_text(m->size));
	}
	fprintf(out, "};\n");
}

static void emit_memory(FILE *out, const struct plan *plan, unsigned index)
{
	const struct config_partition *p = &plan->partitions[index];

	if (p->vcpu_count > 0)
		fprintf(out, "\nstatic const struct config_vcpu p%u_vcpus[] = {\n", index);
	for (unsigned i = 0; i < p->vcpu_count; i++) {
		const struct config_vcpu *v = &p->vcpus[i];
		fprintf(out, "\t{.cpu = %u, .apic_id = %u", v->cpu, v->apic_id);
		if (plan->cpus[v->cpu].scheduled)
			fprintf(out,
			        ", .slot = %u, .priority = %u, .background = %u, .early = %u, .budget = %u, .period = %u",
			        v->slot, v->priority, v->background, v->early, v->budget, v->period);
		fprintf(out, "},\n");
	}
	fprintf(out, "%s\nstatic const struct config_map p%u_maps[] = {\n", p->vcpu_count > 0 ? "};\n" : "", index);
	for (unsigned i = 0; i < p->map_count; i++) {
		const struct config_map *m = &p->maps[i];
		fprintf(out,
		        "\t{.memory = %u, .rights = %s, .gpa = 0x%" PRIx64 ", .offset = 0x%" PRIx64
		        ", .size = 0x%" PRIx64 "}, /* %s */\n",
		        m->memory, rights_constants(m->rights), m->gpa, m->offset, m->size,
		        plan->memories[m->memory].name);
	}
	fprintf(out, "};\n\nstatic const struct config_segment p%u_segments[] = {\n", index);
	for (unsigned i = 0; i < p->segment_count; i++)
		fprintf(out, "\t{.offset = 0x%" PRIx64 ", .size = 0x%" PRIx64 ", .gpa = 0x%" PRIx64 "},\n",
		        p->segments[i].offset, p->segments[i].size, p->segments[i].gpa);
	fprintf(out, "};\n");
}

/* A list that several partitions may have in common: printed once, by the name it got first. */
struct list {
	char *rows;
	size_t size;
	const char *name;
};

static FILE *list_open(struct list *list)
{
	FILE *stream = open_memstream(&list->rows, &list->size);

	if (stream == NULL)
		fail(1, "out of memory");
	return stream;
}

/* Prints the list, unless one with the same rows and of the same type was printed before. Returns its name. */
static const char *list_close(FILE *out, FILE *stream, struct list *list, const char *type, const char *name)
{
	static struct list *known;
	static unsigned count;

	fclose(stream);
	if (list->size == 0)
		return "0";
	for (unsigned i = 0; i < count; i++)
		if (strcmp(known[i].rows, list->rows) == 0)
			return known[i].name;
	fprintf(out, "\nstatic const struct %s %s[] = {\n%s};\n", type, name, list->rows);
	list->name = name;
	known = grow(known, count, sizeof *known);
	known[count++] = *list;
	return name;
}

static const char *emit_cpuid(FILE *out, const struct config_partition *p, unsigned index)
{
	struct list list = { 0 };
	FILE *rows = list_open(&list);

	for (unsigned i = 0; i < p->cpuid_count; i++) {
		const struct config_cpuid *e = &p->cpuid[i];
		fprintf(rows,
		        "\t{.leaf = 0x%x, .subleaf = %u, .mask = {0x%08x, 0x%08x, 0x%08x, 0x%08x}, "
		        ".set = {0x%08x, 0x%08x, 0x%08x, 0x%08x}},\n",
		        e->leaf, e->subleaf, e->mask[0], e->mask[1], e->mask[2], e->mask[3], e->set[0], e->set[1],
		        e->set[2], e->set[3]);
	}
	return list_close(out, rows, &list, "config_cpuid", text("p%u_cpuid", index));
}

static const char *emit_msrs(FILE *out, const struct config_partition *p, unsigned index)
{
	struct list list = { 0 };
	FILE *rows = list_open(&list);

	for (unsigned i = 0; i < p->msr_count; i++) {
		const struct config_msr *m = &p->msrs[i];
		const char *name = msr_name(m->first, m->last);
		fprintf(rows, "\t{.first = 0x%x, .last = 0x%x, .read = %s, .write = %s", m->first, m->last,
		        kind_constants[m->read], kind_constants[m->write]);
		if (m->read == MSR_SHADOW || m->write == MSR_SHADOW)
			fprintf(rows, ", .shadow = %u", m->shadow);
		if (m->value != 0 || m->mask != 0)
			fprintf(rows, ", .value = 0x%" PRIx64 ", .mask = 0x%" PRIx64, m->value, m->mask);
		fprintf(rows, "},%s\n", name != NULL ? text(" /* %s */", name) : "");
	}
	return list_close(out, rows, &list, "config_msr", text("p%u_msrs", index));
}

static const char *emit_ports(FILE *out, const struct config_partition *p, unsigned index)
{
	struct list list = { 0 };
	FILE *rows = list_open(&list);

	for (unsigned i = 0; i < p->port_count; i++)
		fprintf(rows, "\t{.first = 0x%x, .last = 0x%x, .kind = %s},\n", p->ports[i].first, p->ports[i].last,
		        port_constants[p->ports[i].kind]);
	return list_close(out, rows, &list, "config_port", text("p%u_ports", index));
}

static void emit_mmio(FILE *out, const struct config_partition *p, unsigned index)
{
	static const char *const kinds[MMIO_KIND_COUNT] = { "MMIO_LAPIC", "MMIO_IOAPIC", "MMIO_COMPANION" };

	if (p->mmio_count == 0)
		return;
	fprintf(out, "\nstatic const struct config_mmio p%u_mmio[] = {\n", index);
	for (unsigned i = 0; i < p->mmio_count; i++)
		fprintf(out, "\t{.gpa = 0x%" PRIx64 ", .size = 0x%" PRIx64 ", .kind = %s},\n", p->mmio[i].gpa,
		        p->mmio[i].size, kinds[p->mmio[i].kind]);
	fprintf(out, "};\n");
}

static void emit_health(FILE *out, const struct config_partition *p, unsigned index)
{
	const struct config_health *h = p->health;

	if (h == NULL)
		return;
	fprintf(out,
	        "\nstatic const struct config_health p%u_health = {\n\t.watches = 0x%" PRIx64
	        ",\n\t.controls = 0x%" PRIx64
	        ",\n\t.heartbeat = %u,\n\t.restart_period_ms = %u,\n\t.restarts = %u,\n\t.standby = 0x%x,\n"
	        "\t.schedule = 0x%x,\n\t.held = %u,\n\t.seals = %u,\n\t.vector = 0x%x,\n};\n",
	        index, h->watches, h->controls, h->heartbeat, h->restart_period_ms, h->restarts, h->standby,
	        h->schedule, h->held, h->seals, h->vector);
}

static void emit_interrupts(FILE *out, const struct config *c)
{
	if (c->interrupt_count == 0)
		return;
	fprintf(out, "\nstatic const struct config_interrupt interrupts[] = {\n");
	for (unsigned i = 0; i < c->interrupt_count; i++) {
		const struct config_interrupt *x = &c->interrupts[i];
		fprintf(out, "\t{.partition = %u, .irq = %u, .pin = %u, .level = %u, .active_low = %u}, /* %s */\n",
		        x->partition, x->irq, x->pin, x->level, x->active_low, c->partitions[x->partition].name);
	}
	fprintf(out, "};\n");
}

static void emit_index(FILE *out, const char *name, const struct config_cpuid_index *index, unsigned count)
{
	fprintf(out, "\t\t.%s = {\n", name);
	for (unsigned i = 0; i < count; i++)
		if (index[i].count > 0)
			fprintf(out, "\t\t\t[0x%x] = {.first = %u, .count = %u, .any_subleaf = %u},\n", i,
			        index[i].first, index[i].count, index[i].any_subleaf);
	fprintf(out, "\t\t},\n");
}

static void emit_payload(FILE *out, const struct config_partition *p)
{
	const struct config_entry *e = &p->entry;

	fprintf(out, "\t\t.payload = {\n\t\t\t.file = \"%s\",\n\t\t\t.size = %" PRIu64 ",\n\t\t\t.sha256 = {",
	        p->payload.file, p->payload.size);
	for (unsigned i = 0; i < sizeof p->payload.sha256; i++)
		fprintf(out, "%s0x%02x,", i % 16 == 0 ? "\n\t\t\t\t" : " ", p->payload.sha256[i]);
	fprintf(out, "\n\t\t\t},\n\t\t},\n");
	fprintf(out,
	        "\t\t.entry = {.rip = 0x%" PRIx64 ", .rsp = 0x%" PRIx64 ", .rsi = 0x%" PRIx64 ", .rdi = 0x%" PRIx64
	        ", .cr3 = 0x%" PRIx64 ",\n\t\t          .gdt_base = 0x%" PRIx64 ", .gdt_limit = 0x%x},\n",
	        e->rip, e->rsp, e->rsi, e->rdi, e->cr3, e->gdt_base, e->gdt_limit);
}

/* The names of a partition's lists. */
struct names {
	const char *cpuid, *msrs, *ports;
};

static void emit_partition(FILE *out, const struct plan *plan, unsigned index, const struct names *lists)
{
	const struct config_partition *p = &plan->partitions[index];

	fprintf(out, "\t[%u] = {\n\t\t.name = \"%s\",\n\t\t.flags = %s,\n\t\t.hypercalls = 0x%" PRIx64 ",\n", index,
	        p->name, flags_constants[p->flags & 3], p->hypercalls);
	if (p->companion != 0)
		fprintf(out, "\t\t.companion = %u, /* %s */\n", p->companion, plan->partitions[p->companion].name);
	if (p->companion_pins != 0)
		fprintf(out, "\t\t.companion_pins = 0x%x,\n", p->companion_pins);
	if (p->answer_limit_us != 0)
		fprintf(out, "\t\t.answer_limit_us = %u,\n", p->answer_limit_us);
	if (p->rate_period != 0)
		fprintf(out, "\t\t.rate_period = %u,\n", p->rate_period);
	emit_payload(out, p);
	fprintf(out,
	        "\t\t.vcpus = %s,\n\t\t.maps = p%u_maps,\n\t\t.segments = p%u_segments,\n"
	        "\t\t.cpuid = %s,\n\t\t.msrs = %s,\n\t\t.ports = %s,\n",
	        p->vcpu_count > 0 ? text("p%u_vcpus", index) : "0", index, index, lists->cpuid, lists->msrs,
	        lists->ports);
	fprintf(out,
	        "\t\t.vcpu_count = %u,\n\t\t.map_count = %u,\n\t\t.segment_count = %u,\n\t\t.cpuid_count = %u,\n"
	        "\t\t.msr_count = %u,\n\t\t.port_count = %u,\n",
	        p->vcpu_count, p->map_count, p->segment_count, p->cpuid_count, p->msr_count, p->port_count);
	if (p->health != NULL)
		fprintf(out, "\t\t.health = &p%u_health,\n", index);
	if (p->mmio_count > 0)
		fprintf(out, "\t\t.mmio = p%u_mmio,\n\t\t.mmio_count = %u,\n\t\t.ioapic = %u,\n\t\t.xapic = %u,\n",
		        index, p->mmio_count, p->ioapic, p->xapic);
	emit_index(out, "basic", p->basic, CONFIG_CPUID_BASIC);
	emit_index(out, "extended", p->extended, CONFIG_CPUID_EXTENDED);
	emit_index(out, "hyper", p->hyper, CONFIG_CPUID_HYPER);
	emit_index(out, "own", p->own, CONFIG_CPUID_OWN);
	fprintf(out, "\t\t.action = {\n");
	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++)
		fprintf(out, "\t\t\t[%s] = %s,\n", error_constants[i], action_constants[p->action[i]]);
	fprintf(out, "\t\t},\n\t},\n");
}

static void emit_schedule(FILE *out, const struct config *c, unsigned schedule)
{
	const struct config_schedule *s = &c->schedules[schedule];

	fprintf(out, "\n/* Schedule %u, %s */\n", schedule, s->name);
	for (unsigned i = 0; i < c->cpu_count; i++) {
		if (s->frames[i].window_count == 0)
			continue;
		fprintf(out, "static const struct config_window s%u_cpu%u_windows[] = {\n", schedule, i);
		for (unsigned j = 0; j < s->frames[i].window_count; j++) {
			const struct config_window *w = &s->frames[i].windows[j];
			fprintf(out, "\t{.start = %u, .length = %u, .partition = %u}, /* %s */\n", w->start, w->length,
			        w->partition, c->partitions[w->partition].name);
		}
		fprintf(out, "};\n");
	}
	fprintf(out, "static const struct config_frame s%u_frames[] = {\n", schedule);
	for (unsigned i = 0; i < c->cpu_count; i++) {
		const struct config_frame *f = &s->frames[i];
		fprintf(out, "\t{.length = %u, .window_count = %u, .windows = %s},\n", f->length, f->window_count,
		        f->window_count > 0 ? text("s%u_cpu%u_windows", schedule, i) : "0");
	}
	fprintf(out, "};\n");
}

static void emit_schedules(FILE *out, const struct config *c)
{
	for (unsigned i = 0; i < c->schedule_count; i++)
		emit_schedule(out, c, i);
	if (c->schedule_count == 0)
		return;
	fprintf(out, "\nstatic const struct config_schedule schedules[] = {\n");
	for (unsigned i = 0; i < c->schedule_count; i++)
		fprintf(out, "\t{.name = \"%s\", .frames = s%u_frames},\n", c->schedules[i].name, i);
	fprintf(out, "};\n");
}

static const char *flush_text(unsigned flush)
{
	const char *list = "";

	for (unsigned i = 0; i < LENGTH(flush_constants); i++)
		if ((flush >> i & 1) != 0)
			list = text("%s%s%s", list, list[0] != '\0' ? " | " : "", flush_constants[i]);
	return list[0] != '\0' ? list : "0";
}

void emit_config(FILE *out, const struct plan *plan)
{
	const struct config *c = &plan->config;
	struct names *lists = allocate(c->partition_count * sizeof *lists);

	fprintf(out,
	        "// SPDX-License-Identifier: Apache-2.0\n"
	        "/* Written by mkconfig for the configuration '%s'. Change that, not this. */\n"
	        "#include \"config/config.h\"\n\n",
	        c->name);
	emit_machine(out, plan);
	for (unsigned i = 0; i < c->partition_count; i++) {
		fprintf(out, "\n/* Partition %u, %s */\n", i, plan->partitions[i].name);
		emit_memory(out, plan, i);
		lists[i].cpuid = emit_cpuid(out, &plan->partitions[i], i);
		lists[i].msrs = emit_msrs(out, &plan->partitions[i], i);
		lists[i].ports = emit_ports(out, &plan->partitions[i], i);
		emit_mmio(out, &plan->partitions[i], i);
		emit_health(out, &plan->partitions[i], i);
	}
	fprintf(out, "\nstatic const struct config_partition partitions[] = {\n");
	for (unsigned i = 0; i < c->partition_count; i++)
		emit_partition(out, plan, i, &lists[i]);
	fprintf(out, "};\n");
	emit_schedules(out, c);
	emit_interrupts(out, c);
	emit_pci(out, plan);
	emit_ports_tables(out, plan);
	fprintf(out,
	        "\nconst struct config config = {\n\t.magic = CONFIG_MAGIC,\n\t.version = CONFIG_VERSION,\n"
	        "\t.name = \"%s\",\n\t.cpus = cpus,\n\t.memories = memories,\n\t.partitions = partitions,\n"
	        "\t.cpu_count = %u,\n\t.memory_count = %u,\n\t.partition_count = %u,\n\t.uart_port = 0x%x,\n"
	        "\t.debug_port = 0x%x,\n\t.itlb_multihit = %s,\n",
	        c->name, c->cpu_count, c->memory_count, c->partition_count, c->uart_port, c->debug_port,
	        itlb_constants[c->itlb_multihit]);
	if (c->schedule_count > 0)
		fprintf(out, "\t.schedules = schedules,\n\t.schedule_count = %u,\n\t.guard = %u,\n\t.flush = %s,\n",
		        c->schedule_count, c->guard, flush_text(c->flush));
	if (c->interrupt_count > 0)
		fprintf(out, "\t.interrupts = interrupts,\n\t.interrupt_count = %u,\n", c->interrupt_count);
	emit_pci_members(out, c);
	if (c->channel_count > 0)
		fprintf(out, "\t.channels = channels,\n\t.channel_count = %u,\n", c->channel_count);
	if (c->doorbell_count > 0)
		fprintf(out, "\t.doorbells = doorbells,\n\t.doorbell_count = %u,\n", c->doorbell_count);
	emit_trust(out, plan);
	if (plan->self_check)
		fprintf(out, "\t.self_check = 0x%x,\n\t.self_check_us = %u,\n\t.self_check_kick_us = %u,\n",
		        c->self_check, c->self_check_us, c->self_check_kick_us);
	fprintf(out, "};\n");
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The schema of the YAML file. libcyaml checks structure: keys known, required ones there, lists where lists belong.
 * Values stay text here, so that whoever gives them a meaning can name the line and the limits.
 */
#include "mkconfig.h"

#include <cyaml/cyaml.h>
#include <string.h>

#define TEXT_MAX 2048 /* Linux's command line is the longest */
#define BOARD_FILE_MAX KIB(64)
#define LIST_MAX 1024 /* more than is allowed, where another part can tell more clearly what the limit is for */
#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, TEXT_MAX)
#define TEXT_OPTIONAL(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, TEXT_MAX)
#define MAPPING_OPTIONAL(type, member, fields) \
	CYAML_FIELD_MAPPING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, fields)
#define LIST_OPTIONAL(type, member, entry, max) \
	CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, &(entry), 0, max)

const char *const error_names[ERROR_CLASS_COUNT] = {
	[ERROR_TRIPLE_FAULT] = "triple_fault",
	[ERROR_MEMORY] = "memory",
	[ERROR_MSR] = "msr",
	[ERROR_PORT] = "port",
	[ERROR_INSTRUCTION] = "instruction",
	[ERROR_INTERRUPT] = "interrupt",
	[ERROR_EXIT] = "exit",
	[ERROR_PAYLOAD] = "payload",
	[ERROR_COMPANION] = "companion",
	[ERROR_OVERRUN] = "overrun",
	[ERROR_SILENCE] = "silence",
	[ERROR_APPLICATION] = "application",
	[ERROR_SEAL] = "seal",
	[ERROR_WINDOW] = "window",
};

static const cyaml_schema_value_t word = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MAX) };

static const cyaml_schema_field_t linux_fields[] = {
	TEXT("kernel", struct in_linux, kernel),
	TEXT_OPTIONAL("initrd", struct in_linux, initrd),
	TEXT_OPTIONAL("cmdline", struct in_linux, cmdline),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t boot_fields[] = {
	MAPPING_OPTIONAL(struct in_boot, linux, linux_fields),
	TEXT_OPTIONAL("kit", struct in_boot, kit),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t feature_fields[] = {
	LIST_OPTIONAL(struct in_features, hide, word, 256),
	LIST_OPTIONAL(struct in_features, show, word, 256),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t port_fields[] = {
	TEXT("ports", struct in_port, ports),
	TEXT("as", struct in_port, as),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t port_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_port, port_fields) };
static const cyaml_schema_field_t msr_fields[] = {
	TEXT("msrs", struct in_msr, msrs),          TEXT("read", struct in_msr, read),
	TEXT("write", struct in_msr, write),        TEXT_OPTIONAL("value", struct in_msr, value),
	TEXT_OPTIONAL("mask", struct in_msr, mask), CYAML_FIELD_END,
};
static const cyaml_schema_value_t msr_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_msr, msr_fields) };
static const cyaml_schema_field_t map_fields[] = {
	TEXT("memory", struct in_map, memory),      TEXT("at", struct in_map, at),
	TEXT("rights", struct in_map, rights),      TEXT_OPTIONAL("offset", struct in_map, offset),
	TEXT_OPTIONAL("size", struct in_map, size), CYAML_FIELD_END,
};
static const cyaml_schema_value_t map_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_map, map_fields) };
static const cyaml_schema_field_t interrupt_fields[] = {
	TEXT("irq", struct in_interrupt, irq),
	TEXT("pin", struct in_interrupt, pin),
	TEXT_OPTIONAL("trigger", struct in_interrupt, trigger),
	TEXT_OPTIONAL("polarity", struct in_interrupt, polarity),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t interrupt_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_interrupt,
	                                                                  interrupt_fields) };
static const cyaml_schema_field_t bar_fields[] = {
	TEXT("bar", struct in_bar, bar),
	TEXT("at", struct in_bar, at),
	TEXT("size", struct in_bar, size),
	TEXT_OPTIONAL("as", struct in_bar, as),
	TEXT_OPTIONAL("gpa", struct in_bar, gpa),
	TEXT_OPTIONAL("page", struct in_bar, page),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t bar_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_bar, bar_fields) };
static const cyaml_schema_field_t device_fields[] = {
	TEXT("function", struct in_device, function),
	TEXT_OPTIONAL("vectors", struct in_device, vectors),
	TEXT_OPTIONAL("id", struct in_device, id),
	TEXT_OPTIONAL("slot", struct in_device, slot),
	TEXT_OPTIONAL("irq", struct in_device, irq),
	TEXT_OPTIONAL("trigger", struct in_device, trigger),
	TEXT_OPTIONAL("polarity", struct in_device, polarity),
	TEXT_OPTIONAL("reset", struct in_device, reset),
	LIST_OPTIONAL(struct in_device, bars, bar_entry, CONFIG_BARS),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t device_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_device,
	                                                               device_fields) };
static const cyaml_schema_field_t function_fields[] = {
	TEXT("function", struct in_function, function),
	TEXT("group", struct in_function, group),
	TEXT_OPTIONAL("rmrr", struct in_function, rmrr),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t function_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_function,
	                                                                 function_fields) };
static const cyaml_schema_field_t error_fields[] = {
	TEXT_OPTIONAL("triple_fault", struct in_errors, action[ERROR_TRIPLE_FAULT]),
	TEXT_OPTIONAL("memory", struct in_errors, action[ERROR_MEMORY]),
	TEXT_OPTIONAL("msr", struct in_errors, action[ERROR_MSR]),
	TEXT_OPTIONAL("port", struct in_errors, action[ERROR_PORT]),
	TEXT_OPTIONAL("instruction", struct in_errors, action[ERROR_INSTRUCTION]),
	TEXT_OPTIONAL("interrupt", struct in_errors, action[ERROR_INTERRUPT]),
	TEXT_OPTIONAL("exit", struct in_errors, action[ERROR_EXIT]),
	TEXT_OPTIONAL("payload", struct in_errors, action[ERROR_PAYLOAD]),
	TEXT_OPTIONAL("companion", struct in_errors, action[ERROR_COMPANION]),
	TEXT_OPTIONAL("overrun", struct in_errors, action[ERROR_OVERRUN]),
	TEXT_OPTIONAL("silence", struct in_errors, action[ERROR_SILENCE]),
	TEXT_OPTIONAL("application", struct in_errors, action[ERROR_APPLICATION]),
	TEXT_OPTIONAL("seal", struct in_errors, action[ERROR_SEAL]),
	TEXT_OPTIONAL("window", struct in_errors, action[ERROR_WINDOW]),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t mmio_fields[] = {
	TEXT("at", struct in_mmio, at),
	TEXT("size", struct in_mmio, size),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t mmio_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_mmio, mmio_fields) };
static const cyaml_schema_field_t companion_fields[] = {
	TEXT("kit", struct in_companion, kit),
	TEXT("memory", struct in_companion, memory),
	TEXT_OPTIONAL("answer_within", struct in_companion, answer_within),
	LIST_OPTIONAL(struct in_companion, ports, word, 256),
	LIST_OPTIONAL(struct in_companion, mmio, mmio_entry, CONFIG_MAX_MMIO - 2),
	LIST_OPTIONAL(struct in_companion, pins, word, CONFIG_MAX_COMPANION_PINS),
	LIST_OPTIONAL(struct in_companion, hypercalls, word, 64),
	LIST_OPTIONAL(struct in_companion, maps, map_entry, CONFIG_MAX_MAPS - 1),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t partition_fields[] = {
	TEXT("name", struct in_partition, name),
	CYAML_FIELD_SEQUENCE("cpus", CYAML_FLAG_POINTER, struct in_partition, cpus, &word, 1, CONFIG_MAX_CPUS),
	TEXT("memory", struct in_partition, memory),
	TEXT_OPTIONAL("base", struct in_partition, base),
	CYAML_FIELD_MAPPING_PTR("boot", CYAML_FLAG_POINTER, struct in_partition, boot, boot_fields),
	MAPPING_OPTIONAL(struct in_partition, features, feature_fields),
	LIST_OPTIONAL(struct in_partition, ports, port_entry, 256),
	LIST_OPTIONAL(struct in_partition, msrs, msr_entry, 256),
	LIST_OPTIONAL(struct in_partition, hypercalls, word, 64),
	LIST_OPTIONAL(struct in_partition, priority, word, LIST_MAX),
	LIST_OPTIONAL(struct in_partition, budget, word, LIST_MAX),
	TEXT_OPTIONAL("background", struct in_partition, background),
	TEXT_OPTIONAL("early", struct in_partition, early),
	TEXT_OPTIONAL("rate", struct in_partition, rate),
	TEXT_OPTIONAL("set_schedule", struct in_partition, set_schedule),
	TEXT_OPTIONAL("hypercalls_from_user", struct in_partition, hypercalls_from_user),
	LIST_OPTIONAL(struct in_partition, maps, map_entry, CONFIG_MAX_MAPS - 1),
	TEXT_OPTIONAL("apic", struct in_partition, apic),
	TEXT_OPTIONAL("ioapic", struct in_partition, ioapic),
	LIST_OPTIONAL(struct in_partition, interrupts, interrupt_entry, IOAPIC_PINS),
	TEXT_OPTIONAL("identity", struct in_partition, identity),
	LIST_OPTIONAL(struct in_partition, devices, device_entry, DEVICE_SLOTS),
	MAPPING_OPTIONAL(struct in_partition, on_error, error_fields),
	MAPPING_OPTIONAL(struct in_partition, companion, companion_fields),
	LIST_OPTIONAL(struct in_partition, watches, word, CONFIG_MAX_PARTITIONS),
	LIST_OPTIONAL(struct in_partition, controls, word, CONFIG_MAX_PARTITIONS),
	TEXT_OPTIONAL("heartbeat", struct in_partition, heartbeat),
	TEXT_OPTIONAL("restarts", struct in_partition, restarts),
	TEXT_OPTIONAL("start", struct in_partition, start),
	TEXT_OPTIONAL("standby", struct in_partition, standby),
	TEXT_OPTIONAL("failure_schedule", struct in_partition, failure_schedule),
	TEXT_OPTIONAL("seals", struct in_partition, seals),
	TEXT_OPTIONAL("event_vector", struct in_partition, event_vector),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t partition_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_partition,
	                                                                  partition_fields) };
static const cyaml_schema_field_t shared_fields[] = {
	TEXT("name", struct in_shared, name),
	TEXT("size", struct in_shared, size),
	TEXT_OPTIONAL("base", struct in_shared, base),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t shared_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_shared,
	                                                               shared_fields) };
static const cyaml_schema_field_t board_fields[] = {
	TEXT_OPTIONAL("file", struct in_board, file),
	TEXT_OPTIONAL("cpus", struct in_board, cpus),
	TEXT_OPTIONAL("memory", struct in_board, memory),
	LIST_OPTIONAL(struct in_board, pci, function_entry, 4096),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t console_fields[] = {
	TEXT_OPTIONAL("uart", struct in_console, uart),
	TEXT_OPTIONAL("debug_port", struct in_console, debug_port),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t trace_fields[] = {
	TEXT("entries", struct in_trace, entries),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t audit_fields[] = {
	TEXT("entries", struct in_audit, entries),
	TEXT_OPTIONAL("rate", struct in_audit, rate),
	TEXT_OPTIONAL("base", struct in_audit, base),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t trust_fields[] = {
	TEXT_OPTIONAL("no_tpm", struct in_trust, no_tpm),
	TEXT_OPTIONAL("extend_fails", struct in_trust, extend_fails),
	TEXT_OPTIONAL("no_secure_boot", struct in_trust, no_secure_boot),
	TEXT_OPTIONAL("no_txt", struct in_trust, no_txt),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t window_fields[] = {
	TEXT("partition", struct in_window, partition),
	TEXT("start", struct in_window, start),
	TEXT("length", struct in_window, length),
	TEXT_OPTIONAL("every", struct in_window, every),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t window_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_window,
	                                                               window_fields) };
static const cyaml_schema_field_t frame_fields[] = {
	TEXT("cpu", struct in_frame, cpu),
	TEXT("frame", struct in_frame, frame),
	CYAML_FIELD_SEQUENCE("windows", CYAML_FLAG_POINTER, struct in_frame, windows, &window_entry, 0, LIST_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t frame_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_frame,
	                                                              frame_fields) };
static const cyaml_schema_field_t schedule_fields[] = {
	TEXT("name", struct in_schedule, name),
	CYAML_FIELD_SEQUENCE("cpus", CYAML_FLAG_POINTER, struct in_schedule, cpus, &frame_entry, 1, LIST_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schedule_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_schedule,
	                                                                 schedule_fields) };
static const cyaml_schema_field_t channel_fields[] = {
	TEXT("name", struct in_channel, name),
	TEXT("kind", struct in_channel, kind),
	TEXT("from", struct in_channel, from),
	CYAML_FIELD_SEQUENCE("to", CYAML_FLAG_POINTER, struct in_channel, to, &word, 1, LIST_MAX),
	TEXT("size", struct in_channel, size),
	TEXT_OPTIONAL("depth", struct in_channel, depth),
	TEXT_OPTIONAL("refresh", struct in_channel, refresh),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t channel_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_channel,
	                                                                channel_fields) };
static const cyaml_schema_field_t doorbell_fields[] = {
	TEXT("name", struct in_doorbell, name),
	LIST_OPTIONAL(struct in_doorbell, from, word, LIST_MAX),
	TEXT_OPTIONAL("channel", struct in_doorbell, channel),
	TEXT("to", struct in_doorbell, to),
	TEXT_OPTIONAL("vcpu", struct in_doorbell, vcpu),
	TEXT_OPTIONAL("vector", struct in_doorbell, vector),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t doorbell_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_doorbell,
	                                                                 doorbell_fields) };
static const cyaml_schema_field_t flow_fields[] = {
	TEXT("from", struct in_flow, from),
	TEXT("to", struct in_flow, to),
	TEXT("only_through", struct in_flow, only_through),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t flow_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct in_flow, flow_fields) };
static const cyaml_schema_field_t self_check_fields[] = {
	TEXT_OPTIONAL("at_start", struct in_self_check, at_start),
	TEXT_OPTIONAL("on_difference", struct in_self_check, on_difference),
	TEXT_OPTIONAL("every", struct in_self_check, every),
	TEXT_OPTIONAL("interrupt_dedicated", struct in_self_check, interrupt_dedicated),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_fields[] = {
	TEXT("name", struct in_file, name),
	CYAML_FIELD_MAPPING_PTR("board", CYAML_FLAG_POINTER, struct in_file, board, board_fields),
	MAPPING_OPTIONAL(struct in_file, console, console_fields),
	MAPPING_OPTIONAL(struct in_file, trace, trace_fields),
	MAPPING_OPTIONAL(struct in_file, self_check, self_check_fields),
	MAPPING_OPTIONAL(struct in_file, audit, audit_fields),
	TEXT_OPTIONAL("panic", struct in_file, panic),
	TEXT_OPTIONAL("counters", struct in_file, counters),
	MAPPING_OPTIONAL(struct in_file, trust, trust_fields),
	TEXT_OPTIONAL("itlb_multihit", struct in_file, itlb_multihit),
	CYAML_FIELD_SEQUENCE("schedules", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct in_file, schedules,
	                     &schedule_entry, 1, LIST_MAX),
	TEXT_OPTIONAL("guard", struct in_file, guard),
	TEXT_OPTIONAL("iommu", struct in_file, iommu),
	LIST_OPTIONAL(struct in_file, flush, word, LIST_MAX),
	LIST_OPTIONAL(struct in_file, shared, shared_entry, CONFIG_MAX_PARTITIONS),
	LIST_OPTIONAL(struct in_file, channels, channel_entry, LIST_MAX),
	LIST_OPTIONAL(struct in_file, doorbells, doorbell_entry, LIST_MAX),
	LIST_OPTIONAL(struct in_file, flows, flow_entry, LIST_MAX),
	CYAML_FIELD_SEQUENCE("partitions", CYAML_FLAG_POINTER, struct in_file, partitions, &partition_entry, 1,
	                     CONFIG_MAX_PARTITIONS),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct in_file,
	                                                              file_fields) };

/* libcyaml says what is wrong in its first error line, and where in the first line of the backtrace that follows. */
struct complaint {
	char cause[256];
	unsigned line, column;
};

static void hear(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
	struct complaint *complaint = context;
	char message[256];
	const char *place;

	if (level != CYAML_LOG_ERROR)
		return;
	vsnprintf(message, sizeof message, format, arguments);
	message[strcspn(message, "\n")] = '\0';
	place = strstr(message, "(line: ");
	if (complaint->cause[0] == '\0')
		memcpy(complaint->cause, message, sizeof message);
	else if (place != NULL && complaint->line == 0)
		sscanf(place, "(line: %u, column: %u", &complaint->line, &complaint->column);
}

_Noreturn static void refuse(const struct complaint *complaint, cyaml_err_t error)
{
	static const char prefix[] = "Load: ", unknown[] = "Unexpected key: ";
	const char *cause = complaint->cause;
	unsigned line = complaint->line > 0 ? complaint->line : 1;

	if (strncmp(cause, prefix, sizeof prefix - 1) == 0)
		cause += sizeof prefix - 1;
	if (strncmp(cause, unknown, sizeof unknown - 1) == 0) {
		const char *key = cause + sizeof unknown - 1;
		fail(line_of_key_after(key, line, complaint->column), "unknown key '%s'", key);
	}
	fail(line, "%s", cause[0] != '\0' ? cause : cyaml_strerror(error));
}

/* A companion is a small partition behind all others: its entry is made of what its master's says. */
static void append_companions(struct in_file *in)
{
	const unsigned masters = in->partitions_count;
	struct in_partition *all = allocate(2 * masters * sizeof *all);

	memcpy(all, in->partitions, masters * sizeof *all);
	for (unsigned i = 0; i < masters; i++) {
		const struct in_companion *c = all[i].companion;
		struct in_boot *boot = allocate(sizeof *boot);
		if (c == NULL)
			continue;
		if (in->partitions_count == CONFIG_MAX_PARTITIONS)
			fail(line_of("partitions/%u/companion", i),
			     "companion: more than %u partitions, with companions", CONFIG_MAX_PARTITIONS);
		if (c->ports_count + c->mmio_count == 0)
			fail(line_of("partitions/%u/companion", i), "companion: it has neither ports nor mmio");
		boot->kit = c->kit;
		document_alias(in->partitions_count, i);
		all[in->partitions_count++] = (struct in_partition){ .name = text("%s-companion", all[i].name),
			                                             .memory = c->memory,
			                                             .boot = boot,
			                                             .hypercalls = c->hypercalls,
			                                             .hypercalls_count = c->hypercalls_count,
			                                             .maps = c->maps,
			                                             .maps_count = c->maps_count,
			                                             .master = i };
	}
	in->partitions = all;
}

static cyaml_config_t settings_for(struct complaint *complaint)
{
	return (cyaml_config_t){
		.log_level = CYAML_LOG_ERROR,
		.log_fn = hear,
		.log_ctx = complaint,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

/* What probe.efi has written: the keys of `board`, in a file of their own. All errors are of the line that names the file. */
static struct in_board *load_board(const char *path)
{
	static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct in_board,
		                                                         board_fields) };
	struct complaint complaint = { 0 };
	const cyaml_config_t settings = settings_for(&complaint);
	const unsigned line = line_of("board/file");
	struct blob file = read_file(line, path, BOARD_FILE_MAX);
	struct in_board *board = NULL;
	cyaml_err_t error = cyaml_load_data(file.bytes, file.size, &settings, &schema, (cyaml_data_t **)&board, NULL);

	if (error == CYAML_OK && board != NULL) {
		if (board->file != NULL)
			fail(line, "board file %s: it names another file, %s", path, board->file);
		return board;
	}
	fail(line, "board file %s, line %u: %s", path, complaint.line > 0 ? complaint.line : 1,
	     complaint.cause[0] != '\0' ? complaint.cause : cyaml_strerror(error));
}

static void check_board(struct in_file *in, const char *root)
{
	struct in_board *b = in->board;
	const char *place = "";

	if (b->file != NULL) {
		if (b->cpus != NULL || b->memory != NULL || b->pci_count > 0)
			fail(line_of("board"), "board: give 'file', or the other keys, not both");
		place = text(" in %s", b->file);
		in->board = load_board(root == NULL || b->file[0] == '/' ? b->file : text("%s/%s", root, b->file));
		in->board->file = b->file;
		b = in->board;
	}
	if (b->cpus == NULL || b->memory == NULL)
		fail(line_of("board"), "board: '%s' is missing%s", b->cpus == NULL ? "cpus" : "memory", place);
}

struct in_file *input_load(const char *path, const char *root)
{
	struct complaint complaint = { 0 };
	const cyaml_config_t settings = settings_for(&complaint);
	struct blob file = document_load(path);
	struct in_file *in = NULL;
	cyaml_err_t error = cyaml_load_data(file.bytes, file.size, &settings, &file_schema, (cyaml_data_t **)&in, NULL);

	if (error == CYAML_OK && in != NULL) {
		check_board(in, root);
		append_companions(in);
		return in;
	}
	refuse(&complaint, error);
}

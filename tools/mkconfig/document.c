// SPDX-License-Identifier: Apache-2.0
/*
 * The YAML file before its meaning: readable, of sane size and form, and on which line each key and item stands.
 * Anchors, aliases and tags are refused, and so is any depth that the schema cannot have: no cycle ever gets to
 * libcyaml.
 */
#include "mkconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_LIMIT KIB(256)
#define NODE_LIMIT 20000u
#define DEPTH_LIMIT 12u

/* A key with its value, or an item of a list. */
struct node {
	int parent; /* -1: the top mapping */
	unsigned index, line, column;
	char *key; /* NULL: an item */
};

/* An open mapping or list. */
struct level {
	int node;
	bool mapping, key_next;
	unsigned items;
};

static struct node *nodes;
static unsigned node_count;
const char *document_path = "mkconfig";

struct blob read_file(unsigned line, const char *path, size_t limit)
{
	struct blob blob = { 0 };
	FILE *file = fopen(path, "rb");
	long size;

	if (file == NULL)
		fail(line, "cannot open %s: %s", path, strerror(errno));
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
		fail(line, "cannot read %s: %s", path, strerror(errno));
	if ((size_t)size > limit)
		fail(line, "%s is %ld bytes; the limit is %zu", path, size, limit);
	blob.bytes = allocate((size_t)size + 1);
	blob.size = fread(blob.bytes, 1, (size_t)size, file);
	if (blob.size != (size_t)size)
		fail(line, "cannot read %s: only %zu of %ld bytes", path, blob.size, size);
	fclose(file);
	return blob;
}

static void check_bytes(const struct blob *file)
{
	unsigned line = 1;

	for (size_t i = 0; i < file->size; i++) {
		uint8_t c = file->bytes[i];
		if (c == '\n')
			line++;
		else if (c < ' ' && c != '\r' && c != '\t')
			fail(line, "byte 0x%02x at offset %zu: this is not a text file", c, i);
	}
}

static const char *key_text(const struct node *node)
{
	return node->key != NULL ? node->key : "-";
}

static int add_node(struct level *level, const yaml_event_t *event)
{
	struct node *node;

	if (node_count == NODE_LIMIT)
		fail((unsigned)event->start_mark.line + 1, "more than %u keys and items", NODE_LIMIT);
	nodes = grow(nodes, node_count, sizeof *nodes);
	node = &nodes[node_count];
	*node = (struct node){
		.parent = level->node,
		.index = level->items++,
		.line = (unsigned)event->start_mark.line + 1,
		.column = (unsigned)event->start_mark.column + 1,
	};
	return (int)node_count++;
}

static void add_key(struct level *level, const yaml_event_t *event)
{
	unsigned line = (unsigned)event->start_mark.line + 1;
	const char *key;
	int node;

	if (event->type != YAML_SCALAR_EVENT)
		fail(line, "a key must be a plain word");
	key = (const char *)event->data.scalar.value;
	for (unsigned i = 0; i < node_count; i++)
		if (nodes[i].parent == level->node && nodes[i].key != NULL && strcmp(nodes[i].key, key) == 0)
			fail(line, "key '%s' stands twice here; the first is on line %u", key, nodes[i].line);
	node = add_node(level, event); /* may move the list */
	nodes[node].key = text("%s", key);
}

static bool has_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return true;
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

/* One event, with the open levels in stack[0..depth). Returns the new depth. */
static unsigned take(const yaml_event_t *event, struct level *stack, unsigned depth)
{
	struct level *top = depth > 0 ? &stack[depth - 1] : NULL;
	unsigned line = (unsigned)event->start_mark.line + 1;
	int node = -1;

	if (has_anchor(event))
		fail(line, "anchors, aliases and tags (&, *, !) are not allowed in a configuration");
	if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
		return depth - 1;
	if (event->type != YAML_SCALAR_EVENT && event->type != YAML_SEQUENCE_START_EVENT &&
	    event->type != YAML_MAPPING_START_EVENT)
		return depth;
	if (top == NULL && event->type != YAML_MAPPING_START_EVENT)
		fail(line, "a configuration begins with 'key: value' lines, this file does not");
	if (top != NULL && top->mapping && top->key_next) {
		add_key(top, event);
		top->key_next = false;
		return depth;
	}
	if (top != NULL && top->mapping) { /* the value: it goes by its key's node, the last of this level */
		for (node = (int)node_count - 1;
		     nodes[node].parent != top->node || nodes[node].index != top->items - 1;)
			node--;
		top->key_next = true;
	} else if (top != NULL) {
		node = add_node(top, event);
	}
	if (event->type == YAML_SCALAR_EVENT)
		return depth;
	if (depth == DEPTH_LIMIT)
		fail(line, "nested deeper than %u levels", DEPTH_LIMIT);
	stack[depth] =
		(struct level){ .node = node, .mapping = event->type == YAML_MAPPING_START_EVENT, .key_next = true };
	return depth + 1;
}

static void parse(const struct blob *file)
{
	struct level stack[DEPTH_LIMIT];
	unsigned depth = 0, documents = 0;
	yaml_parser_t parser;
	yaml_event_t event;
	yaml_event_type_t type;

	if (!yaml_parser_initialize(&parser))
		fail(1, "out of memory");
	yaml_parser_set_input_string(&parser, file->bytes, file->size);
	do {
		if (!yaml_parser_parse(&parser, &event)) {
			unsigned line = (unsigned)parser.problem_mark.line + 1;
			if (parser.error == YAML_READER_ERROR)
				fail(1, "not UTF-8 text: %s at offset %zu", parser.problem, parser.problem_offset);
			fail(line, "not YAML: %s", parser.problem);
		}
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
			fail((unsigned)event.start_mark.line + 1, "a second document: one configuration a file");
		depth = take(&event, stack, depth);
		yaml_event_delete(&event);
	} while (type != YAML_STREAM_END_EVENT);
	yaml_parser_delete(&parser);
	if (node_count == 0)
		fail(1, "the file holds no configuration; config/demo.yaml is an example");
}

struct blob document_load(const char *path)
{
	struct blob file;

	document_path = path;
	file = read_file(1, path, FILE_LIMIT);
	check_bytes(&file);
	parse(&file);
	return file;
}

/* The child of `parent` that a path's next word names, -1 if there is none. */
static int child(int parent, const char *word, size_t length)
{
	for (unsigned i = 0; i < node_count; i++) {
		const struct node *n = &nodes[i];
		char index[12];
		if (n->parent != parent)
			continue;
		snprintf(index, sizeof index, "%u", n->index);
		const char *name = n->key != NULL ? n->key : index;
		if (strlen(name) == length && strncmp(name, word, length) == 0)
			return (int)i;
	}
	return -1;
}

/* The deepest part of the path that the file has, and whether that is all of it. */
static int find(const char *path, bool *all)
{
	int node = -1;

	*all = true;
	for (const char *word = path; *word != '\0';) {
		size_t length = strcspn(word, "/");
		int next = child(node, word, length);
		if (next < 0) {
			*all = false;
			break;
		}
		node = next;
		word += length + (word[length] == '/');
	}
	return node;
}

static unsigned alias[CONFIG_MAX_PARTITIONS + 1]; /* by partition: its master, and 1 */

void document_alias(unsigned partition, unsigned master)
{
	alias[partition] = master + 1;
}

/* The path of a companion's key, where the file has it. */
static const char *real_path(const char *path)
{
	unsigned partition = 0;
	int used = 0;

	if (sscanf(path, "partitions/%u%n", &partition, &used) != 1 || partition > CONFIG_MAX_PARTITIONS ||
	    alias[partition] == 0)
		return path;
	return text("partitions/%u/companion%s", alias[partition] - 1, path + used);
}

bool document_has(const char *path)
{
	bool all;

	find(path, &all);
	return all;
}

unsigned line_of(const char *format, ...)
{
	char path[128];
	bool all;
	int node;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path, sizeof path, format, arguments);
	va_end(arguments);
	node = find(real_path(path), &all);
	return node >= 0 ? nodes[node].line : 1;
}

unsigned line_of_key_after(const char *key, unsigned line, unsigned column)
{
	for (unsigned i = 0; i < node_count; i++)
		if (strcmp(key_text(&nodes[i]), key) == 0 &&
		    (nodes[i].line > line || (nodes[i].line == line && nodes[i].column >= column)))
			return nodes[i].line;
	return line;
}

// SPDX-License-Identifier: Apache-2.0
/* The commands of mkconfig, and its files: all is made in memory first: an error leaves nothing half-written. */
#include "mkconfig.h"

#include "../../core/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
/* Memory lives until exit on purpose: a leak report would be noise. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static const char usage[] =
	"mkconfig: check a configuration and make the hypervisor's constant tables of it\n"
	"\n"
	"  mkconfig check FILE.yaml                 check everything but the guests' files\n"
	"  mkconfig inputs FILE.yaml [--root DIR]   print the files that the build reads, one a line\n"
	"  mkconfig build FILE.yaml --out DIR       write DIR/config.c, config_sizes.h, allow.txt, esp/<partition>.img\n"
	"  mkconfig plan FILE.yaml [--svg FILE] [--dot FILE]\n"
	"                                           print memory, cores, rights and flows; draw them, and the flows for graphviz\n"
	"\n"
	"  --root DIR    where the files that the configuration names are (default: here)\n"
	"  --dsdt FILE   compiled DSDT for Linux partitions (default: in --root dsdt.aml, or the one that fits)\n"
	"\n"
	"A rejected configuration ends with status 1 and one line 'error: FILE:LINE: cause'.\n";

_Noreturn static void misuse(const char *what, const char *argument)
{
	fprintf(stderr, "mkconfig: %s '%s'; see mkconfig --help\n", what, argument);
	exit(2);
}

const char *root_path(const struct options *options, const char *path)
{
	return options->root == NULL || path[0] == '/' ? path : text("%s/%s", options->root, path);
}

/* Somebody answers at the ports of configuration space. */
static bool has_pci(const struct config_partition *p)
{
	for (unsigned i = 0; i < p->port_count; i++)
		if (p->ports[i].first <= 0xcf8 && 0xcf8 <= p->ports[i].last)
			return p->ports[i].kind == PORT_PCI || p->ports[i].kind == PORT_COMPANION;
	return false;
}

const char *dsdt_path(const struct options *options, const struct config_partition *p)
{
	if (options->dsdt != NULL)
		return options->dsdt;
	return root_path(options, text("dsdt%s%s.aml", p->ioapic != 0 ? "_ioapic" : "", has_pci(p) ? "_pci" : ""));
}

/* A file on its way: collected in memory, then written beside its place, then renamed. */
struct output {
	char *path, *temporary, *bytes;
	size_t size;
};
static struct output *outputs;
static unsigned output_count;

static void add_output(char *path, char *bytes, size_t size)
{
	outputs = grow(outputs, output_count, sizeof *outputs);
	outputs[output_count++] =
		(struct output){ .path = path, .temporary = text("%s.new", path), .bytes = bytes, .size = size };
}

static void add_text(char *path, void emit(FILE *, const struct plan *), const struct plan *plan)
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&bytes, &size);

	if (stream == NULL)
		fail(1, "out of memory");
	emit(stream, plan);
	fclose(stream);
	add_output(path, bytes, size);
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		fail(1, "cannot create directory %s: %s", path, strerror(errno));
}

static bool write_output(const struct output *o)
{
	FILE *file = fopen(o->temporary, "wb");
	bool good = file != NULL && fwrite(o->bytes, 1, o->size, file) == o->size;

	return file != NULL && fclose(file) == 0 && good;
}

static void write_outputs(void)
{
	for (unsigned i = 0; i < output_count; i++) {
		if (write_output(&outputs[i]))
			continue;
		int error = errno;
		for (unsigned j = 0; j <= i; j++)
			unlink(outputs[j].temporary);
		fail(1, "cannot write %s: %s", outputs[i].path, strerror(error));
	}
	for (unsigned i = 0; i < output_count; i++)
		if (rename(outputs[i].temporary, outputs[i].path) != 0)
			fail(1, "cannot write %s: %s", outputs[i].path, strerror(errno));
}

static void adopt_image(struct plan *plan, unsigned partition)
{
	struct image *image = &plan->extra[partition].image;
	struct config_partition *p = &plan->partitions[partition];

	p->segments = image->segments;
	p->segment_count = image->segment_count;
	p->entry = image->entry;
	p->payload.size = image->size;
	sha256(image->bytes, image->size, p->payload.sha256);
}

static void build_images(struct plan *plan, const struct options *options)
{
	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		if (plan->extra[i].in->boot->linux != NULL)
			linux_image(plan, i, options);
		else
			kit_image(plan, i, options);
		adopt_image(plan, i);
	}
}

/* While the partitions start, the payload files are in memory beside them. */
static void check_room(const struct plan *plan)
{
	uint64_t needed = BOARD_RESERVE, files = 0;

	for (unsigned i = 0; i < plan->config.memory_count; i++)
		needed += plan->memories[i].size;
	for (unsigned i = 0; i < plan->config.partition_count; i++)
		files += plan->extra[i].image.size;
	if (needed + files > plan->board_memory)
		fail(line_of("board/memory"),
		     "the payload files, %.1f MiB, do not fit beside the memories and the reserve, %s, in the board's %s",
		     (double)files / (double)MIB(1), size_text(needed), size_text(plan->board_memory));
}

/* For commands that do without the guests' files: a payload that breaks no rule, so that the others can be checked. */
static void stand_in_images(struct plan *plan)
{
	static const uint8_t page[PAGE_SIZE];

	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		image_add(&plan->extra[i].image, 1, 0, page, sizeof page);
		plan->extra[i].image.entry.gdt_limit = GDT_ENTRIES * 8 - 1;
		adopt_image(plan, i);
	}
}

static void command_build(struct plan *plan, const struct options *options)
{
	if (options->out == NULL)
		misuse("build needs", "--out DIR");
	build_images(plan, options);
	plan_check(plan);
	check_room(plan);
	add_text(text("%s/config.c", options->out), emit_config, plan);
	add_text(text("%s/config_sizes.h", options->out), emit_sizes, plan);
	add_text(text("%s/allow.txt", options->out), emit_allow, plan);
	for (unsigned i = 0; i < plan->config.partition_count; i++)
		add_output(text("%s/esp/%s", options->out, plan->partitions[i].payload.file),
		           (char *)plan->extra[i].image.bytes, plan->extra[i].image.size);
	make_directory(options->out);
	make_directory(text("%s/esp", options->out));
	write_outputs();
}

static void command_check(struct plan *plan, const struct options *options)
{
	(void)options;
	stand_in_images(plan);
	plan_check(plan);
	printf("%s: good: %u partitions, %u CPUs\n", document_path, plan->config.partition_count,
	       plan->config.cpu_count);
}

static void command_plan(struct plan *plan, const struct options *options)
{
	stand_in_images(plan);
	plan_check(plan);
	emit_plan(stdout, plan);
	if (options->svg != NULL)
		add_text(text("%s", options->svg), emit_svg, plan);
	if (options->dot != NULL)
		add_text(text("%s", options->dot), emit_flow_graph, plan);
	write_outputs();
}

static void command_inputs(struct plan *plan, const struct options *options)
{
	if (plan->in->board->file != NULL)
		puts(root_path(options, plan->in->board->file));
	for (unsigned i = 0; i < plan->config.partition_count; i++) {
		const struct in_boot *boot = plan->extra[i].in->boot;
		puts(root_path(options, boot->linux != NULL ? boot->linux->kernel : boot->kit));
		if (boot->linux != NULL && boot->linux->initrd != NULL)
			puts(root_path(options, boot->linux->initrd));
		if (boot->linux != NULL)
			puts(dsdt_path(options, &plan->partitions[i]));
	}
}

static struct options parse_options(int count, char **arguments)
{
	struct options options = { 0 };

	for (int i = 0; i < count; i++) {
		const struct {
			const char *name;
			const char **value;
		} known[] = { { "--out", &options.out },
			      { "--root", &options.root },
			      { "--dsdt", &options.dsdt },
			      { "--svg", &options.svg },
			      { "--dot", &options.dot } };
		unsigned k = 0;
		if (arguments[i][0] != '-') {
			if (options.file != NULL)
				misuse("more than one file:", arguments[i]);
			options.file = arguments[i];
			continue;
		}
		while (k < LENGTH(known) && strcmp(arguments[i], known[k].name) != 0)
			k++;
		if (k == LENGTH(known) || i + 1 == count)
			misuse(k == LENGTH(known) ? "unknown option" : "a value is missing after", arguments[i]);
		*known[k].value = arguments[++i];
	}
	return options;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct plan *, const struct options *);
	} commands[] = { { "check", command_check },
		         { "inputs", command_inputs },
		         { "build", command_build },
		         { "plan", command_plan } };
	static struct plan plan;
	struct options options;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return fputs(usage, stdout) < 0;
	if (argc < 3)
		return fputs(usage, stderr), 2;
	options = parse_options(argc - 2, argv + 2);
	if (options.file == NULL)
		misuse("which file?", argv[1]);
	for (unsigned i = 0; i < LENGTH(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			plan_build(&plan, input_load(options.file, options.root));
			commands[i].run(&plan, &options);
			return 0;
		}
	misuse("unknown command", argv[1]);
}

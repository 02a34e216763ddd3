// SPDX-License-Identifier: Apache-2.0
/* The plan as a picture: the board's memory, each memory with its maps, each CPU, each partition's rights. */
#include "picture.h"

#include <inttypes.h>
#include <string.h>

#define ROW 34
#define CARD_GAP 20
#define CARD_WIDTH ((INNER - CARD_GAP) / 2)
#define CARD_HEAD 34
#define CARD_LINE 21
#define CARD_LABEL 92
#define CELL_CHARACTERS 60 /* of a card's text, in the width that is left */
#define CHARACTER 7        /* pixels of a character in a chip, about */
#define BOLD_CHARACTER 9

static const char *const colours[] = {
	"#2f6fb3", "#c2601c", "#3a8a4d", "#8a4a9e", "#b23a48", "#1d8a8a", "#7a6a1f", "#555f8c",
};
#define SHARED_COLOUR "#8b8b8b"
#define RESERVE_COLOUR "#4a4f57"

const char *colour(uint16_t partition)
{
	return partition >= CONFIG_CHANNEL ? SHARED_COLOUR : colours[partition % LENGTH(colours)];
}

/* Text from the file, safe within SVG. */
static const char *escape(const char *string)
{
	char *safe = allocate(6 * strlen(string) + 1);

	for (char *to = safe; *string != '\0'; string++) {
		const char *code = *string == '&' ? "&amp;" : *string == '<' ? "&lt;" : *string == '>' ? "&gt;" : NULL;
		if (code != NULL)
			to = strcpy(to, code) + strlen(code);
		else
			*to++ = *string;
	}
	return safe;
}

void box(FILE *out, double x, double y, double width, double height, const char *fill, const char *more)
{
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" %s/>\n", x, y, width,
	        height, fill, more);
}

void label(FILE *out, double x, double y, const char *class, const char *string)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, escape(string));
}

int heading(FILE *out, int y, const char *title, const char *note)
{
	label(out, MARGIN, y + 16, "h", title);
	fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"n\" text-anchor=\"end\">%s</text>\n", WIDTH - MARGIN, y + 16,
	        escape(note));
	box(out, MARGIN, y + 24, INNER, 1, "#c9ced6", "");
	return y + 38;
}

/* The board's memory as one bar; what is too small to see still gets a sliver. */
static int draw_board(FILE *out, const struct plan *plan, int y)
{
	uint64_t used = BOARD_RESERVE;
	double x = MARGIN, scale;

	for (unsigned i = 0; i < plan->config.memory_count; i++)
		used += plan->memories[i].size;
	y = heading(out, y, "Board memory",
	            text("%s, of which %s free", size_text(plan->board_memory), size_text(plan->board_memory - used)));
	box(out, MARGIN, y, INNER, 44, "#eef1f5", "rx=\"4\" stroke=\"#c9ced6\"");
	scale = (INNER - 4.0 * plan->config.memory_count) / (double)plan->board_memory;
	for (unsigned i = 0; i <= plan->config.memory_count; i++) {
		bool last = i == plan->config.memory_count; /* for firmware and core */
		const char *name = last ? "reserve" : plan->memories[i].name;
		double width = (double)(last ? BOARD_RESERVE : plan->memories[i].size) * scale + (last ? 0 : 4);
		box(out, x, y, width, 44, last ? RESERVE_COLOUR : colour(plan->memories[i].owner),
		    "stroke=\"#fff\" stroke-width=\"0.7\"");
		if (width > BOLD_CHARACTER * (double)strlen(name) + 16) {
			label(out, x + 8, y + 19, "w b", name);
			label(out, x + 8, y + 35, "w s", size_text(last ? BOARD_RESERVE : plan->memories[i].size));
		}
		x += width;
	}
	return y + 44 + SECTION_GAP;
}

/* One chip a map: who sees the memory where, with which rights. Returns the row's y after wrapping. */
static int draw_maps(FILE *out, const struct plan *plan, unsigned memory, int y)
{
	double x = 470;

	for (unsigned i = 0; i < plan->config.partition_count; i++)
		for (unsigned j = 0; j < plan->partitions[i].map_count; j++) {
			const struct config_map *m = &plan->partitions[i].maps[j];
			const char *string;
			double width;
			if (m->memory != memory)
				continue;
			string = text("%s  %s  0x%" PRIx64 "-0x%" PRIx64, plan->partitions[i].name,
			              rights_text(m->rights), m->gpa, m->gpa + m->size - 1);
			width = (double)CHARACTER * (double)strlen(string) + 18;
			if (x + width > WIDTH - MARGIN && x > 470) {
				x = 470;
				y += 28;
			}
			box(out, x, y + 4, width, 23, "#fff",
			    text("rx=\"11\" stroke=\"%s\" stroke-width=\"1.6\"", colour((uint16_t)i)));
			label(out, x + 9, y + 20, "m", string);
			x += width + 8;
		}
	return y;
}

static int draw_memories(FILE *out, const struct plan *plan, int y)
{
	y = heading(out, y, "Memories", "who sees each, with which rights, at which guest-physical addresses");
	for (unsigned i = 0; i < plan->config.memory_count; i++) {
		const struct config_memory *m = &plan->memories[i];
		box(out, MARGIN, y + 5, 10, 22, colour(m->owner), "rx=\"2\"");
		label(out, MARGIN + 18, y + 21, "b", m->name);
		label(out, MARGIN + 160, y + 21, "t", size_text(m->size));
		label(out, MARGIN + 245, y + 21, "n", text("%s", place_text(m)));
		y = draw_maps(out, plan, i, y) + ROW;
	}
	return y + SECTION_GAP - 8;
}

/* A scheduled CPU's vCPUs, side by side. When each runs is in its time line. */
static void draw_slots(FILE *out, const struct plan *plan, const struct config_cpu *c, int y)
{
	double width = (INNER - 80.0) / c->slot_count;

	for (unsigned i = 0; i < c->slot_count; i++) {
		const char *name = plan->partitions[c->slots[i].partition].name;
		const char *more = text("vCPU %u", c->slots[i].vcpu);
		double x = MARGIN + 80 + width * i, after = 20 + BOLD_CHARACTER * (double)strlen(name);
		box(out, x, y + 3, width - 2, 26, colour(c->slots[i].partition), "rx=\"3\"");
		if (after < width)
			label(out, x + 12, y + 21, "w b", name);
		if (after + 60 < width)
			label(out, x + after, y + 21, "w", more);
	}
}

static int draw_cpus(FILE *out, const struct plan *plan, int y)
{
	y = heading(out, y, "CPUs", "in the order of the firmware's table, boot CPU first");
	for (unsigned i = 0; i < plan->config.cpu_count; i++) {
		const struct config_cpu *c = &plan->cpus[i];
		box(out, MARGIN, y + 3, 70, 26, "#fff", "rx=\"3\" stroke=\"#4a4f57\"");
		label(out, MARGIN + 12, y + 21, "b", text("CPU %u", i));
		if (c->slot_count == 0) {
			box(out, MARGIN + 80, y + 3, INNER - 80, 26, "#eef1f5",
			    "rx=\"3\" stroke=\"#c9ced6\" stroke-dasharray=\"5 4\"");
			label(out, MARGIN + 92, y + 21, "n", "parked");
		} else if (!c->scheduled) {
			const struct config_partition *p = &plan->partitions[c->slots->partition];
			box(out, MARGIN + 80, y + 3, INNER - 80, 26, colour(c->slots->partition), "rx=\"3\"");
			label(out, MARGIN + 92, y + 21, "w b", p->name);
			label(out, MARGIN + 240, y + 21, "w",
			      text("vCPU %u, APIC ID %u, dedicated: all of the time", c->slots->vcpu,
			           p->vcpus[c->slots->vcpu].apic_id));
		} else {
			draw_slots(out, plan, c, y);
		}
		y += ROW;
	}
	return y + SECTION_GAP - 8;
}

/* How much of `string` goes on a line: up to the last comma, or else blank, that fits. */
static size_t line_length(const char *string)
{
	size_t length = strlen(string), comma = 0, blank = 0;

	if (length <= CELL_CHARACTERS)
		return length;
	for (size_t i = 0; i <= CELL_CHARACTERS; i++) {
		if (string[i] == ' ')
			blank = i;
		if (string[i] == ' ' && i > 0 && string[i - 1] == ',')
			comma = i;
	}
	return comma > 0 ? comma : blank > 0 ? blank : CELL_CHARACTERS;
}

/* A label and its text, in lines that fit. Returns the y of the next line. */
static int card_text(FILE *out, double x, int y, const char *name, const char *string)
{
	label(out, x + 14, y, "n", name);
	while (*string != '\0') {
		size_t length = line_length(string);
		label(out, x + CARD_LABEL, y, "t", text("%.*s", (int)length, string));
		string += length + (string[length] == ' ');
		y += CARD_LINE;
	}
	return y;
}

static int draw_card(FILE *out, const struct plan *plan, unsigned index, double x, int y)
{
	const struct config_partition *p = &plan->partitions[index];
	const struct plan_partition *e = &plan->extra[index];

	box(out, x, y, CARD_WIDTH, CARD_HEAD, colour((uint16_t)index), "rx=\"4\"");
	label(out, x + 14, y + 22, "w b", p->name);
	fprintf(out, "<text x=\"%.1f\" y=\"%d\" class=\"w s\" text-anchor=\"end\">%s</text>\n", x + CARD_WIDTH - 14,
	        y + 22, escape(boot_text(e)));
	y += CARD_HEAD + 22;
	y = card_text(out, x, y, "hypercalls",
	              text("%s%s", hypercalls_text(p),
	                   (p->flags & PARTITION_CPL3_HYPERCALLS) != 0 ? " (also from user mode)" : ""));
	y = card_text(out, x, y, "ports", ports_text(p));
	y = card_text(
		out, x, y, "MSRs",
		text("%u direct, %u answered by the core", count_msrs(plan, p, true), count_msrs(plan, p, false)));
	y = card_text(out, x, y, "on error", actions_text(p, 0, ERROR_CLASS_COUNT));
	return y;
}

static int draw_rights(FILE *out, const struct plan *plan, int y)
{
	y = heading(out, y, "Rights", "what is not listed is denied");
	for (unsigned i = 0; i < plan->config.partition_count; i += 2) {
		int left = draw_card(out, plan, i, MARGIN, y), right = left;
		if (i + 1u < plan->config.partition_count)
			right = draw_card(out, plan, i + 1, MARGIN + CARD_WIDTH + CARD_GAP, y);
		int bottom = left > right ? left : right;
		for (unsigned j = i; j < i + 2u && j < plan->config.partition_count; j++)
			box(out, MARGIN + (j - i) * (CARD_WIDTH + CARD_GAP), y, CARD_WIDTH, bottom - y - 6, "none",
			    text("rx=\"4\" stroke=\"%s\" stroke-width=\"1.3\"", colour((uint16_t)j)));
		y = bottom + CARD_GAP - 6;
	}
	return y;
}

void emit_svg(FILE *out, const struct plan *plan)
{
	char *body = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&body, &size);
	int y = 64;

	if (stream == NULL)
		fail(1, "out of memory");
	y = draw_board(stream, plan, y);
	y = draw_memories(stream, plan, y);
	y = draw_cpus(stream, plan, y);
	y = draw_time(stream, plan, y);
	y = draw_rights(stream, plan, y);
	fclose(stream);
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n",
	        WIDTH, y + 8, WIDTH, y + 8);
	fprintf(out, "<style>text{font:13px 'DejaVu Sans',Verdana,sans-serif;fill:#22262c}"
	             ".title{font-size:22px;font-weight:bold}.h{font-size:15px;font-weight:bold}.b{font-weight:bold}"
	             ".n{fill:#6a7280;font-size:12px}.w{fill:#fff}.s{font-size:11px}"
	             ".m{font:11px 'DejaVu Sans Mono',monospace}.t{font-size:12px}</style>\n");
	box(out, 0, 0, WIDTH, y + 8, "#fff", "");
	label(out, MARGIN, 42, "title", text("Plan of '%s'", plan->config.name));
	fwrite(body, 1, size, out);
	fprintf(out, "</svg>\n");
}

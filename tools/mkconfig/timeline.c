// SPDX-License-Identifier: Apache-2.0
/* The time line of each scheduled CPU in each schedule: as text, and in the plan's picture. */
#include "picture.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS 100 /* of the text's bar */
#define GUARD_SIGN '-'
#define SLACK_SIGN '.'
#define LISTED 4 /* windows of a partition, before they are only counted */

#define BAR_X (MARGIN + 80)
#define BAR_WIDTH (INNER - 80)
#define BAR_HEIGHT 44
#define TICKS_MAX 10u
#define LINE 21
#define NAME_WIDTH 150
#define SHARE_WIDTH 215
#define CHARACTER 8

const char *slots_text(const struct plan *plan, const struct config_cpu *c)
{
	const char *list = "";

	for (unsigned i = 0; i < c->slot_count; i++)
		list = text("%s%s%s vCPU %u", list, i > 0 ? ", " : "", plan->partitions[c->slots[i].partition].name,
		            c->slots[i].vcpu);
	return list;
}

/* A frame's time, divided. */
struct share {
	uint64_t windows, guard, slack;
};

static struct share share_of(const struct plan *plan, const struct config_frame *f)
{
	struct share share = { .guard = (uint64_t)f->window_count * plan->config.guard };

	for (unsigned i = 0; i < f->window_count; i++)
		share.windows += f->windows[i].length;
	share.slack = f->length - share.windows - share.guard;
	return share;
}

static uint64_t time_of(const struct config_frame *f, unsigned partition)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < f->window_count; i++)
		if (f->windows[i].partition == partition)
			sum += f->windows[i].length;
	return sum;
}

static const char *percent_text(uint64_t part, uint64_t whole)
{
	return text("%.1f %%", 100.0 * (double)part / (double)whole);
}

static const char *amount_text(uint64_t part, const struct config_frame *f)
{
	return text("%s, %s", time_text(part), percent_text(part, f->length));
}

/* "100 us every 1 ms from 0 us", or the windows one by one. */
static const char *windows_text(const struct config_frame *f, unsigned partition)
{
	const struct config_window *first = NULL;
	uint32_t count = 0, step;
	const char *list = "";
	bool even = true;

	for (unsigned i = 0; i < f->window_count; i++) {
		const struct config_window *w = &f->windows[i];
		if (w->partition != partition)
			continue;
		first = first != NULL ? first : w;
		if (count < LISTED)
			list = text("%s%s%s to %s", list, count > 0 ? ", " : "", time_text(w->start),
			            time_text(w->start + w->length));
		count++;
	}
	if (first == NULL)
		return "no window";
	step = f->length / count;
	for (const struct config_window *w = first; w < f->windows + f->window_count; w++)
		if (w->partition == partition)
			even &= w->length == first->length && (w->start - first->start) % step == 0;
	if (even && count > 1 && f->length % count == 0)
		return text("%s every %s from %s", time_text(first->length), time_text(step), time_text(first->start));
	return count > LISTED ? text("%s and %u more", list, count - LISTED) : list;
}

/* A partition's windows in a frame, and what it has or wants beside them. */
static const char *partition_text(const struct plan *plan, const struct config_frame *f, const struct config_cpu *c,
                                  unsigned slot)
{
	const struct config_partition *p = &plan->partitions[c->slots[slot].partition];
	uint32_t rate = p->rate_period != 0 ? SECOND / p->rate_period : 0;
	const char *wish = rate == 0        ? "" :
	                   rate % 1000 == 0 ? text("; asks for %u kHz", rate / 1000) :
	                                      text("; asks for %u Hz", rate);

	return text("%s%s%s", windows_text(f, c->slots[slot].partition),
	            p->vcpus[c->slots[slot].vcpu].background ? ", and slack" : "", wish);
}

/* What else there is to say of a vCPU; NULL: nothing, it has all that its partition's windows give. */
static const char *vcpu_text(const struct plan *plan, const struct config_frame *f, const struct config_cpu *c,
                             unsigned slot)
{
	const struct config_partition *p = &plan->partitions[c->slots[slot].partition];
	const struct config_vcpu *v = &p->vcpus[c->slots[slot].vcpu];
	unsigned here = 0;

	for (unsigned i = 0; i < c->slot_count; i++)
		here += c->slots[i].partition == c->slots[slot].partition;
	if (time_of(f, c->slots[slot].partition) == 0 || (here == 1 && v->budget == 0))
		return NULL;
	return text("vCPU %u: priority %u, %s%s", c->slots[slot].vcpu, v->priority,
	            v->budget != 0 ? text("budget %s per %s", time_text(v->budget), time_text(v->period)) : "no budget",
	            v->early != 0 ? ", opens early" : "");
}

static bool first_slot(const struct config_cpu *c, unsigned slot)
{
	return slot == 0 || c->slots[slot - 1].partition != c->slots[slot].partition;
}

static const char *flush_list(const struct config *c)
{
	const char *list = "";

	for (unsigned i = 0; c->flush >> i != 0; i++)
		if ((c->flush >> i & 1) != 0)
			list = text("%s%s%s", list, list[0] != '\0' ? ", " : "", flush_names[i]);
	return list[0] != '\0' ? list : "nothing";
}

/* ---- text ---- */

static char letter(unsigned partition)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@#";

	return letters[partition % (sizeof letters - 1)];
}

static void mark(char *bar, const struct config_frame *f, uint64_t from, uint64_t to, char sign)
{
	uint64_t first = from * COLUMNS / f->length, end = (to * COLUMNS + f->length - 1) / f->length;

	for (uint64_t i = first; i < end && i < COLUMNS; i++)
		bar[i] = sign;
}

static const char *bar_text(const struct plan *plan, const struct config_frame *f)
{
	char *bar = allocate(COLUMNS + 1);

	memset(bar, SLACK_SIGN, COLUMNS);
	for (unsigned i = 0; i < f->window_count; i++) { /* what begins later covers what rounding made longer */
		const struct config_window *w = &f->windows[i];
		uint64_t end = (uint64_t)w->start + w->length;
		mark(bar, f, end, end + plan->config.guard, GUARD_SIGN);
		mark(bar, f, w->start, end, letter(w->partition));
	}
	return bar;
}

static void emit_frame(FILE *out, const struct plan *plan, unsigned schedule, unsigned cpu)
{
	const struct config_frame *f = &plan->config.schedules[schedule].frames[cpu];
	const struct config_cpu *c = &plan->cpus[cpu];
	struct share share = share_of(plan, f);

	fprintf(out, "\n  schedule %s, CPU %u, frame %s\n    %s\n", plan->config.schedules[schedule].name, cpu,
	        time_text(f->length), bar_text(plan, f));
	for (unsigned i = 0; i < c->slot_count; i++) {
		unsigned partition = c->slots[i].partition;
		const char *more;
		if (!first_slot(c, i))
			continue;
		fprintf(out, "    %c  %-15s %7s  %s\n", letter(partition), plan->partitions[partition].name,
		        percent_text(time_of(f, partition), f->length), partition_text(plan, f, c, i));
		for (unsigned j = i; j < c->slot_count; j++)
			if (c->slots[j].partition == partition && (more = vcpu_text(plan, f, c, j)) != NULL)
				fprintf(out, "%32s%s\n", "", more);
	}
	fprintf(out, "    %c  %-15s %7s  %s after each window\n", GUARD_SIGN, "(guard)",
	        percent_text(share.guard, f->length), time_text(plan->config.guard));
	fprintf(out, "    %c  %-15s %7s\n", SLACK_SIGN, "(slack)", percent_text(share.slack, f->length));
}

void emit_time(FILE *out, const struct plan *plan)
{
	if (plan->config.schedule_count == 0)
		return;
	fprintf(out, "\nTIME of scheduled CPUs; schedule %s is in force at the start; flushed between partitions: %s\n",
	        plan->config.schedules->name, flush_list(&plan->config));
	for (unsigned s = 0; s < plan->config.schedule_count; s++)
		for (unsigned i = 0; i < plan->config.cpu_count; i++)
			if (plan->cpus[i].scheduled)
				emit_frame(out, plan, s, i);
}

/* ---- picture ---- */

/* The smallest of 1, 2, 5, 10, 20, ... us that makes no more than TICKS_MAX steps. */
static uint32_t tick_step(uint32_t length)
{
	static const uint32_t next[] = { 2, 5, 10 };
	uint32_t power = 1;

	for (;; power *= 10) {
		if (length / power <= TICKS_MAX)
			return power;
		for (unsigned i = 0; i < LENGTH(next) - 1; i++)
			if (length / (next[i] * power) <= TICKS_MAX)
				return next[i] * power;
	}
}

static void draw_ticks(FILE *out, const struct config_frame *f, int y)
{
	uint32_t step = tick_step(f->length);

	for (uint32_t t = 0; t <= f->length; t += step) {
		double x = BAR_X + BAR_WIDTH * (double)t / f->length;
		const char *anchor = t == 0 ? "start" : t == f->length ? "end" : "middle";
		box(out, x - 0.5, y, 1, 5, "#6a7280", "");
		fprintf(out, "<text x=\"%.1f\" y=\"%d\" class=\"n\" text-anchor=\"%s\">%s</text>\n", x, y + 18, anchor,
		        time_text(t));
	}
}

static void draw_window(FILE *out, const struct plan *plan, const struct config_frame *f, const struct config_window *w,
                        int y)
{
	double scale = (double)BAR_WIDTH / f->length, x = BAR_X + w->start * scale, width = w->length * scale;
	double guard = plan->config.guard * scale;
	const char *name = plan->partitions[w->partition].name, *length = time_text(w->length);

	box(out, x + width, y, guard > 1.5 ? guard : 1.5, BAR_HEIGHT, "url(#guard)", "");
	box(out, x, y, width, BAR_HEIGHT, colour(w->partition), "");
	if (width > CHARACTER * (double)strlen(name) + 14)
		label(out, x + 7, y + 19, "w b", name);
	if (width > CHARACTER * (double)strlen(length) + 14)
		label(out, x + 7, y + 35, "w s", length);
}

/* A row of the legend: a colour, a name, its share, and what is to say of it. */
static int draw_row(FILE *out, int y, const char *fill, const char *name, const char *share, const char *more)
{
	if (fill != NULL)
		box(out, BAR_X, y + 3, 12, 12, fill, "rx=\"2\" stroke=\"#c9ced6\" stroke-width=\"0.7\"");
	label(out, BAR_X + 20, y + 14, "b t", name);
	label(out, BAR_X + NAME_WIDTH, y + 14, "t", share);
	label(out, BAR_X + SHARE_WIDTH + 85, y + 14, "t", more);
	return y + LINE;
}

static int draw_legend(FILE *out, const struct plan *plan, const struct config_frame *f, const struct config_cpu *c,
                       int y)
{
	struct share share = share_of(plan, f);

	for (unsigned i = 0; i < c->slot_count; i++) {
		unsigned partition = c->slots[i].partition;
		const char *more;
		if (!first_slot(c, i))
			continue;
		y = draw_row(out, y, colour((uint16_t)partition), plan->partitions[partition].name,
		             amount_text(time_of(f, partition), f), partition_text(plan, f, c, i));
		for (unsigned j = i; j < c->slot_count; j++)
			if (c->slots[j].partition == partition && (more = vcpu_text(plan, f, c, j)) != NULL)
				y = draw_row(out, y, NULL, "", "", more);
	}
	y = draw_row(out, y, "url(#guard)", "guard", amount_text(share.guard, f),
	             text("%s after each window", time_text(plan->config.guard)));
	return draw_row(out, y, "#eef1f5", "slack", amount_text(share.slack, f),
	                "and what window owners leave unused: to vCPUs with a right to it, else idle");
}

static int draw_frame(FILE *out, const struct plan *plan, unsigned schedule, unsigned cpu, int y)
{
	const struct config_frame *f = &plan->config.schedules[schedule].frames[cpu];

	box(out, MARGIN, y + (BAR_HEIGHT - 26) / 2.0, 70, 26, "#fff", "rx=\"3\" stroke=\"#4a4f57\"");
	label(out, MARGIN + 12, y + BAR_HEIGHT / 2.0 + 5, "b", text("CPU %u", cpu));
	box(out, BAR_X, y, BAR_WIDTH, BAR_HEIGHT, "#eef1f5", "");
	for (unsigned i = 0; i < f->window_count; i++)
		draw_window(out, plan, f, &f->windows[i], y);
	box(out, BAR_X, y, BAR_WIDTH, BAR_HEIGHT, "none", "stroke=\"#4a4f57\"");
	draw_ticks(out, f, y + BAR_HEIGHT);
	return draw_legend(out, plan, f, &plan->cpus[cpu], y + BAR_HEIGHT + 28) + 16;
}

int draw_time(FILE *out, const struct plan *plan, int y)
{
	if (plan->config.schedule_count == 0)
		return y;
	y = heading(out, y, "Time",
	            text("schedule %s is in force at the start; flushed between partitions: %s",
	                 plan->config.schedules->name, flush_list(&plan->config)));
	fprintf(out, "<defs><pattern id=\"guard\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
	             "patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" fill=\"#fff\"/>"
	             "<rect width=\"2\" height=\"5\" fill=\"#4a4f57\"/></pattern></defs>\n");
	for (unsigned s = 0; s < plan->config.schedule_count; s++) {
		label(out, BAR_X, y + 12, "b", text("Schedule %s", plan->config.schedules[s].name));
		y += 20;
		for (unsigned i = 0; i < plan->config.cpu_count; i++)
			if (plan->cpus[i].scheduled)
				y = draw_frame(out, plan, s, i, y);
	}
	return y + SECTION_GAP - 16;
}

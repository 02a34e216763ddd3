// SPDX-License-Identifier: Apache-2.0
/*
 * The neighbour of a hostile partition: a 1 kHz task that is silent while it measures and says afterwards, attack by
 * attack, what it felt:
 *
 *   WATCH <attack> periods=<n> missed=<n> min=<ticks> max=<ticks> exits=<n>
 *   RESULT watch rows=<n> memory=<0|1> state=<0|1> strays=<n>
 *
 * The first row, quiet, is the time before the first attack and the yardstick for the others. exits: VM exits beyond
 * the one that reads the counter at each row's end. memory: a pattern of 256 KiB, one in the shared page that attackers
 * may only read, and the first page of text are unchanged; state: so are control, debug and model-specific registers.
 * strays: interrupts nobody here asked for.
 */
#include "hostile/note.h"

#define HZ 1000u
#define ROWS 48u
#define PATTERN_WORDS (256u * 1024 / 8)
#define PAGE_WORDS (4096u / 8)
#define TEXT_WORDS (4096u / 8)
#define NMI_VECTOR 2

extern const uint64_t _start[TEXT_WORDS];

static struct row {
	char name[NOTE_NAME + 1];
	uint64_t periods, missed, min, max;
	int64_t exits;
} rows[ROWS], *volatile row = rows;

static volatile struct note *note;
static uint64_t period, deadline, nmis;
static uint64_t pattern[PATTERN_WORDS], text[TEXT_WORDS];
static uint64_t *page; /* shared, and the attacker may only read it */

static void on_timer(struct kit_frame *frame)
{
	uint64_t latency = rdtsc() - deadline, missed = latency / period;
	struct row *r = row;
	(void)frame;
	deadline += (missed + 1) * period;
	kit_timer_at(deadline);
	r->min = r->periods == 0 || latency < r->min ? latency : r->min;
	r->max = latency > r->max ? latency : r->max;
	r->missed += missed;
	r->periods++;
}

static void on_nmi(struct kit_frame *frame)
{
	(void)frame;
	nmis++;
}

/* Fills the words or looks whether they are still there. */
static bool is_whole(bool fill, uint64_t *words, uint64_t count)
{
	bool whole = true;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t word = (i + 1) * 0x9e3779b97f4a7c15;
		words[i] = fill ? word : words[i];
		whole &= words[i] == word;
	}
	return whole;
}

static bool memory_is_whole(bool fill)
{
	bool whole = is_whole(fill, pattern, PATTERN_WORDS);
	if (page)
		whole &= is_whole(fill, page, PAGE_WORDS);
	for (unsigned i = 0; i < TEXT_WORDS; i++) {
		text[i] = fill ? _start[i] : text[i];
		whole &= text[i] == _start[i];
	}
	return whole;
}

#define STATE_WORDS 12u
static void read_state(uint64_t state[STATE_WORDS])
{
	uint64_t now[STATE_WORDS] = {
		read_cr0(),   read_cr3(),   read_cr4(),        read_cr8(),
		read_dr0(),   read_dr6(),   read_dr7(),        rdmsr(0x277), /* PAT */
		rdmsr(0x174), rdmsr(0x176), rdmsr(0xc0000080), rdmsr(0xc0000082)
	}; /* EFER, LSTAR */
	for (unsigned i = 0; i < STATE_WORDS; i++)
		state[i] = now[i];
}

static void start(void)
{
	wait_until(after_loader(WATCH_BEGIN_MS));
	kit_timer_start(on_timer);
	deadline = rdtsc() + 5 * period;
	kit_timer_at(deadline);
}

/* The name is a stranger's text. */
static void next_row(void)
{
	struct row *next = row + (row + 1 < rows + ROWS);
	for (unsigned i = 0; i < NOTE_NAME; i++) {
		char c = note->name[i];
		next->name[i] = c >= 'a' && c <= 'z' ? c : '\0';
	}
	row = next;
}

static void end_row(int64_t *exits)
{
	int64_t now = kit_counter(BH_COUNTER_EXITS);
	row->exits = now - *exits - 1;
	*exits = now;
}

static void measure(void)
{
	uint64_t number = 0;
	start();
	int64_t exits = kit_counter(BH_COUNTER_EXITS);
	while (!note->until || rdtsc() < note->until) {
		wait_for_interrupt();
		if (note->number == number)
			continue;
		number = note->number;
		end_row(&exits);
		next_row();
	}
	end_row(&exits);
}

int main(const struct kit_info *info)
{
	uint64_t before[STATE_WORDS], after[STATE_WORDS];
	note = note_find(info);
	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (memcmp(info->map[i].name, "page", sizeof "page") == 0)
			page = (uint64_t *)info->map[i].gpa;
	period = kit_tsc_khz() * 1000 / HZ;
	memcpy(rows[0].name, "quiet", sizeof "quiet");
	kit_handle(NMI_VECTOR, on_nmi);
	memory_is_whole(true);
	read_state(before);
	measure();
	read_state(after);
	for (struct row *r = rows; r <= row; r++)
		kit_printf("WATCH %s periods=%lu missed=%lu min=%lu max=%lu exits=%ld\n", r->name, r->periods,
		           r->missed, r->min, r->max, r->exits);
	kit_printf("watch: longest stay in root mode of this CPU %ld ticks, switch %ld\n",
	           kit_counter(BH_COUNTER_STAY_MAX), kit_counter(BH_COUNTER_SWITCH_MAX));
	kit_printf("RESULT watch rows=%lu memory=%d state=%d strays=%lu\n", (uint64_t)(row + 1 - rows),
	           memory_is_whole(false), memcmp(before, after, sizeof before) == 0, kit_stray_interrupts + nmis);
	return 0;
}

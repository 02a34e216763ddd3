// SPDX-License-Identifier: Apache-2.0
/*
 * What messages between partitions cost, guest to guest, in TSC ticks. The partition "left" sends, "right" receives; each runs all the time on a
 * CPU of its own.
 *
 *   FIGURE <name> min= med= max= overhead= n=
 *   RESULT portbench <left or right> ...
 */
#include "kit.h"
#include "ports.h"

#define REPEAT 1000u
#define MESSAGE 64u
#define REST 3000u /* ticks between two rings */
#define BULK (64u << 10)
#define BULK_REPEAT 50u
#define TEXT_MS 100u

/* What one side tells the other, in memory that only it can write. */
struct note {
	volatile uint64_t ready, done, heard;
	uint8_t bulk[];
};

static uint64_t sample[REPEAT], overhead;
static uint8_t block[BULK];
static const struct note *theirs;
static struct note *mine;

static uint64_t patience(void)
{
	return rdtsc() + 2000 * kit_tsc_khz();
}

static void wait_for(const volatile uint64_t *word)
{
	for (uint64_t end = patience(); !*word && rdtsc() < end;)
		pause();
}

static void report(const char *name, uint64_t *ticks, unsigned n)
{
	kit_sort(ticks, n);
	kit_printf("FIGURE %s min=%lu med=%lu max=%lu overhead=%lu n=%u\n", name, ticks[0], ticks[n / 2], ticks[n - 1],
	           overhead, n);
}

#define MEASURE(name, what)                             \
	do {                                            \
		for (unsigned i = 0; i < REPEAT; i++) { \
			uint64_t start = rdtsc();       \
			what;                           \
			sample[i] = rdtsc() - start;    \
		}                                       \
		if (!overhead) {                        \
			kit_sort(sample, REPEAT);       \
			overhead = sample[REPEAT / 2];  \
		}                                       \
		report(name, sample, REPEAT);           \
	} while (0)

/* Successful calls only; the other side makes room, or sends, in between. */
static void measure_queue(const struct kit_port *port, const char *name)
{
	unsigned n = 0;

	for (uint64_t end = patience(); n < REPEAT && rdtsc() < end;) {
		uint64_t start = rdtsc();
		int64_t result = port->source ? hypercall2(BH_PORT_SEND, port->number, MESSAGE) :
		                                hypercall1(BH_PORT_RECEIVE, port->number);
		sample[n] = rdtsc() - start;
		n += result >= 0;
	}
	report(name, sample, n);
}

/* What was printed leaves by and by, with exits of this CPU's own. */
static void let_text_out(void)
{
	const uint64_t khz = kit_tsc_khz();

	for (uint64_t start = rdtsc(); rdtsc() - start < TEXT_MS * khz;)
		pause();
}

static void bulk(void *to, uint64_t *ticks)
{
	for (unsigned i = 0; i < BULK_REPEAT; i++) {
		uint64_t start = rdtsc();
		memcpy(to, block + BULK / 2, BULK / 2);
		ticks[i] = rdtsc() - start;
	}
}

static void left(const struct kit_info *info)
{
	const struct kit_port *sampling = kit_port(info, "speed"), *queue = kit_port(info, "orders");
	const struct kit_doorbell *bell = kit_doorbell(info, "wake");
	int64_t exits;
	unsigned n = 0;

	const uint64_t speed = sampling->number;

	MEASURE("rdtsc", );
	MEASURE("null", hypercall1(BH_VERSION, 0));
	MEASURE("sampling_write", hypercall2(BH_PORT_SEND, speed, MESSAGE));
	mine->ready = 1;
	MEASURE("sampling_write_watched", hypercall2(BH_PORT_SEND, speed, MESSAGE));
	wait_for(&theirs->ready);
	measure_queue(queue, "queuing_send");
	wait_for(&theirs->done);
	while (n < REPEAT) {
		uint64_t before = theirs->heard, start;
		for (start = rdtsc(); rdtsc() - start < REST;)
			pause();
		start = rdtsc();
		kit_ring(bell);
		while (theirs->heard == before && rdtsc() - start < 1000000)
			pause();
		if (theirs->heard == before)
			break;
		sample[n++] = theirs->heard - start;
	}
	report("doorbell", sample, n);
	mine->done = 1;
	let_text_out();
	exits = kit_counter(BH_COUNTER_EXITS);
	bulk(block, sample);
	bulk(mine->bulk, sample + BULK_REPEAT);
	exits = kit_counter(BH_COUNTER_EXITS) - exits - 1;
	report("bulk_private", sample, BULK_REPEAT);
	report("bulk_shared", sample + BULK_REPEAT, BULK_REPEAT);
	kit_printf("RESULT portbench left bulk_exits=%ld\n", exits);
}

static const struct kit_doorbell *heard_here;

static void on_ring(struct kit_frame *frame)
{
	const uint64_t now = rdtsc();

	(void)frame;
	kit_doorbells_take(heard_here);
	mine->heard = now;
}

static void right(const struct kit_info *info)
{
	const struct kit_port *sampling = kit_port(info, "speed"), *queue = kit_port(info, "orders");
	int64_t exits;

	wait_for(&theirs->ready);
	MEASURE("rdtsc", );
	MEASURE("sampling_read", hypercall1(BH_PORT_RECEIVE, sampling->number));
	mine->ready = 1;
	measure_queue(queue, "queuing_receive");
	heard_here = kit_doorbell(info, "wake");
	kit_handle(heard_here->vector, on_ring);
	kit_doorbells_take(heard_here);
	let_text_out();
	const uint64_t end = patience();
	exits = kit_counter(BH_COUNTER_EXITS);
	mine->done = 1;
	sti();
	while (!theirs->done && rdtsc() < end)
		pause();
	cli();
	kit_printf("RESULT portbench right doorbell_exits=%ld\n", kit_counter(BH_COUNTER_EXITS) - exits - 1);
}

int main(const struct kit_info *info)
{
	mine = (struct note *)info->map[0].gpa; /* in this order in the configuration */
	theirs = (const struct note *)info->map[1].gpa;
	if (info->name[0] == 'l')
		left(info);
	else
		right(info);
	return 0;
}

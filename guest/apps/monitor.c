// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor that tries what a monitor can do, on the partitions of tests/system/monitor.yaml, by their numbers there:
 *
 *   MONITOR <whom> <what> <ok|BAD> <value>
 *   RESULT monitor bad=<n> lives=<its own>
 */
#include "worker/orders.h"

enum { SELF, WORKER, STANDBY, TWIN, PRIMARY, COUNT };

#define FRAME_MS 4u
#define CALL_VECTOR 0x60

static volatile struct orders *page[COUNT];
static uint64_t ms, bad;
static volatile uint64_t calls;

static void on_call(struct kit_frame *frame)
{
	(void)frame;
	calls++;
}

static int64_t call(uint64_t number, uint64_t whom, uint64_t what)
{
	const uint64_t argument[6] = { whom, what };

	return hypercall(number, argument);
}

static uint64_t word(unsigned whom)
{
	return (uint64_t)call(BH_PARTITION_STATUS, whom, BH_STATUS_LIFE);
}

#define STATE(word) ((word)&0xff)
#define REASON(word) ((word) >> 8 & 0xff)
#define CHANGES(word) ((word) >> 16 & 0xffff)
#define RESTARTS(word) ((word) >> 32)

static void expect(unsigned whom, const char *what, bool right, uint64_t value)
{
	static const char *const names[COUNT] = { "self", "worker", "standby", "twin", "primary" };

	bad += !right;
	kit_printf("MONITOR %s %s %s %lx\n", names[whom], what, right ? "ok" : "BAD", value);
}

/* Wait for a state, 400 ms at most, and for `changes` changes. */
static bool becomes(unsigned whom, uint64_t state, uint64_t changes)
{
	for (uint64_t end = rdtsc() + 400 * ms; rdtsc() < end; wait_until(rdtsc() + ms / 4))
		if (STATE(word(whom)) == state && CHANGES(word(whom)) >= changes)
			return true;
	return false;
}

static bool lives(unsigned whom)
{
	const uint64_t alive = page[whom]->alive, second = page[whom]->second;

	wait_until(rdtsc() + 8 * ms);
	return page[whom]->alive != alive && (whom != TWIN || page[whom]->second != second);
}

static bool rests(unsigned whom)
{
	const uint64_t alive = page[whom]->alive, second = page[whom]->second;

	wait_until(rdtsc() + 8 * ms);
	return page[whom]->alive == alive && page[whom]->second == second;
}

static void tell(unsigned whom, uint64_t order)
{
	page[whom]->done = UINT64_MAX;
	page[whom]->order = order;
}

static bool obeys(unsigned whom, uint64_t order)
{
	tell(whom, order);
	for (uint64_t end = rdtsc() + 100 * ms; rdtsc() < end; wait_until(rdtsc() + ms / 4))
		if (page[whom]->done == order)
			return true;
	return false;
}

/* One life ends by `order` or `number`, another begins. */
static void again(unsigned whom, const char *what, uint64_t order, uint64_t number)
{
	const uint64_t before = word(whom), count = page[whom]->lives;
	bool right;

	if (order)
		tell(whom, order);
	if (order == ORDER_HANG)
		wait_until(rdtsc() + 4 * ms);
	right = !number || call(number, whom, 0) == 0;
	right = right && becomes(whom, BH_STATE_RUNNING, CHANGES(before) + 2);
	page[whom]->order = ORDER_LIVE;
	right = right && lives(whom) && page[whom]->lives == count + 1;
	right = right && RESTARTS(word(whom)) == RESTARTS(before) + (number != BH_PARTITION_START);
	expect(whom, what, right, word(whom));
}

static void all_of(unsigned whom)
{
	uint64_t before;

	expect(whom, "begins", becomes(whom, BH_STATE_RUNNING, 1) && lives(whom), word(whom));
	again(whom, "reset", ORDER_LIVE, BH_PARTITION_RESET);
	expect(whom, "stop", call(BH_PARTITION_STOP, whom, 0) == 0 && becomes(whom, BH_STATE_STOPPED, 0) && rests(whom),
	       word(whom));
	before = word(whom);
	expect(whom, "stop-again", call(BH_PARTITION_STOP, whom, 0) == 0 && rests(whom) && word(whom) == before,
	       word(whom));
	again(whom, "start", ORDER_LIVE, BH_PARTITION_START);
	before = word(whom);
	expect(whom, "start-again", call(BH_PARTITION_START, whom, 0) == 0 && lives(whom) && word(whom) == before,
	       word(whom));
	tell(whom, ORDER_STOP);
	expect(whom, "stops-itself", becomes(whom, BH_STATE_STOPPED, 0) && REASON(word(whom)) == BH_REASON_CALL,
	       word(whom));
	again(whom, "reset-stopped", ORDER_LIVE, BH_PARTITION_RESET);
	again(whom, "reset-hung", ORDER_HANG, BH_PARTITION_RESET);
	before = page[whom]->lives;
	for (unsigned i = 0; i < 50; i++) /* a restart during a restart */
		call(BH_PARTITION_RESET, whom, 0);
	expect(whom, "reset-storm",
	       becomes(whom, BH_STATE_RUNNING, CHANGES(word(whom)) + 1) && lives(whom) && page[whom]->lives > before,
	       word(whom));
	again(whom, "silence", ORDER_SILENCE, 0);
	expect(whom, "heartbeat-storm", obeys(whom, ORDER_STORM) && lives(whom), word(whom));
	again(whom, "crash", ORDER_CRASH, 0);
	call(BH_EVENTS, 0, 0);
	calls = 0;
	tell(whom, ORDER_CRASH); /* the third one is beyond the limit, 2 in 10 s */
	expect(whom, "limit", becomes(whom, BH_STATE_FAILED, 0) && REASON(word(whom)) == 0 && rests(whom), word(whom));
	before = (uint64_t)call(BH_EVENTS, 0, 0);
	expect(whom, "called", calls == 1, calls);
	expect(whom, "event", before == 1ull << whom && call(BH_EVENTS, 0, 0) == 0, before);
	page[whom]->order = ORDER_LIVE;
	again(whom, "start-failed", ORDER_LIVE, BH_PARTITION_START);
	obeys(whom, ORDER_RAISE);
	before = (uint64_t)call(BH_PARTITION_STATUS, whom, BH_STATUS_ERROR);
	expect(whom, "raises",
	       page[whom]->result[0] == (uint64_t)BH_EINVAL && page[whom]->result[1] == (uint64_t)BH_EINVAL &&
	               page[whom]->result[2] == 0 && (before & 0xff) == 11,
	       before);
	expect(whom, "no-right", obeys(whom, ORDER_CALLS) && page[whom]->result[0] == 0, page[whom]->result[0]);
}

static void seals(void)
{
	const bool obeyed = obeys(WORKER, ORDER_SEAL);
	volatile uint64_t *r = page[WORKER]->result;

	expect(WORKER, "seal-arguments", obeyed && r[0] == 0, r[0]);
	expect(WORKER, "seal-before", r[1] == 7, r[1]);
	expect(WORKER, "seal-write", r[2] == 2, r[2]);
	expect(WORKER, "seal-execute", r[3] == 0, r[3]);
	again(WORKER, "reset-sealed", ORDER_LIVE, BH_PARTITION_RESET);
	expect(WORKER, "seal-lifted", obeys(WORKER, ORDER_SEAL) && r[1] == 7, r[1]);
}

/* The primary's policy starts the standby, which was loaded with the others. */
static void fails_over(void)
{
	bool right = becomes(STANDBY, BH_STATE_STOPPED, 1) && page[STANDBY]->lives == 0;

	expect(STANDBY, "held", right, word(STANDBY));
	expect(PRIMARY, "begins", becomes(PRIMARY, BH_STATE_RUNNING, 1) && lives(PRIMARY), word(PRIMARY));
	tell(PRIMARY, ORDER_CRASH);
	right = becomes(STANDBY, BH_STATE_RUNNING, 0) && lives(STANDBY);
	expect(PRIMARY, "failed", STATE(word(PRIMARY)) == BH_STATE_FAILED && rests(PRIMARY), word(PRIMARY));
	expect(STANDBY, "takes-over", right && page[STANDBY]->born - page[PRIMARY]->died <= FRAME_MS * ms,
	       page[STANDBY]->born - page[PRIMARY]->died);
}

/* Each argument at its edges, and beyond; of the calls that change something only what names nobody. */
static void edges(void)
{
	static const uint64_t nobody[] = {
		COUNT, COUNT + 1, 63, 64, 65, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX
	};
	uint64_t wrong = 0;

	for (uint64_t number = BH_PARTITION_STATUS; number <= BH_PARTITION_RESET; number++)
		for (unsigned i = 0; i < sizeof nobody / sizeof nobody[0]; i++)
			wrong += call(number, nobody[i], 0) != BH_EINVAL;
	for (unsigned i = 0; i < COUNT; i++) {
		for (uint64_t what = 0; what <= BH_STATUS_ERROR; what++)
			wrong += call(BH_PARTITION_STATUS, i, what) < 0;
		wrong += call(BH_PARTITION_STATUS, i, 3) != BH_EINVAL;
		wrong += call(BH_PARTITION_STATUS, i, UINT64_MAX) != BH_EINVAL;
	}
	wrong += call(BH_HEARTBEAT, 0, 0) != BH_ENOCALL; /* it has none to give */
	wrong += call(BH_SEAL, 0, 1) != BH_ENOCALL;
	wrong += call(BH_RAISE_ERROR, 0, 0) != BH_ENOCALL;
	/* It watches the standby and does not control it. */
	for (uint64_t number = BH_PARTITION_STOP; number <= BH_PARTITION_RESET; number++)
		wrong += call(number, STANDBY, 0) != BH_EINVAL;
	expect(SELF, "edges", wrong == 0, wrong);
}

int main(const struct kit_info *info)
{
	ms = kit_tsc_khz();
	for (unsigned i = 0; i < COUNT; i++)
		page[i] = (volatile struct orders *)(info->map[0].gpa + i * 4096);
	page[SELF]->lives++;
	kit_handle(CALL_VECTOR, on_call);
	if (page[SELF]->lives == 1) {
		edges();
		fails_over();
		all_of(WORKER);
		seals();
		all_of(TWIN);
		page[SELF]->result[0] = bad;
		wait_until(rdtsc() + 20 * ms);
		call(BH_PARTITION_RESET, SELF, 0); /* a monitor that resets itself */
		wait_until(rdtsc() + 100 * ms);
		expect(SELF, "reset", false, 0);
	}
	kit_printf("RESULT monitor bad=%lu lives=%lu\n", page[SELF]->result[0], page[SELF]->lives);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/life_model.h"

#include <setjmp.h>
#include <string.h>

#include "core/core.h"
#include "core/reload.h"
#include "core/seal.h"
#include "core/window.h"
#include "ept/pagetable.h"
#include "hypercall/calls.h"

#define PAGES 1024u /* of the partition that seals: all of its own memory */
#define TABLES_HPA 0x60000000ull
#define STEPS 64u /* from a request to its end, more than ever needed */

static struct model {
	uint64_t restarted[RESTARTS_MAX]; /* TSC: by policy, number n at n % RESTARTS_MAX */
	uint64_t by_policy, events, beat, errors;
	uint32_t state, restarts;
	uint32_t asked; /* HEALTH_*: for the next settle() */
	uint8_t fresh;
} model[CONFIG_PARTITIONS];

static uint32_t payload_wrong; /* bits */
static uint64_t tables[5][512];
static uint8_t rights[PAGES];
static int seals_changed; /* since they were compared */

/* ---- what stands in the place of hardware and of loading ---- */

uint8_t *window(uint32_t slot, uint64_t hpa)
{
	(void)slot;
	if (hpa - TABLES_HPA < sizeof tables)
		return (uint8_t *)tables + (hpa - TABLES_HPA);
	return seam.guest_page + (hpa - 0x40000000);
}

void vmx_enter_again(struct vcpu *vcpu)
{
	(void)vcpu;
	seam.end = END_RESUME;
	longjmp(seam.back, 1);
}

void reload_begin(struct reload *r, uint16_t partition)
{
	*r = (struct reload){ .partition = partition };
}

void reload_step(struct reload *r)
{
	r->phase = r->phase == RELOAD_DIGEST && payload_wrong >> r->partition & 1 ? RELOAD_WRONG :
	           r->phase == RELOAD_DIGEST                                      ? RELOAD_SCRUB :
	                                                                            RELOAD_DONE;
}

void clean_init(void)
{
}

void clean_order(struct vcpu *vcpu)
{
	(void)vcpu;
}

int clean_parked(const struct vcpu *vcpu)
{
	(void)vcpu;
	return 1;
}

void clean_park(struct vcpu *vcpu)
{
	(void)vcpu;
}

void clean_registers(struct vcpu *vcpu)
{
	(void)vcpu;
}

int clean_step(struct vcpu *vcpu, uint32_t step)
{
	if (step == 0)
		ports_restart(vcpu->partition_index);
	return step < 2;
}

/* ---- the model ---- */

static uint32_t sealer(void)
{
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++)
		if (config.partitions[p].health->seals)
			return p;
	abort();
}

static void call_watchers(uint32_t p)
{
	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++)
		if (config.partitions[i].health->watches >> p & 1)
			model[i].events |= 1ull << p;
}

static void error_noted(uint32_t p, uint32_t class)
{
	model[p].errors = ((model[p].errors >> 8) + 1) << 8 | class;
}

static void fails(uint32_t p)
{
	model[p].state = BH_STATE_FAILED;
	call_watchers(p);
}

static void loaded(uint32_t p, uint32_t restarts)
{
	model[p].fresh = 0;
	model[p].restarts += restarts;
	if (p == sealer())
		seals_changed = 1, memset(rights, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, sizeof rights);
	if (payload_wrong >> p & 1) {
		error_noted(p, ERROR_PAYLOAD);
		fails(p);
		return;
	}
	model[p].state = BH_STATE_RUNNING;
	model[p].beat = 0;
	ports_model_restarted(p);
}

static void restart_by_policy(uint32_t p)
{
	const struct config_health *h = config.partitions[p].health;
	const uint64_t n = model[p].by_policy, period = h->restart_period_ms * tsc_khz;

	if (h->restarts && n >= h->restarts &&
	    seam.tsc - model[p].restarted[(n - h->restarts) % RESTARTS_MAX] < period) {
		fails(p);
		return;
	}
	model[p].restarted[model[p].by_policy++ % RESTARTS_MAX] = seam.tsc;
	loaded(p, 1);
}

static void starts(uint32_t p)
{
	if (model[p].state == BH_STATE_RUNNING)
		return;
	if (model[p].fresh) {
		model[p].fresh = 0;
		model[p].state = BH_STATE_RUNNING;
		ports_model_restarted(p);
		return;
	}
	loaded(p, 0);
}

/* Returns 0 where the machine ends. */
static int error(uint32_t p, uint32_t class)
{
	const uint32_t action = config.partitions[p].action[class];

	if (action == ACTION_IGNORE)
		return 1;
	if (action == ACTION_HALT_MACHINE)
		return 0;
	error_noted(p, class);
	if (action == ACTION_MONITOR)
		call_watchers(p);
	if (action == ACTION_FAILOVER)
		model[config.partitions[p].health->standby].asked |= HEALTH_START;
	if (action == ACTION_RESTART)
		restart_by_policy(p);
	else if (action >= ACTION_FAILOVER)
		fails(p);
	return 1;
}

static void end_of_asked(uint32_t p)
{
	const uint32_t asked = model[p].asked;

	model[p].asked = 0;
	if (asked & HEALTH_STOP && model[p].state == BH_STATE_RUNNING)
		model[p].state = BH_STATE_STOPPED;
	if (asked & HEALTH_RESET)
		loaded(p, 1);
	if (asked & HEALTH_START)
		starts(p);
}

/* ---- both, side by side ---- */

static void compare(void)
{
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++) {
		const uint64_t word = health_life[p].word;

		fuzz_require(health_requests[p] == 0 && health_busy[p] == 0, "all that was asked for is done");
		fuzz_require((word & 0xff) == model[p].state, "a partition is in the state that the table says");
		fuzz_require(word >> 32 == model[p].restarts, "restarts are counted");
		fuzz_require(health_life[p].error == model[p].errors, "errors are counted");
		fuzz_require(health_events[p] == model[p].events, "those who watch are called");
	}
	for (uint32_t i = 0; seals_changed && i < PAGES; i++)
		fuzz_require(tables[3 + i / 512][i % 512] == ((uint64_t)i << 12 | rights[i]), "seals are as asked for");
	seals_changed = 0;
}

static void work(void *vcpu)
{
	uint32_t steps = 0;

	while (health_step(vcpu) == HEALTH_MORE)
		fuzz_require(++steps < STEPS, "a request comes to its end");
}

/* What partitions were asked for, by the CPU of each. */
static int settle(struct vcpu *vcpu)
{
	for (uint32_t round = 0, left = 1; left && round < 4; round++) {
		left = 0;
		for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++) {
			if (!health_requests[p])
				continue;
			left = 1;
			vcpu->partition_index = (uint16_t)p;
			vcpu->partition = &config.partitions[p];
			if (seam_run(work, vcpu) != END_RETURNED)
				return 0;
		}
	}
	return 1;
}

void life_model_begin(struct vcpu *vcpu)
{
	const uint64_t down = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC;

	seam.tsc_step = 0;
	seam.tsc = 1000000;
	seam.text[0] = 0;
	vcpu->entered = 1;
	payload_wrong = 0;
	memset(model, 0, sizeof model);
	memset(rights, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, sizeof rights);
	tables[0][0] = (TABLES_HPA + 4096) | down;
	tables[1][0] = (TABLES_HPA + 2 * 4096) | down;
	for (uint32_t i = 0; i < 2; i++)
		tables[2][i] = (TABLES_HPA + (3 + i) * 4096) | down;
	for (uint32_t i = 0; i < PAGES; i++)
		tables[3 + i / 512][i % 512] = (uint64_t)i << 12 | rights[i];
	ept_pointer[sealer()] = TABLES_HPA | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4;
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++) {
		memset(&health_life[p], 0, sizeof health_life[p]);
		health_requests[p] = HEALTH_RESET; /* forgets signs of life and seals of the run before */
		health_busy[p] = 0;
	}
	fuzz_require(settle(vcpu), "the machine goes on");
	for (uint32_t p = 0; p < CONFIG_PARTITIONS; p++) {
		memset(&health_life[p], 0, sizeof health_life[p]);
		life_begin(&health_life[p], 1, config.partitions[p].health->held, seam.tsc);
		health_events[p] = 0;
		model[p].fresh = config.partitions[p].health->held;
		model[p].state = model[p].fresh ? BH_STATE_STOPPED : BH_STATE_RUNNING;
	}
	compare();
}

int life_model_runs(uint32_t partition)
{
	return model[partition].state == BH_STATE_RUNNING;
}

void life_model_arguments(struct vcpu *vcpu, struct fuzz_input *in)
{
	const uint8_t what = fuzz_byte(in);

	vcpu->regs[REG_RAX] = BH_PARTITION_STATUS + what % 8;
	vcpu->regs[REG_RDI] = fuzz_byte(in) % (CONFIG_PARTITIONS + 1u);
	vcpu->regs[REG_RSI] = fuzz_byte(in) % 4;
	if (vcpu->regs[REG_RAX] != BH_SEAL)
		return;
	vcpu->regs[REG_RDI] = (uint64_t)(fuzz_byte(in) << 8 | fuzz_byte(in)) % (PAGES + 64) << 12 | (what & 0x80);
	vcpu->regs[REG_RSI] = fuzz_byte(in) % 19;
	vcpu->regs[REG_RDX] = fuzz_byte(in) % 9;
}

static void sealed(uint64_t gpa, uint64_t pages, uint64_t given_up, int64_t result)
{
	const int right = !(gpa & 4095) && pages >= 1 && pages <= 16 && gpa >> 12 < PAGES &&
	                  (gpa >> 12) + pages <= PAGES && (gpa >> 12) % 512 + pages <= 512 && given_up &&
	                  !(given_up & ~6ull);

	fuzz_require(result == (right ? 0 : BH_EINVAL), "only pages of its own can be sealed");
	seals_changed = 1;
	for (uint64_t i = gpa >> 12; right && i < (gpa >> 12) + pages; i++)
		rights[i] &= (uint8_t)~given_up;
}

static void controls(uint32_t p, uint64_t whom, uint32_t request, int64_t result)
{
	const int right = whom < CONFIG_PARTITIONS && config.partitions[p].health->controls >> whom & 1;

	fuzz_require(result == (right ? 0 : BH_EINVAL), "only who controls it can ask");
	if (!right)
		return;
	fuzz_require(health_requests[whom] == request, "just that is asked for");
	model[whom].asked = request;
}

static void status(uint32_t p, const uint64_t argument[3], int64_t result)
{
	const uint64_t whom = argument[0];

	if (whom >= CONFIG_PARTITIONS || !(config.partitions[p].health->watches >> whom & 1) || argument[1] > 2)
		fuzz_require(result == BH_EINVAL, "only who watches it can see it");
	else
		fuzz_require(
			result >= 0 && (argument[1] != BH_STATUS_ERROR || (uint64_t)result == model[whom].errors) &&
				(argument[1] != BH_STATUS_LIFE || ((result & 0xff) == model[whom].state &&
		                                                   (uint64_t)result >> 32 == model[whom].restarts)),
			"a status is what there is");
}

static int raised(uint32_t p, uint64_t code, int ended, int64_t result)
{
	const uint32_t action = config.partitions[p].action[ERROR_APPLICATION];

	if (code > 255) {
		fuzz_require(!ended && result == BH_EINVAL, "a code has 8 bits");
		return 1;
	}
	fuzz_require(ended == (action >= ACTION_RESTART) && (ended || result == 0), "an error ends what it has to end");
	if (!error(p, ERROR_APPLICATION))
		return 0;
	if (ended && model[p].state ==
	                     BH_STATE_RUNNING) /* on its way out, its CPU has set the timer for the next sign of life */
		model[p].beat = seam.tsc;
	return 1;
}

int life_model_called(struct vcpu *vcpu, uint32_t p, uint64_t number, const uint64_t argument[3], int ended,
                      int64_t result)
{
	int goes_on = 1;

	fuzz_require(!ended || number == BH_RAISE_ERROR || (number == BH_STOP && argument[0] < 256), "a call returns");
	switch (number) {
	case BH_STOP:
		if (ended)
			model[p].state = BH_STATE_STOPPED;
		break;
	case BH_PARTITION_STATUS:
		status(p, argument, result);
		break;
	case BH_PARTITION_STOP:
	case BH_PARTITION_START:
	case BH_PARTITION_RESET:
		controls(p, argument[0],
		         number == BH_PARTITION_STOP  ? HEALTH_STOP :
		         number == BH_PARTITION_START ? HEALTH_START :
		                                        HEALTH_RESET,
		         result);
		break;
	case BH_HEARTBEAT:
		fuzz_require(result == 0, "a sign of life is taken");
		model[p].beat = seam.tsc;
		break;
	case BH_RAISE_ERROR:
		goes_on = raised(p, argument[0], ended, result);
		break;
	case BH_SEAL:
		sealed(argument[0], argument[1], argument[2], result);
		break;
	case BH_EVENTS:
		fuzz_require((uint64_t)result == model[p].events, "all that called, and nobody else");
		model[p].events = 0;
		break;
	default:
		break;
	}
	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++)
		end_of_asked(i);
	fuzz_require(settle(vcpu) == goes_on, "the machine goes on");
	compare();
	return goes_on;
}

int life_model_event(struct vcpu *vcpu, struct fuzz_input *in)
{
	const uint8_t how = fuzz_byte(in);
	const uint32_t p = how % CONFIG_PARTITIONS;
	const uint64_t span = config.partitions[p].health->heartbeat * tsc_khz / 1000;
	int goes_on = 1;

	if (how >= 0xe0) {
		payload_wrong ^= 1u << p;
		return 1;
	}
	seam.tsc += (uint64_t)fuzz_byte(in) << (how >> 3);
	seam_set(VMCS_EXIT_REASON, 0);
	vcpu->partition_index = (uint16_t)p;
	vcpu->partition = &config.partitions[p];
	health_heartbeat_due(vcpu, seam.tsc);
	if (span && model[p].state == BH_STATE_RUNNING && !(model[p].beat && seam.tsc - model[p].beat < span)) {
		if (model[p].beat) {
			model[p].beat = seam.tsc;
			goes_on = error(p, ERROR_SILENCE);
		} else {
			model[p].beat = seam.tsc;
		}
	}
	for (uint32_t i = 0; i < CONFIG_PARTITIONS; i++)
		end_of_asked(i);
	fuzz_require(settle(vcpu) == goes_on, "the machine goes on");
	if (goes_on)
		compare();
	return goes_on;
}

// SPDX-License-Identifier: Apache-2.0
#include "health.h"

#include "companion.h"
#include "core/assign.h"
#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/interrupt.h"
#include "core/panic.h"
#include "core/posted.h"
#include "core/reload.h"
#include "core/seal.h"
#include "core/x86.h"
#include "exit.h"
#include "startup.h"
#include "vmx.h"

#define PARK_LIMIT_US \
	(2ull * CONFIG_FRAME_MAX_US) /* all vCPUs have had a window by then, in any schedule that has one for them */
#define TOLD 4u                      /* the first few changes of a partition's life are printed, and each failure */

/* What the CPU of vCPU 0 does for a partition, one after the other. */
enum phase { IDLE, ORDER, AWAIT, LIFT, LOAD, CLEAN, BEGIN };

static struct job {
	struct reload reload;
	uint64_t begun, scrubbed, copied, cleaned; /* TSC: each part of a cold start has begun */
	uint64_t lifted;                           /* guest-physical: so far seals are lifted */
	uint32_t step;
	uint8_t load; /* to be loaded, not only parked */
} jobs[CONFIG_PARTITIONS];

struct life health_life[CONFIG_PARTITIONS];
uint32_t health_requests[CONFIG_PARTITIONS];
uint8_t health_busy[CONFIG_PARTITIONS]; /* enum phase */
uint64_t health_events[CONFIG_PARTITIONS];

void health_init(void)
{
	clean_init();
}

void health_ask(uint16_t partition, uint32_t requests)
{
	const struct config_vcpu *lead = &config.partitions[partition].vcpus[0];

	__atomic_or_fetch(&health_requests[partition], requests, __ATOMIC_SEQ_CST);
	if (cpu_is_scheduled(lead->cpu))
		posted_wake(lead->cpu, lead->slot);
	else
		attention_kick(lead->cpu); /* itself, too: its guest is out again at once */
}

/* ---- what an error or a request makes of a partition ---- */

static void call_monitors(uint16_t partition)
{
	const uint64_t bit = 1ull << partition;

	for (uint16_t i = 0; i < CONFIG_PARTITIONS; i++) {
		const struct config_partition *p = &config.partitions[i];

		if (!(p->health->watches & bit) || __atomic_fetch_or(&health_events[i], bit, __ATOMIC_SEQ_CST) & bit)
			continue;
		if (CONFIG_EVENT_VECTORS && p->health->vector)
			interrupt_vcpu(&p->vcpus[0], p->health->vector);
	}
}

/* What goes with the action beside the change of state. */
static void accompany(uint16_t partition, enum error_action action)
{
	const struct config_health *h = config.partitions[partition].health;

	if (action == ACTION_MONITOR)
		call_monitors(partition);
	if (CONFIG_SCHEDULED_CPUS && action == ACTION_SCHEDULE)
		timeplan_request(h->schedule); /* refused while the last change is under way: that one stands */
	if (action == ACTION_FAILOVER)
		health_ask(h->standby, HEALTH_START);
}

/* Errors after which a guest can go on: no instruction waits for an answer that there is none to. */
int health_goes_on(struct vcpu *vcpu, enum error_class class)
{
	const uint32_t can = 1u << ERROR_PORT | 1u << ERROR_INTERRUPT | 1u << ERROR_OVERRUN | 1u << ERROR_SILENCE |
	                     1u << ERROR_APPLICATION | 1u << ERROR_WINDOW;
	const enum error_action action = vcpu->partition->action[class];

	if (!(can >> class & 1) || action >= ACTION_RESTART)
		return 0;
	if (action != ACTION_IGNORE) {
		life_note_error(&health_life[vcpu->partition_index], class);
		accompany(vcpu->partition_index, action);
	}
	return 1;
}

/* ---- signs of life ---- */

static uint64_t last_sign[CONFIG_PARTITIONS]; /* TSC, or 0: counted from when it is first looked for */

void health_heartbeat(struct vcpu *vcpu)
{
	__atomic_store_n(&last_sign[vcpu->partition_index], rdtsc(), __ATOMIC_RELAXED);
	if (vcpu->index == 0 && !cpu_is_scheduled(this_cpu->index))
		watch_heartbeat(vcpu);
}

uint64_t health_heartbeat_due(struct vcpu *vcpu, uint64_t now)
{
	const uint16_t p = vcpu->partition_index;
	const uint64_t span = vcpu->partition->health->heartbeat * tsc_khz / 1000;
	const uint64_t last = __atomic_load_n(&last_sign[p], __ATOMIC_RELAXED);

	if (!span || vcpu->index || life_state(&health_life[p]) != BH_STATE_RUNNING)
		return 0;
	if (last && now - last < span)
		return last + span;
	__atomic_store_n(&last_sign[p], now, __ATOMIC_RELAXED);
	if (last) {
		vcpu->forbidden[ERROR_SILENCE]++;
		health_ask(p, HEALTH_ERROR(ERROR_SILENCE));
	}
	return now + span;
}

static void note(const struct vcpu *vcpu, uint64_t word)
{
	const uint32_t reason = word >> 8 & 0xff;

	(void)vcpu; /* where there is no audit */
	(void)reason;
	switch (word & 0xff) {
	case BH_STATE_COLD_START:
		audit(AUDIT_SAFETY, AUDIT_RESTART, vcpu->partition_index, (uint32_t)(word >> 32), reason);
		break;
	case BH_STATE_RUNNING:
		audit(AUDIT_SAFETY, AUDIT_START, vcpu->partition_index, 0, word >> 32);
		break;
	case BH_STATE_FAILED:
		audit(AUDIT_SAFETY, AUDIT_FAIL, vcpu->partition_index, reason, 0);
		break;
	default:
		audit(AUDIT_SAFETY, AUDIT_STOP, vcpu->partition_index, 0, vcpu_exits(vcpu));
	}
}

static void tell(struct vcpu *vcpu)
{
	static const char *const names[] = { "cold start", "runs", "stopped", "failed" };
	const uint64_t word = health_life[vcpu->partition_index].word;
	const uint32_t state = word & 0xff, changes = word >> 16 & 0xffff;

	if (changes <= 2 * TOLD || state == BH_STATE_FAILED)
		print("%s: %s, reason %u, restarts %u%s\n", vcpu->partition->name, names[state & 3],
		      (uint32_t)(word >> 8 & 0xff), (uint32_t)(word >> 32),
		      changes == 2 * TOLD ? "; further changes are not told" : "");
	console_follow_up(vcpu);
}

static void announce(struct vcpu *vcpu)
{
	const struct life *l = &health_life[vcpu->partition_index];

	if (life_state(l) == BH_STATE_FAILED)
		call_monitors(vcpu->partition_index);
	note(vcpu, l->word);
	tell(vcpu);
}

/* Let an event have its effect. */
static void change(struct vcpu *vcpu, enum life_event event, uint32_t reason)
{
	const uint16_t p = vcpu->partition_index;
	const struct config_health *h = vcpu->partition->health;
	struct job *j = &jobs[p];
	const enum life_work work = life_change(&health_life[p], event, reason, h->restarts,
	                                        h->restart_period_ms * tsc_khz, rdtsc());

	switch (work) {
	case LIFE_NOTHING:
		return;
	case LIFE_RUN:
		last_sign[p] = 0;
		vcpu->state = vcpu->entered ? VCPU_RUNNING : VCPU_OFF;
		health_busy[p] = IDLE;
		break;
	case LIFE_CLEAN:
		j->step = 0;
		j->begun = j->scrubbed = j->copied = j->cleaned = rdtsc();
		health_busy[p] = vcpu->entered ? CLEAN : BEGIN; /* one that was never entered is clean */
		break;
	default:
		j->load = work == LIFE_LOAD;
		j->begun = rdtsc();
		health_busy[p] = ORDER;
	}
	announce(vcpu);
}

/* Some of its vCPUs did not come to rest. They do at their next turn: they are told to. Nothing of the partition was touched. */
static void give_up(struct vcpu *vcpu)
{
	const uint16_t p = vcpu->partition_index;

	health_busy[p] = IDLE;
	if (life_change(&health_life[p], LIFE_FAIL, BH_REASON_PARK, 0, 0, rdtsc()) != LIFE_NOTHING)
		announce(vcpu);
}

/* Errors that no exit of a guest's brings: vmx/event.c has recorded the others, and sees to ACTION_HALT_MACHINE for them. */
#define WITHOUT_EXIT (1u << ERROR_OVERRUN | 1u << ERROR_SILENCE | 1u << ERROR_WINDOW)

static void handle_error(struct vcpu *vcpu, enum error_class class)
{
	const enum error_action action = vcpu->partition->action[class];

	if (action == ACTION_HALT_MACHINE)
		panic("%s: error of class %u, and its configuration says: halt the machine", vcpu->partition->name,
		      class);
	life_note_error(&health_life[vcpu->partition_index], class);
	accompany(vcpu->partition_index, action);
	change(vcpu, action == ACTION_RESTART ? LIFE_RESTART : LIFE_FAIL, class);
}

/* What was asked for, one after the other: a stop before a start. */
static void take(struct vcpu *vcpu)
{
	uint32_t bits = __atomic_exchange_n(&health_requests[vcpu->partition_index], 0, __ATOMIC_SEQ_CST);

	if (bits & HEALTH_CALL)
		change(vcpu, LIFE_STOP, BH_REASON_CALL);
	if (bits & HEALTH_REBOOT)
		change(vcpu, LIFE_RESTART, BH_REASON_CALL);
	for (uint32_t i = 0; i < ERROR_CLASS_COUNT; i++) {
		if (!(bits & HEALTH_ERROR(i)))
			continue;
		if (WITHOUT_EXIT >> i & 1)
			audit(AUDIT_SAFETY, AUDIT_FORBIDDEN, vcpu->partition_index, i, 0);
		if (!health_goes_on(vcpu, i))
			handle_error(vcpu, i);
	}
	if (bits & HEALTH_STOP)
		change(vcpu, LIFE_STOP, BH_REASON_MONITOR);
	if (bits & HEALTH_RESET)
		change(vcpu, LIFE_RESET, BH_REASON_MONITOR);
	if (bits & HEALTH_START)
		change(vcpu, LIFE_START, BH_REASON_START);
}

/* ---- the work ---- */

static void tell_times(const struct vcpu *vcpu, const struct job *j)
{
	const uint64_t now = rdtsc();

	if ((uint32_t)(health_life[vcpu->partition_index].word >> 32) <= TOLD)
		print("%s: loaded again: digest %lu ticks, scrub %lu, copy %lu, vCPU %lu\n", vcpu->partition->name,
		      j->scrubbed - j->begun, j->copied - j->scrubbed, j->cleaned - j->copied, now - j->cleaned);
}

/* The partition's memory, and then its companion's. */
static void load_step(struct vcpu *vcpu, struct job *j)
{
	const uint8_t before = j->reload.phase;

	reload_step(&j->reload);
	if (j->reload.phase == before)
		return;
	if (j->reload.phase == RELOAD_SCRUB)
		j->scrubbed = rdtsc();
	if (j->reload.phase == RELOAD_COPY)
		j->copied = rdtsc();
	if (j->reload.phase == RELOAD_WRONG)
		handle_error(vcpu, ERROR_PAYLOAD);
	if (j->reload.phase != RELOAD_DONE)
		return;
	if (CONFIG_COMPANIONS && vcpu->companion && j->reload.partition == vcpu->partition_index) {
		reload_begin(&j->reload, vcpu->partition->companion);
		return;
	}
	j->cleaned = rdtsc();
	j->step = 0;
	health_busy[vcpu->partition_index] = CLEAN;
}

enum health_progress health_step(struct vcpu *vcpu)
{
	const uint16_t p = vcpu->partition_index;
	struct job *j = &jobs[p];

	if (__atomic_load_n(&health_requests[p], __ATOMIC_ACQUIRE)) {
		take(vcpu);
		return health_busy[p] ? HEALTH_MORE : HEALTH_DONE;
	}
	switch (health_busy[p]) {
	case ORDER: /* none of them runs again before it is told to */
		vcpu->state = VCPU_STOPPED;
		clean_order(vcpu);
		health_busy[p] = AWAIT;
		return HEALTH_MORE;
	case AWAIT:
		if (!clean_parked(vcpu)) {
			pause();
			if (rdtsc() - j->begun > PARK_LIMIT_US * tsc_khz / 1000)
				give_up(vcpu);
			break;
		}
		health_busy[p] = j->load ? LIFT : IDLE;
		if (CONFIG_DEVICES)
			assign_block(p);
		if (j->load) {
			j->lifted = 0;
			reload_begin(&j->reload, p);
		}
		break;
	case LIFT:
		if (!CONFIG_SEALS || !seal_lift(p, &j->lifted))
			health_busy[p] = LOAD;
		break;
	case LOAD:
		load_step(vcpu, j);
		break;
	case CLEAN:
		if (clean_step(vcpu, j->step++))
			break;
		tell_times(vcpu, j);
		health_busy[p] = BEGIN;
		break;
	case BEGIN:
		if (CONFIG_DEVICES && !assign_step(p)) {
			pause();
			break;
		}
		change(vcpu, LIFE_LOADED, BH_REASON_LOADED);
		break;
	default:
		break;
	}
	return health_busy[p] ? HEALTH_MORE : HEALTH_DONE;
}

int health_begin(struct vcpu *vcpu, int right)
{
	const uint16_t p = vcpu->partition_index;

	life_begin(&health_life[p], right, vcpu->partition->health->held, rdtsc());
	if (life_state(&health_life[p]) != BH_STATE_RUNNING)
		vcpu->state = VCPU_STOPPED;
	return vcpu->state != VCPU_STOPPED;
}

/* ---- dedicated CPUs ---- */

/* A vCPU that has nothing to run is in HLT state with interrupts off: the core is back with the first NMI, as from any guest. */
void health_rest(struct vcpu *vcpu)
{
	const uint64_t entered = vcpu->entered;

	startup_wait(vcpu);
	cpu_quiet_apic();
	this_cpu->running = vcpu;
	vcpu->entered = rdtsc();
	if (CONFIG_COMPANIONS && vcpu->companion) {
		companion_rest(vcpu);
		companion_go_on(vcpu);
	}
	if (entered)
		vmx_resume(vcpu);
	vmx_launch(vcpu);
}

/* As long as an exit may take, and accounted for like one. */
static enum health_progress one_step(struct vcpu *vcpu)
{
	enum health_progress progress;

	vcpu->start = (uint32_t)rdtsc();
	progress = health_step(vcpu);
	note_stay(vcpu);
	return progress;
}

static _Noreturn void work(struct vcpu *vcpu)
{
	while (vcpu->index == 0 && one_step(vcpu) == HEALTH_MORE)
		attention();
	if (vcpu->index || vcpu->state == VCPU_STOPPED)
		health_rest(vcpu);
	vcpu->entered = rdtsc();
	if (CONFIG_HEARTBEATS)
		watch_heartbeat(vcpu);
	if (CONFIG_COMPANIONS && vcpu->companion)
		companion_go_on(vcpu);
	vmx_resume(vcpu);
}

void health_attend(struct vcpu *vcpu)
{
	if (!health_due(vcpu))
		return;
	take(vcpu);
	if (health_busy[vcpu->partition_index])
		work(vcpu);
}

/* ---- both ---- */

void health_end(struct vcpu *vcpu, uint32_t requests)
{
	if (vcpu->index)
		health_ask(vcpu->partition_index, requests);
	else
		__atomic_or_fetch(&health_requests[vcpu->partition_index], requests, __ATOMIC_SEQ_CST);
	if (!cpu_is_scheduled(this_cpu->index))
		work(vcpu);
	if (vcpu->index)
		startup_wait(vcpu);
	scheduled_leave();
}

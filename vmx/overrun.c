// SPDX-License-Identifier: Apache-2.0
/* Time that was overrun on a shared CPU, as an error of the partition that has used up more than its, or got less (docs/health.md). */
#include "core/core.h"
#include "core/cpu.h"
#include "counters.h"
#include "health.h"
#include "scheduled.h"

/* A partition that is being loaded again uses its time, too: that is no error of its. */
static void report(uint32_t entity, enum error_class class)
{
	struct vcpu *vcpu = &this_cpu->vcpu[entity];
	const uint16_t p = vcpu->partition_index;

	if (vcpu->partition->action[class] == ACTION_IGNORE || life_state(&health_life[p]) != BH_STATE_RUNNING)
		return;
	vcpu->forbidden[class]++;
	counters_forbidden(vcpu);
	health_ask(p, HEALTH_ERROR(class));
}

/* Hardware's doing, and so rare: the rest of them when the next decisions are due. */
static __attribute__((noinline)) void report_missed(struct sched *s)
{
	const uint32_t first = (uint32_t)__builtin_ctzll(s->missed);

	s->missed &= s->missed - 1;
	if (first < s->entity_count)
		report(first, ERROR_WINDOW);
	else
		s->missed = 0;
}

struct sched_decision overrun_decide(struct sched *s, uint64_t now)
{
	const uint32_t ran = s->current;
	const struct sched_entity *e = ran != SCHED_IDLE && s->paying == &s->entities[ran].budget ? &s->entities[ran] :
	                                                                                            0;
	const struct sched_decision d = sched_decide(s, now);

	if (e && !e->budget.left && now >= e->wake)
		report(ran, ERROR_OVERRUN);
	if (__builtin_expect(s->missed != 0, 0))
		report_missed(s);
	return d;
}

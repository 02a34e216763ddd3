// SPDX-License-Identifier: Apache-2.0
/* The audit's writer: single, so without any lock; a reader sees by sequence and check what it has lost. */
#include "audit.h"

#include "core.h"
#include "cpu.h"
#include "panic.h"
#include "sched/sched.h"
#include "smi.h"
#include "x86.h"

/* ---- the ring: pure ---- */

/* To memory: a reset that nobody planned drops what is only in the caches. */
static void to_memory(const void *p)
{
	__asm__ volatile("clflush %0" : : "m"(*(const volatile uint8_t *)p) : "memory");
}

void audit_attach(struct audit *a, struct audit_ring *ring)
{
	a->ring = ring;
	a->head = ring->head;
	a->mask = ring->entries - 1;
}

void audit_put(struct audit *a, uint64_t tsc, struct audit_record r)
{
	struct audit_record *to = &a->ring->record[a->head & a->mask];

	r.tsc = tsc;
	r.sequence = (uint32_t)++a->head;
	r.check = audit_check(&r, AUDIT_WORDS(struct audit_record));
	*to = r;
	to_memory(to);
	__atomic_store_n(&a->ring->head, a->head, __ATOMIC_RELEASE);
	to_memory(&a->ring->head);
}

int audit_allow(struct audit_limit *l, uint64_t tsc, uint64_t period, uint32_t rate, uint32_t class, uint32_t *told,
                uint64_t *classes)
{
	*told = 0;
	if (tsc >= l->until) {
		*told = l->lost;
		*classes = l->classes;
		*l = (struct audit_limit){ .until = tsc + period, .left = rate };
	}
	if (l->left) {
		l->left--;
		return 1;
	}
	l->lost++;
	l->classes |= 1ull << (class & 63);
	return 0;
}

/* ---- what this CPU writes ---- */

#define mine (&this_cpu->audit)

_Static_assert(CONFIG_AUDIT_ENTRIES >= AUDIT_ENTRIES_MIN && !(CONFIG_AUDIT_ENTRIES & (CONFIG_AUDIT_ENTRIES - 1)),
               "entries");

static void put(enum audit_class class, enum audit_event event, uint16_t partition, uint32_t a, uint64_t b)
{
	audit_put(mine, rdtsc(),
	          (struct audit_record){
			  .partition = partition, .class = (uint8_t) class, .event = (uint8_t)event, .a = a, .b = b });
}

/* The first that is kept out is told at once, how many they were when the limit begins anew: the counter in the ring is always right. */
static int allowed(enum audit_event event, uint16_t partition, uint32_t a)
{
	struct audit_limit *l = &mine->limit[partition][event == AUDIT_NOTE];
	const uint32_t class = event == AUDIT_FORBIDDEN ? a : 63;
	uint32_t told;
	uint64_t classes;
	const int yes = audit_allow(l, rdtsc(), tsc_khz * 1000, CONFIG_AUDIT_RATE, class, &told, &classes);

	if (told)
		put(AUDIT_SECURITY, AUDIT_LOST, partition, told, classes);
	if (yes)
		return 1;
	mine->ring->lost++;
	if (l->lost == 1)
		put(AUDIT_SECURITY, AUDIT_LOST, partition, 0, l->classes);
	return 0;
}

int audit(enum audit_class class, enum audit_event event, uint16_t partition, uint32_t a, uint64_t b)
{
	if (!mine->ring || (event >= AUDIT_LIMITED && !allowed(event, partition, a)))
		return 0;
	put(class, event, partition, a, b);
	return 1;
}

void audit_init(void)
{
	const struct config_memory *m = &config.memories[CONFIG_AUDIT_MEMORY];
	struct audit_ring *ring = (struct audit_ring *)(CORE_MEMORY_BASE + m->core_at);

	ASSERT(m->owner == CONFIG_CORE &&
	       m->size / CONFIG_CPUS >= AUDIT_HEADER + CONFIG_AUDIT_ENTRIES * sizeof(struct audit_record));
	if (mine->ring)
		return;
	ring->magic = AUDIT_MAGIC;
	ring->version = AUDIT_VERSION;
	ring->cpu = this_cpu->index;
	ring->entries = CONFIG_AUDIT_ENTRIES;
	ring->stride = (uint32_t)(m->size / CONFIG_CPUS);
	ring->generation = 1;
	ring->tsc_khz = tsc_khz;
	ring->check = audit_check(ring, AUDIT_WORDS(struct audit_ring));
	audit_attach(mine, ring);
	put(AUDIT_SAFETY, AUDIT_BOOT, AUDIT_CORE, ring->generation, tsc_khz);
}

void audit_decision(const struct sched *s)
{
	const uint64_t missed = s->windows_cut + s->windows_lost;

	if (missed != mine->missed)
		put(AUDIT_SAFETY, AUDIT_OVERRUN, AUDIT_CORE, (uint32_t)(missed - mine->missed), smi_count());
	if (s->schedule != mine->schedule)
		put(AUDIT_SAFETY, AUDIT_SCHEDULE, AUDIT_CORE, s->schedule, mine->schedule);
	mine->missed = missed;
	mine->schedule = s->schedule;
}

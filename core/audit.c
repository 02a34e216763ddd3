// SPDX-License-Identifier: Apache-2.0
/* The audit's writer: single, so without any lock; a reader sees by sequence and check what it has lost. */
#include "audit.h"

#include "core.h"
#include "cpu.h"
#include "lib.h"
#include "message.h"
#include "panic.h"
#include "sched/sched.h"
#include "smi.h"
#include "vmx/vmcs.h"
#include "x86.h"

#if CONFIG_AUDIT_ENTRIES
/* ---- the ring: pure ---- */

/* To memory: a reset that nobody planned drops what is only in the caches. */
static void to_memory(const void *p)
{
	__asm__ volatile("clflush %0" : : "m"(*(const volatile uint8_t *)p) : "memory");
}

void audit_attach(struct audit_writer *a, struct audit_ring *ring, uint32_t entries)
{
	a->ring = ring;
	a->head = ring->head;
	a->mask = entries - 1;
}

void audit_put(struct audit_writer *a, uint64_t tsc, struct audit_record r)
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
	l->classes |= 1ull << (class & AUDIT_NO_CLASS);
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

/* The first that is kept out is told at once; how many they were, when the limit begins anew or the partition ends. The counter in the
 * ring is always right. */
static void tell_lost(uint16_t partition, uint32_t lost, uint64_t classes)
{
	put(AUDIT_SECURITY, AUDIT_LOST, partition, lost, classes);
}

static int allowed(enum audit_event event, uint16_t partition, uint32_t a)
{
	struct audit_limit *l = &mine->limit[partition][event == AUDIT_NOTE];
	const uint32_t class = event == AUDIT_FORBIDDEN ? a : AUDIT_NO_CLASS;
	uint32_t told;
	uint64_t classes;
	const int yes = audit_allow(l, rdtsc(), tsc_khz * 1000, CONFIG_AUDIT_RATE, class, &told, &classes);

	if (told)
		tell_lost(partition, told, classes);
	if (yes)
		return 1;
	mine->ring->lost++;
	if (l->lost == 1)
		tell_lost(partition, 0, l->classes);
	return 0;
}

int audit(enum audit_class class, enum audit_event event, uint16_t partition, uint32_t a, uint64_t b)
{
	if (!mine->ring || (event >= AUDIT_LIMITED && !allowed(event, partition, a)))
		return 0;
	for (uint32_t i = 0; event == AUDIT_STOP && i < ARRAY_SIZE(mine->limit[0]); i++) {
		struct audit_limit *l = &mine->limit[partition][i];

		if (l->lost)
			tell_lost(partition, l->lost, l->classes);
		*l = (struct audit_limit){ 0 };
	}
	put(class, event, partition, a, b);
	return 1;
}

void audit_init(void)
{
	const struct config_memory *m = &config.memories[CONFIG_AUDIT_MEMORY];
	struct audit_ring *ring = (struct audit_ring *)(CORE_MEMORY_BASE + m->core_at);

	ASSERT(m->owner == CONFIG_CORE && ring->header.cpu == this_cpu->index && /* audit_boot() was here */
	       m->size / CONFIG_CPUS >= AUDIT_HEADER + CONFIG_AUDIT_ENTRIES * sizeof(struct audit_record));
	audit_attach(mine, ring, CONFIG_AUDIT_ENTRIES);
	put(AUDIT_SAFETY, AUDIT_BOOT, AUDIT_CORE, ring->header.generation, tsc_khz);
}

void audit_panic(const char *format, va_list arguments, const struct exception_frame *f)
{
	struct audit_panic *p = mine->ring ? &mine->ring->panic : 0;
	struct message message;
	struct message_reader reader;

	if (!p)
		return;
	memset(p, 0, sizeof *p);
	message_make(&message, format, arguments);
	message_begin(&reader, &message);
	for (uint32_t i = 0; i < AUDIT_TEXT - 1 && (p->text[i] = message_next(&reader)); i++)
		;
	p->tsc = rdtsc();
	p->vector = f ? (uint32_t)f->vector : AUDIT_NO_VECTOR;
	p->error = f ? f->error : 0;
	p->rip = f ? f->rip : (uint64_t)__builtin_return_address(0);
	p->rsp = f ? f->rsp : (uint64_t)__builtin_frame_address(0);
	p->rflags = f ? f->rflags : 0;
	p->cr0 = read_cr0();
	p->cr2 = read_cr2();
	p->cr3 = read_cr3();
	p->cr4 = read_cr4();
	p->exit_reason = this_cpu->running ? panic_peek(VMCS_EXIT_REASON) : ~0ull;
	p->exit_qualification = this_cpu->running ? panic_peek(VMCS_EXIT_QUALIFICATION) : ~0ull;
	p->guest_rip = this_cpu->running ? panic_peek(VMCS_GUEST_RIP) : ~0ull;
	p->generation = mine->ring->header.generation;
	p->check = audit_check(p, AUDIT_WORDS(struct audit_panic));
	put(AUDIT_SAFETY, AUDIT_PANIC, AUDIT_CORE, p->vector, p->rip);
}

static void text_and_frame(const struct exception_frame *f, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	audit_panic(format, arguments, f);
	va_end(arguments);
}

void audit_exception(const struct exception_frame *f)
{
	text_and_frame(f, "exception %lu, error %lx, at %lx:%lx", f->vector, f->error, f->cs, f->rip);
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
#endif

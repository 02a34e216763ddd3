// SPDX-License-Identifier: Apache-2.0
/*
 * A partition that attacks everything it can name. Each attack prints
 *   ATTACK <name> tried=<n> faulted=<n> breaches=<n> survived=1 timer=<0|1> ipi=<0|1> forbidden=<n>
 * and the last line is RESULT hostile. BREACH lines are failures of the hypervisor. After each attack the partition's
 * own timer and self-IPI must still work. Meant for policies that inject (memory, msr, instruction); under `stop` the
 * first forbidden access ends it, which is a test of its own (hostile_read). What ends a partition is in fatal.c.
 */
#include "hostile/hostile.h"
#include "hostile/note.h"
#include "hypercall.h"

#ifndef HOSTILE_KEY
#define HOSTILE_KEY 0 /* 1: begin when a key is typed (hostile_late) */
#endif
#ifndef HOSTILE_SHARED
#define HOSTILE_SHARED 0
#endif
#define POLL_MS 20u
#define NMI_VECTOR 2
#define SELF_IPI_VECTOR 0x41
#define WAIT_TICKS_MS 20u
#define BREACHES_SHOWN 16u
#define ATTACK_MS 50u     /* each is repeated as long, so that the neighbour has some periods of it */
#define AFTERMATH_MS 300u /* the neighbour goes on measuring */

static volatile uint64_t timer_count, ipi_count, nmi_count;
static uint64_t khz;
static unsigned broken;

#if HOSTILE_SHARED /* what a shared CPU has that a dedicated one has not */
static struct attack attacks[] = {
	{ .name = "registers", .run = attack_registers },
	{ .name = "timers", .run = attack_timers },
	{ .name = "starts", .run = attack_starts },
	{ .name = "rings", .run = attack_rings },
	{ .name = "ipi", .run = attack_ipi },
	{ .name = "apic", .run = attack_apic },
	{ .name = "instructions", .run = attack_instructions },
	{ .name = "values", .run = attack_values },
};
#else
static struct attack attacks[] = {
	{ .name = "memory", .run = attack_memory },
	{ .name = "rights", .run = attack_rights },
	{ .name = "ports", .run = attack_ports },
	{ .name = "strings", .run = attack_strings },
	{ .name = "msrs", .run = attack_msrs },
	{ .name = "cr", .run = attack_cr },
	{ .name = "xcr", .run = attack_xcr },
	{ .name = "dr", .run = attack_dr },
	{ .name = "instructions", .run = attack_instructions },
	{ .name = "step", .run = attack_step },
	{ .name = "combine", .run = attack_combine },
	{ .name = "caching", .run = attack_caching },
	{ .name = "values", .run = attack_values },
	{ .name = "cpuid", .run = attack_cpuid },
	{ .name = "ipi", .run = attack_ipi },
	{ .name = "apic", .run = attack_apic },
	{ .name = "storm", .run = attack_storm },
	{ .name = "hypercalls", .run = attack_hypercalls },
	{ .name = "user", .run = attack_user },
};
#endif

#define ATTACKS (unsigned)(sizeof attacks / sizeof attacks[0])

bool attempt(struct attack *a, void (*function)(void *), void *argument)
{
	a->tried++;
	if (kit_try(function, argument) < 0)
		return true;
	a->faulted++;
	return false;
}

void breach(struct attack *a, const char *what, uint64_t where)
{
	if (a->breaches++ < BREACHES_SHOWN)
		kit_printf("BREACH %s %s %lx\n", a->name, what, where);
}

uint64_t random_number(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void on_timer(struct kit_frame *frame)
{
	(void)frame;
	timer_count++;
}

static void on_ipi(struct kit_frame *frame)
{
	(void)frame;
	ipi_count++;
}

static void on_nmi(struct kit_frame *frame)
{
	(void)frame;
	nmi_count++;
}

static void arm_timer(void *unused)
{
	(void)unused;
	kit_timer_start(on_timer);
	kit_timer_at(rdtsc() + khz);
}

static void send_self_ipi(void *unused)
{
	(void)unused;
	wrmsr(X2APIC_SELF_IPI, SELF_IPI_VECTOR);
}

/* Whether `start` makes the count move within a bounded time. */
static bool moves(volatile uint64_t *count, void (*start)(void *))
{
	uint64_t before = *count, limit = rdtsc() + WAIT_TICKS_MS * khz;
	if (kit_try(start, 0) >= 0)
		return false;
	sti();
	while (*count == before && rdtsc() < limit)
		pause();
	cli();
	return *count != before;
}

static void run(struct attack *a, const struct kit_info *info)
{
	int64_t before = kit_counter(BH_COUNTER_FORBIDDEN);
	kit_printf("ATTACK %s begin\n", a->name);
	for (uint64_t end = rdtsc() + ATTACK_MS * khz; rdtsc() < end;)
		a->run(a, info);
	kit_handle(NMI_VECTOR, on_nmi);
	kit_handle(SELF_IPI_VECTOR, on_ipi);
	int64_t forbidden = kit_counter(BH_COUNTER_FORBIDDEN) - before;
	bool timer = moves(&timer_count, arm_timer), ipi = moves(&ipi_count, send_self_ipi);
	broken += !timer || !ipi;
	kit_printf("ATTACK %s tried=%lu faulted=%lu breaches=%lu survived=1 timer=%d ipi=%d forbidden=%ld\n", a->name,
	           a->tried, a->faulted, a->breaches, timer, ipi, forbidden);
}

int main(const struct kit_info *info)
{
	volatile struct note *note = note_find(info);
	uint64_t breaches = 0;
	khz = kit_tsc_khz();
	if (!kit_on_bulkhead() || khz == 0) {
		kit_printf("hostile: only for a partition of Bulkhead that may know its TSC frequency\n");
		return 1;
	}
	kit_handle(NMI_VECTOR, on_nmi);
	kit_window(0, false);
	wait_until(after_loader(ATTACK_BEGIN_MS));
	while (HOSTILE_KEY && hypercall1(BH_CONSOLE_READ, 0) < 0)
		wait_until(rdtsc() + POLL_MS * khz);
	for (unsigned i = 0; i < ATTACKS; i++) {
		note_attack(note, attacks[i].name);
		run(&attacks[i], info);
		breaches += attacks[i].breaches;
	}
	note->until = rdtsc() + AFTERMATH_MS * khz;
	kit_printf("RESULT hostile attacks=%u breaches=%lu broken=%u strays=%lu nmis=%lu forbidden=%ld\n", ATTACKS,
	           breaches, broken, kit_stray_interrupts, nmi_count, kit_counter(BH_COUNTER_FORBIDDEN));
	return breaches || broken ? 2 : 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the audit live, a line a record, those of all CPUs in the order of their times (guest/kit/auditread.h has the reading).
 *
 *   auditor        until a record `note` with a = AUDITOR_END
 *   auditwrite     (AUDITOR_WRITE) tries to write there, which must not come back
 *
 *   AUDIT <cpu> <number> <tsc> <class> <event> <partition> <a, hexadecimal> <b, hexadecimal> <class and event in words>
 *   AUDIT missed <cpu> <records that were overwritten before they were read>
 *   AUDIT lost <cpu> <records that a limit has kept out since the memory was new>
 */
#include "auditread.h"
#include "kit.h"

#ifndef AUDITOR_WRITE
#define AUDITOR_WRITE 0
#endif
#define AUDITOR_END 0xe0du
#define LOOK_MS 5u

static void on_timer(struct kit_frame *frame)
{
	(void)frame;
}

static void sleep_until(uint64_t tsc)
{
	while (rdtsc() < tsc) {
		kit_timer_at(tsc);
		wait_for_interrupt();
	}
}

static void print_lost(const struct auditread *reader, uint64_t told[AUDITREAD_CPUS])
{
	for (uint32_t cpu = 0; cpu < reader->cpus; cpu++)
		if (auditread_lost(reader, cpu) != told[cpu]) {
			told[cpu] = auditread_lost(reader, cpu);
			kit_printf("AUDIT lost %u %lu\n", cpu, told[cpu]);
		}
}

int main(const struct kit_info *info)
{
	static struct auditread reader;
	static uint64_t told[AUDITREAD_CPUS];
	const uint64_t khz = kit_tsc_khz();
	struct auditread_record r = { 0 };
	uint64_t memory = 0, size = 0;

	for (uint32_t i = 0; i < info->map_count && i < KIT_INFO_MAPS; i++)
		if (memcmp(info->map[i].name, "audit", sizeof "audit") == 0) {
			memory = info->map[i].gpa;
			size = info->map[i].size;
		}
	if (AUDITOR_WRITE && memory) {
		((volatile struct audit_ring *)memory)->head = 0;
		kit_printf("AUDIT written\n");
		return 1;
	}
	if (!memory || !auditread_begin(&reader, (const volatile void *)memory, size)) {
		kit_printf("AUDIT none: no memory 'audit' in maps, or nothing in it\n");
		return 1;
	}
	kit_timer_start(on_timer);
	for (;;) {
		while (auditread_next(&reader, &r)) {
			if (r.missed)
				kit_printf("AUDIT missed %u %lu\n", r.cpu, r.missed);
			kit_printf(AUDITREAD_FORMAT "\n", AUDITREAD_ARGUMENTS(&r));
			if (r.record.event == AUDIT_NOTE && r.record.a == AUDITOR_END) {
				print_lost(&reader, told);
				kit_printf("AUDIT done\n");
				return 0;
			}
		}
		print_lost(&reader, told);
		sleep_until(rdtsc() + LOOK_MS * khz);
	}
}

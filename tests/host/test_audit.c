// SPDX-License-Identifier: Apache-2.0
/*
 * The audit: the ring for itself, the limit on what a partition can cause, what exits and calls write, what a reader can tell of a ring that is
 * written meanwhile, and what the next boot believes of what a reset has left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/audit.h"
#include "core/core.h"
#include "core/survivor.h"
#include "guest/kit/auditread.h"
#include "hypercall/abi.h"
#include "sched/sched.h"

#define ENTRIES CONFIG_AUDIT_ENTRIES
#define RATE CONFIG_AUDIT_RATE
#define SECOND (3000000000ull) /* ticks of the seam's TSC */
#define MANY 0u                /* partitions of seam.yaml */
#define PAIR 2u

static struct audit_ring *own(void)
{
	return (struct audit_ring *)(CORE_MEMORY_BASE + config.memories[CONFIG_AUDIT_MEMORY].core_at);
}

static const struct audit_record *last(uint64_t back)
{
	return &own()->record[(own()->head - 1 - back) % ENTRIES];
}

static void expect(uint64_t back, enum audit_event event, uint16_t partition, uint32_t a, uint64_t b)
{
	assert_true(survivor_holds(own(), own()->head - 1 - back, ENTRIES));
	assert_int_equal(last(back)->event, event);
	assert_int_equal(last(back)->partition, partition);
	assert_int_equal(last(back)->a, a);
	assert_int_equal(last(back)->b, b);
}

static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	return 0;
}

/* ---- ring and limit ---- */

static void test_records_come_round(void **state)
{
	(void)state;
	expect(0, AUDIT_BOOT, AUDIT_CORE, 1, tsc_khz);
	for (uint64_t n = 1; n < 5 * ENTRIES + 7; n++) {
		audit(AUDIT_SAFETY, AUDIT_SCHEDULE, AUDIT_CORE, (uint32_t)n, n << 32);
		assert_int_equal(own()->head, n + 1);
		for (uint64_t back = 0; back < n && back < ENTRIES; back++)
			expect(back, AUDIT_SCHEDULE, AUDIT_CORE, (uint32_t)(n - back), (n - back) << 32);
		assert_int_equal(survivor_holds(own(), n + 1, ENTRIES), 0);
		assert_int_equal(n >= ENTRIES && survivor_holds(own(), n - ENTRIES, ENTRIES), 0);
	}
}

/* A guest cannot write there; but if something does, the core goes on writing where it should. */
static void test_nothing_is_read_back(void **state)
{
	const uint64_t head = own()->head;

	(void)state;
	own()->head = ~0ull;
	own()->header.entries = ~0u;
	own()->header.stride = 1;
	audit(AUDIT_SAFETY, AUDIT_SCHEDULE, AUDIT_CORE, 7, 8);
	assert_int_equal(own()->head, head + 1);
	expect(0, AUDIT_SCHEDULE, AUDIT_CORE, 7, 8);
}

static void test_limit(void **state)
{
	struct audit_limit l = { 0 };
	uint32_t told;
	uint64_t classes;

	(void)state;
	for (uint64_t tsc = 5000; tsc < 50000; tsc++) {
		const uint64_t in = (tsc - 5000) % 1000;
		const int yes = audit_allow(&l, tsc, 1000, 3, (uint32_t)in & 63, &told, &classes);

		assert_int_equal(yes, in < 3);
		assert_int_equal(told, in == 0 && tsc > 5000 ? 997 : 0);
		if (told)
			assert_int_equal(classes, ~0ull);
		assert_int_equal(l.lost, in < 3 ? 0 : in - 2);
	}
}

/* What a partition causes at will is kept out beyond the limit, counted to the last one and told; everything else gets in meanwhile. */
static void test_storm(void **state)
{
	const uint64_t first = own()->head;

	(void)state;
	seam.tsc_step = 0;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(audit(AUDIT_SECURITY, AUDIT_FORBIDDEN, MANY, ERROR_MSR, i), i < RATE);
	assert_int_equal(own()->head, first + RATE + 1);
	expect(0, AUDIT_LOST, MANY, 0, 1ull << ERROR_MSR);
	assert_int_equal(own()->lost, 1000 - RATE);
	assert_int_equal(audit(AUDIT_SECURITY, AUDIT_FORBIDDEN, PAIR, ERROR_MSR, 0), 1);
	assert_int_equal(audit(AUDIT_USER, AUDIT_NOTE, MANY, 0, 0), 1);
	assert_int_equal(audit(AUDIT_SECURITY, AUDIT_FAIL, MANY, ERROR_MEMORY, 0), 1);
	assert_int_equal(audit(AUDIT_SECURITY, AUDIT_FORBIDDEN, MANY, ERROR_PORT, 0), 0);
	seam.tsc += SECOND;
	assert_int_equal(audit(AUDIT_SECURITY, AUDIT_FORBIDDEN, MANY, ERROR_PORT, 5), 1);
	expect(1, AUDIT_LOST, MANY, 1001 - RATE, 1ull << ERROR_MSR | 1ull << ERROR_PORT);
	expect(0, AUDIT_FORBIDDEN, MANY, ERROR_PORT, 5);
	assert_int_equal(own()->lost, 1001 - RATE);
}

/* One that ends leaves nothing untold. */
static void test_lost_before_the_end(void **state)
{
	(void)state;
	seam.tsc_step = 0;
	for (uint32_t i = 0; i < RATE + 9; i++) {
		audit(AUDIT_SECURITY, AUDIT_REFUSED, MANY, 1, 0);
		audit(AUDIT_USER, AUDIT_NOTE, MANY, 1, 0);
	}
	audit(AUDIT_SAFETY, AUDIT_STOP, MANY, 0, 0);
	expect(2, AUDIT_LOST, MANY, 9, 1ull << AUDIT_NO_CLASS);
	expect(1, AUDIT_LOST, MANY, 9, 1ull << AUDIT_NO_CLASS);
	expect(0, AUDIT_STOP, MANY, 0, 0);
}

/* ---- what is recorded ---- */

static void test_forbidden_access(void **state)
{
	(void)state;
	vcpu->regs[REG_RCX] = 0x12345;
	seam_exit(vcpu, EXIT_REASON_RDMSR, 0);
	expect(0, AUDIT_FORBIDDEN, MANY, ERROR_MSR, 0x12345);
	assert_int_equal(last(0)->class, AUDIT_SECURITY);
	seam_exit(vcpu, EXIT_REASON_CPUID, 0);
	expect(0, AUDIT_FORBIDDEN, MANY, ERROR_MSR, 0x12345);
}

/* The record of what ends a partition gets in however much it has caused before. */
static void test_failure(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 10 * RATE; i++) {
		vcpu->regs[REG_RCX] = 0x12345;
		seam_exit(vcpu, EXIT_REASON_RDMSR, 0);
	}
	seam_set(VMCS_GUEST_PHYSICAL_ADDRESS, 0x7777000);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_EPT_VIOLATION, EPT_VIOLATION_WRITE), END_SLEEP);
	expect(2, AUDIT_FAIL, MANY, ERROR_MEMORY, 0x7777000);
	expect(1, AUDIT_LOST, MANY, 9 * RATE, 1ull << ERROR_MSR);
	expect(0, AUDIT_STOP, MANY, 0, 10 * RATE + 1);
}

static int64_t call(uint64_t number, uint64_t rdi, uint64_t rsi)
{
	vcpu->regs[REG_RAX] = number;
	vcpu->regs[REG_RDI] = rdi;
	vcpu->regs[REG_RSI] = rsi;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_VMCALL, 0), END_RETURNED);
	return (int64_t)vcpu->regs[REG_RAX];
}

static void test_notes(void **state)
{
	static const uint64_t good[] = { 0, 1, 0xffffffff }, bad[] = { 1ull << 32, INT64_MAX, 1ull << 63, ~0ull };

	(void)state;
	seam.tsc_step = 0;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(call(BH_AUDIT, good[i], bad[i]), 0);
		expect(0, AUDIT_NOTE, MANY, (uint32_t)good[i], bad[i]);
		assert_int_equal(last(0)->class, AUDIT_USER);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(call(BH_AUDIT, bad[i], 0), BH_EINVAL);
	expect(0, AUDIT_NOTE, MANY, (uint32_t)good[2], bad[2]);
	for (uint32_t i = 3; i < 100; i++)
		assert_int_equal(call(BH_AUDIT, i, 0), i < RATE ? 0 : BH_EAGAIN);
	expect(0, AUDIT_LOST, MANY, 0, 1ull << AUDIT_NO_CLASS);
}

static void test_refused_calls(void **state)
{
	(void)state;
	seam.partition.hypercalls = 1u << BH_VERSION;
	assert_int_equal(call(BH_VERSION, 0, 0), BH_ABI_VERSION);
	expect(0, AUDIT_BOOT, AUDIT_CORE, 1, tsc_khz);
	assert_int_equal(call(BH_AUDIT, 0, 0), BH_ENOCALL);
	expect(0, AUDIT_REFUSED, MANY, BH_AUDIT, 0x1000);
	assert_int_equal(call(1ull << 40 | 77, 0, 0), BH_ENOCALL);
	expect(0, AUDIT_REFUSED, MANY, 77, 0x1000);
	seam_set(VMCS_GUEST_SS_ACCESS, 0xf3);
	assert_int_equal(call(BH_VERSION, 0, 0), BH_EPERM);
	expect(0, AUDIT_REFUSED, MANY, BH_VERSION, 0x1000);
}

static void test_own_end(void **state)
{
	(void)state;
	vcpu->regs[REG_RAX] = BH_STOP;
	vcpu->regs[REG_RDI] = 77;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_VMCALL, 0), END_SLEEP);
	expect(1, AUDIT_END, MANY, 77, 0);
	expect(0, AUDIT_STOP, MANY, 0, 1);
}

static void test_late_windows_and_schedules(void **state)
{
	struct sched s = { 0 };

	(void)state;
	seam.smis = 3;
	audit_decision(&s);
	expect(0, AUDIT_BOOT, AUDIT_CORE, 1, tsc_khz);
	s.windows_cut = 2;
	s.windows_lost = 3;
	audit_decision(&s);
	expect(0, AUDIT_OVERRUN, AUDIT_CORE, 5, 3);
	s.schedule = 1;
	audit_decision(&s);
	expect(0, AUDIT_SCHEDULE, AUDIT_CORE, 1, 0);
	audit_decision(&s);
	assert_int_equal(own()->head, 3);
}

/* ---- the reader ---- */

#define READ_PARTS 3u
#define READ_STRIDE (2 * 4096u)
_Static_assert(READ_STRIDE >= AUDIT_HEADER + ENTRIES * sizeof(struct audit_record), "room for a part");
static _Alignas(4096) uint8_t memory[READ_PARTS * READ_STRIDE];

static struct audit_ring *part(uint32_t cpu)
{
	return (struct audit_ring *)(memory + cpu * READ_STRIDE);
}

static void make_memory(void)
{
	memset(memory, 0, sizeof memory);
	for (uint32_t cpu = 0; cpu < READ_PARTS; cpu++) {
		struct audit_header *h = &part(cpu)->header;

		*h = (struct audit_header){ .magic = AUDIT_MAGIC,
			                    .version = AUDIT_VERSION,
			                    .cpu = cpu,
			                    .cpus = READ_PARTS,
			                    .entries = ENTRIES,
			                    .stride = READ_STRIDE,
			                    .generation = 1 };
		h->check = audit_check(h, AUDIT_WORDS(struct audit_header));
	}
}

static void write_one(struct audit_writer *a, uint64_t n)
{
	audit_put(a, n, (struct audit_record){ .event = AUDIT_NOTE, .a = (uint32_t)n * 3, .b = n * 5 });
}

static void test_reader_merges_by_time(void **state)
{
	struct audit_writer writer[READ_PARTS] = { 0 };
	struct auditread_record r;
	static struct auditread reader;
	uint64_t expected = 0;

	(void)state;
	make_memory();
	for (uint32_t cpu = 0; cpu < READ_PARTS; cpu++)
		audit_attach(&writer[cpu], part(cpu), ENTRIES);
	assert_true(auditread_begin(&reader, memory, sizeof memory));
	assert_false(auditread_next(&reader, &r));
	for (uint64_t n = 0; n < 1000; n++) {
		write_one(&writer[n * 7 % 5 % READ_PARTS], n);
		while (n % 10 == 9 && auditread_next(&reader, &r)) {
			assert_int_equal(r.record.tsc, expected++);
			assert_int_equal(r.missed, 0);
			assert_int_equal(r.record.b, r.record.tsc * 5);
		}
	}
	assert_int_equal(expected, 1000);
}

static void test_reader_knows_what_it_missed(void **state)
{
	struct audit_writer writer = { 0 };
	struct auditread_record r;
	static struct auditread reader;
	uint64_t read = 0, missed = 0, written = 0;

	(void)state;
	make_memory();
	audit_attach(&writer, part(0), ENTRIES);
	assert_true(auditread_begin(&reader, memory, sizeof memory));
	for (uint64_t round = 0; round < 3 * ENTRIES; round++) {
		for (uint64_t n = 0; n < round; n++)
			write_one(&writer, written++);
		for (uint64_t n = 0; n < ENTRIES / 2 && auditread_next(&reader, &r); n++) {
			missed += r.missed;
			read++;
			assert_int_equal(r.number, r.record.tsc);
			assert_int_equal(r.number, read + missed - 1);
		}
	}
	while (auditread_next(&reader, &r)) {
		missed += r.missed;
		read++;
	}
	assert_true(missed > 0);
	assert_int_equal(read + missed, written);
}

/* A record that is overwritten while it is copied: every mix of old and new words. */
static void test_reader_sees_a_torn_record(void **state)
{
	struct audit_writer writer = { 0 };
	struct auditread_record r;
	static struct auditread reader;
	struct audit_record before, after;

	(void)state;
	make_memory();
	audit_attach(&writer, part(0), ENTRIES);
	write_one(&writer, 1);
	before = part(0)->record[0];
	for (uint64_t n = 1; n <= ENTRIES; n++)
		write_one(&writer, n);
	after = part(0)->record[0];
	part(0)->head = ENTRIES; /* not told yet */
	for (uint32_t mix = 0; mix < 256; mix++) {
		uint32_t word[8];

		assert_true(auditread_begin(&reader, memory, sizeof memory));
		for (uint32_t i = 0; i < 8; i++)
			word[i] = ((const uint32_t *)(mix >> i & 1 ? &after : &before))[i];
		memcpy(&part(0)->record[0], word, sizeof word);
		assert_true(auditread_next(&reader, &r));
		if (memcmp(word, &before, sizeof before) == 0)
			assert_int_equal(r.number, 0);
		else
			assert_true(r.number == 1 && r.missed == 1);
	}
}

static volatile int writing;

static void *write_many(void *argument)
{
	struct audit_writer *a = argument;

	for (uint64_t n = 0; n < 300000; n++)
		write_one(a, n);
	writing = 0;
	return 0;
}

static void test_reader_beside_the_writer(void **state)
{
	struct audit_writer writer = { 0 };
	struct auditread_record r;
	static struct auditread reader;
	pthread_t thread;
	uint64_t next = 0;
	int over = 0;

	(void)state;
	make_memory();
	audit_attach(&writer, part(0), ENTRIES);
	assert_true(auditread_begin(&reader, memory, sizeof memory));
	writing = 1;
	assert_int_equal(pthread_create(&thread, 0, write_many, &writer), 0);
	while (!over) {
		over = !writing;
		while (auditread_next(&reader, &r)) {
			assert_int_equal(r.number, next + r.missed);
			assert_true(r.record.tsc == r.number && r.record.a == (uint32_t)r.number * 3 &&
			            r.record.b == r.number * 5);
			next = r.number + 1;
		}
	}
	pthread_join(thread, 0);
	assert_int_equal(next, 300000);
}

static void test_reader_refuses(void **state)
{
	static struct auditread reader;

	(void)state;
	make_memory();
	assert_false(auditread_begin(&reader, memory, sizeof memory - 1));
	assert_false(auditread_begin(&reader, memory, 0));
	for (uint32_t cpu = 0; cpu < READ_PARTS; cpu++)
		for (uint32_t bit = 0; bit < sizeof(struct audit_header) * 8; bit++) {
			uint8_t *byte = (uint8_t *)&part(cpu)->header + bit / 8;

			*byte ^= (uint8_t)(1u << bit % 8);
			assert_false(auditread_begin(&reader, memory, sizeof memory));
			*byte ^= (uint8_t)(1u << bit % 8);
		}
	assert_true(auditread_begin(&reader, memory, sizeof memory));
}

/* ---- over a reset ---- */

static struct audit_header wanted(void)
{
	return own()->header;
}

static void test_survivor(void **state)
{
	const struct audit_header want = wanted();

	(void)state;
	for (uint32_t i = 0; i < 3 * ENTRIES; i++)
		audit(AUDIT_SAFETY, AUDIT_SCHEDULE, AUDIT_CORE, i, i);
	assert_int_equal(survivor_examine(own(), &want), SURVIVOR_WHOLE);
	for (uint32_t bit = 0; bit < sizeof(struct audit_header) * 8; bit++) {
		uint8_t *byte = (uint8_t *)own() + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(survivor_examine(own(), &want), bit < 32 ? SURVIVOR_NONE : SURVIVOR_DAMAGED);
		*byte ^= (uint8_t)(1u << bit % 8);
	}
	for (uint32_t bit = 0; bit < sizeof(struct audit_record) * 8; bit++) {
		uint8_t *byte = (uint8_t *)&own()->record[(own()->head - 1) % ENTRIES] + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(survivor_examine(own(), &want), SURVIVOR_DAMAGED);
		*byte ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(survivor_examine(own(), &want), SURVIVOR_WHOLE);
}

/* With a right check: whoever forges it gets no further than being shown. */
static void test_forged_header(void **state)
{
	const struct audit_header want = wanted();
	static const uint64_t heads[] = { 0, ~0ull, 1ull << 63, (1ull << 63) + 1, 2 };
	struct audit_header *h = &own()->header;

	(void)state;
#define FORGED(field, value)                                                        \
	do {                                                                        \
		h->field = value;                                                   \
		h->check = audit_check(h, AUDIT_WORDS(struct audit_header));        \
		assert_int_equal(survivor_examine(own(), &want), SURVIVOR_FOREIGN); \
		*h = want;                                                          \
	} while (0)
	FORGED(version, AUDIT_VERSION + 1);
	FORGED(cpu, 1);
	FORGED(cpus, CONFIG_CPUS + 1);
	FORGED(entries, 2 * ENTRIES);
	FORGED(entries, 0);
	FORGED(stride, 0);
	FORGED(identity, want.identity ^ 1);
	h->generation = UINT32_MAX;
	h->check = audit_check(h, AUDIT_WORDS(struct audit_header));
	assert_int_equal(survivor_examine(own(), &want), SURVIVOR_DAMAGED);
	*h = want;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		own()->head = heads[i];
		assert_int_equal(survivor_examine(own(), &want), SURVIVOR_DAMAGED);
	}
}

static void call_panic(void *argument)
{
	va_list *arguments = argument;

	audit_panic("assertion %u of %s", *arguments, 0);
}

static void panic_with(void *unused, ...)
{
	va_list arguments;

	(void)unused;
	va_start(arguments, unused);
	call_panic(&arguments);
	va_end(arguments);
}

static void test_panic_is_kept(void **state)
{
	char text[AUDIT_TEXT];
	const struct audit_panic *p;

	(void)state;
	assert_null(survivor_panic(own(), text));
	panic_with(0, 17u, "core");
	p = survivor_panic(own(), text);
	assert_non_null(p);
	assert_string_equal(text, "assertion 17 of core");
	assert_int_equal(p->exit_reason, VMCS_EXIT_REASON); /* as the seam answers */
	assert_int_equal(last(0)->event, AUDIT_PANIC);
	for (uint32_t bit = 0; bit < sizeof(struct audit_panic) * 8; bit++) {
		uint8_t *byte = (uint8_t *)&own()->panic + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		assert_null(survivor_panic(own(), text));
		*byte ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_forged_text(void **state)
{
	char text[AUDIT_TEXT];
	struct audit_panic *p = &own()->panic;

	(void)state;
	memset(p->text, 0x1b, sizeof p->text);
	p->text[1] = 'x';
	p->text[2] = (char)0x80;
	p->generation = 1;
	p->check = audit_check(p, AUDIT_WORDS(struct audit_panic));
	assert_non_null(survivor_panic(own(), text));
	assert_memory_equal(text, "?x?", 3);
	assert_int_equal(strlen(text), AUDIT_TEXT - 1);
	assert_null(memchr(text, 0x1b, sizeof text));
}

static void reboot(void)
{
	memset(seam.text, 0, sizeof seam.text);
	memset(&this_cpu->audit, 0, sizeof this_cpu->audit);
	seam.tsc = 1000;
	audit_boot();
	audit_init();
}

static void test_boots(void **state)
{
	const uint32_t stride = own()->header.stride;

	(void)state;
	audit(AUDIT_SECURITY, AUDIT_FAIL, PAIR, ERROR_MEMORY, 0xabc000);
	panic_with(0, 17u, "core");
	reboot();
	assert_int_equal(own()->header.generation, 2);
	expect(0, AUDIT_BOOT, AUDIT_CORE, 2, tsc_khz);
	expect(1, AUDIT_PANIC, AUDIT_CORE, AUDIT_NO_VECTOR, last(1)->b);
	expect(2, AUDIT_FAIL, PAIR, ERROR_MEMORY, 0xabc000);
	assert_non_null(strstr(seam.text, "last boot: PANIC on CPU 0: assertion 17 of core\n"));
	assert_non_null(strstr(seam.text, "pair: fail, 1, abc000\n"));
	reboot(); /* the panic is that of the boot before the last now */
	assert_int_equal(own()->header.generation, 3);
	assert_null(strstr(seam.text, "PANIC"));
	assert_non_null(strstr(seam.text, "last boot: CPU 0: boot 2, 4 records, 0 kept out by limits, no panic\n"));
	own()->record[(own()->head - 1) % ENTRIES].b++;
	reboot();
	assert_non_null(strstr(seam.text, "the audit of CPU 0 is damaged: dropped"));
	assert_int_equal(own()->head, 1);
	assert_int_equal(own()->header.stride, stride);
	for (uint32_t i = sizeof(struct audit_record); i < ENTRIES * sizeof(struct audit_record); i++)
		assert_int_equal(((const uint8_t *)own()->record)[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_records_come_round, setup),
		cmocka_unit_test_setup(test_nothing_is_read_back, setup),
		cmocka_unit_test(test_limit),
		cmocka_unit_test_setup(test_storm, setup),
		cmocka_unit_test_setup(test_lost_before_the_end, setup),
		cmocka_unit_test_setup(test_forbidden_access, setup),
		cmocka_unit_test_setup(test_failure, setup),
		cmocka_unit_test_setup(test_notes, setup),
		cmocka_unit_test_setup(test_refused_calls, setup),
		cmocka_unit_test_setup(test_own_end, setup),
		cmocka_unit_test_setup(test_late_windows_and_schedules, setup),
		cmocka_unit_test(test_reader_merges_by_time),
		cmocka_unit_test(test_reader_knows_what_it_missed),
		cmocka_unit_test(test_reader_sees_a_torn_record),
		cmocka_unit_test(test_reader_beside_the_writer),
		cmocka_unit_test(test_reader_refuses),
		cmocka_unit_test_setup(test_survivor, setup),
		cmocka_unit_test_setup(test_forged_header, setup),
		cmocka_unit_test_setup(test_panic_is_kept, setup),
		cmocka_unit_test_setup(test_forged_text, setup),
		cmocka_unit_test_setup(test_boots, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

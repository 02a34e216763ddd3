// SPDX-License-Identifier: Apache-2.0
/* The self-check (core/selfcheck.c): what it looks at, one wrong value at a time, on a fake CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

/* A core of two pages. */
__asm__(".section .rodata\n"
        ".balign 4096\n"
        ".globl core_start, rodata_end, data_end, ept_end\n"
        "core_start: .fill 8192, 1, 0x5a\n"
        "rodata_end:\n"
        "data_end: .fill 4096, 1, 0\n" /* the place of the second-level tables, which are seen by the window */
        "ept_end: .quad 0\n"
        ".text\n");
struct cpu_report cpu_report[CONFIG_CPUS];

#include "core/selfcheck.c"

static uint32_t asked;

void attention_self_check(void)
{
	asked++;
}

void refuse(const char *format, ...)
{
	panic("%s", format);
}

#define WINDOW_HPA 0x40000000ull /* what the seam's window shows */

static struct vcpu *vcpu;

/* The last record of this CPU. */
static const struct audit_record *recorded(void)
{
	const struct audit_ring *ring = this_cpu->audit.ring;

	return &ring->record[(ring->head - 1) & (CONFIG_AUDIT_ENTRIES - 1)];
}

static int start(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[0], 0);
	handoff.cpu_cr3[this_cpu->index] = read_cr3();
	memset(mine, 0, sizeof *mine);
	memset(cpu_report, 0, sizeof cpu_report);
	failures = 0;
	failed_lines = 0;
	memset(part_sum, 0, sizeof part_sum);
	handoff.core_hpa = WINDOW_HPA - (uint64_t)(data_end - core_start);
	memset(seam.guest_page, 0x77, sizeof seam.guest_page);
	seam.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_PE;
	seam.cr4 = CR4_PAE | CR4_MCE | CR4_SMEP | CR4_VMXE;
	seam_set(VMCS_HOST_CR0, seam.cr0);
	seam_set(VMCS_HOST_CR4, seam.cr4);
	seam_set(VMCS_HOST_RIP, (uint64_t)core_start + 0x400);
	this_cpu->running = vcpu;
	return 0;
}

#define IDT_LINE 8u /* the host's own table is another one */

static uint64_t failed(void)
{
	return selfcheck_registers() & ~(1ull << IDT_LINE);
}

static void test_good_registers(void **state)
{
	(void)state;
	assert_int_equal(failed(), 0);
}

static void test_each_register(void **state)
{
	(void)state;
	seam.cr0 |= CR0_CD;
	assert_int_equal(failed(), 1 << 0);
	seam.cr0 = CR0_PG | CR0_NE | CR0_PE; /* WP */
	assert_int_equal(failed(), 1 << 0);
	start(0);
	handoff.cpu_cr3[this_cpu->index] += PAGE_SIZE;
	assert_int_equal(failed(), 1 << 1);
	start(0);
	seam.cr4 &= ~CR4_SMEP;
	assert_int_equal(failed(), 1 << 2);
	start(0);
	seam.feature_control = 4; /* not locked */
	assert_int_equal(failed(), 1 << 5);
}

static void first(void *argument)
{
	(void)argument;
	selfcheck_first(vcpu);
}

static void test_vmcs_as_the_core_writes_it(void **state)
{
	(void)state;
	assert_int_equal(seam_run(first, 0), END_RETURNED);
}

static void test_each_field(void **state)
{
	static const struct {
		uint32_t field;
		uint64_t flip;
	} wrong[] = { { VMCS_CTRL_PIN, PIN_NMI_EXITING },
		      { VMCS_CTRL_PROC, PROC_MSR_BITMAPS },
		      { VMCS_CTRL_PROC2, PROC2_EPT },
		      { VMCS_CTRL_EXIT, EXIT_LOAD_EFER },
		      { VMCS_CTRL_EXCEPTION_BITMAP, 1 << 18 },
		      { VMCS_CTRL_EPTP, PAGE_SIZE },
		      { VMCS_CTRL_MSR_BITMAPS, PAGE_SIZE },
		      { VMCS_HOST_CR0, CR0_WP },
		      { VMCS_HOST_CR3, PAGE_SIZE },
		      { VMCS_HOST_CR4, CR4_SMEP },
		      { VMCS_HOST_IDTR_BASE, 8 },
		      { VMCS_HOST_RIP, 1ull << 20 } };
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		start(0);
		assert_int_equal(seam_run(first, 0), END_RETURNED);
		seam_set(wrong[i].field, seam_get(wrong[i].field) ^ wrong[i].flip);
		if (wrong[i].field != VMCS_CTRL_EXCEPTION_BITMAP) { /* companions have another */
			selfcheck_now();
			assert_true(mine->told == 1ull << (FIRST_FIELD + i));
			assert_non_null(strstr(seam.text, readings[FIRST_FIELD + i].name));
			assert_int_equal(recorded()->event, AUDIT_DIFFERS);
			assert_int_equal(recorded()->a, FIRST_FIELD + i);
		}
		assert_int_equal(seam_run(first, 0), END_PANIC);
	}
}

static void test_what_may_change(void **state)
{
	(void)state;
	first(0);
	seam.cr0 |= CR0_TS;
	seam_set(VMCS_HOST_CR0, seam.cr0);
	seam_set(VMCS_CTRL_PIN, seam_get(VMCS_CTRL_PIN) ^ PIN_PREEMPTION_TIMER);
	seam_set(VMCS_CTRL_PROC, seam_get(VMCS_CTRL_PROC) ^ PROC_INTERRUPT_WINDOW_EXITING);
	selfcheck_now();
	assert_true(mine->told == 0);
}

/* A difference is said once. */
static void test_said_once(void **state)
{
	(void)state;
	first(0);
	seam.cr4 &= ~CR4_MCE;
	seam_set(VMCS_HOST_CR4, seam.cr4);
	selfcheck_now();
	assert_non_null(strstr(seam.text, "CR4"));
	seam.text[0] = 0;
	selfcheck_now();
	assert_null(strstr(seam.text, "CR4"));
}

static void round_of_steps(void)
{
	for (uint32_t part = 0; part < ARRAY_SIZE(parts); part++)
		for (uint32_t i = 0; i < part_size(part) / CHUNK; i++) {
			mine->due = 0;
			selfcheck_step(1000000);
		}
}

static void table(void *argument)
{
	(void)argument;
	selfcheck_table();
}

/* A round finds nothing; then a word of the tables, and what stands for one of the image, is another. */
static void test_image_and_tables(void **state)
{
	(void)state;
	assert_false(image_is_as_linked()); /* nobody has written the digest here */
	assert_int_equal(seam_run(table, 0), END_RETURNED);
	first(0);
	assert_int_equal(recorded()->event, AUDIT_SELF_CHECK);
	assert_int_equal(recorded()->a, failures);
	assert_true(recorded()->b >> SELFCHECK_IMAGE & 1 && !(recorded()->b >> SELFCHECK_UNITS & 1));
	round_of_steps();
	round_of_steps();
	assert_true(mine->told == 0);
	seam.guest_page[4095] ^= 0x80;
	round_of_steps();
	assert_true(mine->told == 1ull << SELFCHECK_TABLES);
	assert_int_equal(recorded()->event, AUDIT_DIFFERS);
	assert_int_equal(recorded()->a, SELFCHECK_TABLES);
	part_sum[0] ^= 1;
	round_of_steps();
	assert_true(mine->told == (1ull << SELFCHECK_TABLES | 1ull << SELFCHECK_IMAGE));
	assert_int_equal(recorded()->a, SELFCHECK_IMAGE);
}

static void test_steps_keep_their_time(void **state)
{
	(void)state;
	first(0);
	assert_true(mine->due == ~0ull); /* the configuration has no `every` */
	mine->due = 500;
	selfcheck_step(499);
	assert_int_equal(mine->at, 0);
	selfcheck_step(500);
	assert_int_equal(mine->at, CHUNK);
	assert_int_equal(asked, 0);
	kicker = this_cpu->index; /* and it is time to let the dedicated CPUs look */
	mine->due = 0;
	selfcheck_step(501);
	assert_int_equal(asked, 1);
	kicker = ~0u;
}

static void test_table_names_what_failed(void **state)
{
	(void)state;
	cpu_report[0].failed = 1 << 6;
	assert_int_equal(seam_run(table, 0), END_RETURNED);
	assert_non_null(strstr(seam.text, "FAIL  local APIC on, in x2APIC mode\nself-check:       not on 1 of"));
	assert_non_null(strstr(seam.text, "pass  CR0"));
	assert_non_null(strstr(seam.text, "FAIL  the core's code"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_registers, start),
		cmocka_unit_test_setup(test_each_register, start),
		cmocka_unit_test_setup(test_vmcs_as_the_core_writes_it, start),
		cmocka_unit_test_setup(test_each_field, start),
		cmocka_unit_test_setup(test_what_may_change, start),
		cmocka_unit_test_setup(test_said_once, start),
		cmocka_unit_test_setup(test_image_and_tables, start),
		cmocka_unit_test_setup(test_steps_keep_their_time, start),
		cmocka_unit_test_setup(test_table_names_what_failed, start),
	};
	return cmocka_run_group_tests(tests, 0, 0);
}

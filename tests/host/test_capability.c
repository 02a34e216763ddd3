// SPDX-License-Identifier: Apache-2.0
/* The capability table on made-up CPUs: each line's bit alone taken away, and the states of IA32_FEATURE_CONTROL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONFIG_MSR_SHADOWS 1
#define CONFIG_CPUID_MAX 1
#define CONFIG_VCPUS_PER_CPU 1

/* A fake CPU in the hardware's place: the real functions get other names and are never called. */
#define rdmsr hardware_rdmsr
#define wrmsr hardware_wrmsr
#define cpuid hardware_cpuid
#define read_cr0 hardware_read_cr0
#define read_cr4 hardware_read_cr4
#define write_cr0 hardware_write_cr0
#define write_cr4 hardware_write_cr4
#include "core/x86.h"
#undef rdmsr
#undef wrmsr
#undef cpuid
#undef read_cr0
#undef read_cr4
#undef write_cr0
#undef write_cr4

static uint64_t has[16]; /* by enum source: what this CPU says it has */
static uint64_t locks, cr0, cr4, arch_capabilities;
static uint32_t arch_capabilities_there, lock_writes, failing;
static jmp_buf panicked;

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);
static uint64_t rdmsr(uint32_t msr);
static void wrmsr(uint32_t msr, uint64_t value)
{
	assert_int_equal(msr, MSR_IA32_FEATURE_CONTROL);
	assert_false(locks & 1); /* locked: #GP */
	locks = value;
	lock_writes++;
}
static uint64_t read_cr0(void)
{
	return cr0;
}
static uint64_t read_cr4(void)
{
	return cr4;
}
static void write_cr0(uint64_t v)
{
	cr0 = v;
}
static void write_cr4(uint64_t v)
{
	cr4 = v;
}
enum { FAIL_NONE, FAIL_VMXON, FAIL_INVEPT, FAIL_INVVPID };
static int vmxon(uint64_t phys)
{
	assert_int_equal(phys, 0x123000);
	assert_int_equal(locks & 5, 5);
	assert_true(cr4 & CR4_VMXE);
	return failing == FAIL_VMXON;
}
static int invept(uint64_t type, uint64_t low, uint64_t high)
{
	(void)type, (void)low, (void)high;
	return failing == FAIL_INVEPT;
}
static int invvpid(uint64_t type, uint64_t low, uint64_t high)
{
	(void)type, (void)low, (void)high;
	return failing == FAIL_INVVPID;
}

#include "vmx/capability.c"

void panic(const char *format, ...)
{
	(void)format;
	longjmp(panicked, 1);
}
void vmx_failed(const char *instruction, uint64_t operand)
{
	(void)instruction, (void)operand;
	longjmp(panicked, 1);
}

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	assert_int_equal(subleaf, 0);
	switch (leaf) {
	case 0:
		return (struct cpuid_regs){ { 0x16, 0, 0, 0 } };
	case 1:
		return (struct cpuid_regs){ { 0, 0, (uint32_t)has[CPUID_1_ECX], (uint32_t)has[CPUID_1_EDX] } };
	case 7:
		return (struct cpuid_regs){ { 0, (uint32_t)has[CPUID_7_EBX], 0, arch_capabilities_there << 29 } };
	case 0x80000000:
		return (struct cpuid_regs){ { 0x80000008, 0, 0, 0 } };
	case 0x80000001:
		return (struct cpuid_regs){ { 0, 0, 0, (uint32_t)has[CPUID_EXT_EDX] } };
	case 0x80000007:
		return (struct cpuid_regs){ { 0, 0, 0, (uint32_t)has[CPUID_EXT7_EDX] } };
	}
	fail_msg("CPUID leaf %x", leaf);
	return (struct cpuid_regs){ { 0 } };
}

/* An MSR that this CPU would not have is #GP, which the test is told. */
static uint64_t capability_msr(enum source source, uint64_t needs)
{
	assert_true(needs);
	return source == BASIC || source == EPT ? has[source] : has[source] << 32;
}

static uint64_t rdmsr(uint32_t msr)
{
	const uint64_t vmx = has[CPUID_1_ECX] >> 5 & 1, exact = vmx & has[BASIC] >> 55;

	switch (msr) {
	case MSR_IA32_FEATURE_CONTROL:
		return locks;
	case MSR_IA32_ARCH_CAPABILITIES:
		assert_true(arch_capabilities_there);
		return arch_capabilities;
	case MSR_IA32_VMX_BASIC:
		return capability_msr(BASIC, vmx);
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
		return capability_msr(PIN, exact);
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
		return capability_msr(PROC, exact);
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
		return capability_msr(EXIT, exact);
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS:
		return capability_msr(ENTRY, exact);
	case MSR_IA32_VMX_PROCBASED_CTLS2:
		return capability_msr(PROC2, vmx & has[PROC] >> 31);
	case MSR_IA32_VMX_EPT_VPID_CAP:
		return capability_msr(EPT, has[PROC2] & (PROC2_EPT | PROC2_VPID));
	case MSR_IA32_VMX_CR0_FIXED0:
		return 0x80000021;
	case MSR_IA32_VMX_CR4_FIXED0:
		return 0x2000;
	case MSR_IA32_VMX_CR0_FIXED1:
	case MSR_IA32_VMX_CR4_FIXED1:
		return 0xffffffff;
	}
	fail_msg("RDMSR %x", msr);
	return 0;
}

/* A CPU that has all. */
static int setup(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SOURCES; i++)
		has[i] = i == BASIC || i == EPT ? UINT64_MAX : UINT32_MAX;
	locks = 5;
	cr0 = cr4 = arch_capabilities = 0;
	arch_capabilities_there = lock_writes = failing = 0;
	return 0;
}

static void test_all_there(void **state)
{
	uint64_t must = 1, nice = 1;

	(void)state;
	vmx_check_capabilities(&must, &nice);
	assert_int_equal(must, 0);
	assert_int_equal(nice, 0);
}

/* Bits that make others unreadable take their lines with them. */
static int gates(const struct capability *c)
{
	return (c->source == CPUID_1_ECX && c->bits == 1u << 5) || c->source == BASIC ||
	       (c->source == PROC && c->bits == PROC_SECONDARY_CONTROLS);
}

static void test_each_line_alone(void **state)
{
	for (uint32_t line = 0; line < LINES; line++) {
		uint64_t must, nice;

		setup(state);
		has[table[line].source] &= ~table[line].bits;
		vmx_check_capabilities(&must, &nice);
		if (gates(&table[line])) {
			assert_true(must >> line & 1);
			continue;
		}
		assert_int_equal(must, table[line].must ? 1ull << line : 0);
		assert_int_equal(nice, table[line].must ? 0 : 1ull << line);
	}
}

/* What the core cannot do without, by bit number from the SDM's appendix: the table must not lose a line. */
static void test_must_haves(void **state)
{
	static const struct {
		enum source source;
		uint8_t bit[8]; /* 0 ends: bit 0 is none of them */
	} musts[] = {
		{ CPUID_1_ECX, { 5, 21, 24 } },
		{ CPUID_1_EDX, { 12, 16 } },
		{ CPUID_7_EBX, { 7 } },
		{ CPUID_EXT_EDX, { 20 } },
		{ BASIC, { 55 } },
		{ PIN, { 3, 5, 6 } },
		{ PROC, { 10, 11, 22, 25, 28, 29, 31 } },
		{ PROC2, { 1, 5, 6, 7 } },
		{ EXIT, { 9, 18, 19, 20, 21 } },
		{ ENTRY, { 9, 14, 15 } },
		{ EPT, { 6, 14, 16, 20, 26, 32, 42 } },
	};
	uint64_t must, nice;

	for (uint32_t i = 0; i < sizeof musts / sizeof musts[0]; i++)
		for (uint32_t k = 0; k < 8 && musts[i].bit[k]; k++) {
			setup(state);
			has[musts[i].source] &= ~(1ull << musts[i].bit[k]);
			vmx_check_capabilities(&must, &nice);
			if (!must)
				fail_msg("source %d, bit %d is not asked for", musts[i].source, musts[i].bit[k]);
		}
	setup(state);
	has[CPUID_1_ECX] &= ~(1ull << 5);
	vmx_check_capabilities(&must, &nice);
	assert_true(must & 1); /* core/smp.c: without line 0 there is no IA32_FEATURE_CONTROL to look at */
}

/* Of several bits in a line, each is needed. */
static void test_part_of_a_line(void **state)
{
	for (uint32_t line = 0; line < LINES; line++)
		for (uint32_t bit = 0; bit < 64; bit++) {
			uint64_t must, nice;

			if (!(table[line].bits >> bit & 1))
				continue;
			setup(state);
			has[table[line].source] &= ~(1ull << bit);
			vmx_check_capabilities(&must, &nice);
			assert_true((must | nice) >> line & 1);
		}
}

/* Everything at once, and not an MSR read that would fault. */
static void test_nothing_there(void **state)
{
	uint64_t must, nice;

	(void)state;
	memset(has, 0, sizeof has);
	vmx_check_capabilities(&must, &nice);
	for (uint32_t line = 0; line < LINES; line++)
		assert_true((table[line].must ? must : nice) >> line & 1);
	assert_int_equal((must | nice) >> LINES, 0);
	assert_int_equal(must & nice, 0);
}

static void test_names(void **state)
{
	(void)state;
	for (uint32_t line = 0; line < LINES; line++) {
		assert_true(strlen(vmx_capability_name(line)) > 5);
		for (uint32_t other = 0; other < line; other++)
			assert_string_not_equal(vmx_capability_name(line), vmx_capability_name(other));
	}
	assert_non_null(strstr(vmx_capability_name(VMX_CAPABILITY_LINES - 1), "IA32_FEATURE_CONTROL"));
}

/* SDM Vol. 3C, 24.7: bit 0 lock, bit 1 VMX inside SMX, bit 2 VMX outside SMX. */
static void test_feature_control(void **state)
{
	static const struct {
		uint64_t msr;
		enum feature_control is;
	} cases[] = {
		{ 0, FEATURE_CONTROL_UNLOCKED },   { 1, FEATURE_CONTROL_LOCKED_OFF }, { 2, FEATURE_CONTROL_UNLOCKED },
		{ 3, FEATURE_CONTROL_LOCKED_OFF }, { 4, FEATURE_CONTROL_UNLOCKED },   { 5, FEATURE_CONTROL_READY },
		{ 6, FEATURE_CONTROL_UNLOCKED },   { 7, FEATURE_CONTROL_READY },
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(vmx_feature_control(cases[i].msr), cases[i].is);
		assert_int_equal(vmx_feature_control(cases[i].msr | 0xff08), cases[i].is); /* SENTER, SGX, LMCE */
	}
}

static void test_vmx_on(void **state)
{
	uint8_t *region = aligned_alloc(4096, 4096);

	(void)state;
	vmx_on(region, 0x123000); /* locked and on: not written */
	assert_int_equal(lock_writes, 0);
	locks = 0xff02;
	vmx_on(region, 0x123000); /* unlocked: set and locked, the other bits kept */
	assert_int_equal(lock_writes, 1);
	assert_int_equal(locks, 0xff07);
	assert_int_equal(cr0, 0x80000021);
	assert_int_equal(*(uint32_t *)(void *)region, 0x7fffffff);
	free(region);
}

/* Each failing VMX instruction ends in a panic. */
static void test_vmx_on_fails(void **state)
{
	static uint8_t region[4096] __attribute__((aligned(4096)));

	(void)state;
	for (volatile uint32_t f = FAIL_VMXON; f <= FAIL_INVVPID; f++) {
		failing = f;
		if (setjmp(panicked) == 0) {
			vmx_on(region, 0x123000);
			fail_msg("failure %u goes unnoticed", f);
		}
	}
}

static void test_itlb_multihit(void **state)
{
	(void)state;
	assert_true(vmx_itlb_multihit()); /* the MSR is not there: it must be assumed */
	arch_capabilities_there = 1;
	assert_true(vmx_itlb_multihit());
	arch_capabilities = 1u << 6;
	assert_false(vmx_itlb_multihit());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_there, setup),      cmocka_unit_test_setup(test_each_line_alone, setup),
		cmocka_unit_test_setup(test_part_of_a_line, setup), cmocka_unit_test_setup(test_nothing_there, setup),
		cmocka_unit_test_setup(test_names, setup),          cmocka_unit_test_setup(test_feature_control, setup),
		cmocka_unit_test_setup(test_vmx_on, setup),         cmocka_unit_test_setup(test_vmx_on_fails, setup),
		cmocka_unit_test_setup(test_itlb_multihit, setup),  cmocka_unit_test_setup(test_must_haves, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

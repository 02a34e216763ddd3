// SPDX-License-Identifier: Apache-2.0
/*
 * The filter of the interrupt command register: every shorthand, mode, destination form and a choice of vectors. Whatever the guest
 * writes, what reaches the hardware is a fixed interrupt to a CPU of its own partition; INIT, SIPI and NMI become events for its vCPUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

#define VCPUS 3u
#define LOGICAL (1u << 11)
#define SHORTHAND(n) ((uint32_t)(n) << 18)

static void write_icr(struct vcpu *vcpu, uint64_t icr)
{
	seam.wrmsr_count = 0;
	seam.kicked = 0;
	seam.text[0] = 0;
	vcpu->regs[REG_RCX] = MSR_X2APIC_ICR;
	vcpu->regs[REG_RAX] = (uint32_t)icr;
	vcpu->regs[REG_RDX] = icr >> 32;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_WRMSR, 0), END_RETURNED);
}

/* Bit n: vCPU n got it. Fails on anything that leaves the partition or is no fixed interrupt with that vector. */
static uint32_t receivers(const struct vcpu *vcpu, uint32_t vector)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < seam.wrmsr_count; i++) {
		const uint64_t value = seam.written[i].value;
		uint32_t n = 0;

		assert_int_equal(seam.written[i].msr, MSR_X2APIC_ICR);
		assert_int_equal((uint32_t)value, 1u << 14 | vector);
		while (n < VCPUS && cpu_apic_id[vcpu->partition->vcpus[n].cpu] != value >> 32)
			n++;
		assert_in_range(n, 0, VCPUS - 1); /* else: a CPU of somebody else */
		assert_false(set >> n & 1);       /* nobody gets it twice */
		set |= 1u << n;
	}
	return set;
}

/* Bit n: vCPU n has an event to take. Fails if another CPU was disturbed. */
static uint32_t has_event(const struct vcpu *vcpu)
{
	uint64_t kicked = seam.kicked;
	uint32_t set = 0;

	for (uint32_t n = 0; n < VCPUS; n++) {
		set |= (uint32_t)(kicked >> vcpu->partition->vcpus[n].cpu & 1) << n;
		kicked &= ~(1ull << vcpu->partition->vcpus[n].cpu);
	}
	assert_int_equal(kicked, 0);
	return set;
}

/* Who is meant, by the SDM (Vol. 3A, 11.12.9 and 11.12.10); virtual APIC IDs are 0, 1, 2. */
static uint32_t meant(uint32_t self, uint32_t shorthand, uint32_t logical, uint32_t destination)
{
	switch (shorthand) {
	case 1:
		return 1u << self;
	case 2:
		return 7;
	case 3:
		return 7u & ~(1u << self);
	default:
		if (destination == 0xffffffff)
			return 7;
		if (logical)
			return destination >> 16 == 0 ? destination & 7 : 0;
		return destination < VCPUS ? 1u << destination : 0;
	}
}

static const uint32_t destinations[] = { 0,      1,          2,       3,         7,          0xe,
	                                 0x10,   0x12,       0x14,    0x16,      0xfe,       0xff,
	                                 0x100,  6,          0xffff,  0x10001,   0x7fffffff, 0x80000000,
	                                 0xfffe, 0xfffffffe, 0x20004, 0xffffffff };

static void check(struct vcpu *vcpu, uint32_t self, uint32_t low, uint32_t destination)
{
	const uint32_t mode = low >> 8 & 7, vector = low & 0xff, shorthand = low >> 18 & 3;
	/* The first vCPU gets no INIT or SIPI: there is no firmware at its reset vector. */
	const uint32_t want = meant(self, shorthand, low & LOGICAL, destination) & (mode == 5 || mode == 6 ? ~1u : ~0u);
	const uint64_t before = vcpu->forbidden[ERROR_INTERRUPT];
	const int to_others = shorthand == 0 || shorthand == 3, start = (mode == 5 || mode == 6) && to_others;
	const int deassert = mode == 5 && !(low >> 14 & 1);
	uint32_t got;

	vcpu->nmi_pending = 0;
	write_icr(vcpu, (uint64_t)destination << 32 | low);
	got = receivers(vcpu, vector);
	if (mode == 0) { /* fixed */
		assert_int_equal(got, vector < 16 ? 0 : want);
	} else if (mode == 1) { /* lowest priority: one of them */
		assert_int_equal(got & ~want, 0);
		assert_in_range(__builtin_popcount(got), 0, 1);
		assert_int_equal(got != 0, want && vector >= 16);
	} else {
		assert_int_equal(got, 0);
	}
	assert_int_equal(vcpu->nmi_pending, mode == 4 && want >> self & 1);
	assert_int_equal(has_event(vcpu), mode == 4 ? want & ~(1u << self) : start && !deassert ? want : 0);
	/* Done, or the guest's error: counted and #GP. */
	if (vcpu->forbidden[ERROR_INTERRUPT] == before)
		assert_true(seam_skipped());
	else
		assert_true(seam_injects(VECTOR_GP));
	if (!(mode == 0 || mode == 1 || mode == 4 || start) || (!want && !shorthand && !(start && deassert)))
		assert_int_equal(vcpu->forbidden[ERROR_INTERRUPT], before + 1);
	else
		assert_int_equal(vcpu->forbidden[ERROR_INTERRUPT], before);
}

static void test_all_combinations(void **state)
{
	static const uint8_t vectors[] = { 0, 2, 15, 16, 32, 0xef, 0xff };

	(void)state;
	for (uint16_t self = 0; self < VCPUS; self++) {
		struct vcpu *vcpu = seam_start(&seam_models[0], self);

		for (uint32_t shorthand = 0; shorthand < 4; shorthand++)
			for (uint32_t mode = 0; mode < 32; mode++) /* delivery mode, destination mode, a reserved bit */
				for (size_t v = 0; v < sizeof vectors; v++)
					for (size_t d = 0; d < sizeof destinations / sizeof *destinations; d++)
						check(vcpu, self, SHORTHAND(shorthand) | mode << 8 | vectors[v],
						      destinations[d]);
	}
}

/* Level, trigger and reserved bits go nowhere. */
static void test_other_bits_do_not_pass(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	for (uint32_t bit = 12; bit < 32; bit++)
		if (bit != 18 && bit != 19)
			check(vcpu, 0, 1u << bit | 0x40, 1);
}

static void test_every_destination_of_16_bits(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 1);

	(void)state;
	for (uint32_t destination = 0; destination < 0x10000; destination++) {
		check(vcpu, 1, 0x40, destination);
		check(vcpu, 1, LOGICAL | 0x40, destination);
	}
}

/* INIT and SIPI to a foreign core would take it from its partition: only vCPUs of the own one get them. */
static void test_init_and_sipi_stay_inside(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	for (size_t d = 0; d < sizeof destinations / sizeof *destinations; d++)
		for (uint32_t low = 0x4500; low <= 0xcc500; low += 0x44000) { /* the shorthands, edge and level */
			check(vcpu, 0, low, destinations[d]);
			check(vcpu, 0, low + 0x108, destinations[d]);
			check(vcpu, 0, low & ~0x4000u, destinations[d]);
		}
}

static void test_policy(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	seam.partition.action[ERROR_INTERRUPT] = ACTION_IGNORE;
	write_icr(vcpu, 0x1600004500); /* to a CPU by its physical ID, which is nobody's virtual one */
	assert_true(seam_skipped());
	assert_int_equal(seam.wrmsr_count, 0);
	seam.partition.action[ERROR_INTERRUPT] = ACTION_STOP;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_WRMSR, 0), END_SLEEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_combinations),
		cmocka_unit_test(test_other_bits_do_not_pass),
		cmocka_unit_test(test_every_destination_of_16_bits),
		cmocka_unit_test(test_init_and_sipi_stay_inside),
		cmocka_unit_test(test_policy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

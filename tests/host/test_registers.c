// SPDX-License-Identifier: Apache-2.0
/* Writes to CR0, CR4 and XCR0 that exit: what a CPU would refuse gives #GP, what belongs to the host stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

#define CR0_TO 0u
#define CR4_TO 4u
#define CR0_DEFINED 0xe005003full
#define HOST_CR4 (CR4_MCE | CR4_VMXE)

static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[2], 0);
	return 0;
}

/* MOV to a control register from R9; returns 1 if it was done, 0 if #GP. */
static int write_cr(uint32_t which, uint64_t value)
{
	vcpu->regs[REG_R9] = value;
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_CR_ACCESS, which | REG_R9 << 8), END_RETURNED);
	assert_true(seam_skipped() != seam_injects(VECTOR_GP));
	return seam_skipped();
}

static void enters(void)
{
	char detail[200];
	const char *broken;

	seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
	broken = vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail);
	if (broken)
		fail_msg("%s; %s", broken, detail);
}

/* CR0 as the guest reads it: host-owned bits from the shadow (SDM Vol. 3C, 26.3). */
static uint64_t seen(uint32_t mask_field, uint32_t shadow_field, uint32_t guest_field)
{
	const uint64_t mask = seam_get(mask_field);

	return (seam_get(shadow_field) & mask) | (seam_get(guest_field) & ~mask);
}
#define SEEN_CR0 seen(VMCS_CTRL_CR0_MASK, VMCS_CTRL_CR0_SHADOW, VMCS_GUEST_CR0)
#define SEEN_CR4 seen(VMCS_CTRL_CR4_MASK, VMCS_CTRL_CR4_SHADOW, VMCS_GUEST_CR4)

static const uint64_t good_cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE;

static void test_cr0_caches_stay_on(void **state)
{
	(void)state;
	assert_true(write_cr(CR0_TO, good_cr0 | CR0_CD));
	assert_true(write_cr(CR0_TO, good_cr0 | CR0_CD | CR0_NW));
	assert_false(seam_get(VMCS_GUEST_CR0) & (CR0_CD | CR0_NW));
	assert_int_equal(SEEN_CR0, good_cr0 | CR0_CD | CR0_NW); /* the guest sees what it wrote */
	assert_false(write_cr(CR0_TO, good_cr0 | CR0_NW));      /* NW without CD: #GP */
	assert_true(write_cr(CR0_TO, good_cr0));
	assert_int_equal(SEEN_CR0, good_cr0);
	enters();
}

static void test_cr0_every_bit(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 64; bit++) {
		const uint64_t value = good_cr0 ^ 1ull << bit;
		/* PE off with PG on, NW alone, and the upper half are #GP; PG off is refused in no mode but with PCIDE. */
		const int wrong = bit == 0 || bit == 29 || bit >= 32;

		setup(0);
		if (bit == 31)
			continue; /* own test */
		assert_int_equal(write_cr(CR0_TO, value), !wrong);
		if (!wrong)
			assert_int_equal(SEEN_CR0, (value & CR0_DEFINED) | CR0_ET);
		assert_true(seam_get(VMCS_GUEST_CR0) & CR0_NE);
		enters();
	}
}

static void compatibility_mode(void)
{
	seam_set(VMCS_GUEST_CS_ACCESS, 0xc09b);
}

/* Long mode is left and entered with paging; EFER.LMA, the entry control and CR0.PG go together. */
static void test_cr0_paging_switches_long_mode(void **state)
{
	(void)state;
	assert_false(write_cr(CR0_TO, good_cr0 & ~CR0_PG)); /* not from 64-bit mode */
	compatibility_mode();
	assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
	assert_false(seam_get(VMCS_GUEST_EFER) & EFER_LMA);
	assert_false(seam_get(VMCS_CTRL_ENTRY) & ENTRY_IA32E_MODE_GUEST);
	enters();
	assert_true(write_cr(CR0_TO, good_cr0));
	assert_true(seam_get(VMCS_GUEST_EFER) & EFER_LMA);
	assert_true(seam_get(VMCS_CTRL_ENTRY) & ENTRY_IA32E_MODE_GUEST);
	enters();
	assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG)); /* without PAE long mode cannot be entered */
	seam_set(VMCS_GUEST_CR4, HOST_CR4);
	assert_false(write_cr(CR0_TO, good_cr0));
	assert_false(seam_get(VMCS_GUEST_EFER) & EFER_LMA);
}

static void test_cr0_paging_off_needs_pcide_off(void **state)
{
	(void)state;
	seam_set(VMCS_GUEST_CR3, 0x1000);
	compatibility_mode();
	assert_true(write_cr(CR4_TO, CR4_PAE | CR4_PCIDE));
	assert_false(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
	assert_true(seam_get(VMCS_GUEST_CR0) & CR0_PG);
}

static void test_cr4_every_bit(void **state)
{
	(void)state;
	for (uint32_t bit = 0; bit < 64; bit++) {
		const uint64_t one = 1ull << bit;
		int right;

		setup(0);
		right = (vcpu->cr4_allowed & one) != 0;
		if (one == CR4_PAE)
			continue;
		assert_int_equal(write_cr(CR4_TO, CR4_PAE | one), right);
		assert_int_equal(SEEN_CR4, right ? CR4_PAE | one : CR4_PAE);
		assert_int_equal(seam_get(VMCS_GUEST_CR4) & HOST_CR4, HOST_CR4); /* whatever the guest wrote */
		enters();
	}
	setup(0);
	assert_false(write_cr(CR4_TO, 0)); /* PAE stays on in long mode */
}

/* Features that the CPU has not, or the table hides, bring no CR4 bit. */
static void test_cr4_allowed(void **state)
{
	(void)state;
	assert_false(vcpu->cr4_allowed & (CR4_VMXE | 1u << 14 | CR4_LA57 | 1u << 22 | 1u << 23 | 1u << 24));
	assert_true(vcpu->cr4_allowed & CR4_SMEP && vcpu->cr4_allowed & CR4_SMAP && vcpu->cr4_allowed & CR4_UMIP);
	vcpu = seam_start(&seam_models[0], 0);
	assert_false(vcpu->cr4_allowed & (CR4_SMAP | CR4_UMIP));
	assert_int_equal(seam_get(VMCS_CTRL_CR4_MASK) & (CR4_SMAP | CR4_UMIP), CR4_SMAP | CR4_UMIP);
	assert_false(write_cr(CR4_TO, CR4_PAE | CR4_SMAP));
}

static void test_cr4_mce_is_shown_and_kept(void **state)
{
	(void)state;
	assert_true(write_cr(CR4_TO, CR4_PAE | CR4_MCE));
	assert_true(SEEN_CR4 & CR4_MCE);
	assert_true(write_cr(CR4_TO, CR4_PAE));
	assert_false(SEEN_CR4 & CR4_MCE);
	assert_true(seam_get(VMCS_GUEST_CR4) & CR4_MCE);
}

/* Translations are dropped when a bit changes that makes them stale. */
static void test_cr4_flushes(void **state)
{
	(void)state;
	seam.invvpid_count = 0;
	write_cr(CR4_TO, CR4_PAE | CR4_OSFXSR);
	assert_int_equal(seam.invvpid_count, 0);
	write_cr(CR4_TO, CR4_PAE | CR4_PGE);
	assert_int_equal(seam.invvpid_count, 1);
	write_cr(CR4_TO, CR4_PAE);
	assert_int_equal(seam.invvpid_count, 2);
}

static void test_cr4_pcide_needs_cr3_low_bits_zero(void **state)
{
	(void)state;
	seam_set(VMCS_GUEST_CR3, 0x1001);
	assert_false(write_cr(CR4_TO, CR4_PAE | CR4_PCIDE));
	seam_set(VMCS_GUEST_CR3, 0x1000);
	assert_true(write_cr(CR4_TO, CR4_PAE | CR4_PCIDE));
	enters();
}

/* PAE paging: the four entries are loaded as they stand in memory, reserved bits and a CR3 outside the partition fault. */
static void test_pdptes(void **state)
{
	uint64_t *entry = (uint64_t *)(void *)(seam.guest_page + 0x40);

	(void)state;
	compatibility_mode();
	assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
	seam_set(VMCS_GUEST_EFER, 0);
	seam_set(VMCS_GUEST_CR3, 0x40);
	for (uint64_t i = 0; i < 4; i++)
		entry[i] = i << 12 | 1;
	assert_true(write_cr(CR0_TO, good_cr0));
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(seam_get(VMCS_GUEST_PDPTE0 + 2 * i), entry[i]);
	for (uint32_t bit = 1; bit < 64; bit++) {
		const int reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) ||
		                     bit >= seam.model.caps.physical_bits;

		entry[3] = 3 << 12 | 1;
		assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
		assert_true(write_cr(CR0_TO, good_cr0));
		assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
		entry[3] = 1ull << bit | 1;
		assert_int_equal(write_cr(CR0_TO, good_cr0), !reserved);
		if (reserved)
			assert_int_equal(seam_get(VMCS_GUEST_PDPTE0 + 6), 3 << 12 | 1); /* the CPU keeps the old ones */
		assert_int_equal((seam_get(VMCS_GUEST_CR0) & CR0_PG) != 0, !reserved);
		entry[3] = 1ull << bit; /* not present: nothing is reserved */
		if (reserved)
			assert_true(write_cr(CR0_TO, good_cr0));
	}
	assert_true(write_cr(CR0_TO, good_cr0 & ~CR0_PG));
	seam_set(VMCS_GUEST_CR3, 0x10000000);
	assert_false(write_cr(CR0_TO, good_cr0));
	seam_set(VMCS_GUEST_CR3, 4096 - 8);
	assert_true(write_cr(CR0_TO, good_cr0)); /* aligned to 32 bytes by the CPU: still inside */
}

/* Only MOV to CR0 and CR4 exits by our masks; anything else ends the guest, not the core. */
static void test_other_accesses(void **state)
{
	(void)state;
	for (uint32_t q = 0; q < 64; q++) {
		setup(0);
		assert_int_equal(seam_exit(vcpu, EXIT_REASON_CR_ACCESS, q | REG_R9 << 8),
		                 q == CR0_TO || q == CR4_TO ? END_RETURNED : END_SLEEP);
	}
	setup(0);
	seam_set(VMCS_GUEST_RSP, good_cr0); /* register 4 is RSP, which the VMCS holds */
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_CR_ACCESS, CR0_TO | REG_RSP << 8), END_RETURNED);
	assert_true(seam_skipped());
}

static void test_xsetbv(void **state)
{
	(void)state;
	for (uint32_t value = 0; value < 1024; value++) {
		const uint32_t avx512 = value & 0xe0;
		const int right = value & 1 && !(value & ~(uint32_t)vcpu->xcr0_allowed) &&
		                  (!(value & 4) || value & 2) && (!avx512 || (avx512 == 0xe0 && value & 4));

		seam.xcr0 = 1;
		vcpu->regs[REG_RAX] = value;
		vcpu->regs[REG_RCX] = vcpu->regs[REG_RDX] = 0;
		assert_int_equal(seam_exit(vcpu, EXIT_REASON_XSETBV, 0), END_RETURNED);
		assert_int_equal(seam_skipped(), right);
		assert_int_equal(seam.xcr0, right ? value : 1);
	}
	assert_false(vcpu->xcr0_allowed & 0x200); /* PKRU is hidden */
	for (uint32_t i = 0; i < 64; i++) {
		vcpu->regs[REG_RAX] = 1;
		vcpu->regs[REG_RCX] = 1ull << i;
		vcpu->regs[REG_RDX] = 0;
		seam_exit(vcpu, EXIT_REASON_XSETBV, 0);
		assert_int_equal(seam_skipped(), i >= 32); /* ECX alone counts */
		vcpu->regs[REG_RCX] = 0;
		vcpu->regs[REG_RDX] = 1ull << i;
		seam_exit(vcpu, EXIT_REASON_XSETBV, 0);
		assert_int_equal(seam_skipped(), i >= 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cr0_caches_stay_on, setup),
		cmocka_unit_test_setup(test_cr0_every_bit, setup),
		cmocka_unit_test_setup(test_cr0_paging_switches_long_mode, setup),
		cmocka_unit_test_setup(test_cr0_paging_off_needs_pcide_off, setup),
		cmocka_unit_test_setup(test_cr4_every_bit, setup),
		cmocka_unit_test_setup(test_cr4_allowed, setup),
		cmocka_unit_test_setup(test_cr4_mce_is_shown_and_kept, setup),
		cmocka_unit_test_setup(test_cr4_flushes, setup),
		cmocka_unit_test_setup(test_cr4_pcide_needs_cr3_low_bits_zero, setup),
		cmocka_unit_test_setup(test_pdptes, setup),
		cmocka_unit_test_setup(test_other_accesses, setup),
		cmocka_unit_test_setup(test_xsetbv, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

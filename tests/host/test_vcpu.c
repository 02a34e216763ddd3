// SPDX-License-Identifier: Apache-2.0
/*
 * A vCPU as vcpu_init() sets it up, on several CPU models: the VM-entry auditor finds no broken rule, and finds
 * the right one when something is taken away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

static void call_init(void *vcpu)
{
	vcpu_init(vcpu, 0, 0);
}

static void call_run(void *vcpu)
{
	vcpu_run(vcpu);
}

static void call_stop(void *vcpu)
{
	vcpu_stop(vcpu, "a reason");
}

static const char *examine(void)
{
	static char detail[200];
	const char *broken = vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail);

	if (broken)
		print_message("%s: %s; %s\n", seam.model.name, broken, detail);
	return broken;
}

static void test_each_model_enters(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SEAM_MODELS; i++)
		for (uint16_t index = 0; index < 3; index++) {
			seam_start(&seam_models[i], index);
			assert_null(examine());
		}
}

/* What no VM-entry check would find: the controls that isolation rests on. */
static void test_isolation_controls_are_on(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SEAM_MODELS; i++) {
		struct vcpu *vcpu = seam_start(&seam_models[i], 0);
		const uint64_t pin = seam_get(VMCS_CTRL_PIN), proc = seam_get(VMCS_CTRL_PROC);
		const uint64_t proc2 = seam_get(VMCS_CTRL_PROC2);

		assert_true(pin & PIN_NMI_EXITING && pin & PIN_VIRTUAL_NMIS);
		assert_false(pin & (PIN_EXTERNAL_INTERRUPT_EXITING | PIN_PREEMPTION_TIMER));
		assert_true(proc & PROC_IO_BITMAPS && proc & PROC_MSR_BITMAPS && proc & PROC_SECONDARY_CONTROLS);
		assert_true(proc & PROC_RDPMC_EXITING && proc & PROC_MWAIT_EXITING && proc & PROC_MONITOR_EXITING);
		assert_false(proc & (PROC_TERTIARY_CONTROLS | PROC_TSC_OFFSETTING | PROC_HLT_EXITING));
		assert_true(proc2 & PROC2_EPT && proc2 & PROC2_VPID && proc2 & PROC2_WBINVD_EXITING);
		assert_false(proc2 & (PROC2_VM_FUNCTIONS | PROC2_VMCS_SHADOWING | PROC2_EPT_VIOLATION_VE));
		assert_int_equal(seam_get(VMCS_CTRL_EPTP), ept_pointer[0]);
		assert_int_not_equal(seam_get(VMCS_CTRL_VPID), 0);
		assert_int_equal(seam_get(VMCS_CTRL_MSR_BITMAPS), cpu_phys(vcpu->msr_bitmap));
		assert_int_equal(seam_get(VMCS_CTRL_IO_BITMAP_B), cpu_phys(vcpu->io_bitmap) + 4096);
		assert_int_equal(seam_get(VMCS_HOST_RSP), (uint64_t)&vcpu->regs[REG_COUNT]);
		/* A guest cannot make root mode run uncached, or a broadcast machine check a shutdown. */
		assert_true((seam_get(VMCS_CTRL_CR0_MASK) & (CR0_CD | CR0_NW)) == (CR0_CD | CR0_NW));
		assert_true(seam_get(VMCS_CTRL_CR4_MASK) & CR4_MCE && seam_get(VMCS_GUEST_CR4) & CR4_MCE);
		assert_true(seam_get(VMCS_CTRL_EXCEPTION_BITMAP) ==
		            (1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC));
	}
}

/* An instruction that CPUID shows works, one that it hides faults: table and control go together (config/features.def). */
static void test_features_and_controls_agree(void **state)
{
	static const struct {
		uint32_t leaf, subleaf, reg, bit, control;
	} row[] = {
		{ 7, 0, 1, 10, PROC2_INVPCID },
		{ 7, 0, 2, 22, PROC2_RDTSCP },
		{ 0xd, 1, 0, 3, PROC2_XSAVES },
		{ 0x80000001, 0, 3, 27, PROC2_RDTSCP },
	};

	(void)state;
	for (uint32_t i = 0; i < SEAM_MODELS; i++) {
		struct vcpu *vcpu = seam_start(&seam_models[i], 0);

		for (uint32_t r = 0; r < sizeof row / sizeof row[0]; r++) {
			const uint32_t *c = vcpu_cpuid(vcpu, row[r].leaf, row[r].subleaf);

			if (c && c[row[r].reg] >> row[r].bit & 1)
				assert_true(seam_get(VMCS_CTRL_PROC2) & row[r].control);
			else if (row[r].control != PROC2_RDTSCP)
				assert_false(seam_get(VMCS_CTRL_PROC2) & row[r].control);
		}
	}
	seam_start(&seam_models[0], 0);
	assert_false(seam_get(VMCS_CTRL_PROC2) & (PROC2_INVPCID | PROC2_XSAVES)); /* Ivy Bridge has neither */
	seam_start(&seam_models[2], 0);
	assert_true(seam_get(VMCS_CTRL_PROC2) & PROC2_INVPCID && seam_get(VMCS_CTRL_PROC2) & PROC2_XSAVES);
}

/* From the core's own set-up one thing is broken, and the auditor says which rule that is. */
static void test_mutations_are_named(void **state)
{
	static const struct {
		const char *rule;
		uint32_t field;
		uint64_t set, clear;
	} row[] = {
		{ "host selector has RPL", VMCS_HOST_CS_SELECTOR, 3, 0 },
		{ "host selector has RPL", VMCS_HOST_TR_SELECTOR, 4, 0 },
		{ "host TR is 0", VMCS_HOST_TR_SELECTOR, 0, 0xffff },
		{ "host EFER.LMA is not the address-space size", VMCS_CTRL_EXIT, 0, EXIT_HOST_ADDRESS_SPACE_SIZE },
		{ "reserved bits of the pin-based", VMCS_CTRL_PIN, 0, 1u << 1 },
		{ "virtual NMIs need NMI exiting", VMCS_CTRL_PIN, 0, PIN_NMI_EXITING },
		{ "unrestricted guest needs EPT", VMCS_CTRL_PROC2, 0, PROC2_EPT },
		{ "VPID is 0", VMCS_CTRL_VPID, 0, 0xffff },
		{ "EPT page-walk length", VMCS_CTRL_EPTP, 0, EPTP_WALK_LENGTH_4 },
		{ "address of the MSR bitmaps", VMCS_CTRL_MSR_BITMAPS, 8, 0 },
		{ "address of I/O bitmap A", VMCS_CTRL_IO_BITMAP_A, 1ull << 52, 0 },
		{ "host CR4 has a bit", VMCS_HOST_CR4, 0, CR4_VMXE },
		{ "guest CR4 has a bit", VMCS_GUEST_CR4, 0, CR4_VMXE },
		{ "guest CR0 has a bit", VMCS_GUEST_CR0, 0, CR0_NE },
		{ "guest EFER.LMA is not", VMCS_GUEST_EFER, 0, EFER_LMA },
		{ "reserved bits of RFLAGS", VMCS_GUEST_RFLAGS, 0, RFLAGS_FIXED },
		{ "VMCS link pointer", VMCS_GUEST_VMCS_LINK, 8, ~0ull },
		{ "TR is no busy TSS", VMCS_GUEST_TR_ACCESS, 0, 2 },
		{ "CS has both L and D/B", VMCS_GUEST_CS_ACCESS, ACCESS_DB, 0 },
		{ "host RIP is not canonical", VMCS_HOST_RIP, 1ull << 62, 0 },
		{ "host PAT", VMCS_HOST_PAT, 2, 0xff },
	};
	uint32_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char detail[200];
		const char *broken;

		seam_start(&seam_models[1], 0);
		seam_set(row[i].field, (seam_get(row[i].field) & ~row[i].clear) | row[i].set);
		broken = vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail);
		if (!broken || !strstr(broken, row[i].rule)) {
			print_message("row %zu, \"%s\": %s; %s\n", i, row[i].rule, broken ? broken : "no rule", detail);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* Every field is needed: one that vcpu_init() had not written would be found. */
static void test_a_missing_write_is_found(void **state)
{
	static const uint32_t field[] = { VMCS_HOST_RIP,
		                          VMCS_HOST_FS_BASE,
		                          VMCS_GUEST_ACTIVITY,
		                          VMCS_GUEST_LDTR_ACCESS,
		                          VMCS_CTRL_ENTRY_INTERRUPTION_INFO,
		                          VMCS_GUEST_PENDING_DEBUG };
	char detail[200];

	(void)state;
	for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
		seam_start(&seam_models[1], 0);
		seam.vmcs.written[VMCS_WIDTH(field[i]) << 8 | VMCS_KIND(field[i]) << 6 | (field[i] >> 1 & 63)] = 0;
		assert_non_null(vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail));
	}
}

/* vcpu_init() does not go on with a control that the CPU lacks. */
static void test_a_missing_control_panics(void **state)
{
	static const struct {
		size_t offset;
		uint64_t bit;
		const char *text;
	} row[] = {
		{ offsetof(struct vmx_caps, pin), PIN_VIRTUAL_NMIS, "pin-based controls" },
		{ offsetof(struct vmx_caps, proc), PROC_MSR_BITMAPS, "processor-based controls" },
		{ offsetof(struct vmx_caps, proc2), PROC2_EPT, "secondary controls" },
		{ offsetof(struct vmx_caps, proc2), PROC2_INVPCID, "secondary controls" }, /* CPUID shows INVPCID */
		{ offsetof(struct vmx_caps, exit), EXIT_SAVE_EFER, "VM-exit controls" },
		{ offsetof(struct vmx_caps, entry), ENTRY_LOAD_PAT, "VM-entry controls" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		seam_reset(&seam_models[1]);
		*(uint64_t *)((char *)&seam.model.caps + row[i].offset) &= ~(row[i].bit << 32);
		assert_int_equal(seam_run(call_init, &this_cpu->vcpu[0]), END_PANIC);
		assert_non_null(strstr(seam.text, row[i].text));
	}
}

static void test_run_and_stop(void **state)
{
	struct vcpu *vcpu = seam_start(&seam_models[0], 0);

	(void)state;
	assert_int_equal(seam_run(call_run, vcpu), END_LAUNCH);
	assert_int_equal(vcpu->state, VCPU_RUNNING);
	assert_ptr_equal(this_cpu->running, vcpu);
	vcpu->count[3] = 4;
	vcpu->count[79] = 5;
	assert_int_equal(vcpu_exits(vcpu), 9);
	assert_int_equal(seam_run(call_stop, vcpu), END_SLEEP);
	assert_int_equal(vcpu->state, VCPU_STOPPED);
	assert_null(this_cpu->running);
	assert_non_null(strstr(seam.text, "many: vCPU 0 stopped: a reason, after 9 exits"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_model_enters),
		cmocka_unit_test(test_isolation_controls_are_on),
		cmocka_unit_test(test_features_and_controls_agree),
		cmocka_unit_test(test_mutations_are_named),
		cmocka_unit_test(test_a_missing_write_is_found),
		cmocka_unit_test(test_a_missing_control_panics),
		cmocka_unit_test(test_run_and_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

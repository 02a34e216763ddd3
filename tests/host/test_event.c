// SPDX-License-Identifier: Apache-2.0
/* Events for guests: what an exception during another one's delivery becomes, NMIs, and the policy for each class of error. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/core.h"

static struct vcpu *vcpu;
static uint32_t inject_vector;
static enum error_class error_class;
static int error_result;

static int setup(void **state)
{
	(void)state;
	vcpu = seam_start(&seam_models[1], 0);
	seam_set(VMCS_GUEST_RIP, 0x1000);
	return 0;
}

static void call_inject(void *v)
{
	inject_exception(v, inject_vector, 0xabc);
}

static void call_error(void *v)
{
	error_result = guest_error(v, error_class, VECTOR_UD, "test", 0x77);
}

/* SDM Vol. 3A, table 6-4: the class of each exception. */
enum kind { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };
static enum kind kind_of(uint32_t vector)
{
	switch (vector) {
	case 0:
	case 10:
	case 11:
	case 12:
	case 13:
	case 21:
	case 29:
	case 30:
		return CONTRIBUTORY;
	case 14:
		return PAGE_FAULT;
	case 8:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

static int has_error_code(uint32_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 ||
	       vector == 30;
}

/* Table 6-5. Returns the vector that is delivered, or 99 for a shutdown. */
static uint32_t expected(uint32_t first, uint32_t second)
{
	const enum kind a = kind_of(first), b = kind_of(second);

	if (a == DOUBLE_FAULT)
		return b == CONTRIBUTORY || b == PAGE_FAULT ? 99 : second;
	if ((a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && (b == CONTRIBUTORY || b == PAGE_FAULT)))
		return 8;
	return second;
}

static void test_double_faults(void **state)
{
	(void)state;
	for (uint32_t first = 0; first < 32; first++)
		for (inject_vector = 0; inject_vector < 32; inject_vector++) {
			const uint32_t want = expected(first, inject_vector);

			if (inject_vector == 8 || inject_vector == 2)
				continue; /* nobody injects these so */
			setup(0);
			seam_set(VMCS_IDT_VECTORING_INFO, INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION | first);
			seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
			assert_int_equal(seam_run(call_inject, vcpu), want == 99 ? END_SLEEP : END_RETURNED);
			if (want == 99) {
				assert_int_equal(vcpu->forbidden[ERROR_TRIPLE_FAULT], 1);
				continue;
			}
			assert_true(seam_injects(want));
			assert_int_equal((seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_ERROR_CODE) != 0,
			                 has_error_code(want));
			if (has_error_code(want))
				assert_int_equal(seam_get(VMCS_CTRL_ENTRY_ERROR_CODE), want == 8 ? 0 : 0xabc);
		}
}

/* An interrupt, NMI or software exception that was being delivered does not count, nor one that is not valid. */
static void test_other_events_do_not_combine(void **state)
{
	static const uint32_t vectoring[] = { INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | 13,
		                              INTERRUPTION_VALID | INTERRUPTION_NMI | 2,
		                              INTERRUPTION_VALID | INTERRUPTION_SOFTWARE_INTERRUPT | 13,
		                              INTERRUPTION_VALID | INTERRUPTION_SOFTWARE_EXCEPTION | 3,
		                              INTERRUPTION_HARDWARE_EXCEPTION | 13 };

	(void)state;
	inject_vector = VECTOR_GP;
	for (size_t i = 0; i < sizeof vectoring / sizeof *vectoring; i++) {
		seam_set(VMCS_IDT_VECTORING_INFO, vectoring[i]);
		assert_int_equal(seam_run(call_inject, vcpu), END_RETURNED);
		assert_true(seam_injects(VECTOR_GP));
	}
}

/* Real mode knows no error codes (SDM Vol. 3C, 27.2.1.3). */
static void test_no_error_code_in_real_mode(void **state)
{
	(void)state;
	seam_set(VMCS_GUEST_CR0, 0x20);
	inject_vector = VECTOR_GP;
	assert_int_equal(seam_run(call_inject, vcpu), END_RETURNED);
	assert_true(seam_injects(VECTOR_GP));
	assert_false(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_ERROR_CODE);
}

static void test_policies(void **state)
{
	(void)state;
	for (error_class = 0; error_class < ERROR_CLASS_COUNT; error_class++)
		for (uint8_t action = 0; action < ACTION_COUNT; action++) {
			/* Those that only a configuration with CONFIG_HEALTH has, end the vCPU in others. */
			const enum seam_end end = action <= ACTION_INJECT       ? END_RETURNED :
			                          action == ACTION_HALT_MACHINE ? END_PANIC :
			                                                          END_SLEEP;

			setup(0);
			seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
			seam.partition.action[error_class] = action;
			assert_int_equal(seam_run(call_error, vcpu), end);
			assert_int_equal(vcpu->forbidden[error_class], 1);
			if (action == ACTION_IGNORE)
				assert_true(error_result == 1 && seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) == 0);
			if (action == ACTION_INJECT)
				assert_true(error_result == 0 && seam_injects(VECTOR_UD));
			assert_non_null(strstr(seam.text, "many: forbidden "));
			assert_non_null(strstr(seam.text, "test 77 at rip 1000"));
		}
}

/* The first few are told, the rest counted; the one that ends the vCPU is always told. */
static void test_reports_are_bounded(void **state)
{
	(void)state;
	error_class = ERROR_MSR;
	for (uint32_t i = 0; i < 1000; i++) {
		seam.text[0] = 0;
		assert_int_equal(seam_run(call_error, vcpu), END_RETURNED);
		assert_int_equal(seam.text[0] != 0, i < 4);
		assert_int_equal(strstr(seam.text, "only counted") != 0, i == 3);
	}
	seam.partition.action[ERROR_MSR] = ACTION_STOP;
	assert_int_equal(seam_run(call_error, vcpu), END_SLEEP);
	assert_non_null(strstr(seam.text, "forbidden MSR: test"));
	assert_int_equal(vcpu->forbidden[ERROR_MSR], 1001);
}

static enum seam_end exception(uint32_t info, uint64_t qualification)
{
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | info);
	return seam_exit(vcpu, EXIT_REASON_EXCEPTION_OR_NMI, qualification);
}

/* #DB and #AC go back to the guest, with DR6 as the CPU left it to us; an NMI is ours; #MC ends the machine. */
static void test_exceptions_that_exit(void **state)
{
	(void)state;
	seam.dr6 = 0xffff0ff0;
	assert_int_equal(exception(INTERRUPTION_HARDWARE_EXCEPTION | VECTOR_DB, 0x4002), END_RETURNED);
	assert_true(seam_injects(VECTOR_DB));
	assert_int_equal(seam.dr6, 0xffff4ff2);
	seam_set(VMCS_GUEST_DR7, 0x2400);
	assert_int_equal(exception(INTERRUPTION_HARDWARE_EXCEPTION | VECTOR_DB, 0x2000), END_RETURNED);
	assert_int_equal(seam_get(VMCS_GUEST_DR7), 0x400); /* GD is cleared on the way into the handler */
	seam_set(VMCS_EXIT_INTERRUPTION_ERROR, 0);
	assert_int_equal(exception(INTERRUPTION_HARDWARE_EXCEPTION | INTERRUPTION_ERROR_CODE | VECTOR_AC, 0),
	                 END_RETURNED);
	assert_true(seam_injects(VECTOR_AC));
	seam.attention_count = 0;
	assert_int_equal(exception(INTERRUPTION_NMI | 2, 0), END_RETURNED);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), 0);
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x1000);
	assert_int_equal(exception(INTERRUPTION_HARDWARE_EXCEPTION | VECTOR_MC, 0), END_PANIC);
}

/* An exception on IRET, which had ended blocking by NMI: it is as if IRET had not run (SDM Vol. 3C, 28.2.3). */
static void test_iret_keeps_nmis_blocked(void **state)
{
	(void)state;
	for (uint32_t iret = 0; iret < 2; iret++)
		for (uint32_t vectoring = 0; vectoring < 2; vectoring++) {
			seam_set(VMCS_GUEST_INTERRUPTIBILITY, 0);
			seam_set(VMCS_IDT_VECTORING_INFO, vectoring ? INTERRUPTION_VALID : 0);
			exception(INTERRUPTION_HARDWARE_EXCEPTION | VECTOR_AC |
			                  (iret ? INTERRUPTION_NMI_UNBLOCKING : 0),
			          0);
			assert_int_equal(seam_get(VMCS_GUEST_INTERRUPTIBILITY),
			                 iret && !vectoring ? BLOCKING_BY_NMI : 0);
		}
}

/* An NMI for the guest waits for its window, once, and the window closes behind it. */
static void test_nmi_window(void **state)
{
	(void)state;
	inject_nmi(vcpu);
	inject_nmi(vcpu);
	assert_true(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_NMI_WINDOW, 0), END_RETURNED);
	assert_false(seam_get(VMCS_CTRL_PROC) & PROC_NMI_WINDOW_EXITING);
	assert_int_equal(seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO), INTERRUPTION_VALID | INTERRUPTION_NMI | 2);
	assert_int_equal(vcpu->nmi_pending, 0);
}

/* Every exit reason, known and unknown: counted, and never a fault of the core but where hardware or core must be broken. */
static void test_every_exit_reason(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < 0x10000; reason += reason < 200 ? 1 : 997) {
		enum seam_end end;

		setup(0);
		seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_NMI | 2);
		end = seam_exit(vcpu, reason, 0);
		assert_int_equal(end == END_PANIC, reason == EXIT_REASON_EPT_MISCONFIGURATION);
		if (reason < EXIT_REASONS_COUNTED)
			assert_int_equal(vcpu->count[reason], 1);
		if (end == END_SLEEP)
			assert_int_equal(vcpu->state, VCPU_STOPPED);
	}
	setup(0);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_ENTRY_GUEST_STATE, 0), END_SLEEP);
	setup(0);
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_ENTRY_MSR_LOADING, 0), END_PANIC);
}

/* Instructions that do not exist for the guest: #UD, counted. */
static void test_undefined_instructions(void **state)
{
	static const uint32_t reasons[] = { EXIT_REASON_GETSEC,   EXIT_REASON_VMCLEAR, EXIT_REASON_VMLAUNCH,
		                            EXIT_REASON_VMPTRLD,  EXIT_REASON_VMPTRST, EXIT_REASON_VMREAD,
		                            EXIT_REASON_VMRESUME, EXIT_REASON_VMWRITE, EXIT_REASON_VMXOFF,
		                            EXIT_REASON_VMXON,    EXIT_REASON_MWAIT,   EXIT_REASON_MONITOR,
		                            EXIT_REASON_INVEPT,   EXIT_REASON_INVVPID, EXIT_REASON_VMFUNC,
		                            EXIT_REASON_ENCLS,    EXIT_REASON_PCONFIG };

	(void)state;
	for (uint32_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		assert_int_equal(seam_exit(vcpu, reasons[i], 0), END_RETURNED);
		assert_true(seam_injects(VECTOR_UD));
		assert_int_equal(vcpu->forbidden[ERROR_INSTRUCTION], i + 1);
	}
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_RDPMC, 0), END_RETURNED);
	assert_true(seam_injects(VECTOR_GP));
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_WBINVD, 0), END_RETURNED);
	assert_true(seam_skipped());
	assert_int_equal(seam_exit(vcpu, EXIT_REASON_INVD, 0), END_RETURNED);
	assert_true(seam_skipped());
}

/* Stepping over an emulated instruction traps like over any other (SDM Vol. 3C, 27.3.1.5). */
static void test_single_step(void **state)
{
	(void)state;
	seam_set(VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_TF);
	seam_exit(vcpu, EXIT_REASON_CPUID, 0);
	assert_true(seam_get(VMCS_GUEST_PENDING_DEBUG) & PENDING_DEBUG_BS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_double_faults, setup),
		cmocka_unit_test_setup(test_other_events_do_not_combine, setup),
		cmocka_unit_test_setup(test_no_error_code_in_real_mode, setup),
		cmocka_unit_test_setup(test_policies, setup),
		cmocka_unit_test_setup(test_reports_are_bounded, setup),
		cmocka_unit_test_setup(test_exceptions_that_exit, setup),
		cmocka_unit_test_setup(test_iret_keeps_nmis_blocked, setup),
		cmocka_unit_test_setup(test_nmi_window, setup),
		cmocka_unit_test_setup(test_every_exit_reason, setup),
		cmocka_unit_test_setup(test_undefined_instructions, setup),
		cmocka_unit_test_setup(test_single_step, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

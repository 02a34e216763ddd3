// SPDX-License-Identifier: Apache-2.0
/* Events for guests, and what happens to a guest that does what it must not. */
#include "core/audit.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/panic.h"
#include "core/x86.h"
#include "counters.h"
#include "exit.h"
#include "health.h"
#include "vmx.h"

#define REPORTS_PER_CLASS 4u /* the first few of a kind are printed, the rest counted */

/* Vectors with an error code: 8, 10 to 14, 17, 21, 29, 30 (SDM Vol. 3A, table 6-1). */
#define HAS_ERROR_CODE 0x60227d00u
/* Contributory exceptions: 0, 10 to 13, 21, 29, 30 (table 6-4). */
#define CONTRIBUTORY 0x60203c01u
#define VECTOR_PF 14u

/* clang-format off */
static const char *const class_name[ERROR_CLASS_COUNT] = {
	[ERROR_TRIPLE_FAULT] = "triple fault", [ERROR_MEMORY] = "memory",       [ERROR_MSR] = "MSR",
	[ERROR_PORT] = "port",                 [ERROR_INSTRUCTION] = "instruction", [ERROR_INTERRUPT] = "interrupt",
	[ERROR_EXIT] = "exit",                 [ERROR_PAYLOAD] = "payload",
	[ERROR_COMPANION] = "companion",
#if CONFIG_HEALTH
	[ERROR_OVERRUN] = "budget",            [ERROR_SILENCE] = "silence",
	[ERROR_APPLICATION] = "application",   [ERROR_SEAL] = "seal",           [ERROR_WINDOW] = "window",
#endif
};
/* clang-format on */

/* What a second exception during delivery of `first` becomes: itself (0), #DF (1), or a shutdown (2). Table 6-5. */
static uint32_t combine(uint32_t first, uint32_t second)
{
	const uint32_t second_serious = (CONTRIBUTORY >> second & 1) | (second == VECTOR_PF);

	if (first == VECTOR_DF)
		return second_serious ? 2 : 0;
	if (first == VECTOR_PF)
		return second_serious;
	return CONTRIBUTORY >> first & CONTRIBUTORY >> second & 1;
}

static __attribute__((noinline)) void report(struct vcpu *vcpu, enum error_class class, const char *what,
                                             uint64_t detail)
{
	const uint64_t count = vcpu->forbidden[class];

	print_words("%s: forbidden %s: %s %lx at rip %lx%s\n",
	            (const uint64_t[MESSAGE_ARGUMENTS]){
			    (uint64_t)vcpu->partition->name, (uint64_t)class_name[class], (uint64_t)what, detail,
			    vmread(VMCS_GUEST_RIP),
			    (uint64_t)(count == REPORTS_PER_CLASS ? "; further ones are only counted" : "") });
	if (count <= REPORTS_PER_CLASS)
		console_follow_up(vcpu);
}

/* Counts an error, and tells of the first few of a class and of the last. One that ends the partition is recorded whatever came before. */
static inline void record(struct vcpu *vcpu, enum error_class class, const char *what, uint64_t detail)
{
	counters_forbidden(vcpu);
	audit(AUDIT_SECURITY, vcpu->partition->action[class] >= ACTION_STOP ? AUDIT_FAIL : AUDIT_FORBIDDEN,
	      vcpu->partition_index, class, detail);
	if (__builtin_expect(
		    ++vcpu->forbidden[class] <= REPORTS_PER_CLASS || vcpu->partition->action[class] >= ACTION_STOP, 0))
		report(vcpu, class, what, detail);
}

static _Noreturn void end(struct vcpu *vcpu, enum error_class class)
{
	if (vcpu->partition->action[class] == ACTION_HALT_MACHINE) {
		console_flush();
		panic("%s: %s, and its configuration says: halt the machine", vcpu->partition->name, class_name[class]);
	}
	if (CONFIG_HEALTH)
		health_end(vcpu, HEALTH_ERROR(class));
	vcpu_stop(vcpu, class_name[class]);
}

void inject_exception(struct vcpu *vcpu, uint32_t vector, uint32_t error)
{
	const uint32_t vectoring = (uint32_t)vmread(VMCS_IDT_VECTORING_INFO);
	uint32_t info = INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION;

	if (vectoring & INTERRUPTION_VALID && (vectoring & INTERRUPTION_TYPE) == INTERRUPTION_HARDWARE_EXCEPTION) {
		const uint32_t result = combine(vectoring & 31, vector);

		if (result == 2) {
			record(vcpu, ERROR_TRIPLE_FAULT, "third exception while #DF was delivered, vector", vector);
			end(vcpu, ERROR_TRIPLE_FAULT);
		}
		if (result == 1) {
			vector = VECTOR_DF;
			error = 0;
		}
	}
	info |= vector;
	if (HAS_ERROR_CODE >> vector & 1 && vmread(VMCS_GUEST_CR0) & CR0_PE) {
		info |= INTERRUPTION_ERROR_CODE;
		vmwrite(VMCS_CTRL_ENTRY_ERROR_CODE, error);
	}
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, info);
}

static void nmi_window(struct vcpu *vcpu, uint32_t on)
{
	vcpu->proc_controls = on ? vcpu->proc_controls | PROC_NMI_WINDOW_EXITING :
	                           vcpu->proc_controls & ~PROC_NMI_WINDOW_EXITING;
	vmwrite(VMCS_CTRL_PROC, vcpu->proc_controls);
}

/* The window opens at once where nothing blocks: one exit more, and no case to tell apart. */
void inject_nmi(struct vcpu *vcpu)
{
	if (!vcpu->nmi_pending)
		nmi_window(vcpu, 1);
	vcpu->nmi_pending = 1;
}

void exit_nmi_window(struct vcpu *vcpu)
{
	nmi_window(vcpu, 0);
	vcpu->nmi_pending = 0;
	vmwrite(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_NMI | 2);
}

int guest_error(struct vcpu *vcpu, enum error_class class, uint32_t vector, const char *what, uint64_t detail)
{
	record(vcpu, class, what, detail);
	switch (vcpu->partition->action[class]) {
	case ACTION_IGNORE:
		return 1;
	case ACTION_INJECT:
		inject_exception(vcpu, vector, 0);
		return 0;
	default:
		if (CONFIG_HEALTH && health_goes_on(vcpu, class))
			return 1;
		end(vcpu, class);
	}
}

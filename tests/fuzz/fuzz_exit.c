// SPDX-License-Identifier: Apache-2.0
/*
 * The exit handlers under random exits, registers and guest state (tests/host/seam.h). After each one: no panic, no fault in root
 * mode, nothing written outside the vCPU, the host's part of the VMCS as it was, only own CPUs interrupted; and if the guest
 * could be entered before the exit, it can be after it.
 */
#include "vmx/startup.h"
#include "core/core.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define EXITS 48u

static struct vmcs_image before;
static struct cpu cpu_before;

static const uint32_t guest_fields[] = {
	VMCS_GUEST_RSP,
	VMCS_GUEST_RFLAGS,
	VMCS_GUEST_CR3,
	VMCS_GUEST_CR0,
	VMCS_GUEST_CR4,
	VMCS_GUEST_EFER,
	VMCS_GUEST_DR7,
	VMCS_GUEST_CS_ACCESS,
	VMCS_GUEST_SS_ACCESS,
	VMCS_GUEST_INTERRUPTIBILITY,
	VMCS_GUEST_PENDING_DEBUG,
	VMCS_IDT_VECTORING_INFO,
	VMCS_GUEST_PHYSICAL_ADDRESS,
	VMCS_EXIT_INTERRUPTION_ERROR,
};

/* Fields that handlers may write. All others keep what vcpu_init() gave them. */
static const uint32_t may_change[] = {
	VMCS_GUEST_RIP,
	VMCS_GUEST_PENDING_DEBUG,
	VMCS_GUEST_CR0,
	VMCS_GUEST_CR4,
	VMCS_GUEST_EFER,
	VMCS_GUEST_DR7,
	VMCS_GUEST_INTERRUPTIBILITY,
	VMCS_GUEST_PREEMPTION_TIMER,
	VMCS_GUEST_PDPTE0,
	VMCS_GUEST_PDPTE1,
	VMCS_GUEST_PDPTE2,
	VMCS_GUEST_PDPTE3,
	VMCS_CTRL_ENTRY,
	VMCS_CTRL_ENTRY_INTERRUPTION_INFO,
	VMCS_CTRL_ENTRY_ERROR_CODE,
	VMCS_CTRL_CR0_SHADOW,
	VMCS_CTRL_CR4_SHADOW,
	VMCS_CTRL_PIN,
	VMCS_CTRL_EXIT, /* with the timer: whether it goes on */
	VMCS_CTRL_PROC,
};

static uint32_t slot(uint32_t field)
{
	return VMCS_WIDTH(field) << 8 | VMCS_KIND(field) << 6 | (field >> 1 & 63);
}

static void check_vmcs(const struct vcpu *vcpu)
{
	const uint64_t cr0 = seam_get(VMCS_GUEST_CR0), cr4 = seam_get(VMCS_GUEST_CR4);

	fuzz_require(!seam.vmcs.misuse, "VMWRITEs are right");
	fuzz_require(!((seam_get(VMCS_CTRL_PIN) ^ before.value[slot(VMCS_CTRL_PIN)]) & ~(uint64_t)PIN_PREEMPTION_TIMER),
	             "pin-based controls stay but for the preemption timer");
	fuzz_require(!((seam_get(VMCS_CTRL_EXIT) ^ before.value[slot(VMCS_CTRL_EXIT)]) &
	               ~(uint64_t)EXIT_SAVE_PREEMPTION_TIMER),
	             "exit controls stay but for the preemption timer");
	fuzz_require(
		!((seam_get(VMCS_CTRL_PROC) ^ before.value[slot(VMCS_CTRL_PROC)]) & ~(uint64_t)PROC_NMI_WINDOW_EXITING),
		"processor-based controls stay but for the NMI window");
	fuzz_require(!((seam_get(VMCS_CTRL_ENTRY) ^ before.value[slot(VMCS_CTRL_ENTRY)]) &
	               ~(uint64_t)ENTRY_IA32E_MODE_GUEST),
	             "entry controls stay but for the mode");
	fuzz_require(!(cr0 & (CR0_CD | CR0_NW)) && cr0 & CR0_NE, "CR0.CD, NW and NE are the host's");
	fuzz_require((cr4 & (CR4_MCE | CR4_VMXE)) == (CR4_MCE | CR4_VMXE) &&
	                     !(cr4 & ~vcpu->cr4_allowed & ~(CR4_MCE | CR4_VMXE)),
	             "CR4's host bits are the host's");
	for (size_t i = 0; i < sizeof may_change / sizeof *may_change; i++)
		before.value[slot(may_change[i])] = seam.vmcs.value[slot(may_change[i])];
	fuzz_require(!memcmp(before.value, seam.vmcs.value, sizeof before.value), "all other fields are as they were");
}

static void check_writes(const struct vcpu *vcpu)
{
	for (uint32_t i = 0; i < seam.wrmsr_count && i < SEAM_MSR_LOG; i++) {
		const uint64_t value = seam.written[i].value;
		int own = 0;

		if (seam.written[i].msr != MSR_X2APIC_ICR) {
			fuzz_require(seam.written[i].msr == MSR_X2APIC_SVR || seam.written[i].msr == MSR_IA32_XSS,
			             "the hardware's MSRs are not written");
			continue;
		}
		for (uint32_t n = 0; n < vcpu->partition->vcpu_count; n++)
			own |= cpu_apic_id[vcpu->partition->vcpus[n].cpu] == value >> 32;
		fuzz_require(own && !((uint32_t)value & 0xc0f00), "only fixed interrupts, only to own CPUs");
	}
}

static void check_memory(const struct vcpu *vcpu)
{
	const struct vcpu *old = &cpu_before.vcpu[0];

	cpu_before.trace.running = this_cpu->trace.running;
	fuzz_require(this_cpu->trace.head - cpu_before.trace.head <= 2,
	             "an exit is a record, the first one a switch, too");
	cpu_before.trace.head = this_cpu->trace.head;
	fuzz_require(this_cpu->audit.head - cpu_before.audit.head <= 5,
	             "an exit is a failure and a stop in the audit at most, with what limits had kept out");
	cpu_before.audit.head = this_cpu->audit.head;
	memcpy(cpu_before.audit.limit[vcpu->partition_index], this_cpu->audit.limit[vcpu->partition_index],
	       sizeof this_cpu->audit.limit[0]);
	fuzz_require(!memcmp(cpu_before.vmxon_region, this_cpu->vmxon_region, sizeof cpu_before.vmxon_region) &&
	                     !memcmp(cpu_before.gdt, this_cpu->gdt, sizeof(struct cpu) - offsetof(struct cpu, gdt)),
	             "nothing outside the vCPU is written");
	fuzz_require(!memcmp(old->vmcs, vcpu->vmcs, sizeof old->vmcs + sizeof old->msr_bitmap + sizeof old->io_bitmap),
	             "VMCS region and bitmaps are not written");
	for (uint32_t i = REG_RSP; i < REG_COUNT; i++)
		fuzz_require(old->regs[i] == vcpu->regs[i], "handlers change RAX, RCX, RDX and RBX at most");
	fuzz_require(old->partition == vcpu->partition && old->cr4_allowed == vcpu->cr4_allowed &&
	                     old->xcr0_allowed == vcpu->xcr0_allowed,
	             "what the guest may do does not change");
}

/* A guest that has switched paging off, and may be about to switch it on again, to long mode or PAE. */
static void paging_off(struct fuzz_input *in, uint8_t how)
{
	uint64_t *entry = (uint64_t *)(void *)(seam.guest_page + 0x40);
	const uint64_t efer = how & 1 ? EFER_LME : 0, cr4 = seam_get(VMCS_GUEST_CR4) & ~(CR4_PAE | CR4_PCIDE);

	seam_set(VMCS_GUEST_CR0, (seam_get(VMCS_GUEST_CR0) & ~CR0_PG) | CR0_PE | CR0_NE);
	seam_set(VMCS_GUEST_EFER, efer);
	seam_set(VMCS_GUEST_CR4, how & 2 ? cr4 | CR4_PAE : cr4);
	seam_set(VMCS_CTRL_ENTRY, seam_get(VMCS_CTRL_ENTRY) & ~(uint64_t)ENTRY_IA32E_MODE_GUEST);
	seam_set(VMCS_GUEST_CS_ACCESS, 0xc09b);
	seam_set(VMCS_GUEST_CR3, how & 4 ? 0x40 : 0x10000000);
	entry[0] = 1ull << (fuzz_byte(in) & 63) | (how >> 3 & 1);
}

static void guest_state(struct fuzz_input *in)
{
	const uint8_t mode = fuzz_byte(in);

	if (mode & 0x80)
		paging_off(in, mode);
	for (uint32_t n = fuzz_byte(in) % 4; n > 0; n--) {
		const uint32_t field = guest_fields[fuzz_byte(in) % (sizeof guest_fields / sizeof *guest_fields)];
		uint64_t value = fuzz_number(in);

		if (VMCS_WIDTH(field) == VMCS_WIDTH_32)
			value = (uint32_t)value;
		/* What no guest can bring about, since these bits are the host's. */
		if (field == VMCS_GUEST_CR0)
			value = (value & 0xe005003f & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET;
		if (field == VMCS_GUEST_CR4)
			value = (value & this_cpu->vcpu[0].cr4_allowed) | CR4_MCE | CR4_VMXE;
		if (field == VMCS_EXIT_INTERRUPTION_ERROR) /* written by the CPU: 16 bits */
			value &= 0xffff;
		seam_set(field, value);
	}
}

static uint32_t pick_reason(struct fuzz_input *in)
{
	static const uint8_t often[] = { EXIT_REASON_CPUID,  EXIT_REASON_CR_ACCESS,       EXIT_REASON_IO,
		                         EXIT_REASON_RDMSR,  EXIT_REASON_WRMSR,           EXIT_REASON_VMCALL,
		                         EXIT_REASON_XSETBV, EXIT_REASON_EXCEPTION_OR_NMI };
	const uint8_t r = fuzz_byte(in);
	const uint32_t reason = r & 0x80 ? r & 0x7f : often[r % sizeof often];

	/* Only a broken core or machine brings this one about: it panics on purpose. */
	return reason == EXIT_REASON_EPT_MISCONFIGURATION ? EXIT_REASON_EPT_VIOLATION : reason;
}

static void set_exit(struct fuzz_input *in, struct vcpu *vcpu, uint32_t reason)
{
	static const uint32_t exceptions[] = { INTERRUPTION_NMI | 2, INTERRUPTION_HARDWARE_EXCEPTION | VECTOR_DB,
		                               INTERRUPTION_HARDWARE_EXCEPTION | INTERRUPTION_ERROR_CODE | VECTOR_AC };
	static const uint32_t msrs[] = { 0, 0x830, 0x800, 0x1b, 0xda0, 0x80f, 0xc0000000, 0x10a };

	for (uint32_t n = fuzz_byte(in) % 8; n > 0; n--)
		vcpu->regs[fuzz_byte(in) % REG_COUNT] = fuzz_number(in);
	if (reason == EXIT_REASON_RDMSR || reason == EXIT_REASON_WRMSR) {
		const uint8_t which = fuzz_byte(in);

		vcpu->regs[REG_RCX] = msrs[which & 7] + (which & 8 ? fuzz_byte(in) : 0u);
	}
	if (reason == EXIT_REASON_CR_ACCESS) { /* a bit or two of CR0 or CR4, and paging with it */
		const uint64_t now = seam_get(fuzz_byte(in) & 1 ? VMCS_GUEST_CR0 : VMCS_GUEST_CR4);
		const uint8_t which = fuzz_byte(in);

		vcpu->regs[REG_RAX] = now ^ 1ull << (which & 31) ^ (which & 0x40 ? CR0_CD : 0) ^
		                      (which & 0x80 ? CR0_PG : 0);
	}
	if (reason == EXIT_REASON_VMCALL)
		vcpu->regs[REG_RAX] = fuzz_byte(in) % 8;
	if (reason == EXIT_REASON_NMI_WINDOW) /* it opens where nothing blocks */
		seam_set(VMCS_GUEST_INTERRUPTIBILITY, 0);
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | exceptions[fuzz_byte(in) % 3] |
	                                              (fuzz_byte(in) & 1 ? INTERRUPTION_NMI_UNBLOCKING : 0));
}

/* Qualifications have the form that the SDM gives them (Vol. 3C, table 28-5): an access of 1, 2 or 4 bytes. */
static uint64_t qualification(struct fuzz_input *in, uint32_t reason)
{
	static const uint8_t size[] = { 0, 1, 3, 0 };
	const uint64_t q = fuzz_number(in);

	if (reason == EXIT_REASON_CR_ACCESS && q & 1)
		return q & 4; /* MOV to CR0 or CR4 from RAX */
	return reason == EXIT_REASON_IO ? (q & ~7ull) | size[q & 3] : q;
}

/* One exit. Returns 0 when the vCPU has ended. */
static int one(struct fuzz_input *in, struct vcpu *vcpu)
{
	const uint32_t reason = pick_reason(in);
	char detail[200];
	enum seam_end end;
	int could_enter, reset;

	guest_state(in);
	set_exit(in, vcpu, reason);
	seam.room = fuzz_byte(in);
	seam.pump_left = fuzz_byte(in) & 1;
	seam.wrmsr_count = 0;
	seam.text[0] = 0;
	seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
	could_enter = !vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail);
	seam_set(VMCS_EXIT_REASON, reason);
	seam_set(VMCS_EXIT_INSTRUCTION_LENGTH, 2);
	seam_set(VMCS_GUEST_RIP, 0x1000);
	seam_set(VMCS_EXIT_QUALIFICATION, qualification(in, reason));
	before = seam.vmcs;
	cpu_before = *this_cpu;
	reset = startup_left(vcpu);
	end = seam_exit(vcpu, reason, seam_get(VMCS_EXIT_QUALIFICATION));
	if (end == END_PANIC)
		fprintf(stderr, "exit reason %u: %s\n", reason, seam.text);
	fuzz_require(end == END_RETURNED || end == END_SLEEP, "the core does not panic");
	if (reset && !startup_left(vcpu)) /* an INIT or SIPI that the guest has sent itself: all of its state is new */
		return 0;
	check_writes(vcpu);
	if (end == END_SLEEP)
		return 0;
	check_vmcs(vcpu);
	check_memory(vcpu);
	if (could_enter && vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail)) {
		fprintf(stderr, "exit reason %u: %s; %s\n", reason,
		        vmentry_audit(&seam.vmcs, &seam.model.caps, detail, sizeof detail), detail);
		fuzz_require(0, "a guest that could be entered can be entered after the exit");
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const struct seam_model *model = &seam_models[fuzz_byte(&in) % SEAM_MODELS];
	const uint8_t which = fuzz_byte(&in) % 3;
	struct vcpu *vcpu = seam_start(model, which);

	if (startup_left(vcpu)) { /* from the last input */
		startup_take(vcpu);
		vcpu = seam_start(model, which);
	}

	seam.partition.flags = fuzz_byte(&in) & 1 ? PARTITION_CPL3_HYPERCALLS : 0;
	for (uint32_t i = 0; i < EXITS && in.left > 0; i++)
		if (!one(&in, vcpu))
			break;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* A CPU, a console and an end of the world for vmx/ and hypercall/ on the host. What would fault on a real CPU ends the call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/panic.h"
#include "core/survivor.h"
#include "core/window.h"
#include "hypercall/calls.h"
#include "vmx/trace.h"

struct seam seam;

/* What the linker and the rest of the core give. */
struct handoff handoff;
uint64_t tsc_khz = 3000000;
uint64_t ept_pointer[CONFIG_PARTITIONS] = { 0x20000000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4,
	                                    0x20001000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4,
	                                    0x20002000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4,
	                                    0x20003000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4,
	                                    0x20005000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4 };
uint64_t ept_pointer_empty = 0x20004000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4;
uint32_t cpu_apic_id[CONFIG_CPUS] = { 0x10, 0x12, 0x14, 0x16, 0x18, 0x1a, 0x1c }; /* not the virtual ones */
const uint64_t core_idt[64];
void vmx_exit_entry(void)
{
	abort();
}

static _Noreturn void end(enum seam_end how)
{
	seam.end = how;
	longjmp(seam.back, 1);
}

static void add_text(const char *format, va_list arguments)
{
	const size_t used = strlen(seam.text);

	vsnprintf(seam.text + used, sizeof seam.text - used, format, arguments);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_text(format, arguments);
	va_end(arguments);
}

/* The arguments of the one message there is: vmx/event.c. */
void print_words(const char *format, const uint64_t argument[MESSAGE_ARGUMENTS])
{
	print(format, (const char *)argument[0], (const char *)argument[1], (const char *)argument[2], argument[3],
	      argument[4], (const char *)argument[5]);
}

void panic(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_text(format, arguments);
	va_end(arguments);
	end(END_PANIC);
}

void panic_check(void)
{
}

/* Real in test_selfcheck alone. */
__attribute__((weak)) void selfcheck_first(const struct vcpu *vcpu)
{
	(void)vcpu;
	this_cpu->selfcheck.due = ~0ull;
}

__attribute__((weak)) void selfcheck_step(uint64_t now)
{
	(void)now;
}

void attention_kick(uint32_t cpu)
{
	seam.kicked |= 1ull << cpu;
}

void attention(void)
{
	seam.attention_count++;
}

void attention_status(void)
{
}

void attention_tell(void)
{
}

uint64_t core_phys(const void *p)
{
	return handoff.core_hpa + ((uint64_t)p & (PAGE_SIZE * PAGE_SIZE - 1));
}

void cpu_sleep(void)
{
	end(END_SLEEP);
}

void cpu_quiet_apic(void)
{
}

void vmx_launch(struct vcpu *vcpu)
{
	(void)vcpu;
	end(END_LAUNCH);
}

void vmx_resume(struct vcpu *vcpu)
{
	(void)vcpu;
	end(END_RESUME);
}

/* The consoles. */
int console_put(uint16_t partition, uint8_t byte)
{
	(void)partition;
	if (seam.room == 0)
		return 0;
	seam.room--;
	seam.out[seam.out_count++ % sizeof seam.out] = byte;
	return 1;
}

uint32_t console_room(uint16_t partition)
{
	(void)partition;
	return seam.room;
}

int console_get(uint16_t partition)
{
	(void)partition;
	return seam.in && *seam.in ? (uint8_t)*seam.in++ : -1;
}

void console_flush(void)
{
}

int console_pump(void)
{
	return seam.pump_left;
}

/* Memory: the first page of a partition, at 40000000h. */
uint64_t partition_translate(uint16_t partition, uint64_t gpa, uint64_t *bytes)
{
	(void)partition;
	*bytes = gpa < sizeof seam.guest_page ? sizeof seam.guest_page - gpa : 0;
	return *bytes ? 0x40000000 + gpa : 0;
}

int partition_load(uint16_t partition)
{
	(void)partition;
	return 1;
}

__attribute__((weak)) uint8_t *window(uint32_t slot, uint64_t hpa)
{
	(void)slot;
	return seam.guest_page + (hpa - 0x40000000);
}

/* The audit's memory: this CPU's part is where the CPU has it, the others' lie behind each other. */
static uint8_t *audit_part(uint32_t cpu)
{
	const struct config_memory *m = &config.memories[CONFIG_AUDIT_MEMORY];
	const uint64_t part = m->size / CONFIG_CPUS;
	static uint8_t *others;

	if (!others)
		others = aligned_alloc(4096, m->size + 4096);
	return cpu == this_cpu->index ? (uint8_t *)CORE_MEMORY_BASE + m->core_at : others + cpu * part;
}

uint8_t *window_pair(uint64_t hpa)
{
	const uint64_t part = config.memories[CONFIG_AUDIT_MEMORY].size / CONFIG_CPUS;
	const uint64_t at = hpa - SEAM_AUDIT_HPA;

	if (at / part >= CONFIG_CPUS)
		abort();
	return audit_part((uint32_t)(at / part)) + at % part;
}

uint64_t panic_peek(uint32_t field)
{
	return field;
}

static void begin_audit(void)
{
	handoff.memory[CONFIG_AUDIT_MEMORY].hpa = SEAM_AUDIT_HPA;
	for (uint32_t cpu = 0; cpu < CONFIG_CPUS; cpu++)
		memset(audit_part(cpu), 0, AUDIT_HEADER);
	audit_boot();
	audit_init();
}

void window_close(void)
{
}

/* Instructions. */
static void before_instruction(void)
{
	if (seam.on_instruction)
		seam.on_instruction();
}

uint64_t __real_vmread(uint32_t field);
uint64_t __wrap_vmread(uint32_t field);
uint64_t __wrap_vmread(uint32_t field)
{
	before_instruction();
	return __real_vmread(field);
}

void __real_vmwrite(uint32_t field, uint64_t value);
void __wrap_vmwrite(uint32_t field, uint64_t value);
void __wrap_vmwrite(uint32_t field, uint64_t value)
{
	before_instruction();
	__real_vmwrite(field, value);
}

static void fault(const char *what, uint64_t detail)
{
	panic("#GP in root mode: %s %lx", what, detail);
}

uint64_t rdmsr(uint32_t msr)
{
	uint64_t value = 0;

	if (seam_capability_msr(msr, &value))
		return value;
	switch (msr) {
	case MSR_IA32_FEATURE_CONTROL:
		return seam.feature_control;
	case MSR_IA32_EFER:
		return EFER_LME | EFER_LMA | EFER_NXE;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!(seam.model.c7_edx & 1u << 29))
			fault("RDMSR", msr);
		return seam.model.arch_capabilities;
	case MSR_IA32_XSS:
		if (!(seam.model.cd1_eax & 8))
			fault("RDMSR", msr);
		return 0x100;
	case 0x8b: /* microcode revision */
		return 0x2100000000;
	case MSR_X2APIC_SVR:
		return 0x1ff;
	case MSR_IA32_PAT:
		return PAT_RESET;
	case MSR_IA32_APIC_BASE:
		return 0xfee00000 | APIC_BASE_ENABLE | APIC_BASE_EXTD;
	case MSR_IA32_MTRRCAP: /* with SMRR */
		return 0xd08;
	case 0x1f3: /* IA32_SMRR_PHYSMASK: valid */
		return 0xff800800;
	default:
		fault("RDMSR", msr);
		return 0;
	}
}

void wrmsr(uint32_t msr, uint64_t value)
{
	before_instruction();
	switch (msr) {
	case MSR_IA32_FEATURE_CONTROL:
		if (seam.feature_control & FEATURE_CONTROL_LOCK)
			fault("WRMSR", msr);
		seam.feature_control = value;
		break;
	case MSR_IA32_XSS:
		if (!(seam.model.cd1_eax & 8) || value & ~0x100ull)
			fault("WRMSR to XSS", value);
		break;
	case MSR_X2APIC_ICR: /* reserved bits: SDM Vol. 3A, 11.12.9 */
		if (value & 0xfff33000u)
			fault("WRMSR to the ICR", value);
		break;
	case MSR_X2APIC_SVR:
		if (value & ~0x11ffull)
			fault("WRMSR to SVR", value);
		break;
	case MSR_X2APIC_EOI:
	case 0xc0000081: /* STAR */
		if (msr == MSR_X2APIC_EOI && value)
			fault("WRMSR to EOI", value);
		break;
	case MSR_LSTAR:
	case MSR_CSTAR:
		if ((int64_t)(value << 16) >> 16 != (int64_t)value)
			fault("WRMSR, not canonical", value);
		break;
	case MSR_TSC_AUX:
	case MSR_FMASK:
		if (value >> 32 || (msr == MSR_TSC_AUX && !(seam.model.ext_edx >> 27 & 1)))
			fault("WRMSR", msr);
		break;
	default:
		fault("WRMSR", msr);
	}
	seam.written[seam.wrmsr_count % SEAM_MSR_LOG].msr = msr;
	seam.written[seam.wrmsr_count++ % SEAM_MSR_LOG].value = value;
}

uint64_t rdtsc(void)
{
	before_instruction();
	return seam.tsc += seam.tsc_step;
}

uint64_t read_cr0(void)
{
	return seam.cr0;
}

uint64_t read_cr2(void)
{
	return 0x2222000;
}

uint64_t read_cr3(void)
{
	return 0x30000000;
}

uint64_t read_cr4(void)
{
	return seam.cr4;
}

void write_cr0(uint64_t value)
{
	seam.cr0 = value;
}

void write_cr4(uint64_t value)
{
	seam.cr4 = value;
}

uint64_t read_dr6(void)
{
	return seam.dr6;
}

void write_dr6(uint64_t value)
{
	if (value >> 32)
		fault("DR6", value);
	seam.dr6 = value;
}

void xsetbv0(uint64_t value)
{
	if (!(value & 1) || value & ~(uint64_t)seam.model.cd_xcr0 || (value & 6) == 4)
		fault("XSETBV", value);
	seam.xcr0 = value;
}

int vmxon(uint64_t phys)
{
	seam.vmxon_count++;
	return phys & 0xfff || !(seam.cr4 & CR4_VMXE) ||
	       (seam.feature_control & 5) != (FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
}

int vmclear(uint64_t phys)
{
	return (phys & 0xfff) != 0;
}

int vmptrld(uint64_t phys)
{
	before_instruction();
	if (cpu_is_scheduled(this_cpu->index))
		return seam_load_scheduled(phys);
	return phys != cpu_phys(this_cpu->vcpu[0].vmcs) ||
	       *(const uint32_t *)this_cpu->vcpu[0].vmcs != (seam.model.caps.basic & VMX_BASIC_REVISION);
}

int invept(uint64_t type, uint64_t low, uint64_t high)
{
	(void)low;
	return type < 1 || type > 2 || high;
}

int invvpid(uint64_t type, uint64_t low, uint64_t high)
{
	seam.invvpid_count++;
	return type > 3 || high || (type != INVVPID_ALL_CONTEXTS && (low == 0 || low >> 16));
}

/* What tests do. */
enum seam_end seam_run(void (*call)(void *), void *argument)
{
	if (setjmp(seam.back))
		return seam.end;
	call(argument);
	return END_RETURNED;
}

/* This CPU's block, and behind it its part of the trace. */
static void map_cpu(void)
{
	static void *at;
	const size_t size = CORE_MEMORY_BASE - PERCPU_BASE + CORE_MEMORY_SIZE;

	if (!at) {
		at = mmap((void *)PERCPU_BASE, size, PROT_READ | PROT_WRITE,
		          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (at != (void *)PERCPU_BASE)
			abort();
	}
	memset(this_cpu, 0, sizeof *this_cpu);
	memset((void *)CORE_MEMORY_BASE, 0, 64u << 10); /* the trace, channels, doorbells */
	ports_init();
}

const struct config_port seam_ports[6] = {
	{ .first = 0x300, .last = 0x30f, .kind = PORT_PASS },  { .first = 0x3f8, .last = 0x3ff, .kind = PORT_UART },
	{ .first = 0x600, .last = 0x600, .kind = PORT_SLEEP }, { .first = 0x601, .last = 0x601, .kind = PORT_NONE },
	{ .first = 0x604, .last = 0x604, .kind = PORT_RESET }, { .first = 0x7ffb, .last = 0x8004, .kind = PORT_PASS },
};

void seam_reset(const struct seam_model *model)
{
	map_cpu();
	memset(&seam, 0, sizeof seam);
	seam.model = *model;
	seam.cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
	seam.cr4 = CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_VMXE;
	seam.xcr0 = 1;
	seam.feature_control = 5;
	seam.room = 1000;
	seam.tsc_step = 1000;
	vmcs_current = &seam.vmcs;
	this_cpu->hpa = SEAM_CPU_HPA;
	trace_init(0);
	begin_audit();
}

static uint16_t start_index;
static void call_init(void *vcpu)
{
	vcpu_init(vcpu, 0, start_index);
}

struct vcpu *seam_start(const struct seam_model *model, uint16_t index)
{
	struct vcpu *vcpu = &this_cpu->vcpu[0];

	seam_reset(model);
	start_index = index;
	if (seam_run(call_init, vcpu) != END_RETURNED) {
		fprintf(stderr, "vcpu_init on %s: %s\n", model->name, seam.text);
		abort();
	}
	seam.partition = config.partitions[0];
	seam.partition.ports = seam_ports;
	seam.partition.port_count = sizeof seam_ports / sizeof seam_ports[0];
	vcpu->partition = &seam.partition;
	vcpu_init_io_bitmap(vcpu);
	this_cpu->running = vcpu;
	return vcpu;
}

static uint32_t slot(uint32_t field)
{
	return VMCS_WIDTH(field) << 8 | VMCS_KIND(field) << 6 | (field >> 1 & 63);
}

void seam_set(uint32_t field, uint64_t value)
{
	vmcs_current->value[slot(field)] = value;
	vmcs_current->written[slot(field)] = 1;
}

uint64_t seam_get(uint32_t field)
{
	return vmcs_image_read(vmcs_current, field);
}

static void call_exit(void *vcpu)
{
	if (cpu_is_scheduled(this_cpu->index))
		vmx_exit_scheduled(vcpu);
	else
		vmx_exit(vcpu);
}

enum seam_end seam_exit(struct vcpu *vcpu, uint32_t reason, uint64_t qualification)
{
	seam_set(VMCS_EXIT_REASON, reason);
	seam_set(VMCS_EXIT_QUALIFICATION, qualification);
	seam_set(VMCS_EXIT_INSTRUCTION_LENGTH, 2);
	seam_set(VMCS_GUEST_RIP, 0x1000);
	seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0); /* the CPU clears the valid bit (SDM Vol. 3C, 27.8.3) */
	return seam_run(call_exit, vcpu);
}

int seam_skipped(void)
{
	return seam_get(VMCS_GUEST_RIP) == 0x1002 && seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) == 0;
}

int seam_injects(uint32_t vector)
{
	const uint64_t info = seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO);

	return seam_get(VMCS_GUEST_RIP) == 0x1000 && info & INTERRUPTION_VALID &&
	       (info & INTERRUPTION_VECTOR) == vector && (info & INTERRUPTION_TYPE) == INTERRUPTION_HARDWARE_EXCEPTION;
}

uint64_t seam_result(const struct vcpu *vcpu)
{
	return vcpu->regs[REG_RDX] << 32 | (uint32_t)vcpu->regs[REG_RAX];
}

uint64_t seam_written(uint32_t msr)
{
	for (uint32_t i = seam.wrmsr_count; i > 0 && i + SEAM_MSR_LOG > seam.wrmsr_count; i--)
		if (seam.written[(i - 1) % SEAM_MSR_LOG].msr == msr)
			return seam.written[(i - 1) % SEAM_MSR_LOG].value;
	return ~0ull;
}

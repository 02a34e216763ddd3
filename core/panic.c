// SPDX-License-Identifier: Apache-2.0
#include "panic.h"

#include <stdarg.h>

#include "audit.h"
#include "console.h"
#include "cpu.h"
#include "reset.h"
#include "vmx/vmcs.h"
#include "x86.h"

/* Index of the first CPU that panicked, plus one. */
static volatile uint32_t panicked;

static void raw(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void raw(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_raw(format, arguments);
	va_end(arguments);
}

uint64_t panic_peek(uint32_t field)
{
	uint64_t value = ~0ull;

	__asm__ volatile("vmread %1, %0" : "+r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

static void dump_vmcs(void)
{
	static const struct {
		const char *name;
		uint32_t field;
	} fields[] = {
/* clang-format off */
#define FIELD(name) { #name, VMCS_##name }
		FIELD(EXIT_REASON),
		FIELD(EXIT_QUALIFICATION),
		FIELD(INSTRUCTION_ERROR),
		FIELD(GUEST_RIP),
		FIELD(GUEST_RSP),
		FIELD(GUEST_RFLAGS),
		FIELD(GUEST_CR0),
		FIELD(GUEST_CR3),
		FIELD(GUEST_CR4),
		FIELD(GUEST_EFER),
		FIELD(GUEST_CS_SELECTOR),
		FIELD(GUEST_CS_ACCESS),
		FIELD(GUEST_SS_ACCESS),
		FIELD(GUEST_TR_ACCESS),
		FIELD(GUEST_ACTIVITY),
		FIELD(GUEST_INTERRUPTIBILITY),
		FIELD(GUEST_PENDING_DEBUG),
		FIELD(GUEST_PHYSICAL_ADDRESS),
		FIELD(GUEST_LINEAR_ADDRESS),
		FIELD(IDT_VECTORING_INFO),
		FIELD(EXIT_INTERRUPTION_INFO),
		FIELD(CTRL_ENTRY_INTERRUPTION_INFO),
		FIELD(CTRL_PIN),
		FIELD(CTRL_PROC),
		FIELD(CTRL_PROC2),
		FIELD(CTRL_EXIT),
		FIELD(CTRL_ENTRY),
		FIELD(CTRL_EPTP),
		FIELD(HOST_RSP),
		FIELD(HOST_RIP),
#undef FIELD
		/* clang-format on */
	};

	for (uint32_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		raw("core:   %s %lx\r\n", fields[i].name, panic_peek(fields[i].field));
}

/* First of the panicking CPUs speaks; the others, and this one when it is done, sleep. */
static void panic_begin(void)
{
	uint32_t none = 0;

	__asm__ volatile("cli");
	if (!__atomic_compare_exchange_n(&panicked, &none, this_cpu->index + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		for (;;)
			halt();
	if (rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_EXTD)
		wrmsr(MSR_X2APIC_ICR, 3u << 18 | 1u << 14 | 4u << 8); /* NMI to all but self */
	raw("\r\ncore: PANIC on CPU %u: ", this_cpu->index);
}

/* The guest's general registers at the last exit; RSP is in the VMCS. */
static void dump_guest(const struct vcpu *vcpu)
{
	raw("core: partition %s, vCPU %u, registers 0 to 15:\r\ncore:  ", vcpu->partition->name, vcpu->index);
	for (uint32_t i = 0; i < REG_COUNT; i++)
		raw(" %lx", vcpu->regs[i]);
	raw("\r\ncore: current VMCS:\r\n");
	dump_vmcs();
}

static _Noreturn void panic_end(void)
{
	if (this_cpu->running)
		dump_guest(this_cpu->running);
	raw("core: cr0 %lx cr2 %lx cr3 %lx cr4 %lx\r\n", read_cr0(), read_cr2(), read_cr3(), read_cr4());
	raw("core: the machine has stopped. Unless it was configured to, this is a fault of Bulkhead: please report these lines.\r\n");
	raw("RESULT core panic\r\n");
	if (CONFIG_AUDIT_ENTRIES || CONFIG_PANIC_RESET)
		wbinvd(); /* a reset drops what is only in the caches */
	if (CONFIG_PANIC_RESET)
		reset_machine();
	for (;;)
		halt();
}

void panic(const char *format, ...)
{
	va_list arguments;

	panic_begin();
	va_start(arguments, format);
	print_raw(format, arguments);
	va_end(arguments);
	raw("\r\n");
	va_start(arguments, format);
	audit_panic(format, arguments, 0);
	va_end(arguments);
	panic_end();
}

void panic_exception(const struct exception_frame *f)
{
	panic_begin();
	raw("exception %lu, error %lx, at %lx:%lx\r\n", f->vector, f->error, f->cs, f->rip);
	audit_exception(f);
	raw("core: rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx rsp %lx\r\n", f->rax, f->rbx, f->rcx, f->rdx,
	    f->rsi, f->rdi, f->rbp, f->rsp);
	raw("core: r8 %lx r9 %lx r10 %lx r11 %lx r12 %lx r13 %lx r14 %lx r15 %lx rflags %lx\r\n", f->r8, f->r9, f->r10,
	    f->r11, f->r12, f->r13, f->r14, f->r15, f->rflags);
	panic_end();
}

void panic_check(void)
{
	if (panicked)
		for (;;)
			halt();
}

void refuse(const char *format, ...)
{
	va_list arguments;

	console_flush();
	raw("core: STOP: ");
	va_start(arguments, format);
	print_raw(format, arguments);
	va_end(arguments);
	raw("\r\nRESULT core stop\r\n");
	for (;;)
		halt();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * GDT, IDT and TSS of a partition, the interrupt dispatcher, and the local APIC. SDM Vol. 3A, 3.5, 6.14 and 11.12.
 */
#include "kit.h"
#include "parts.h"

#define IA32_APIC_BASE 0x1b
#define APIC_BASE_EXTD (1u << 10)
#define SPURIOUS_VECTOR 0xff
#define TSS_SELECTOR 0x30
#define DF_VECTOR 8
#define X2APIC_ISR7 0x817 /* vectors E0h to FFh in service */
#define LVT_TSC_DEADLINE (2u << 17)

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

static uint64_t gdt[] = {
	0,
	0x00cf9b000000ffff, /* 08h: 32-bit code */
	0x00af9b000000ffff, /* 10h: KIT_CODE */
	0x00cf93000000ffff, /* 18h: KIT_DATA */
	0x00cff3000000ffff, /* 23h: KIT_USER_DATA */
	0x00affb000000ffff, /* 2bh: KIT_USER_CODE */
	0,
	0, /* 30h: TSS */
};
static struct gate idt[256] __attribute__((aligned(16)));
static struct tss tss __attribute__((aligned(16)));
static uint8_t stack0[4096] __attribute__((aligned(16))); /* entered from user mode */
static kit_handler *handlers[256];

struct kit_fault kit_fault;
uint64_t kit_stray_interrupts;

void kit_handle(uint8_t vector, kit_handler *handler)
{
	handlers[vector] = handler;
}

void kit_gate_ist1(uint8_t vector)
{
	idt[vector].ist = 1;
}

void kit_timer_start(kit_handler *handler)
{
	kit_handle(KIT_TIMER_VECTOR, handler);
	wrmsr(X2APIC_LVT_TIMER, LVT_TSC_DEADLINE | KIT_TIMER_VECTOR);
}

static _Noreturn void die(const struct kit_frame *f)
{
	kit_printf("kit: exception %lu error %lx rip %lx cs %lx rflags %lx rsp %lx cr2 %lx cr3 %lx "
	           "rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx r8 %lx r9 %lx r10 %lx r11 %lx "
	           "r12 %lx r13 %lx r14 %lx r15 %lx\n",
	           f->vector, f->error, f->rip, f->cs, f->rflags, f->rsp, read_cr2(), read_cr3(), f->rax, f->rbx,
	           f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->r8, f->r9, f->r10, f->r11, f->r12, f->r13, f->r14,
	           f->r15);
	kit_stop(128 + (int)f->vector);
}

/* Apart, so that kit_dispatch saves no more registers than an interrupt needs. */
static __attribute__((noinline)) void exception(struct kit_frame *f)
{
	if (kit_try_stack == 0)
		die(f);
	kit_fault = (struct kit_fault){ f->vector, f->error, f->rip, read_cr2() };
	f->rax = f->vector;
	f->rip = (uint64_t)kit_try_recover;
	f->rsp = kit_try_stack;
	f->cs = KIT_CODE;
	f->ss = KIT_DATA;
	f->rflags = 2;
}

/* Interrupts first: their path is what a real-time application waits for. */
void kit_dispatch(struct kit_frame *f)
{
	kit_handler *handler = handlers[f->vector];
	if (handler)
		handler(f);
	else if (f->vector < 32)
		exception(f);
	else
		kit_stray_interrupts++;
	/* A spurious interrupt is not in service and gets no EOI; an IPI with its vector is and does. */
	if (f->vector >= 32 && (f->vector != SPURIOUS_VECTOR || rdmsr(X2APIC_ISR7) >> 31))
		wrmsr(X2APIC_EOI, 0);
}

void kit_interrupts_init(void)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t entry = (uint64_t)kit_entries[v];
		idt[v] = (struct gate){ .offset0 = (uint16_t)entry,
			                .offset1 = (uint16_t)(entry >> 16),
			                .offset2 = (uint32_t)(entry >> 32),
			                .selector = KIT_CODE,
			                .type = 0x8e };
	}
	kit_gate_ist1(DF_VECTOR);
	tss.rsp[0] = (uint64_t)(stack0 + sizeof stack0);
	tss.ist[0] = (uint64_t)kit_ist1_top;
	tss.io_map = sizeof tss;
	uint64_t base = (uint64_t)&tss;
	gdt[TSS_SELECTOR / 8] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;

	kit_interrupts_second();
	__asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR) : "memory");
}

void kit_interrupts_second(void)
{
	struct table_register gdtr = { sizeof gdt - 1, (uint64_t)gdt }, idtr = { sizeof idt - 1, (uint64_t)idt };
	__asm__ volatile("lgdt %0; lidt %1; mov %w2, %%ds; mov %w2, %%es; mov %w2, %%ss"
	                 :
	                 : "m"(gdtr), "m"(idtr), "r"(KIT_DATA)
	                 : "memory");
	if (!(rdmsr(IA32_APIC_BASE) & APIC_BASE_EXTD)) /* its registers are in memory: the application's business */
		return;
	wrmsr(X2APIC_SVR, 0x100 | SPURIOUS_VECTOR); /* software enable */
	wrmsr(X2APIC_TPR, 0);
}

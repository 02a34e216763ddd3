// SPDX-License-Identifier: Apache-2.0
/*
 * A partition that begins in xAPIC mode and has an I/O APIC. It works their registers as a driver does and says what is wrong; before that it
 * touches everything with every size and value. Forbidden accesses to memory must be injected (on_error: memory: inject).
 */
#include "kit.h"

#define APIC 0xfee00000ull
#define IOAPIC 0xfec00000ull
#define APIC_BASE 0x1b
#define EXTD (1u << 10)
#define ID 0x20
#define TPR 0x80
#define PPR 0xa0
#define EOI 0xb0
#define LDR 0xd0
#define DFR 0xe0
#define SVR 0xf0
#define IRR 0x200
#define TMR 0x180
#define ESR 0x280
#define ICR 0x300
#define ICR2 0x310
#define LVT_TIMER 0x320
#define TIMER_INITIAL 0x380
#define TIMER_CURRENT 0x390
#define TIMER_DIVIDE 0x3e0

static uint32_t checks, failed;

static void check(bool good, const char *what, uint64_t value)
{
	checks++;
	if (good)
		return;
	failed++;
	kit_printf("mmio: WRONG: %s: %lx\n", what, value);
}

/* An access of any size to any place, which may be answered by an exception. */
struct access {
	uint64_t page;
	uint32_t offset, size;
	uint64_t value;
	bool write;
};

static void make(void *argument)
{
	struct access *a = argument;
	volatile uint8_t *at = (volatile uint8_t *)kit_window(a->page, false) + a->offset;

	switch (a->size | (a->write ? 0x10 : 0)) {
	case 1:
		a->value = *at;
		break;
	case 2:
		a->value = *(volatile uint16_t *)at;
		break;
	case 4:
		a->value = *(volatile uint32_t *)at;
		break;
	case 8:
		a->value = *(volatile uint64_t *)at;
		break;
	case 0x11:
		*at = (uint8_t)a->value;
		break;
	case 0x12:
		*(volatile uint16_t *)at = (uint16_t)a->value;
		break;
	case 0x14:
		*(volatile uint32_t *)at = (uint32_t)a->value;
		break;
	default:
		*(volatile uint64_t *)at = a->value;
	}
}

static uint32_t get(uint64_t page, uint32_t offset)
{
	return *(volatile uint32_t *)((uint8_t *)kit_window(page, false) + offset);
}

static void put(uint64_t page, uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)((uint8_t *)kit_window(page, false) + offset) = value;
}

static uint32_t entry_get(uint32_t index)
{
	put(IOAPIC, 0, index);
	return get(IOAPIC, 0x10);
}

static void entry_put(uint32_t index, uint32_t value)
{
	put(IOAPIC, 0, index);
	put(IOAPIC, 0x10, value);
}

static void touch_everything(uint64_t page, uint32_t end)
{
	static const uint64_t values[] = { 0, ~0ull, 0x0004c0ff000000ffull };
	uint64_t faults = 0, accesses = 0;

	for (uint32_t offset = 0; offset < end; offset++)
		for (uint32_t size = 1; size <= 8; size *= 2)
			for (uint32_t v = 0; v <= 3; v++) {
				struct access a = { page, offset, size, v ? values[v - 1] : 0, v != 0 };
				accesses++;
				faults += kit_try(make, &a) >= 0;
			}
	kit_printf("mmio: page %lx touched %lu times, %lu faults\n", page, accesses, faults);
}

static bool pending(uint32_t vector)
{
	return get(APIC, IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static bool level_triggered(uint32_t vector)
{
	return get(APIC, TMR + vector / 32 * 16) >> vector % 32 & 1;
}

/* INIT is not to be had for the first vCPU, so that registers are brought back one by one. */
static void restore(void)
{
	put(APIC, LVT_TIMER, 0x10000);
	put(APIC, TIMER_INITIAL, 0);
	put(APIC, SVR, 0x1ff);
	put(APIC, TPR, 0xff);
	put(APIC, ESR, 0);
	for (uint32_t pin = 0; pin < 24; pin++)
		entry_put(0x10 + 2 * pin, 0x10000);
}

static void work_local_apic(void)
{
	const uint32_t id = get(APIC, ID) >> 24;

	check(!(rdmsr(APIC_BASE) & EXTD) && rdmsr(APIC_BASE) >> 12 == APIC >> 12, "IA32_APIC_BASE", rdmsr(APIC_BASE));
	check((get(APIC, 0x30) & 0xff) == 0x15, "version", get(APIC, 0x30));
	check(get(APIC, PPR) == 0xff, "PPR follows TPR", get(APIC, PPR));
	put(APIC, ICR, 0x40000 | 0x51);
	check(pending(0x51), "self by shorthand", get(APIC, IRR + 0x20));
	put(APIC, ICR2, id << 24);
	put(APIC, ICR, 0x52);
	check(pending(0x52), "self by physical destination", id);
	put(APIC, DFR, 0xffffffff);
	put(APIC, LDR, 0x04000000);
	put(APIC, ICR2, 0x0c000000);
	put(APIC, ICR, 0x853);
	check(pending(0x53), "self by logical destination, flat", get(APIC, LDR));
	put(APIC, DFR, 0x0fffffff);
	put(APIC, LDR, 0x32000000);
	put(APIC, ICR2, 0x36000000);
	put(APIC, ICR, 0x854);
	check(pending(0x54), "self by logical destination, cluster", get(APIC, LDR));
	put(APIC, DFR, 0xffffffff);
	put(APIC, ICR2, 0xff000000);
	put(APIC, ICR, 0x55);
	check(pending(0x55), "self by broadcast", 0xff);
	put(APIC, TIMER_DIVIDE, 0xb);
	put(APIC, LVT_TIMER, 0x56);
	put(APIC, TIMER_INITIAL, 100);
	for (uint32_t i = 0; i < 1000000 && get(APIC, TIMER_CURRENT); i++)
		;
	check(pending(0x56), "timer", get(APIC, TIMER_CURRENT));
}

/* To another: the destination does not exist in the partition. */
static void send_away(void *unused)
{
	(void)unused;
	put(APIC, ICR2, 0x40000000);
	put(APIC, ICR, 0x57);
}

static void work_ioapic(void)
{
	check(entry_get(1) == 0x170011, "I/O APIC version", entry_get(1));
	entry_put(0, 0xffffffff);
	check(entry_get(0) == 0x0f000000, "I/O APIC ID", entry_get(0));
	check(entry_get(0x10) == 0x10000, "entries begin masked", entry_get(0x10));
	entry_put(0x10 + 46, 0xffffffff);
	check(entry_get(0x10 + 46) == 0x1afff, "bits of an entry", entry_get(0x10 + 46));
	check(entry_get(0x10 + 48) == 0, "no entry behind the last", entry_get(0x10 + 48));
	entry_put(0x10 + 46, 0x10000);
}

/* ---- forms of MOV, and what is none ---- */

#define FORM(name, code)                                                  \
	static void name(void *result)                                    \
	{                                                                 \
		uint64_t r = 0x1111111111111111ull;                       \
		__asm__ volatile(code                                     \
		                 : "+a"(r)                                \
		                 : "b"(kit_window(APIC, false))           \
		                 : "rcx", "rbp", "r12", "r15", "memory"); \
		*(uint64_t *)result = r;                                  \
	}
FORM(byte_high, "movb 0x30(%%rbx), %%ah")
FORM(zero_extended, "movzwl 0x30(%%rbx), %%eax")
FORM(sign_extended, "movsbq 0x30(%%rbx), %%rax")
FORM(by_r12, "movl 0x30(%%rbx), %%r12d; mov %%r12, %%rax")
FORM(by_rbp, "movl 0x30(%%rbx), %%ebp; mov %%rbp, %%rax")
FORM(by_rsp, "mov %%rsp, %%rcx; movl 0x30(%%rbx), %%esp; mov %%rsp, %%rax; mov %%rcx, %%rsp")
FORM(by_index, "mov $4, %%ecx; movl 0x10(%%rbx,%%rcx,8), %%r15d; mov %%r15, %%rax")
FORM(immediate, "movl $0x60, 0x80(%%rbx); movl 0x80(%%rbx), %%eax")
FORM(add, "addl %%eax, 0x80(%%rbx)")
FORM(exchange, "xchgl %%eax, 0x80(%%rbx)")
FORM(string, "lea 0x80(%%rbx), %%rdi; stosl")
FORM(stack, "mov %%rsp, %%rcx; lea 0x90(%%rbx), %%rsp; push $0; mov %%rcx, %%rsp")
FORM(fetch, "call *%%rbx")

static void forms(void)
{
	static const struct {
		void (*run)(void *);
		uint64_t result; /* below 16: an exception */
		const char *name;
	} all[] = {
		{ byte_high, 0x1111111111111511, "AH" },
		{ zero_extended, 0x15, "MOVZX" },
		{ sign_extended, 0x15, "MOVSX" },
		{ by_r12, 0x60015, "R12" },
		{ by_rbp, 0x60015, "RBP" },
		{ by_rsp, 0x60015, "RSP" },
		{ by_index, 0x60015, "index" },
		{ immediate, 0x60, "immediate" },
		{ add, 13, "ADD" },
		{ exchange, 13, "XCHG" },
		{ string, 13, "STOS" },
		{ stack, 8, "PUSH" }, /* #GP, and delivering it needs the stack again */
		{ fetch, 13, "CALL" },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		uint64_t result = 0;
		const int vector = kit_try(all[i].run, &result);

		if (vector >= 0)
			result = (uint64_t)vector;
		check((vector >= 0) == (all[i].result < 16) && result == all[i].result, all[i].name, result);
	}
}

/* MOV EAX, [RDI + 0]; RET, with the page's end between each two of its bytes. */
static void across_pages(void)
{
	static const uint8_t code[] = { 0x3e, 0x8b, 0x47, 0x00, 0xc3 };
	static uint8_t pages[8192] __attribute__((aligned(4096)));

	for (uint32_t before = 0; before <= 4; before++) {
		uint8_t *at = pages + 4096 - before;
		uint32_t result;

		memcpy(at, code, sizeof code);
		__asm__ volatile("call *%1"
		                 : "=a"(result)
		                 : "r"(at), "D"((uint8_t *)kit_window(APIC, false) + 0x30)
		                 : "memory");
		check(result == 0x60015, "across pages", before);
	}
}

/* The shortest of many, without what RDTSC takes itself. */
static uint64_t cost(uint64_t page, uint32_t offset)
{
	volatile uint32_t *at = (volatile uint32_t *)((uint8_t *)kit_window(page, false) + offset);
	uint64_t empty = ~0ull, best = ~0ull;

	for (uint32_t i = 0; i < 200; i++) {
		const uint64_t t0 = rdtsc(), t1 = rdtsc();
		const uint32_t value = *at;
		const uint64_t t2 = rdtsc();

		(void)value;
		empty = t1 - t0 < empty ? t1 - t0 : empty;
		best = t2 - t1 < best ? t2 - t1 : best;
	}
	return best - empty;
}

/* ---- x2APIC mode ---- */

static volatile uint32_t ticks;

static void on_timer(struct kit_frame *f)
{
	(void)f;
	ticks++;
}

static void set_base(void *value)
{
	wrmsr(APIC_BASE, *(uint64_t *)value);
}

static void read_x2apic(void *unused)
{
	(void)unused;
	rdmsr(X2APIC_ID);
}

static void write_x2apic(void *unused)
{
	(void)unused;
	wrmsr(X2APIC_TPR, 0);
}

static void refuses_base(uint64_t value, const char *what)
{
	check(kit_try(set_base, &value) == 13, what, value);
}

static void switch_mode(void)
{
	struct access a = { APIC, ID, 4, 0, false };
	uint64_t base = rdmsr(APIC_BASE);

	check(kit_try(read_x2apic, 0) == 13 && kit_try(write_x2apic, 0) == 13, "x2APIC registers before", 0);
	refuses_base(base & ~0x800ull, "APIC off");
	refuses_base(base + 0x1000, "APIC moved");
	refuses_base((base & ~0x800ull) | EXTD, "x2APIC without APIC");
	wrmsr(APIC_BASE, base | EXTD);
	check(rdmsr(APIC_BASE) == (base | EXTD), "IA32_APIC_BASE in x2APIC mode", rdmsr(APIC_BASE));
	refuses_base(base, "back to xAPIC");
	check(kit_try(make, &a) == 13, "the page is gone", a.value);
	check(rdmsr(X2APIC_ID) == 0 && rdmsr(0x80d) == 1, "ID and LDR", rdmsr(0x80d));
	check(rdmsr(0x822) >> 17 & 1, "what was pending stays", rdmsr(0x822));
	wrmsr(X2APIC_SVR, 0x1ff);
	wrmsr(X2APIC_TPR, 0);
	kit_timer_start(on_timer);
	kit_timer_at(rdtsc() + 100000);
	while (!ticks)
		wait_for_interrupt();
	check(ticks == 1 && kit_stray_interrupts == 6, "interrupts", kit_stray_interrupts);
}

int main(const struct kit_info *info)
{
	(void)info;
	restore();
	touch_everything(APIC, 0x1000);
	touch_everything(IOAPIC, 0x40);
	for (uint32_t index = 0; index < 256; index++) {
		put(IOAPIC, 0, index);
		put(IOAPIC, 0x10, 0xffffffff);
		put(IOAPIC, 0x10, get(IOAPIC, 0x10));
	}
	restore();
	work_local_apic();
	check(kit_try(send_away, 0) == 13, "to nobody", 0);
	work_ioapic();
	check(!level_triggered(0x51), "TMR", 0);
	forms();
	across_pages();
	kit_printf("mmio: a read takes %lu ticks, of the I/O APIC %lu\n", cost(APIC, TPR), cost(IOAPIC, 0x10));
	switch_mode();
	kit_printf("RESULT mmio checks=%u failed=%u\n", checks, failed);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A guest of the companion legacy: 1000 timer interrupts of the 8254 through the 8259, the clock's once a second, all clocks against
 * the TSC; whether its own registers survive that another context answers for its ports; and what a forwarded access costs.
 */
#include "kit.h"

#define IRQS 1000u
#define TIMER_HZ 1000u
#define PIT_HZ 1193182u
#define PM_HZ 3579545u
#define PM_TIMER 0x608
#define VECTOR 0x50
#define MEASURED 1000u

static volatile uint64_t timer_irqs, clock_irqs;
static unsigned failures;

static void check(bool good, const char *what, uint64_t value)
{
	if (good)
		return;
	failures++;
	kit_printf("WRONG %s: %lu\n", what, value);
}

/* Within a hundredth. */
static void check_rate(const char *what, uint64_t value, uint64_t expected)
{
	kit_printf("ticks: %s %lu, expected %lu\n", what, value, expected);
	check(value > expected - expected / 100 && value < expected + expected / 100, what, value);
}

static void on_timer(struct kit_frame *frame)
{
	(void)frame;
	timer_irqs++;
	outb(0x20, 0x20);
}

static uint8_t cmos(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void on_clock(struct kit_frame *frame)
{
	(void)frame;
	clock_irqs++;
	cmos(0x0c);
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void set_up_controllers(void)
{
	outb(0x20, 0x11), outb(0x21, VECTOR), outb(0x21, 4), outb(0x21, 1);
	outb(0xa0, 0x11), outb(0xa1, VECTOR + 8), outb(0xa1, 2), outb(0xa1, 1);
	outb(0x21, 0xff), outb(0xa1, 0xff);
	check(inb(0x21) == 0xff, "mask", inb(0x21));
	kit_handle(VECTOR, on_timer);
	kit_handle(VECTOR + 8, on_clock);
}

static void count_timer(uint64_t khz)
{
	const uint16_t reload = PIT_HZ / TIMER_HZ;
	uint64_t start, end;

	outb(0x43, 0x34), outb(0x40, reload & 0xff), outb(0x40, reload >> 8);
	outb(0x21, 0xfa);
	while (timer_irqs == 0)
		wait_for_interrupt();
	start = rdtsc();
	while (timer_irqs < IRQS + 1)
		wait_for_interrupt();
	end = rdtsc();
	outb(0x21, 0xff);
	kit_printf("ticks: %lu interrupts of the timer\n", timer_irqs);
	check_rate("us for 1000 interrupts", (end - start) * 1000 / khz, 1000000ull * IRQS * reload / PIT_HZ);
}

/* The same with a loop that never halts: the interrupt needs a window, or an exit of its own. */
static void count_timer_busy(void)
{
	const uint64_t before = timer_irqs;

	outb(0x21, 0xfa);
	sti();
	for (uint64_t i = 0; i < 100000000 && timer_irqs < before + 20; i++)
		pause();
	cli();
	outb(0x21, 0xff);
	check(timer_irqs >= before + 20, "interrupts in a busy loop", timer_irqs - before);
}

static void count_clock(uint64_t khz)
{
	uint64_t start;
	uint8_t second;

	outb(0xa1, 0xfe), outb(0x21, 0xfb);
	outb(0x70, 0x0b), outb(0x71, 0x12); /* once a second, 24 hours, BCD */
	cmos(0x0c);
	while (clock_irqs == 0)
		wait_for_interrupt();
	second = cmos(0);
	start = rdtsc();
	while (clock_irqs < 2)
		wait_for_interrupt();
	check_rate("us in a second of the clock", (rdtsc() - start) * 1000 / khz, 1000000);
	check(cmos(0) == ((second + 1) & 0xf) + (second & 0xf0) || (second & 0xf) == 9, "second", cmos(0));
	outb(0x21, 0xff), outb(0xa1, 0xff);
	kit_printf("ticks: the clock says 20%x-%x-%x %x:%x:%x, status D %x\n", cmos(9), cmos(8), cmos(7), cmos(4),
	           cmos(2), cmos(0), cmos(0x0d));
}

static uint64_t channel_2(uint64_t khz, uint32_t counts)
{
	uint64_t start;

	outb(0x61, (uint8_t)((inb(0x61) & 0xfc) | 1));
	outb(0x43, 0xb0), outb(0x42, (uint8_t)counts), outb(0x42, (uint8_t)(counts >> 8));
	start = rdtsc();
	while (!(inb(0x61) & 0x20) && rdtsc() - start < 1000 * khz)
		pause();
	return (rdtsc() - start) * 1000 / khz;
}

/* Channel 2 by its gate and output at port 61h, as everybody calibrates. A window may end between the load and the look at
 * the TSC, or where the output changes: the best of a few counts. */
static void check_channel_2(uint64_t khz)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < 5; i++) {
		const uint64_t us = channel_2(khz, PIT_HZ / 50);

		if ((us > 20000 ? us - 20000 : 20000 - us) < (best > 20000 ? best - 20000 : 20000 - best))
			best = us;
	}
	check_rate("us until channel 2 is at 0", best, 20000);
}

static void check_pm_timer(uint64_t khz)
{
	const uint32_t first = inl(PM_TIMER);
	const uint64_t start = rdtsc();

	while (rdtsc() - start < 100 * khz)
		pause();
	check_rate("ACPI timer in 100 ms", (inl(PM_TIMER) - first) & 0xffffff, PM_HZ / 10);
}

/* XMM0, DR0, CR2 and KERNEL_GS_BASE: in no VMCS, and the companion has the same CPU. */
static void check_registers(void)
{
	const uint64_t mark = 0x1234567890abcdef;
	uint64_t seen;

	write_cr0((read_cr0() & ~0xcull) | 2);
	write_cr4(read_cr4() | 0x600);
	__asm__ volatile("movq %0, %%xmm0" : : "r"(mark));
	write_dr0(mark & 0xffffffff);
	write_cr2(mark);
	wrmsr(0xc0000102, mark & 0xffffffffff);
	for (unsigned i = 0; i < 100; i++) {
		register uint64_t r12 __asm__("r12") = mark, r15 __asm__("r15") = ~mark;
		__asm__ volatile("inb $0x21, %%al" : "+r"(r12), "+r"(r15) : : "rax");
		check(r12 == mark && r15 == ~mark, "R12, R15", r12);
	}
	__asm__ volatile("movq %%xmm0, %0" : "=r"(seen));
	check(seen == mark, "XMM0", seen);
	check(read_dr0() == (mark & 0xffffffff), "DR0", read_dr0());
	check(read_cr2() == mark, "CR2", read_cr2());
	check(rdmsr(0xc0000102) == (mark & 0xffffffffff), "KERNEL_GS_BASE", rdmsr(0xc0000102));
	__asm__ volatile("mov $-1, %%rax; inb $0x21, %%al" : "=a"(seen));
	check(seen == ~0ull, "RAX after IN AL", seen);
	__asm__ volatile("mov $-1, %%rax; mov $0x608, %%edx; inl %%dx, %%eax" : "=a"(seen) : : "rdx");
	check(seen >> 24 == 0, "RAX after IN EAX", seen);
}

#define MEASURE(name, instruction)                                                                                    \
	do {                                                                                                          \
		uint64_t least = ~0ull, most = 0, sum = 0;                                                            \
		for (unsigned i = 0; i < MEASURED; i++) {                                                             \
			const uint64_t start = rdtsc();                                                               \
			instruction;                                                                                  \
			const uint64_t spent = rdtsc() - start;                                                       \
			least = spent < least ? spent : least;                                                        \
			most = spent > most ? spent : most;                                                           \
			sum += spent;                                                                                 \
		}                                                                                                     \
		kit_printf("FIGURE %s min=%lu mean=%lu max=%lu n=%u\n", name, least, sum / MEASURED, most, MEASURED); \
	} while (0)

/* Between two marks, for an emulator's trace: as in bench.c. */
static void traced(void)
{
	__asm__ volatile("xchg %%bx, %%bx; inb $0x21, %%al; xchg %%bx, %%bx" : : : "rax", "memory");
}

int main(const struct kit_info *info)
{
	const uint64_t khz = kit_tsc_khz();

	kit_printf("ticks: %s, TSC %lu kHz\n", info->name, khz);
	set_up_controllers();
	check_registers();
	MEASURE("rdtsc", );
	MEASURE("companion_in_21", inb(0x21));
	MEASURE("companion_in_40", inb(0x40));
	MEASURE("companion_out_80", outb(0x80, 0));
	traced();
	check_channel_2(khz);
	check_pm_timer(khz);
	count_timer(khz);
	count_timer_busy();
	count_clock(khz);
	kit_printf("RESULT ticks timer=%lu clock=%lu failures=%u\n", timer_irqs, clock_irqs, failures);
	return failures != 0;
}

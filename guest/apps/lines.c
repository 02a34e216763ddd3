// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupts of the machine in partitions, which find theirs by their names:
 *
 *   clock   the 8254's channel 0, IRQ 0, edge: 1,000 interrupts, none lost; then so many that they would fill the CPU
 *   serial  the second 16550, IRQ 3, level: some are ended before their cause is gone and must come again
 *   quiet   has an I/O APIC with all pins open and no interrupt of the machine: gets none
 *
 *   RESULT lines interrupts=<n> wrong=<n> strays=<n>
 */
#include "hypercall.h"
#include "kit.h"

#define IOAPIC 0xfec00000ull
#define VECTOR 0x50
#define LEVEL (1u << 15)
#define MASKED (1u << 16)

#define PIT_HZ 1193182ull
#define PIT_DIVISOR 2983ull /* 400 Hz */
#define TICKS 1000u
#define STORM_DIVISOR 60u /* 20 kHz: each 1,000 ticks of the test machine */
#define STORM_TICKS 3000u

#define COM 0x2f8
#define THR (COM + 0)
#define IER (COM + 1)
#define IIR (COM + 2)
#define LCR (COM + 3)
#define MCR (COM + 4)
#define BYTES 200u
#define NOT_YET 20u /* interrupts that are ended with their cause still there */

static volatile uint32_t count, wrong;
static uint64_t first, last, longest;

static void entry(uint32_t pin, uint32_t low)
{
	volatile uint32_t *page = kit_window(IOAPIC, false);

	page[0] = 0x10 + 2 * pin;
	page[4] = low;
}

static void on_tick(struct kit_frame *frame)
{
	const uint64_t now = rdtsc();

	(void)frame;
	if (count++ == 0)
		first = now;
	else if (now - last > longest)
		longest = now - last;
	last = now;
	if (count == TICKS + STORM_TICKS) /* here, since in its own time a storm leaves the program none */
		entry(2, MASKED);
}

static void set_clock(uint32_t divisor)
{
	outb(0x43, 0x34); /* channel 0, both bytes, mode 2 */
	outb(0x40, (uint8_t)divisor);
	outb(0x40, (uint8_t)(divisor >> 8));
}

/* Each window is a millisecond after the one before, a tick every 2.5: none is lost if no distance is above two windows more. */
static void run_clock(void)
{
	const uint64_t khz = kit_tsc_khz(), period = PIT_DIVISOR * khz * 1000 / PIT_HZ;
	uint64_t off;

	kit_handle(VECTOR, on_tick);
	entry(2, VECTOR);
	set_clock(PIT_DIVISOR);
	while (count < TICKS)
		wait_for_interrupt();
	entry(2, MASKED);
	off = last - first > (TICKS - 1) * period ? last - first - (TICKS - 1) * period :
	                                            (TICKS - 1) * period - (last - first);
	wrong += off > 2 * khz || longest > period + 2 * khz;
	kit_printf("lines: clock: 999 periods are %lu ticks off, longest distance %lu of %lu\n", off, longest, period);
	entry(2, VECTOR);
	set_clock(STORM_DIVISOR);
	while (count < TICKS + STORM_TICKS)
		wait_for_interrupt();
}

static void on_transmitter(struct kit_frame *frame)
{
	(void)frame;
	count++;
	if (count <= NOT_YET) /* the line stays active: the interrupt must come again */
		return;
	if ((inb(IIR) & 0xf) != 2) {
		wrong++;
		return;
	}
	if (count < NOT_YET + BYTES)
		outb(THR, 'x');
	else
		outb(IER, 0);
}

static void run_serial(void)
{
	kit_handle(VECTOR, on_transmitter);
	entry(3, VECTOR | LEVEL);
	outb(LCR, 0x80);
	outb(THR, 1); /* 115200 baud */
	outb(IER, 0);
	outb(LCR, 3);
	outb(MCR, 0x0b); /* with OUT2: the interrupt line */
	outb(IER, 2);
	while (count < NOT_YET + BYTES)
		wait_for_interrupt();
}

static void on_anything(struct kit_frame *frame)
{
	(void)frame;
	wrong++;
}

static void run_quiet(void)
{
	const uint64_t end = rdtsc() + 3000 * kit_tsc_khz();

	kit_handle(VECTOR, on_anything);
	for (uint32_t pin = 0; pin < 24; pin++)
		entry(pin, VECTOR);
	sti();
	while (rdtsc() < end)
		pause();
	cli();
}

int main(const struct kit_info *info)
{
	if (!memcmp(info->name, "clock", 5))
		run_clock();
	else if (!memcmp(info->name, "serial", 6))
		run_serial();
	else
		run_quiet();
	kit_printf("lines: %s: exits eoi=%ld wrmsr=%ld\n", info->name, kit_counter(BH_COUNTER_REASON + 45),
	           kit_counter(BH_COUNTER_REASON + 32));
	kit_printf("RESULT lines interrupts=%u wrong=%u strays=%lu\n", count, wrong, kit_stray_interrupts);
	return 0;
}

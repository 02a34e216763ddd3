// SPDX-License-Identifier: Apache-2.0
/* The devices of the companion legacy: 8259, 8254, MC146818 and the ACPI timer, as their data sheets have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "guest/apps/legacy/legacy.h"

#define TSC_HZ UINT64_C(2000000000)
#define PIT_HZ 1193182ull
#define PM_HZ 3579545ull
#define BASE 0x50u

static struct legacy l;

static int setup(void **state)
{
	(void)state;
	legacy_reset(&l, TSC_HZ, 0);
	return 0;
}

static uint8_t in(uint16_t port, uint64_t now)
{
	return (uint8_t)legacy_read(&l, port, 1, now);
}

static void out(uint16_t port, uint8_t value, uint64_t now)
{
	legacy_write(&l, port, 1, value, now);
}

/* ---- 8259 ---- */

static void begin_pics(uint8_t icw4)
{
	out(0x20, 0x11, 0), out(0x21, BASE, 0), out(0x21, 4, 0), out(0x21, icw4, 0);
	out(0xa0, 0x11, 0), out(0xa1, BASE + 8, 0), out(0xa1, 2, 0), out(0xa1, icw4, 0);
}

static void edge(unsigned irq)
{
	pics_line(&l.pics, irq, false);
	pics_line(&l.pics, irq, true);
}

static void pic_masks_and_vectors(void **state)
{
	(void)state;
	edge(3);
	assert_false(pics_intr(&l.pics)); /* all are masked before the first ICW1 */
	begin_pics(1);
	assert_int_equal(in(0x21, 0), 0);
	for (unsigned irq = 0; irq < 16; irq++) {
		if (irq == 2)
			continue;
		out(0x21, 0xfb, 0), out(0xa1, 0xff, 0); /* the slave's own input stays open */
		edge(irq);
		assert_false(pics_intr(&l.pics));
		out(irq < 8 ? 0x21 : 0xa1, (uint8_t) ~(1u << (irq & 7)), 0);
		if (irq >= 8)
			out(0x21, 0xfb, 0);
		assert_true(pics_intr(&l.pics));
		assert_int_equal(pics_acknowledge(&l.pics), BASE + irq);
		assert_false(pics_intr(&l.pics)); /* the line still stands, which is no new edge */
		if (irq >= 8)
			out(0xa0, 0x20, 0);
		out(0x20, 0x20, 0);
		assert_false(pics_intr(&l.pics));
		pics_line(&l.pics, irq, false);
	}
}

static void pic_priorities(void **state)
{
	(void)state;
	begin_pics(1);
	edge(5), edge(1);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 1);
	assert_false(pics_intr(&l.pics)); /* 5 waits for the end of 1 */
	edge(0);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 0);
	out(0x20, 0x0b, 0);
	assert_int_equal(in(0x20, 0), 0x03); /* ISR */
	out(0x20, 0x0a, 0);
	assert_int_equal(in(0x20, 0), 0x20); /* IRR */
	out(0x20, 0x20, 0);                  /* the end of the highest */
	assert_false(pics_intr(&l.pics));
	out(0x20, 0x61, 0); /* of that one */
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 5);
	out(0x20, 0xa0, 0); /* and now 5 is the lowest */
	edge(5), edge(6);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 6);
	out(0x20, 0x66, 0);
	out(0x20, 0xc7, 0); /* 7 is the lowest again */
	edge(7);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 5);
}

static void pic_cascade(void **state)
{
	(void)state;
	begin_pics(1);
	edge(9), edge(8);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 8);
	out(0xa0, 0x20, 0);
	assert_false(pics_intr(&l.pics)); /* the master's line 2 is in service */
	out(0x20, 0x20, 0);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 9);
}

static void pic_spurious(void **state)
{
	(void)state;
	begin_pics(1);
	edge(4);
	pics_line(&l.pics, 4, false);
	assert_false(pics_intr(&l.pics));
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 7);
	out(0x20, 0x0b, 0);
	assert_int_equal(in(0x20, 0), 0); /* nothing is in service */
}

static void pic_modes(void **state)
{
	(void)state;
	begin_pics(3); /* automatic end */
	edge(3);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 3);
	edge(6);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 6);
	begin_pics(1);
	edge(3);
	out(0x20, 0x0c, 0); /* poll */
	assert_int_equal(in(0x20, 0), 0x83);
	assert_int_equal(in(0x21, 0), 0); /* once */
	edge(6);
	assert_false(pics_intr(&l.pics));
	out(0x20, 0x68, 0), out(0x21, 0x08, 0); /* special mask: what is in service and masked holds up nobody */
	assert_true(pics_intr(&l.pics));
	out(0x20, 0x48, 0);
	assert_false(pics_intr(&l.pics));
}

/* ---- 8254 ---- */

/* First tick at which so many counts have passed since tick 0. */
static uint64_t at(uint64_t counts)
{
	return rate_ticks(&l.pit.rate, counts);
}

static void rates_are_exact(void **state)
{
	static const uint64_t tsc[] = { 1000000, 20000000, 999999937, 2000000000, 5000000000 };

	(void)state;
	for (unsigned i = 0; i < sizeof tsc / sizeof tsc[0]; i++) {
		struct rate r = rate_of(PIT_HZ < tsc[i] ? PIT_HZ : 1000, tsc[i]);
		for (unsigned n = 0; n < 20000; n++) {
			uint64_t count = (uint64_t)rand() % (1u << 24), ticks = rate_ticks(&r, count);
			assert_true(rate_count(&r, ticks) >= count);
			assert_true(ticks < tsc[i] / r.hz + 2 || rate_count(&r, ticks - tsc[i] / r.hz - 2) < count);
		}
	}
}

static void load(unsigned channel, unsigned mode, uint16_t count)
{
	out(0x43, (uint8_t)(channel << 6 | 0x30u | mode << 1), 0);
	out((uint16_t)(0x40 + channel), (uint8_t)count, 0);
	out((uint16_t)(0x40 + channel), (uint8_t)(count >> 8), 0);
}

static unsigned latched(unsigned channel, uint64_t now)
{
	unsigned low;

	out(0x43, (uint8_t)(channel << 6), now);
	low = in((uint16_t)(0x40 + channel), now + 12345678); /* whenever it is read */
	return low | (unsigned)in((uint16_t)(0x40 + channel), now + 23456789) << 8;
}

static unsigned status(unsigned channel, uint64_t now)
{
	out(0x43, (uint8_t)(0xe0 | 2u << channel), now);
	return in((uint16_t)(0x40 + channel), now);
}

static void pit_counts(void **state)
{
	(void)state;
	load(0, 2, 1000);
	assert_int_equal(latched(0, at(1)), 999);
	assert_int_equal(latched(0, at(999)), 1);
	assert_int_equal(latched(0, at(1000)), 1000);
	load(0, 3, 1000); /* by twos */
	assert_int_equal(latched(0, at(1)), 998);
	assert_int_equal(latched(0, at(499)), 2);
	assert_int_equal(latched(0, at(500)), 1000);
	load(0, 0, 1000); /* once, and on through 0 */
	assert_int_equal(latched(0, at(1000)), 0);
	assert_int_equal(latched(0, at(1001)), 0xffff);
	load(0, 2, 0); /* 65536 */
	assert_int_equal(latched(0, at(1)), 0xffff);
	out(0x43, 0x14, 0), out(0x40, 100, 0); /* low byte only */
	assert_int_equal(in(0x40, at(1)), 99);
	out(0x43, 0x24, 0), out(0x40, 2, 0); /* high byte only */
	assert_int_equal(in(0x40, at(1)), 1);
	assert_int_equal(in(0x43, 0), 0xff);
}

static void pit_status(void **state)
{
	(void)state;
	out(0x43, 0x34, 0);
	assert_int_equal(status(0, 0), 0x80 | 0x40 | 0x34); /* output high, no count yet */
	out(0x40, 16, 0), out(0x40, 0, 0);
	assert_int_equal(status(0, at(1)), 0x80 | 0x34);
	assert_int_equal(status(0, at(15)), 0x34); /* low for one count */
	load(0, 0, 16);
	assert_int_equal(status(0, at(15)), 0x30);
	assert_int_equal(status(0, at(16)), 0x80 | 0x30);
	out(0x43, 0xc2, at(4)); /* both: status first, then the count */
	assert_int_equal(in(0x40, at(90)), 0x30);
	assert_int_equal(in(0x40, at(90)), 12);
	assert_int_equal(in(0x40, at(90)), 0);
}

static void pit_interrupts(void **state)
{
	uint64_t now = 0;

	(void)state;
	load(0, 2, 1193);
	for (unsigned i = 1; i <= 3000; i++) { /* each edge once, at its time, without drift */
		const uint64_t next = pit_next_edge(&l.pit, now), exact = 1193ull * i * TSC_HZ / PIT_HZ,
			       count = TSC_HZ / PIT_HZ;
		assert_true(next >= exact && next <= exact + 2 * count);
		assert_false(pit_edge(&l.pit, at(1193ull * i - 1)));
		assert_true(pit_edge(&l.pit, next));
		assert_false(pit_edge(&l.pit, next));
		now = next;
	}
	load(0, 0, 500);
	assert_true(pit_next_edge(&l.pit, 0) >= at(500));
	assert_true(pit_edge(&l.pit, at(500)));
	assert_int_equal(pit_next_edge(&l.pit, at(500)), LEGACY_NEVER);
	load(0, 4, 500); /* a strobe: low for one count, then up */
	assert_false(pit_edge(&l.pit, at(500)));
	assert_true(pit_edge(&l.pit, at(501)));
	out(0x43, 0x34, 0);
	assert_int_equal(pit_next_edge(&l.pit, 0), LEGACY_NEVER);
}

/* Channel 2 as everybody calibrates: gate and output at port 61h. */
static void pit_gate(void **state)
{
	(void)state;
	out(0x61, 1, 0);
	load(2, 0, 1000);
	assert_int_equal(in(0x61, at(999)) & 0x21, 0x01);
	assert_int_equal(in(0x61, at(1000)) & 0x21, 0x21);
	load(2, 0, 1000);
	out(0x61, 0, at(400)); /* the gate holds it */
	assert_int_equal(latched(2, at(5000)), 600);
	out(0x61, 1, at(5000));
	assert_int_equal(latched(2, at(5100)), 500);
	load(2, 1, 100); /* one shot: begins with the gate's edge */
	assert_int_equal(in(0x61, at(6000)) & 0x20, 0x20);
	out(0x61, 0, at(6000)), out(0x61, 1, at(6000));
	assert_int_equal(in(0x61, at(6099)) & 0x20, 0);
	assert_int_equal(in(0x61, at(6101)) & 0x20, 0x20);
	assert_int_not_equal(in(0x61, at(0)) & 0x10, in(0x61, at(18)) & 0x10); /* refresh */
}

/* ---- MC146818 ---- */

static uint8_t cmos(uint8_t index, uint64_t now)
{
	out(0x70, index, now);
	return in(0x71, now);
}

static void set_cmos(uint8_t index, uint8_t value, uint64_t now)
{
	out(0x70, index, now);
	out(0x71, value, now);
}

#define DAY UINT64_C(86400)
#define SECONDS_1970_TO_2000 946684800ull
enum { SECONDS = 0, MINUTES = 2, HOURS = 4, WEEKDAY = 6, DATE, MONTH, YEAR, A, B, C, D };

/* Every sixth day of the century at some time of day, against the C library. */
static void rtc_calendar(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 36525; day += 6) {
		const uint64_t s = day * DAY + (uint64_t)rand() % DAY;
		const time_t t = (time_t)(s + SECONDS_1970_TO_2000);
		struct tm tm;
		rtc_reset(&l.rtc, TSC_HZ, s);
		set_cmos(B, 0x06, 0); /* binary, 24 hours */
		gmtime_r(&t, &tm);
		assert_int_equal(cmos(SECONDS, 0), tm.tm_sec);
		assert_int_equal(cmos(MINUTES, 0), tm.tm_min);
		assert_int_equal(cmos(HOURS, 0), tm.tm_hour);
		assert_int_equal(cmos(WEEKDAY, 0), tm.tm_wday + 1);
		assert_int_equal(cmos(DATE, 0), tm.tm_mday);
		assert_int_equal(cmos(MONTH, 0), tm.tm_mon + 1);
		assert_int_equal(cmos(YEAR, 0), tm.tm_year % 100);
		assert_int_equal(cmos(D, 0), 0x80);
		/* Set to the same, it is the same. */
		set_cmos(B, 0x86, 0), set_cmos(B, 0x06, 0);
		assert_int_equal(cmos(DATE, 0), tm.tm_mday);
		assert_int_equal(cmos(MONTH, 0), tm.tm_mon + 1);
		assert_int_equal(cmos(SECONDS, TSC_HZ), (tm.tm_sec + 1) % 60);
	}
}

static void rtc_codes(void **state)
{
	(void)state;
	rtc_reset(&l.rtc, TSC_HZ, 13 * 3600 + 45 * 60 + 59);
	assert_int_equal(cmos(HOURS, 0), 0x13); /* BCD, 24 hours */
	assert_int_equal(cmos(MINUTES, 0), 0x45);
	set_cmos(B, 0x00, 0);
	assert_int_equal(cmos(HOURS, 0), 0x81); /* 1 p.m. */
	set_cmos(B, 0x80, 0);
	set_cmos(HOURS, 0x12, 0); /* midnight */
	set_cmos(B, 0x00, 0), set_cmos(B, 0x02, 0);
	assert_int_equal(cmos(HOURS, 0), 0x00);
	assert_int_equal(cmos(SECONDS, TSC_HZ - 1), 0x59);
	assert_int_equal(cmos(A, TSC_HZ / 2) & 0x80, 0);
	assert_int_equal(cmos(A, TSC_HZ - 1) & 0x80, 0x80); /* an update is near */
	assert_int_equal(cmos(MINUTES, TSC_HZ), 0x46);
	set_cmos(0x40, 0xa5, 0); /* memory */
	assert_int_equal(cmos(0x40, 0), 0xa5);
	for (unsigned i = 0; i < 128; i++) /* nonsense gives some time or other */
		set_cmos((uint8_t)i, (uint8_t)rand(), 0);
	set_cmos(B, 0x82, 0), set_cmos(MONTH, 0xff, 0), set_cmos(DATE, 0xff, 0), set_cmos(B, 0x02, 0);
	(void)cmos(DATE, 10 * TSC_HZ);
}

static void rtc_interrupts(void **state)
{
	uint64_t next, now = 0;

	(void)state;
	assert_int_equal(rtc_next(&l.rtc, 0), LEGACY_NEVER);
	(void)cmos(C, 0);
	set_cmos(B, 0x12, 0); /* once a second */
	assert_false(rtc_irq(&l.rtc, TSC_HZ - 1));
	assert_int_equal(rtc_next(&l.rtc, 5), TSC_HZ);
	assert_true(rtc_irq(&l.rtc, TSC_HZ));
	assert_int_equal(cmos(C, TSC_HZ), 0x90);
	assert_false(rtc_irq(&l.rtc, TSC_HZ)); /* reading register C has ended it */
	set_cmos(1, 0x05, TSC_HZ), set_cmos(3, 0xff, TSC_HZ), set_cmos(5, 0xff, TSC_HZ);
	set_cmos(B, 0x22, TSC_HZ); /* the alarm: at second 5 of any minute */
	assert_false(rtc_irq(&l.rtc, 4 * TSC_HZ));
	assert_true(rtc_irq(&l.rtc, 5 * TSC_HZ));
	assert_int_equal(cmos(C, 5 * TSC_HZ) & 0xa0, 0xa0);
	set_cmos(A, 0x26, 0), set_cmos(B, 0x42, now = 6 * TSC_HZ); /* 1,024 Hz */
	for (unsigned i = 1; i <= 5000; i++) {
		next = rtc_next(&l.rtc, now);
		assert_int_equal(next, 6 * TSC_HZ + i * (TSC_HZ * 32 / 32768));
		assert_false(rtc_irq(&l.rtc, next - 1));
		assert_true(rtc_irq(&l.rtc, next));
		assert_int_equal(cmos(C, next) & 0xc0, 0xc0);
		now = next;
	}
	set_cmos(B, 0x02, now);
	assert_int_equal(rtc_next(&l.rtc, now), LEGACY_NEVER);
}

/* ---- all of them ---- */

static void pm_timer(void **state)
{
	(void)state;
	for (uint64_t s = 0; s < 20; s++) {
		const uint32_t want = (uint32_t)(s * PM_HZ) & 0xffffff, got = legacy_read(&l, 0x608, 4, s * TSC_HZ);
		assert_true(((want - got) & 0xffffff) <= 1); /* 24 bits, which wrap each 4.7 s */
		assert_int_equal(legacy_read(&l, 0x608, 1, s * TSC_HZ) & 0xff, got & 0xff);
		assert_int_equal(legacy_read(&l, 0x609, 1, s * TSC_HZ) & 0xff, got >> 8 & 0xff);
		assert_int_equal(legacy_read(&l, 0x60a, 2, s * TSC_HZ) & 0xffff, got >> 16);
	}
}

static void together(void **state)
{
	uint64_t next;

	(void)state;
	begin_pics(1);
	load(0, 2, 1000);
	l.changed = false;
	(void)in(0x40, 0);
	(void)legacy_read(&l, 0x608, 4, 0);
	assert_false(l.changed); /* counters that are read change nothing */
	next = legacy_next(&l, 0);
	legacy_time(&l, next - 1);
	assert_false(pics_intr(&l.pics));
	legacy_time(&l, next);
	assert_int_equal(pics_acknowledge(&l.pics), BASE + 0);
	assert_int_equal(legacy_read(&l, 0x84, 1, 0), 0xff); /* nobody there */
	assert_int_equal(legacy_read(&l, 0x64, 1, 0), 0);
	legacy_write(&l, 0x20, 2, 0xfb0b, 0); /* as two writes of a byte */
	assert_int_equal(legacy_read(&l, 0x20, 2, 0), 0xfb01);
}

/* Whatever a guest writes: no undefined behaviour, and each call comes back. */
static void anything(void **state)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x60,
		                          0x61, 0x64, 0x70, 0x71, 0xa0, 0xa1, 0x608 };
	uint64_t now = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		const uint16_t port = ports[(unsigned)rand() % (sizeof ports / sizeof ports[0])];
		const unsigned size = 1u << rand() % 3;
		now += (uint64_t)rand() % (i % 100 ? 1000000u : TSC_HZ * 1000);
		if (rand() & 1)
			legacy_write(&l, port, size, (uint32_t)rand(), now);
		else
			(void)legacy_read(&l, port, size, now);
		legacy_time(&l, now);
		assert_true(legacy_next(&l, now) > now || legacy_next(&l, now) == LEGACY_NEVER);
		if (pics_intr(&l.pics))
			(void)pics_acknowledge(&l.pics);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pic_masks_and_vectors, setup),
		cmocka_unit_test_setup(pic_priorities, setup),
		cmocka_unit_test_setup(pic_cascade, setup),
		cmocka_unit_test_setup(pic_spurious, setup),
		cmocka_unit_test_setup(pic_modes, setup),
		cmocka_unit_test_setup(rates_are_exact, setup),
		cmocka_unit_test_setup(pit_counts, setup),
		cmocka_unit_test_setup(pit_status, setup),
		cmocka_unit_test_setup(pit_interrupts, setup),
		cmocka_unit_test_setup(pit_gate, setup),
		cmocka_unit_test_setup(rtc_calendar, setup),
		cmocka_unit_test_setup(rtc_codes, setup),
		cmocka_unit_test_setup(rtc_interrupts, setup),
		cmocka_unit_test_setup(pm_timer, setup),
		cmocka_unit_test_setup(together, setup),
		cmocka_unit_test_setup(anything, setup),
	};

	srand(1);
	return cmocka_run_group_tests(tests, 0, 0);
}

// SPDX-License-Identifier: Apache-2.0
/* Motorola MC146818 clock and CMOS memory. The time is set once and runs with the TSC; a guest may set its own. */
#include "legacy.h"

enum { SECONDS, SECONDS_ALARM, MINUTES, MINUTES_ALARM, HOURS, HOURS_ALARM, WEEKDAY, DAY, MONTH, YEAR, A, B, C, D };
#define CENTURY 0x32u
#define A_UIP 0x80u
#define A_RATE 0x0fu
#define B_SET 0x80u
#define B_PERIODIC 0x40u
#define B_ALARM 0x20u
#define B_UPDATE 0x10u
#define B_BINARY 0x04u
#define B_24_HOURS 0x02u
#define C_IRQ 0x80u
#define D_VALID 0x80u
#define PM 0x80u
#define UIP_PER_SECOND 4096u /* it is set for 244 us before each second's end */
#define DAY_SECONDS 86400u
#define CRYSTAL_HZ 32768u
#define DAYS_4_YEARS 1461u

static uint8_t to_code(const struct rtc *r, unsigned n)
{
	return (uint8_t)(r->cmos[B] & B_BINARY ? n : n / 10 << 4 | n % 10);
}

static unsigned from_code(const struct rtc *r, uint8_t n)
{
	return r->cmos[B] & B_BINARY ? n : (unsigned)(n >> 4) * 10 + (n & 15);
}

/* 2000 to 2099: each fourth year is a leap year. Month and day from 1. */
static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && year % 4 == 0 ? 29 : days[(month - 1) % 12];
}

static uint64_t seconds_now(const struct rtc *r, uint64_t now)
{
	return r->base + (now - r->since) / r->tsc_hz;
}

static void show(struct rtc *r, uint64_t seconds)
{
	unsigned day = (unsigned)(seconds / DAY_SECONDS), time = (unsigned)(seconds % DAY_SECONDS), hour = time / 3600;
	unsigned year = day / DAYS_4_YEARS * 4, month = 1;

	r->cmos[WEEKDAY] = to_code(r, (day + 6) % 7 + 1); /* 2000-01-01 was a Saturday, 7 */
	day %= DAYS_4_YEARS;
	for (unsigned length = 366; day >= length; length = 365) {
		day -= length;
		year++;
	}
	for (; month < 12 && day >= month_days(year, month); month++)
		day -= month_days(year, month);
	r->cmos[SECONDS] = to_code(r, time % 60);
	r->cmos[MINUTES] = to_code(r, time / 60 % 60);
	r->cmos[HOURS] = r->cmos[B] & B_24_HOURS ? to_code(r, hour) :
	                                           (uint8_t)(to_code(r, (hour + 11) % 12 + 1) | (hour >= 12 ? PM : 0));
	r->cmos[DAY] = to_code(r, day + 1);
	r->cmos[MONTH] = to_code(r, month);
	r->cmos[YEAR] = to_code(r, year % 100);
	r->cmos[CENTURY] = 0x20;
}

/* The seconds that the registers say; nonsense gives some time or other. */
static uint64_t parse(const struct rtc *r)
{
	unsigned year = from_code(r, r->cmos[YEAR]) % 100, month = from_code(r, r->cmos[MONTH]);
	unsigned hour = from_code(r, r->cmos[HOURS] & (uint8_t)~PM);
	uint64_t days = (uint64_t)year * 365 + (year + 3) / 4;

	if (!(r->cmos[B] & B_24_HOURS))
		hour = hour % 12 + (r->cmos[HOURS] & PM ? 12 : 0);
	for (unsigned m = 1; m < month && m < 12; m++)
		days += month_days(year, m);
	days += from_code(r, r->cmos[DAY]) - (r->cmos[DAY] != 0);
	return days * DAY_SECONDS + hour * 3600ull + from_code(r, r->cmos[MINUTES]) * 60ull +
	       from_code(r, r->cmos[SECONDS]);
}

static uint64_t period(const struct rtc *r)
{
	const unsigned rate = r->cmos[A] & A_RATE;

	return rate ? r->tsc_hz * (1ull << (rate < 3 ? rate + 6 : rate - 1)) / CRYSTAL_HZ : 0;
}

static bool alarm_matches(const struct rtc *r)
{
	for (unsigned i = SECONDS; i <= HOURS; i += 2)
		if (r->cmos[i + 1] < 0xc0 && r->cmos[i + 1] != r->cmos[i]) /* from C0h on: any */
			return false;
	return true;
}

/* Let the flags of register C rise that are due. */
static void update(struct rtc *r, uint64_t now)
{
	const uint64_t second = seconds_now(r, now), step = period(r);

	if (!(r->cmos[B] & B_SET) && second != r->second) {
		show(r, second);
		r->second = second;
		r->cmos[C] |= B_UPDATE | (alarm_matches(r) ? B_ALARM : 0);
	}
	if (step && now >= r->periodic) {
		r->cmos[C] |= B_PERIODIC;
		r->periodic += (now - r->periodic) / step * step + step;
	}
}

void rtc_reset(struct rtc *r, uint64_t tsc_hz, uint64_t seconds)
{
	*r = (struct rtc){ .tsc_hz = tsc_hz, .base = seconds, .periodic = LEGACY_NEVER, .second = UINT64_MAX };
	r->cmos[A] = 0x26;
	r->cmos[B] = B_24_HOURS;
	r->cmos[D] = D_VALID;
}

static uint8_t read_register(struct rtc *r, uint64_t now)
{
	const uint64_t in_second = (now - r->since) % r->tsc_hz;
	uint8_t value;

	switch (r->index) {
	case A:
		value = !(r->cmos[B] & B_SET) && in_second >= r->tsc_hz - r->tsc_hz / UIP_PER_SECOND ? A_UIP : 0;
		return r->cmos[A] | value;
	case C: /* reading it ends the interrupt */
		value = r->cmos[C] | (r->cmos[C] & r->cmos[B] & (B_PERIODIC | B_ALARM | B_UPDATE) ? C_IRQ : 0);
		r->cmos[C] = 0;
		return value;
	default:
		return r->cmos[r->index];
	}
}

uint8_t rtc_read(struct rtc *r, uint16_t port, uint64_t now)
{
	update(r, now);
	return port & 1 ? read_register(r, now) : 0xff;
}

static void write_b(struct rtc *r, uint8_t value, uint64_t now)
{
	const uint8_t old = r->cmos[B];

	r->cmos[B] = value;
	if (old & B_SET && !(value & B_SET)) {
		r->base = parse(r);
		r->since = now;
		r->second = UINT64_MAX;
	} else if ((old ^ value) & (B_BINARY | B_24_HOURS)) {
		r->second = UINT64_MAX; /* show it anew */
	}
}

void rtc_write(struct rtc *r, uint16_t port, uint8_t value, uint64_t now)
{
	update(r, now);
	if (!(port & 1)) {
		r->index = value & 0x7f;
		return;
	}
	switch (r->index) {
	case A:
		r->cmos[A] = value & (uint8_t)~A_UIP;
		break;
	case B:
		write_b(r, value, now);
		break;
	case C:
	case D:
		return;
	default:
		r->cmos[r->index] = value;
		return;
	}
	if (!(r->cmos[B] & B_PERIODIC) || !period(r))
		r->periodic = LEGACY_NEVER;
	else if (r->periodic == LEGACY_NEVER)
		r->periodic = now + period(r);
}

bool rtc_irq(struct rtc *r, uint64_t now)
{
	update(r, now);
	return (r->cmos[C] & r->cmos[B] & (B_PERIODIC | B_ALARM | B_UPDATE)) != 0;
}

uint64_t rtc_next(const struct rtc *r, uint64_t now)
{
	const uint64_t second = now + r->tsc_hz - (now - r->since) % r->tsc_hz;

	if (r->cmos[B] & (B_ALARM | B_UPDATE) && !(r->cmos[B] & B_SET) && second < r->periodic)
		return second;
	return r->periodic;
}

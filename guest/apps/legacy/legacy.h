// SPDX-License-Identifier: Apache-2.0
/*
 * The devices of a PC that an old guest expects: two 8259, an 8254 with port 61h, the clock with its CMOS memory, the ACPI timer.
 * Pure logic: time is given by the caller, in TSC ticks, so that the host tests compile it, too. Nothing here waits or loops
 * without a bound. What no guest was seen to use is left out, and named where it would be.
 */
#ifndef GUEST_APPS_LEGACY_H
#define GUEST_APPS_LEGACY_H

#include <stdbool.h>
#include <stdint.h>

#define LEGACY_NEVER UINT64_MAX

/* ---- a clock of its own frequency, counted by the TSC ---- */
struct rate {
	uint64_t hz, tsc_hz;
	uint64_t factor; /* hz / tsc_hz, RATE_SHIFT bits behind the point */
};
struct rate rate_of(uint64_t hz, uint64_t tsc_hz); /* hz up to 4 MHz, tsc_hz from 1 MHz */
uint64_t rate_count(const struct rate *r, uint64_t ticks);
uint64_t rate_ticks(const struct rate *r,
                    uint64_t count); /* the first tick at which that much is counted; count below 2^24 */

/* ---- 8259A: one of the pair ---- */
struct pic {
	uint8_t irr, imr, isr, lines; /* lines: levels, for edges */
	uint8_t base;                 /* first vector */
	uint8_t step;                 /* ICW that port 21h takes next: 2, 3, 4; 0: none */
	uint8_t needs_icw4, auto_eoi, read_isr, poll, special_mask;
	uint8_t lowest; /* the line of lowest priority */
};
struct pics {
	struct pic master, slave; /* the slave is at the master's line 2 */
};
void pics_reset(struct pics *p);
uint8_t pics_read(struct pics *p, uint16_t port); /* 20h, 21h, A0h, A1h */
void pics_write(struct pics *p, uint16_t port, uint8_t value);
void pics_line(struct pics *p, unsigned irq, bool level); /* 0 to 15; edge triggered */
bool pics_intr(const struct pics *p);
uint8_t pics_acknowledge(struct pics *p); /* INTA: the vector; spurious ones are line 7's */

/* ---- 8254: counters 0 to 2, binary only ---- */
struct pit_channel {
	uint64_t start;      /* counts of the 8254's clock at which counting began, or would have */
	uint32_t reload;     /* 1 to 65536 */
	uint32_t stopped_at; /* elapsed counts, while the gate holds it */
	uint16_t latch;
	uint8_t status, mode, access, bcd; /* access: 1 low byte, 2 high byte, 3 both */
	bool gate, counting, low_written, high_next, latched, status_latched;
	uint8_t low;
	uint64_t edges; /* rising edges of the output that were passed on */
};
struct pit {
	struct rate rate;
	struct pit_channel channel[3];
	uint8_t control; /* port 61h: gate of channel 2, speaker */
};
void pit_reset(struct pit *p, uint64_t tsc_hz);
uint8_t pit_read(struct pit *p, uint16_t port, uint64_t now); /* 40h to 43h, 61h */
void pit_write(struct pit *p, uint16_t port, uint8_t value, uint64_t now);
bool pit_edge(struct pit *p, uint64_t now);                /* channel 0's output has risen since the last call: IRQ 0 */
uint64_t pit_next_edge(const struct pit *p, uint64_t now); /* TSC, or LEGACY_NEVER */

/* ---- MC146818 clock, ports 70h and 71h ---- */
struct rtc {
	uint64_t tsc_hz;
	uint64_t base; /* seconds since 2000-01-01 at TSC `since` */
	uint64_t since;
	uint64_t periodic; /* TSC of the next periodic interrupt, or LEGACY_NEVER */
	uint64_t second;   /* the last one whose end was noticed */
	uint8_t index, cmos[128];
};
void rtc_reset(struct rtc *r, uint64_t tsc_hz, uint64_t seconds);
uint8_t rtc_read(struct rtc *r, uint16_t port, uint64_t now);
void rtc_write(struct rtc *r, uint16_t port, uint8_t value, uint64_t now);
bool rtc_irq(struct rtc *r, uint64_t now); /* level of IRQ 8 */
uint64_t rtc_next(const struct rtc *r, uint64_t now);

/* ---- all of them, as the guest sees them ---- */
struct legacy {
	struct pics pics;
	struct pit pit;
	struct rtc rtc;
	struct rate pm_timer;
	bool changed; /* line or next event may have, since it was cleared: counters that are read change nothing */
};
#define LEGACY_PM_TIMER 0x608u /* 4 bytes; what the ACPI tables name */
void legacy_reset(struct legacy *l, uint64_t tsc_hz, uint64_t seconds);
uint32_t legacy_read(struct legacy *l, uint16_t port, unsigned size, uint64_t now);
void legacy_write(struct legacy *l, uint16_t port, unsigned size, uint32_t value, uint64_t now);
void legacy_time(struct legacy *l, uint64_t now); /* let interrupts rise that are due */
uint64_t legacy_next(const struct legacy *l, uint64_t now);

#endif

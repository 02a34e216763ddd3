// SPDX-License-Identifier: Apache-2.0
#include "lapic.h"

#include "core/lib.h"

#ifndef CONFIG_IOAPICS /* where the sizes of no configuration are known: host tests */
#define CONFIG_IOAPICS 1
#endif

#define LVT_MASKED (1u << 16)
#define LVT_VECTOR 0xffu
#define LVT_READ_ONLY 0x1000u  /* delivery status: not reserved, so that what was read may be written back */
#define LINT_READ_ONLY 0x4000u /* remote IRR */
#define TIMER_MODE (3u << 17)
#define TIMER_PERIODIC (1u << 17)
#define TIMER_DEADLINE (2u << 17)
#define SVR_ENABLE (1u << 8)
#define ESR_SEND_ILLEGAL (1u << 5)
#define ESR_RECEIVE_ILLEGAL (1u << 6)
#define ICR_BUSY (1u << 12)
/* TSC ticks. A periodic timer that is due again when its interrupt has just been injected would let no instruction of its guest pass. */
#define PERIOD_MIN 4096u
/* Version 15h, seven LVT entries (SDM Vol. 3A, 11.4.8); no suppression of EOI broadcasts. */
#define VERSION 0x00060015u

static uint32_t *at(struct lapic *l, uint32_t offset)
{
	return &l->reg[offset / 4];
}

static uint32_t get(const struct lapic *l, uint32_t offset)
{
	return l->reg[offset / 4];
}

/* Highest bit of a 256-bit register, or -1. `words`: those of its eight words that are not 0, and perhaps others, which are taken out. */
static int highest(const struct lapic *l, uint32_t base, uint8_t *words)
{
	while (*words) {
		const uint32_t i = 31 - (uint32_t)__builtin_clz(*words), word = get(l, base + i * 16);

		if (word)
			return (int)(i * 32 + 31 - (uint32_t)__builtin_clz(word));
		*words &= (uint8_t) ~(1u << i);
	}
	return -1;
}

static void clear_bit(struct lapic *l, uint32_t base, uint32_t vector)
{
	*at(l, base + vector / 32 * 16) &= ~(1u << vector % 32);
}

static void update_pending(struct lapic *l)
{
	const int vector = highest(l, LAPIC_IRR, &l->irr_words);

	l->pending = (int16_t)(vector >= 0 && lapic_passes(l, (uint32_t)vector) ? vector : -1);
}

/* Processor priority (11.8.3.1): the higher class of TPR and what is in service. */
static void update_ppr(struct lapic *l)
{
	const int in_service = highest(l, LAPIC_ISR, &l->isr_words);
	const uint32_t tpr = get(l, LAPIC_TPR), isr = in_service < 0 ? 0 : (uint32_t)in_service;

	*at(l, LAPIC_PPR) = (tpr & 0xf0) >= (isr & 0xf0) ? tpr : isr & 0xf0;
	update_pending(l);
}

void lapic_reset(struct lapic *l, uint32_t id, uint32_t count_ticks)
{
	void *const registers = l->reg;

	memset(registers, 0, LAPIC_SELF_IPI + 16);
	*at(l, LAPIC_ID) = l->x2apic ? id : id << 24;
	*at(l, LAPIC_VERSION) = VERSION;
	*at(l, LAPIC_LDR) = l->x2apic ? (id & ~0xfu) << 12 | 1u << (id & 0xf) : 0;
	*at(l, LAPIC_DFR) = 0xffffffff;
	*at(l, LAPIC_SVR) = 0xff;
	for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
		*at(l, lvt) = LVT_MASKED;
	*at(l, LAPIC_CMCI) = LVT_MASKED;
	l->deadline = LAPIC_NEVER;
	l->pending = -1;
	l->period = 0;
	l->count_ticks = count_ticks;
	l->esr_pending = l->irr_words = l->isr_words = 0;
}

void lapic_to_x2apic(struct lapic *l, uint32_t id)
{
	l->x2apic = 1;
	*at(l, LAPIC_ID) = id;
	*at(l, LAPIC_LDR) = (id & ~0xfu) << 12 | 1u << (id & 0xf);
	*at(l, LAPIC_ICR2) = 0;
}

/* Divide configuration (11.5.4): bits 3, 1, 0 give 2, 4, ... 128, and 7 means 1. */
static uint32_t divisor(const struct lapic *l)
{
	const uint32_t dcr = get(l, LAPIC_TIMER_DIVIDE), code = (dcr & 3) | (dcr >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

/* TSC ticks of a step of the timer. */
static uint64_t tick(const struct lapic *l)
{
	return (uint64_t)l->count_ticks * divisor(l);
}

static uint32_t timer_current(const struct lapic *l, uint64_t now)
{
	if (l->deadline == LAPIC_NEVER || (get(l, LAPIC_LVT_TIMER) & TIMER_MODE) == TIMER_DEADLINE ||
	    now >= l->deadline)
		return 0;
	return (uint32_t)((l->deadline - now + tick(l) - 1) / tick(l));
}

int lapic_read(const struct lapic *l, uint32_t offset, uint64_t now, uint32_t *value)
{
	static const uint64_t readable = /* bit n: offset n * 16 */
		1ull << 0x02 | 1ull << 0x03 | 1ull << 0x08 | 1ull << 0x0a | 1ull << 0x0d | 1ull << 0x0f |
		0xffffffull << 0x10 | 1ull << 0x28 | 1ull << 0x2f | 1ull << 0x30 | 0xffull << 0x32 | 1ull << 0x3e;

	if (offset >= 0x400 || offset & 15)
		return 0;
	if (!(readable >> offset / 16 & 1) && (l->x2apic || (offset != LAPIC_DFR && offset != LAPIC_ICR2)))
		return 0;
	*value = offset == LAPIC_TIMER_CURRENT ? timer_current(l, now) : get(l, offset);
	return 1;
}

static void set_period(struct lapic *l)
{
	const int periodic = (get(l, LAPIC_LVT_TIMER) & TIMER_MODE) == TIMER_PERIODIC && l->deadline != LAPIC_NEVER;

	l->period = periodic ? get(l, LAPIC_TIMER_INITIAL) * tick(l) : 0;
	if (periodic && l->period < PERIOD_MIN)
		l->period = PERIOD_MIN;
}

/* The timer counts down from `count`, or stands still at 0. */
static void run_timer(struct lapic *l, uint32_t count, uint64_t now)
{
	l->deadline = count ? now + count * tick(l) : LAPIC_NEVER;
	set_period(l);
}

/* To or from deadline mode disarms the timer (11.5.4.1); between the others it counts on, and the mode matters when it is at 0. */
static void change_timer_mode(struct lapic *l, uint32_t changed)
{
	if (changed & TIMER_DEADLINE) {
		l->deadline = LAPIC_NEVER;
		*at(l, LAPIC_TIMER_INITIAL) = 0;
	}
	set_period(l);
}

static void write_divide(struct lapic *l, uint32_t value, uint64_t now)
{
	uint32_t count;

	lapic_timer_expire(l, now);
	count = timer_current(l, now);
	*at(l, LAPIC_TIMER_DIVIDE) = value & 0xb;
	if (count)
		run_timer(l, count, now);
}

static enum lapic_effect write_lvt(struct lapic *l, uint32_t offset, uint32_t value)
{
	const uint32_t changed = value ^ get(l, offset);
	uint32_t allowed = LVT_VECTOR | LVT_MASKED, read_only = LVT_READ_ONLY;

	if (offset == LAPIC_LVT_TIMER) {
		allowed |= TIMER_MODE;
	} else if (offset == LAPIC_LVT_LINT0 || offset == LAPIC_LVT_LINT1) {
		allowed |= 0xa700;
		read_only |= LINT_READ_ONLY;
	} else if (offset != LAPIC_LVT_ERROR) {
		allowed |= 0x700;
	}
	if (l->x2apic && value & ~(allowed | read_only))
		return LAPIC_FAULT;
	if (!(get(l, LAPIC_SVR) & SVR_ENABLE))
		value |= LVT_MASKED;
	*at(l, offset) = value & allowed;
	if (offset == LAPIC_LVT_TIMER)
		change_timer_mode(l, changed);
	return LAPIC_DONE;
}

/* Several at once, of which `vector` is the highest. */
static inline __attribute__((always_inline)) void accept_bits(struct lapic *l, uint32_t vector, uint32_t bits)
{
	uint32_t *irr = at(l, LAPIC_IRR + vector / 32 * 16), *tmr = at(l, LAPIC_TMR + vector / 32 * 16);

	*irr |= bits;
	l->irr_words |= (uint8_t)(1u << vector / 32);
	*tmr &= ~bits;
	if (CONFIG_IOAPICS && l->level)
		*tmr |= bits & __atomic_load_n(&l->level[vector / 32], __ATOMIC_RELAXED);
	if ((int)vector > l->pending && (l->hardware || lapic_passes(l, vector)))
		l->pending = (int16_t)vector;
}

static inline __attribute__((always_inline)) void accept(struct lapic *l, uint32_t vector)
{
	accept_bits(l, vector, 1u << vector % 32);
}

/* Recorded until ESR is written; only the first since then raises the interrupt (11.5.3). */
static void error(struct lapic *l, uint8_t bit)
{
	const uint32_t lvt = get(l, LAPIC_LVT_ERROR);

	if (!l->esr_pending && !(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16)
		accept(l, lvt & LVT_VECTOR);
	l->esr_pending |= bit;
}

void lapic_accept(struct lapic *l, uint32_t vector)
{
	if (vector < 16)
		error(l, ESR_RECEIVE_ILLEGAL);
	else if (vector <= 255 && get(l, LAPIC_SVR) & SVR_ENABLE)
		accept(l, vector);
}

void lapic_accept_word(struct lapic *l, uint32_t word, uint32_t bits)
{
	if (bits && get(l, LAPIC_SVR) & SVR_ENABLE)
		accept_bits(l, word * 32 + 31 - (uint32_t)__builtin_clz(bits), bits);
}

void lapic_note_icr(struct lapic *l, uint32_t low, uint32_t high)
{
	*at(l, LAPIC_ICR) = low & ~ICR_BUSY;
	*at(l, LAPIC_ICR2) = high;
	if ((low & 0x6f0) == 0) /* fixed or lowest priority, vector 0 to 15 */
		error(l, ESR_SEND_ILLEGAL);
}

static enum lapic_effect end_of_interrupt(struct lapic *l)
{
	const int vector = highest(l, LAPIC_ISR, &l->isr_words);

	if (vector >= 0)
		clear_bit(l, LAPIC_ISR, (uint32_t)vector);
	update_ppr(l);
	if (!CONFIG_IOAPICS || vector < 0 || !(get(l, LAPIC_TMR + (uint32_t)vector / 32 * 16) >> vector % 32 & 1))
		return LAPIC_DONE;
	l->ended = (uint8_t)vector;
	return LAPIC_ENDED;
}

uint64_t lapic_level_vectors(const struct lapic *l, uint32_t n)
{
	return get(l, LAPIC_TMR + n * 32) | (uint64_t)get(l, LAPIC_TMR + n * 32 + 16) << 32;
}

static void write_svr(struct lapic *l, uint32_t value)
{
	*at(l, LAPIC_SVR) = value & 0x1ff;
	if (value & SVR_ENABLE)
		return;
	for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 16)
		*at(l, lvt) |= LVT_MASKED;
	*at(l, LAPIC_CMCI) |= LVT_MASKED;
}

/* Reserved bits of the registers that x2APIC mode checks (11.12.1.3). */
static uint32_t reserved_bits(uint32_t offset)
{
	switch (offset) {
	case LAPIC_TPR:
	case LAPIC_SELF_IPI:
		return ~0xffu;
	case LAPIC_EOI:
	case LAPIC_ESR:
		return ~0u;
	case LAPIC_SVR:
		return ~0x1ffu;
	case LAPIC_TIMER_DIVIDE:
		return ~0xbu;
	default:
		return 0;
	}
}

enum lapic_effect lapic_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now)
{
	if (l->x2apic && value & reserved_bits(offset))
		return LAPIC_FAULT;
	switch (offset) {
	case LAPIC_TPR:
		*at(l, LAPIC_TPR) = value & 0xff;
		update_ppr(l);
		return LAPIC_DONE;
	case LAPIC_EOI:
		return end_of_interrupt(l);
	case LAPIC_SVR:
		write_svr(l, value);
		return LAPIC_DONE;
	case LAPIC_ESR:
		*at(l, LAPIC_ESR) = l->esr_pending;
		l->esr_pending = 0;
		return LAPIC_DONE;
	case LAPIC_ICR:
		lapic_note_icr(l, value, get(l, LAPIC_ICR2));
		return LAPIC_SEND;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PMC:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
	case LAPIC_CMCI:
		return write_lvt(l, offset, value);
	case LAPIC_TIMER_INITIAL:
		if ((get(l, LAPIC_LVT_TIMER) & TIMER_MODE) != TIMER_DEADLINE) {
			*at(l, LAPIC_TIMER_INITIAL) = value;
			run_timer(l, value, now);
		}
		return LAPIC_DONE;
	case LAPIC_TIMER_DIVIDE:
		write_divide(l, value, now);
		return LAPIC_DONE;
	case LAPIC_SELF_IPI:
		if (!l->x2apic)
			return LAPIC_FAULT;
		if (value < 16)
			error(l, ESR_SEND_ILLEGAL);
		lapic_accept(l, value);
		return LAPIC_SELF;
	case LAPIC_LDR: /* these three: xAPIC mode only */
	case LAPIC_DFR:
	case LAPIC_ICR2:
		if (l->x2apic)
			return LAPIC_FAULT;
		*at(l, offset) = offset == LAPIC_DFR ? value | 0x0fffffff : value & 0xff000000;
		return LAPIC_DONE;
	default:
		return LAPIC_FAULT;
	}
}

uint64_t lapic_read_deadline(const struct lapic *l)
{
	if ((get(l, LAPIC_LVT_TIMER) & TIMER_MODE) != TIMER_DEADLINE || l->deadline == LAPIC_NEVER)
		return 0;
	return l->deadline;
}

void lapic_write_deadline(struct lapic *l, uint64_t value)
{
	if ((get(l, LAPIC_LVT_TIMER) & TIMER_MODE) == TIMER_DEADLINE)
		l->deadline = value ? value : LAPIC_NEVER;
}

void lapic_deliver(struct lapic *l, uint32_t vector)
{
	clear_bit(l, LAPIC_IRR, vector);
	*at(l, LAPIC_ISR + vector / 32 * 16) |= 1u << vector % 32;
	l->isr_words |= (uint8_t)(1u << vector / 32);
	*at(l, LAPIC_PPR) = vector & 0xf0; /* it was above both TPR and what was in service, */
	l->pending = -1;                   /* and the highest request */
}

void lapic_timer_expire(struct lapic *l, uint64_t now)
{
	const uint32_t lvt = get(l, LAPIC_LVT_TIMER);

	if (now < l->deadline)
		return;
	if (l->period) {
		l->deadline += l->period;
		if (l->deadline <= now) /* late by more than a period: the missed ones are one */
			l->deadline = now + l->period - (now - l->deadline) % l->period;
	} else {
		l->deadline = LAPIC_NEVER;
	}
	if (lvt & LVT_MASKED)
		return;
	if ((lvt & LVT_VECTOR) >= 16 && get(l, LAPIC_SVR) & SVR_ENABLE)
		accept(l, lvt & LVT_VECTOR);
	else
		lapic_accept(l, lvt & LVT_VECTOR);
}

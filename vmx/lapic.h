// SPDX-License-Identifier: Apache-2.0
/*
 * The virtual local APIC of a scheduled vCPU, in software. Pure logic over a page in the layout of the virtual-APIC page (SDM Vol. 3C,
 * 30.1), so that a CPU with virtual-interrupt delivery can work on the same page. Time is TSC ticks, given by the caller.
 * Registers are named by their offset in that page: x2APIC MSR 800h + n is offset n * 16.
 */
#ifndef VMX_LAPIC_H
#define VMX_LAPIC_H

#include <stdint.h>

enum {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_PPR = 0xa0,
	LAPIC_EOI = 0xb0,
	LAPIC_LDR = 0xd0,
	LAPIC_DFR = 0xe0,
	LAPIC_SVR = 0xf0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_CMCI = 0x2f0,
	LAPIC_ICR = 0x300,
	LAPIC_ICR2 = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PMC = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0,
};

#define LAPIC_NEVER UINT64_MAX

struct lapic {
	uint32_t reg[1024] __attribute__((aligned(4096))); /* by offset / 4 */
	uint64_t deadline;                                 /* TSC at which the timer fires next, or LAPIC_NEVER */
	uint64_t period;                                   /* ticks, periodic mode; else 0 */
	uint32_t count_ticks; /* TSC ticks of one tick of the APIC's clock: the crystal of CPUID leaf 15h */
	int16_t pending; /* the vector that the CPU would take now, by priority, or -1: kept up to date by every change.
	                  * With `hardware`: a new request since the caller last set it to -1, whatever its priority */
	uint8_t hardware;    /* the CPU delivers from this page (virtual-interrupt delivery): ISR and PPR are its own */
	uint8_t ended;       /* LAPIC_ENDED: the vector */
	uint8_t x2apic;      /* mode that the guest has chosen */
	uint8_t esr_pending; /* errors since the last write to ESR */
	uint8_t irr_words, isr_words; /* bit n: word n of the register may be other than 0. Not with `hardware` */
	const uint32_t *level;        /* vectors that are level-triggered when they arrive, a bit each, or 0: none */
};

/* What a write asks of the caller beside the register's change. */
enum lapic_effect {
	LAPIC_DONE,
	LAPIC_FAULT, /* no such register, or reserved bits: #GP in x2APIC mode, nothing in xAPIC mode */
	LAPIC_SEND,  /* ICR was written: deliver the interprocessor interrupt in `reg` ICR and ICR2 */
	LAPIC_SELF,  /* an interrupt for itself was accepted */
	LAPIC_ENDED, /* EOI of a level-triggered interrupt: the I/O APIC wants to know; vector in `ended` */
};

/* State after RESET or INIT (SDM Vol. 3A, 11.4.7.1). `id`: virtual APIC ID. INIT keeps mode and ID. */
void lapic_reset(struct lapic *l, uint32_t id, uint32_t count_ticks);

/* From xAPIC to x2APIC mode (11.12.5): ID and LDR change, the other registers stay. */
void lapic_to_x2apic(struct lapic *l, uint32_t id);

/* Level-triggered vectors that are pending or in service, by TMR: bit b is vector 64 * n + b. Their EOI must reach lapic_write(), so this
 * is the EOI-exit bitmap where the CPU delivers interrupts itself. */
uint64_t lapic_level_vectors(const struct lapic *l, uint32_t n);

/* Read the register at `offset` (multiple of 16, below 400h). Returns 0 if there is none. */
int lapic_read(const struct lapic *l, uint32_t offset, uint64_t now, uint32_t *value);
enum lapic_effect lapic_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now);

/* IA32_TSC_DEADLINE (SDM Vol. 3A, 11.5.4.1): 0 unless the timer is in that mode. */
uint64_t lapic_read_deadline(const struct lapic *l);
void lapic_write_deadline(struct lapic *l, uint64_t value);

/* What was written to ICR: the bits that the register keeps, and the error of an illegal vector. */
void lapic_note_icr(struct lapic *l, uint32_t low, uint32_t high);

/* An interrupt arrives: vector 16 to 255, level-triggered if `level` says so. Dropped while the APIC is software-disabled. */
void lapic_accept(struct lapic *l, uint32_t vector);

/* The same for several at once: bit n of `bits` is vector 32 * word + n, vectors below 16 not among them. */
void lapic_accept_word(struct lapic *l, uint32_t word, uint32_t bits);

/* Is `vector` more urgent than what the processor does? */
static inline int lapic_passes(const struct lapic *l, uint32_t vector)
{
	return (vector & 0xf0) > (l->reg[LAPIC_PPR / 4] & 0xf0);
}

/* The CPU takes `vector`: from IRR to ISR. */
void lapic_deliver(struct lapic *l, uint32_t vector);

/* If the timer is due at `now`, let it fire and set the next deadline. A periodic timer that is late fires once. */
void lapic_timer_expire(struct lapic *l, uint64_t now);

#endif

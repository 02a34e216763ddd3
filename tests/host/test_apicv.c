// SPDX-License-Identifier: Apache-2.0
/*
 * Scheduled vCPUs on a CPU that delivers interrupts itself. The CPU's part, in non-root mode, is played here: delivery from the
 * virtual-APIC page, EOI, and what a posted-interrupt notification does (SDM Vol. 3C, 30.2, 30.6).
 */
#include "scheduled_test.h"

#define VECTORS 240u

/* What each slot's guest has been sent and not taken. */
static uint8_t sent[3][256];
static uint32_t delivered, notified;

static uint32_t *word(uint32_t n, uint32_t base, uint32_t vector)
{
	return &lapic(n)->reg[(base + vector / 32 * 16) / 4];
}

static uint32_t highest(uint32_t n, uint32_t base)
{
	for (uint32_t v = 255; v; v--)
		if (*word(n, base, v) >> v % 32 & 1)
			return v;
	return 0;
}

static void set_priority(uint32_t n)
{
	const uint32_t tpr = lapic(n)->reg[LAPIC_TPR / 4], isr = highest(n, LAPIC_ISR);

	lapic(n)->reg[LAPIC_PPR / 4] = (tpr & 0xf0) >= (isr & 0xf0) ? tpr : isr & 0xf0;
}

static void set_request(uint32_t vector)
{
	seam_set(VMCS_GUEST_INTERRUPT_STATUS, (seam_get(VMCS_GUEST_INTERRUPT_STATUS) & ~0xffull) | vector);
}

static uint32_t current(void)
{
	return (uint32_t)(this_cpu->running - this_cpu->vcpu);
}

/* The notification vector arrives in the guest. */
static void process_posted(uint32_t n)
{
	struct posted *d = &posted_descriptor[SEAM_CPU_SCHEDULED][n];

	if (!(d->control & POSTED_ON) || seam_apicv < APICV_POSTED)
		return;
	assert_false(d->control & POSTED_SN);
	d->control &= ~POSTED_ON;
	notified++;
	for (uint32_t w = 0; w < 8; w++)
		*word(n, LAPIC_IRR, w * 32) |= (uint32_t)(d->requests[w / 2] >> w % 2 * 32);
	memset(d->requests, 0, sizeof d->requests);
	set_request(highest(n, LAPIC_IRR));
}

static void deliver(uint32_t n)
{
	const uint32_t vector = seam_get(VMCS_GUEST_INTERRUPT_STATUS) & 0xff;

	if (!(seam_get(VMCS_GUEST_RFLAGS) & RFLAGS_IF) || vector >> 4 <= lapic(n)->reg[LAPIC_PPR / 4] >> 4)
		return;
	assert_true(sent[n][vector]);
	/* It may have been posted again while the first one waited here. */
	sent[n][vector] = posted_descriptor[SEAM_CPU_SCHEDULED][n].requests[vector / 64] >> vector % 64 & 1;
	delivered++;
	*word(n, LAPIC_IRR, vector) &= ~(1u << vector % 32);
	*word(n, LAPIC_ISR, vector) |= 1u << vector % 32;
	set_priority(n);
	set_request(highest(n, LAPIC_IRR));
}

static void end_of_interrupt(uint32_t n)
{
	const uint32_t vector = highest(n, LAPIC_ISR);

	if (vector)
		*word(n, LAPIC_ISR, vector) &= ~(1u << vector % 32);
	set_priority(n);
}

static void run(void)
{
	if (idles())
		return;
	process_posted(current());
	deliver(current());
}

static void send(uint32_t n, uint32_t vector)
{
	const uint32_t cpu = this_cpu->index;

	sent[n][vector] = 1;
	this_cpu->index = SEAM_CPU_SCHEDULED + 1; /* another CPU does it */
	posted_send(SEAM_CPU_SCHEDULED, n, vector);
	this_cpu->index = cpu;
	if (posted_any(SEAM_CPU_SCHEDULED))
		kick();
	run();
}

static void begin(enum apicv apicv)
{
	seam_apicv = apicv;
	memset(sent, 0, sizeof sent);
	delivered = notified = 0;
	start();
	for (uint32_t n = 0; n < 3; n++)
		lapic(n)->reg[LAPIC_SVR / 4] = 0x1ff;
	set_if(1);
}

static void test_controls(void **state)
{
	(void)state;
	for (enum apicv a = APICV_NONE; a <= APICV_POSTED; a++) {
		begin(a);
		assert_int_equal(vcpu_apicv(slot(0)), a);
		assert_int_equal(vcpu_apicv(&scheduled->idle), APICV_NONE);
		assert_int_equal((seam_get(VMCS_CTRL_PIN) & PIN_POSTED_INTERRUPTS) != 0, a == APICV_POSTED);
		assert_int_equal((seam_get(VMCS_CTRL_PROC2) & PROC2_VIRTUAL_INTERRUPT_DELIVERY) != 0, a != APICV_NONE);
		assert_int_equal((seam_get(VMCS_CTRL_PROC) & PROC_CR8_LOAD_EXITING) != 0, a == APICV_NONE);
		/* EOI does not exit, the interrupt command register does. */
		assert_int_equal(slot(0)->msr_bitmap[2048 + 0x80b / 8] >> (0x80b & 7) & 1, a == APICV_NONE);
		assert_true(slot(0)->msr_bitmap[2048 + 0x830 / 8] & 1);
		assert_true(slot(0)->msr_bitmap[0x839 / 8] >> (0x839 & 7) & 1);
	}
}

/* One that runs takes it without an exit, one that waits is woken, one that has lost the CPU has it when it comes back. */
static void test_where_it_arrives(void **state)
{
	uint64_t exits_before;

	(void)state;
	begin(APICV_POSTED);
	exits_before = vcpu_exits(slot(0));
	send(0, 0x61);
	assert_int_equal(delivered, 1);
	assert_int_equal(vcpu_exits(slot(0)), exits_before);
	end_of_interrupt(0);
	halt_with(1);
	assert_true(idles());
	send(0, 0x62);
	assert_true(runs(0) && delivered == 2);
	end_of_interrupt(0);
	to_single();
	set_if(1);
	send(0, 0x63); /* pair's: not now */
	assert_true(runs(2) && delivered == 2);
	at(EPOCH + FRAME);
	assert_true(runs(0));
	set_if(1);
	run();
	assert_int_equal(delivered, 3);
}

/* The task priority is the page's; a halted vCPU sleeps on through what is below it. */
static void test_priority(void **state)
{
	(void)state;
	begin(APICV_POSTED);
	lapic(0)->reg[LAPIC_TPR / 4] = 0x80;
	set_priority(0);
	halt_with(1);
	send(0, 0x71);
	assert_true(idles());
	send(0, 0x91);
	assert_true(runs(0) && delivered == 1);
	end_of_interrupt(0);
	lapic(0)->reg[LAPIC_TPR / 4] = 0;
	set_priority(0);
	run();
	assert_int_equal(delivered, 2);
}

static void random_step(void)
{
	switch (any(8)) {
	case 0:
	case 1:
	case 2:
		send(any(3), 16 + any(VECTORS));
		break;
	case 3:
		if (!idles() && !lapic(current())->reg[LAPIC_PPR / 4]) /* else it could sleep for ever */
			halt_with(1);
		break;
	case 4:
	case 5:
		if (!idles())
			end_of_interrupt(current());
		break;
	case 6:
		if (!idles()) {
			lapic(current())->reg[LAPIC_TPR / 4] = any(3) * 0x40;
			set_priority(current());
		}
		break;
	default:
		seam.tsc += any((uint32_t)timer_ticks() + 1);
		exits(EXIT_REASON_PREEMPTION_TIMER, 0);
	}
	run();
}

/* In the end each guest has got all it was sent. */
static void test_random(void **state)
{
	(void)state;
	for (enum apicv a = APICV_DELIVERY; a <= APICV_POSTED; a++) {
		begin(a);
		startup_send(slot(0), 1, EVENT_SIPI | 5);
		for (uint32_t i = 0; i < 100000; i++)
			random_step();
		for (uint32_t i = 0; i < 100000; i++) {
			if (!idles()) {
				set_if(1);
				lapic(current())->reg[LAPIC_TPR / 4] = 0;
				end_of_interrupt(current());
			}
			run();
			if (i % 100 == 0)
				at(scheduled->next_event);
			else if (!idles() && !highest(current(), LAPIC_IRR) && !highest(current(), LAPIC_ISR))
				halt_with(1); /* so that the others of its partition get their turn */
		}
		for (uint32_t n = 0; n < 3; n++)
			for (uint32_t v = 0; v < 256; v++)
				assert_false(sent[n][v]);
		assert_true(delivered > 1000 && (notified > 100) == (a == APICV_POSTED));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_where_it_arrives),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

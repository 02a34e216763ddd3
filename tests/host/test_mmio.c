// SPDX-License-Identifier: Apache-2.0
/*
 * Emulated registers from exit to effect (vmx/mmio.c, xapic.c, pins.c, interrupt.c). CPU 6 with the partition "devices": two vCPUs in xAPIC
 * mode, an I/O APIC; IRQ 3, edge, is on pin 3, IRQ 20, level, on pin 5 (seam.yaml).
 */
#include "scheduled_test.h"

#include "vmx/interrupt.h"
#include "vmx/ioapic.h"
#include "vmx/pins.h"
#include "vmx/xapic.h"

#define CPU 6u
#define CODE 0xf00u /* in the page that there is */
#define READ (EPT_VIOLATION_READ | EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED)
#define WRITE (EPT_VIOLATION_WRITE | EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED)
#define EDGE_VECTOR CONFIG_INTERRUPT_VECTOR
#define LEVEL_VECTOR (CONFIG_INTERRUPT_VECTOR + 1)

static const uint8_t load_eax[] = { 0x8b, 0x03 }, store_eax[] = { 0x89, 0x03 }, store_al[] = { 0x88, 0x03 },
		     load_esp[] = { 0x8b, 0x23 }, add_eax[] = { 0x03, 0x03 };

static int setup(void **state)
{
	(void)state;
	seam_reset(&seam_models[1]);
	drain();
	pins_init();
	interrupt_init();
	seam_start_scheduled(CPU);
	startup_take(slot(0));
	at(EPOCH);
	assert_true(runs(0));
	seam_set(VMCS_GUEST_CR0, CR0_PE | CR0_NE | CR0_ET); /* 32-bit code without paging */
	seam_set(VMCS_GUEST_EFER, 0);
	seam_set(VMCS_CTRL_ENTRY, seam_get(VMCS_CTRL_ENTRY) & ~(uint64_t)ENTRY_IA32E_MODE_GUEST);
	seam_set(VMCS_GUEST_CS_ACCESS, 0xc09b);
	set_if(0);
	return 0;
}

/* The running guest has executed `code`, which accessed `gpa`. */
static void access_at(uint64_t rip, const uint8_t *code, size_t size, uint64_t gpa, uint64_t qualification)
{
	struct vcpu *vcpu = this_cpu->running;

	if (rip + size <= sizeof seam.guest_page)
		memcpy(seam.guest_page + rip, code, size);
	seam_set(VMCS_GUEST_PHYSICAL_ADDRESS, gpa);
	seam_set(VMCS_EXIT_REASON, EXIT_REASON_EPT_VIOLATION);
	seam_set(VMCS_EXIT_QUALIFICATION, qualification);
	seam_set(VMCS_EXIT_INSTRUCTION_LENGTH, 77); /* undefined for this exit */
	seam_set(VMCS_GUEST_RIP, rip);
	seam_set(VMCS_CTRL_ENTRY_INTERRUPTION_INFO, 0);
	vmx_exit(vcpu);
}
#define access(code, gpa, qualification) access_at(CODE, code, sizeof code, gpa, qualification)

static int went_on(uint64_t length)
{
	return seam_get(VMCS_GUEST_RIP) == CODE + length && seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) == 0;
}

static int faulted(void)
{
	return seam_get(VMCS_GUEST_RIP) == CODE &&
	       seam_get(VMCS_CTRL_ENTRY_INTERRUPTION_INFO) ==
	               (INTERRUPTION_VALID | INTERRUPTION_HARDWARE_EXCEPTION | INTERRUPTION_ERROR_CODE | VECTOR_GP);
}

static uint32_t get(uint64_t gpa)
{
	slot(0)->regs[REG_RAX] = ~0ull;
	access(load_eax, gpa, READ);
	assert_true(went_on(2));
	assert_int_equal(slot(0)->regs[REG_RAX] >> 32, 0);
	return (uint32_t)slot(0)->regs[REG_RAX];
}

static void put(uint64_t gpa, uint32_t value)
{
	slot(0)->regs[REG_RAX] = value;
	access(store_eax, gpa, WRITE);
	assert_true(went_on(2));
}

static void put_entry(uint32_t pin, uint32_t low, uint32_t high)
{
	put(MMIO_IOAPIC_BASE, 0x11 + 2 * pin);
	put(MMIO_IOAPIC_BASE + 0x10, high);
	put(MMIO_IOAPIC_BASE, 0x10 + 2 * pin);
	put(MMIO_IOAPIC_BASE + 0x10, low);
}

static int pending(uint32_t n, uint32_t vector)
{
	return lapic(n)->reg[(LAPIC_IRR + vector / 32 * 16) / 4] >> vector % 32 & 1;
}

static void test_reads_and_writes(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_TPR, 0x35);
	assert_int_equal(get(MMIO_LAPIC_BASE + LAPIC_TPR), 0x35);
	put(MMIO_IOAPIC_BASE, 0x12);
	assert_int_equal(get(MMIO_IOAPIC_BASE), 0x12);
	access(store_al, MMIO_LAPIC_BASE + LAPIC_TPR, WRITE); /* a byte writes nothing */
	assert_true(went_on(2));
	assert_int_equal(get(MMIO_LAPIC_BASE + LAPIC_TPR), 0x35);
	seam_set(VMCS_GUEST_RSP, 0x123456789a);
	scheduled->reload = 0;
	access(load_esp, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_int_equal(seam_get(VMCS_GUEST_RSP), 0x35);
	assert_int_equal(scheduled->reload, 1);
}

static void test_what_is_an_error(void **state)
{
	static const uint64_t qualifications[] = {
		EPT_VIOLATION_FETCH | EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED, EPT_VIOLATION_READ,
		EPT_VIOLATION_READ | EPT_VIOLATION_LINEAR_VALID, /* the page walk */
		WRITE,                                           /* the instruction reads */
	};

	(void)state;
	for (size_t i = 0; i < sizeof qualifications / sizeof qualifications[0]; i++) {
		access(load_eax, MMIO_LAPIC_BASE + LAPIC_TPR, qualifications[i]);
		assert_true(faulted());
	}
	access(store_eax, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_true(faulted());
	access(add_eax, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_true(faulted());
	access(load_eax, MMIO_LAPIC_BASE + 0xffd, READ); /* across the end */
	assert_true(faulted());
	access(load_eax, MMIO_LAPIC_BASE + 0x1000, READ);
	assert_true(faulted());
	access(load_eax, MMIO_IOAPIC_BASE - 1, READ);
	assert_true(faulted());
	seam_set(VMCS_IDT_VECTORING_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | 0x40);
	access(load_eax, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_true(faulted());
	seam_set(VMCS_IDT_VECTORING_INFO, 0);
	access_at(0x2000, load_eax, sizeof load_eax, MMIO_LAPIC_BASE + LAPIC_TPR, READ); /* where nothing is */
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x2000);
	assert_int_equal(slot(0)->forbidden[ERROR_MEMORY], 11);
}

/* The last bytes of the memory: what follows is not there, and not read. */
static void test_instruction_at_the_end(void **state)
{
	(void)state;
	lapic(0)->reg[LAPIC_TPR / 4] = 0x35;
	access_at(0xffe, load_eax, 2, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_int_equal(slot(0)->regs[REG_RAX], 0x35);
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0x1000);
	access_at(0xfff, load_eax, 1, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_int_equal(seam_get(VMCS_GUEST_RIP), 0xfff);
}

/* Who has vector 51h by an interrupt command from vCPU 0: bit n is vCPU n. */
static uint32_t reached(uint32_t destination, uint32_t command)
{
	uint32_t set = 0;

	for (uint32_t n = 0; n < 2; n++)
		lapic(n)->reg[(LAPIC_IRR + 0x20) / 4] = 0;
	lapic(0)->reg[LAPIC_SVR / 4] = 0x1ff;
	put(MMIO_LAPIC_BASE + LAPIC_ICR2, destination << 24);
	slot(0)->regs[REG_RAX] = command | 0x51;
	access(store_eax, MMIO_LAPIC_BASE + LAPIC_ICR, WRITE);
	assert_true(went_on(2) || faulted());
	for (uint32_t n = 0; n < 2; n++)
		if (posted_take(CPU, n, 1))
			set |= 1u << n;
	return set | (lapic(0)->reg[(LAPIC_IRR + 0x20) / 4] >> 17 & 1); /* to itself: at once */
}

static void set_logical(uint32_t n, uint32_t ldr, uint32_t dfr)
{
	lapic(n)->reg[LAPIC_LDR / 4] = ldr << 24;
	lapic(n)->reg[LAPIC_DFR / 4] = dfr;
	xapic_note_logical(slot(n));
}

#define FLAT 0xffffffffu
#define CLUSTER 0x0fffffffu

static void test_destinations(void **state)
{
	(void)state;
	assert_int_equal(reached(0, 0), 1);
	assert_int_equal(reached(1, 0), 2);
	assert_int_equal(reached(2, 0), 0);
	assert_int_equal(reached(0xff, 0), 3);
	assert_int_equal(reached(0, 1u << 18), 1);
	assert_int_equal(reached(7, 2u << 18), 3);
	assert_int_equal(reached(7, 3u << 18), 2);
	for (uint32_t d = 0; d < 0xff; d++) {
		set_logical(0, 0, FLAT);
		set_logical(1, 0, FLAT);
		assert_int_equal(reached(d, 1u << 11), 0);
		set_logical(0, 0x01, FLAT);
		set_logical(1, 0x82, FLAT);
		assert_int_equal(reached(d, 1u << 11), (d & 1) | (d & 0x82 ? 2 : 0));
		set_logical(0, 0x31, CLUSTER);
		set_logical(1, 0x36, CLUSTER);
		assert_int_equal(reached(d, 1u << 11), d >> 4 == 3 ? (d & 1) | (d & 6 ? 2 : 0) : 0);
	}
	assert_int_equal(reached(0xff, 1u << 11), 3);
	assert_int_equal(reached(0xff, 1u << 11 | 1u << 8), 1); /* lowest priority: one of them */
	xapic_to_x2apic(slot(1));
	assert_int_equal(reached(2, 1u << 11), 2); /* the first cluster's second */
}

static void test_modes_of_apic_base(void **state)
{
	const uint64_t base = 0xfee00000u | APIC_BASE_ENABLE | APIC_BASE_BSP;

	(void)state;
	assert_int_equal(read_msr(0x1b), base);
	read_msr(0x802);
	assert_true(seam_injects(VECTOR_GP));
	write_msr(0x808, 0);
	assert_true(seam_injects(VECTOR_GP));
	write_msr(0x830, 0);
	assert_true(seam_injects(VECTOR_GP));
	write_msr(0x1b, base & ~(uint64_t)APIC_BASE_ENABLE);
	assert_true(seam_injects(VECTOR_GP));
	write_msr(0x1b, base + 0x1000);
	assert_true(seam_injects(VECTOR_GP));
	write_msr(0x1b, base);
	assert_true(seam_skipped());
	write_msr(0x1b, base | APIC_BASE_EXTD);
	assert_true(seam_skipped());
	assert_int_equal(read_msr(0x1b), base | APIC_BASE_EXTD);
	read_msr(0x802);
	assert_true(seam_skipped());
	write_msr(0x1b, base);
	assert_true(seam_injects(VECTOR_GP));
	access(load_eax, MMIO_LAPIC_BASE + LAPIC_TPR, READ);
	assert_true(faulted());
}

/* ---- interrupts of the machine ---- */

static void physical(uint32_t vector)
{
	seam_set(VMCS_EXIT_INTERRUPTION_INFO, INTERRUPTION_VALID | INTERRUPTION_EXTERNAL | vector);
	exits(EXIT_REASON_EXTERNAL_INTERRUPT, 0);
	assert_int_equal(seam_written(MSR_X2APIC_EOI), 0);
}

static void test_edge(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_SVR, 0x1ff);
	physical(EDGE_VECTOR);
	assert_int_equal(lapic(0)->pending, -1); /* masked */
	put_entry(3, 0x43, 0);
	physical(EDGE_VECTOR);
	assert_int_equal(lapic(0)->pending, 0x43);
	physical(EDGE_VECTOR);
	assert_int_equal(pending(0, 0x43), 1);
	put_entry(3, 0x44, 1u << 24); /* vCPU 1, which waits for a SIPI: its APIC is off */
	physical(EDGE_VECTOR);
	assert_false(pending(0, 0x44) || pending(1, 0x44));
	lapic(1)->reg[LAPIC_SVR / 4] = 0x1ff;
	physical(EDGE_VECTOR);
	assert_true(pending(1, 0x44));
	assert_int_equal(seam.masked, 0);                      /* its owner runs */
	physical(CONFIG_INTERRUPT_VECTOR + CONFIG_INTERRUPTS); /* nobody's */
	physical(16);
}

/* A pin that is no interrupt of the machine: what is still active after the EOI comes again. */
static void test_level_that_stays(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_SVR, 0x1ff);
	put_entry(7, 0x47 | IOAPIC_LEVEL, 0);
	pins_raise(slot(0)->partition, 7);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(lapic(0)->pending, 0x47);
		lapic_deliver(lapic(0), 0x47);
		assert_int_equal(lapic(0)->pending, -1);
		put(MMIO_LAPIC_BASE + LAPIC_EOI, 0);
	}
}

/* The machine's input is masked from the interrupt to the guest's EOI. */
static void test_level(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_SVR, 0x1ff);
	set_if(1);
	put_entry(5, 0x45 | IOAPIC_LEVEL, 0);
	for (uint32_t i = 0; i < 3; i++) {
		physical(LEVEL_VECTOR);
		assert_int_equal(seam.masked, 2);
		assert_true(injected(0x45));
		assert_int_equal(get(MMIO_LAPIC_BASE + LAPIC_TMR + 0x20), 1u << 5);
		put(MMIO_LAPIC_BASE + LAPIC_EOI, 0);
		assert_int_equal(seam.masked, 0);
		assert_int_equal(lapic(0)->pending, -1);
	}
	put_entry(5, 0x45 | IOAPIC_LEVEL | IOAPIC_MASKED, 0);
	physical(LEVEL_VECTOR);
	assert_int_equal(seam.masked, 2);
	assert_int_equal(lapic(0)->pending, -1);
	put_entry(5, 0x45 | IOAPIC_LEVEL, 0); /* it has waited */
	assert_int_equal(lapic(0)->pending, 0x45);
}

static void test_wakes_a_halted_vcpu(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_SVR, 0x1ff);
	put_entry(3, 0x43, 0);
	halt_with(1);
	assert_true(idles());
	physical(EDGE_VECTOR);
	assert_true(runs(0));
	assert_true(injected(0x43));
	assert_int_equal(seam.masked, 0);
}

/* Outside of its window: pending until that comes. */
static void test_waits_for_the_window(void **state)
{
	(void)state;
	put(MMIO_LAPIC_BASE + LAPIC_SVR, 0x1ff);
	put_entry(3, 0x43, 0);
	halt_with(1);
	at(EPOCH + 950 * US);
	assert_true(idles());
	physical(EDGE_VECTOR);
	assert_true(idles());
	assert_int_equal(lapic(0)->pending, 0x43);
	assert_int_equal(seam.masked, 1); /* no second one in the time of others */
	at(EPOCH + FRAME);
	assert_true(runs(0));
	assert_true(injected(0x43));
	assert_int_equal(seam.masked, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reads_and_writes, setup),
		cmocka_unit_test_setup(test_what_is_an_error, setup),
		cmocka_unit_test_setup(test_instruction_at_the_end, setup),
		cmocka_unit_test_setup(test_destinations, setup),
		cmocka_unit_test_setup(test_modes_of_apic_base, setup),
		cmocka_unit_test_setup(test_edge, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_level_that_stays, setup),
		cmocka_unit_test_setup(test_wakes_a_halted_vcpu, setup),
		cmocka_unit_test_setup(test_waits_for_the_window, setup),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

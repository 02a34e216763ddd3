// SPDX-License-Identifier: Apache-2.0
/* The machine's CPUs: found in the MADT, started by INIT-SIPI-SIPI, checked one by one (SDM Vol. 3A, 9.4 and 11.6). */
#include "acpi.h"
#include "console.h"
#include "core.h"
#include "cpu.h"
#include "lib.h"
#include "machine_ioapic.h"
#include "panic.h"
#include "selfcheck.h"
#include "trust.h"
#include "vmx/capability.h"
#include "vmx/vmcs.h"
#include "vtd/vtd.h"
#include "window.h"
#include "x86.h"

#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
#define AP_PARAMETERS 0xfc0u /* core/entry.asm */
#define AP_TIMEOUT_MS 1000u

struct ap_parameters {
	uint32_t transition_cr3, index;
	uint64_t cr3, entry;
};

extern const uint8_t ap_trampoline[], ap_trampoline_end[];
void ap_entry(void);

struct cpu_report cpu_report[CONFIG_CPUS];
uint32_t cpu_apic_id[CONFIG_CPUS];
static uint32_t spare_apic_id[CONFIG_MAX_CPUS]; /* CPUs the configuration does not know */
static uint32_t spare_count;

static const void *map_table(void *context, uint64_t phys, uint32_t length)
{
	(void)context;
	return length <= WINDOW_SLOT_SIZE ? window_pair(phys) : 0;
}

static _Noreturn void refuse_acpi(const struct acpi *acpi, const char *what)
{
	refuse("%s: table %s at %lx, offset %u: %s", what, acpi->fault.table, acpi->fault.address, acpi->fault.offset,
	       acpi_result_text(acpi->fault.result));
}

/* The boot CPU is index 0, the others follow in the MADT's order. */
static void assign_indices(const struct acpi_cpus *cpus)
{
	uint32_t next = 1, boot_seen = 0;

	cpu_apic_id[0] = this_cpu->apic_id;
	for (uint32_t i = 0; i < cpus->count; i++) {
		if (cpus->apic_id[i] == this_cpu->apic_id)
			boot_seen = 1;
		else if (next < CONFIG_CPUS)
			cpu_apic_id[next++] = cpus->apic_id[i];
		else
			spare_apic_id[spare_count++] = cpus->apic_id[i];
	}
	if (!boot_seen)
		refuse("the MADT does not list the boot CPU, APIC ID %u: the firmware's tables are wrong",
		       this_cpu->apic_id);
	if (next < CONFIG_CPUS)
		refuse("the configuration needs %u CPUs, the machine has %u: change board.cpus and the partitions' cpus, or use another board",
		       (uint32_t)CONFIG_CPUS, next);
}

void cpus_enumerate(void)
{
	static struct acpi_cpus cpus;
	struct acpi_pm_timer timer = { 0 };
	struct acpi acpi;

	if (acpi_open(&acpi, map_table, 0, handoff.rsdp) != ACPI_OK)
		refuse_acpi(&acpi, "ACPI root");
	if (acpi_cpus(&acpi, &cpus) != ACPI_OK)
		refuse_acpi(&acpi, "CPUs");
	acpi_pm_timer(&acpi, &timer); /* missing: port 0 */
	if (CONFIG_INTERRUPTS && machine_ioapic_find(&acpi) != ACPI_OK)
		refuse_acpi(&acpi, "I/O APICs");
	if (CONFIG_TRUST)
		trust_report_table(&acpi);
	if (CONFIG_IOMMU)
		vtd_find(&acpi);
	if (!timer_init(timer.port))
		refuse("no frequency for the TSC: CPUID leaf 15h tells none, and there is no working ACPI PM timer");
	assign_indices(&cpus);
	window_close();
	print("%u CPUs, of which %u are used; TSC %lu kHz\n", cpus.total, (uint32_t)CONFIG_CPUS, tsc_khz);
}

static void delay_us(uint64_t us)
{
	const uint64_t end = rdtsc() + us * tsc_khz / 1000;

	while (rdtsc() < end)
		pause();
}

static void send_ipi(uint32_t apic_id, uint32_t command)
{
	wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
}

/* A CPU says who it is and what it lacks. */
static void report(uint32_t index)
{
	struct cpu_report *r = &cpu_report[index];

	r->apic_id = this_cpu->apic_id;
	r->core_id = cpu_core_id();
	vmx_check_capabilities(&r->missing_must, &r->missing_nice);
	if (!(r->missing_must & 1) &&
	    vmx_feature_control(rdmsr(MSR_IA32_FEATURE_CONTROL)) == FEATURE_CONTROL_LOCKED_OFF)
		r->missing_must |= 1ull << (VMX_CAPABILITY_LINES - 1);
#if CONFIG_SELF_CHECK
	r->failed = selfcheck_registers();
#endif
	__atomic_store_n(&r->state, REPORT_READY, __ATOMIC_RELEASE);
}

static void start_one(uint32_t index)
{
	uint8_t *page = window(0, handoff.trampoline);
	const struct ap_parameters parameters = { (uint32_t)handoff.transition_cr3, index, handoff.cpu_cr3[index],
		                                  (uint64_t)ap_entry };

	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	memcpy(page + AP_PARAMETERS, &parameters, sizeof parameters);
	send_ipi(cpu_apic_id[index], ICR_INIT);
	delay_us(10000);
	for (uint32_t attempt = 0; attempt < 2; attempt++) {
		send_ipi(cpu_apic_id[index], ICR_STARTUP | (uint32_t)(handoff.trampoline >> 12));
		delay_us(200);
	}
	for (uint32_t ms = 0; ms < AP_TIMEOUT_MS; ms++) {
		if (__atomic_load_n(&cpu_report[index].state, __ATOMIC_ACQUIRE) == REPORT_READY)
			return;
		delay_us(1000);
	}
	refuse("CPU %u, APIC ID %u, does not start within %u ms", index, cpu_apic_id[index], AP_TIMEOUT_MS);
}

/* Threads of one core share its caches and more: they may only belong to one and the same partition. */
static void check_siblings(uint32_t a, uint32_t b)
{
	const struct config_cpu *x = &config.cpus[a], *y = &config.cpus[b];

	if (cpu_report[a].core_id != cpu_report[b].core_id || !x->slot_count || !y->slot_count)
		return;
	for (uint32_t i = 0; i < x->slot_count; i++)
		for (uint32_t j = 0; j < y->slot_count; j++)
			if (x->slots[i].partition != y->slots[j].partition)
				refuse("CPUs %u and %u are threads of one core and belong to %s and %s: give both to one partition, or switch hyper-threading off",
				       a, b, config.partitions[x->slots[i].partition].name,
				       config.partitions[y->slots[j].partition].name);
}

/* Every miss of every CPU, in one go. */
static void check_reports(void)
{
	uint32_t bad = 0;

	for (uint32_t line = 0; line < VMX_CAPABILITY_LINES; line++)
		for (uint32_t i = 0; i < CONFIG_CPUS; i++) {
			if (cpu_report[i].missing_must >> line & 1) {
				print("CPU %u lacks, and must have: %s\n", i, vmx_capability_name(line));
				bad = 1;
			} else if (cpu_report[i].missing_nice >> line & 1 && i == 0) {
				print("not here, would be better: %s\n", vmx_capability_name(line));
			}
		}
	if (bad)
		refuse("this machine cannot carry Bulkhead: the lines above say what it lacks");
	for (uint32_t i = 0; i < CONFIG_CPUS; i++)
		for (uint32_t j = 0; j < i; j++)
			check_siblings(j, i);
}

void cpus_start(void)
{
	report(0);
	if (!(cpuid(1, 0).r[2] &
	      CPUID_1_ECX_X2APIC)) /* the others cannot be reached; what this one lacks is reason enough */
		check_reports();
	for (uint32_t i = 1; i < CONFIG_CPUS; i++)
		start_one(i);
	for (uint32_t i = 0; i < spare_count; i++) /* out of the firmware's loop, into wait-for-SIPI */
		send_ipi(spare_apic_id[i], ICR_INIT);
	memset(window(0, handoff.trampoline), 0, 2 * PAGE_SIZE);
	window_close();
	check_reports();
}

void core_ap_main(uint32_t index);
void core_ap_main(uint32_t index)
{
	cpu_init(index);
	report(index);
	cpu_run(index);
}

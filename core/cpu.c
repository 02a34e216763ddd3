// SPDX-License-Identifier: Apache-2.0
#include "cpu.h"

#include "console.h"
#include "core.h"
#include "lib.h"
#include "panic.h"
#include "vmx/vmx.h"
#include "x86.h"

extern uint8_t core_start[];
extern struct percpu_block percpu_blocks[];

_Static_assert(sizeof(struct tss) == 104, "TSS layout");
_Static_assert(PERCPU_DATA + sizeof(struct cpu) <= PERCPU_WINDOW_PD, "per-CPU data runs into the window's directory");

static void load_descriptor_tables(void)
{
	struct cpu *cpu = this_cpu;
	const uint64_t base = (uint64_t)&cpu->tss;
	const struct descriptor_pointer gdt = { sizeof cpu->gdt - 1, (uint64_t)cpu->gdt };
	const struct descriptor_pointer idt = { sizeof core_idt - 1, (uint64_t)core_idt };

	cpu->tss.ist[0] = PERCPU_NMI_STACK_TOP;
	cpu->tss.ist[1] = PERCPU_DF_STACK_TOP;
	cpu->tss.ist[2] = PERCPU_MC_STACK_TOP;
	cpu->tss.io_map_base = sizeof cpu->tss;
	cpu->gdt[1] = 0x00209b0000000000; /* 64-bit code, accessed */
	cpu->gdt[2] = 0x00cf93000000ffff; /* data, writable, accessed */
	cpu->gdt[3] = (sizeof cpu->tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	cpu->gdt[4] = base >> 32;
	lgdt(&gdt);
	lidt(&idt);
	cpu_load_segments();
}

static void set_control_registers(void)
{
	const struct cpuid_regs c1 = cpuid(1, 0), c7 = cpuid(7, 0);
	uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (c1.r[2] & 1u << 26)
		cr4 |= CR4_OSXSAVE;
	if (c7.r[1] & 1u << 7)
		cr4 |= CR4_SMEP;
	if (c7.r[1] & 1u << 20)
		cr4 |= CR4_SMAP;
	if (c7.r[2] & 1u << 2)
		cr4 |= CR4_UMIP;
	write_cr0(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	write_cr4(cr4);
	wrmsr(MSR_IA32_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	wrmsr(MSR_IA32_PAT, PAT_RESET);
	if (cr4 & CR4_OSXSAVE)
		xsetbv0(1); /* x87 only, as after reset: the firmware's choice is not the guest's */
}

/*
 * State that a guest could read and no VMCS field holds is as after RESET: what the firmware left there is nobody's business. With
 * an XSAVE header of zeros XRSTOR gives every component its initial state; MXCSR comes from the area (SDM Vol. 1, 13.6).
 */
void cpu_clear_guest_state(void)
{
	static const uint32_t msr[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
		                        0xc0000102 }; /* STAR to FMASK, GS */
	static const struct {
		uint32_t word[144]; /* legacy area and header */
	} area __attribute__((aligned(64))) = { .word = { [6] = 0x1f80 } };
	const struct cpuid_regs d = cpuid(0xd, 0);

	for (uint32_t i = 0; i < ARRAY_SIZE(msr); i++)
		wrmsr(msr[i], 0);
	if (cpuid(0x80000001, 0).r[3] >> 27 & 1)
		wrmsr(0xc0000103, 0); /* TSC_AUX */
	if (CONFIG_HEALTH && cpuid(7, 0).r[3] >> 26 & 1)
		wrmsr(0x48, 0); /* SPEC_CTRL */
	if (CONFIG_HEALTH && cpuid(0xd, 1).r[0] >> 3 & 1)
		wrmsr(MSR_IA32_XSS, 0);
	__asm__ volatile("mov %0, %%db0; mov %0, %%db1; mov %0, %%db2; mov %0, %%db3; mov %0, %%cr2" : : "r"(0ull));
	write_dr6(0xffff0ff0);
	if (!(read_cr4() & CR4_OSXSAVE))
		return;
	xsetbv0((uint64_t)d.r[3] << 32 | d.r[0]);
	__asm__ volatile("xrstor64 %0" : : "m"(area), "a"(~0u), "d"(~0u));
	xsetbv0(1);
}

/* Which local vector table entries exist: the version register's highest index (SDM Vol. 3A, 11.4.8). */
void cpu_quiet_apic(void)
{
	static const uint32_t lvt[] = { MSR_X2APIC_LVT_TIMER, MSR_X2APIC_LVT_LINT0, MSR_X2APIC_LVT_LINT1,
		                        MSR_X2APIC_LVT_ERROR, MSR_X2APIC_LVT_PMC,   MSR_X2APIC_LVT_THERMAL,
		                        MSR_X2APIC_LVT_CMCI };
	const uint32_t highest = (uint32_t)rdmsr(0x803) >> 16 & 0xff;

	for (uint32_t i = 0; i <= highest && i < ARRAY_SIZE(lvt); i++)
		wrmsr(lvt[i], 1u << 16);
	if (cpuid(1, 0).r[2] & CPUID_1_ECX_TSC_DEADLINE)
		wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	wrmsr(MSR_X2APIC_TIMER_INITIAL, 0);
	wrmsr(MSR_X2APIC_TPR, 0);
	/* What was in service when the firmware left would block lower vectors for ever: at most one per priority class. */
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t any = 0;

		for (uint32_t word = 0; word < 8; word++)
			any |= (uint32_t)rdmsr(MSR_X2APIC_ISR0 + word);
		if (!any)
			break;
		wrmsr(MSR_X2APIC_EOI, 0);
	}
	wrmsr(MSR_X2APIC_SVR, 0xff); /* software-disabled, as after reset; NMI and INIT still arrive (11.4.7.2) */
	wrmsr(MSR_X2APIC_ESR, 0);
}

/* A CPU without x2APIC stays as it is: the capability table refuses it, in one go with all else that is missing. */
static void enable_x2apic(void)
{
	const uint64_t base = rdmsr(MSR_IA32_APIC_BASE);
	const struct cpuid_regs c1 = cpuid(1, 0);

	this_cpu->apic_id = c1.r[1] >> 24;
	if (!(c1.r[2] & CPUID_1_ECX_X2APIC))
		return;
	if (!(base & APIC_BASE_ENABLE)) /* disabled to x2APIC in one step is not allowed (11.12.5) */
		wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
	wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_EXTD);
	this_cpu->apic_id = (uint32_t)rdmsr(MSR_X2APIC_ID);
	cpu_quiet_apic();
}

uint32_t cpu_core_id(void)
{
	/* Level type 1, in ECX[15:8], is SMT. CPUs without threads may begin with another level; or, with threads switched
	 * off, still give the shift but say in EBX that this level has one logical processor. */
	for (uint32_t subleaf = 0; subleaf < 2; subleaf++) {
		const struct cpuid_regs c = cpuid(0xb, subleaf);

		if ((c.r[2] >> 8 & 0xff) == 1 && (c.r[1] & 0xffff) > 1)
			return this_cpu->apic_id >> (c.r[0] & 0x1f);
	}
	return this_cpu->apic_id;
}

void cpu_init(uint32_t index)
{
	this_cpu->index = index;
	this_cpu->hpa = handoff.core_hpa + ((uint64_t)&percpu_blocks[index] - (uint64_t)core_start) +
	                PERCPU_DATA_OFFSET;
	load_descriptor_tables();
	set_control_registers();
	cpu_clear_guest_state();
	enable_x2apic();
}

/*
 * Exceptions in root mode. One that was to be expected, while probing for an MSR, goes on behind. An NMI is the core's attention (or the platform's): the guest that is running here must
 * exit at once, whatever instruction this interrupted, so the preemption timer is set to fire on the next entry.
 */
void core_exception(struct exception_frame *frame);
void core_exception(struct exception_frame *frame)
{
	struct vcpu *vcpu = this_cpu->running;

	if (CONFIG_SCHEDULED_CPUS && frame->vector == 13 && frame->rip == (uint64_t)cpu_probe_rdmsr) {
		frame->rip = (uint64_t)cpu_probe_failed;
		return;
	}
	if (frame->vector != 2)
		panic_exception(frame);
	panic_check();
	if (vcpu && cpu_is_scheduled(this_cpu->index))
		scheduled_nmi();
	if (vcpu) {
		if (CONFIG_COMPANIONS)
			this_cpu->nmi = 1;
		vmwrite(VMCS_GUEST_PREEMPTION_TIMER, 0);
		if (!cpu_is_scheduled(
			    this_cpu->index)) /* there it is always on, and the VMCS may be another's by now */
			vmwrite(VMCS_CTRL_PIN, vcpu->pin_controls | PIN_PREEMPTION_TIMER);
	}
}

void cpu_sleep(void)
{
	console_flush();
	for (;;) {
		halt();
		attention();
		for (uint32_t i = 0; i < CONFIG_VCPUS_PER_CPU; i++)
			attention_tell();
	}
}

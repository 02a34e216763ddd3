// SPDX-License-Identifier: Apache-2.0
/* A vCPU as before its first entry: VMCS, registers outside of it, local APIC, what was sent to it. Its counters go on. */
#include "companion.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/posted.h"
#include "core/x86.h"
#include "cr.h"
#include "exit.h"
#include "health.h"
#include "hypercall/calls.h"
#include "pins.h"
#include "interrupt.h"
#include "startup.h"
#include "vmx.h"

#define XSAVE_INITIAL_SIZE 576u /* bytes for x87 and SSE, and the header: leaf 0Dh with XCR0 = 1 */
#define INTERRUPT_GATE 0x8e00u
#define DRAINED_AT_ONCE 16u

/* ---- other vCPUs of a partition: number n of an order, and who has obeyed ---- */

static uint32_t ordered[CONFIG_PARTITIONS];
static uint32_t obeyed[CONFIG_CPUS][CONFIG_VCPUS_PER_CPU];

void clean_order(struct vcpu *vcpu)
{
	__atomic_add_fetch(&ordered[vcpu->partition_index], 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 1; i < vcpu->partition->vcpu_count; i++)
		startup_send(vcpu, i, EVENT_RESET);
}

int clean_parked(const struct vcpu *vcpu)
{
	const uint32_t order = ordered[vcpu->partition_index];

	for (uint32_t i = 1; i < vcpu->partition->vcpu_count; i++) {
		const struct config_vcpu *c = &vcpu->partition->vcpus[i];

		if (__atomic_load_n(&obeyed[c->cpu][c->slot], __ATOMIC_ACQUIRE) != order)
			return 0;
	}
	return 1;
}

/* ---- interrupts that are pending in the local APIC of a dedicated CPU: nobody can take them but the CPU itself ---- */

static uint64_t drain_idt[512];

/* Its gates from vector 16 on: no exception of these is to be expected in the three instructions below. A machine check there would be
 * taken for an interrupt; the next one is then a shutdown. */
void clean_init(void)
{
	const uint64_t to = (uint64_t)drain_interrupt;

	memcpy(drain_idt, core_idt, sizeof core_idt);
	for (uint32_t v = 16; v < 256; v++) {
		drain_idt[2 * v] = (to & 0xffff) | (uint64_t)SEL_CODE << 16 | (uint64_t)INTERRUPT_GATE << 32 |
		                   (to >> 16 & 0xffff) << 48;
		drain_idt[2 * v + 1] = to >> 32;
	}
}

static int interrupts_left(void)
{
	uint32_t any = 0;

	for (uint32_t word = 0; word < 8; word++)
		any |= (uint32_t)rdmsr(MSR_X2APIC_IRR0 + word);
	return any != 0;
}

/* At most so many. Returns 1 if there may be more. Sources are masked; neighbours may send doorbells without end, and the steps are counted. */
static int drain(uint32_t most)
{
	const struct descriptor_pointer all = { sizeof drain_idt - 1, (uint64_t)drain_idt };
	const struct descriptor_pointer idt = { sizeof core_idt - 1, (uint64_t)core_idt };

	wrmsr(MSR_X2APIC_SVR, 0x1ff);
	lidt(&all);
	for (uint32_t i = 0; i < most; i++)
		__asm__ volatile("sti; nop; cli"
		                 :
		                 :
		                 : "memory"); /* one at a time: the handler comes back with interrupts off */
	lidt(&idt);
	wrmsr(MSR_X2APIC_SVR, 0xff);
	return interrupts_left();
}

/* ---- registers ---- */

/* What the VMCS does not hold. */
void clean_registers(struct vcpu *vcpu)
{
	vcpu->unclean = 0;
	if (cpu_is_scheduled(this_cpu->index))
		scheduled_clean_registers(vcpu);
	else
		cpu_clear_guest_state();
}

/* Answers and values that the guest changes as it runs. */
static void clean_answers(struct vcpu *vcpu)
{
	const struct config_partition *p = vcpu->partition;
	uint32_t *c;

	for (uint32_t i = 0; i < 2; i++)
		if ((c = vcpu_cpuid(vcpu, 0xd, i)) && c[1])
			c[1] = XSAVE_INITIAL_SIZE;
	for (uint32_t i = 0; i < p->msr_count; i++)
		for (uint32_t n = 0; p->msrs[i].read == MSR_SHADOW && n <= p->msrs[i].last - p->msrs[i].first; n++)
			vcpu->msr_shadow[p->msrs[i].shadow + n] = p->msrs[i].value;
}

static void clean_vmcs(struct vcpu *vcpu)
{
	startup_wait(vcpu);
	vcpu->waiting = 0;
	interrupt_window(vcpu, 0);
	vmwrite(VMCS_CTRL_ENTRY, vmread(VMCS_CTRL_ENTRY) | ENTRY_IA32E_MODE_GUEST);
}

static void clean_apic(struct vcpu *vcpu)
{
#if CONFIG_SCHEDULED_CPUS
	if (cpu_is_scheduled(this_cpu->index)) {
		struct scheduled_vcpu *v = &this_cpu->scheduled.vcpu[vcpu - this_cpu->vcpu];

		v->lapic.x2apic = !vcpu->partition->xapic;
		v->poll_due = v->life_due = 0;
		for (uint32_t word = 0; word < 4; word++)
			posted_take(this_cpu->index, v->slot, word);
	}
#endif
	vcpu_reset_apic(vcpu);
	__atomic_store_n(&startup_events[this_cpu->index][vcpu - this_cpu->vcpu], 0, __ATOMIC_SEQ_CST);
}

static void clean_devices(struct vcpu *vcpu)
{
	uart_init(vcpu->partition_index);
	if (CONFIG_CHANNELS)
		ports_restart(vcpu->partition_index);
	if (CONFIG_IOAPICS && vcpu->partition->ioapic)
		pins_reset(vcpu->partition);
	if (CONFIG_INTERRUPTS)
		interrupt_ended(vcpu->partition_index, ~0u);
}

static void make_current(const struct vcpu *vcpu)
{
	if (vmptrld(cpu_phys(vcpu->vmcs)))
		vmx_failed("VMPTRLD", cpu_phys(vcpu->vmcs));
}

int clean_step(struct vcpu *vcpu, uint32_t step)
{
	enum { VMCS, STATE, APIC, REGISTERS, ANSWERS, DEVICES, COMPANION, INTERRUPTS };

	if (CONFIG_COMPANIONS && step == COMPANION && vcpu->companion)
		companion_clean(vcpu);
	make_current(vcpu);
	switch (step) {
	case VMCS:
		clean_vmcs(vcpu);
		break;
	case STATE:
		vcpu_init_guest_state(vcpu, &vcpu->partition->entry);
		vcpu_first_control_registers();
		break;
	case APIC:
		clean_apic(vcpu);
		break;
	case REGISTERS:
		clean_registers(vcpu);
		break;
	case ANSWERS:
		clean_answers(vcpu);
		break;
	case DEVICES:
		clean_devices(vcpu);
		break;
	default:
		break;
	}
	make_current(this_cpu->running);
	if (step < INTERRUPTS)
		return 1;
	return !cpu_is_scheduled(this_cpu->index) && step < INTERRUPTS + 256 / DRAINED_AT_ONCE &&
	       drain(DRAINED_AT_ONCE);
}

/* ---- vCPUs but the first ---- */

void clean_park(struct vcpu *vcpu)
{
	const uint32_t order = __atomic_load_n(&ordered[vcpu->partition_index], __ATOMIC_SEQ_CST);

	startup_wait(vcpu);
	interrupt_window(vcpu, 0);
	clean_answers(vcpu);
	vcpu_reset_apic(vcpu);
	if (!cpu_is_scheduled(this_cpu->index))
		drain(256);
	vcpu->unclean = 1;
	vcpu->state = VCPU_RUNNING;
	__atomic_store_n(&obeyed[this_cpu->index][vcpu - this_cpu->vcpu], order, __ATOMIC_RELEASE);
}

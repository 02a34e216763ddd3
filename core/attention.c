// SPDX-License-Identifier: Apache-2.0
/*
 * The hypervisor's attention on another CPU: a request word and an NMI. The NMI makes a guest exit whatever it does; in root mode the
 * handler makes the next entry exit (core/cpu.c). So a guest that loops with interrupts off is reached like any other.
 */
#include "console.h"
#include "core.h"
#include "cpu.h"
#include "panic.h"
#include "selfcheck.h"
#include "vtd/vtd.h"
#include "x86.h"

#define REQUEST_STATUS 1u
#define REQUEST_SELF_CHECK 2u

static uint32_t request[CONFIG_CPUS]; /* bits REQUEST_*: set by any CPU, taken by its own */

void attention_kick(uint32_t cpu)
{
	wrmsr(MSR_X2APIC_ICR, (uint64_t)cpu_apic_id[cpu] << 32 | 1u << 14 | 4u << 8); /* NMI */
}

void attention_status(void)
{
	for (uint32_t i = 0; i < CONFIG_CPUS; i++) {
		__atomic_or_fetch(&request[i], REQUEST_STATUS, __ATOMIC_SEQ_CST);
		attention_kick(i);
	}
}

static void print_vcpu(const struct vcpu *vcpu)
{
	const int current = this_cpu->running == vcpu;
	uint64_t forbidden = 0;

	if (!vcpu->partition) {
		print("CPU %u: parked\n", this_cpu->index);
		return;
	}
	for (uint32_t i = 0; i < ERROR_CLASS_COUNT; i++)
		forbidden += vcpu->forbidden[i];
	print("CPU %u: %s, vCPU %u %s, rip %lx, %lu exits, %lu forbidden, longest stay in root mode %u ticks\n",
	      this_cpu->index, vcpu->partition->name, vcpu->index,
	      vcpu->state == VCPU_STOPPED ? "has stopped" :
	      current                     ? "runs" :
	                                    "waits",
	      current ? vcpu_rip() : 0, vcpu_exits(vcpu), forbidden, vcpu->worst);
}

/* A parked CPU tells of itself, too. */
static uint32_t told_vcpus(void)
{
	const uint32_t count = config.cpus[this_cpu->index].slot_count;

	return count ? count : 1;
}

static void tell_next(void)
{
	const uint32_t next = told_vcpus() - this_cpu->status_left--;

	print_vcpu(&this_cpu->vcpu[next]);
	if (!this_cpu->status_left && cpu_is_scheduled(this_cpu->index))
		scheduled_print_status();
}

void attention_tell(void)
{
	if (this_cpu->status_left && this_cpu->noted.head == this_cpu->noted.tail)
		tell_next();
}

void attention_self_check(void)
{
	for (uint32_t i = 0; i < CONFIG_CPUS; i++) {
		if (!config.cpus[i].slot_count || cpu_is_scheduled(i))
			continue;
		__atomic_or_fetch(&request[i], REQUEST_SELF_CHECK, __ATOMIC_SEQ_CST);
		attention_kick(i);
	}
}

void attention(void)
{
	uint32_t bits = 0;

	panic_check();
	if (__atomic_load_n(&request[this_cpu->index], __ATOMIC_RELAXED))
		bits = __atomic_exchange_n(&request[this_cpu->index], 0, __ATOMIC_SEQ_CST);
	if (bits & REQUEST_STATUS)
		this_cpu->status_left = told_vcpus();
	if (CONFIG_SELF_CHECK && bits & REQUEST_SELF_CHECK)
		selfcheck_now();
	if (CONFIG_IOMMU)
		vtd_attention((bits & REQUEST_STATUS) != 0);
}

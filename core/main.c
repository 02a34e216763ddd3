// SPDX-License-Identifier: Apache-2.0
/* From the loader's last instruction to the first of each partition. */
#include "assign.h"
#include "audit.h"
#include "config/validate.h"
#include "console.h"
#include "core.h"
#include "cpu.h"
#include "hypercall/calls.h"
#include "machine_ioapic.h"
#include "panic.h"
#include "selfcheck.h"
#include "survivor.h"
#include "trust.h"
#include "vmx/capability.h"
#include "vmx/exit.h"
#include "vmx/health.h"
#include "vmx/interrupt.h"
#include "vmx/pins.h"
#include "vmx/startup.h"
#include "vmx/trace.h"
#include "vtd/vtd.h"
#include "x86.h"

_Static_assert(__builtin_offsetof(struct handoff, cpu_cr3) == 56, "core/entry.asm");
_Static_assert(__builtin_offsetof(struct cpu, vcpu) % 4096 == 0, "VMCS on a page of its own");

struct handoff handoff __attribute__((section(".data")));
struct percpu_block percpu_blocks[CONFIG_CPUS] __attribute__((section(".percpu"), aligned(4096)));
static uint64_t tables[TRANSITION_TABLE_PAGES + CPU_TABLE_PAGES * CONFIG_CPUS][512]
	__attribute__((section(".tables"), aligned(4096), used));

/* Set once by the boot CPU: partitions may run. */
static uint32_t go;
static uint64_t epoch; /* TSC at which the frames of all scheduled CPUs begin */

static void check_configuration(void)
{
	struct config_fault fault;
	const enum config_rule rule = config_validate(&config, &fault);

	if (handoff.magic != HANDOFF_MAGIC || handoff.version != HANDOFF_VERSION || handoff.size != sizeof handoff)
		panic("handoff: magic %lx, version %u, %u bytes", handoff.magic, handoff.version, handoff.size);
	if (rule != RULE_OK)
		refuse("configuration: %s (partition %u, entry %u, other %u)", config_rule_text(rule), fault.partition,
		       fault.index, fault.other);
}

void core_main(struct handoff *from_loader);
void core_main(struct handoff *from_loader)
{
	(void)from_loader; /* it is `handoff` */
	cpu_init(0);
	console_init();
	print("Bulkhead, configuration %s: %u partitions on %u CPUs; core at %lx, %lu KiB\n", config.name,
	      (uint32_t)CONFIG_PARTITIONS, (uint32_t)CONFIG_CPUS, handoff.core_hpa, handoff.core_size >> 10);
	print("loader: %lu ticks, of these %lu for reading files\n", handoff.tsc_handoff - handoff.tsc_loader_start,
	      handoff.ticks_files);
	if (CONFIG_TRUST)
		trust_report();
	check_configuration();
	cpus_enumerate();
	if (CONFIG_IOMMU)
		vtd_init();
	cpus_start();
	if (config.itlb_multihit == ITLB_REFUSE && vmx_itlb_multihit())
		refuse("this CPU has the iTLB multihit flaw, and the configuration says to refuse it: see itlb_multihit");
	ept_build();
	audit_boot();
	if (CONFIG_DEVICES)
		assign_init();
	memory_scrub_shared();
	if (CONFIG_CHANNELS)
		ports_init();
	if (CONFIG_IOAPICS)
		pins_init();
	if (CONFIG_INTERRUPTS) {
		interrupt_init();
		machine_ioapic_init();
	}
	if (CONFIG_SELF_CHECK)
		selfcheck_table();
	if (CONFIG_HEALTH)
		health_init();
	epoch = rdtsc();
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	cpu_run(0);
}

void cpu_run(uint32_t index)
{
	const struct config_cpu *mine = &config.cpus[index];
	const struct config_slot *slot = mine->slots;
	const uint64_t timeout = rdtsc() + 60000 * tsc_khz;
	struct vcpu *vcpu = &this_cpu->vcpu[0];
	int right;

	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE)) {
		if (rdtsc() > timeout) /* the boot CPU has refused, or is gone */
			cpu_sleep();
		pause();
	}
	if (!mine->slot_count)
		cpu_sleep();
	audit_init();
	if (CONFIG_IOMMU && !index)
		vtd_record();
	if (CONFIG_DEVICES && !index)
		assign_record();
	vmx_on(this_cpu->vmxon_region, cpu_phys(this_cpu->vmxon_region));
	if (cpu_is_scheduled(index))
		scheduled_run(epoch);
	trace_init(0);
	vcpu_init(vcpu, slot->partition, slot->vcpu);
	if (CONFIG_SELF_CHECK)
		selfcheck_first(vcpu);
	right = slot->vcpu != 0 || partition_load(slot->partition);
	if (!right && !CONFIG_HEALTH)
		vcpu_stop(vcpu, "its payload is not the one it was configured with");
	if (CONFIG_COMPANIONS && vcpu->partition->companion) {
		companion_init(vcpu);
		right &= partition_load(vcpu->partition->companion);
		if (!right && !CONFIG_HEALTH)
			vcpu_stop(vcpu, "its companion is not the one it was configured with");
	}
	if (CONFIG_HEALTH && slot->vcpu == 0 && !health_begin(vcpu, right))
		health_rest(vcpu);
	if (slot->vcpu != 0)
		startup_wait(vcpu);
	audit(AUDIT_SAFETY, AUDIT_START, slot->partition, slot->vcpu, 0);
	print("%s: vCPU %u starts on CPU %u, APIC ID %u, %lu ticks after the loader\n", vcpu->partition->name,
	      slot->vcpu, index, this_cpu->apic_id, rdtsc() - handoff.tsc_loader_start);
	if (CONFIG_HEARTBEATS)
		watch_heartbeat(vcpu);
	if (CONFIG_COMPANIONS && vcpu->companion)
		companion_run(vcpu);
	vcpu_run(vcpu);
}

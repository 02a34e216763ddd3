// SPDX-License-Identifier: Apache-2.0
/*
 * The validator of configuration tables. Pure: the same source runs in the host tool (after the YAML's own checks), in the host
 * tests, and once more at boot over the compiled-in tables. It trusts nothing but the pointers and counts being what the types say.
 */
#ifndef CONFIG_VALIDATE_H
#define CONFIG_VALIDATE_H

#include "../hypercall/abi.h"
#include "config.h"

/* One rule a table can break. config_rule_text() says it in a sentence. */
enum config_rule {
	RULE_OK = 0,
	RULE_MAGIC, /* magic or version is not this build's */
	RULE_COUNT, /* a count is 0 or above its limit */
	RULE_NAME,  /* a name is empty, too long, not [a-z0-9_-], or used twice */
	RULE_MEMORY_SIZE, /* 0, not a multiple of 4 KiB, or above 2^46; of one that the core writes: not of one for each CPU */
	RULE_MEMORY_PLACE, /* fixed address not aligned, beyond 2^46, or overlapping another fixed memory; the same of the
	                      * place at which CPUs write one of theirs */
	RULE_MEMORY_OWNER, /* owner does not exist, or a private memory is mapped by another partition, or a memory nobody maps */
	RULE_MAP_RANGE,    /* map outside its memory, not aligned, or empty */
	RULE_MAP_OVERLAP,  /* two maps of a partition overlap in guest-physical space */
	RULE_MAP_RIGHTS,   /* no read right (EPT: write without read is a misconfiguration), unknown bits,
	                      * write and execute on a shared memory, or more than read on one that the core writes */
	RULE_MAP_ALIAS,    /* the same bytes of a private memory are mapped twice */
	RULE_CPU_OWNER,    /* cpus[] and vcpus[] disagree, or a dedicated CPU has more than one vCPU */
	RULE_APIC_ID,      /* virtual APIC ID used twice, or above 254 */
	RULE_SEGMENT,      /* segment outside the payload or outside the maps */
	RULE_ENTRY,        /* entry address, stack, CR3 or GDT outside the maps, CR3 not aligned, GDT too short */
	RULE_CPUID,        /* cpuid index outside the array, or entries that do not agree with the index */
	RULE_CPUID_HIDDEN, /* a feature that must never be shown is shown (features.def, set 2) */
	RULE_MSR, /* MSR list unsorted or overlapping, unknown kind, or read and write kinds that do not go together */
	RULE_MSR_HOST,  /* an MSR that belongs to the host is passed through (10h and 3Bh write, 1Bh, 3Ah, 79h, 830h,
	                      * 82Fh, 833h to 836h write, 38Dh..., 480h to 4FFh, 0D90h...; see validate.c) */
	RULE_PORT,      /* port list unsorted or overlapping, unknown kind */
	RULE_PORT_HOST, /* a port that belongs to the host is passed through: its UART, CF8h to CFFh, B2h, CF9h, 92h, 20h/21h/A0h/A1h, debug port */
	RULE_ACTION,    /* an action that the error class does not allow */
	RULE_HYPERCALL, /* a right to a hypercall that does not exist, or to set_schedule where there are no schedules */
	RULE_CONSOLE,   /* console ports overlap or are out of range */
	RULE_HEALTH,    /* of the partition's health, `index`: enum health_fault */
	RULE_COMPANION, /* see check_companions(); or ports are a companion's, and there is none */
	/* Emulated device registers and interrupts (validate_io.c). */
	RULE_MMIO, /* a range is empty, not page-aligned, unsorted, or overlaps memory; of unknown kind; or an APIC's is not where that is */
	RULE_APIC, /* xAPIC mode, or an I/O APIC, for a partition with a vCPU on a dedicated CPU (index); or its page is missing */
	RULE_INTERRUPT, /* interrupt `index`: number or pin out of range, taken twice (other), or its owner has no I/O APIC */
	RULE_INTERRUPT_CPU, /* interrupt `index`: its owner's CPUs are more than one, or not that of interrupt `other` */
	/* PCI functions (validate_devices.c): `index` in config.devices. */
	RULE_DEVICE, /* partition, path or vectors out of range, out of order, `iommu` not said, or given twice (other) */
	RULE_DEVICE_GROUP, /* it and `other` belong to different partitions, and can reach each other */
	RULE_DEVICE_MAP, /* map `index` of a partition with device `other` lies where devices' writes are interrupts */
	/* How their partitions see them (validate_pci.c). */
	RULE_DEVICE_SLOT, /* slot out of range or taken twice (other), or its interrupt is missing or an edge */
	RULE_DEVICE_BAR, /* a BAR's size or place is impossible, or it overlaps memory, ports of others, or a BAR of `other` */
	RULE_DEVICE_DMA, /* devices may be not confined, but its owner does not see its memory where it is */
	/* Channels and doorbells (validate_ports.c). */
	RULE_CHANNEL,      /* channel `index`: kind, size, number of destinations or slots, or refresh out of range */
	RULE_CHANNEL_ENDS, /* its source or a destination does not exist, or it leads back to its source */
	RULE_CHANNEL_MEMORY, /* its slots or outbox are missing, too small, another one's (other), or mapped by the wrong ones */
	RULE_DOORBELL, /* doorbell `index`: its receiver, vector, word or bit is not there, or another one's (other) */
	RULE_DOORBELL_CHANNEL, /* doorbell `index` rings with channel `other`, but its receiver is no destination, or has two */
	/* CPU time (validate_time.c). need and have are microseconds, where not said otherwise. */
	RULE_DEDICATED, /* a vCPU on a dedicated CPU has a priority, a budget or a right to slack */
	RULE_SLOT,      /* a CPU's slots are not in order: by partition, then priority, then vCPU (partition and index:
	                      * the vCPU that stands too late) */
	RULE_GUARD,     /* the guard is 0 or above its limit, or an unknown thing is to be flushed */
	RULE_SCHEDULE,  /* schedules and scheduled CPUs disagree: each schedule has a frame for each scheduled CPU, and
	                      * for no other */
	RULE_FRAME,     /* a frame's length is out of its limits (have), or it has `need` windows, more than the limit
	                      * (have) */
	RULE_FRAME_DIFFERS, /* a frame's length, `have`, is not that of CPU `other` in the same schedule, `need` */
	RULE_WINDOW,        /* a window's length, `have`, is below the guard, `need` */
	RULE_WINDOW_FIT,    /* it ends, with the guard, at `need` in a frame of `have` */
	RULE_WINDOW_OVERLAP, /* it starts `have` after the end of window `other`, less than the guard (need), or before it */
	RULE_WINDOW_OWNER, /* its owner does not exist, or has no vCPU on this CPU */
	RULE_NO_TIME,      /* vCPU `index` has neither a window in any schedule nor a right to slack */
	RULE_BUDGET, /* vCPU `index`: budget or period out of limits, budget above the period or below the guard */
	RULE_EARLY,  /* vCPU `index` may open its window early, but has no budget for it */
	RULE_PERIOD, /* a budget's (vCPU `index`) or a rate's period (index CONFIG_NONE), `have`, neither divides the
	                      * frame, `need`, nor is a multiple of it */
	RULE_BUDGET_FIT, /* in one of its periods, vCPU `index` and those above it may use `need`, but the windows give
	                      * `have`; or vCPU `other` stands above it without a budget, and may use all */
	RULE_RATE,       /* no window of the partition starts in the period that begins at `have` */
	RULE_LAST
};

#define HEALTH_CALLS (0xffull << BH_PARTITION_STATUS) /* hypercalls that are there where CONFIG_HEALTH is not 0 */

/* What of a struct config_health is wrong. */
enum health_fault {
	HEALTH_MISSING, /* all partitions have one or none has */
	HEALTH_WATCHES, /* a partition that does not exist, or a companion; or it may control one that it does not watch */
	HEALTH_HEARTBEAT, /* out of range, or the right to the call disagrees */
	HEALTH_RESTARTS,  /* count or period out of range */
	HEALTH_STANDBY,   /* does not exist, is itself or a companion; or missing, for ACTION_FAILOVER */
	HEALTH_SCHEDULE,  /* does not exist; or missing, for ACTION_SCHEDULE */
	HEALTH_SEALS,     /* more than one vCPU, or the right to the call disagrees */
	HEALTH_HELD,      /* a companion, or not 0 or 1 */
	HEALTH_VECTOR,    /* below 32, of one that watches nobody, or there are more than EVENT_VECTORS_MAX */
	HEALTH_RIGHT,     /* nothing */
};

/* Where: indices that are meaningful for the rule, CONFIG_NONE otherwise. */
struct config_fault {
	enum config_rule rule;
	uint16_t partition; /* index */
	uint16_t index;     /* of the map, msr, port, segment, vcpu, memory, window ... in its list */
	uint16_t other;     /* the second party of an overlap */
	uint16_t schedule, cpu;
	uint64_t need, have;
};

/* Checks all tables. Returns RULE_OK, or the first broken rule with `fault` filled in. No side effects, bounded by
 * the counts; may be called by anyone at any time. */
enum config_rule config_validate(const struct config *c, struct config_fault *fault);

/* The part of it that is about CPUs and their time: validate_time.c. Partitions are sound. */
enum config_rule config_validate_time(const struct config *c, struct config_fault *fault);

/* The part of it that is about emulated registers and interrupts: validate_io.c. Partitions and their CPUs are sound. */
enum config_rule config_validate_io(const struct config *c, struct config_fault *fault);

/* The part of it that is about PCI functions: validate_devices.c. Partitions are sound. */
enum config_rule config_validate_devices(const struct config *c, struct config_fault *fault);

/* The part of it that is about how partitions see them: validate_pci.c. All others are done. */
enum config_rule config_validate_pci(const struct config *c, struct config_fault *fault);
/* The part of it that is about channels and doorbells: validate_ports.c. Memories, partitions, their maps and CPUs are sound. */
enum config_rule config_validate_ports(const struct config *c, struct config_fault *fault);
/* The part of it that is about health tables: validate_health.c. Partitions and schedules are sound. */
enum config_rule config_validate_health(const struct config *c, struct config_fault *fault);

/* A sentence for a rule, for people; never NULL. */
const char *config_rule_text(enum config_rule rule);

/* For the validator itself: note the place of a broken rule, and give the rule back. An index that says nothing: CONFIG_NONE. */
static inline enum config_rule config_fault_at(struct config_fault *fault, enum config_rule rule, unsigned partition,
                                               unsigned index, unsigned other)
{
	fault->rule = rule;
	fault->partition = (uint16_t)partition;
	fault->index = (uint16_t)index;
	fault->other = (uint16_t)other;
	return rule;
}

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration as the privileged part sees it: constant tables, written by
 * the host tool `tools/mkconfig` from a YAML file, compiled into loader and core.
 *
 * Everybody reads these tables, nobody writes them. config_validate() is compiled
 * into the host tool, the tests, the loader and the core: a table that it rejects never runs.
 *
 * No pointer leads out of the tables; counts stand beside the arrays they size.
 * Sizes and addresses are in bytes, unless a name says otherwise.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdint.h>

#define CONFIG_MAGIC 0x47464342u /* "BCFG" */
#define CONFIG_VERSION 1u

#define PAGE_SIZE 4096ull
#define LARGE_PAGE_SIZE (2ull << 20)

#define CONFIG_HPA_ANY UINT64_MAX /* placed by the loader's rule */
#define CONFIG_SHARED UINT16_MAX  /* owner of a memory that several partitions map */
#define CONFIG_CORE 0xfffeu       /* owner of a memory that the core writes: partitions may read it, no more */
#define CONFIG_CHANNEL 0xfffdu    /* owner of a channel's slots: likewise */
#define CONFIG_NONE UINT16_MAX
#define CORE_MEMORY_SIZE LARGE_PAGE_SIZE /* room for what one CPU's core sees of such memories */

/* Limits that the tables' field widths and the core's bounds rest on. */
#define CONFIG_MAX_CPUS 64u
#define CONFIG_MAX_PARTITIONS 64u
#define CONFIG_MAX_MAPS 32u
#define CONFIG_MAX_SEGMENTS 16u
#define CONFIG_NAME_MAX 23u /* characters in a partition or memory name */

/* Access rights of a mapping; the same bits as an EPT entry's (SDM Vol. 3C, 29.3.2). */
#define RIGHT_READ 1u
#define RIGHT_WRITE 2u
#define RIGHT_EXEC 4u
#define RIGHT_DEVICE 8u /* not in config_map: registers, uncacheable. Of a BAR, with read and write */

/*
 * A run of host memory. Private to one partition, declared shared, or written by the core (CONFIG_CORE): then it has one part
 * for each CPU, in the order of their indices, and each CPU has its own part, and no other, at CORE_MEMORY_BASE + core_at.
 * The core has all of the memories of channels and doorbells there, on the CPUs of those that use them.
 */
struct config_memory {
	const char *name;
	uint64_t size;       /* multiple of PAGE_SIZE */
	uint64_t hpa;        /* fixed host-physical address, or CONFIG_HPA_ANY */
	uint64_t align;      /* power of two, PAGE_SIZE at least: where the loader may place it */
	uint16_t owner;      /* index of the owning partition, CONFIG_SHARED, CONFIG_CORE, or CONFIG_CHANNEL */
	uint8_t core_rights; /* RIGHT_*, of the core on core_cpus */
	uint32_t core_at;
	uint64_t core_cpus; /* bit n: CPU n has all of it there; 0: no memory of a channel or doorbells */
};

/* Where a partition sees (a part of) a memory. */
struct config_map {
	uint16_t memory; /* index into config.memories */
	uint8_t rights;  /* RIGHT_* */
	uint64_t gpa;    /* guest-physical address, multiple of PAGE_SIZE */
	uint64_t offset; /* into the memory, multiple of PAGE_SIZE */
	uint64_t size;   /* multiple of PAGE_SIZE, not 0 */
};

/* A part of the payload file and where it is copied before the first entry. */
struct config_segment {
	uint64_t offset; /* into the payload file */
	uint64_t size;
	uint64_t gpa; /* lies wholly inside the partition's maps */
};

/* The file on the boot volume that holds a partition's initial memory contents. */
struct config_payload {
	const char *file; /* name in the volume's root directory, 8.3 not required */
	uint64_t size;    /* exact */
	uint8_t sha256[32];
};

/* State of a vCPU at its first instruction: 64-bit mode, flat segments
 * CS=10h, DS=ES=SS=18h, paging on, interrupts off. */
struct config_entry {
	uint64_t rip, rsp, rsi, rdi;
	uint64_t cr3;      /* guest-physical; the tables are part of the payload */
	uint64_t gdt_base; /* guest-physical and linear; part of the payload */
	uint16_t gdt_limit;
};

/*
 * One (leaf, sub-leaf) that the guest sees: (what the CPU says & mask) | set,
 * register order EAX, EBX, ECX, EDX. Everything not listed reads as zeros.
 * The core fills in, on top: the APIC ID (leaves 1 and 0Bh), OSXSAVE and OSPKE,
 * the size fields of leaf 0Dh, the TSC frequency (15h, 16h), and 40000000h upward as given.
 */
struct config_cpuid {
	uint32_t leaf, subleaf;
	uint32_t mask[4];
	uint32_t set[4];
};

/* Where a leaf's sub-leaves stand in config_partition.cpuid. count 0: absent.
 * any_subleaf: the leaf ignores ECX. */
struct config_cpuid_index {
	uint8_t first, count, any_subleaf;
};
#define CONFIG_CPUID_BASIC 0x20u   /* leaves 0 to 1Fh */
#define CONFIG_CPUID_EXTENDED 0x9u /* 80000000h to 80000008h */
#define CONFIG_CPUID_HYPER 0x2u    /* 40000000h, 40000001h */
#define CONFIG_CPUID_OWN 0x2u      /* 40000100h, 40000101h */

/* What an access to an MSR does. Unlisted MSRs: #GP(0) in the guest, counted. */
enum config_msr_kind {
	MSR_DENY,   /* #GP(0) */
	MSR_PASS,   /* straight to the hardware, no exit (bitmap bit clear) */
	MSR_VALUE,  /* reads `value`; a write is dropped */
	MSR_SHADOW, /* a per-vCPU word, first `value`; a write may change only bits of `mask`,
	              * and the hardware never sees it */
	MSR_REAL,   /* reads the hardware's value & mask | value; a write is dropped */
	/* handled by the core */
	MSR_APIC_BASE, /* 1Bh: reads as enabled x2APIC; a write that changes anything: #GP */
	MSR_APIC_ID,   /* 802h: virtual APIC ID */
	MSR_APIC_LDR,  /* 80Dh: from the virtual APIC ID */
	MSR_APIC_ICR,  /* 830h: filtered */
	MSR_APIC_SVR,  /* 80Fh: vector and enable bit pass, reserved bits #GP */
	MSR_XSS,       /* DA0h: checked against leaf 0Dh */
	MSR_KIND_COUNT
};

struct config_msr {
	uint32_t first, last; /* inclusive; sorted by `first`, no overlap */
	uint8_t read, write;  /* enum config_msr_kind; the two are equal from MSR_SHADOW on,
	                       * unless one is MSR_DENY */
	uint8_t shadow;       /* MSR_SHADOW: slot in the vCPU, CONFIG_MSR_SHADOWS of them;
	                       * a range takes last-first+1 slots from here */
	uint64_t value, mask;
};

/* What an access to an I/O port does. Unlisted ports: reads give all ones, writes vanish, counted. */
enum config_port_kind {
	PORT_NONE,      /* as if unlisted, but not counted as forbidden */
	PORT_PASS,      /* straight to the hardware */
	PORT_UART,      /* the emulated 16550A, eight ports */
	PORT_SLEEP,     /* ACPI sleep control register: bit 5 (SLP_EN) with type 5 stops the partition */
	PORT_RESET,     /* ACPI reset register: writing 6 is a reset request */
	PORT_COMPANION, /* the partition's companion answers */
	PORT_PCI,       /* CF8h, CFCh to CFFh: the configuration space of its devices (vmx/pciview.h) */
	PORT_KIND_COUNT
};

struct config_port {
	uint16_t first, last; /* inclusive; sorted, no overlap */
	uint8_t kind;
};

/* A run of guest-physical addresses with no memory behind: each access exits and is emulated. */
enum config_mmio_kind {
	MMIO_LAPIC,     /* the vCPU's own local APIC in xAPIC mode, one page at FEE00000h */
	MMIO_IOAPIC,    /* the partition's virtual I/O APIC, one page at FEC00000h */
	MMIO_COMPANION, /* the partition's companion answers */
	MMIO_KIND_COUNT
};

struct config_mmio {
	uint64_t gpa, size; /* multiples of PAGE_SIZE */
	uint8_t kind;       /* enum config_mmio_kind */
};
#define CONFIG_MAX_MMIO 8u
#define MMIO_LAPIC_BASE 0xfee00000ull
#define MMIO_IOAPIC_BASE 0xfec00000ull

#define IOAPIC_PINS 24u
#define CONFIG_MAX_COMPANION_PINS 4u /* as many interrupts one answer can bring */
#define UART_PIN 4u                  /* of the emulated 16550 where the partition has an I/O APIC: edge */

/*
 * An interrupt of the machine and who gets it: the virtual I/O APIC's pin of a partition. Its vector in the machine is
 * CONFIG_INTERRUPT_VECTOR + its index in the table, on the CPU of the partition's vCPU 0.
 */
struct config_interrupt {
	uint16_t partition;
	uint8_t irq; /* below 16: ISA interrupt, which the MADT may lead to another input; else global system interrupt */
	uint8_t pin;
	uint8_t level;      /* 1: level-triggered, else edge */
	uint8_t active_low; /* 1: active low, else high */
};
#define CONFIG_INTERRUPT_VECTOR 0x30u
#define CONFIG_MAX_INTERRUPTS 64u
#define CONFIG_MAX_IRQ 239u

/* The way to a PCI function: from a bus down, through bridges. */
#define CONFIG_PATH_MAX 8u
struct config_path {
	uint8_t bus, depth;
	uint8_t devfn[CONFIG_PATH_MAX]; /* device << 3 | function; all but the last of `depth` are bridges */
};

struct config_bar {
	uint64_t hpa, gpa,
		size; /* io: ports, gpa = hpa; else multiples of PAGE_SIZE. Size: a power of two; 0: hidden, or none */
	uint8_t io;
	uint16_t
		small; /* a BAR of so many bytes at the page's begin, which nothing else on the machine is in; 0: it has `size` bytes */
};

/*
 * A PCI function of segment 0 that a partition has, whole. Its vectors' entries in the interrupt remapping table begin at first_vector.
 * The partition sees it as the only function of device `slot` on its own bus 0, with the BARs that are listed and no others
 * (vmx/pciview.h).
 */
#define CONFIG_BARS 6u
struct config_device {
	struct config_path path;
	uint16_t partition;
	uint16_t first_vector, vectors;
	uint16_t vendor, device; /* what must be found there; vendor 0: anything */
	uint8_t slot;            /* 1 to DEVICE_SLOTS, each once in a partition */
	uint8_t reset_required;  /* 1: blocked if it knows no generic reset */
	uint8_t interrupt;       /* 1: its INTA is pin DEVICE_PIN(slot) of the partition's virtual I/O APIC */
	struct config_bar bars[CONFIG_BARS];
};
#define DEVICE_SLOTS 8u
#define DEVICE_PIN(slot) (15u + (slot)) /* config/acpi/dsdt.asl: _PRT */
#define CONFIG_MAX_DEVICES 64u
#define CONFIG_IRTES \
	256u /* entries of the interrupt remapping table: config.interrupts first, then the devices' vectors */

/* What to do on a machine where devices cannot be confined. IOMMU_NONE: nothing about devices is looked at. */
enum config_iommu { IOMMU_NONE, IOMMU_ABSENT_OK, IOMMU_REQUIRE };
/*
 * A channel between ports, as ARINC 653 (part 1, 2.3.5) has them. The source writes a message into its outbox, a memory of its own,
 * and the core copies it into a slot: memory that the destinations map, with no more right than to read it. hypercall/ports.h.
 */
enum config_channel_kind {
	CHANNEL_SAMPLING, /* the last message, for one or more */
	CHANNEL_QUEUING,  /* every message, for one */
	CHANNEL_KIND_COUNT
};

struct config_channel {
	uint64_t destinations;  /* bit n: partition n */
	uint64_t doorbells;     /* bit n: doorbell n rings with each message */
	uint32_t refresh;       /* of a sampling channel: microseconds for which a message is valid; 0: for ever */
	uint16_t source;        /* partition */
	uint16_t size;          /* of a message at most, bytes */
	uint16_t slots, outbox; /* indices into config.memories */
	uint16_t slot_count;    /* sampling: 2 more than destinations; queuing: 1 more than can wait */
	uint8_t kind;           /* enum config_channel_kind */
};
#define CONFIG_MAX_CHANNELS 64u
#define CONFIG_MAX_READERS 8u /* destinations of a channel */
#define CONFIG_MAX_SLOTS_IN_CHANNEL 1024u
#define CONFIG_MAX_MESSAGE 1024u /* what W leaves room to copy; for more there are shared memories */

/* A bit in the receiver's word, and an interrupt when it becomes set. */
struct config_doorbell {
	uint64_t sources;   /* bit n: partition n may ring it */
	uint16_t partition; /* the receiver, or the partition whose companion that is */
	uint16_t vcpu;      /* of it: which gets the interrupt; 0 for a companion */
	uint16_t memory;    /* of the receiver, that begins with the word of its doorbells */
	uint8_t vector;     /* 32 to 255; 0: the companion is called */
	uint8_t bit;        /* in the word, each once */
};
#define CONFIG_MAX_DOORBELLS 64u

/* Errors a guest can cause, each with one action. */
enum error_class {
	ERROR_TRIPLE_FAULT, /* IGNORE and INJECT not possible */
	ERROR_MEMORY,       /* EPT violation or misconfiguration: INJECT is #GP(0) */
	ERROR_MSR,          /* forbidden MSR access: INJECT is #GP(0) */
	ERROR_PORT,         /* forbidden port access: IGNORE, or INJECT #GP(0) */
	ERROR_INSTRUCTION,  /* forbidden instruction (VMX, SMX, ...): INJECT is #UD */
	ERROR_INTERRUPT,    /* forbidden interrupt command: IGNORE drops it, INJECT #GP(0) */
	ERROR_EXIT,         /* an exit the core has no handler for: STOP */
	ERROR_PAYLOAD,      /* digest differs: STOP only */
	ERROR_COMPANION,    /* its companion crashed, did not answer in time, or answered nonsense: STOP */
	ERROR_OVERRUN,      /* it has used up a vCPU's budget and would go on: IGNORE */
	ERROR_SILENCE,      /* no heartbeat in time: IGNORE */
	ERROR_APPLICATION,  /* the guest itself says that something is wrong: IGNORE */
	ERROR_SEAL,         /* access that the guest has given up by a seal: INJECT is #GP(0) */
	ERROR_WINDOW,       /* a window of its has begun so late that it was cut, or not at all: IGNORE */
	ERROR_CLASS_COUNT
};

/* Those before ACTION_RECORD and from ACTION_STOP on are there in every configuration, the others where CONFIG_HEALTH is not 0. */
enum error_action {
	ACTION_IGNORE,
	ACTION_INJECT,
	ACTION_RECORD,   /* as ignored, and shown to those who watch the partition */
	ACTION_MONITOR,  /* call those who watch it */
	ACTION_SCHEDULE, /* switch to health.schedule */
	ACTION_RESTART,  /* within its limit; beyond, the partition has failed */
	ACTION_FAILOVER, /* the partition has failed, health.standby starts */
	ACTION_STOP,
	ACTION_HALT_MACHINE,
	ACTION_COUNT
};

struct config_vcpu {
	uint16_t cpu;     /* index into the machine's CPUs, MADT order, boot CPU first */
	uint16_t apic_id; /* virtual x2APIC ID, unique in the partition */
	uint16_t slot;    /* index in config_cpu.slots; 0 on a dedicated CPU */
	/* On a scheduled CPU: see sched/sched.h. Times in microseconds. */
	uint8_t priority, background;
	uint8_t early; /* its window opens early for an interrupt; needs a budget */
	uint32_t budget, period;
};

/* Where CONFIG_HEALTH is not 0: a partition's life beside that of the others (docs/health.md). */
#define RESTARTS_MAX 16u
#define HEARTBEAT_MAX_US 10000000u
#define EVENT_VECTORS_MAX 8 /* partitions with health.vector: W has room to interrupt so many at once */
struct config_health {
	uint64_t watches, controls; /* a bit a partition: whose state it may see; whom it may stop, start and reset */
	uint32_t heartbeat;         /* microseconds from one sign of life to the next at most; 0: none is due */
	uint32_t restart_period_ms; /* at most `restarts` by ACTION_RESTART in any such time */
	uint16_t restarts;          /* 1 to RESTARTS_MAX, or 0: no limit */
	uint16_t standby, schedule; /* for ACTION_FAILOVER and ACTION_SCHEDULE; CONFIG_NONE */
	uint8_t held;               /* 1: loaded at the start, and not started */
	uint8_t seals;              /* 1: its memory is in 4 KiB pages, whose rights it may give up */
	uint8_t vector;             /* 32 to 255: for its vCPU 0 when a bit of its BH_EVENTS becomes set; 0: none */
};

/* Partition flags. */
#define PARTITION_CPL3_HYPERCALLS 1u /* hypercalls from guest user mode are allowed */
#define PARTITION_COMPANION 2u       /* no vCPU of its own: it answers for the devices of the partition that names it */

struct config_partition {
	const char *name;
	uint32_t flags;
	uint64_t hypercalls;  /* bit n: hypercall number n is allowed */
	uint32_t rate_period; /* microseconds; a window of it starts in each such period. 0: it asks for no rate */
	struct config_payload payload;
	struct config_entry entry;
	const struct config_vcpu *vcpus;
	const struct config_map *maps;
	const struct config_segment *segments;
	const struct config_cpuid *cpuid;
	const struct config_msr *msrs;
	const struct config_port *ports;
	const struct config_mmio *mmio;     /* sorted, no overlap */
	const struct config_health *health; /* 0 where CONFIG_HEALTH is 0 */
	uint16_t vcpu_count, map_count, segment_count, cpuid_count, msr_count, port_count;
	uint16_t companion;       /* index of its companion; 0: none, since number 0 never is one */
	uint32_t answer_limit_us; /* of a companion: so long it may take for an answer, of its own running time */
	uint32_t companion_pins;  /* a bit a pin of its I/O APIC that its companion drives */
	struct config_cpuid_index basic[CONFIG_CPUID_BASIC];
	struct config_cpuid_index extended[CONFIG_CPUID_EXTENDED];
	struct config_cpuid_index hyper[CONFIG_CPUID_HYPER];
	struct config_cpuid_index own[CONFIG_CPUID_OWN];
	uint8_t action[ERROR_CLASS_COUNT]; /* enum error_action */
	uint8_t mmio_count;
	uint8_t ioapic; /* number of its virtual I/O APIC, from 1 on; 0: it has none */
	uint8_t xapic;  /* 1: its local APICs begin in xAPIC mode */
};

/* A vCPU that lives on a CPU. */
struct config_slot {
	uint16_t partition, vcpu;
};

/* What a CPU does: parked (no slots), dedicated to the vCPU of its one slot, or scheduled. */
struct config_cpu {
	const struct config_slot *slots; /* in order of partition, then priority, then vCPU */
	uint16_t slot_count;
	uint8_t scheduled; /* 1: every schedule has a frame for it */
};

/* The time plan of a scheduled CPU in one schedule. Microseconds. */
struct config_window {
	uint32_t start, length; /* from the frame's begin; sorted, no overlap, inside the frame */
	uint16_t partition;
};

struct config_frame {
	uint32_t length; /* 0: the CPU is not scheduled */
	uint16_t window_count;
	const struct config_window *windows;
};

/*
 * A schedule: an operating mode (start-up, normal, degraded). The machine begins with number 0. All its frames have one
 * length, so that each frame boundary is one of all CPUs, where they can change schedules together.
 */
struct config_schedule {
	const char *name;
	const struct config_frame *frames; /* cpu_count of them */
};
#define CONFIG_MAX_WINDOWS 256u /* in a frame */
#define CONFIG_MAX_SCHEDULES 8u
#define CONFIG_MAX_SLOTS 48u /* vCPUs on a CPU: as many as its block of the core's memory has room for (core/cpu.h) */
#define CONFIG_ANSWER_LIMIT_MAX_US 1000000u
#define CONFIG_GUARD_MAX_US 1000u
#define CONFIG_FRAME_MIN_US 100u
#define CONFIG_FRAME_MAX_US 10000000u

/* What is flushed when the vCPU of another partition follows on a CPU. */
#define FLUSH_L1D 1u
#define FLUSH_BUFFERS 2u           /* VERW */
#define FLUSH_BRANCH_PREDICTORS 4u /* IBPB */
#define FLUSH_RETURN_STACK 8u      /* RSB stuffing */
#define FLUSH_ALL 15u

/* The self-check (core/selfcheck.h). Without any of these bits only what fails is told. */
#define SELF_CHECK_REFUSE 1u /* a line that fails refuses the start */
#define SELF_CHECK_HALT 2u   /* a difference later stops the machine */
#define SELF_CHECK_STEP_MIN_US 100u
#define SELF_CHECK_TIME_MAX_US 10000000u

/* What to do where large executable EPT pages let a guest machine-check the CPU (iTLB multihit). */
enum config_itlb { ITLB_SMALL_PAGES, ITLB_ACCEPT, ITLB_REFUSE };

/* What stops the boot if it is not there; else it is said aloud, and the boot goes on. */
#define TRUST_TPM 1u
#define TRUST_EXTEND 2u /* a component cannot be measured */
#define TRUST_SECURE_BOOT 4u
#define TRUST_TXT 8u

struct config {
	uint32_t magic, version;
	const char *name;
	const struct config_cpu *cpus;
	const struct config_memory *memories;
	const struct config_partition *partitions;
	const struct config_schedule *schedules;
	const struct config_interrupt *interrupts;
	const struct config_device *devices; /* in the order of their partitions */
	const struct config_channel *channels;
	const struct config_doorbell *doorbells;
	uint16_t interrupt_count, device_count, channel_count, doorbell_count;
	uint16_t cpu_count, memory_count, partition_count, schedule_count;
	uint32_t
		guard; /* microseconds kept free after each window: G = W + S, the most by which the next may start late */
	uint16_t uart_port;          /* base of the 16550 that carries the consoles; 0: none */
	uint16_t debug_port;         /* a byte port that gets a copy of all console text (0xe9); 0: none */
	uint8_t itlb_multihit;       /* enum config_itlb */
	uint8_t flush;               /* FLUSH_*: at a switch between partitions */
	uint8_t iommu;               /* enum config_iommu */
	uint8_t trust_refuse;        /* TRUST_*; only with CONFIG_TRUST */
	uint8_t self_check;          /* SELF_CHECK_* */
	uint32_t self_check_us;      /* from step to step on a CPU that is shared; 0: at the start only */
	uint32_t self_check_kick_us; /* dedicated CPUs are interrupted for theirs that often; 0: never */
};

extern const struct config config;

#endif

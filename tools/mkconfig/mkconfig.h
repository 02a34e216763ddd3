// SPDX-License-Identifier: Apache-2.0
/*
 * mkconfig: from a YAML file and the guests' files to constant tables and payload images.
 *
 *   document  the YAML file's text, and on which line each key and value stands
 *   input     the file as structures, checked against the schema (libcyaml)
 *   schedule  who runs on which CPU, and when
 *   plan      struct config and everything beside it, built in memory: the very tables that are later printed as C
 *   output    config.c, config_sizes.h, images, allow lists, the plan as text and SVG
 *
 * Any error ends the program through fail() before the first byte of output is written.
 */
#ifndef MKCONFIG_H
#define MKCONFIG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../config/config.h"
#include "../../config/validate.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define GUEST_LIMIT GIB(64) /* every CPU with VT-x has at least 36 address bits */
#define SECOND 1000000u     /* in microseconds, as all times of the tables */

/* Of the board's memory: for the firmware's runtime, the loader and its copies of small things, and the core. */
#define BOARD_RESERVE MIB(64)

#define CORE_MEMORIES_MAX 3u /* trace, audit, counters */

/* Print "error: FILE:LINE: ..." and exit with status 1. */
_Noreturn void fail(unsigned line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *allocate(size_t size);                                               /* zeroed, never NULL, lives until exit */
void *grow(void *list, size_t count, size_t size);                         /* room for one more element than count */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2))); /* allocated */
const char *size_text(uint64_t bytes);                                     /* "256 MiB"; allocated */
const char *time_text(uint64_t us);                                        /* "250 us", "6.5 ms"; allocated */

/* document.c */
struct blob {
	uint8_t *bytes;
	size_t size;
};
struct blob read_file(unsigned line, const char *path, size_t limit); /* followed by a zero byte */
struct blob document_load(const char *path); /* reads and checks form; positions can be asked from then on */
/* The line of the deepest part of the path that the file has. */
unsigned line_of(const char *path, ...) __attribute__((format(printf, 1, 2))); /* "partitions/%u/memory" */
bool document_has(const char *path);
unsigned line_of_key_after(const char *key, unsigned line, unsigned column);
/* Partition number `partition` stands in the file as the companion of `master`. */
void document_alias(unsigned partition, unsigned master);
extern const char *document_path;

/* input.c: the YAML file, every scalar as text. NULL: not given. */
struct in_linux {
	const char *kernel, *initrd, *cmdline;
};
struct in_boot {
	struct in_linux *linux;
	const char *kit;
};
struct in_features {
	const char **hide, **show;
	unsigned hide_count, show_count;
};
struct in_port {
	const char *ports, *as;
};
struct in_msr {
	const char *msrs, *read, *write, *value, *mask;
};
struct in_map {
	const char *memory, *at, *rights, *offset, *size;
};
struct in_interrupt {
	const char *irq, *pin, *trigger, *polarity;
};
struct in_bar {
	const char *bar, *at, *size, *as, *gpa, *page;
};
struct in_device {
	const char *function, *vectors, *id, *slot, *irq, *trigger, *polarity, *reset;
	struct in_bar *bars;
	unsigned bars_count;
};
struct in_function {
	const char *function, *group, *rmrr;
};
struct in_mmio {
	const char *at, *size;
};
struct in_companion {
	const char *kit, *memory, *answer_within;
	const char **ports, **pins, **hypercalls;
	struct in_mmio *mmio;
	struct in_map *maps;
	unsigned ports_count, pins_count, hypercalls_count, mmio_count, maps_count;
};
struct in_errors {
	const char *action[ERROR_CLASS_COUNT];
};
struct in_partition {
	const char *name, *memory, *base, *hypercalls_from_user, *background, *early, *rate, *set_schedule;
	const char **cpus, **hypercalls, **priority, **budget;
	struct in_boot *boot;
	struct in_features *features;
	struct in_port *ports;
	struct in_msr *msrs;
	struct in_map *maps;
	struct in_interrupt *interrupts;
	struct in_device *devices;
	const char *apic, *ioapic, *identity;
	unsigned interrupts_count, devices_count;
	struct in_errors *on_error;
	struct in_companion *companion;
	const char **watches, **controls;
	const char *heartbeat, *restarts, *start, *standby, *failure_schedule, *seals, *event_vector; /* health.c */
	unsigned watches_count, controls_count;
	unsigned master; /* of a companion's own entry, which input_load() appends; its cpus_count is 0 */
	unsigned cpus_count, hypercalls_count, ports_count, msrs_count, maps_count, priority_count, budget_count;
};
struct in_window {
	const char *partition, *start, *length, *every;
};
struct in_frame {
	const char *cpu, *frame;
	struct in_window *windows;
	unsigned windows_count;
};
struct in_schedule {
	const char *name;
	struct in_frame *cpus;
	unsigned cpus_count;
};
struct in_shared {
	const char *name, *size, *base;
};
struct in_board {
	const char *file, *cpus, *memory; /* file: where the other keys were, and are now taken from */
	struct in_function *pci;
	unsigned pci_count;
};
struct in_console {
	const char *uart, *debug_port;
};
struct in_trust {
	const char *no_tpm, *extend_fails, *no_secure_boot, *no_txt;
};
struct in_trace {
	const char *entries;
};
struct in_audit {
	const char *entries, *rate, *base;
};
struct in_channel {
	const char *name, *kind, *from, *size, *depth, *refresh;
	const char **to;
	unsigned to_count;
};
struct in_doorbell {
	const char *name, *to, *vector, *vcpu, *channel;
	const char **from;
	unsigned from_count;
};
struct in_flow {
	const char *from, *to, *only_through;
};
struct in_self_check {
	const char *at_start, *on_difference, *every, *interrupt_dedicated;
};
struct in_file {
	const char *name, *itlb_multihit, *guard, *panic, *counters, *iommu;
	const char **flush;
	struct in_board *board;
	struct in_console *console;
	struct in_trace *trace;
	struct in_self_check *self_check;
	struct in_audit *audit;
	struct in_trust *trust;
	struct in_schedule *schedules;
	struct in_shared *shared;
	struct in_channel *channels;
	struct in_doorbell *doorbells;
	struct in_flow *flows;
	struct in_partition *partitions;
	unsigned channels_count, doorbells_count, flows_count;
	unsigned flush_count, schedules_count, shared_count, partitions_count;
};
struct in_file *input_load(const char *path, const char *root); /* root: where a board file is, NULL: here */
extern const char *const error_names[ERROR_CLASS_COUNT];        /* as in the file, and in enum order */

/* value.c: text to numbers, or fail() with the line. `what` begins the message. */
uint64_t parse_number(unsigned line, const char *what, const char *string, uint64_t min, uint64_t max);
uint64_t parse_size(unsigned line, const char *what, const char *string, uint64_t min, uint64_t max);
uint32_t parse_time(unsigned line, const char *what, const char *string, uint32_t min, uint32_t max);
uint32_t parse_rate(unsigned line, const char *what, const char *string); /* its period */
bool parse_truth(unsigned line, const char *what, const char *string);    /* false where it is not given */
void parse_range(unsigned line, const char *what, const char *string, uint64_t max, uint32_t *first, uint32_t *last);
unsigned parse_name(unsigned line, const char *what, const char *string, const char *const *names, unsigned count);

/* A partition's initial memory: the payload file, and where its parts go. */
struct image {
	uint8_t *bytes;
	uint64_t size;
	struct config_segment segments[CONFIG_MAX_SEGMENTS];
	uint16_t segment_count;
	struct config_entry entry;
};
void image_add(struct image *image, unsigned line, uint64_t gpa, const void *bytes, uint64_t size);
/* A GDT with the selectors of struct config_entry. */
#define GDT_ENTRIES 4u
extern const uint64_t flat_gdt[GDT_ENTRIES];
/* Identity page tables, 2 MiB pages, supervisor, over `ranges`; the first page is the PML4, at address `base`. */
struct range {
	uint64_t start, size;
};
struct blob identity_tables(uint64_t base, const struct range *ranges, unsigned count);

/* A partition as the tool knows it beside its constant table. */
struct plan_partition {
	const struct in_partition *in;
	struct config_vcpu *vcpus;
	struct config_map *maps;
	struct config_cpuid *cpuid;
	struct config_msr *msrs;
	struct config_port *ports;
	struct config_mmio mmio[CONFIG_MAX_MMIO];
	struct config_health health;
	unsigned *msr_origin, *port_origin; /* index in the file's list, or ORIGIN_DEFAULT */
	bool *feature_shown;                /* index: row of features.def */
	uint64_t memory_size;
	uint64_t memory_end; /* guest-physical: behind its own memory */
	unsigned own_maps;   /* first in its list: one, or two with `identity` */
	struct image image;
	uint32_t ept_pages; /* worst case */
	uint32_t dma_pages; /* of its devices' tables, likewise */
};
#define ORIGIN_DEFAULT UINT32_MAX
#define ORIGIN_DEVICE 0x10000u

/* A frame of a schedule, beside its constant table: where in the file it and its windows stand. */
struct plan_frame {
	struct config_window *windows;
	unsigned *origin; /* of a window: index in the file's list */
	unsigned index;   /* in the file's list of the schedule's CPUs */
	bool given;
};

struct plan {
	struct config config;
	struct config_partition *partitions; /* config.partitions, writable */
	struct config_memory *memories;
	struct config_cpu *cpus;
	struct config_interrupt *interrupts;
	unsigned *
		interrupt_origin; /* of an interrupt: index in its partition's list, or ORIGIN_DEVICE + that of a device */
	struct config_device *devices;
	unsigned *device_origin; /* of a device: index in its partition's list */
	struct config_channel *channels;
	struct config_doorbell *doorbells;
	struct config_slot **slots;      /* cpus[].slots, writable */
	struct config_frame **frames;    /* schedules[].frames, writable */
	struct plan_frame **frame_extra; /* [schedule][cpu] */
	struct plan_partition *extra;    /* same index as partitions */
	const struct in_file *in;
	uint64_t board_memory;
	bool self_check;
	unsigned trace_entries, trace_memory; /* of each CPU, 0: no trace; index of the memory that holds them */
	unsigned audit_entries, audit_memory,
		audit_rate; /* likewise; records a second that a partition may cause on a CPU */
	bool panic_reset;
	bool counters;
	uint32_t counters_at;
	uint32_t core_used; /* of CORE_MEMORY_SIZE */
};

struct options {
	const char *file, *out, *root, *dsdt, *svg, *dot;
};

/* plan.c */
void plan_build(struct plan *plan, const struct in_file *in); /* all but the payloads */
void plan_check(struct plan *plan);                           /* the validator, then the page-table proof */

/* schedule.c: who runs on which CPU, and when */
void schedules_open(struct plan *plan); /* which CPUs are scheduled: before the partitions */
void vcpus_build(struct plan *plan, unsigned partition);
void schedules_build(struct plan *plan); /* frames and windows: after the partitions */
unsigned time_fault_line(const struct plan *plan, const struct config_fault *f);
const char *time_fault_detail(const struct plan *plan, const struct config_fault *f);
extern const char *const flush_names[];

/* rights.c, cpuid.c: a partition's lists */
void rights_build(const struct plan *plan, unsigned partition);
const char *msr_name(uint32_t first, uint32_t last); /* NULL: not known */
void cpuid_build(const struct plan *plan, unsigned partition);
bool feature_shown(const struct plan_partition *x, const char *name);
struct feature {
	const char *name;
	uint32_t leaf, subleaf;
	uint8_t reg, bit;
	uint8_t set;
};
extern const struct feature features[];
extern const unsigned feature_count;

/* devices.c: a partition's APICs, and the machine's interrupts for it */
void devices_build(struct plan *plan, unsigned partition);
unsigned device_fault_line(const struct plan *plan, const struct config_fault *f);
const char *device_fault_detail(const struct plan *plan, const struct config_fault *f);
const char *apics_text(const struct config_partition *p);                 /* "xAPIC, I/O APIC" */
const char *interrupts_text(const struct plan *plan, unsigned partition); /* "IRQ 3 to pin 3, edge" */

void interrupt_add(struct plan *plan, unsigned line, struct config_interrupt x, unsigned origin);
/* Trigger and polarity, given or by default; `path`: of what the keys stand in. */
void interrupt_wiring(struct config_interrupt *x, const char *path, const char *trigger, const char *polarity);

/* pci.c: PCI functions of partitions */
void pci_build(struct plan *plan);   /* before the partitions, whose ports and interrupts come with them */
void pci_vectors(struct plan *plan); /* after them */
bool pci_has_interrupts(const struct in_partition *in);
unsigned pci_fault_line(const struct plan *plan, const struct config_fault *f);
const char *pci_fault_detail(const struct plan *plan, const struct config_fault *f);
const char *pci_text(const struct plan *plan, unsigned partition); /* "0000:00:1f.2 in slot 1, 1 vectors" */
void emit_pci(FILE *out, const struct plan *plan);
void emit_pci_members(FILE *out, const struct config *c);
void emit_pci_sizes(FILE *out, const struct plan *plan);

/* trust.c: what must be there for a measured launch */
void trust_build(struct plan *plan);
void emit_trust(FILE *out, const struct plan *plan);
void emit_trust_sizes(FILE *out, const struct plan *plan);

/* health.c: a partition's life beside that of the others; after all partitions' rights and the schedules */
void health_build(struct plan *plan);
bool has_health(const struct config *c); /* any of them asks for something of it */
/* By value of config_fault.index, for RULE_HEALTH: the key, and what is wrong with it. */
extern const char *const health_keys[], *const health_causes[];

/* prove.c */
void prove(struct plan *plan);

/* ports.c: channels and doorbells, with their memories, maps and rights; all that is of the partitions' own is there */
unsigned ports_memories(const struct in_file *in); /* how many they need at most */
void ports_build(struct plan *plan);
unsigned ports_fault_line(const struct plan *plan, const struct config_fault *f);
const char *ports_fault_detail(const struct plan *plan, const struct config_fault *f);
void emit_ports_tables(FILE *out, const struct plan *plan);
void emit_ports_sizes(FILE *out, const struct plan *plan);
struct config_memory *plan_memory_add(struct plan *plan, const char *name, uint64_t size, uint16_t owner);
unsigned find_partition(const struct plan *plan, unsigned line, const char *what, const char *name);
struct kit_info;
void ports_kit_info(struct kit_info *info, const struct plan *plan, unsigned partition);

/* flow.c: who can tell whom something, and the proof of `flows` */
void flows_check(const struct plan *plan);
void emit_flows(FILE *out, const struct plan *plan);      /* part of the plan */
void emit_flow_graph(FILE *out, const struct plan *plan); /* for graphviz */

/* linux.c, kit.c, acpi.c: payloads */
void linux_image(const struct plan *plan, unsigned partition, const struct options *options);
void kit_image(const struct plan *plan, unsigned partition, const struct options *options);
struct blob acpi_tables(uint64_t gpa, uint64_t limit, const struct config_partition *p, const struct blob *dsdt);
const char *root_path(const struct options *options, const char *path);
const char *dsdt_path(const struct options *options, const struct config_partition *p);

/* emit.c, report.c, picture.c, timeline.c: output */
void emit_config(FILE *out, const struct plan *plan);
void emit_sizes(FILE *out, const struct plan *plan);
void emit_allow(FILE *out, const struct plan *plan);
void emit_plan(FILE *out, const struct plan *plan);
void emit_time(FILE *out, const struct plan *plan); /* part of the plan */
void emit_svg(FILE *out, const struct plan *plan);
extern const char *const kind_names[MSR_KIND_COUNT];
extern const char *const port_names[PORT_KIND_COUNT];
extern const char *const action_names[ACTION_COUNT];
extern const char *const hypercall_names[];
extern const unsigned hypercall_name_count;
const char *slots_text(const struct plan *plan, const struct config_cpu *c); /* "linux vCPU 0, loop vCPU 0" */
const char *rights_text(unsigned rights);                                    /* "rwx", "r--" */
const char *range_text(uint32_t first, uint32_t last);                       /* "0x3f8-0x3ff" */
const char *boot_text(const struct plan_partition *x);                       /* "Linux payload/vmlinuz" */
const char *hypercalls_text(const struct config_partition *p);               /* "version, console" */
const char *ports_text(const struct config_partition *p);                    /* "0x3f8-0x3ff uart, ..." */
const char *actions_text(const struct config_partition *p, unsigned first, unsigned end); /* of errors [first, end) */
const char *place_text(const struct config_memory *m); /* "at 0x1000000" or how it is placed */
/* Numbers with a direct right on one of its CPUs; else: answered. */
unsigned count_msrs(const struct plan *plan, const struct config_partition *p, bool passed);

#endif

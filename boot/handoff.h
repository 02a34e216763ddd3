// SPDX-License-Identifier: Apache-2.0
/*
 * What the loader leaves to the core. The only header that both include.
 *
 * The core is linked at a fixed virtual address and embedded in the loader as
 * a flat image (text, rodata, data) that begins with struct core_header. The loader
 * - allocates one physically contiguous run, below 4 GiB, of core_header.total_size bytes,
 *   4 KiB aligned, zeroes it and copies the flat image to its start;
 * - allocates two 4 KiB pages below 1 MiB (the trampoline: first page for the APs' real-mode start,
 *   filled by the core; second page for the loader's own last instructions);
 * - allocates each config_memory and loads each payload file into memory of its own;
 * - builds, in the core's page-table section, one address space per CPU and a transition one;
 * - leaves boot services, switches to the transition address space in the trampoline's second
 *   page and jumps to core_header.entry with RDI = virtual address of struct handoff
 *   (which lies in the core's own run, section `handoff`), RSP undefined, IF = 0.
 *
 * The core's virtual addresses (all in one 1 GiB, PML4 entry 511, PDPT entry 510):
 *   CORE_BASE    the run, section by section, offset = physical offset in the run
 *   PERCPU_BASE  this CPU's own block, piece by piece with unmapped guard pages between
 *   CORE_MEMORY_BASE  this CPU's parts of the memories that the core writes for partitions to read
 *   WINDOW_BASE  two PDEs, absent at first, through which this CPU looks at other memory
 */
#ifndef BOOT_HANDOFF_H
#define BOOT_HANDOFF_H

#include <stdint.h>

#include "boot/trust.h"

#define CORE_BASE 0xffffffff80000000ull
#define PERCPU_BASE 0xffffffff90000000ull
#define CORE_MEMORY_BASE (PERCPU_BASE + (2ull << 20))
#define WINDOW_BASE 0xffffffffa0000000ull
#define WINDOW_SIZE (4ull << 20)

#define CORE_MAGIC 0x45524f434b4c5542ull    /* "BULKCORE" */
#define HANDOFF_MAGIC 0x46464f444e414842ull /* "BHANDOFF" */
#define HANDOFF_VERSION 1u

/* Pages of one CPU's tables: PML4, PDPT, PD, PT for CORE_BASE, PT for PERCPU_BASE, and PT for CORE_MEMORY_BASE if there is
 * such memory. The PD is page 2: the core changes nothing in these tables but the two window PDEs. */
#define CPU_TABLE_PAGES (5u + (CONFIG_CORE_MEMORIES > 0))
/* The transition space: CPU 0's tables at entry 511, the two trampoline pages one to one (read, execute). */
#define TRANSITION_TABLE_PAGES 4u /* PML4, PDPT, PD, PT */

/* A part of the core's run. Mapped at CORE_BASE + start in every CPU's space,
 * with SECTION_BOOT_CPU only in CPU 0's, with rights 0 nowhere. */
struct core_section {
	uint32_t start, size; /* bytes from CORE_BASE; multiples of 4 KiB */
	uint32_t rights;      /* RIGHT_* of config.h; never WRITE and EXEC together */
	uint32_t flags;
};
#define SECTION_BOOT_CPU 1u

enum core_section_id {
	SECTION_TEXT,   /* R X */
	SECTION_RODATA, /* R, begins with nothing of note; the header is in SECTION_TEXT's first bytes */
	SECTION_DATA,   /* R W, initialised and zeroed data shared by all CPUs, handoff included */
	SECTION_EPT,    /* R W, boot CPU only: second-level page tables */
	SECTION_TABLES, /* not mapped at CORE_BASE but for the window PD pages, see below */
	SECTION_PERCPU, /* not mapped at CORE_BASE: cpu_count blocks of percpu_stride bytes */
	SECTION_COUNT
};

/* A piece of a CPU's block: pages at PERCPU_BASE + va, physical = block + offset, read and write. */
struct percpu_piece {
	uint32_t va, offset, size;
};
#define PERCPU_PIECES 8u

struct core_header {
	uint64_t magic;
	uint32_t version; /* HANDOFF_VERSION */
	uint32_t header_size;
	uint64_t entry;      /* virtual */
	uint64_t total_size; /* of the run */
	uint64_t image_size; /* bytes of the flat image that are copied */
	uint64_t handoff;    /* virtual address of the struct handoff to fill */
	struct core_section section[SECTION_COUNT];
	uint32_t cpu_count;
	uint32_t percpu_stride;
	struct percpu_piece piece[PERCPU_PIECES]; /* size 0: unused */
	/* In SECTION_TABLES: TRANSITION_TABLE_PAGES, then CPU_TABLE_PAGES for each CPU.
	 * In each CPU's space, its own PD (third page) is mapped read-write at PERCPU_BASE + window_pd_va
	 * so that it can set its window. */
	uint32_t window_pd_va;
	/* The configuration's tables inside the image, from CORE_BASE: measured apart from what is before and behind. */
	uint32_t config_start, config_size;
};

struct handoff_memory {
	uint64_t hpa, size;
};

/* Sizes come from the configuration (config_sizes.h). */
#ifndef CONFIG_MEMORIES
#define CONFIG_MEMORIES 1
#define CONFIG_CORE_MEMORIES 0
#define CONFIG_TRUST 0
#define CONFIG_PARTITIONS 1
#define CONFIG_CPUS 1
#endif

struct handoff {
	uint64_t magic; /* HANDOFF_MAGIC */
	uint32_t version;
	uint32_t size; /* of this structure */
	uint64_t core_hpa;
	uint64_t core_size;
	uint64_t rsdp;       /* physical address of the ACPI root pointer (2.0 preferred) */
	uint64_t trampoline; /* physical address of the two pages, below 1 MiB */
	uint64_t transition_cr3;
	uint64_t cpu_cr3[CONFIG_CPUS];
	struct handoff_memory memory[CONFIG_MEMORIES];    /* index as config.memories */
	struct handoff_memory payload[CONFIG_PARTITIONS]; /* index as config.partitions */
	uint64_t tsc_loader_start;                        /* TSC at the loader's first instructions */
	uint64_t tsc_handoff;                             /* TSC just before the jump */
	uint64_t ticks_files;                             /* of the time between: reading the payload files */
	uint64_t ram_bytes;                               /* usable memory the firmware reported */
	uint64_t firmware_memory_end;                     /* end of the highest range in the firmware's map */
#if CONFIG_TRUST
	struct handoff_trust trust;
#endif
};

#endif

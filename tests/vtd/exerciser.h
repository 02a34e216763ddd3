// SPDX-License-Identifier: Apache-2.0
/* What the exerciser's files share. */
#ifndef TESTS_VTD_EXERCISER_H
#define TESTS_VTD_EXERCISER_H

#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "core/window.h"
#include "core/x86.h"
#include "vtd/format.h"
#include "vtd/pci.h"
#include "vtd/vtd.h"

#define NOBODY UINT16_MAX
#define UNKNOWN UINT16_MAX /* source of interrupts that are plain writes, in QEMU */

/* edu (QEMU, docs/specs/edu.rst) */
#define EDU_RAISE 0x60u
#define EDU_ACKNOWLEDGE 0x64u

struct edu {
	uint16_t source, partition;
	uint64_t registers;
	uint64_t scratch; /* an address at which it may write */
};

/* Count what is not as it must be, and say the first few. */
void check(int good, const char *what, const struct edu *e, uint64_t address, uint64_t more);

volatile uint32_t *edu_register(const struct edu *e, uint32_t offset);

/* Begin a DMA of eight bytes, which takes 100 ms; or wait for its end, too. */
void start_dma(const struct edu *e, uint64_t address, int to_memory);
void dma(const struct edu *e, uint64_t address, int to_memory);

/* Give the device's buffer a value, by DMA from memory that it may read. */
void fill(const struct edu *e, uint64_t value);

/* Memory at a host-physical address. */
uint64_t peek(uint64_t hpa);
void poke(uint64_t hpa, uint64_t value);

/* What must come of an access: where it goes, or the fault's reason. */
struct expectation {
	uint64_t hpa;
	uint8_t reason;
};
struct expectation expect(const struct edu *e, uint64_t address, int write);

/* Exactly one record, of this access; or none, with reason 0. */
void check_fault(const struct edu *e, uint64_t address, int write, uint8_t reason);

/* The function at the end of a path, ready for DMA, and whose it is; 0 if it is not there, or another one. */
int find_device(struct edu *e, const struct config_path *path, uint32_t id);

/* Do it for each address at and around all maps and memories, in the core, in registers, and beyond the width. */
void for_addresses(void (*what)(const struct edu *, uint64_t), const struct edu *e);

/* others.c: two devices that fetch and store by rings of descriptors: NVMe and a network controller. Returns the combinations tried. */
uint32_t try_others(void);

/* events.c: interrupts of devices and of the I/O APIC; how the core tells of faults. */
void try_interrupts(const struct edu *e, const struct edu *other);
void try_ioapic(void);
void try_telling(const struct edu *e);

#endif

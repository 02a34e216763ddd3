// SPDX-License-Identifier: Apache-2.0
/*
 * What the loader's files share. The loader calls boot services directly (no gnu-efi library), runs on one CPU, and
 * ends in one of two ways: in the core, or by stop(), back in the firmware with a message.
 */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include <efi.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/handoff.h"
#include "config/config.h"

extern EFI_HANDLE loader_image;
extern EFI_SYSTEM_TABLE *system_table;
extern EFI_BOOT_SERVICES *boot_services;

static inline uint64_t tsc_now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* message.c: a line `boot: ...` on the firmware's console and the debug port, stop() also on the UART.
 * Formats: %s, %lu, %lx. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void stop(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *status_name(EFI_STATUS status); /* of an EFI error */
void console_gone(void);                    /* boot services are no longer to be called */

/* memory.c. The placement rule: the highest address, a multiple of `align`, so that the whole lies in one run
 * of the firmware's free write-back memory between `floor` and `end`. What does not fit stops the boot. */
#define PLACE_FLOOR (1ull << 20)  /* below it only the trampoline */
#define PLACE_640K (640ull << 10) /* end of low memory */
#define PLACE_128M (128ull << 20)
#define PLACE_4G (1ull << 32)
#define PLACE_ANYWHERE (1ull << 46) /* the configuration's own limit */
struct place {
	const char *kind, *name; /* for messages */
	uint64_t size;           /* taken in whole pages */
	uint64_t align, floor, end;
	EFI_MEMORY_TYPE type;
};
void memory_init(void);
uint64_t memory_place(const struct place *p);
uint64_t memory_place_at(const struct place *p, uint64_t hpa);
void leave_boot_services(struct handoff *h); /* fills in ram_bytes and firmware_memory_end */

/* volume.c: load each partition's payload file from the volume that the loader came from. */
void load_payloads(struct handoff_memory payload[CONFIG_PARTITIONS]);

/* An entry of the firmware's configuration table, 0: it has none. */
uint64_t find_table(const EFI_GUID *guid);

#if CONFIG_TRUST
/* measure.c: measure what has been placed and loaded; fills in h->trust. The last to need boot services but leave_boot_services(). */
void trust_measure(const struct core_header *core, struct handoff *h);

/* txt.c: fills in what a late launch lacks; stops if the configuration wants one. After the TPM's banks are known. */
void txt_detect(struct handoff_trust *t);
#endif

/* spaces.c: build the transition space and each CPU's in the core's run. */
void build_spaces(const struct core_header *core, struct handoff *h);

/* enter.asm: position independent, copied before it runs. Never returns. */
typedef void enter_core(uint64_t cr3, uint64_t entry, uint64_t handoff);
extern const uint8_t enter_start[], enter_end[];

/* core_image.asm */
extern const uint8_t core_image_start[], core_image_end[];

#endif

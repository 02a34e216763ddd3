// SPDX-License-Identifier: Apache-2.0
/*
 * The guest kit: what a bare-metal application of one vCPU needs, and no more. Write main(), link with the kit, name
 * the ELF file in the configuration: docs/guest-kit.md.
 *
 * The same ELF file runs as a partition of Bulkhead and, wrapped into a .efi, on the bare machine; kit_on_bulkhead()
 * says which. No heap, no floating point; interrupts are off until the application turns them on.
 */
#ifndef GUEST_KIT_KIT_H
#define GUEST_KIT_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "info.h"

/* The application. What it returns (0 to 255) is the code its partition stops with. */
int main(const struct kit_info *info);

/* Ends the partition. The start code calls it with main's result. */
_Noreturn void kit_stop(int code);

bool kit_on_bulkhead(void);

/* The counter BH_COUNTER_* of hypercall/abi.h; negative if there is none: no right to it, or no hypervisor. */
int64_t kit_counter(uint64_t counter);

/* TSC frequency; 0 if nothing tells it. */
uint64_t kit_tsc_khz(void);

/* TSC at the application's first instruction. */
extern uint64_t kit_start_tsc;

/* Console. kit_write_some() makes at most one call and returns the bytes taken, possibly 0; kit_write() tries again
 * for a bounded time and then drops the rest. printf knows %d %u %x %c %s %%, l and ll, zero padding and width. */
size_t kit_write_some(const char *text, size_t size);
void kit_write(const char *text, size_t size);
int kit_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int kit_snprintf(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Ascending, in place: n squared steps at most. */
void kit_sort(uint64_t *values, size_t n);

/* Interrupts and exceptions. A handler runs with interrupts off; the kit signals end of interrupt after it. */
struct kit_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};
typedef void kit_handler(struct kit_frame *frame);
void kit_handle(uint8_t vector, kit_handler *handler);

/* How many interrupts came that nobody handles. */
extern uint64_t kit_stray_interrupts;

/* Runs function(argument). Returns -1, or the vector of the exception that ended it; kit_fault then says more.
 * Not to be nested. An exception outside prints the registers and stops the partition with code 128 + vector. */
struct kit_fault {
	uint64_t vector, error, rip, cr2;
};
extern struct kit_fault kit_fault;
int kit_try(void (*function)(void *), void *argument);

/* The local APIC's timer in TSC-deadline mode: one interrupt at `vector` when the TSC reaches the deadline. */
#define KIT_TIMER_VECTOR 0x40
void kit_timer_start(kit_handler *handler);
static inline void kit_timer_at(uint64_t tsc)
{
	wrmsr(0x6e0, tsc); /* IA32_TSC_DEADLINE */
}

/* x2APIC registers, SDM Vol. 3A, table 11-6. */
#define X2APIC_ID 0x802
#define X2APIC_TPR 0x808
#define X2APIC_EOI 0x80b
#define X2APIC_SVR 0x80f
#define X2APIC_ICR 0x830
#define X2APIC_LVT_TIMER 0x832
#define X2APIC_SELF_IPI 0x83f

/* Starts the partition's vCPU with that APIC ID, once, in function(), with interrupts off and a stack of 8 KiB; kit_try() and the
 * console are the first one's. */
void kit_start_second(uint32_t apic_id, void (*function)(void));

/* Descriptors the kit set up; GDT and TSS are there for an application that wants to go below CPL 0. */
#define KIT_CODE 0x10
#define KIT_DATA 0x18
#define KIT_USER_DATA 0x23
#define KIT_USER_CODE 0x2b
void kit_gate_ist1(uint8_t vector); /* a stack of its own, as #DF has */
extern uint8_t kit_ist1_top[];      /* and its end */

/* Maps the guest-physical page at a fixed linear address, which it returns: read, write, execute; also for user mode if
 * asked. The next call maps another. */
void *kit_window(uint64_t physical, bool user);

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif

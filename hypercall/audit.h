// SPDX-License-Identifier: Apache-2.0
/*
 * The audit: what happened that an assessor or an operator must know of, written by the core into the memory `audit`, for the partitions
 * that the configuration lets read it. One header for core, guest kit, Linux programs and tools. Little-endian; times are TSC ticks.
 *
 * The memory holds one part a CPU, `struct audit_ring`, part n `stride` bytes behind part 0. Only CPU n writes part n, and nobody but the
 * core can write at all. Record n, counted from 0 since the memory was new, stands at record[n % entries] and has sequence n + 1, until record
 * n + entries is written there. To read: take `head`, then each record below it that is not read yet; it is whole, and the one that was
 * looked for, if its sequence and its check are right. If not, it was overwritten: so many records are lost, and the sequence says how many. What the
 * limit on a partition has kept out is counted in `lost`, and recorded (AUDIT_LOST). A merged view is by time, then by CPU.
 *
 * The memory is kept over a warm reset if what it holds is sound. Sequences then go on; AUDIT_BOOT divides the boots, and with each the TSC
 * begins anew. Checks tell damage, not forgery: who had the machine between two boots could have written anything.
 */
#ifndef HYPERCALL_AUDIT_H
#define HYPERCALL_AUDIT_H

#include <stdint.h>

#define AUDIT_MAGIC 0x54445541u /* "AUDT" */
#define AUDIT_VERSION 1u
#define AUDIT_HEADER 4096u /* bytes before the records */
#define AUDIT_ENTRIES_MIN 64u
#define AUDIT_ENTRIES_MAX 16384u
#define AUDIT_CORE 0xffffu /* instead of a partition: the core itself */
#define AUDIT_TEXT 160u    /* of a panic */

enum audit_class { AUDIT_SECURITY = 1, AUDIT_SAFETY, AUDIT_USER };

/*
 * Events: number, constant, name, what a and b are. From AUDIT_LIMITED on they are such that a guest can cause as many as it likes: of those, each
 * partition has so many a second on each CPU as the configuration says; those of AUDIT_NOTE are counted apart from the others.
 */
#define AUDIT_EVENTS(E)                                                                        \
	E(1, BOOT, "boot", "generation", "TSC kHz")                                            \
	E(2, START, "start", "vCPU", "starts before")                                          \
	E(3, STOP, "stop", "vCPU", "exits")                                                    \
	E(4, FAIL, "fail", "error class", "detail")                                            \
	E(5, RESTART, "restart", "times", "error class")                                       \
	E(6, DIGEST, "wrong digest", "-", "payload bytes")                                     \
	E(7, SCHEDULE, "schedule", "in force", "before")                                       \
	E(8, OVERRUN, "window overrun", "windows cut or lost", "SMIs")                         \
	E(9, PANIC, "panic", "exception", "rip")                                               \
	E(10, LOST, "lost", "kept out by the limit, 0: begins", "error classes of them, bits") \
	E(11, END, "end by its own call", "code", "-")                                         \
	E(12, DEVICE, "device", "source ID << 8 | reason", "address or interrupt")             \
	E(13, SELF_CHECK, "self-check", "failed lines", "their numbers, bits")                 \
	E(14, DIFFERS, "self-check difference", "number", "found")                             \
	E(15, BLOCKED, "device blocked", "source ID", "0: no reset, 1: did not come back")     \
	E(32, FORBIDDEN, "forbidden", "error class", "detail")                                 \
	E(33, REFUSED, "refused call", "number", "rip")                                        \
	E(34, NOTE, "note", "-", "-")
#define AUDIT_LIMITED 32u
#define AUDIT_NO_CLASS 63u /* bit of AUDIT_LOST for what is no error class: calls and notes */

enum audit_event {
#define AUDIT_EVENT(number, constant, name, a, b) AUDIT_##constant = number,
	AUDIT_EVENTS(AUDIT_EVENT)
#undef AUDIT_EVENT
};

static inline const char *audit_event_name(uint8_t event)
{
	switch (event) {
#define AUDIT_NAME(number, constant, name, a, b) \
	case number:                             \
		return name;
		AUDIT_EVENTS(AUDIT_NAME)
#undef AUDIT_NAME
	default:
		return "unknown";
	}
}

struct audit_record {
	uint64_t tsc;
	uint32_t sequence;  /* low half of its number, plus one */
	uint16_t partition; /* index in the configuration, or AUDIT_CORE */
	uint8_t class;      /* enum audit_class */
	uint8_t event;      /* enum audit_event */
	uint64_t b;
	uint32_t a;
	uint32_t check; /* audit_check() of the bytes before */
};

/* A panic of the core on this CPU, and of which boot. */
struct audit_panic {
	uint64_t tsc, rip, rsp, rflags, error, cr0, cr2, cr3, cr4;
	uint64_t exit_reason, exit_qualification, guest_rip; /* of the VMCS that was current; ~0: none was */
	uint32_t generation;
	uint32_t vector; /* of the exception, or AUDIT_NO_VECTOR: the core gave up itself */
	char text[AUDIT_TEXT];
	uint32_t unused;
	uint32_t check; /* of the bytes before */
};
#define AUDIT_NO_VECTOR 0xffffffffu

/* Stays as it is while the machine runs. */
struct audit_header {
	uint32_t magic, version;
	uint32_t cpu;        /* index in the configuration */
	uint32_t entries;    /* power of two */
	uint32_t stride;     /* bytes to the next CPU's part */
	uint32_t generation; /* boots since the memory was new, this one counted */
	uint64_t identity;   /* of the partitions that the numbers stand for */
	uint64_t tsc_khz;
	uint32_t cpus;  /* parts that there are */
	uint32_t check; /* of the bytes before */
};

struct audit_ring {
	struct audit_header header;
	uint64_t head; /* records written since the memory was new */
	uint64_t lost; /* records that the limit has kept out since then */
	struct audit_panic panic;
	uint8_t unused2[AUDIT_HEADER - sizeof(struct audit_header) - 16 - sizeof(struct audit_panic)];
	struct audit_record record[]; /* `entries` of them */
};

_Static_assert(sizeof(struct audit_record) == 32 && sizeof(struct audit_ring) == AUDIT_HEADER, "layout of the audit");

/* Of `words` times four bytes: finds a changed, torn or misplaced word. Not a secret. */
static inline uint32_t audit_check(const volatile void *from, uint32_t words)
{
	const volatile uint32_t *word = (const volatile uint32_t *)from;
	uint32_t sum = AUDIT_MAGIC;

	for (uint32_t i = 0; i < words; i++)
		sum = (sum << 5 | sum >> 27) * 0x9e3779b1u ^ word[i];
	return sum;
}
#define AUDIT_WORDS(type) ((uint32_t)(__builtin_offsetof(type, check) / 4))

#endif

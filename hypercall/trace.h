// SPDX-License-Identifier: Apache-2.0
/*
 * The trace: what each CPU writes into the memory `trace`, for the partitions that the configuration lets read it. One
 * header for core, guest kit and tools. Little-endian; all times are TSC ticks.
 *
 * The memory holds one part a CPU, `struct trace_ring`, part n `stride` bytes behind part 0. Only CPU n writes part n, and
 * nobody but the core can write at all. Record r, counted from the start, is at record[r % entries] until record
 * r + entries is written. To read: take `head`, copy records below it, take `head` again as `now`: those from
 * now - entries + 1 on are whole. The one before is perhaps being overwritten, those before that are lost.
 */
#ifndef HYPERCALL_TRACE_H
#define HYPERCALL_TRACE_H

#include <stdint.h>

#define TRACE_MAGIC 0x43415254u /* "TRAC" */
#define TRACE_VERSION 1u
#define TRACE_HEADER 4096u /* bytes before the records */
#define TRACE_ENTRIES_MIN 64u
#define TRACE_ENTRIES_MAX 65536u
#define TRACE_BUCKETS 64u
#define TRACE_REASONS 80u    /* basic exit reasons; what is beyond counts for the last */
#define TRACE_NOBODY 0xffffu /* instead of a vCPU: the CPU idles */

/* Whom a record is about: partition and vCPU by their indices in the configuration. */
#define TRACE_WHO(partition, vcpu) ((uint16_t)((partition) << 8 | (vcpu)))

/* Types of record. Records are in the order of their times. */
enum trace_type {
	TRACE_SWITCH = 1, /* `who` runs from now on */
	TRACE_EXIT,       /* `who` had left its guest `argument` ticks ago, by basic exit reason `detail` */
	TRACE_WINDOW, /* window `detail` of the frame had its plan `argument` ticks ago and begins; `who`: vCPU 0 of its owner */
	TRACE_INTERRUPT, /* vector `detail` is given to `who` */
	TRACE_WAKE,      /* `who` can run again */
	TRACE_WAIT,      /* `who` waits, in HLT. argument: ticks until its timer, 2^32 - 1: none */
	TRACE_CUT, /* `detail` windows were cut or lost. argument: SMIs since the CPU's reset, 2^32 - 1: it does not count them */
	TRACE_SCHEDULE, /* schedule `detail` is in force from the frame on that has begun; before, `argument` was */
	TRACE_TYPES
};

struct trace_record {
	uint64_t tsc; /* when it was written */
	uint8_t type; /* enum trace_type */
	uint8_t detail;
	uint16_t who;
	uint32_t argument;
};

/*
 * How late windows began: from the plan to the entry of the guest that the decision chose, so that the switch is in it.
 * bucket[n] counts those of n << shift to (n + 1 << shift) - 1 ticks, the last one also all beyond; the guard falls into the upper half.
 */
struct trace_late {
	uint64_t windows, min, max, sum;
	uint32_t shift, pad;
	uint32_t bucket[TRACE_BUCKETS];
};

/* Exits with one basic reason: how many, and the ticks in root mode, until the next entry of whatever guest. */
struct trace_reason {
	uint64_t count, ticks;
	uint32_t max, pad;
};

struct trace_ring {
	uint32_t magic, version; /* magic is written last at the start: before, there is nothing to read */
	uint32_t cpu;            /* index in the configuration */
	uint32_t entries;        /* power of two */
	uint32_t stride;         /* bytes to the next CPU's part */
	uint32_t shared;         /* 1: a CPU with windows */
	uint64_t tsc_khz;
	uint64_t epoch; /* the first frame's begin; 0 on a dedicated CPU */
	uint64_t guard; /* ticks by which a window may begin late */
	uint64_t head;  /* records written since the start */
	/* The scheduler's own accounts, brought up to date when a window begins. */
	uint64_t idle, windows_cut, windows_lost, overrun_max;
	uint64_t schedule; /* in force */
	struct trace_late late;
	struct trace_reason reason[TRACE_REASONS];
	uint8_t unused[TRACE_HEADER - 24 - 9 * 8 - sizeof(struct trace_late) -
	               TRACE_REASONS * sizeof(struct trace_reason)];
	struct trace_record record[]; /* `entries` of them */
};

_Static_assert(sizeof(struct trace_record) == 16 && sizeof(struct trace_ring) == TRACE_HEADER, "layout of the trace");

#endif

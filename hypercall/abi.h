// SPDX-License-Identifier: Apache-2.0
/*
 * The hypercall ABI: one header for core, guest kit and tools. Usable from C and nasm-free assembly.
 *
 * VMCALL with the number in RAX and arguments in RDI, RSI, RDX, R10, R8, R9. The result is in
 * RAX: zero or positive, or one of the negative errors below. No other register changes.
 * A number that the partition has no right to, and one that does not exist, give the
 * same answer: BH_ENOCALL. From guest user mode (CPL 3) every call gives BH_EPERM unless the
 * configuration allows it. No call follows a guest pointer.
 */
#ifndef HYPERCALL_ABI_H
#define HYPERCALL_ABI_H

#define BH_ABI_VERSION 1

/* Errors, each with one meaning. */
#define BH_ENOCALL (-1) /* no such call, or no right to it */
#define BH_EPERM (-2)   /* caller's privilege level is not allowed to call */
#define BH_EINVAL (-3)  /* an argument is out of its range */
#define BH_EAGAIN (-4)  /* nothing there now, or no room now: try again later */

/* Calls. The configuration lists those a partition may make, by the name in the comment. */
#define BH_VERSION 0 /* version: returns BH_ABI_VERSION */
/* console: RDI = bytes (1 to 40), the bytes themselves in RSI, RDX, R10, R8, R9, low byte first. Returns bytes taken,
 * perhaps fewer than offered; BH_EAGAIN when the ring is full */
#define BH_CONSOLE_WRITE 1
#define BH_CONSOLE_READ 2 /* console: returns one byte of input, or BH_EAGAIN */
#define BH_COUNTER 3      /* counters: RDI = BH_COUNTER_*; value for the calling vCPU */
#define BH_STOP 4         /* stop: RDI = code 0 to 255 for the record; the partition ends, does not return */
/* set_schedule: RDI = number of a schedule (operating mode), in the order of the configuration. Returns 0: all scheduled CPUs
 * change to it at the same frame boundary, the next one that is at least 100 us ahead. BH_EINVAL: no such schedule. BH_EAGAIN: the last
 * change is not yet over on every CPU, or a CPU is still loading its partitions. From any vCPU of a partition that has
 * the right, on dedicated CPUs too. */
#define BH_SET_SCHEDULE 5
/* Calls about channels and doorbells: their numbers are those of the configuration, in its order, and all that are not the caller's to use
 * give BH_EINVAL. hypercall/ports.h says where messages are. */
/* port_send: RDI = channel, RSI = bytes (1 to the channel's size), which stand in its outbox. Returns 0. BH_EAGAIN: the queue is full,
 * or another vCPU of the partition is sending */
#define BH_PORT_SEND 6
/* port_receive: RDI = channel. Returns the number of a slot that holds a message and stays as it is until the caller's next call for the
 * channel; of a sampling channel, plus BH_PORT_VALID if the message is not older than the refresh period. BH_EAGAIN: there is none, or
 * another vCPU of the partition is receiving */
#define BH_PORT_RECEIVE 7
#define BH_PORT_VALID 0x10000
/* port_status: RDI = channel, RSI = BH_PORT_WAITING and so on; for source and destinations. Returns that */
#define BH_PORT_STATUS 8
#define BH_PORT_WAITING 0 /* messages in the queue that were not received; sampling: 1 once there is one */
#define BH_PORT_SENT 1    /* messages sent since the start */
#define BH_PORT_REFUSED 2 /* messages that were not, for the queue was full */
#define BH_PORT_SIZE 3    /* bytes of a message, at most */
#define BH_PORT_SLOTS 4
/* ring: RDI = doorbell. Sets its bit in the receiver's word and, if it was not set, interrupts the receiver. Returns 0 */
#define BH_RING 9
/* audit: RDI = a number below 2^32, RSI = any value: a record of the caller's in the audit (hypercall/audit.h, AUDIT_NOTE). Returns 0, or
 * BH_EAGAIN: so many as the configuration allows in a second are there already; that is counted and recorded, too. */
#define BH_AUDIT 24
/* 10 to 15 are reserved. */
#define BH_CALL_COUNT 25

/*
 * A partition's life (docs/health.md); where no partition is watched, restarted, held or sealed, these do not exist. RDI = number of a
 * partition, in the order of the configuration; BH_EINVAL: there is none such, or the caller has no right over it.
 */
/* watches: RSI = BH_STATUS_*; the word of that partition. Its parts belong together: they change at once */
#define BH_PARTITION_STATUS 16
/* controls: ask for it. Returns 0 at once; the state says when it is done. What makes no sense in the state it finds does nothing. */
#define BH_PARTITION_STOP 17  /* running or starting: to stopped */
#define BH_PARTITION_START 18 /* stopped or failed: to running, by cold start unless it is held and was never started */
#define BH_PARTITION_RESET 19 /* whatever it does: cold start */
#define BH_HEARTBEAT 20 /* heartbeat: a sign of life: the next is due within the configured time from now. Returns 0 */
#define BH_RAISE_ERROR \
	21 /* raise_error: RDI = code 0 to 255: error class `application` of the caller's own partition. Returns 0 where that goes on */
/* seals: RDI = guest-physical address of a page of the caller's own memory, RSI = number of pages, 1 to 16, that do not cross 2 MiB, RDX =
 * BH_SEAL_*: the access that is given up until the next cold start. Returns 0 */
#define BH_SEAL 22
/* watches: no arguments. A bit a partition: its error has called the monitors since the last call of this partition's, or it has failed */
#define BH_EVENTS 23

#define BH_STATUS_LIFE 0    /* state | reason << 8 | changes of state << 16 (16 bits) | restarts << 32 (31 bits) */
#define BH_STATUS_CHANGED 1 /* TSC at the last change of state */
#define BH_STATUS_ERROR 2   /* the last error that was not ignored: class | count of all << 8, or 0 */

#define BH_STATE_COLD_START 0
#define BH_STATE_RUNNING 1
#define BH_STATE_STOPPED 2
#define BH_STATE_FAILED 3
/* Why: below 32 the class of an error (config/config.h, enum error_class), else */
#define BH_REASON_START 32   /* the machine's start, or that of the partition by a monitor */
#define BH_REASON_CALL 33    /* it has stopped or reset itself */
#define BH_REASON_MONITOR 34 /* stopped or reset by a monitor */
#define BH_REASON_LOADED 35  /* memory and vCPUs are ready: it runs */
#define BH_REASON_PARK 36    /* failed: some of its vCPUs did not come to rest in 20 s */

#define BH_SEAL_WRITE 2
#define BH_SEAL_EXECUTE 4

/*
 * For companions only (docs/companions.md); to everybody else it does not exist. companion_wait answers the last request and waits for
 * the next one: RDI = the value that was read, or the vector; RSI = BH_COMPANION_INTR while the interrupt line is up, else 0; RDX = TSC
 * at which to be called though nothing is asked, or BH_COMPANION_NEVER. The first call answers nothing, but for lines and time.
 * Returns in RAX what is asked, and the port or the guest-physical address in RDI, the value that is written in RSI, the bytes in RDX
 * (1, 2 or 4; 8 in memory). Beside BH_COMPANION_INTR, RSI has the levels of the pins of the I/O APIC that the configuration gives it.
 */
#define BH_COMPANION_WAIT 63
#define BH_REQUEST_READ 1        /* IN: answer with the value */
#define BH_REQUEST_WRITE 2       /* OUT */
#define BH_REQUEST_TIMER 3       /* it is time */
#define BH_REQUEST_ACKNOWLEDGE 4 /* the CPU takes the interrupt (INTA): answer with the vector, 16 to 255 */
#define BH_REQUEST_MMIO_READ 5   /* a read of registers in memory: answer with the value */
#define BH_REQUEST_MMIO_WRITE 6
#define BH_COMPANION_INTR 1
#define BH_COMPANION_PIN(n) (0x100u << (n)) /* n: 0 to 23 */
#define BH_COMPANION_NEVER 0xffffffffffffffff

/* Counters of the calling vCPU. The call itself is counted before it is answered. */
#define BH_COUNTER_EXITS 0      /* all VM exits since the start */
#define BH_COUNTER_WORST 1      /* longest stay in root mode so far, TSC ticks */
#define BH_COUNTER_FORBIDDEN 2  /* forbidden accesses of all classes */
#define BH_COUNTER_TSC_KHZ 3    /* TSC frequency in kHz */
#define BH_COUNTER_START_TSC 4  /* TSC when the vCPU was first entered */
#define BH_COUNTER_LOADER_TSC 5 /* TSC at the first instructions of the loader */
#define BH_COUNTER_SCHEDULE 6   /* schedule in force on the calling CPU; on a dedicated one, that was asked for last */
/* Of a vCPU on a shared CPU; BH_EINVAL on a dedicated one. But for the first, they are the CPU's and show something of its other users. */
#define BH_COUNTER_USED 8          /* TSC ticks that this vCPU has run, its exits included */
#define BH_COUNTER_IDLE 9          /* ticks in which nobody ran; settled at the scheduler's last decision */
#define BH_COUNTER_WINDOWS 10      /* windows begun */
#define BH_COUNTER_WINDOWS_CUT 11  /* windows that began too late for their length */
#define BH_COUNTER_WINDOWS_LOST 12 /* windows that were over before they could begin */
#define BH_COUNTER_LATE_MAX 13     /* ticks from a window's plan to the decision that began it, at most */
#define BH_COUNTER_OVERRUN_MAX 14  /* ticks that a vCPU has run beyond its budget, at most */
#define BH_COUNTER_SMIS 15 /* system-management interrupts since the CPU's reset; BH_EINVAL if it does not count them */
#define BH_COUNTER_STAY_MAX \
	16 /* longest stay in root mode of any vCPU on this CPU, until another was decided for; TSC ticks */
#define BH_COUNTER_SWITCH_MAX 17 /* longest switch, from the decision to the next vCPU's entry, TSC ticks */
/* The memory `counters`: a page for each vCPU, whose word n is its counter n, and CPU by CPU so many pages as the CPU with the most vCPUs has of them, and one
 * more. Word 0 stays 0: exits are the sum of words 64 to 143. Those that are the scheduler's are as at its last decision after the vCPU has run, on a dedicated
 * CPU 0; the longest stay in root mode as at the exit before. Words 256 to 260 say whose it is, once BH_PAGE_MAGIC is there. */
#define BH_PAGE_MAGIC 256
#define BH_PAGE_MAGIC_VALUE 0x53524554434f4842
#define BH_PAGE_VERSION 257 /* BH_ABI_VERSION */
#define BH_PAGE_PARTITION 258
#define BH_PAGE_VCPU 259
#define BH_PAGE_CPU 260
#define BH_COUNTER_REASON 64 /* 64 + n: exits with basic reason n, n 0 to 79 */

/* CPUID leaf 40000100h: EBX, ECX, EDX = "Bulkhead    "; EAX = 40000101h.
 * Leaf 40000101h: EAX = BH_ABI_VERSION, EBX = 0. */
#define BH_CPUID_LEAF 0x40000100

#endif

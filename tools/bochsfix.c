/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mends known faults of a distribution's Bochs binary at start-up (LD_PRELOAD).
 *
 * Every entry of `mends` names one exported function of the emulator, a check
 * with known answers, and a right implementation. The check runs first; only a
 * function that answers wrongly is replaced (a jump is written over its first
 * bytes), and then the check runs again. What was found goes, one line each, to
 * the file named by BOCHSFIX_REPORT:
 *
 *     NAME right | mended | absent | wrong
 *     bochsfix done
 *
 * `absent`: the binary does not export the function, so it cannot be checked
 * here (the self-check that runs inside the machine still does). `wrong`: it
 * could not be mended; the process ends with code 97 before the machine starts.
 *
 * Mends of functions that cannot be called alone follow the table: `notifications`, `held_interrupts`, `commits`.
 *
 * With BOCHSFIX_TURNS set, every CPU of several runs one instruction a turn; see
 * `turns` below, and the report's line `turns on | absent`.
 *
 * With BOCHSFIX_POKE set, a test can change the machine's memory behind its back, as a fault of the hardware would: see `poke`.
 *
 * With BOCHSFIX_PARENT set to the runner's process id, the emulator is killed
 * when that process ends.
 *
 * Build: gcc -O2 -fPIC -shared -pthread -o bochsfix.so bochsfix.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_NOT_MENDED = 97, EXIT_NO_PARENT = 98 };

/* Bochs' 128-bit integer, cpu/cpu.h and bochs/config.h: low half first. */
struct bit128s {
	uint64_t lo;
	int64_t hi;
};

/*
 * long_idiv: signed 128 by 64 bit division, the inside of IDIV r/m64.
 * Fault: Debian's 3.1+dfsg-1 answers 3 for 1000000000 / 1000. It relies on
 * left shifts of negative numbers, which the compiler is free to break.
 */
typedef void idiv_fn(struct bit128s *quotient, int64_t *remainder, const struct bit128s *dividend, int64_t divisor);

static void idiv_right(struct bit128s *quotient, int64_t *remainder, const struct bit128s *dividend, int64_t divisor)
{
	unsigned __int128 n = ((unsigned __int128)(uint64_t)dividend->hi << 64) | dividend->lo;
	uint64_t d = (uint64_t)divisor;
	int negative_n = dividend->hi < 0;
	int negative_d = divisor < 0;

	if (negative_n)
		n = -n;
	if (negative_d)
		d = -d;

	unsigned __int128 q = n / d;
	uint64_t r = (uint64_t)(n % d);

	if (negative_n != negative_d)
		q = -q;
	if (negative_n)
		r = -r;
	quotient->lo = (uint64_t)q;
	quotient->hi = (int64_t)(uint64_t)(q >> 64);
	*remainder = (int64_t)r;
}

static int idiv_check(void *function)
{
	static const struct {
		struct bit128s dividend;
		int64_t divisor;
		struct bit128s quotient;
		int64_t remainder;
	} known[] = {
		{ { 1000000000u, 0 }, 1000, { 1000000, 0 }, 0 },
		{ { 1000000007u, 0 }, 1000, { 1000000, 0 }, 7 },
		{ { (uint64_t)-1000000007, -1 }, 1000, { (uint64_t)-1000000, -1 }, -7 },
		{ { 1000000007u, 0 }, -1000, { (uint64_t)-1000000, -1 }, 7 },
		{ { (uint64_t)-1000000007, -1 }, -1000, { 1000000, 0 }, -7 },
		{ { 0, 0 }, 5, { 0, 0 }, 0 },
		{ { 0, 1 }, 3, { 0x5555555555555555u, 0 }, 1 },
		{ { 0, 0x1000 }, 7, { 0x2492492492492492u, 0x249 }, 2 },
		{ { 1, INT64_MIN }, INT64_MIN, { UINT64_MAX, 0 }, INT64_MIN + 1 },
		{ { UINT64_MAX, INT64_MAX }, 1, { UINT64_MAX, INT64_MAX }, 0 },
	};
	idiv_fn *idiv = (idiv_fn *)function;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		struct bit128s q = { 0, 0 };
		int64_t r = 0;

		idiv(&q, &r, &known[i].dividend, known[i].divisor);
		if (q.lo != known[i].quotient.lo || q.hi != known[i].quotient.hi || r != known[i].remainder)
			return 0;
	}
	return 1;
}

/* The one list of mends. Drop an entry when Debian's binary is right. */
static const struct mend {
	const char *name;   /* for people */
	const char *symbol; /* as the emulator exports it */
	int (*check)(void *function);
	void *right;
} mends[] = {
	{ "idiv64", "_Z9long_idivP7Bit128sPlPKS_l", idiv_check, (void *)idiv_right },
};

/* Writes `jmp *0(%rip); .quad target` over the first 14 bytes of a function. */
static int redirect(void *function, void *target)
{
	uint8_t jump[14] = { 0xff, 0x25, 0, 0, 0, 0 };
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)function & -page;
	size_t length = (((uintptr_t)function + sizeof jump + page - 1) & -page) - first;

	memcpy(jump + 6, &target, sizeof target);
	if (mprotect((void *)first, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
		return 0;
	memcpy(function, jump, sizeof jump);
	return mprotect((void *)first, length, PROT_READ | PROT_EXEC) == 0;
}

/*
 * Turns of one instruction, for figures. Fault: `quantum` shall bound what a CPU
 * runs before the next has its turn, but BX_CPU_C::mergeTraces makes traces
 * longer than it, and a REP string instruction is one turn however long it
 * takes; the clock then jumps for the other CPUs. Mend: before each instruction
 * raise the flag with which the emulator's own debugger ends a trace after one
 * instruction or one iteration (BX_ASYNC_EVENT_STOP_TRACE, cpu/cpu.h). What
 * BX_CPU_C::cpu_run_trace reads first is that flag's word: its place is taken
 * from there.
 */
static uint8_t ***cpu_array; /* bx_cpu_array: pointers to the CPUs */
static uint32_t flag_offset;

static void end_trace(unsigned cpu, void *instruction)
{
	(void)instruction;
	*(uint32_t *)((*cpu_array)[cpu] + flag_offset) |= 1u << 31;
}

static const char *turns(void)
{
	static const uint8_t start[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec }; /* endbr64; sub $n, %rsp */
	static const uint8_t load[] = { 0x8b, 0x87 };                                /* mov flag_offset(%rdi), %eax */
	const uint8_t *run = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C13cpu_run_traceEv");
	void *before = dlsym(RTLD_DEFAULT, "_Z25bx_instr_before_executionjP15bxInstruction_c");

	cpu_array = dlsym(RTLD_DEFAULT, "bx_cpu_array");
	if (!run || !before || !cpu_array || memcmp(run, start, sizeof start) || memcmp(run + 8, load, sizeof load))
		return "absent";
	memcpy(&flag_offset, run + 10, sizeof flag_offset);
	return redirect(before, (void *)end_trace) ? "on" : "absent";
}

/*
 * A posted-interrupt notification that finds no request. Fault: VMX_Posted_Interrupt_Processing takes "none", -1, for
 * vector FFh and makes it RVI, so that the guest gets an interrupt that nobody sent and, if it takes it for a spurious one
 * and makes no EOI, none of vectors F0h to FFh ever after. SDM Vol. 3C, 30.6: RVI stays as it is. Mend: the function that
 * looks for the highest vector answers 0 to that caller. Where the enabled vectors (`ier`) stand is taken from its code.
 */
static uintptr_t posted;
static uint32_t enabled_offset;
#define POSTED_LENGTH 0x28d

static int highest_vector(const uint8_t *apic, const uint32_t *vectors)
{
	const uint32_t *enabled = (const uint32_t *)(apic + enabled_offset);

	for (int i = 7; i >= 0; i--)
		if (vectors[i] & enabled[i])
			return 32 * i + 31 - __builtin_clz(vectors[i] & enabled[i]);
	return (uintptr_t)__builtin_return_address(0) - posted < POSTED_LENGTH ? 0 : -1;
}

static const char *notifications(void)
{
	/* endbr64; mov $7, %eax; nop; mov (%rsi, %rax, 4), %edx; and enabled_offset(%rdi, %rax, 4), %edx */
	static const uint8_t start[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 7,    0,    0,    0,    0x0f, 0x1f,
		                         0x80, 0,    0,    0,    0,    0x8b, 0x14, 0x86, 0x23, 0x94, 0x87 };
	uint8_t *highest = dlsym(RTLD_DEFAULT, "_ZNK15bx_local_apic_c20highest_priority_intEPKj");

	posted = (uintptr_t)dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C31VMX_Posted_Interrupt_ProcessingEh");
	if (!posted || !highest || memcmp(highest, start, sizeof start))
		return "absent";
	memcpy(&enabled_offset, highest + sizeof start, sizeof enabled_offset);
	return redirect(highest, (void *)highest_vector) ? "mended" : "absent";
}

/*
 * An interrupt of the machine that comes while a virtual interrupt is held back (RFLAGS.IF = 0, say). Fault: handleAsyncEvent goes by the
 * events that are not masked, and rightly finds the former; HandleExtInterrupt then takes any virtual interrupt that is pending, masked
 * or not, so that the guest gets it with interrupts off, inside whatever it protected so. SDM Vol. 3C, 30.2.2. Mend: HandleExtInterrupt asks
 * for one that is pending and not masked. The two words' places are taken from its code and from handleAsyncEvent's.
 */
static uint32_t pending_offset, mask_offset;
static uintptr_t if_virtual, if_physical; /* where it goes on */
#define VIRTUAL_INTERRUPT 0x200u

__attribute__((used, noinline)) static uintptr_t held_back(const uint8_t *cpu)
{
	const uint32_t pending = *(const uint32_t *)(cpu + pending_offset),
		       mask = *(const uint32_t *)(cpu + mask_offset);

	return pending & ~mask & VIRTUAL_INTERRUPT ? if_virtual : if_physical;
}

/* In the place of a test and a jump, which change no register but RFLAGS. RBX is the CPU. RAX is free there: a call follows on both ways. */
__asm__(".text\nheld_back_stub:\n"
        "	push %rcx; push %rdx; push %rsi; push %rdi; push %r8; push %r9; push %r10; push %r11; push %rbp\n"
        "	mov %rsp, %rbp; and $-16, %rsp; mov %rbx, %rdi; call held_back; mov %rbp, %rsp\n"
        "	pop %rbp; pop %r11; pop %r10; pop %r9; pop %r8; pop %rdi; pop %rsi; pop %rdx; pop %rcx\n"
        "	add $8, %rsp; jmp *%rax\n"); /* not back to the call */
extern const char held_back_stub[] __attribute__((visibility("hidden")));

static const char *held_interrupts(void)
{
	uint8_t *p = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C18HandleExtInterruptEv");
	const uint8_t *q = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C16handleAsyncEventEv");
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint8_t call[12] = { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0 }; /* mov $stub, %rax; call *%rax */
	const uintptr_t stub = (uintptr_t)held_back_stub;
	int32_t distance;

	/* mov mask(%rbx), %eax; mov pending(%rbx), %edx; not %eax; and %edx, %eax */
	for (unsigned i = 0; q && i < 0x200 && !mask_offset; i++, q++)
		if (!memcmp(q, "\x8b\x83", 2) && !memcmp(q + 6, "\x8b\x93", 2) &&
		    !memcmp(q + 12, "\xf7\xd0\x21\xd0", 4)) {
			memcpy(&mask_offset, q + 2, 4);
			memcpy(&pending_offset, q + 8, 4);
		}
	/* testb $2, pending + 1(%rbx); jne if_virtual */
	for (unsigned i = 0; p && mask_offset && i < 0x80; i++, p++) {
		const uint32_t byte = pending_offset + 1;

		if (memcmp(p, "\xf6\x83", 2) || memcmp(p + 2, &byte, 4) || memcmp(p + 6, "\x02\x0f\x85", 3))
			continue;
		memcpy(&distance, p + 9, 4);
		if_physical = (uintptr_t)p + 13;
		if_virtual = if_physical + (uintptr_t)(intptr_t)distance;
		memcpy(call + 2, &stub, 8);
		const uintptr_t first = (uintptr_t)p & -page;
		const size_t length = (((uintptr_t)p + 13 + page - 1) & -page) - first;

		if (mprotect((void *)first, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
			break;
		memcpy(p, call, sizeof call);
		return mprotect((void *)first, length, PROT_READ | PROT_EXEC) == 0 ? "mended" : "absent";
	}
	return "absent";
}

/*
 * With several CPUs, an asynchronous VM exit (preemption timer, external interrupt) right behind the delivery of an
 * exception. Fault: the loop of a machine with one CPU makes RIP final (prev_rip = RIP, cpu_loop) when an exception comes
 * back by longjmp, that of a machine with several does not; the exit then takes RIP back to the instruction that
 * faulted, while CS, RSP and RFLAGS are the handler's. Mend: make it final at the longjmp. Where the three words stand is taken from
 * cpu_loop: mov rip(%rdx), %rax; movb $0, speculative(%rdx); mov %rax, prev_rip(%rdx).
 */
static uint32_t rip_offset, speculative_offset, prev_rip_offset; /* 0: unknown */
static const uint8_t *cpu_count;
__attribute__((noreturn)) static void (*real_longjmp)(void *, int);

static const char *commits(void)
{
	const uint8_t *p = dlsym(RTLD_DEFAULT, "_ZN8BX_CPU_C8cpu_loopEv");

	cpu_count = dlsym(RTLD_DEFAULT, "bx_cpu_count");
	cpu_array = dlsym(RTLD_DEFAULT, "bx_cpu_array");
	for (unsigned i = 0; p && cpu_count && cpu_array && i < 0x200; i++, p++)
		if (!memcmp(p, "\x48\x8b\x82", 3) && !memcmp(p + 7, "\xc6\x82", 2) &&
		    !memcmp(p + 14, "\x48\x89\x82", 3)) {
			memcpy(&speculative_offset, p + 9, 4);
			memcpy(&prev_rip_offset, p + 17, 4);
			memcpy(&rip_offset, p + 3, 4);
			return "mended";
		}
	return "absent";
}

/* Bochs is linked against this name of longjmp. All CPUs but the one that jumps are between instructions: it is right for them, too. */
__attribute__((noreturn)) void __longjmp_chk(void *buffer, int value);
void __longjmp_chk(void *buffer, int value)
{
	for (unsigned i = 0; rip_offset && *cpu_count > 1 && i < *cpu_count; i++) {
		uint8_t *cpu = (*cpu_array)[i];

		memcpy(cpu + prev_rip_offset, cpu + rip_offset, 8);
		cpu[speculative_offset] = 0;
	}
	real_longjmp(buffer, value);
}

/* An emulator must not outlive the runner that watches it, however that one ends. */
/*
 * The file named by BOCHSFIX_POKE holds, once it is there, an address and a byte, hexadecimal: the byte goes into the physical memory
 * there, by the function of the emulator's debugger, and the file goes away. From a thread, at a time that no one knows.
 */
static void *poke(void *path)
{
	void (*set)(uint64_t, unsigned, uint64_t);
	unsigned long address, byte;

	*(void **)&set = dlsym(RTLD_DEFAULT, "_Z22bx_dbg_setpmem_commandmjm");
	for (;; usleep(20000)) {
		FILE *f = fopen(path, "r");

		if (!f)
			continue;
		if (fscanf(f, "%lx %lx", &address, &byte) == 2 && set) {
			set(address, 1, byte);
			unlink(path);
		}
		fclose(f);
	}
	return NULL;
}

static void die_with_parent(void)
{
	const char *parent = getenv("BOCHSFIX_PARENT");

	if (!parent)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != (pid_t)atol(parent))
		_exit(EXIT_NO_PARENT);
}

__attribute__((constructor)) static void bochsfix(void)
{
	die_with_parent();

	const char *path = getenv("BOCHSFIX_REPORT");
	FILE *report = path ? fopen(path, "w") : NULL;
	int failed = 0;

	if (path && !report) {
		fprintf(stderr, "bochsfix: cannot write %s: %s\n", path, strerror(errno));
		_exit(EXIT_NOT_MENDED);
	}
	for (size_t i = 0; i < sizeof mends / sizeof mends[0]; i++) {
		const struct mend *m = &mends[i];
		void *function = dlsym(RTLD_DEFAULT, m->symbol);
		const char *state = "absent";

		if (function && m->check(function))
			state = "right";
		else if (function && redirect(function, m->right) && m->check(function))
			state = "mended";
		else if (function) {
			state = "wrong";
			failed = 1;
		}
		if (report)
			fprintf(report, "%s %s\n", m->name, state);
		if (failed)
			fprintf(stderr, "bochsfix: %s of this Bochs is wrong and cannot be mended (%s)\n", m->name,
			        strerror(errno));
	}
	const char *state = notifications();

	if (report)
		fprintf(report, "notifications %s\n", state);
	state = held_interrupts();
	if (report)
		fprintf(report, "held_interrupts %s\n", state);
	*(void **)&real_longjmp = dlsym(RTLD_NEXT, "__longjmp_chk");
	state = commits();
	if (report)
		fprintf(report, "commits %s\n", state);
	pthread_t thread;

	if (getenv("BOCHSFIX_POKE"))
		pthread_create(&thread, NULL, poke, getenv("BOCHSFIX_POKE"));
	if (getenv("BOCHSFIX_TURNS") && report)
		fprintf(report, "turns %s\n", turns());
	if (report) {
		fprintf(report, "bochsfix done\n");
		fclose(report);
	}
	if (failed)
		_exit(EXIT_NOT_MENDED);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Does a partition ever see what another one has left in the CPU's registers? All that a guest can read and that outlives
 * a switch: extended registers (x87, SSE, AVX, AVX-512, whatever XCR0 may hold here), XCR0, DR0 to DR7, CR2, CR8, and every
 * model-specific register that it may read and write. An instance whose name begins with `writer` fills them with a pattern of its own
 * and looks for that; others leave them as they find them and look for the values of a reset. Each looks without a pause.
 *
 *   LEAK <name> <what> is=<value> not=<value>        the first ones
 *   RESULT secrets name=<name> looks=<n> windows=<n> leaks=<n> xcr0=<hex> hidden=<n>
 *
 * hidden: of PKRU, CR4.PKE, XCR0's bits of it and of AMX, how many are refused: none of them may be had, so none is switched.
 */
#include "hostile/note.h"

#define AREA 4096u
#define LEGACY 416u /* of an XSAVE area: what is defined in the FXSAVE part */
#define ST_OFFSET 32u
#define ST_END 160u
#define HEADER 512u
#define EXTENDED 576u
#define MXCSR 24u
#define MXCSR_MASK 28u
#define LEAKS_SHOWN 8u
#define END_MS 1500u
#define EDGE_US 300u
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_PKE (1ull << 22)
#define XCR0_PKRU (1ull << 9)
#define XCR0_AMX (3ull << 17)
#define EFER_SCE 1ull
#define EFER_NXE (1ull << 11)

static uint8_t want[AREA] __attribute__((aligned(64))), have[AREA] __attribute__((aligned(64)));
static uint64_t leaks, tag;
static const char *name;

/* Registers that may hold any value of a form: `bits` of the pattern over `base`, which is the value after a reset. */
static struct msr {
	uint32_t number;
	const char *name;
	uint64_t base, bits, want;
	bool there;
} msrs[] = {
	{ .number = 0x48, .name = "SPEC_CTRL", .bits = 1 },
	{ .number = 0x174, .name = "SYSENTER_CS", .bits = 0xffff },
	{ .number = 0x175, .name = "SYSENTER_ESP", .bits = 0x7fffffffffff },
	{ .number = 0x176, .name = "SYSENTER_EIP", .bits = 0x7fffffffffff },
	{ .number = 0x277, .name = "PAT", .base = 0x0007040600070406, .bits = 0x0001000000010000 },
	{ .number = 0xda0, .name = "XSS" },
	{ .number = 0xc0000080, .name = "EFER", .base = 0x500, .bits = EFER_SCE | EFER_NXE },
	{ .number = 0xc0000081, .name = "STAR", .bits = 0xffffffffffffffff },
	{ .number = 0xc0000082, .name = "LSTAR", .bits = 0x7fffffffffff },
	{ .number = 0xc0000083, .name = "CSTAR", .bits = 0x7fffffffffff },
	{ .number = 0xc0000084, .name = "FMASK", .bits = 0xffffffff },
	{ .number = 0xc0000100, .name = "FS_BASE", .bits = 0x7fffffffffff },
	{ .number = 0xc0000101, .name = "GS_BASE", .bits = 0x7fffffffffff },
	{ .number = 0xc0000102, .name = "KERNEL_GS_BASE", .bits = 0x7fffffffffff },
	{ .number = 0xc0000103, .name = "TSC_AUX", .bits = 0xffffffff },
};
#define MSRS (unsigned)(sizeof msrs / sizeof msrs[0])

static struct registers {
	uint64_t dr0, dr1, dr2, dr3, dr6, dr7, cr2, cr8, xcr0;
} registers;

/* A different one for each name and each use; never 0. */
static uint64_t pattern(uint64_t use)
{
	uint64_t x = (tag + use + 1) * 0x9e3779b97f4a7c15;
	return (x ^ x >> 29) | 1;
}

static void leak(const char *what, uint64_t is, uint64_t not )
{
	if (leaks++ < LEAKS_SHOWN)
		kit_printf("LEAK %s %s is=%lx not=%lx\n", name, what, is, not );
}

static void save(uint8_t *area)
{
	__asm__ volatile("xsave64 %0" : "+m"(*(uint8_t(*)[AREA])area) : "a"(~0u), "d"(~0u));
}

static void restore(const uint8_t *area)
{
	__asm__ volatile("xrstor64 %0" : : "m"(*(const uint8_t(*)[AREA])area), "a"(~0u), "d"(~0u));
}

static void try_rdmsr(void *msr)
{
	((struct msr *)msr)->want = rdmsr(((struct msr *)msr)->number);
}

static void try_pke(void *unused)
{
	(void)unused;
	write_cr4(read_cr4() | CR4_PKE);
}

static void try_rdpkru(void *unused)
{
	(void)unused;
	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : : "c"(0) : "eax", "edx");
}

static void try_xcr0(void *bits)
{
	xsetbv(0, registers.xcr0 | *(uint64_t *)bits);
}

static unsigned hidden(void)
{
	uint64_t pkru = XCR0_PKRU, amx = XCR0_AMX;
	return (unsigned)((kit_try(try_pke, 0) >= 0) + (kit_try(try_rdpkru, 0) >= 0) + (kit_try(try_xcr0, &pkru) >= 0) +
	                  (kit_try(try_xcr0, &amx) >= 0));
}

/* All components that XCR0 may hold here, in use. Bytes that XSAVE does not define stay 0. */
static void fill_extended(void)
{
	uint32_t mxcsr = 0x1f80 | (uint32_t)pattern(1) % 4 << 13;
	want[0] = 0x7f;
	want[1] = (uint8_t)(pattern(2) % 3);
	want[4] = 0xff;
	memcpy(want + MXCSR, &mxcsr, sizeof mxcsr);
	for (unsigned i = ST_OFFSET; i < LEGACY; i++)
		if (i >= ST_END || i % 16 < 10)
			want[i] = (uint8_t)pattern(i);
	for (uint32_t n = 2; n < 63; n++) {
		struct cpuid c = cpuid(0xd, n);
		if (!(registers.xcr0 >> n & 1))
			continue;
		for (uint32_t i = 0; i < c.eax && c.ebx + i < AREA; i++)
			want[c.ebx + i] = (uint8_t)pattern(c.ebx + i);
	}
	memcpy(want + HEADER, &registers.xcr0, sizeof registers.xcr0);
	restore(want);
}

static void write_registers(void)
{
	registers.dr0 = pattern(10), registers.dr1 = pattern(11);
	registers.dr2 = pattern(12), registers.dr3 = pattern(13);
	registers.dr6 |= pattern(14) & 0xf;
	registers.dr7 |= (pattern(15) & 5) << 16 | (pattern(16) & 5) << 24; /* kinds and lengths; none is enabled */
	registers.cr2 = pattern(17);
	registers.cr8 = pattern(18) & 0xf;
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
	                 :
	                 : "r"(registers.dr0), "r"(registers.dr1), "r"(registers.dr2), "r"(registers.dr3));
	write_dr6(registers.dr6);
	write_dr7(registers.dr7);
	write_cr2(registers.cr2);
	write_cr8(registers.cr8);
	for (struct msr *m = msrs; m < msrs + MSRS; m++)
		if (m->there && m->bits) {
			m->want = m->base ^ (pattern(m->number) & m->bits);
			wrmsr(m->number, m->want);
		}
	fill_extended();
}

static void look(void)
{
	struct registers now = {
		.dr6 = read_dr6(), .dr7 = read_dr7(), .cr2 = read_cr2(), .cr8 = read_cr8(), .xcr0 = xgetbv(0)
	};
	static const char *const names[] = { "DR0", "DR1", "DR2", "DR3", "DR6", "DR7", "CR2", "CR8", "XCR0" };
	const uint64_t *is = (const uint64_t *)&now, *not = (const uint64_t *)&registers;
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
	                 : "=r"(now.dr0), "=r"(now.dr1), "=r"(now.dr2), "=r"(now.dr3)
	                 :
	                 : "memory");
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (is[i] != not [i])
			leak(names[i], is[i], not [i]);
	for (struct msr *m = msrs; m < msrs + MSRS; m++) {
		uint64_t value = m->there ? rdmsr(m->number) : m->want;
		if (value != m->want)
			leak(m->name, value, m->want);
	}
	save(have);
	memcpy(have + MXCSR_MASK, want + MXCSR_MASK, 4);
	for (unsigned i = 0; i < AREA; i += 8) {
		uint64_t a = *(uint64_t *)(have + i), b = *(uint64_t *)(want + i);
		if (a != b && (i < LEGACY || i >= EXTENDED)) {
			kit_printf("LEAK %s XSAVE area, offset %u\n", name, i);
			leak("XSAVE area", a, b);
			return;
		}
	}
}

/* What a reset leaves: before anything is written, so that it is seen that the first instruction finds no more. */
static void expect_reset(void)
{
	struct cpuid leaf = cpuid(0xd, 0);
	registers = (struct registers){ .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	if (xgetbv(0) != 1)
		leak("XCR0 at the start", xgetbv(0), 1);
	registers.xcr0 = (uint64_t)leaf.edx << 32 | leaf.eax;
	xsetbv(0, registers.xcr0);
	want[0] = 0x7f, want[1] = 0x03;
	want[MXCSR] = 0x80, want[MXCSR + 1] = 0x1f;
	for (struct msr *m = msrs; m < msrs + MSRS; m++) {
		m->there = kit_try(try_rdmsr, m) < 0;
		if (m->there && m->want != m->base)
			leak(m->name, m->want, m->base);
		m->want = m->base;
	}
}

int main(const struct kit_info *info)
{
	uint64_t looks = 0, windows = 0, now, last = rdtsc(), khz = kit_tsc_khz(), end = after_loader(END_MS);
	name = info->name;
	for (unsigned i = 0; i < KIT_NAME_SIZE && name[i]; i++)
		tag = tag * 31 + (uint8_t)name[i];
	expect_reset();
	look();
	unsigned refused = hidden();
	write_cr2(0);
	if (memcmp(name, "writer", 6) == 0)
		write_registers();
	for (; (now = rdtsc()) < end; looks++) {
		windows += now - last > EDGE_US * khz / 1000;
		last = now;
		look();
	}
	kit_printf("RESULT secrets name=%s looks=%lu windows=%lu leaks=%lu xcr0=%lx hidden=%u\n", name, looks, windows,
	           leaks, registers.xcr0, refused);
	return leaks != 0;
}

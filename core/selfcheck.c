// SPDX-License-Identifier: Apache-2.0
#include "selfcheck.h"

#include "audit.h"
#include "console.h"
#include "core.h"
#include "cpu.h"
#include "lib.h"
#include "panic.h"
#include "sha256.h"
#include "vmx/capability.h"
#include "vmx/exit.h"
#include "vmx/vmx.h"
#include "vtd/vtd.h"
#include "window.h"
#include "x86.h"

#define MSR_SMRR_PHYSMASK 0x1f3u
#define MSR_TME_CAPABILITY 0x981u
#define MSR_TME_ACTIVATE 0x982u
#define MTRRCAP_SMRR (1ull << 11)
#define SMRR_VALID (1ull << 11)
#define ARCH_RDCL_NO (1ull << 0)
#define ARCH_MDS_NO (1ull << 5)
#define CHUNK 64u /* bytes a step */

#define SEAL_CHANGES (CONFIG_SEALS ? (uint64_t)(RIGHT_WRITE | RIGHT_EXEC) : 0) /* in second-level tables: core/seal.c */

extern const uint8_t core_start[], rodata_end[], data_end[], ept_end[];

/* SHA-256 of the image from its begin to here: written by `mkconfig digest` when the image is linked (Makefile). */
const uint8_t selfcheck_digest[SHA256_SIZE] __attribute__((section(".digest"))) = { 0 };

/* What is summed in the background, one after the other. */
static const struct {
	const char *name;
	uint64_t mask; /* bits that count */
	uint8_t line;
} parts[] = { { "the core's code or constants, sum", ~0ull, SELFCHECK_IMAGE },
	      { "second-level tables of partitions or devices, sum", ~SEAL_CHANGES, SELFCHECK_TABLES } };
static uint64_t part_sum[ARRAY_SIZE(parts)]; /* by sum_chunk(); boot CPU, before the others run */

/* The first shared CPU lets the dedicated ones look: their number, and when again. */
static uint32_t kicker = ~0u;
static uint64_t kick_due;

#define mine (&this_cpu->selfcheck)

/*
 * Where a value comes from. Those of the second group are 0 when they are what the core itself has set up. What a VMCS holds is
 * looked at where one is current that is not a companion's.
 */
enum source {
	CR0,
	CR3,
	CR4,
	MSR,
	SMRR,
	IDT,
	FIELD,
	EPT_ROOT,
	HOST_CR0,
	HOST_CR3,
	HOST_CR4,
	HOST_IDT,
	HOST_CODE,
	MSR_MAP
};

struct reading {
	const char *name;
	uint64_t ones, zeros; /* these bits must be 1, those 0, at the start */
	uint64_t steady;      /* these may not change from then on */
	uint32_t number;
	uint8_t source;
};

#define ALL (~0ull)
#define VIRTUAL_NMI (PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)
#define BITMAPS                                                                                                   \
	(PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY_CONTROLS | PROC_RDPMC_EXITING | PROC_MWAIT_EXITING | \
	 PROC_MONITOR_EXITING)
#define SECOND (PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID | PROC2_WBINVD_EXITING)
#define HOST (EXIT_HOST_ADDRESS_SPACE_SIZE | EXIT_LOAD_PAT | EXIT_LOAD_EFER)

/* clang-format off */
static const struct reading readings[] = {
	{ "CR0: paging, write protection, native FPU errors; caches on", CR0_PG | CR0_WP | CR0_NE | CR0_PE, CR0_CD | CR0_NW, ALL & ~CR0_TS, 0, CR0 },
	{ "CR3: this CPU's own page tables", 0, ALL, ALL, 0, CR3 },
	{ "CR4: PAE, machine checks, no execution of user pages", CR4_PAE | CR4_MCE | CR4_SMEP, CR4_LA57 | CR4_PCIDE, ALL, 0, CR4 },
	{ "EFER: long mode, no-execute", EFER_LME | EFER_LMA | EFER_NXE, 0, ALL, MSR_IA32_EFER, MSR },
	{ "PAT as after reset", PAT_RESET, ~PAT_RESET, ALL, MSR_IA32_PAT, MSR },
	{ "feature control locked, with VMX outside SMX", 5, 0, ALL, MSR_IA32_FEATURE_CONTROL, MSR },
	{ "local APIC on, in x2APIC mode", APIC_BASE_ENABLE | APIC_BASE_EXTD, 0, ALL, MSR_IA32_APIC_BASE, MSR },
	{ "SMRR: system-management memory kept from the cache", SMRR_VALID, 0, ALL, 0, SMRR },
	{ "interrupt descriptors in the core's constants", 0, ALL, ALL, 0, IDT },
	/* From here on of the current VMCS. */
#define FIRST_FIELD 9u
	{ "pin-based controls: NMIs exit", VIRTUAL_NMI, 0, VIRTUAL_NMI, VMCS_CTRL_PIN, FIELD },
	{ "processor-based controls: bitmaps, RDPMC, MWAIT, MONITOR", BITMAPS, 0, BITMAPS, VMCS_CTRL_PROC, FIELD },
	{ "secondary controls: EPT, VPID, WBINVD", SECOND, 0, SECOND, VMCS_CTRL_PROC2, FIELD },
	{ "VM-exit controls: the host's mode, PAT and EFER", HOST, 0, HOST, VMCS_CTRL_EXIT, FIELD },
	{ "exceptions that exit: #DB, #AC, #MC", 1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC, 0, 0, VMCS_CTRL_EXCEPTION_BITMAP, FIELD },
	{ "second-level tables: the partition's own", 0, ALL, ALL, 0, EPT_ROOT },
	{ "MSR bitmap: the vCPU's own", 0, ALL, ALL, 0, MSR_MAP },
	{ "host CR0", 0, ALL, ALL, 0, HOST_CR0 },
	{ "host CR3", 0, ALL, ALL, 0, HOST_CR3 },
	{ "host CR4", 0, ALL, ALL, 0, HOST_CR4 },
	{ "host interrupt descriptors", 0, ALL, ALL, 0, HOST_IDT },
	{ "host RIP in the core's code", 0, ALL, ALL, 0, HOST_CODE },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(readings) == SELFCHECK_READINGS, "core/selfcheck.h");

/* SDM Vol. 4, table 2-2: IA32_SMRR_PHYSMASK is there if IA32_MTRRCAP says so; it may be read in any mode. */
static uint64_t smrr(void)
{
	return rdmsr(MSR_IA32_MTRRCAP) & MTRRCAP_SMRR ? rdmsr(MSR_SMRR_PHYSMASK) : 0;
}

static uint64_t idt_base(void)
{
	struct descriptor_pointer idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	return idt.base;
}

static uint64_t ept_root(const struct vcpu *vcpu)
{
#if CONFIG_SCHEDULED_CPUS
	if (vcpu == &this_cpu->scheduled.idle)
		return ept_pointer_empty;
#endif
	return ept_pointer[vcpu->partition_index];
}

static uint64_t take(const struct reading *r, const struct vcpu *vcpu)
{
	switch (r->source) {
	case CR0:
		return read_cr0();
	case CR3:
		return read_cr3() ^ handoff.cpu_cr3[this_cpu->index];
	case CR4:
		return read_cr4() & ~CR4_VMXE;
	case MSR:
		return rdmsr(r->number);
	case SMRR:
		return smrr();
	case IDT:
		return idt_base() ^ (uint64_t)core_idt;
	case FIELD:
		return vmread(r->number);
	case EPT_ROOT:
		return vmread(VMCS_CTRL_EPTP) ^ ept_root(vcpu);
	case MSR_MAP:
		return vmread(VMCS_CTRL_MSR_BITMAPS) ^ cpu_phys(vcpu->msr_bitmap);
	case HOST_CR0:
		return vmread(VMCS_HOST_CR0) ^ read_cr0();
	case HOST_CR3:
		return vmread(VMCS_HOST_CR3) ^ read_cr3();
	case HOST_CR4:
		return vmread(VMCS_HOST_CR4) ^ read_cr4();
	case HOST_IDT:
		return vmread(VMCS_HOST_IDTR_BASE) ^ (uint64_t)core_idt;
	default: /* HOST_CODE */
		return vmread(VMCS_HOST_RIP) - (uint64_t)core_start >= (uint64_t)(rodata_end - core_start);
	}
}

static int holds(const struct reading *r, uint64_t value)
{
	return (value & r->ones) == r->ones && !(value & r->zeros);
}

uint64_t selfcheck_registers(void)
{
	uint64_t failed = 0;

	for (uint32_t i = 0; i < FIRST_FIELD; i++)
		if (!holds(&readings[i], take(&readings[i], &this_cpu->vcpu[0])))
			failed |= 1ull << i;
	return failed;
}

/* Whole pages. */
static uint32_t part_size(uint32_t part)
{
	return (uint32_t)(part ? ept_end - data_end : rodata_end - core_start);
}

/* The tables only the boot CPU has mapped: through the window, of the core's run. */
static const uint64_t *chunk(uint32_t part, uint32_t at)
{
	return (const uint64_t *)(part ? window(0, handoff.core_hpa + (uint64_t)(data_end - core_start) + at) :
	                                 core_start + at);
}

/* A sum that any changed word changes. That is enough here: who can write into the core's code needs no collision. */
static uint64_t sum_chunk(uint64_t sum, uint32_t part, uint32_t at)
{
	const uint64_t *word = chunk(part, at);

	for (uint32_t i = 0; i < CHUNK / 8; i++)
		sum = (sum ^ (word[i] & parts[part].mask)) * 0x100000001b3;
	if (part)
		window_close();
	return sum;
}

static int image_is_as_linked(void)
{
	uint8_t digest[SHA256_SIZE];

	sha256(core_start, part_size(0), digest);
	return !memcmp(digest, selfcheck_digest, sizeof digest);
}

/*
 * Known holes of CPUs. Where no CPU is shared, what one partition leaves in caches, buffers and predictors of a core meets no other: its
 * threads belong to it, too (core/smp.c).
 */
static int hole_is_closed(uint64_t not_affected, uint8_t flush, uint32_t command)
{
	const struct cpuid_regs c = cpuid(7, 0);
	const uint64_t capabilities = c.r[3] >> 29 & 1 ? rdmsr(MSR_IA32_ARCH_CAPABILITIES) : 0;

	return !CONFIG_SCHEDULED_CPUS || capabilities & not_affected ||
	       (config.flush & flush && (!command || c.r[3] >> command & 1));
}

static uint32_t failures;
static uint64_t failed_lines; /* bit n: line n */

static void line(uint32_t number, const char *name, int pass)
{
	failures += !pass;
	failed_lines |= (uint64_t)!pass << number;
	print("self-check: %s  %s\n", pass ? "pass" : "FAIL", name);
	console_flush();
}

static void print_registers(void)
{
	for (uint32_t i = 0; i < FIRST_FIELD; i++) {
		uint32_t bad = 0;

		for (uint32_t cpu = 0; cpu < CONFIG_CPUS; cpu++)
			bad += (uint32_t)(cpu_report[cpu].failed >> i) & 1;
		line(i, readings[i].name, !bad);
		if (bad)
			print("self-check:       not on %u of %u CPUs\n", bad, (uint32_t)CONFIG_CPUS);
	}
}

/* SDM Vol. 4: keys of TME-MK, with what IA32_TME_ACTIVATE gives them. Told only; no memory of ours has a key of its own. */
static void print_memory_encryption(void)
{
	const int tme = cpuid(7, 0).r[2] >> 13 & 1;
	const uint64_t capability = tme ? rdmsr(MSR_TME_CAPABILITY) : 0, active = tme ? rdmsr(MSR_TME_ACTIVATE) : 0;

	print("self-check: memory encryption %s, keys: %u at most, %u key ID bits in use\n",
	      !tme       ? "not there" :
	      active & 2 ? "on" :
	                   "off",
	      (uint32_t)(capability >> 36 & 0x7fff), (uint32_t)(active >> 32 & 0xf));
}

void selfcheck_table(void)
{
	print_registers();
	line(SELFCHECK_IMAGE, "the core's code and constants are as linked (SHA-256)", image_is_as_linked());
	line(SELFCHECK_L1D, "Meltdown, L1TF: not affected, no CPU shared, or L1D flushed",
	     hole_is_closed(ARCH_RDCL_NO, FLUSH_L1D, 0));
	line(SELFCHECK_BUFFERS, "MDS, TAA, RFDS: not affected, no CPU shared, or buffers emptied",
	     hole_is_closed(ARCH_MDS_NO, FLUSH_BUFFERS, 10));
	line(SELFCHECK_PREDICTORS, "branch predictors: no CPU shared, or IBPB",
	     hole_is_closed(0, FLUSH_BRANCH_PREDICTORS, 26));
	line(SELFCHECK_ITLB, "iTLB multihit: not affected, or small executable pages",
	     config.itlb_multihit != ITLB_ACCEPT || !vmx_itlb_multihit());
	if (CONFIG_IOMMU)
		line(SELFCHECK_UNITS, "remapping units: DMA and interrupts of devices, by the core's tables",
		     vtd_active() && vtd_intact());
	for (uint32_t part = 0; part < ARRAY_SIZE(parts); part++)
		for (uint32_t at = 0; at < part_size(part); at += CHUNK)
			part_sum[part] = sum_chunk(part_sum[part], part, at);
	print_memory_encryption();
	for (uint32_t i = 0; i < CONFIG_CPUS; i++)
		if (config.self_check_kick_us && cpu_is_scheduled(i) && i < kicker)
			kicker = i;
	print("self-check: %u failed\n", failures);
	if (failures && config.self_check & SELF_CHECK_REFUSE)
		refuse("self-check: the configuration allows no line to fail (self_check, at_start)");
}

void selfcheck_first(const struct vcpu *vcpu)
{
	mine->due = config.self_check_us ? 0 : ALL;
	audit(AUDIT_SECURITY, AUDIT_SELF_CHECK, AUDIT_CORE, failures, failed_lines);
	for (uint32_t i = 0; i < SELFCHECK_READINGS; i++) {
		mine->reference[i] = take(&readings[i], vcpu);
		if (i >= FIRST_FIELD && !holds(&readings[i], mine->reference[i]))
			panic("self-check: %s: %lx", readings[i].name, mine->reference[i]);
	}
}

/* Recorded and told once: the next step would find the same. */
static void differs(const char *what, uint64_t found, uint64_t reference, uint32_t number)
{
	if (mine->told >> number & 1)
		return;
	mine->told |= 1ull << number;
	audit(AUDIT_SECURITY, AUDIT_DIFFERS, AUDIT_CORE, number, found);
	if (config.self_check & SELF_CHECK_HALT)
		panic("self-check: %s: %lx, was %lx", what, found, reference);
	print("self-check: CPU %u: %s: %lx, was %lx\n", this_cpu->index, what, found, reference);
}

static void look_again(uint32_t i)
{
	const struct reading *r = &readings[i];
	const struct vcpu *vcpu = this_cpu->running;
	uint64_t value;

	if (i >= FIRST_FIELD && (!vcpu || vcpu->master))
		return;
	value = take(r, vcpu);
	if ((value ^ mine->reference[i]) & r->steady)
		differs(r->name, value, mine->reference[i], i);
}

static void next_chunk(void)
{
	const uint32_t part = mine->part;

	mine->sum = sum_chunk(mine->sum, part, mine->at);
	mine->at += CHUNK;
	if (mine->at < part_size(part))
		return;
	if (mine->sum != part_sum[part])
		differs(parts[part].name, mine->sum, part_sum[part], parts[part].line);
	mine->part = part + 1 < ARRAY_SIZE(parts) ? part + 1 : 0;
	mine->at = 0;
	mine->sum = 0;
}

/* One register, or behind the last of them one remapping unit. */
static void look_at(uint32_t i)
{
	if (i < SELFCHECK_READINGS)
		look_again(i);
	else if (CONFIG_IOMMU && !vtd_unit_intact(i - SELFCHECK_READINGS))
		differs("remapping unit off, or with other tables", i - SELFCHECK_READINGS, 0, SELFCHECK_UNITS);
}

void selfcheck_step(uint64_t now)
{
	if (now < mine->due)
		return;
	mine->due = now + config.self_check_us * tsc_khz / 1000;
	look_at(mine->next);
	mine->next = mine->next + 1 < SELFCHECK_READINGS + (CONFIG_IOMMU ? vtd_units() : 0) ? mine->next + 1 : 0;
	next_chunk();
	if (this_cpu->index != kicker || now < kick_due)
		return;
	kick_due = now + config.self_check_kick_us * tsc_khz / 1000;
	attention_self_check();
}

void selfcheck_now(void)
{
	for (uint32_t i = 0; i < SELFCHECK_READINGS; i++)
		look_again(i);
}

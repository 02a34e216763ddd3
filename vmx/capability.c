// SPDX-License-Identifier: Apache-2.0
#include "capability.h"

#include "core/panic.h"
#include "core/x86.h"
#include "vmx.h"

/* clang-format off */
enum source { CPUID_1_ECX, CPUID_1_EDX, CPUID_7_EBX, CPUID_EXT_EDX, CPUID_EXT7_EDX, BASIC, PIN, PROC, PROC2, EXIT, ENTRY, EPT, SOURCES };
/* clang-format on */

/* must: Bulkhead does not start without it. nice: used when there, reported when not. */
struct capability {
	const char *name;
	uint64_t bits;
	uint8_t source, must;
};
/* clang-format off */
#define MUST(source, bits) { #source " " #bits, bits, source, 1 }
#define NICE(source, bits) { #source " " #bits, bits, source, 0 }
/* clang-format on */

static const struct capability table[] = {
	/* The CPU itself. */
	{ "CPUID.1:ECX[5] VMX", 1u << 5, CPUID_1_ECX, 1 },
	{ "CPUID.1:ECX[21] x2APIC (its timer and EOI reach the guest with no exit)", 1u << 21, CPUID_1_ECX, 1 },
	{ "CPUID.1:ECX[24] TSC-deadline timer", 1u << 24, CPUID_1_ECX, 1 },
	{ "CPUID.1:ECX[26] XSAVE", 1u << 26, CPUID_1_ECX, 1 },
	{ "CPUID.1:EDX[12] MTRR", 1u << 12, CPUID_1_EDX, 1 },
	{ "CPUID.1:EDX[16] PAT", 1u << 16, CPUID_1_EDX, 1 },
	{ "CPUID.7:EBX[7] SMEP", 1u << 7, CPUID_7_EBX, 1 },
	{ "CPUID.7:EBX[20] SMAP", 1u << 20, CPUID_7_EBX, 0 },
	{ "CPUID.80000001h:EDX[20] NX", 1u << 20, CPUID_EXT_EDX, 1 },
	{ "CPUID.80000007h:EDX[8] invariant TSC", 1u << 8, CPUID_EXT7_EDX, 0 },
	/* VMX: IA32_VMX_BASIC, then the control words' allowed-1 bits. */
	MUST(BASIC, VMX_BASIC_TRUE_CONTROLS),
	MUST(PIN, PIN_NMI_EXITING),      /* the hypervisor's attention */
	MUST(PIN, PIN_VIRTUAL_NMIS),     /* a guest cannot block it */
	MUST(PIN, PIN_PREEMPTION_TIMER), /* an NMI that came too late for this exit makes the next */
	MUST(PROC, PROC_IO_BITMAPS),
	MUST(PROC, PROC_MSR_BITMAPS),
	MUST(PROC, PROC_SECONDARY_CONTROLS),
	MUST(PROC, PROC_NMI_WINDOW_EXITING),
	MUST(PROC, PROC_RDPMC_EXITING),
	MUST(PROC, PROC_MWAIT_EXITING),
	MUST(PROC, PROC_MONITOR_EXITING),
	MUST(PROC2, PROC2_EPT),
	MUST(PROC2, PROC2_UNRESTRICTED_GUEST),
	MUST(PROC2, PROC2_VPID),
	MUST(PROC2, PROC2_WBINVD_EXITING),
	NICE(PROC2, PROC2_RDTSCP),
	NICE(PROC2, PROC2_INVPCID),
	NICE(PROC2, PROC2_XSAVES),
	NICE(PROC2, PROC2_VIRTUAL_INTERRUPT_DELIVERY), /* for scheduled vCPUs */
	NICE(PIN, PIN_POSTED_INTERRUPTS),
	MUST(EXIT, EXIT_HOST_ADDRESS_SPACE_SIZE),
	MUST(EXIT, EXIT_SAVE_PAT),
	MUST(EXIT, EXIT_LOAD_PAT),
	MUST(EXIT, EXIT_SAVE_EFER),
	MUST(EXIT, EXIT_LOAD_EFER),
	MUST(ENTRY, ENTRY_IA32E_MODE_GUEST),
	MUST(ENTRY, ENTRY_LOAD_PAT),
	MUST(ENTRY, ENTRY_LOAD_EFER),
	MUST(EPT, EPT_CAP_WALK_LENGTH_4),
	MUST(EPT, EPT_CAP_WRITE_BACK),
	MUST(EPT, EPT_CAP_2M_PAGES),
	MUST(EPT, EPT_CAP_INVEPT),
	MUST(EPT, EPT_CAP_INVEPT_ALL),
	MUST(EPT, VPID_CAP_INVVPID),
	MUST(EPT, VPID_CAP_ALL_CONTEXTS),
	NICE(EPT, EPT_CAP_1G_PAGES),
};
#define LINES (sizeof table / sizeof table[0])
_Static_assert(LINES < VMX_CAPABILITY_LINES, "one bit a line, the last is IA32_FEATURE_CONTROL's");

static uint64_t allowed_1(uint32_t msr)
{
	return rdmsr(msr) >> 32;
}

/* The words the table's bits are in. Without VMX its MSRs do not exist: they read as nothing allowed. */
static void read_sources(uint64_t word[SOURCES])
{
	const struct cpuid_regs c1 = cpuid(1, 0), c7 = cpuid(7, 0);

	for (uint32_t i = 0; i < SOURCES; i++)
		word[i] = 0;
	word[CPUID_1_ECX] = c1.r[2];
	word[CPUID_1_EDX] = c1.r[3];
	word[CPUID_7_EBX] = c7.r[1];
	word[CPUID_EXT_EDX] = cpuid(0x80000001, 0).r[3];
	if (cpuid(0x80000000, 0).r[0] >= 0x80000007)
		word[CPUID_EXT7_EDX] = cpuid(0x80000007, 0).r[3];
	if (!(c1.r[2] & 1u << 5))
		return;
	word[BASIC] = rdmsr(MSR_IA32_VMX_BASIC);
	if (!(word[BASIC] & VMX_BASIC_TRUE_CONTROLS))
		return;
	word[PIN] = allowed_1(MSR_IA32_VMX_TRUE_PINBASED_CTLS);
	word[PROC] = allowed_1(MSR_IA32_VMX_TRUE_PROCBASED_CTLS);
	word[EXIT] = allowed_1(MSR_IA32_VMX_TRUE_EXIT_CTLS);
	word[ENTRY] = allowed_1(MSR_IA32_VMX_TRUE_ENTRY_CTLS);
	if (word[PROC] & PROC_SECONDARY_CONTROLS)
		word[PROC2] = allowed_1(MSR_IA32_VMX_PROCBASED_CTLS2);
	if (word[PROC2] & (PROC2_EPT | PROC2_VPID))
		word[EPT] = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
}

void vmx_check_capabilities(uint64_t *must, uint64_t *nice)
{
	uint64_t word[SOURCES];

	read_sources(word);
	*must = *nice = 0;
	for (uint32_t i = 0; i < LINES; i++)
		if ((word[table[i].source] & table[i].bits) != table[i].bits)
			*(table[i].must ? must : nice) |= 1ull << i;
}

const char *vmx_capability_name(uint32_t line)
{
	return line < LINES ? table[line].name :
	                      "IA32_FEATURE_CONTROL is locked with VMX off: switch VT-x on in the firmware's setup";
}

enum feature_control vmx_feature_control(uint64_t msr)
{
	if (!(msr & FEATURE_CONTROL_LOCK))
		return FEATURE_CONTROL_UNLOCKED;
	return msr & FEATURE_CONTROL_VMX_OUTSIDE_SMX ? FEATURE_CONTROL_READY : FEATURE_CONTROL_LOCKED_OFF;
}

void vmx_on(uint8_t *region, uint64_t region_phys)
{
	const uint64_t feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);

	if (vmx_feature_control(feature_control) == FEATURE_CONTROL_UNLOCKED)
		wrmsr(MSR_IA32_FEATURE_CONTROL,
		      feature_control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
	/* SDM Vol. 3D, A.7 and A.8: bits that VMX fixes. */
	write_cr0((read_cr0() | rdmsr(MSR_IA32_VMX_CR0_FIXED0)) & rdmsr(MSR_IA32_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | CR4_VMXE | rdmsr(MSR_IA32_VMX_CR4_FIXED0)) & rdmsr(MSR_IA32_VMX_CR4_FIXED1));
	*(uint32_t *)region = (uint32_t)(rdmsr(MSR_IA32_VMX_BASIC) & VMX_BASIC_REVISION);
	if (vmxon(region_phys))
		panic("VMXON failed, region %lx", region_phys);
	if (invept(INVEPT_ALL_CONTEXTS, 0, 0))
		vmx_failed("INVEPT", INVEPT_ALL_CONTEXTS);
	if (invvpid(INVVPID_ALL_CONTEXTS, 0, 0))
		vmx_failed("INVVPID", INVVPID_ALL_CONTEXTS);
}

uint32_t vmx_adjust(uint32_t msr, uint32_t want)
{
	const uint64_t allowed = rdmsr(msr);

	return (want | (uint32_t)allowed) & (uint32_t)(allowed >> 32);
}

/* IA32_ARCH_CAPABILITIES bit 6, IF_PSCHANGE_MC_NO (SDM Vol. 4, table 2-2). */
int vmx_itlb_multihit(void)
{
	if (cpuid(0, 0).r[0] < 7 || !(cpuid(7, 0).r[3] & 1u << 29))
		return 1;
	return !(rdmsr(MSR_IA32_ARCH_CAPABILITIES) & 1u << 6);
}

int vmx_ept_1g(void)
{
	return (rdmsr(MSR_IA32_VMX_EPT_VPID_CAP) & EPT_CAP_1G_PAGES) != 0;
}

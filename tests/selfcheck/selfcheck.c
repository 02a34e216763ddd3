/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the emulator, not Bulkhead: what the tests take for granted of the machine
 * beneath. One line a check on port 0xe9, "CHECK name ok|FAIL detail", and at the end
 * "RESULT selfcheck ok" or "RESULT selfcheck FAIL".
 */
#include "efi.h"

enum {
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_VMX_BASIC = 0x480,
	MSR_VMX_CR0_FIXED0 = 0x486,
	MSR_VMX_CR0_FIXED1 = 0x487,
	MSR_VMX_CR4_FIXED0 = 0x488,
	MSR_VMX_CR4_FIXED1 = 0x489,
	FEATURE_CONTROL_LOCKED = 1 << 0,
	FEATURE_CONTROL_VMX = 1 << 2,
	CPUID_1_ECX_VMX = 1 << 5,
	CR4_VMXE = 1 << 13,
};

static int failures;

static void check(const char *name, int good, UINT64 detail)
{
	put("CHECK ");
	put(name);
	if (good) {
		put(" ok\n");
		return;
	}
	failures++;
	put(" FAIL ");
	put_hex(detail);
	put("\n");
}

static UINT64 rdmsr(UINT32 msr)
{
	UINT32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return ((UINT64)high << 32) | low;
}

/* The instructions themselves: a compiler would do constant divisions on its own. */
static void check_division(void)
{
	static const struct {
		INT64 high, low, divisor, quotient, remainder;
	} idiv[] = {
		{ 0, 1000000000, 1000, 1000000, 0 },
		{ 0, 1000000007, 1000, 1000000, 7 },
		{ -1, -1000000007, 1000, -1000000, -7 },
		{ 0, 1000000007, -1000, -1000000, 7 },
		{ -1, -1000000007, -1000, 1000000, -7 },
		{ 1, 0, 3, 0x5555555555555555, 1 },
		{ 0, 0x7fffffffffffffff, 1, 0x7fffffffffffffff, 0 },
	};
	static const struct {
		UINT64 high, low, divisor, quotient, remainder;
	} div[] = {
		{ 0, 1000000007, 1000, 1000000, 7 },
		{ 1, 0, 3, 0x5555555555555555, 1 },
		{ 6, 0x123456789abcdef0, 7, 0xdde64ae69f89d247, 0xffffffffffffffff },
		{ 0xfffffffffffffffe, 0, 0xffffffffffffffff, 0xfffffffffffffffe, 0xfffffffffffffffe },
	};

	for (UINTN i = 0; i < sizeof idiv / sizeof idiv[0]; i++) {
		INT64 quotient, remainder;

		__asm__ volatile("idivq %4"
		                 : "=a"(quotient), "=d"(remainder)
		                 : "a"(idiv[i].low), "d"(idiv[i].high), "r"(idiv[i].divisor)
		                 : "cc");
		check("idiv64", quotient == idiv[i].quotient && remainder == idiv[i].remainder, (UINT64)quotient);
	}
	for (UINTN i = 0; i < sizeof div / sizeof div[0]; i++) {
		UINT64 quotient, remainder, low, high;

		__asm__ volatile("divq %4"
		                 : "=a"(quotient), "=d"(remainder)
		                 : "a"(div[i].low), "d"(div[i].high), "r"(div[i].divisor)
		                 : "cc");
		/* and back by multiplication: quotient * divisor + remainder */
		__asm__ volatile("mulq %3\n\taddq %4, %0\n\tadcq $0, %1"
		                 : "=&a"(low), "=&d"(high)
		                 : "0"(quotient), "r"(div[i].divisor), "r"(remainder)
		                 : "cc");
		check("div64",
		      (div[i].remainder == ~0ull || (quotient == div[i].quotient && remainder == div[i].remainder)) &&
		              remainder < div[i].divisor && low == div[i].low && high == div[i].high,
		      quotient);
	}
}

static UINT8 vmxon_region[4096] __attribute__((aligned(4096)));

static void check_vmx(void)
{
	UINT32 a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	check("cpuid-vmx", (c & CPUID_1_ECX_VMX) != 0, c);
	if (!(c & CPUID_1_ECX_VMX))
		return;

	UINT64 control = rdmsr(MSR_FEATURE_CONTROL);
	UINT64 want = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX;

	check("feature-control", (control & want) == want, control);
	if ((control & want) != want)
		return;

	UINT64 cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	UINT64 cr0_vmx = (cr0 | rdmsr(MSR_VMX_CR0_FIXED0)) & rdmsr(MSR_VMX_CR0_FIXED1);
	UINT64 cr4_vmx = ((cr4 | rdmsr(MSR_VMX_CR4_FIXED0)) & rdmsr(MSR_VMX_CR4_FIXED1)) | CR4_VMXE;
	UINT64 address = (UINT64)(UINTN)vmxon_region;
	UINT8 failed;

	*(UINT32 *)vmxon_region = (UINT32)rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0_vmx) : "memory");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4_vmx) : "memory");
	__asm__ volatile("vmxon %1\n\tsetbe %0" : "=qm"(failed) : "m"(address) : "cc", "memory");
	check("vmxon", !failed, address);
	if (!failed) {
		__asm__ volatile("vmxoff\n\tsetbe %0" : "=qm"(failed) : : "cc", "memory");
		check("vmxoff", !failed, 0);
	}
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	(void)image;
	__asm__ volatile("cli");
	check_division();
	check_vmx();
	__asm__ volatile("sti");
	put(failures ? "RESULT selfcheck FAIL\n" : "RESULT selfcheck ok\n");
	end_machine(system);
	return EFI_SUCCESS;
}

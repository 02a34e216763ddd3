// SPDX-License-Identifier: Apache-2.0
/* A VMCS that a CPU with everything the auditor knows of would enter, and that CPU's capabilities. */
#include "core/x86.h"
#include "tests/auditor/auditor.h"
#include "tests/auditor/vmcs.h"

/* Every defined bit may be 1; the ones that a real CPU wants to be 1 must be. */
static const struct vmx_caps all = {
	.basic = 1ull << 32 | 6ull << 50 | VMX_BASIC_TRUE_CONTROLS,
	.pin = 0x000000ff00000016ull,
	.proc = 0xfffffffe04006172ull,
	.proc2 = 0xffffffff00000000ull,
	.proc3 = 0x9f,
	.exit = 0xffffffff00036dfbull,
	.exit2 = 8,
	.entry = 0x00ffffff000011fbull,
	.misc = VMX_MISC_EXIT_STORES_LMA | VMX_MISC_ACTIVITY_HLT | VMX_MISC_ACTIVITY_SHUTDOWN |
	        VMX_MISC_ACTIVITY_WAIT_FOR_SIPI | 4ull << 16 | 5,
	.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
	.cr0_fixed1 = 0xffffffff,
	.cr4_fixed0 = CR4_VMXE,
	.cr4_fixed1 = 0x00ff7fff,
	.ept_vpid = EPT_CAP_WALK_LENGTH_4 | EPT_CAP_WRITE_BACK | EPT_CAP_2M_PAGES | EPT_CAP_INVEPT | EPT_CAP_INVEPT_ALL,
	.vmfunc = 1,
	.physical_bits = 40,
	.linear_bits = 48,
};

#define PAT 0x0007040600070406ull

static const struct {
	uint32_t field;
	uint64_t value;
} good[] = {
	{ VMCS_CTRL_PIN, 0x16 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS },
	{ VMCS_CTRL_PROC,
	  0x04006172 | PROC_HLT_EXITING | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY_CONTROLS },
	{ VMCS_CTRL_PROC2, PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED_GUEST | PROC2_RDTSCP },
	{ VMCS_CTRL_EXIT,
	  0x36dfb | EXIT_HOST_ADDRESS_SPACE_SIZE | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER },
	{ VMCS_CTRL_ENTRY,
	  0x11fb | ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_IA32E_MODE_GUEST | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER },
	{ VMCS_CTRL_VPID, 1 },
	{ VMCS_CTRL_EPTP, 0x100000 | EPTP_WRITE_BACK | EPTP_WALK_LENGTH_4 },
	{ VMCS_CTRL_IO_BITMAP_A, 0x101000 },
	{ VMCS_CTRL_IO_BITMAP_B, 0x102000 },
	{ VMCS_CTRL_MSR_BITMAPS, 0x103000 },
	{ VMCS_CTRL_EXCEPTION_BITMAP, 1u << 17 | 1u << 1 },
	{ VMCS_CTRL_CR0_MASK, CR0_NE | CR0_CD | CR0_NW },
	{ VMCS_CTRL_CR0_SHADOW, CR0_PE | CR0_PG },
	{ VMCS_CTRL_CR4_MASK, CR4_VMXE | CR4_MCE },
	{ VMCS_CTRL_CR4_SHADOW, CR4_PAE },
	{ VMCS_HOST_CR0, CR0_PE | CR0_NE | CR0_WP | CR0_PG },
	{ VMCS_HOST_CR3, 0x200000 },
	{ VMCS_HOST_CR4, CR4_PAE | CR4_VMXE },
	{ VMCS_HOST_CS_SELECTOR, 0x08 },
	{ VMCS_HOST_SS_SELECTOR, 0x10 },
	{ VMCS_HOST_TR_SELECTOR, 0x18 },
	{ VMCS_HOST_PAT, PAT },
	{ VMCS_HOST_EFER, EFER_LME | EFER_LMA | EFER_NXE },
	{ VMCS_HOST_TR_BASE, 0xffffffff90000000 },
	{ VMCS_HOST_GDTR_BASE, 0xffffffff90001000 },
	{ VMCS_HOST_IDTR_BASE, 0xffffffff80001000 },
	{ VMCS_HOST_RSP, 0xffffffff90003000 },
	{ VMCS_HOST_RIP, 0xffffffff80002000 },
	{ VMCS_GUEST_CR0, CR0_PE | CR0_NE | CR0_PG | CR0_ET },
	{ VMCS_GUEST_CR3, 0x3000 },
	{ VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_MCE },
	{ VMCS_GUEST_PAT, PAT },
	{ VMCS_GUEST_EFER, EFER_LME | EFER_LMA },
	{ VMCS_GUEST_DR7, 0x400 },
	{ VMCS_GUEST_CS_SELECTOR, 0x10 },
	{ VMCS_GUEST_CS_ACCESS, ACCESS_G | ACCESS_L | ACCESS_PRESENT | ACCESS_S | 11 },
	{ VMCS_GUEST_TR_ACCESS, ACCESS_PRESENT | 11 },
	{ VMCS_GUEST_TR_LIMIT, 0x67 },
	{ VMCS_GUEST_LDTR_ACCESS, ACCESS_UNUSABLE },
	{ VMCS_GUEST_GDTR_BASE, 0x1000 },
	{ VMCS_GUEST_GDTR_LIMIT, 0x1f },
	{ VMCS_GUEST_RSP, 0x8000 },
	{ VMCS_GUEST_RIP, 0x100000 },
	{ VMCS_GUEST_RFLAGS, RFLAGS_FIXED },
	{ VMCS_GUEST_VMCS_LINK, UINT64_MAX },
};

static const uint32_t zero[] = {
	VMCS_CTRL_CR3_TARGET_COUNT,
	VMCS_CTRL_EXIT_MSR_STORE_COUNT,
	VMCS_CTRL_EXIT_MSR_LOAD_COUNT,
	VMCS_CTRL_ENTRY_MSR_LOAD_COUNT,
	VMCS_CTRL_ENTRY_INTERRUPTION_INFO,
	VMCS_HOST_ES_SELECTOR,
	VMCS_HOST_DS_SELECTOR,
	VMCS_HOST_FS_SELECTOR,
	VMCS_HOST_GS_SELECTOR,
	VMCS_HOST_FS_BASE,
	VMCS_HOST_GS_BASE,
	VMCS_HOST_SYSENTER_CS,
	VMCS_HOST_SYSENTER_ESP,
	VMCS_HOST_SYSENTER_EIP,
	VMCS_GUEST_DEBUGCTL,
	VMCS_GUEST_SYSENTER_CS,
	VMCS_GUEST_SYSENTER_ESP,
	VMCS_GUEST_SYSENTER_EIP,
	VMCS_GUEST_TR_SELECTOR,
	VMCS_GUEST_LDTR_SELECTOR,
	VMCS_GUEST_IDTR_BASE,
	VMCS_GUEST_IDTR_LIMIT,
	VMCS_GUEST_INTERRUPTIBILITY,
	VMCS_GUEST_ACTIVITY,
	VMCS_GUEST_PENDING_DEBUG,
};

void vmentry_good(struct vmcs_image *v, struct vmx_caps *caps)
{
	*caps = all;
	*v = (struct vmcs_image){ 0 };
	for (uint32_t n = 0; n < 8; n++) { /* flat segments and empty system segments; CS, LDTR and TR follow */
		vmcs_image_write(v, VMCS_GUEST_ES_SELECTOR + 2 * n, 0x18);
		vmcs_image_write(v, VMCS_GUEST_ES_BASE + 2 * n, 0);
		vmcs_image_write(v, VMCS_GUEST_ES_LIMIT + 2 * n, 0xffffffff);
		vmcs_image_write(v, VMCS_GUEST_ES_ACCESS + 2 * n, ACCESS_G | ACCESS_DB | ACCESS_PRESENT | ACCESS_S | 3);
	}
	for (size_t i = 0; i < sizeof(zero) / sizeof(*zero); i++)
		vmcs_image_write(v, zero[i], 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		vmcs_image_write(v, good[i].field, good[i].value);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Three CPU models by what they offer. Values of the VMX MSRs as such CPUs have them, from memory of public dumps, with
 * bits that do not matter here left as they were; the differences that do matter: Ivy Bridge has no INVPCID, no XSAVES,
 * no 1 GiB EPT pages, no IA32_ARCH_CAPABILITIES; Tiger Lake has tertiary controls and CET.
 */
#define COMMON_MISC 0x7004c1e7ull
#define COMMON_CAPS                                                                                                    \
	.misc = COMMON_MISC, .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = CR4_VMXE, \
	.linear_bits = 48

const struct seam_model seam_models[SEAM_MODELS] = {
	{
		.name = "ivy bridge",
		.caps = { COMMON_CAPS, .basic = 0x00da040000000010ull, .pin = 0x0000007f00000016ull,
	                  .proc = 0xfff9fffe04006172ull, .proc2 = 0x000008ff00000000ull, .exit = 0x007fffff00036dfbull,
	                  .entry = 0x0000ffff000011fbull, .cr4_fixed1 = 0x001767ff, .ept_vpid = 0xf0106114141ull,
	                  .physical_bits = 36 },
		.c1_ecx = 0x7fbae3ff,
		.c1_edx = 0xbfebfbff,
		.c7_ebx = 0x281,
		.cd_xcr0 = 7,
		.cd1_eax = 1,
		.ext_ecx = 1,
		.ext_edx = 0x28100800,
		.max_leaf = 0xd,
	},
	{
		.name = "skylake-x",
		.caps = { COMMON_CAPS, .basic = 0x00da040000000004ull, .pin = 0x000000ff00000016ull,
	                  .proc = 0xfff9fffe04006172ull, .proc2 = 0x001ffffe00000000ull | 0xff00000000ull,
	                  .exit = 0x01ffffff00036dfbull, .entry = 0x0003ffff000011fbull, .cr4_fixed1 = 0x003767ff,
	                  .ept_vpid = 0xf0106734141ull, .physical_bits = 46 },
		.c1_ecx = 0x7ffefbff,
		.c1_edx = 0xbfebfbff,
		.c7_ebx = 0xd39ffffb,
		.c7_edx = 0xbc000400,
		.cd_xcr0 = 0xe7,
		.cd1_eax = 0xf,
		.ext_ecx = 0x121,
		.ext_edx = 0x2c100800,
		.max_leaf = 0x16,
		.arch_capabilities = 0,
	},
	{
		.name = "tiger lake",
		.caps = { COMMON_CAPS, .basic = 0x00da040000000013ull, .pin = 0x000000ff00000016ull,
	                  .proc = 0xfffbfffe04006172ull, .proc3 = 1, .proc2 = 0x175fffff00000000ull,
	                  .exit = 0x37ffffff00036dfbull, .entry = 0x0077ffff000011fbull, .cr4_fixed1 = 0x00f77fff,
	                  .ept_vpid = 0xf0106f34141ull, .physical_bits = 39 },
		.c1_ecx = 0x7ffafbff,
		.c1_edx = 0xbfebfbff,
		.c7_ebx = 0xf3bfa7eb,
		.c7_ecx = 0x18c05fce,
		.c7_edx = 0xfc100510,
		.cd_xcr0 = 0x2e7,
		.cd1_eax = 0xf,
		.ext_ecx = 0x121,
		.ext_edx = 0x2c100800,
		.max_leaf = 0x1b,
		.arch_capabilities = 0x6b,
	},
};

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	const struct seam_model *m = &seam.model;
	const struct vmx_caps *caps = &m->caps;
	const uint32_t size = seam.xcr0 & 4 ? 0x340 : 0x240;

	switch (leaf) {
	case 0:
		return (struct cpuid_regs){ { m->max_leaf, 0x756e6547, 0x6c65746e, 0x49656e69 } };
	case 1:
		return (struct cpuid_regs){ { 0x306a9, 0x77000800, m->c1_ecx, m->c1_edx } };
	case 7:
		return (struct cpuid_regs){ { 0, m->c7_ebx, m->c7_ecx, m->c7_edx } };
	case 0xd:
		if (subleaf == 0)
			return (struct cpuid_regs){ { m->cd_xcr0, size, 0xa80, 0 } };
		if (subleaf == 1)
			return (struct cpuid_regs){ { m->cd1_eax, m->cd1_eax & 8 ? size : 0, m->cd1_eax & 8 ? 0x100 : 0,
				                      0 } };
		break;
	case 0x80000000:
		return (struct cpuid_regs){ { 0x80000008, 0, 0, 0 } };
	case 0x80000001:
		return (struct cpuid_regs){ { 0, 0, m->ext_ecx, m->ext_edx } };
	case 0x80000007:
		return (struct cpuid_regs){ { 0, 0, 0, 0x100 } };
	case 0x80000008:
		return (struct cpuid_regs){ { caps->linear_bits << 8 | caps->physical_bits, 0, 0, 0 } };
	default:
		break;
	}
	/* All the others are full, so that what is hidden must be hidden by the table. */
	return (struct cpuid_regs){ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff } };
}

int seam_capability_msr(uint32_t msr, uint64_t *value)
{
	const struct vmx_caps *c = &seam.model.caps;
	const struct {
		uint32_t msr;
		uint64_t value;
	} all[] = {
		{ MSR_IA32_VMX_BASIC, c->basic },
		{ MSR_IA32_VMX_TRUE_PINBASED_CTLS, c->pin },
		{ MSR_IA32_VMX_TRUE_PROCBASED_CTLS, c->proc },
		{ MSR_IA32_VMX_PROCBASED_CTLS2, c->proc2 },
		{ MSR_IA32_VMX_TRUE_EXIT_CTLS, c->exit },
		{ MSR_IA32_VMX_TRUE_ENTRY_CTLS, c->entry },
		{ MSR_IA32_VMX_MISC, c->misc },
		{ MSR_IA32_VMX_CR0_FIXED0, c->cr0_fixed0 },
		{ MSR_IA32_VMX_CR0_FIXED1, c->cr0_fixed1 },
		{ MSR_IA32_VMX_CR4_FIXED0, c->cr4_fixed0 },
		{ MSR_IA32_VMX_CR4_FIXED1, c->cr4_fixed1 },
		{ MSR_IA32_VMX_EPT_VPID_CAP, c->ept_vpid },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i].msr == msr) {
			*value = all[i].value;
			return seam.model.c1_ecx >> 5 & 1;
		}
	return 0;
}

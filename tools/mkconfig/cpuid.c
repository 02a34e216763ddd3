// SPDX-License-Identifier: Apache-2.0
/*
 * A partition's CPUID: (what the CPU says & mask) | set, for each leaf. Feature bits come from features.def, the
 * profile being all rows that are shown by default; everything else in the leaves is listed here. SDM Vol. 2A, CPUID.
 */
#include "mkconfig.h"
#include "../../hypercall/abi.h"

#include <string.h>

enum { EAX, EBX, ECX, EDX };

#define ALL UINT32_MAX
#define MAX_BASIC_LEAF 0x16u
#define XSAVE_LEAF 0xdu
#define XSAVE_COMPONENTS 8u /* sub-leaves 2 to 7 describe AVX and AVX-512; 3 and 4 are MPX's and stay zero */
#define XCR0_X87_SSE 0x3u
#define XCR0_AVX 0x4u
#define XCR0_AVX512 0xe0u
#define CACHE_SUBLEAVES 5u

const struct feature features[] = {
#define FEATURE(name, leaf, subleaf, reg, bit, control, cr4, set) { #name, leaf, subleaf, reg, bit, set },
#include "../../config/features.def"
};
const unsigned feature_count = LENGTH(features);

bool feature_shown(const struct plan_partition *x, const char *name)
{
	for (unsigned i = 0; i < feature_count; i++)
		if (strcmp(features[i].name, name) == 0)
			return x->feature_shown[i];
	return false;
}

static unsigned feature_row(unsigned line, const char *what, const char *name)
{
	const char *names[LENGTH(features)];

	for (unsigned i = 0; i < feature_count; i++)
		names[i] = features[i].name;
	return parse_name(line, what, name, names, feature_count);
}

static void choose_features(const struct plan *plan, unsigned partition)
{
	struct plan_partition *x = &plan->extra[partition];
	const struct in_features *in = x->in->features;

	x->feature_shown = allocate(feature_count * sizeof *x->feature_shown);
	for (unsigned i = 0; i < feature_count; i++)
		x->feature_shown[i] = features[i].set == 0 && x->in->cpus_count > 0; /* a companion needs none */
	for (unsigned i = 0; in != NULL && i < in->show_count; i++) {
		unsigned line = line_of("partitions/%u/features/show/%u", partition, i);
		unsigned row = feature_row(line, "features.show", in->show[i]);
		if (features[row].set == 2)
			fail(line,
			     "features.show: '%s' reaches beyond the partition and is never shown (config/features.def)",
			     in->show[i]);
		x->feature_shown[row] = true;
	}
	for (unsigned i = 0; in != NULL && i < in->hide_count; i++) {
		unsigned line = line_of("partitions/%u/features/hide/%u", partition, i);
		x->feature_shown[feature_row(line, "features.hide", in->hide[i])] = false;
	}
}

/* The feature bits of one register. */
static uint32_t bits(const struct plan_partition *x, uint32_t leaf, uint32_t subleaf, unsigned reg)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < feature_count; i++) {
		const struct feature *f = &features[i];
		if (x->feature_shown[i] && f->leaf == leaf && f->subleaf == subleaf && f->reg == reg)
			mask |= 1u << f->bit;
	}
	return mask;
}

/* A new entry that shows the leaf's feature bits and no more; the caller adds the rest. */
static struct config_cpuid *add(struct config_partition *p, struct plan_partition *x, uint32_t leaf, uint32_t subleaf)
{
	struct config_cpuid *entry;

	x->cpuid = grow(x->cpuid, p->cpuid_count, sizeof *x->cpuid);
	entry = &x->cpuid[p->cpuid_count++];
	*entry = (struct config_cpuid){ .leaf = leaf, .subleaf = subleaf };
	for (unsigned reg = EAX; reg <= EDX; reg++)
		entry->mask[reg] = bits(x, leaf, subleaf, reg);
	return entry;
}

static void show_all(struct config_cpuid *entry)
{
	for (unsigned reg = EAX; reg <= EDX; reg++)
		entry->mask[reg] = ALL;
}

static void put_text(uint32_t *registers, const char *string, size_t size)
{
	memcpy(registers, string, size); /* little-endian, as the host that runs this tool */
}

static void identity_leaves(struct config_partition *p, struct plan_partition *x)
{
	struct config_cpuid *e = add(p, x, 0, 0);

	show_all(e); /* the vendor */
	e->mask[EAX] = 0;
	e->set[EAX] = MAX_BASIC_LEAF;

	e = add(p, x, 1, 0);
	e->mask[EAX] = ALL;                             /* family, model, stepping */
	e->mask[EBX] = 0x0000ffff;                      /* brand index, CLFLUSH size; the core puts in the APIC ID */
	e->set[EBX] = (uint32_t)p->vcpu_count << 16;    /* logical processors in the package */
	e->set[ECX] = 1u << 31;                         /* a hypervisor is there */
	e->set[EDX] = p->vcpu_count > 1 ? 1u << 28 : 0; /* HTT: the count above is valid */

	show_all(add(p, x, 2, 0)); /* cache descriptors */
	for (unsigned i = 0; i < CACHE_SUBLEAVES; i++) {
		e = add(p, x, 4, i);
		show_all(e);
		e->mask[EAX] = 0x00003fff; /* who shares the cache is the neighbours' affair */
	}
	e = add(p, x, 6, 0);
	e->set[EAX] = e->mask[EAX]; /* ARAT: the core denies the sleep states that would stop the timer */
	add(p, x, 7, 0);            /* EAX 0: no further sub-leaf */
}

static void topology_leaf(struct config_partition *p, struct plan_partition *x)
{
	struct config_cpuid *e = add(p, x, 0xb, 0);
	uint32_t shift = 0;

	while (1u << shift < p->vcpu_count)
		shift++;
	e->set[EBX] = 1;     /* one thread a core */
	e->set[ECX] = 0x100; /* level 0: threads */
	e = add(p, x, 0xb, 1);
	e->set[EAX] = shift; /* of the x2APIC ID, to the package */
	e->set[EBX] = p->vcpu_count;
	e->set[ECX] = 0x201; /* level 1: cores */
}

static void xsave_leaf(struct config_partition *p, struct plan_partition *x)
{
	uint32_t components = XCR0_X87_SSE;
	struct config_cpuid *e;

	if (!feature_shown(x, "xsave"))
		return;
	components |= feature_shown(x, "avx") ? XCR0_AVX : 0;
	components |= feature_shown(x, "avx") && feature_shown(x, "avx512f") ? XCR0_AVX512 : 0;
	e = add(p, x, XSAVE_LEAF, 0);
	e->mask[EAX] = components; /* sizes in EBX and ECX are the core's to fill in */
	add(p, x, XSAVE_LEAF, 1);  /* ECX 0: no supervisor component, so XSS stays 0 */
	for (unsigned i = 2; i < XSAVE_COMPONENTS; i++) {
		e = add(p, x, XSAVE_LEAF, i);
		if ((components >> i & 1) != 0)
			show_all(e); /* size and offset of the component */
	}
}

static void extended_leaves(struct config_partition *p, struct plan_partition *x)
{
	struct config_cpuid *e = add(p, x, 0x80000000u, 0);

	e->set[EAX] = 0x80000008u;
	add(p, x, 0x80000001u, 0);
	for (unsigned leaf = 2; leaf <= 4; leaf++)
		show_all(add(p, x, 0x80000000u + leaf, 0)); /* brand string */
	add(p, x, 0x80000006u, 0)->mask[ECX] = ALL;         /* L2 cache */
	add(p, x, 0x80000007u, 0);
	add(p, x, 0x80000008u, 0)->mask[EAX] = 0xffff; /* address sizes */
}

static void hypervisor_leaves(struct config_partition *p, struct plan_partition *x)
{
	struct config_cpuid *e = add(p, x, 0x40000000u, 0);

	/* Linux uses the x2APIC without interrupt remapping only where it knows the hypervisor. */
	e->set[EAX] = 0x40000001u;
	put_text(&e->set[EBX], "KVMKVMKVM\0\0", 12);
	e = add(p, x, 0x40000001u, 0);
	e->set[EAX] = 1u << 7; /* no test-and-set spinlocks */
	e->set[EDX] = 1u << 0; /* vCPUs are never descheduled */
	e = add(p, x, BH_CPUID_LEAF, 0);
	e->set[EAX] = BH_CPUID_LEAF + 1;
	put_text(&e->set[EBX], "Bulkhead    ", 12);
	add(p, x, BH_CPUID_LEAF + 1, 0)->set[EAX] = BH_ABI_VERSION;
}

static void index_range(const struct config_partition *p, const struct plan_partition *x,
                        struct config_cpuid_index *index, unsigned count, uint32_t base)
{
	for (unsigned i = 0; i < p->cpuid_count; i++) {
		uint32_t leaf = x->cpuid[i].leaf - base;
		if (leaf >= count)
			continue;
		if (index[leaf].count++ == 0)
			index[leaf].first = (uint8_t)i;
		/* The leaves that define sub-leaves; the others ignore ECX. */
		index[leaf].any_subleaf = !(base == 0 && (leaf == 4 || leaf == 7 || leaf == 0xb || leaf == XSAVE_LEAF));
	}
}

void cpuid_build(const struct plan *plan, unsigned partition)
{
	struct config_partition *p = &plan->partitions[partition];
	struct plan_partition *x = &plan->extra[partition];

	choose_features(plan, partition);
	identity_leaves(p, x);
	topology_leaf(p, x);
	xsave_leaf(p, x);
	add(p, x, 0x15, 0); /* TSC frequency: the core fills in */
	add(p, x, 0x16, 0);
	extended_leaves(p, x);
	hypervisor_leaves(p, x);
	index_range(p, x, p->basic, CONFIG_CPUID_BASIC, 0);
	index_range(p, x, p->extended, CONFIG_CPUID_EXTENDED, 0x80000000u);
	index_range(p, x, p->hyper, CONFIG_CPUID_HYPER, 0x40000000u);
	index_range(p, x, p->own, CONFIG_CPUID_OWN, BH_CPUID_LEAF);
	p->cpuid = x->cpuid;
}

// SPDX-License-Identifier: Apache-2.0
#include "mmio.h"

#include "core/core.h"
#include "core/cpu.h"
#include "core/lib.h"
#include "core/window.h"
#include "core/x86.h"
#include "companion.h"
#include "cr.h"
#include "exit.h"
#include "linear.h"
#include "pins.h"
#include "vmx.h"
#include "xapic.h"

/* ---- fetching the instruction: through the partition's own maps ---- */

/* The partition's memory, 2 MiB of it in the window: page tables and code are mostly near each other, and in one map. */
struct view {
	uint64_t gpa, hpa, bytes; /* the rest of the map that was looked at last */
	uint64_t shown;           /* host-physical address of what the window shows */
	const uint8_t *at;
	uint16_t partition;
};

/* Where `gpa` is to be seen, to the end of its page, since maps are made of pages; or 0. */
static inline __attribute__((always_inline)) const uint8_t *look(struct view *view, uint64_t gpa)
{
	uint64_t hpa, offset;

	if (gpa - view->gpa >= view->bytes) {
		view->hpa = partition_translate(view->partition, gpa, &view->bytes);
		view->gpa = gpa;
		if (!view->bytes)
			return 0;
	}
	hpa = view->hpa + (gpa - view->gpa);
	offset = hpa & (WINDOW_SLOT_SIZE - 1);
	if (hpa - offset != view->shown) {
		view->shown = hpa - offset;
		view->at = window(0, hpa) - offset;
	}
	return view->at + offset;
}

static int read_number(void *view, uint64_t gpa, uint32_t size, uint64_t *value)
{
	const uint8_t *at = look(view, gpa);

	if (at)
		*value = size == 8 ? *(const volatile uint64_t *)at : *(const volatile uint32_t *)at;
	return at != 0;
}

static struct linear_space current_space(struct view *view)
{
	const uint64_t cr4 = vmread(VMCS_GUEST_CR4);
	struct linear_space space = { .read = read_number, .context = view, .cr3 = vmread(VMCS_GUEST_CR3) };

	if (!(vmread(VMCS_GUEST_CR0) & CR0_PG)) {
		space.paging = LINEAR_NONE;
	} else if (vmread(VMCS_GUEST_EFER) & EFER_LMA) {
		space.paging = LINEAR_4_LEVEL;
	} else if (cr4 & CR4_PAE) {
		space.paging = LINEAR_PAE;
		for (uint32_t i = 0; i < 4; i++)
			space.pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
	} else {
		space.paging = LINEAR_32;
		space.large = (cr4 & CR4_PSE) != 0;
	}
	return space;
}

/* Up to `size` bytes from `linear` to the end of its page. Returns how many: 0 if nothing is there. */
static uint32_t read_page(struct view *view, const struct linear_space *space, uint64_t linear, uint8_t *to,
                          uint32_t size)
{
	const uint32_t left = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	const uint8_t *from;
	uint64_t gpa;

	size = size < left ? size : left;
	if (!linear_translate(space, linear, &gpa) || !(from = look(view, gpa)))
		return 0;
	memcpy(to, from, size);
	return size;
}

/* The instruction at the guest's RIP. What another vCPU has made of it meanwhile is the guest's own affair. */
static int fetch(struct vcpu *vcpu, struct decoded *d)
{
	struct view view = { .shown = 1, .partition = vcpu->partition_index }; /* 1: nothing */
	const struct linear_space space = current_space(&view);
	const uint32_t cs = (uint32_t)vmread(VMCS_GUEST_CS_ACCESS);
	const enum decode_mode mode = space.paging == LINEAR_4_LEVEL && cs & ACCESS_L ? DECODE_64 :
	                              cs & ACCESS_DB                                  ? DECODE_32 :
	                                                                                DECODE_16;
	const uint64_t rip = vmread(VMCS_GUEST_RIP);
	const uint64_t at = mode == DECODE_64 ? rip : (uint32_t)(vmread(VMCS_GUEST_CS_BASE) + rip);
	uint8_t bytes[DECODE_MAX];
	uint32_t n = read_page(&view, &space, at, bytes, DECODE_MAX);

	if (n && n < DECODE_MAX)
		n += read_page(&view, &space, mode == DECODE_64 ? at + n : (uint32_t)(at + n), bytes + n,
		               DECODE_MAX - n);
	window_close();
	return decode(bytes, n, mode, d);
}

/* ---- carrying it out ---- */

static const struct config_mmio *find(const struct config_partition *p, uint64_t gpa)
{
	for (uint32_t i = 0; i < p->mmio_count; i++)
		if (gpa - p->mmio[i].gpa < p->mmio[i].size)
			return &p->mmio[i];
	return 0;
}

static uint64_t get_register(struct vcpu *vcpu, uint32_t reg)
{
	if (reg == DECODE_IMMEDIATE)
		return 0;
	return reg == REG_RSP ? vmread(VMCS_GUEST_RSP) : vcpu->regs[reg];
}

void mmio_finish(struct vcpu *vcpu, const struct decoded *d, uint64_t value)
{
	if (!d->write) {
		value = decode_result(d, get_register(vcpu, d->reg), value);
		if (d->reg == REG_RSP)
			vmwrite(VMCS_GUEST_RSP, value);
		else
			vcpu->regs[d->reg] = value;
#if CONFIG_SCHEDULED_CPUS
		this_cpu->scheduled.reload = 1; /* the exit path gives back RAX, RCX, RDX and RBX only */
#endif
	}
	skip_bytes(d->length);
}

/* A device's registers: `offset` into the range, `value` to write, or to be read. */
static enum mmio_result carry_out(struct vcpu *vcpu, uint32_t kind, uint32_t offset, const struct decoded *d,
                                  uint64_t *value)
{
	switch (kind) {
	case MMIO_LAPIC:
		return CONFIG_XAPIC ? xapic_access(vcpu, offset, d, value) : MMIO_NONE;
	case MMIO_IOAPIC:
		return CONFIG_IOAPICS ? pins_access(vcpu, offset, d, value) : MMIO_NONE;
	default:
		return MMIO_NONE;
	}
}

/* A read or write of data: not a fetch, not by the page walk for another access (SDM Vol. 3C, table 28-7), not in the delivery of an event. */
static int is_plain(uint64_t qualification)
{
	const uint64_t linear = EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATED;

	return !(qualification & EPT_VIOLATION_FETCH) && (qualification & linear) == linear &&
	       !(vmread(VMCS_IDT_VECTORING_INFO) & INTERRUPTION_VALID);
}

int mmio_access(struct vcpu *vcpu, uint64_t qualification)
{
	const uint64_t gpa = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
	const struct config_mmio *range = find(vcpu->partition, gpa);
	struct decoded d;
	uint64_t value;
	enum mmio_result result;

	if (!range || !is_plain(qualification))
		return 0;
	if (cpu_is_scheduled(this_cpu->index) && scheduled_edge_is_near())
		return 1; /* the guest will try again */
	if (!fetch(vcpu, &d) || d.write != ((qualification & EPT_VIOLATION_WRITE) != 0) ||
	    range->size - (gpa - range->gpa) < d.size)
		return 0;
	value = d.write ? decode_source(&d, get_register(vcpu, d.reg)) : 0;
	if (CONFIG_COMPANIONS && range->kind == MMIO_COMPANION) {
		companion_mmio(vcpu, gpa, &d, value);
		return 1;
	}
	result = carry_out(vcpu, range->kind, (uint32_t)(gpa - range->gpa), &d, &value);
	if (result == MMIO_DONE)
		mmio_finish(vcpu, &d, value);
	return result != MMIO_NONE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A partition's MSRs, ports, hypercalls and error actions: the defaults, which are what Debian's Linux 6.1 needs of
 * its platform and no more, with the file's own entries laid over them.
 */
#include "mkconfig.h"
#include "../../hypercall/abi.h"

#include <stdlib.h>
#include <string.h>

const char *const kind_names[MSR_KIND_COUNT] = {
	[MSR_DENY] = "deny",         [MSR_PASS] = "pass",         [MSR_VALUE] = "value",
	[MSR_SHADOW] = "shadow",     [MSR_REAL] = "real",         [MSR_APIC_BASE] = "apic_base",
	[MSR_APIC_ID] = "apic_id",   [MSR_APIC_LDR] = "apic_ldr", [MSR_APIC_ICR] = "apic_icr",
	[MSR_APIC_SVR] = "apic_svr", [MSR_XSS] = "xss",
};
const char *const port_names[PORT_KIND_COUNT] = {
	[PORT_NONE] = "none",   [PORT_PASS] = "pass",           [PORT_UART] = "uart", [PORT_SLEEP] = "sleep",
	[PORT_RESET] = "reset", [PORT_COMPANION] = "companion", [PORT_PCI] = "pci",
};
const char *const action_names[ACTION_COUNT] = {
	[ACTION_IGNORE] = "ignore",
	[ACTION_INJECT] = "inject",
	[ACTION_RECORD] = "record",
	[ACTION_MONITOR] = "monitor",
	[ACTION_SCHEDULE] = "switch_schedule",
	[ACTION_RESTART] = "restart",
	[ACTION_FAILOVER] = "failover",
	[ACTION_STOP] = "stop",
	[ACTION_HALT_MACHINE] = "halt_machine",
};

/* A right's name in the file, and the calls that it brings. */
const char *const hypercall_names[] = { "version", "console", "counters", "stop", "audit", "raise_error" };
const unsigned hypercall_name_count = LENGTH(hypercall_names);
static const uint64_t hypercall_bits[LENGTH(hypercall_names)] = {
	1ull << BH_VERSION, 1ull << BH_CONSOLE_WRITE | 1ull << BH_CONSOLE_READ,
	1ull << BH_COUNTER, 1ull << BH_STOP,
	1ull << BH_AUDIT,   1ull << BH_RAISE_ERROR,
};

#define MISC_FAST_STRINGS 1u
#define LVT_MASKED 0x10000u
#define LVT_LINT_BITS 0x1a7ffu /* vector, delivery mode, polarity, trigger, mask */
#define LVT_BITS 0x107ffu      /* vector, delivery mode, mask */
#define FEATURE_CONTROL_LOCKED 1u
#define MICROCODE_REVISION 0xffffffff00000000ull
/* ARCH_CAPABILITIES: the bits that say "not affected" or "a plain instruction does it"; those that announce another
 * MSR stay hidden: 7 TSX_CTRL, 9, 10, 11, 12, 18 MCU_OPT_CTRL, 21, 22, 23. */
#define ARCH_CAPABILITIES_SHOWN 0x0d1ae17full

/* One row of the defaults. The names serve the printed lists, too. */
/* clang-format off */
static const struct msr_default {
	uint32_t first, last;
	const char *name;
	uint8_t read, write;
	uint64_t value, mask;
	const char *feature; /* only where this one is shown; NULL: always */
} msr_defaults[] = {
	{0x10, 0x10, "TIME_STAMP_COUNTER", MSR_PASS, MSR_VALUE, 0, 0, NULL},
	{0x17, 0x17, "PLATFORM_ID", MSR_VALUE, MSR_DENY, 0, 0, NULL},
	{0x1b, 0x1b, "APIC_BASE", MSR_APIC_BASE, MSR_APIC_BASE, 0, 0, NULL},
	{0x3a, 0x3a, "FEATURE_CONTROL", MSR_VALUE, MSR_DENY, FEATURE_CONTROL_LOCKED, 0, NULL},
	{0x48, 0x48, "SPEC_CTRL", MSR_PASS, MSR_PASS, 0, 0, "spec_ctrl"},
	{0x49, 0x49, "PRED_CMD", MSR_DENY, MSR_PASS, 0, 0, "spec_ctrl"},
	{0x79, 0x79, "BIOS_UPDT_TRIG", MSR_DENY, MSR_VALUE, 0, 0, NULL},
	{0x8b, 0x8b, "BIOS_SIGN_ID", MSR_REAL, MSR_REAL, 0, MICROCODE_REVISION, NULL},
	{0xfe, 0xfe, "MTRRCAP", MSR_VALUE, MSR_DENY, 0, 0, NULL},
	{0x10a, 0x10a, "ARCH_CAPABILITIES", MSR_REAL, MSR_DENY, 0, ARCH_CAPABILITIES_SHOWN, "arch_capabilities"},
	{0x174, 0x176, "SYSENTER_CS to EIP", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x179, 0x179, "MCG_CAP", MSR_VALUE, MSR_DENY, 0, 0, NULL},
	{0x17a, 0x17a, "MCG_STATUS", MSR_VALUE, MSR_VALUE, 0, 0, NULL},
	{0x1a0, 0x1a0, "MISC_ENABLE", MSR_SHADOW, MSR_SHADOW, MISC_FAST_STRINGS, MISC_FAST_STRINGS, NULL},
	{0x1d9, 0x1d9, "DEBUGCTL", MSR_VALUE, MSR_VALUE, 0, 0, NULL},
	{0x277, 0x277, "PAT", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x6e0, 0x6e0, "TSC_DEADLINE", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x802, 0x802, "x2APIC ID", MSR_APIC_ID, MSR_DENY, 0, 0, NULL},
	{0x803, 0x803, "x2APIC version", MSR_PASS, MSR_DENY, 0, 0, NULL},
	{0x808, 0x808, "x2APIC TPR", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x80a, 0x80a, "x2APIC PPR", MSR_PASS, MSR_DENY, 0, 0, NULL},
	{0x80b, 0x80b, "x2APIC EOI", MSR_DENY, MSR_PASS, 0, 0, NULL},
	{0x80d, 0x80d, "x2APIC LDR", MSR_APIC_LDR, MSR_DENY, 0, 0, NULL},
	{0x80f, 0x80f, "x2APIC SVR", MSR_APIC_SVR, MSR_APIC_SVR, 0, 0, NULL},
	{0x810, 0x827, "x2APIC ISR, TMR, IRR", MSR_PASS, MSR_DENY, 0, 0, NULL},
	{0x828, 0x828, "x2APIC ESR", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x82f, 0x82f, "x2APIC LVT CMCI", MSR_SHADOW, MSR_SHADOW, LVT_MASKED, LVT_BITS, NULL},
	{0x830, 0x830, "x2APIC ICR", MSR_APIC_ICR, MSR_APIC_ICR, 0, 0, NULL},
	{0x832, 0x832, "x2APIC LVT timer", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x833, 0x834, "x2APIC LVT thermal, PMC", MSR_SHADOW, MSR_SHADOW, LVT_MASKED, LVT_BITS, NULL},
	{0x835, 0x836, "x2APIC LVT LINT0, LINT1", MSR_SHADOW, MSR_SHADOW, LVT_MASKED, LVT_LINT_BITS, NULL},
	{0x837, 0x837, "x2APIC LVT error", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x838, 0x838, "x2APIC timer initial count", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x839, 0x839, "x2APIC timer current count", MSR_PASS, MSR_DENY, 0, 0, NULL},
	{0x83e, 0x83e, "x2APIC timer divide", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0x83f, 0x83f, "x2APIC self IPI", MSR_DENY, MSR_PASS, 0, 0, NULL},
	{0xda0, 0xda0, "XSS", MSR_XSS, MSR_XSS, 0, 0, "xsaves"},
	{0xc0000080, 0xc0000080, "EFER", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0xc0000081, 0xc0000084, "STAR, LSTAR, CSTAR, FMASK", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0xc0000100, 0xc0000102, "FS, GS, kernel GS base", MSR_PASS, MSR_PASS, 0, 0, NULL},
	{0xc0000103, 0xc0000103, "TSC_AUX", MSR_PASS, MSR_PASS, 0, 0, "rdtscp"},
};
/* clang-format on */

/* What a Linux kernel tries, and can do without: 0 says no more than a #GP would, and a plain boot reports nothing forbidden. */
static const struct msr_default linux_msrs[] = {
	{ 0x34, 0x34, "SMI_COUNT", MSR_VALUE, MSR_DENY, 0, 0, NULL },
	{ 0x4e, 0x4e, "PPIN_CTL", MSR_VALUE, MSR_DENY, 1, 0, NULL }, /* locked: no serial number */
	{ 0xce, 0xce, "PLATFORM_INFO", MSR_VALUE, MSR_DENY, 0, 0, NULL },
	{ 0x140, 0x140, "MISC_FEATURES_ENABLES", MSR_VALUE, MSR_VALUE, 0, 0, NULL },
	{ 0x64e, 0x64e, "PPERF", MSR_VALUE, MSR_DENY, 0, 0, NULL },
	{ 0xc0011029, 0xc0011029, "AMD's DE_CFG", MSR_VALUE, MSR_DENY, 0, 0, NULL },
};

#define ACPI_SLEEP_PORT 0x600u
#define ACPI_STATUS_PORT 0x601u
#define ACPI_RESET_PORT 0x604u
#define GUEST_UART_PORT 0x3f8u

/* What Linux's ACPI tables and its console name (acpi.c, config/acpi/dsdt.asl), and what it probes at each boot: super I/O, clock,
 * DMA, further UARTs, interrupt trigger modes (ELCR), PCI configuration (but for the reset register between). */
static const struct config_port linux_ports[] = {
	{ 0x2e, 0x2f, PORT_NONE },
	{ 0x4e, 0x4f, PORT_NONE },
	{ 0x70, 0x71, PORT_NONE },
	{ 0x87, 0x87, PORT_NONE },
	{ 0x2e8, 0x2ef, PORT_NONE },
	{ 0x2f8, 0x2ff, PORT_NONE },
	{ 0x3e8, 0x3ef, PORT_NONE },
	{ 0x4d0, 0x4d1, PORT_NONE },
	{ 0xcf8, 0xcf8, PORT_NONE },
	{ 0xcfa, 0xcff, PORT_NONE },
	{ GUEST_UART_PORT, GUEST_UART_PORT + 7, PORT_UART },
	{ ACPI_SLEEP_PORT, ACPI_SLEEP_PORT, PORT_SLEEP },
	{ ACPI_STATUS_PORT, ACPI_STATUS_PORT, PORT_NONE },
	{ ACPI_RESET_PORT, ACPI_RESET_PORT, PORT_RESET },
};

static const struct msr_default *default_of(const struct msr_default *list, size_t count, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < count; i++)
		if (first >= list[i].first && last <= list[i].last)
			return &list[i];
	return NULL;
}

const char *msr_name(uint32_t first, uint32_t last)
{
	const struct msr_default *d = default_of(msr_defaults, LENGTH(msr_defaults), first, last);

	if (d == NULL)
		d = default_of(linux_msrs, LENGTH(linux_msrs), first, last);
	return d == NULL ? NULL : d->name;
}

/* A rule over a run of MSRs or ports, on its way into the tables. */
struct rule {
	uint32_t first, last;
	uint8_t read, write; /* a port's kind is in read */
	uint64_t value, mask;
	unsigned origin; /* index in the file's list, or ORIGIN_DEFAULT */
};

struct rules {
	struct rule *list;
	unsigned count;
	const char *what; /* "msrs" or "ports" */
};

static void push(struct rules *rules, struct rule rule)
{
	rules->list = grow(rules->list, rules->count, sizeof *rules->list);
	rules->list[rules->count++] = rule;
}

/* Lay `rule` over the list: defaults give way, in part if need be; another of the file's own entries is an error. */
static void lay_over(struct rules *rules, struct rule rule, unsigned partition)
{
	struct rules result = { .what = rules->what };

	for (unsigned i = 0; i < rules->count; i++) {
		struct rule left = rules->list[i], right = left;
		const bool own = strcmp(rules->what, "companion/ports") == 0 && left.read != PORT_COMPANION;
		const char *other = own ? "ports" : rules->what;
		if (rule.first > left.last || left.first > rule.last) {
			push(&result, left);
			continue;
		}
		if (left.origin != ORIGIN_DEFAULT)
			fail(line_of("partitions/%u/%s/%u", partition, rules->what, rule.origin),
			     "%s 0x%x-0x%x overlap 0x%x-0x%x on line %u", rules->what, rule.first, rule.last,
			     left.first, left.last, line_of("partitions/%u/%s/%u", partition, other, left.origin));
		left.last = rule.first - 1;
		right.first = rule.last + 1;
		if (rules->list[i].first < rule.first)
			push(&result, left);
		if (rules->list[i].last > rule.last)
			push(&result, right);
	}
	push(&result, rule);
	free(rules->list);
	*rules = result;
}

static int by_first(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The kinds the file may name: those from MSR_REAL on are the core's. */
static uint8_t msr_kind(unsigned line, const char *what, const char *name)
{
	return (uint8_t)parse_name(line, what, name, kind_names, MSR_REAL);
}

static struct rule msr_rule(unsigned partition, unsigned index, const struct in_msr *in)
{
	struct rule rule = { .origin = index, .mask = UINT64_MAX };
	unsigned line = line_of("partitions/%u/msrs/%u/msrs", partition, index);

	parse_range(line, "msrs", in->msrs, UINT32_MAX, &rule.first, &rule.last);
	rule.read = msr_kind(line_of("partitions/%u/msrs/%u/read", partition, index), "read", in->read);
	rule.write = msr_kind(line_of("partitions/%u/msrs/%u/write", partition, index), "write", in->write);
	if (in->value != NULL)
		rule.value = parse_number(line_of("partitions/%u/msrs/%u/value", partition, index), "value", in->value,
		                          0, UINT64_MAX);
	if (in->mask != NULL)
		rule.mask = parse_number(line_of("partitions/%u/msrs/%u/mask", partition, index), "mask", in->mask, 0,
		                         UINT64_MAX);
	if (rule.read == MSR_PASS || rule.read == MSR_VALUE || rule.read == MSR_DENY)
		rule.mask = 0;
	return rule;
}

static void push_defaults(struct rules *rules, const struct plan_partition *x, const struct msr_default *list,
                          size_t count)
{
	for (const struct msr_default *d = list; d < list + count; d++)
		if (d->feature == NULL || feature_shown(x, d->feature))
			push(rules,
			     (struct rule){ d->first, d->last, d->read, d->write, d->value, d->mask, ORIGIN_DEFAULT });
}

static void build_msrs(const struct plan *plan, unsigned partition)
{
	struct config_partition *p = &plan->partitions[partition];
	struct plan_partition *x = &plan->extra[partition];
	struct rules rules = { .what = "msrs" };
	unsigned shadow = 0;

	if (x->in->cpus_count == 0)
		return; /* a companion has no MSRs */
	push_defaults(&rules, x, msr_defaults, LENGTH(msr_defaults));
	if (x->in->boot->linux != NULL)
		push_defaults(&rules, x, linux_msrs, LENGTH(linux_msrs));
	for (unsigned i = 0; i < x->in->msrs_count; i++)
		lay_over(&rules, msr_rule(partition, i, &x->in->msrs[i]), partition);
	qsort(rules.list, rules.count, sizeof *rules.list, by_first);
	x->msrs = allocate(rules.count * sizeof *x->msrs);
	x->msr_origin = allocate(rules.count * sizeof *x->msr_origin);
	for (unsigned i = 0; i < rules.count; i++) {
		const struct rule *r = &rules.list[i];
		bool shadowed = r->read == MSR_SHADOW || r->write == MSR_SHADOW;
		if (shadowed && r->last - r->first >= UINT8_MAX - shadow)
			fail(line_of("partitions/%u/msrs/%u", partition, r->origin),
			     "msrs 0x%x-0x%x: a partition has at most %u shadowed MSRs", r->first, r->last, UINT8_MAX);
		x->msr_origin[i] = r->origin;
		x->msrs[i] = (struct config_msr){ .first = r->first,
			                          .last = r->last,
			                          .read = r->read,
			                          .write = r->write,
			                          .shadow = (uint8_t)(shadowed ? shadow : 0),
			                          .value = r->value,
			                          .mask = r->mask };
		shadow += shadowed ? r->last - r->first + 1 : 0;
	}
	p->msrs = x->msrs;
	p->msr_count = (uint16_t)rules.count;
}

static void lay_companion_ports(struct rules *rules, const struct plan_partition *x, unsigned partition)
{
	rules->what = "companion/ports";
	for (unsigned i = 0; x->in->companion != NULL && i < x->in->companion->ports_count; i++) {
		struct rule rule = { .read = PORT_COMPANION, .origin = i };
		parse_range(line_of("partitions/%u/companion/ports/%u", partition, i), "ports",
		            x->in->companion->ports[i], UINT16_MAX, &rule.first, &rule.last);
		lay_over(rules, rule, partition);
	}
}

/* Of its devices: the ports of their BARs, straight to them, and the way to their configuration spaces. */
static void lay_pci_ports(struct rules *rules, const struct plan *plan, unsigned partition)
{
	static const struct rule address = { .first = 0xcf8, .last = 0xcf8, .read = PORT_PCI },
				 data = { .first = 0xcfc, .last = 0xcff, .read = PORT_PCI };

	rules->what = "devices";
	for (unsigned i = 0; i < plan->config.device_count; i++) {
		const struct config_device *d = &plan->devices[i];
		for (unsigned j = 0; d->partition == partition && j < CONFIG_BARS; j++)
			if (d->bars[j].size != 0 && d->bars[j].io)
				lay_over(rules,
				         (struct rule){ .first = (uint32_t)d->bars[j].hpa,
				                        .last = (uint32_t)(d->bars[j].hpa + d->bars[j].size - 1),
				                        .read = PORT_PASS,
				                        .origin = plan->device_origin[i] },
				         partition);
	}
	if (plan->extra[partition].in->devices_count > 0) {
		lay_over(rules, address, partition);
		lay_over(rules, data, partition);
	}
}

static void build_ports(const struct plan *plan, unsigned partition)
{
	struct config_partition *p = &plan->partitions[partition];
	struct plan_partition *x = &plan->extra[partition];
	struct rules rules = { .what = "ports" };

	for (size_t i = 0; x->in->boot->linux != NULL && i < LENGTH(linux_ports); i++)
		push(&rules, (struct rule){ .first = linux_ports[i].first,
		                            .last = linux_ports[i].last,
		                            .read = linux_ports[i].kind,
		                            .origin = ORIGIN_DEFAULT });
	for (unsigned i = 0; i < x->in->ports_count; i++) {
		const struct in_port *in = &x->in->ports[i];
		struct rule rule = { .origin = i };
		parse_range(line_of("partitions/%u/ports/%u/ports", partition, i), "ports", in->ports, UINT16_MAX,
		            &rule.first, &rule.last);
		rule.read = (uint8_t)parse_name(line_of("partitions/%u/ports/%u/as", partition, i), "as", in->as,
		                                port_names, PORT_PASS + 1);
		lay_over(&rules, rule, partition);
	}
	lay_companion_ports(&rules, x, partition);
	lay_pci_ports(&rules, plan, partition);
	if (rules.count == 0)
		return;
	qsort(rules.list, rules.count, sizeof *rules.list, by_first);
	x->ports = allocate(rules.count * sizeof *x->ports);
	x->port_origin = allocate(rules.count * sizeof *x->port_origin);
	for (unsigned i = 0; i < rules.count; i++) {
		const struct rule *r = &rules.list[i];
		x->port_origin[i] = r->origin;
		x->ports[i] = (struct config_port){ (uint16_t)r->first, (uint16_t)r->last, r->read };
	}
	p->ports = x->ports;
	p->port_count = (uint16_t)rules.count;
}

static void build_hypercalls(const struct plan *plan, unsigned partition)
{
	struct config_partition *p = &plan->partitions[partition];
	const struct in_partition *in = plan->extra[partition].in;

	if (in->cpus_count == 0)
		p->hypercalls = 1ull << BH_VERSION | 1ull << BH_COUNTER;
	for (unsigned i = 0; i < in->hypercalls_count; i++)
		p->hypercalls |=
			hypercall_bits[parse_name(line_of("partitions/%u/hypercalls/%u", partition, i), "hypercalls",
		                                  in->hypercalls[i], hypercall_names, hypercall_name_count)];
	if ((p->hypercalls >> BH_AUDIT & 1) != 0 && plan->in->audit == NULL)
		fail(line_of("partitions/%u/hypercalls", partition),
		     "hypercalls: 'audit' needs the key 'audit' of the file");
	if (parse_truth(line_of("partitions/%u/hypercalls_from_user", partition), "hypercalls_from_user",
	                in->hypercalls_from_user))
		p->flags |= PARTITION_CPL3_HYPERCALLS;
	if (parse_truth(line_of("partitions/%u/set_schedule", partition), "set_schedule", in->set_schedule))
		p->hypercalls |= 1ull << BH_SET_SCHEDULE;
	if ((p->hypercalls >> BH_SET_SCHEDULE & 1) != 0 && plan->config.schedule_count == 0)
		fail(line_of("partitions/%u/set_schedule", partition), "set_schedule: there are no schedules");
}

static void build_actions(const struct plan *plan, unsigned partition)
{
	static const uint8_t defaults[ERROR_CLASS_COUNT] = {
		[ERROR_TRIPLE_FAULT] = ACTION_STOP,  [ERROR_MEMORY] = ACTION_STOP,
		[ERROR_MSR] = ACTION_INJECT,         [ERROR_PORT] = ACTION_IGNORE,
		[ERROR_INSTRUCTION] = ACTION_INJECT, [ERROR_INTERRUPT] = ACTION_INJECT,
		[ERROR_EXIT] = ACTION_STOP,          [ERROR_PAYLOAD] = ACTION_STOP,
		[ERROR_COMPANION] = ACTION_STOP,     [ERROR_OVERRUN] = ACTION_IGNORE,
		[ERROR_SILENCE] = ACTION_STOP,       [ERROR_APPLICATION] = ACTION_IGNORE,
		[ERROR_SEAL] = ACTION_INJECT,        [ERROR_WINDOW] = ACTION_IGNORE,
	};
	const struct in_errors *in = plan->extra[partition].in->on_error;

	for (unsigned i = 0; i < ERROR_CLASS_COUNT; i++) {
		uint8_t *action = &plan->partitions[partition].action[i];
		*action = defaults[i];
		if (in != NULL && in->action[i] != NULL)
			*action = (uint8_t)parse_name(line_of("partitions/%u/on_error/%s", partition, error_names[i]),
			                              error_names[i], in->action[i], action_names, ACTION_COUNT);
	}
}

void rights_build(const struct plan *plan, unsigned partition)
{
	build_msrs(plan, partition);
	build_ports(plan, partition);
	build_hypercalls(plan, partition);
	build_actions(plan, partition);
}

// SPDX-License-Identifier: Apache-2.0
/* Hypercalls: abi.h says what each does, the partition's table which of them it may make. */
#include "abi.h"
#include "core/audit.h"
#include "core/console.h"
#include "core/core.h"
#include "core/cpu.h"
#include "calls.h"
#include "vmx/exit.h"
#include "vmx/vmx.h"

#define TAKEN_AT_ONCE 12u /* console bytes: what the longest stay in root mode has room for */

static int64_t call_version(struct vcpu *vcpu)
{
	(void)vcpu;
	return BH_ABI_VERSION;
}

static int64_t call_console_write(struct vcpu *vcpu)
{
	static const uint8_t word[] = { REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9 };
	const uint64_t length = vcpu->regs[REG_RDI];
	uint32_t taken = 0;

	if (length < 1 || length > sizeof word * 8)
		return BH_EINVAL;
	while (taken < length && taken < TAKEN_AT_ONCE &&
	       console_put(vcpu->partition_index, (uint8_t)(vcpu->regs[word[taken / 8]] >> taken % 8 * 8)))
		taken++;
	console_follow_up(vcpu);
	return taken ? (int64_t)taken : BH_EAGAIN;
}

static int64_t call_console_read(struct vcpu *vcpu)
{
	int byte;

	console_pump();
	byte = console_get(vcpu->partition_index);
	return byte < 0 ? BH_EAGAIN : byte;
}

static int64_t call_counter(struct vcpu *vcpu)
{
	const uint64_t which = vcpu->regs[REG_RDI];
	uint64_t sum = 0;

	switch (which) {
	case BH_COUNTER_EXITS:
		return (int64_t)vcpu_exits(vcpu);
	case BH_COUNTER_WORST:
		return (int64_t)vcpu->worst;
	case BH_COUNTER_FORBIDDEN:
		for (uint32_t i = 0; i < ERROR_CLASS_COUNT; i++)
			sum += vcpu->forbidden[i];
		return (int64_t)sum;
	case BH_COUNTER_TSC_KHZ:
		return (int64_t)tsc_khz;
	case BH_COUNTER_START_TSC:
		return (int64_t)vcpu->entered;
	case BH_COUNTER_LOADER_TSC:
		return (int64_t)handoff.tsc_loader_start;
	case BH_COUNTER_SCHEDULE:
		return CONFIG_SCHEDULED_CPUS ? timeplan_schedule() : 0;
	default:
		if (cpu_is_scheduled(this_cpu->index) &&
		    which - BH_COUNTER_USED <= BH_COUNTER_SWITCH_MAX - BH_COUNTER_USED)
			return scheduled_counter(vcpu, which);
		return which - BH_COUNTER_REASON < EXIT_REASONS_COUNTED ?
		               (int64_t)vcpu->count[which - BH_COUNTER_REASON] :
		               BH_EINVAL;
	}
}

static int64_t call_stop(struct vcpu *vcpu)
{
	if (vcpu->regs[REG_RDI] > 255)
		return BH_EINVAL;
	audit(AUDIT_SAFETY, AUDIT_END, vcpu->partition_index, (uint32_t)vcpu->regs[REG_RDI], 0);
	vcpu_stop(vcpu, vcpu->regs[REG_RDI] ? "by its own call, with a code that is not 0" : "by its own call");
}

static int64_t call_set_schedule(struct vcpu *vcpu)
{
	return vcpu->regs[REG_RDI] < CONFIG_SCHEDULES ? timeplan_request((uint32_t)vcpu->regs[REG_RDI]) : BH_EINVAL;
}

static int64_t call_audit(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RDI];

	if (number > UINT32_MAX)
		return BH_EINVAL;
	return audit(AUDIT_USER, AUDIT_NOTE, vcpu->partition_index, (uint32_t)number, vcpu->regs[REG_RSI]) ? 0 :
	                                                                                                     BH_EAGAIN;
}

static hypercall_handler *const calls[BH_CALL_COUNT] = {
	[BH_VERSION] = call_version,
	[BH_CONSOLE_WRITE] = call_console_write,
	[BH_CONSOLE_READ] = call_console_read,
	[BH_COUNTER] = call_counter,
	[BH_STOP] = call_stop,
	[BH_SET_SCHEDULE] = CONFIG_SCHEDULED_CPUS ? call_set_schedule : 0,
	[BH_PORT_SEND] = CONFIG_CHANNELS ? call_port_send : 0,
	[BH_PORT_RECEIVE] = CONFIG_CHANNELS ? call_port_receive : 0,
	[BH_PORT_STATUS] = CONFIG_CHANNELS ? call_port_status : 0,
	[BH_RING] = CONFIG_DOORBELLS ? call_ring : 0,
	[BH_PARTITION_STATUS] = CONFIG_HEALTH ? call_health : 0,
	[BH_PARTITION_STOP] = CONFIG_HEALTH ? call_health : 0,
	[BH_PARTITION_START] = CONFIG_HEALTH ? call_health : 0,
	[BH_PARTITION_RESET] = CONFIG_HEALTH ? call_health : 0,
	[BH_HEARTBEAT] = CONFIG_HEALTH ? call_health : 0,
	[BH_RAISE_ERROR] = CONFIG_HEALTH ? call_health : 0,
	[BH_SEAL] = CONFIG_HEALTH ? call_health : 0,
	[BH_EVENTS] = CONFIG_HEALTH ? call_health : 0,
	[BH_AUDIT] = CONFIG_AUDIT_ENTRIES ? call_audit : 0,
};

/* No entry that is 0 is called: nobody has the right then (RULE_HYPERCALL). The caller's privilege level is the DPL of SS (SDM Vol. 3C, 25.4.1). */
void exit_vmcall(struct vcpu *vcpu)
{
	const uint64_t number = vcpu->regs[REG_RAX];
	int64_t result;

	if (vmread(VMCS_GUEST_SS_ACCESS) & ACCESS_DPL && !(vcpu->partition->flags & PARTITION_CPL3_HYPERCALLS))
		result = BH_EPERM;
	else if (number >= BH_CALL_COUNT || !(vcpu->partition->hypercalls >> number & 1))
		result = BH_ENOCALL;
	else
		result = calls[number](vcpu);
	if (CONFIG_AUDIT_ENTRIES && (result == BH_EPERM || result == BH_ENOCALL))
		audit(AUDIT_SECURITY, AUDIT_REFUSED, vcpu->partition_index, (uint32_t)number, vmread(VMCS_GUEST_RIP));
	vcpu->regs[REG_RAX] = (uint64_t)result;
	skip_instruction();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The seam at which vmx/ and hypercall/ run on the host: included before everything else (-include), it puts functions of
 * tests/host/seam.c in the place of privileged instructions and moves the per-CPU block to an address that a program may
 * have. No source of the product knows of it, but for vmread() and vmwrite() (vmx/vmx.h), which tests/auditor records.
 */
#ifndef TESTS_HOST_SEAM_H
#define TESTS_HOST_SEAM_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/auditor/vmcs.h"

/* The real instructions get other names and are never called. */
#define cpuid hardware_cpuid
#define rdtsc hardware_rdtsc
#define rdmsr hardware_rdmsr
#define wrmsr hardware_wrmsr
#define read_cr0 hardware_read_cr0
#define read_cr2 hardware_read_cr2
#define read_cr3 hardware_read_cr3
#define read_cr4 hardware_read_cr4
#define write_cr0 hardware_write_cr0
#define write_cr4 hardware_write_cr4
#define read_dr6 hardware_read_dr6
#define write_dr6 hardware_write_dr6
#define xsetbv0 hardware_xsetbv0
#include "core/x86.h"
#undef cpuid
#undef rdtsc
#undef rdmsr
#undef wrmsr
#undef read_cr0
#undef read_cr2
#undef read_cr3
#undef read_cr4
#undef write_cr0
#undef write_cr4
#undef read_dr6
#undef write_dr6
#undef xsetbv0
struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t rdtsc(void);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
uint64_t read_cr0(void);
uint64_t read_cr2(void);
uint64_t read_cr3(void);
uint64_t read_cr4(void);
void write_cr0(uint64_t value);
void write_cr4(uint64_t value);
uint64_t read_dr6(void);
void write_dr6(uint64_t value);
void xsetbv0(uint64_t value);

#include "boot/handoff.h"
#undef PERCPU_BASE
#define PERCPU_BASE 0x200000000000ull /* and CORE_MEMORY_BASE with it */

#include "config/config.h"
#include "core/cpu.h"
#include "tests/auditor/auditor.h"
#include "vmx/exit.h"

#define SEAM_CPU_HPA 0x10000000ull   /* cpu.hpa of the fake CPU */
#define SEAM_AUDIT_HPA 0x50000000ull /* of the memory `audit` */

/* A CPU model: what its capability MSRs and CPUID say. */
struct seam_model {
	const char *name;
	struct vmx_caps caps;
	uint32_t c1_ecx, c1_edx, c7_ebx, c7_ecx, c7_edx, cd_xcr0, cd1_eax, ext_ecx, ext_edx, max_leaf;
	uint64_t arch_capabilities; /* if CPUID.7:EDX[29] */
};
extern const struct seam_model seam_models[];
#define SEAM_MODELS 3u

/* How a call came back. */
enum seam_end { END_RETURNED, END_SLEEP, END_LAUNCH, END_RESUME, END_PANIC };

#define SEAM_CPU_SCHEDULED \
	4u /* of config.cpus, with slots "pair" 0, "pair" 1, "single"; "pair" 2 lives on the next one */
#define SEAM_MSR_LOG 64u
struct seam {
	struct seam_model model; /* may be changed by a test */
	struct vmcs_image vmcs;
	struct vmcs_image scheduled_vmcs[CONFIG_VCPUS_PER_CPU + 1]; /* by slot; the last is the idle vCPU's */
	uint64_t cr0, cr4, dr6, xcr0, feature_control, tsc;
	struct {
		uint32_t msr;
		uint64_t value;
	} written[SEAM_MSR_LOG]; /* the last WRMSRs */
	uint32_t wrmsr_count, invvpid_count, vmxon_count;
	uint32_t masked; /* inputs of the machine's I/O APIC, by index of config.interrupts */
	uint32_t attention_count, flush_count, switch_count;
	uint64_t smis;                /* what smi_count() returns */
	uint64_t tsc_step;            /* RDTSC takes that long */
	void (*on_instruction)(void); /* before VMREAD, VMWRITE, VMPTRLD, RDTSC, WRMSR: what comes in between */
	uint64_t kicked;              /* bit n: CPU n, by NMI */
	char text[4096];              /* what print() and panic() said */
	uint8_t out[256];             /* console output of the partition */
	uint32_t out_count, room;
	const char *in;                        /* console input to come, or 0 */
	int pump_left;                         /* what console_pump() returns */
	_Alignas(64) uint8_t guest_page[4096]; /* what window() shows */
	enum seam_end end;
	jmp_buf back;
	struct config_partition partition; /* the vCPU's, writable */
};
extern struct seam seam;
extern const struct config_port seam_ports[6];

/* A machine of that model, vCPU `index` of partition `many` set up on it; seam_ports are its ports. */
struct vcpu *seam_start(const struct seam_model *model, uint16_t index);

/* Is it one of the VMX capability MSRs, on the model? */
int seam_capability_msr(uint32_t msr, uint64_t *value);

/* VMPTRLD on a scheduled CPU. */
int seam_load_scheduled(uint64_t phys);

/* The same without vcpu_init(). */
void seam_reset(const struct seam_model *model);

/* CPU `cpu`, which is a scheduled one, with its vCPUs, frames from TSC 1000000 on: on the way into its first guest. The clock
 * stands still but for the test. */
void seam_start_scheduled(uint32_t cpu);
extern enum apicv seam_apicv; /* what its CPU offers at most */

/* Put a value into a VMCS field as the CPU does on an exit, read-only fields included. */
void seam_set(uint32_t field, uint64_t value);
uint64_t seam_get(uint32_t field);

/* As if the guest had run into an exit: an instruction of 2 bytes at RIP 1000h. Gives how the handler came back. */
enum seam_end seam_exit(struct vcpu *vcpu, uint32_t reason, uint64_t qualification);

/* What the guest finds on its next entry. */
int seam_skipped(void);                        /* behind the instruction, no event */
int seam_injects(uint32_t vector);             /* an exception, RIP as it was */
uint64_t seam_result(const struct vcpu *vcpu); /* EDX:EAX */

/* The last WRMSR to `msr`, or ~0 if there was none. */
uint64_t seam_written(uint32_t msr);

/* Makes a call that may not come back, and tells how it ended. */
enum seam_end seam_run(void (*call)(void *), void *argument);

#endif

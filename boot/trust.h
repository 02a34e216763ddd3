// SPDX-License-Identifier: Apache-2.0
/*
 * What the loader has found out about trust, and leaves to the core for its boot report. Only in configurations with the key
 * `trust`. docs/trust.md says which PCR holds what, and why.
 */
#ifndef BOOT_TRUST_H
#define BOOT_TRUST_H

#include <stdint.h>

/* Behind what GRUB (8, 9), Linux' IMA (10) and shim (14) use, and with the meaning that the Linux TPM PCR registry gives them:
 * 11 what is run, 12 how it is configured, 13 what it carries. Never 17 to 22: one extend of these makes EDK2 drop the TPM. */
#define PCR_CORE 11u
#define PCR_CONFIG 12u
#define PCR_PAYLOADS 13u

/* What a late launch needs and may be missing; bit n of txt_lacks is line n. MLE Software Development Guide, 1.8 and App. B. */
enum txt_need { TXT_SMX, TXT_CHIPSET, TXT_SENTER, TXT_FEATURE_CONTROL, TXT_RESET, TXT_SINIT, TXT_TPM, TXT_NEEDS };
#define TXT_NEED_TEXTS                                                                                              \
	{                                                                                                           \
		"SMX (CPUID.1:ECX[6])", "a chipset with TXT (GETSEC[CAPABILITIES] bit 0)",                          \
			"GETSEC[SENTER], [PARAMETERS] and what belongs to them (GETSEC[CAPABILITIES] bits 2 to 8)", \
			"SENTER and VMX in SMX, enabled and locked (IA32_FEATURE_CONTROL bits 0, 1, 8 to 15)",      \
			"a chipset without a TXT error from before (TXT.ESTS bit 0)",                               \
			"a SINIT module of the firmware's", "a TPM 2.0"                                             \
	}

struct txt_facts {
	uint32_t smx, capabilities, tpm;
	uint64_t feature_control;
	uint64_t error_status, sinit_size; /* TXT.ESTS, TXT.SINIT.SIZE */
	uint32_t sinit_type, sinit_vendor; /* of the module's header */
};

/* Bits of enum txt_need. Pure. Those that cannot be asked for want of an earlier one are missing too. */
uint32_t txt_lacks(const struct txt_facts *facts);

struct handoff_trust {
	uint64_t log, log_last;             /* the firmware's event log, first and last event; 0: there is none */
	uint64_t final_events, final_known; /* its final-events table, 0: none; events in it that the log has, too */
	uint64_t ticks;                     /* that measuring took: hashing and the TPM's work */
	uint32_t banks;                     /* active ones, EFI_TCG2_BOOT_HASH_ALG_*; 0: no TPM */
	uint32_t measured, failed;          /* components */
	uint32_t secure_boot;               /* 1: the firmware has verified the image */
	uint32_t txt_lacks, txt_capabilities;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For noacpi.c: a TPM, or the firmware's service for it, that does not do as it should. DAMAGE.TXT is one line:
 *
 *   tpm gone          the service says that there is no TPM
 *   tpm fail N        the Nth of our measurements (from 0) fails with a device error, and is not made
 *   tpm cut N         the Nth is made, but the log has no more room for it ("volume full")
 *   tpm nolog         the service gives no event log
 *   tpm nofinal       there is no final-events table
 *   tpm empty         measurements are made of no data: what is left of their time is not hashing
 *   tpm wait          the first one waits three seconds before it is made: time to take the TPM away
 */
#include "tests/selfcheck/efi.h"

struct tcg2 {
	EFI_STATUS(EFIAPI *get_capability)(struct tcg2 *, UINT8 *);
	EFI_STATUS(EFIAPI *get_event_log)(struct tcg2 *, UINT32, UINT64 *, UINT64 *, UINT8 *);
	EFI_STATUS(EFIAPI *hash_log_extend_event)(struct tcg2 *, UINT64, UINT64, UINT64, void *);
};

#define TPM_PRESENT_AT 16u /* in EFI_TCG2_BOOT_SERVICE_CAPABILITY */
#define PCR_AT 10u         /* in EFI_TCG2_EVENT */
#define FIRST_OF_OURS 8u /* below it are the firmware's own PCRs: it measures the image it loads by the same service */

static struct tcg2 real;
static const UINT8 *kind; /* the line's second word */
static UINT32 until_failure;
static EFI_BOOT_SERVICES *services;

static EFI_STATUS EFIAPI no_capability(struct tcg2 *self, UINT8 *capability)
{
	EFI_STATUS status = real.get_capability(self, capability);

	capability[TPM_PRESENT_AT] = 0;
	return status;
}

static EFI_STATUS EFIAPI no_log(struct tcg2 *self, UINT32 format, UINT64 *log, UINT64 *last, UINT8 *cut)
{
	(void)self, (void)format, (void)last, (void)cut;
	*log = 0;
	return EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI our_extend(struct tcg2 *self, UINT64 flags, UINT64 data, UINT64 bytes, void *event)
{
	EFI_STATUS status;

	if (*(const UINT32 *)((const UINT8 *)event + PCR_AT) < FIRST_OF_OURS)
		return real.hash_log_extend_event(self, flags, data, bytes, event);
	if (kind[0] == 'e')
		bytes = 0;
	if (until_failure-- != 0 || kind[0] == 'e')
		return real.hash_log_extend_event(self, flags, data, bytes, event);
	if (kind[0] == 'f')
		return EFI_DEVICE_ERROR;
	if (kind[0] == 'w') {
		put("noacpi: waits\n");
		services->Stall(3000000);
	}
	status = real.hash_log_extend_event(self, flags, data, bytes, event);
	return kind[0] == 'c' && !EFI_ERROR(status) ? EFI_VOLUME_FULL : status;
}

static void damage_tpm(EFI_BOOT_SERVICES *boot_services, const UINT8 *how)
{
	EFI_GUID tcg2_guid = { 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } };
	EFI_GUID final = { 0x1e2ed096, 0x30e2, 0x4254, { 0xbd, 0x89, 0x86, 0x3b, 0xbe, 0xf8, 0x23, 0x25 } };
	struct tcg2 *tcg2;

	services = boot_services;
	kind = how;
	if (EFI_ERROR(services->LocateProtocol(&tcg2_guid, NULL, (void **)&tcg2))) {
		put("noacpi: there is no TPM to damage\n");
		return;
	}
	real = *tcg2;
	if (how[0] == 'g') {
		tcg2->get_capability = no_capability;
	} else if (how[0] == 'n' && how[2] == 'l') {
		tcg2->get_event_log = no_log;
	} else if (how[0] == 'n') {
		services->InstallConfigurationTable(&final, NULL);
	} else {
		until_failure = how[0] == 'f' ? (UINT32)(how[5] - '0') : how[0] == 'c' ? (UINT32)(how[4] - '0') : 0;
		tcg2->hash_log_extend_event = our_extend;
	}
}

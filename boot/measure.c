// SPDX-License-Identifier: Apache-2.0
/*
 * Measured launch: core, configuration and payloads into the TPM, each where it will be run from and before any of it runs.
 * Linked only into configurations with the key `trust`. TCG EFI Protocol Specification 1.00, section 6; TCG PC Client Platform
 * Firmware Profile 1.05, section 10 (events). What is not as the configuration wants it stops the boot or is said aloud.
 */
#include "boot/loader.h"

#define EV_EVENT_TAG 6u /* digest of the component, tagged with what it is: as Linux' EFI stub does for its initrd */
#define EVENT_TAG 0x424c4b48u
#define EVENT_TEXT 64u
#define LOG_FORMAT_TCG_2 2u
#define VARIABLE_MAX 8u

/* trust.no_tpm: record, and so on: go on, but say it. */
#define REFUSE_OR_SAY(what, ...) (config.trust_refuse & (what) ? stop(__VA_ARGS__) : say("WARNING: " __VA_ARGS__))

struct tcg2_capability {
	uint8_t size, structure[2], protocol[2];
	uint32_t hash_algorithms, event_logs;
	uint8_t tpm_present;
	uint16_t max_command, max_response;
	uint32_t manufacturer, banks, active_banks;
};

struct tcg2_event {
	uint32_t size, header_size;
	uint16_t header_version;
	uint32_t pcr, type;
	uint32_t tag, text_size;
	char text[EVENT_TEXT];
} __attribute__((packed));

struct tcg2 {
	EFI_STATUS(EFIAPI *get_capability)(struct tcg2 *, struct tcg2_capability *);
	EFI_STATUS(EFIAPI *get_event_log)(struct tcg2 *, uint32_t format, uint64_t *log, uint64_t *last, uint8_t *cut);
	EFI_STATUS(EFIAPI *hash_log_extend_event)
	(struct tcg2 *, uint64_t flags, uint64_t data, uint64_t bytes, struct tcg2_event *);
};

static struct tcg2 *find_tpm(struct handoff_trust *t)
{
	static EFI_GUID guid = { 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } };
	struct tcg2_capability have = { .size = sizeof have };
	struct tcg2 *tcg2;

	if (EFI_ERROR(boot_services->LocateProtocol(&guid, NULL, (void **)&tcg2)) ||
	    EFI_ERROR(tcg2->get_capability(tcg2, &have)) || !have.tpm_present || !have.active_banks) {
		REFUSE_OR_SAY(TRUST_TPM,
		              "no TPM 2.0 with an active bank (TCG2 protocol): nothing is measured; enable it in the "
		              "firmware's settings");
		return NULL;
	}
	t->banks = have.active_banks;
	return tcg2;
}

/* What finds no room is cut off: it is for readers only. */
static void add_text(struct tcg2_event *e, const char *s)
{
	for (uint32_t i = 0; i < EVENT_TEXT && s[i] && e->text_size < EVENT_TEXT; i++)
		e->text[e->text_size++] = s[i];
}

static void measure(struct tcg2 *tcg2, struct handoff_trust *t, uint32_t pcr, const char *kind, const char *name,
                    uint64_t at, uint64_t bytes)
{
	struct tcg2_event e = {
		.header_size = 14, .header_version = 1, .pcr = pcr, .type = EV_EVENT_TAG, .tag = EVENT_TAG
	};
	EFI_STATUS status;

	add_text(&e, kind);
	add_text(&e, name);
	e.size = (uint32_t)offsetof(struct tcg2_event, text) + e.text_size;
	status = tcg2->hash_log_extend_event(tcg2, 0, at, bytes, &e);
	t->measured += !EFI_ERROR(status);
	t->failed += EFI_ERROR(status) != 0;
	if (EFI_ERROR(status))
		REFUSE_OR_SAY(TRUST_EXTEND,
		              "%s%s could not be measured into PCR %lu (%s): the TPM or its log does not work", kind,
		              name, (uint64_t)pcr, status == EFI_VOLUME_FULL ? "its log is full" : status_name(status));
}

/* The log as it is after our events, and how many of the final-events table's it has: those behind are ExitBootServices' own. */
static void find_log(struct tcg2 *tcg2, struct handoff_trust *t)
{
	static const EFI_GUID guid = { 0x1e2ed096, 0x30e2, 0x4254, { 0xbd, 0x89, 0x86, 0x3b, 0xbe, 0xf8, 0x23, 0x25 } };
	uint8_t cut = 0;

	if (EFI_ERROR(tcg2->get_event_log(tcg2, LOG_FORMAT_TCG_2, &t->log, &t->log_last, &cut)))
		t->log = 0;
	if (!t->log || cut)
		say("WARNING: the firmware's event log is %s: the PCRs cannot be explained by it",
		    t->log ? "cut short" : "not there");
	t->final_events = find_table(&guid);
	if (t->final_events)
		t->final_known = ((const uint64_t *)t->final_events)[1];
	else
		say("WARNING: the firmware has no final-events table: the log will lack what leaving it measures");
}

static uint32_t secure_boot(void)
{
	static EFI_GUID global = EFI_GLOBAL_VARIABLE;
	uint8_t value[VARIABLE_MAX] = { 0 };
	UINTN size = sizeof value;

	return !EFI_ERROR(system_table->RuntimeServices->GetVariable(L"SecureBoot", &global, NULL, &size, value)) &&
	       value[0] == 1;
}

static void measure_all(struct tcg2 *tcg2, const struct core_header *core, struct handoff *h)
{
	struct handoff_trust *t = &h->trust;
	const uint64_t tables = h->core_hpa + core->config_start, rest = tables + core->config_size;

	measure(tcg2, t, PCR_CORE, "core code", "", h->core_hpa, core->config_start);
	measure(tcg2, t, PCR_CONFIG, "configuration ", config.name, tables, core->config_size);
	measure(tcg2, t, PCR_CORE, "core data", "", rest, h->core_hpa + core->image_size - rest);
	for (uint32_t i = 0; i < config.partition_count; i++)
		measure(tcg2, t, PCR_PAYLOADS, "payload ", config.partitions[i].payload.file, h->payload[i].hpa,
		        h->payload[i].size);
	find_log(tcg2, t);
}

void trust_measure(const struct core_header *core, struct handoff *h)
{
	struct handoff_trust *t = &h->trust;
	const uint64_t begin = tsc_now();
	struct tcg2 *tcg2 = find_tpm(t);

	if (tcg2)
		measure_all(tcg2, core, h);
	t->ticks = tsc_now() - begin;
	t->secure_boot = secure_boot();
	if (!t->secure_boot)
		REFUSE_OR_SAY(TRUST_SECURE_BOOT, "Secure Boot is off: the firmware has not verified this image");
	txt_detect(t);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer harness for what a boot finds in the audit's memory: anybody could have written it. The first byte says how much is put right, so that checks
 * do not keep the fuzzer out. After it the core must have a sound ring and go on recording, and a reader must be able to read it. Then
 * the same bytes as the memory that a reader maps: it must stay inside and come to an end.
 */
#include <string.h>

#include "core/audit.h"
#include "core/survivor.h"
#include "guest/kit/auditread.h"
#include "tests/fuzz/fuzz.h"

static struct audit_ring *own(void)
{
	return (struct audit_ring *)(CORE_MEMORY_BASE + config.memories[CONFIG_AUDIT_MEMORY].core_at);
}

static void put_right(struct audit_ring *ring, const struct audit_header *right, uint8_t how)
{
	struct audit_record *last = &ring->record[(ring->head - 1) % CONFIG_AUDIT_ENTRIES];

	if (how & 1)
		ring->header = *right;
	if (how & 2)
		ring->header.check = audit_check(&ring->header, AUDIT_WORDS(struct audit_header));
	if (how & 4)
		ring->panic.generation = ring->header.generation;
	if (how & 8)
		ring->panic.check = audit_check(&ring->panic, AUDIT_WORDS(struct audit_panic));
	if (how & 16)
		last->sequence = (uint32_t)ring->head;
	if (how & 32)
		last->check = audit_check(last, AUDIT_WORDS(struct audit_record));
}

static void read_all(const void *memory, uint64_t size)
{
	static struct auditread reader;
	struct auditread_record r;
	uint64_t count = 0;

	if (!auditread_begin(&reader, memory, size))
		return;
	while (auditread_next(&reader, &r))
		fuzz_require(++count <= (uint64_t)reader.cpus * reader.entries, "no more records than have room");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int started;
	struct fuzz_input in = { data, size };
	struct audit_ring *ring;
	struct audit_header right;
	const uint8_t how = fuzz_byte(&in);
	const uint32_t where = fuzz_byte(&in) & 1 ? 0 : AUDIT_HEADER - 64;

	if (!started)
		seam_start(&seam_models[0], 0);
	started = 1;
	ring = own();
	right = ring->header;
	memcpy((uint8_t *)ring + where, in.data, in.left < 2000 ? in.left : 2000);
	put_right(ring, &right, how);
	read_all(ring, right.stride);
	memset(seam.text, 0, sizeof seam.text);
	memset(&this_cpu->audit, 0, sizeof this_cpu->audit);
	audit_boot();
	for (const char *c = seam.text; *c; c++)
		fuzz_require(*c == '\n' || (*c >= ' ' && *c <= '~'), "what is shown is text");
	fuzz_require(ring->header.entries == CONFIG_AUDIT_ENTRIES && ring->header.stride == right.stride &&
	                     ring->header.identity == right.identity && ring->header.generation != 0 &&
	                     ring->header.check == audit_check(&ring->header, AUDIT_WORDS(struct audit_header)),
	             "the header is this boot's");
	audit_init();
	fuzz_require(audit(AUDIT_SAFETY, AUDIT_SCHEDULE, AUDIT_CORE, 1, 2) &&
	                     survivor_holds(ring, ring->head - 1, CONFIG_AUDIT_ENTRIES),
	             "the core goes on recording");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* A partition's initial memory: the payload file with its segments, and the tables a 64-bit guest starts with. */
#include "mkconfig.h"
#include "../../ept/pagetable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_ALIGN 16u /* within the file: the core copies in words */

/* Long-mode code and flat data, accessed bits set. SDM Vol. 3A, 3.4.5. */
const uint64_t flat_gdt[GDT_ENTRIES] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

void image_add(struct image *image, unsigned line, uint64_t gpa, const void *bytes, uint64_t size)
{
	uint64_t offset = (image->size + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;

	if (size == 0)
		return;
	if (image->segment_count == CONFIG_MAX_SEGMENTS)
		fail(line, "more than %u pieces to load", CONFIG_MAX_SEGMENTS);
	image->bytes = realloc(image->bytes, offset + size);
	if (image->bytes == NULL)
		fail(line, "out of memory (%" PRIu64 " bytes)", offset + size);
	memset(image->bytes + image->size, 0, offset - image->size);
	memcpy(image->bytes + offset, bytes, size);
	image->size = offset + size;
	image->segments[image->segment_count++] = (struct config_segment){ .offset = offset, .size = size, .gpa = gpa };
}

struct blob identity_tables(uint64_t base, const struct range *ranges, unsigned count)
{
	struct pt_pool pool = { .phys = base, .pages = 2 }; /* root, and a spare */

	for (unsigned i = 0; i < count; i++) /* each may need a new directory and table in every GiB it touches */
		pool.pages += (uint32_t)(ranges[i].size / GIB(1)) + 4;
	pool.virt = allocate(pool.pages * PAGE_SIZE);
	pt_init(&pool);
	for (unsigned i = 0; i < count; i++) {
		uint64_t end = ranges[i].start + ranges[i].size;
		for (uint64_t page = ranges[i].start / LARGE_PAGE_SIZE * LARGE_PAGE_SIZE; page < end;
		     page += LARGE_PAGE_SIZE) {
			enum pt_result result = pt_map(&pt_format_ia32e, &pool, page, page, LARGE_PAGE_SIZE,
			                               RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, 21);
			if (result != PT_OK && result != PT_OVERLAP) /* two ranges may share a large page */
				fail(1, "guest page tables: result %d at 0x%" PRIx64, (int)result, page);
		}
	}
	return (struct blob){ .bytes = (uint8_t *)pool.virt, .size = pool.used * PAGE_SIZE };
}

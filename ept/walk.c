// SPDX-License-Identifier: Apache-2.0
/*
 * The walker. It shares nothing with the builder and is stricter than the CPU: every bit of an entry that is neither
 * address nor rights nor memory type must be 0, the ignored ones and those of absent entries (L1TF) included.
 */
#include "walk.h"

#define ROOT_LEVEL 4u
#define ENTRIES 512u
#define SMALLEST_PAGE 4096ull
#define READ 1u
#define EPT_RIGHTS 7u
#define VTD_RIGHTS 3u
#define MEMORY_TYPE (7ull << 3) /* of a leaf of EPT */
#define WRITE_BACK (6ull << 3)  /* the one or */
#define UNCACHEABLE (0ull << 3) /* the other, for devices' registers: walk_allowed.rights has DEVICE then */
#define DEVICE 8u
#define LEAF_ABOVE_LEVEL_1 0x80ull /* bit 7 */

struct step { /* where the walk stands in the table of one level */
	const volatile uint64_t *table;
	uint64_t in;     /* first address the table covers */
	uint32_t index;  /* next entry */
	uint32_t rights; /* of all entries that lead here: the CPU combines them by AND */
};

struct walk {
	const struct walk_allowed *allowed;
	uint32_t count;
	uint32_t last;     /* element of the last leaf: the next one is mostly there too */
	uint64_t address;  /* bits an address may have */
	uint32_t top_leaf; /* highest level at which the CPU knows leaves */
	uint32_t rights;   /* bits of an entry that are rights */
	uint64_t type;     /* bits of a leaf that are its memory type; 0: it has none */
};

static uint64_t span(uint32_t level) /* bytes that one entry covers */
{
	return SMALLEST_PAGE << 9 * (level - 1);
}

static int is_leaf(uint64_t entry, uint32_t level)
{
	return level == 1 || (entry & LEAF_ABOVE_LEVEL_1);
}

/* SDM Vol. 3C, 29.3.2 (formats) and 29.3.3.1 (misconfigurations); VT-d specification 9.8. */
static int well_formed(const struct walk *w, uint64_t entry, uint32_t level)
{
	uint64_t expected = entry & w->rights;

	if (!(entry & READ))
		return 0;
	if (is_leaf(entry, level)) {
		if (level > w->top_leaf)
			return 0;
		if (w->type && (entry & w->type) != WRITE_BACK && (entry & w->type) != UNCACHEABLE)
			return 0;
		expected |= (entry & w->type) | (level > 1 ? LEAF_ABOVE_LEVEL_1 : 0);
		return (entry & ~(w->address & ~(span(level) - 1))) == expected;
	}
	return (entry & ~w->address) == expected;
}

static int inside(const struct walk_allowed *a, uint64_t in, uint64_t size)
{
	return in >= a->in && in - a->in < a->size && size <= a->size - (in - a->in);
}

static enum walk_result check_leaf(struct walk *w, uint64_t in, uint64_t out, uint64_t size, uint32_t rights)
{
	const struct walk_allowed *a = &w->allowed[w->last];

	if (w->last >= w->count || !inside(a, in, size)) {
		for (w->last = 0; w->last < w->count && !inside(&w->allowed[w->last], in, size); w->last++)
			;
		if (w->last == w->count)
			return WALK_FOREIGN;
		a = &w->allowed[w->last];
	}
	if (out != a->out + (in - a->in))
		return WALK_FOREIGN;
	return rights == a->rights ? WALK_OK : WALK_RIGHTS;
}

/* Some page is not mapped, all else is in order: say which. A page at a time, in a table that is refused anyway. */
static void find_missing(uint64_t root, walk_read_table *read, void *context, const struct walk *w,
                         struct walk_fault *fault)
{
	for (uint32_t i = 0; i < w->count; i++) {
		const struct walk_allowed *a = &w->allowed[i];

		for (uint64_t done = 0; done < a->size; done += SMALLEST_PAGE) {
			const volatile uint64_t *table = read(context, root);

			fault->in = a->in + done;
			for (fault->level = ROOT_LEVEL; fault->level > 0 && table; fault->level--) {
				fault->entry = table[fault->in / span(fault->level) % ENTRIES];
				if (!fault->entry)
					return;
				if (is_leaf(fault->entry, fault->level))
					break;
				table = read(context, fault->entry & w->address);
			}
		}
	}
}

/* What the allowed list adds up to. Bounded tables too: each but the root leads to a page at least. */
static uint64_t allowed_bytes(const struct walk *w)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < w->count; i++)
		bytes += w->allowed[i].size;
	return bytes;
}

enum walk_result walk_tables(enum walk_kind kind, uint64_t root, walk_read_table *read, void *context,
                             const struct walk_allowed *allowed, uint32_t allowed_count, uint32_t max_phys_bits,
                             int large_1g, struct walk_fault *fault)
{
	struct walk w = { .allowed = allowed,
		          .count = allowed_count,
		          .address = (1ull << max_phys_bits) - SMALLEST_PAGE,
		          .top_leaf = large_1g ? 3 : 2,
		          .rights = kind == WALK_EPT ? EPT_RIGHTS : VTD_RIGHTS,
		          .type = kind == WALK_EPT ? MEMORY_TYPE : 0 };
	struct step steps[ROOT_LEVEL + 1];
	uint64_t missing = allowed_bytes(&w);
	uint64_t tables_left = missing / SMALLEST_PAGE * (ROOT_LEVEL - 1);
	uint32_t level = ROOT_LEVEL;

	*fault = (struct walk_fault){ 0, root, ROOT_LEVEL };
	steps[level] = (struct step){ read(context, root), 0, 0, w.rights };
	if (!steps[level].table)
		return WALK_TABLE;
	while (level <= ROOT_LEVEL) { /* ENTRIES + 1 times for each table, tables_left of them and the root */
		struct step *s = &steps[level];

		if (s->index == ENTRIES) {
			level++;
			continue;
		}
		*fault = (struct walk_fault){ s->in + s->index * span(level), s->table[s->index], level };
		s->index++;
		if (!fault->entry)
			continue;
		if (!well_formed(&w, fault->entry, level))
			return WALK_RESERVED;

		uint32_t rights = s->rights & (uint32_t)(fault->entry & w.rights);

		if (is_leaf(fault->entry, level)) {
			const uint32_t type = w.type && (fault->entry & w.type) == UNCACHEABLE ? DEVICE : 0;
			enum walk_result result = check_leaf(&w, fault->in, fault->entry & w.address, span(level),
			                                     rights | type);

			if (result != WALK_OK)
				return result;
			missing -= span(level);
			continue;
		}
		level--;
		steps[level] = (struct step){ read(context, fault->entry & w.address), fault->in, 0, rights };
		if (!steps[level].table || tables_left-- == 0)
			return WALK_TABLE;
	}
	if (missing) {
		find_missing(root, read, context, &w, fault);
		return WALK_MISSING;
	}
	return WALK_OK;
}

const char *walk_result_name(enum walk_result result)
{
	static const char *const names[] = {
		[WALK_OK] = "ok",
		[WALK_FOREIGN] = "a leaf reaches a frame that is not allowed there",
		[WALK_RIGHTS] = "a leaf gives other rights than declared",
		[WALK_MISSING] = "a declared page is not mapped",
		[WALK_TABLE] = "an entry refers to a table outside the table memory, or to one too many",
		[WALK_RESERVED] = "an entry has a reserved bit, a wrong memory type or a leaf out of place",
	};

	return (uint32_t)result < sizeof names / sizeof *names ? names[result] : "unknown result";
}

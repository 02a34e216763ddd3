// SPDX-License-Identifier: Apache-2.0
/*
 * Tests of a validator by breaking a good table in one place at a time. Who includes this has before it:
 *
 *   struct table, good()   a table that passes, with its `config`
 *   VALIDATE               the function under test
 *   BREAKS(B)              B(name, rule, partition, index, other, change...): what the change to `t` must be found as
 */
#ifndef TESTS_HOST_BREAKS_H
#define TESTS_HOST_BREAKS_H

#define BREAK_FUNCTION(name, rule, partition, index, other, ...) \
	static void break_##name(struct table *t)                \
	{                                                        \
		__VA_ARGS__;                                     \
	}
BREAKS(BREAK_FUNCTION)
#undef BREAK_FUNCTION

static const struct {
	const char *name;
	void (*change)(struct table *t);
	enum config_rule rule;
	uint16_t partition, index, other;
} breaks[] = {
#define BREAK_ROW(name, rule, partition, index, other, ...) { #name, break_##name, rule, partition, index, other },
	BREAKS(BREAK_ROW)
#undef BREAK_ROW
};

static void test_each_break_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
		struct config_fault fault = { 0 };
		struct table t, before;

		good(&t);
		breaks[i].change(&t);
		memcpy(&before, &t, sizeof t);
		const enum config_rule rule = VALIDATE(&t.config, &fault);

		if (rule != breaks[i].rule || fault.rule != rule || fault.partition != breaks[i].partition ||
		    fault.index != breaks[i].index || fault.other != breaks[i].other)
			fail_msg("%s: rule %d at %u, %u, %u; expected %d at %u, %u, %u", breaks[i].name, (int)rule,
			         fault.partition, fault.index, fault.other, (int)breaks[i].rule, breaks[i].partition,
			         breaks[i].index, breaks[i].other);
		assert_memory_equal(&before, &t, sizeof t);
	}
}

#endif

// SPDX-License-Identifier: Apache-2.0
/* What source, filter and sink of tests/system/ipc.yaml tell each other. */
#ifndef GUEST_APPS_ORDER_H
#define GUEST_APPS_ORDER_H

#include <stdint.h>

enum order_kind { ORDER_GOOD, ORDER_FORBIDDEN, ORDER_LARGE, ORDER_END };

struct order {
	uint64_t number;
	int64_t value;
	uint32_t kind;   /* enum order_kind, as the source says */
	uint32_t passed; /* set by the filter */
};

#define ORDER_LIMIT 1000 /* no value above it gets through */
#define ORDERS 200u

/* Order `n`, from 1 on. */
static inline struct order order_make(uint64_t n)
{
	const uint32_t kind = n % 5 == 0 ? ORDER_FORBIDDEN : n % 3 == 0 ? ORDER_LARGE : ORDER_GOOD;

	return (struct order){ .number = n,
		               .value = kind == ORDER_LARGE ? ORDER_LIMIT + (int64_t)n : (int64_t)n,
		               .kind = kind };
}

#endif

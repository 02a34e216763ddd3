// SPDX-License-Identifier: Apache-2.0
/* What the partitions of config/plant.yaml tell each other: setpoints are orders (order.h), and the loop says how it is. */
#ifndef GUEST_APPS_PLANT_H
#define GUEST_APPS_PLANT_H

#include "order.h"
#include "ports.h"

struct plant_level {
	uint64_t periods, orders; /* of the loop; that it has taken */
	uint64_t wrong;           /* of those: what the filter must not have let through */
	int64_t setpoint;         /* the last one */
};

#endif

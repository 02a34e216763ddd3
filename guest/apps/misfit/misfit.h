// SPDX-License-Identifier: Apache-2.0
/* What the companion misfit can be told to do, by number; the partition that tells it has the name. */
#ifndef GUEST_APPS_MISFIT_H
#define GUEST_APPS_MISFIT_H

/* clang-format off */
#define MISFITS(M) \
	M(NONE, none) M(HANG, hang) M(CALLS, calls) M(INVALID, invalid) M(DIVIDE, divide) M(BEYOND, beyond) M(FLOAT, float) \
	M(X87, x87) M(DEBUG, debug) M(MSR, msr) M(SWAPGS, swapgs) M(HALT, halt) M(PORT, port) M(STOP, stop) M(VECTOR, vector) \
	M(STORM, storm) M(PAST, past)
/* clang-format on */
#define MISFIT_NUMBER(upper, lower) MISFIT_##upper,
enum misfit { MISFITS(MISFIT_NUMBER) MISFIT_COUNT };
#undef MISFIT_NUMBER

#endif

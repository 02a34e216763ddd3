// SPDX-License-Identifier: Apache-2.0
/*
 * A companion that does what it must not, on command: what is written to its port 300h says what. A read of 300h is answered
 * with 5Ah as long as all is well. guest/apps/provoke.c gives the command.
 */
#include "companion.h"
#include "hypercall.h"
#include "misfit/misfit.h"

static uint64_t line, vector = 0x60;
static uint64_t next = BH_COMPANION_NEVER;

static void instruction(unsigned what)
{
	switch (what) {
	case MISFIT_INVALID:
		__asm__ volatile("ud2");
		break;
	case MISFIT_DIVIDE:
		__asm__ volatile("div %0" : : "r"(0) : "eax", "edx");
		break;
	case MISFIT_BEYOND: /* in its page tables, not in its memory */
		*(volatile uint64_t *)(3u << 20) = 1;
		break;
	case MISFIT_FLOAT:
		__asm__ volatile("movq %%xmm0, %%rax" : : : "rax");
		break;
	case MISFIT_X87:
		__asm__ volatile("fninit");
		break;
	case MISFIT_DEBUG:
		(void)read_dr0();
		break;
	case MISFIT_MSR:
		(void)rdmsr(0x10);
		break;
	case MISFIT_SWAPGS:
		__asm__ volatile("swapgs");
		break;
	case MISFIT_HALT:
		__asm__ volatile("hlt");
		break;
	case MISFIT_PORT:
		outb(0x64, 0xfe);
		break;
	case MISFIT_STOP:
		kit_stop(0);
	default:
		break;
	}
}

static void obey(unsigned what)
{
	switch (what) {
	case MISFIT_HANG:
		for (;;)
			;
	case MISFIT_CALLS: /* never long without an exit, and never an answer */
		for (;;)
			hypercall1(BH_VERSION, 0);
	case MISFIT_VECTOR:
		line = BH_COMPANION_INTR;
		vector = 3;
		break;
	case MISFIT_STORM:
		line = BH_COMPANION_INTR;
		break;
	case MISFIT_PAST:
		next = 0;
		break;
	default:
		instruction(what);
	}
}

int main(const struct kit_info *info)
{
	struct companion_request request = { 0 };

	(void)info;
	for (;;) {
		const struct companion_answer answer = { request.what == BH_REQUEST_ACKNOWLEDGE ? vector : 0x5a, line,
			                                 next };
		companion_wait(&answer, &request);
		if (request.what == BH_REQUEST_WRITE)
			obey((unsigned)request.value);
	}
}

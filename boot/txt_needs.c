// SPDX-License-Identifier: Apache-2.0
/* What is missing for a late launch: pure, since no emulator has any of it. */
#include "boot/trust.h"

#define CAPABILITY_CHIPSET 1u
#define CAPABILITY_LAUNCH \
	0x1fcu /* ENTERACCS, EXITAC, SENTER, SEXIT, PARAMETERS, SMCTRL, WAKEUP: SDM Vol. 2D, table 7-4 */
#define FEATURE_CONTROL_LAUNCH \
	0xff03ull /* locked, VMX in SMX, SENTER and its local functions: SDM Vol. 3D, table 2-2 */
#define ACM_CHIPSET 2u
#define ACM_INTEL 0x8086u

uint32_t txt_lacks(const struct txt_facts *f)
{
	uint32_t lacks = 0;

	if (!f->smx)
		lacks |= 1u << TXT_SMX;
	if (!(f->capabilities & CAPABILITY_CHIPSET))
		lacks |= 1u << TXT_CHIPSET | 1u << TXT_RESET;
	if ((f->capabilities & CAPABILITY_LAUNCH) != CAPABILITY_LAUNCH)
		lacks |= 1u << TXT_SENTER;
	if ((f->feature_control & FEATURE_CONTROL_LAUNCH) != FEATURE_CONTROL_LAUNCH)
		lacks |= 1u << TXT_FEATURE_CONTROL;
	if (f->error_status & 1)
		lacks |= 1u << TXT_RESET;
	if (!f->sinit_size || f->sinit_type != ACM_CHIPSET || f->sinit_vendor != ACM_INTEL)
		lacks |= 1u << TXT_SINIT;
	if (!f->tpm)
		lacks |= 1u << TXT_TPM;
	return lacks;
}

// SPDX-License-Identifier: Apache-2.0
/* What each partition may do, in words: the allow lists that the build prints, and the plan's text. */
#include "mkconfig.h"

#include <inttypes.h>
#include <string.h>

const char *rights_text(unsigned rights)
{
	return text("%c%c%c", rights & RIGHT_READ ? 'r' : '-', rights & RIGHT_WRITE ? 'w' : '-', rights & RIGHT_EXEC ? 'x' : '-');
}
void emit_allow(FILE *out, const struct plan *plan) { (void)out; (void)plan; }
void emit_plan(FILE *out, const struct plan *plan) { (void)out; (void)plan; }
void emit_svg(FILE *out, const struct plan *plan) { (void)out; (void)plan; }

// SPDX-License-Identifier: Apache-2.0
/* The key `trust`: what stops the boot where it is missing, and what is only recorded. */
#include "mkconfig.h"

/* Without a word about it, a missing TPM and a failing one stop the boot, Secure Boot and TXT do not. */
void trust_build(struct plan *plan)
{
	static const char *const words[] = { "record", "refuse" };
	const struct in_trust *in = plan->in->trust;

	if (in == NULL)
		return;
	const struct {
		const char *key, *value;
		unsigned bit, otherwise;
	} keys[] = { { "no_tpm", in->no_tpm, TRUST_TPM, TRUST_TPM },
		     { "extend_fails", in->extend_fails, TRUST_EXTEND, TRUST_EXTEND },
		     { "no_secure_boot", in->no_secure_boot, TRUST_SECURE_BOOT, 0 },
		     { "no_txt", in->no_txt, TRUST_TXT, 0 } };
	unsigned refuse = 0;

	for (unsigned i = 0; i < LENGTH(keys); i++)
		if (keys[i].value == NULL)
			refuse |= keys[i].otherwise;
		else if (parse_name(line_of("trust/%s", keys[i].key), keys[i].key, keys[i].value, words,
		                    LENGTH(words)) == 1)
			refuse |= keys[i].bit;
	plan->config.trust_refuse = (uint8_t)refuse;
}

void emit_trust(FILE *out, const struct plan *plan)
{
	if (plan->in->trust != NULL)
		fprintf(out, "\t.trust_refuse = 0x%x, /* TRUST_* */\n", plan->config.trust_refuse);
}

void emit_trust_sizes(FILE *out, const struct plan *plan)
{
	fprintf(out, "#define CONFIG_TRUST %u\n", plan->in->trust != NULL ? 1u : 0u);
}

// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_TRUST_H
#define CORE_TRUST_H

/* Print what the loader has found out about TPM, Secure Boot and TXT. Boot CPU, once; only where the configuration has `trust`. */
void trust_report(void);

#endif

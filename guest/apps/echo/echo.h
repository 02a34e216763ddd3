// SPDX-License-Identifier: Apache-2.0
/* The registers of the companion echo: a page at ECHO_AT, whose last ones do more than keep what is written, and ports CF8h to CFFh. */
#ifndef GUEST_APPS_ECHO_H
#define GUEST_APPS_ECHO_H

#define ECHO_AT 0x200000u
#define ECHO_PAGE 4096u
#define ECHO_PORT 0xcf8

#define ECHO_COUNT 0xfc0u /* read: requests so far */
#define ECHO_LINES 0xfd0u /* write: BH_COMPANION_INTR and BH_COMPANION_PIN(n) */
#define ECHO_SPEND 0xfe0u /* write: answer after so many microseconds */
#define ECHO_HANG 0xff0u  /* write: never */

#endif

// SPDX-License-Identifier: Apache-2.0
/* The few library functions the compiler and the core need. Any state. */
#ifndef CORE_LIB_H
#define CORE_LIB_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

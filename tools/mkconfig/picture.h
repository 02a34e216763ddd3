// SPDX-License-Identifier: Apache-2.0
/* What the parts of the plan's picture have in common. */
#ifndef MKCONFIG_PICTURE_H
#define MKCONFIG_PICTURE_H

#include "mkconfig.h"

#define WIDTH 1080
#define MARGIN 32
#define INNER (WIDTH - 2 * MARGIN)
#define SECTION_GAP 26

const char *colour(uint16_t partition);
void box(FILE *out, double x, double y, double width, double height, const char *fill, const char *more);
void label(FILE *out, double x, double y, const char *class, const char *string); /* class: of the style sheet */
int heading(FILE *out, int y, const char *title, const char *note); /* returns the y below it, as the parts do */

/* timeline.c: each scheduled CPU's frames */
int draw_time(FILE *out, const struct plan *plan, int y);

#endif

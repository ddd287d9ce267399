/* SPDX-License-Identifier: Apache-2.0
 *
 * descriptor.h: what an input looks like, in a few hundred numbers: for the cache's near level (cache/near.h).
 *
 * image:  what the JPEG's DC coefficients hold: libjpeg-turbo at scale 1/8, which leaves out the inverse DCT; what is left is the entropy decoding (0.2
 *         ms for 640 x 360). Luminance, 0..255, of every block of 8 x 8 pixels up to DESCRIPTOR_BLOCKS, else of so many cells of blocks: a face or a
 *         hand is a few blocks. Then the means of 16 x 9 cells of Cb and of Cr, times DESCRIPTOR_CHROMA_WEIGHT: a cell counts like the 25 blocks that
 *         it covers in a picture of 640 x 360.
 * series: per field, in the model's normalised units, the mean and the deviation from it in each of 8 stretches of the window: where the
 *         signal is and how much it moves, not its phase.
 * Pure; any thread. */
#ifndef EDDY_AGENT_DESCRIPTOR_H
#define EDDY_AGENT_DESCRIPTOR_H

#include "cache/near.h"

#include <stdbool.h>
#include <stdint.h>

enum { DESCRIPTOR_BLOCKS = 3600, DESCRIPTOR_COLUMNS = 16, DESCRIPTOR_ROWS = 9, DESCRIPTOR_STRETCHES = 8 };
#define DESCRIPTOR_CHROMA_WEIGHT 1.71f /* 25 to the power of 1/6, as the distance is a sixth-power mean */

struct descriptor_grid {
    int32_t columns, rows;
};

/* Rows of pixels, added from top to bottom. */
struct descriptor_cells {
    int32_t width, height, components, row; /* of the small picture; row: the next */
    struct descriptor_grid luminance;
    float sums[NEAR_DIMENSIONS_MAX];        /* as in the descriptor */
    int32_t counts[DESCRIPTOR_BLOCKS], chroma_counts[DESCRIPTOR_COLUMNS * DESCRIPTOR_ROWS];
};
void descriptor_begin(struct descriptor_cells *cells, int32_t width, int32_t height, int32_t components);
void descriptor_add_row(struct descriptor_cells *cells, const uint8_t *pixels);
void descriptor_finish(const struct descriptor_cells *cells, struct near_descriptor *descriptor_out); /* width and height are the caller's */

/* samples: [window][fields]; normalised value = sample * factor[field] + term[field]. false: more fields than a descriptor holds. */
bool descriptor_of_window(const float *samples, int32_t window, int32_t fields, const float *factor, const float *term,
                          struct near_descriptor *descriptor_out);

#endif

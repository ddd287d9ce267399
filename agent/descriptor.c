/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/descriptor.h"

#include <assert.h>
#include <math.h>

enum { CELLS = DESCRIPTOR_COLUMNS * DESCRIPTOR_ROWS };

static_assert(3 * CELLS <= NEAR_DIMENSIONS_MAX, "three components fit");

void descriptor_begin(struct descriptor_cells *cells, int32_t width, int32_t height, int32_t components)
{
    *cells = (struct descriptor_cells){.width = width, .height = height, .components = components};
}

void descriptor_add_row(struct descriptor_cells *cells, const uint8_t *pixels)
{
    int32_t first = (int32_t)((int64_t)cells->row * DESCRIPTOR_ROWS / cells->height) * DESCRIPTOR_COLUMNS;
    for (int32_t x = 0; x < cells->width; x++, pixels += cells->components) {
        int32_t cell = first + (int32_t)((int64_t)x * DESCRIPTOR_COLUMNS / cells->width);
        cells->counts[cell]++;
        for (int32_t c = 0; c < cells->components; c++)
            cells->sums[c * CELLS + cell] += pixels[c];
    }
    cells->row++;
}

void descriptor_finish(const struct descriptor_cells *cells, struct near_descriptor *descriptor_out)
{
    *descriptor_out = (struct near_descriptor){.count = cells->components * CELLS};
    for (int32_t i = 0; i < descriptor_out->count; i++) {
        int32_t count = cells->counts[i % CELLS]; /* 0 in pictures of fewer pixels than cells */
        descriptor_out->values[i] = count > 0 ? cells->sums[i] / (float)count : 0;
    }
}

bool descriptor_of_window(const float *samples, int32_t window, int32_t fields, const float *factor, const float *term,
                          struct near_descriptor *descriptor_out)
{
    *descriptor_out = (struct near_descriptor){.width = window, .height = fields, .count = fields * DESCRIPTOR_STRETCHES * 2};
    if (fields > NEAR_DIMENSIONS_MAX / (DESCRIPTOR_STRETCHES * 2))
        return false;
    float *values = descriptor_out->values;
    for (int32_t f = 0; f < fields; f++) {
        for (int32_t s = 0; s < DESCRIPTOR_STRETCHES; s++, values += 2) {
            int32_t begin = (int32_t)((int64_t)window * s / DESCRIPTOR_STRETCHES), end = (int32_t)((int64_t)window * (s + 1) / DESCRIPTOR_STRETCHES);
            double sum = 0, squares = 0;
            for (int32_t i = begin; i < end; i++) {
                double value = (double)(samples[(int64_t)i * fields + f] * factor[f] + term[f]);
                sum += value;
                squares += value * value;
            }
            double count = end > begin ? end - begin : 1, mean = sum / count, variance = squares / count - mean * mean;
            values[0] = (float)mean;
            values[1] = variance > 0 ? (float)sqrt(variance) : 0;
        }
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/descriptor.h"

#include <assert.h>
#include <math.h>

enum { CELLS = DESCRIPTOR_COLUMNS * DESCRIPTOR_ROWS };

static_assert(DESCRIPTOR_BLOCKS + 2 * CELLS <= NEAR_DIMENSIONS_MAX, "three components fit");

/* Every block a cell of its own, or so many cells of the picture's shape as there may be. */
static struct descriptor_grid choose_grid(int32_t width, int32_t height)
{
    double shrink = sqrt((double)DESCRIPTOR_BLOCKS / ((double)width * height));
    if (shrink >= 1)
        return (struct descriptor_grid){width, height};
    int32_t columns = (int32_t)(width * shrink), rows = (int32_t)(height * shrink);
    columns = columns < 1 ? 1 : columns > DESCRIPTOR_BLOCKS ? DESCRIPTOR_BLOCKS : columns;
    rows = rows < 1 ? 1 : rows > DESCRIPTOR_BLOCKS / columns ? DESCRIPTOR_BLOCKS / columns : rows;
    return (struct descriptor_grid){columns, rows};
}

void descriptor_begin(struct descriptor_cells *cells, int32_t width, int32_t height, int32_t components)
{
    *cells = (struct descriptor_cells){.width = width, .height = height, .components = components, .luminance = choose_grid(width, height)};
}

static int32_t share(int32_t at, int32_t cells, int32_t length)
{
    return (int32_t)((int64_t)at * cells / length);
}

void descriptor_add_row(struct descriptor_cells *cells, const uint8_t *pixels)
{
    const struct descriptor_grid *grid = &cells->luminance;
    int32_t first = share(cells->row, grid->rows, cells->height) * grid->columns, blocks = grid->columns * grid->rows;
    int32_t first_chroma = share(cells->row, DESCRIPTOR_ROWS, cells->height) * DESCRIPTOR_COLUMNS;
    for (int32_t x = 0; x < cells->width; x++, pixels += cells->components) {
        int32_t cell = first + share(x, grid->columns, cells->width), chroma = first_chroma + share(x, DESCRIPTOR_COLUMNS, cells->width);
        cells->sums[cell] += pixels[0];
        cells->counts[cell]++;
        for (int32_t c = 1; c < cells->components; c++)
            cells->sums[blocks + (c - 1) * CELLS + chroma] += pixels[c];
        cells->chroma_counts[chroma]++;
    }
    cells->row++;
}

/* A picture of fewer pixels than cells leaves some without any. */
static float mean(float sum, int32_t count)
{
    return count > 0 ? sum / (float)count : 0;
}

void descriptor_finish(const struct descriptor_cells *cells, struct near_descriptor *descriptor_out)
{
    int32_t blocks = cells->luminance.columns * cells->luminance.rows;
    *descriptor_out = (struct near_descriptor){.count = blocks + (cells->components - 1) * CELLS};
    for (int32_t i = 0; i < blocks; i++)
        descriptor_out->values[i] = mean(cells->sums[i], cells->counts[i]);
    for (int32_t i = blocks; i < descriptor_out->count; i++)
        descriptor_out->values[i] = DESCRIPTOR_CHROMA_WEIGHT * mean(cells->sums[i], cells->chroma_counts[(i - blocks) % CELLS]);
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of the 8-bit kernels: each as its definition reads. */
#include "inference/kernels/bytes_plain.h"

enum { ROWS = 4, COLUMNS = 8 };

static void gemm(struct byte_tile *tile)
{
    const int32_t *bias = (const int32_t *)(const void *)tile->panel;
    const int8_t *weights = (const int8_t *)tile->panel + tile->width * PLAIN_HEADER_BYTES;
    uint8_t flip = (uint8_t)tile->flips;
    for (int r = 0; r < tile->rows; r++) {
        for (int c = 0; c < tile->columns; c++) {
            uint32_t sum = (uint32_t)bias[c] + (tile->row_offsets != NULL ? (uint32_t)tile->row_offsets[r] : 0);
            for (int64_t t = 0; t < tile->taps; t++) {
                for (int64_t k = 0; k < tile->depth; k++)
                    sum += (uint32_t)((tile->inputs[r][tile->distances[t] + k] ^ flip) * weights[(t * tile->depth + k) * tile->width + c]);
            }
            tile->out[r * tile->out_stride + c] = byte_result(tile->results, tile->first_column + c, (int32_t)sum);
        }
    }
}

static void depthwise(const struct byte_depthwise *lines)
{
    const int32_t *bias = lines->packed;
    const int16_t *weights = (const int16_t *)(const void *)(bias + lines->channels);
    for (int r = 0; r < lines->lines; r++) {
        const uint8_t *const *taps = lines->quads + r * lines->quad_step * 4;
        for (int64_t i = 0; i < lines->length; i++) {
            int64_t channel = i % lines->channels;
            uint32_t sum = (uint32_t)bias[channel];
            for (int t = 0; t < lines->groups * 4; t++)
                sum += (uint32_t)(taps[t][i] * weights[t * lines->channels + channel]);
            lines->out[r * lines->out_stride + i] = byte_result(lines->results, channel, (int32_t)sum);
        }
    }
}

static void copy(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t i = 0; i < bytes; i++)
            target[p * bytes + i] = source[p * step + i] ^ flip;
    }
}

static void sum_rows(const uint8_t *const *inputs, int rows, const int64_t *distances, int64_t taps, int64_t depth, uint8_t flip, int32_t factor,
                     int32_t *sums)
{
    for (int r = 0; r < rows; r++) {
        uint32_t sum = 0;
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t k = 0; k < depth; k++)
                sum += inputs[r][distances[t] + k] ^ flip;
        }
        sums[r] = (int32_t)((uint32_t)factor * sum);
    }
}

static void window_max(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                       uint8_t *out)
{
    for (int64_t p = 0; p < pixels; p++, first += step, out += channels) {
        for (int64_t c = 0; c < channels; c++)
            out[c] = 0;
        for (int64_t n = 0; n < count; n++) {
            for (int64_t c = 0; c < channels; c++) {
                uint8_t x = first[distances[n] + c] ^ flip;
                out[c] = x > out[c] ? x : out[c];
            }
        }
        for (int64_t c = 0; c < channels; c++)
            out[c] ^= flip;
    }
}

static void window_sum(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums)
{
    for (int64_t c = 0; c < channels; c++)
        sums[c] = 0;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t c = 0; c < channels; c++)
            sums[c] += first[distances[n] + c] ^ flip;
    }
}

static void interleave(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t p = 0; p < planes; p++)
            target[i * planes + p] = source[p * count + i];
    }
}

static void add(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = byte_add_result(add, a[i], b[i]);
}

const struct byte_kernels byte_kernels_scalar = {
    .rows = ROWS, .columns = COLUMNS, .narrow_columns = COLUMNS, .depth = 1, .header_bytes = PLAIN_HEADER_BYTES,
    .pack_header = plain_pack_header, .place = plain_place, .gemm = gemm, .depthwise_bytes = plain_depthwise_bytes,
    .pack_depthwise = plain_pack_depthwise, .depthwise = depthwise, .copy = copy, .sum_rows = sum_rows,
    .window_max = window_max, .window_sum = window_sum, .interleave = interleave, .add = add,
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_8.h: the 8-bit kernels for any instruction set, in loops that gcc turns into vectors. A file per set defines BYTE_KERNELS_SYMBOL,
 * includes this and is compiled for that set. */
#include "inference/kernels/vector_gemm_8.h"

enum { DEPTHWISE_BLOCK = 64 };

/* `count` results of one channel each from channel `first` on. */
INLINE_8 void depthwise_block(const struct byte_depthwise *lines, const uint8_t *const *taps, int64_t at, int64_t first, int64_t count, uint8_t *out)
{
    _Alignas(64) int32_t sums[DEPTHWISE_BLOCK];
    const int32_t *bias = lines->packed;
    const int16_t *weights = (const int16_t *)(const void *)(bias + lines->channels) + first;
    memcpy(sums, bias + first, (size_t)count * sizeof *sums);
    for (int t = 0; t < lines->groups * 4; t++) {
        const uint8_t *row = taps[t] + at;
        const int16_t *w = weights + t * lines->channels;
        for (int64_t c = 0; c < count; c++)
            sums[c] = wrapping_add(sums[c], (int16_t)row[c] * w[c]);
    }
    requantize_columns(sums, out, count, lines->results, lines->results->multiplier + first, lines->results->shift + first);
}

static void depthwise_8(const struct byte_depthwise *lines)
{
    for (int r = 0; r < lines->lines; r++) {
        const uint8_t *const *taps = lines->quads + r * lines->quad_step * 4;
        for (int64_t x = 0; x < lines->length; x += lines->channels) {
            for (int64_t c = 0; c < lines->channels; c += DEPTHWISE_BLOCK) {
                int64_t count = lines->channels - c < DEPTHWISE_BLOCK ? lines->channels - c : DEPTHWISE_BLOCK;
                uint8_t *out = lines->out + r * lines->out_stride + x + c;
                if (count == DEPTHWISE_BLOCK)
                    depthwise_block(lines, taps, x + c, c, DEPTHWISE_BLOCK, out);
                else
                    depthwise_block(lines, taps, x + c, c, count, out);
            }
        }
    }
}

static void copy_8(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t i = 0; i < bytes; i++)
            target[p * bytes + i] = source[p * step + i] ^ flip;
    }
}

static void sum_rows_8(const uint8_t *const *inputs, int rows, const int64_t *distances, int64_t taps, int64_t depth, uint8_t flip, int32_t factor,
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

static void window_max_8(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
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

static void window_sum_8(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums)
{
    for (int64_t c = 0; c < channels; c++)
        sums[c] = 0;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t c = 0; c < channels; c++)
            sums[c] += first[distances[n] + c] ^ flip;
    }
}

static void interleave_8(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count)
{
    enum { RUN = 64 }; /* of a plane: what is written stays in the first cache until all planes have been there */
    for (int64_t first = 0; first < count; first += RUN) {
        int64_t last = first + RUN < count ? first + RUN : count;
        for (int64_t p = 0; p < planes; p++) {
            for (int64_t i = first; i < last; i++)
                target[i * planes + p] = source[p * count + i];
        }
    }
}

/* fixed_multiply by one factor whose shift is not to the left. */
INLINE_8 int32_t multiply_right(int32_t x, int32_t multiplier, int32_t right)
{
    int32_t high = (int32_t)(((int64_t)x * multiplier + (1ll << 30)) >> 31);
    int32_t mask = (int32_t)((1u << right) - 1u), remainder = high & mask, threshold = (mask >> 1) + (high < 0);
    return (high >> right) + (remainder > threshold);
}

static void add_8(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    if (add->a_shift > 0 || add->b_shift > 0 || add->out_shift > 0) {
        for (int64_t i = 0; i < count; i++)
            out[i] = byte_add_result(add, a[i], b[i]);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t scaled_a = multiply_right(((a[i] ^ add->a_flip) - add->a_zero) * (1 << 20), add->a_multiplier, -add->a_shift);
        int32_t scaled_b = multiply_right(((b[i] ^ add->b_flip) - add->b_zero) * (1 << 20), add->b_multiplier, -add->b_shift);
        int32_t x = multiply_right(scaled_a + add->sign_b * scaled_b, add->out_multiplier, -add->out_shift);
        x = x > 65535 ? 65535 : x < -65536 ? -65536 : x;
        x += add->out_zero;
        x = x < add->low ? add->low : x > add->high ? add->high : x;
        out[i] = (uint8_t)x ^ add->out_flip;
    }
}

/* One whose product is another function takes the rest from here. */
#define BYTE_KERNELS_TABLE(group, product)                                                                                                     \
    {                                                                                                                                          \
        .rows = BYTE_ROWS, .columns = BYTE_COLUMNS, .narrow_columns = BYTE_COLUMNS, .depth = group, .header_bytes = PLAIN_HEADER_BYTES,            \
        .pack_header = plain_pack_header, .place = plain_place, .gemm = product, .depthwise_bytes = plain_depthwise_bytes,                        \
        .pack_depthwise = plain_pack_depthwise, .depthwise = depthwise_8, .copy = copy_8, .sum_rows = sum_rows_8, .window_max = window_max_8,     \
        .window_sum = window_sum_8, .interleave = interleave_8, .add = add_8                                                                       \
    }

const struct byte_kernels BYTE_KERNELS_SYMBOL = BYTE_KERNELS_TABLE(BYTE_DEPTH, gemm_8);

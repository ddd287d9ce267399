/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_elements_8.h: copies, sums, pools and additions of bytes for any instruction set, in loops that gcc turns into vectors. Whoever includes
 * this takes what it has no better code for. */
#ifndef EDDY_INFERENCE_VECTOR_ELEMENTS_8_H
#define EDDY_INFERENCE_VECTOR_ELEMENTS_8_H

#include "inference/kernels/bytes_plain.h"

#define INLINE_8 static inline __attribute__((always_inline))

static inline void copy_8(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t i = 0; i < bytes; i++)
            target[p * bytes + i] = source[p * step + i] ^ flip;
    }
}

static inline void sum_rows_8(const uint8_t *const *inputs, int rows, const int64_t *distances, int64_t taps, int64_t depth, uint8_t flip, int32_t factor,
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

static inline void window_max_8(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
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

static inline void window_sum_8(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums)
{
    for (int64_t c = 0; c < channels; c++)
        sums[c] = 0;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t c = 0; c < channels; c++)
            sums[c] += first[distances[n] + c] ^ flip;
    }
}

static inline void interleave_8(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count)
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
INLINE_8 int32_t multiply_right_8(int32_t x, int32_t multiplier, int32_t right)
{
    int32_t high = (int32_t)(((int64_t)x * multiplier + (1ll << 30)) >> 31);
    int32_t mask = (int32_t)((1u << right) - 1u), remainder = high & mask, threshold = (mask >> 1) + (high < 0);
    return (high >> right) + (remainder > threshold);
}

static inline void add_8(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add)
{
    if (add->a_shift > 0 || add->b_shift > 0 || add->out_shift > 0) {
        for (int64_t i = 0; i < count; i++)
            out[i] = byte_add_result(add, a[i], b[i]);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t scaled_a = multiply_right_8(((a[i] ^ add->a_flip) - add->a_zero) * (1 << 20), add->a_multiplier, -add->a_shift);
        int32_t scaled_b = multiply_right_8(((b[i] ^ add->b_flip) - add->b_zero) * (1 << 20), add->b_multiplier, -add->b_shift);
        int32_t x = multiply_right_8(scaled_a + add->sign_b * scaled_b, add->out_multiplier, -add->out_shift);
        x = x > 65535 ? 65535 : x < -65536 ? -65536 : x;
        x += add->out_zero;
        x = x < add->low ? add->low : x > add->high ? add->high : x;
        out[i] = (uint8_t)x ^ add->out_flip;
    }
}

#endif

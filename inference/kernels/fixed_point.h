/* SPDX-License-Identifier: Apache-2.0
 *
 * fixed_point.h: TFLite's integer arithmetic of scales, bit for bit.
 *
 * A real factor m becomes a 31-bit multiplier and a power of two: m = multiplier / 2^31 * 2^shift (QuantizeMultiplier). Applying it rounds
 * twice, as gemmlowp does (fixedpoint.h: SaturatingRoundingDoublingHighMul, RoundingDivideByPOT): the default of TFLite's reference kernels
 * (without TFLITE_SINGLE_ROUNDING). */
#ifndef EDDY_INFERENCE_FIXED_POINT_H
#define EDDY_INFERENCE_FIXED_POINT_H

#include "inference/graph.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct fixed_multiplier {
    int32_t multiplier; /* 2^30 .. 2^31-1, or 0 */
    int32_t shift;      /* > 0: to the left */
};

static inline struct fixed_multiplier fixed_multiplier_from(double real)
{
    struct fixed_multiplier fixed = {0, 0};
    if (!(real > 0) || !isfinite(real))
        return fixed;
    int exponent;
    double fraction = frexp(real, &exponent);
    int64_t rounded = llround(fraction * (double)(1ll << 31));
    if (rounded == 1ll << 31) {
        rounded /= 2;
        exponent++;
    }
    if (exponent < -31) {
        exponent = 0;
        rounded = 0;
    }
    if (exponent > 30) {
        exponent = 30;
        rounded = INT32_MAX;
    }
    fixed.multiplier = (int32_t)rounded;
    fixed.shift = exponent;
    return fixed;
}

static inline int32_t fixed_high_multiply(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1ll << 30 : 1 - (1ll << 30);
    return (int32_t)((product + nudge) / (1ll << 31));
}

static inline int32_t fixed_divide_by_power(int32_t x, int exponent)
{
    int32_t mask = (int32_t)((1ll << exponent) - 1), remainder = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + (remainder > threshold);
}

static inline int32_t fixed_multiply(int32_t x, struct fixed_multiplier m)
{
    int left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;
    int32_t shifted = (int32_t)((uint32_t)x << left); /* overflows as the reference does */
    return fixed_divide_by_power(fixed_high_multiply(shifted, m.multiplier), right);
}

/* Wraps: a file's scales and biases may be anything, and what they lead to is cut to a byte afterwards. */
static inline int32_t fixed_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* What a fused activation leaves of the stored range of `out` (i8 or u8, one scale). */
static inline void fixed_activation_range(enum activation activation, const struct value *out, int32_t *low, int32_t *high)
{
    double scale = (double)out->quantization.scale[0];
    int32_t zero = out->quantization.zero_point[0];
    *low = out->dtype == DTYPE_U8 ? 0 : -128;
    *high = out->dtype == DTYPE_U8 ? 255 : 127;
    int32_t bottom = *low, top = *high;
    double real_low = activation == ACTIVATION_RELU || activation == ACTIVATION_RELU6 ? 0 : activation == ACTIVATION_RELU_N1_1 ? -1 : -INFINITY;
    double real_high = activation == ACTIVATION_RELU6 ? 6 : activation == ACTIVATION_RELU_N1_1 ? 1 : INFINITY;
    if (isfinite(real_low)) {
        double stored = (double)zero + round(real_low / scale);
        *low = stored > bottom ? (stored < top ? (int32_t)stored : top) : bottom;
    }
    if (isfinite(real_high)) {
        double stored = (double)zero + round(real_high / scale);
        *high = stored < top ? (stored > bottom ? (int32_t)stored : bottom) : top;
    }
}

/* The range of a fused activation in f32; false: none (or one that is no clamp). */
static inline bool fixed_float_range(const struct node *node, float *low, float *high)
{
    *low = -FLT_MAX;
    *high = FLT_MAX;
    switch (node->activation) {
    case ACTIVATION_RELU: *low = 0; return true;
    case ACTIVATION_RELU6: *low = 0; *high = 6; return true;
    case ACTIVATION_RELU_N1_1: *low = -1; *high = 1; return true;
    case ACTIVATION_CLIP: *low = node->activation_low; *high = node->activation_high; return true;
    default: return false;
    }
}

#endif

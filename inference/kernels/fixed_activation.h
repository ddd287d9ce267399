/* SPDX-License-Identifier: Apache-2.0
 *
 * fixed_activation.h: sigmoid and tanh of 16-bit fixed-point numbers, bit for bit as TFLite's integer LSTM computes them.
 *
 * The arithmetic is that of gemmlowp's fixedpoint.h (logistic, tanh over FixedPoint<int16_t, bits>), which TFLite's
 * portable_tensor_utils.cc applies; tflite-micro's table of sigmoids, interpolated, differs from it in the last bits. An argument with `bits`
 * integer bits stands for raw / 2^(15 - bits); a result for raw / 2^15, where 32767 is one. */
#ifndef EDDY_INFERENCE_FIXED_ACTIVATION_H
#define EDDY_INFERENCE_FIXED_ACTIVATION_H

#include <stdint.h>

enum { FIXED_16_ONE = INT16_MAX };

static inline int32_t fixed_16_cut(int32_t x)
{
    return x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x;
}

/* a * b / 2^15, halves rounded up. */
static inline int32_t fixed_16_multiply(int32_t a, int32_t b)
{
    int32_t product = (a * b + (1 << 14)) >> 15;
    return product > INT16_MAX ? INT16_MAX : product; /* -1 times -1 */
}

/* x / 2^exponent, halves rounded away from zero. */
static inline int32_t fixed_16_divide(int32_t x, int exponent)
{
    return (x + (1 << (exponent - 1)) + (x >> 31)) >> exponent;
}

/* exp(a) for a in -1/4 .. 0, no integer bits: Taylor's polynomial about -1/8. */
static inline int32_t fixed_16_exp_quarter(int32_t a)
{
    enum { EXP_OF_CENTRE = 28918, THIRD = 10923 };
    int32_t x = a + (1 << 12), x2 = fixed_16_multiply(x, x), x3 = fixed_16_multiply(x2, x), x4 = fixed_16_multiply(x2, x2);
    int32_t rest = fixed_16_divide(fixed_16_multiply(fixed_16_divide(x4, 2) + x3, THIRD) + x2, 1);
    return fixed_16_cut(EXP_OF_CENTRE + fixed_16_multiply(EXP_OF_CENTRE, x + rest));
}

/* exp(a) for a <= 0 with `bits` integer bits: its last quarter by the polynomial, then a factor exp(-2^i) for each higher bit. */
static inline int32_t fixed_16_exp(int32_t a, int bits)
{
    enum { FACTORS = 7 };
    static const int16_t factors[FACTORS] = {25520, 19875, 12055, 4435, 600, 11, 0}; /* exp(-2^-2), exp(-2^-1), ... */
    int fraction = 15 - bits;
    int32_t quarter = 1 << (fraction - 2), within = (a & (quarter - 1)) - quarter, rest = within - a;
    int32_t result = fixed_16_exp_quarter(within * (1 << bits));
    for (int i = 0; i < FACTORS && i < bits + 2; i++)
        result = rest & (quarter << i) ? fixed_16_multiply(result, factors[i]) : result;
    if (bits > 5)
        result = a < -(1 << (20 - bits)) ? 0 : result;
    return a == 0 ? FIXED_16_ONE : result;
}

/* 2 / (1 + a) for a in 0 .. 1, two integer bits: Newton and Raphson's division. */
static inline int32_t fixed_16_invert(int32_t a)
{
    enum { START = 23130, SLOPE = -15420, ONE = 1 << 13 }; /* 48/17, -32/17 */
    int32_t half = (a + FIXED_16_ONE + 1) >> 1, x = START + fixed_16_multiply(half, SLOPE);
    for (int i = 0; i < 3; i++)
        x += fixed_16_cut(fixed_16_multiply(x, ONE - fixed_16_multiply(half, x)) * 4);
    return x;
}

/* Three integer bits. */
static inline int32_t fixed_16_sigmoid(int32_t a)
{
    int32_t above = fixed_16_cut(fixed_16_invert(fixed_16_exp(a > 0 ? -a : a, 3)) * 2);
    return a > 0 ? above : a < 0 ? FIXED_16_ONE - above : 1 << 14;
}

static inline int32_t fixed_16_tanh(int32_t a, int bits) /* 0 <= bits <= 6 */
{
    int32_t size = fixed_16_cut((fixed_16_invert(fixed_16_exp(a > 0 ? -a : a, bits + 1)) - (1 << 13)) * 4);
    return a > 0 ? size : a < 0 ? -size : 0;
}

#endif

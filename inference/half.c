/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/half.h"

#include <math.h>
#include <string.h>

enum { HALF_INFINITY = 0x7C00, HALF_NAN = 0x7E00, HALF_NORMAL = 0x0400, FRACTION_BITS = 10, BIAS = 15 };
enum { DOUBLE_FRACTION_BITS = 52, DOUBLE_BIAS = 1023, DROPPED = DOUBLE_FRACTION_BITS - FRACTION_BITS };

float half_to_float(uint16_t half)
{
    const uint32_t magnitude = half & 0x7FFF, sign = (uint32_t)(half & 0x8000) << 16;
    float value;
    if (magnitude < HALF_NORMAL) {
        value = (float)magnitude * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    uint32_t bits = magnitude << 13;
    bits += magnitude < HALF_INFINITY ? (127u - BIAS) << 23 : (255u - 31) << 23;
    bits |= sign | (magnitude > HALF_INFINITY ? 1u << 22 : 0);
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t half_from_double(double value)
{
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    const double magnitude = fabs(value);
    uint64_t bits;
    if (isnan(value))
        return sign | HALF_NAN;
    if (magnitude >= 65520)
        return sign | HALF_INFINITY;
    if (magnitude < 0x1p-14) {
        const double rounded = magnitude + 0x1p28; /* whose last place is 2^-24, as that of a subnormal half */
        memcpy(&bits, &rounded, sizeof bits);
        return sign | (uint16_t)(bits & 0x7FF);
    }
    memcpy(&bits, &magnitude, sizeof bits);
    bits += (UINT64_C(1) << (DROPPED - 1)) - 1 + (bits >> DROPPED & 1); /* the step to the next exponent is a carry */
    bits -= (uint64_t)(DOUBLE_BIAS - BIAS) << DOUBLE_FRACTION_BITS;
    return sign | (uint16_t)(bits >> DROPPED);
}

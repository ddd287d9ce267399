/* SPDX-License-Identifier: Apache-2.0
 *
 * approximate.h: exp(x) in single precision that gcc can turn into vectors: 2^n * p(r), Cephes' polynomial for r in [-ln2/2, ln2/2].
 * Within 2 units in the last place of expf over -87..88; beyond those ends the value at the end. NaN stays NaN. */
#ifndef EDDY_INFERENCE_APPROXIMATE_H
#define EDDY_INFERENCE_APPROXIMATE_H

#include <stdint.h>
#include <string.h>

static inline float approximate_exp(float x)
{
    const float log2e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, magic = 12582912.0f; /* 1.5 * 2^23 */
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float shifted = x * log2e + magic, n = shifted - magic, r = x - n * ln2_high - n * ln2_low;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits, exponent;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&exponent, &shifted, sizeof exponent);
    bits += exponent << 23; /* the low bits of `shifted` are n */
    memcpy(&p, &bits, sizeof p);
    return x == x ? p : x;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * half.h: IEEE 754 binary16, of which eddy only reads and writes: what computes does so in single precision.
 *
 * In place of the compiler's _Float16, for which x86 without AVX512-FP16 calls 4 KB of libgcc. Both are exact: to_float has no need to
 * round, from_double rounds once, to nearest, ties to even; over 65504 by half a step or more gives infinity; NaN stays NaN, quiet. */
#ifndef EDDY_INFERENCE_HALF_H
#define EDDY_INFERENCE_HALF_H

#include <stdint.h>

float half_to_float(uint16_t half);
uint16_t half_from_double(double value);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * convolution_f32.h: float convolution and matrix product with constant weights, as one loop over tiles of result pixels. */
#ifndef EDDY_INFERENCE_CONVOLUTION_F32_H
#define EDDY_INFERENCE_CONVOLUTION_F32_H

#include "inference/operators/operators.h"

/* OPERATOR_CONV whose operands are f32 and whose weights and bias are constant. */
operator_prepare_function convolution_f32_prepare;
/* The same with few results, where narrow_convolution_fits says so. */
operator_prepare_function narrow_convolution_prepare;
bool narrow_convolution_fits(const struct operation *operation);
/* The same by minimal filtering, where passes/winograd.c chose it. */
operator_prepare_function winograd_prepare;
/* OPERATOR_FULLY_CONNECTED of the same kind: `rows` rows of `depth` floats times weights [columns][depth]. */
operator_prepare_function fully_connected_f32_prepare;

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * import_convolution.h: a convolution from its operands, shared by Conv and QLinearConv. bias may be GRAPH_NO_VALUE;
 * output_quantization NULL: the result is float. Binds output 0. */
#ifndef EDDY_INFERENCE_ONNX_IMPORT_CONVOLUTION_H
#define EDDY_INFERENCE_ONNX_IMPORT_CONVOLUTION_H

#include "inference/onnx/import.h"

MUST_CHECK enum error_code import_convolution(struct importer *importer, int32_t input, int32_t weights, int32_t bias,
                                              const struct quantization *output_quantization, enum dtype output_dtype);

#endif

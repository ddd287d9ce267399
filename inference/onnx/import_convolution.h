/* SPDX-License-Identifier: Apache-2.0
 *
 * import_convolution.h: convolutions from their operands, shared by Conv, QLinearConv and ConvInteger. */
#ifndef EDDY_INFERENCE_ONNX_IMPORT_CONVOLUTION_H
#define EDDY_INFERENCE_ONNX_IMPORT_CONVOLUTION_H

#include "inference/onnx/import.h"

/* bias may be GRAPH_NO_VALUE; output_quantization NULL: the result is float. Binds output 0. */
MUST_CHECK enum error_code import_convolution(struct importer *importer, int32_t input, int32_t weights, int32_t bias,
                                              const struct quantization *output_quantization, enum dtype output_dtype);

import_function import_conv, import_conv_transpose, import_conv_integer;

#endif

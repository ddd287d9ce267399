/* SPDX-License-Identifier: Apache-2.0
 *
 * import_einsum.h: Einsum, listed with the matrix operators. */
#ifndef EDDY_INFERENCE_ONNX_IMPORT_EINSUM_H
#define EDDY_INFERENCE_ONNX_IMPORT_EINSUM_H

#include "inference/onnx/import.h"

import_function import_einsum;

#endif

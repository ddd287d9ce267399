/* SPDX-License-Identifier: Apache-2.0
 *
 * onnx.h: reads .onnx files (github.com/onnx/onnx, onnx.proto3) into a graph.
 *
 * Opsets 6 to 24 of the default domain and ai.onnx.ml's trees (docs/operators.md). Shape arithmetic is computed while reading, so that what
 * reaches the graph has fixed shapes; dimensions that the file leaves open come from options or become 1. Spatial operators are put into NHWC between
 * transposes, which the layout pass then removes. External data is refused: a model is one file.
 * Errors: ERROR_MODEL (what is damaged, at which node), ERROR_UNSUPPORTED (operator, node), ERROR_LIMIT. */
#ifndef EDDY_INFERENCE_ONNX_H
#define EDDY_INFERENCE_ONNX_H

#include "base/arena.h"
#include "inference/engine.h"
#include "inference/graph.h"

/* bytes must stay as long as the graph: constants may point into them. graph: initialised and empty. */
MUST_CHECK enum error_code onnx_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph,
                                     struct error *error);

/* Reads one serialised TensorProto, as test vectors come. Its data lies in the arena. */
MUST_CHECK enum error_code onnx_tensor_read(const uint8_t *bytes, size_t length, struct arena *arena, struct tensor *tensor_out,
                                            struct error *error);

/* Operator `index` of those that onnx_load knows; false: there are no more. */
struct onnx_operator {
    const char *name, *domain, *family, *types, *note;
};
bool onnx_operator_at(int index, struct onnx_operator *operator_out);

#endif

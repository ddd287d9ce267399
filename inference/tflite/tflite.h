/* SPDX-License-Identifier: Apache-2.0
 *
 * tflite.h: reads .tflite files (TensorFlow Lite's schema.fbs, version 3, a FlatBuffer) into a graph.
 *
 * One subgraph. Every offset is checked before it is followed (flatbuffer.h); constants stay in the file where they are aligned. Dimensions
 * that the file leaves open come from options or become 1. Bytes behind the FlatBuffer (metadata as a zip) are not looked at.
 * Errors: ERROR_MODEL (what is damaged), ERROR_UNSUPPORTED (operator and where it sits), ERROR_LIMIT. */
#ifndef EDDY_INFERENCE_TFLITE_H
#define EDDY_INFERENCE_TFLITE_H

#include "inference/engine.h"
#include "inference/graph.h"

/* bytes must stay as long as the graph. graph: initialised and empty. */
MUST_CHECK enum error_code tflite_load(const uint8_t *bytes, size_t length, const struct model_options *options, struct graph *graph,
                                       struct error *error);

#endif

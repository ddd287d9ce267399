/* SPDX-License-Identifier: Apache-2.0
 *
 * parse.h: the messages of an ONNX file as structs, nothing interpreted yet. All strings and arrays lie in the arena.
 * Field numbers: onnx/onnx.proto3. */
#ifndef EDDY_INFERENCE_ONNX_PARSE_H
#define EDDY_INFERENCE_ONNX_PARSE_H

#include "base/arena.h"
#include "base/error.h"
#include "inference/onnx/protobuf.h"
#include "inference/tensor.h"

struct onnx_attribute {
    const char *name;
    float f;
    int64_t i;
    const char *s;
    struct tensor *tensor;   /* NULL: none */
    float *floats;
    int64_t *ints;
    const char **strings;
    int float_count, int_count, string_count;
    struct onnx_model *graph; /* the body of If, Loop, Scan; its opset is the file's */
};

struct onnx_node {
    const char *op, *domain, *name;
    const char **inputs, **outputs; /* "" where an optional one is absent */
    int input_count, output_count;
    struct onnx_attribute *attributes;
    int attribute_count;
};

struct onnx_value_info {
    const char *name;
    enum dtype dtype;
    bool dtype_known;
    struct shape shape;      /* -1: left open */
};

struct onnx_model {
    struct onnx_node *nodes;
    struct tensor *initializers;
    struct onnx_value_info *inputs, *outputs;
    int node_count, initializer_count, input_count, output_count;
    int opset;               /* of the default domain */
};

MUST_CHECK enum error_code onnx_parse(const uint8_t *bytes, size_t length, struct arena *arena, struct onnx_model *model, struct error *error);
/* borrow: f32 and bytes that the file holds as they are stay there; data may then be unaligned. */
MUST_CHECK enum error_code onnx_parse_tensor(struct protobuf body, struct arena *arena, bool borrow, struct tensor *tensor, struct error *error);
MUST_CHECK enum error_code onnx_dtype(int64_t type, enum dtype *dtype_out, struct error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * UNIDIRECTIONAL_SEQUENCE_LSTM in f32 without peepholes, projection and layer normalisation: the graph's LSTM with its matrices stacked. */
#include "inference/tflite/convert.h"

#include <string.h>

enum { LSTM_INPUT_WEIGHTS = 1, LSTM_RECURRENT_WEIGHTS = 5, LSTM_PEEPHOLES = 9, LSTM_BIASES = 12, LSTM_PROJECTION = 16, LSTM_NORMS = 20, GATES = 4 };

/* The file's gates are input, forget, cell, output; the graph's input, output, forget, cell. */
static const uint32_t gate_order[GATES] = {0, 3, 1, 2};

static enum error_code refuse(struct converter *converter, uint32_t from, uint32_t to, const char *what)
{
    for (uint32_t i = from; i < to; i++) {
        int32_t value;
        TRY(convert_input(converter, i, false, &value));
        if (value >= 0)
            return convert_fail(converter, ERROR_UNSUPPORTED, "%s", what);
    }
    return ERROR_NONE;
}

/* Stacks the constants of the four gates, `elements` each, at *at. */
static enum error_code stack(struct converter *converter, uint32_t first, int64_t elements, float *target)
{
    for (int gate = 0; gate < GATES; gate++) {
        int32_t value;
        TRY(convert_input(converter, first + gate_order[gate], true, &value));
        const struct value *part = convert_value(converter, value);
        if (part->data == NULL || part->dtype != DTYPE_F32 || shape_elements(&part->shape) != elements)
            return convert_fail(converter, ERROR_UNSUPPORTED, "gates that are not constant f32 of one size (the quantised LSTM is not supported)");
        memcpy(target + gate * elements, part->data, (size_t)elements * sizeof *target);
    }
    return ERROR_NONE;
}

static enum error_code make_stacked(struct converter *converter, uint32_t first, const struct shape *shape, int32_t *value_out)
{
    const struct value like = {.name = "lstm", .dtype = DTYPE_F32};
    int64_t elements = shape_elements(shape), gates = shape->rank == 2 ? 2 * GATES : GATES; /* biases: the second half, R's, stays 0 */
    float *data = elements < 0 ? NULL : arena_allocate_array(&converter->graph->arena, (size_t)elements, sizeof *data);
    if (data == NULL)
        return convert_fail(converter, ERROR_LIMIT, "the model needs more memory than eddy allows");
    TRY(stack(converter, first, elements / gates, data));
    return convert_constant(converter, &like, shape, data, value_out);
}

static enum error_code swap_time_and_batch(struct converter *converter, int32_t value, int32_t *value_out)
{
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_TRANSPOSE, &value, 1, -1, &node));
    memcpy(node->attributes.transpose.order, (const int32_t[]){1, 0, 2}, 3 * sizeof(int32_t));
    return convert_finish(converter, value_out);
}

enum error_code convert_lstm(struct converter *converter, enum operator_kind kind)
{
    int32_t input, weights, inputs[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, result;
    bool time_major = flatbuffer_integer(&converter->options, 3, 1, 0) != 0;
    enum { TANH = 4 };
    TRY(refuse(converter, LSTM_PEEPHOLES, LSTM_BIASES, "peephole connections"));
    TRY(refuse(converter, LSTM_PROJECTION, LSTM_PROJECTION + 2, "a projection"));
    TRY(refuse(converter, LSTM_NORMS, LSTM_NORMS + 4, "layer normalisation"));
    if (flatbuffer_integer(&converter->options, 0, 1, 0) != TANH)
        return convert_fail(converter, ERROR_UNSUPPORTED, "another activation than tanh");
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, LSTM_RECURRENT_WEIGHTS, true, &weights));
    const struct shape shape = convert_value(converter, input)->shape;
    int32_t hidden = convert_value(converter, weights)->shape.rank == 2 ? convert_value(converter, weights)->shape.dims[0] : 0;
    if (shape.rank != 3 || hidden < 1 || hidden > 1 << 16)
        return convert_fail(converter, ERROR_MODEL, "an input or weights of another rank");
    inputs[0] = input;
    if (!time_major)
        TRY(swap_time_and_batch(converter, input, &inputs[0]));
    TRY(make_stacked(converter, LSTM_INPUT_WEIGHTS, &(struct shape){.rank = 3, .dims = {1, GATES * hidden, shape.dims[2]}}, &inputs[1]));
    TRY(make_stacked(converter, LSTM_RECURRENT_WEIGHTS, &(struct shape){.rank = 3, .dims = {1, GATES * hidden, hidden}}, &inputs[2]));
    TRY(make_stacked(converter, LSTM_BIASES, &(struct shape){.rank = 2, .dims = {1, 2 * GATES * hidden}}, &inputs[3]));
    struct node *node = graph_add_node(converter->graph, kind, "lstm", 8, 3);
    if (node == NULL)
        return convert_fail(converter, ERROR_LIMIT, "the graph is larger than eddy takes");
    memcpy(node->inputs, inputs, sizeof inputs);
    node->attributes.recurrent.hidden = hidden;
    node->attributes.recurrent.cell_clip = flatbuffer_f32(&converter->options, 1, 0);
    TRY(convert_finish(converter, &result));
    const struct shape made = convert_value(converter, result)->shape; /* [T, 1, N, H] */
    TRY(convert_reshape(converter, result, &(struct shape){.rank = 3, .dims = {made.dims[0], made.dims[2], hidden}}, -1, &result));
    if (!time_major)
        TRY(swap_time_and_batch(converter, result, &result));
    return convert_bind(converter, 0, result);
}

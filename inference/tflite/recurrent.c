/* SPDX-License-Identifier: Apache-2.0
 *
 * UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and layer normalisation: the graph's LSTM with its matrices stacked, in f32
 * (weights of 8 bits beside a float input become floats) or in integers of 8 and 16 bits. State begins as zeros in each run. */
#include "inference/tflite/convert.h"

#include <math.h>
#include <string.h>

enum { LSTM_INPUT_WEIGHTS = 1, LSTM_RECURRENT_WEIGHTS = 5, LSTM_PEEPHOLES = 9, LSTM_BIASES = 12, LSTM_PROJECTION = 16, LSTM_HIDDEN_STATE = 18,
       LSTM_CELL_STATE = 19, LSTM_NORMS = 20, GATES = 4 };
enum { LSTM_HIDDEN_INTERMEDIATE = 4 };

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

static enum error_code check_form(struct converter *converter)
{
    enum { TANH = 4 };
    int32_t value;
    TRY(refuse(converter, LSTM_PEEPHOLES, LSTM_BIASES, "peephole connections"));
    TRY(refuse(converter, LSTM_PROJECTION, LSTM_PROJECTION + 2, "a projection"));
    TRY(refuse(converter, LSTM_HIDDEN_STATE, LSTM_NORMS, "a state that is given"));
    TRY(refuse(converter, LSTM_NORMS, LSTM_NORMS + 4, "layer normalisation"));
    TRY(convert_input(converter, LSTM_INPUT_WEIGHTS, false, &value));
    if (value < 0)
        return convert_fail(converter, ERROR_UNSUPPORTED, "coupled input and forget gates");
    if (flatbuffer_integer(&converter->options, 0, 1, 0) != TANH)
        return convert_fail(converter, ERROR_UNSUPPORTED, "another activation than tanh");
    return ERROR_NONE;
}

/* Stacks the constants of the four gates, `elements` of type `dtype` each, at `target`, and their scales (weights in integers) at `scales`. */
static enum error_code stack(struct converter *converter, uint32_t first, enum dtype dtype, int64_t elements, char *target, float *scales)
{
    size_t bytes = (size_t)elements * dtype_bytes(dtype);
    for (int gate = 0; gate < GATES; gate++) {
        int32_t value;
        TRY(convert_input(converter, first + gate_order[gate], true, &value));
        if (dtype == DTYPE_F32)
            TRY(convert_widen(converter, value, &value));
        const struct value *part = convert_value(converter, value);
        if (part->data == NULL || part->dtype != dtype || shape_elements(&part->shape) != elements)
            return convert_fail(converter, ERROR_UNSUPPORTED, "gates that are not constant %s of one size", dtype_name(dtype));
        if (scales != NULL && (part->quantization.count != 1 || part->quantization.zero_point[0] != 0))
            return convert_fail(converter, ERROR_UNSUPPORTED, "weights of a gate that have a zero point or not one scale");
        if (scales != NULL)
            scales[gate] = part->quantization.scale[0];
        memcpy(target + (size_t)gate * bytes, part->data, bytes);
    }
    return ERROR_NONE;
}

static enum error_code make_stacked(struct converter *converter, uint32_t first, enum dtype dtype, const struct shape *shape, int32_t *value_out)
{
    struct value like = {.name = "lstm", .dtype = dtype};
    struct arena *arena = &converter->graph->arena;
    bool padded = dtype == DTYPE_F32 && shape->rank == 2; /* float biases: the second half, R's, stays 0 */
    int64_t elements = shape_elements(shape), each = elements / (padded ? 2 * GATES : GATES);
    char *data = elements < 0 ? NULL : arena_allocate_array(arena, (size_t)elements, dtype_bytes(dtype));
    float *scales = dtype == DTYPE_I8 ? arena_allocate_array(arena, GATES, sizeof *scales) : NULL;
    int32_t *zero_points = dtype == DTYPE_I8 ? arena_allocate_array(arena, GATES, sizeof *zero_points) : NULL;
    if (data == NULL || (dtype == DTYPE_I8 && (scales == NULL || zero_points == NULL)))
        return convert_fail(converter, ERROR_LIMIT, "the model needs more memory than eddy allows");
    TRY(stack(converter, first, dtype, each, data, scales));
    if (dtype == DTYPE_I8)
        like.quantization = (struct quantization){.count = GATES, .scale = scales, .zero_point = zero_points};
    return convert_constant(converter, &like, shape, data, value_out);
}

static enum error_code swap_time_and_batch(struct converter *converter, int32_t value, int32_t *value_out)
{
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_TRANSPOSE, &value, 1, -1, &node));
    memcpy(node->attributes.transpose.order, (const int32_t[]){1, 0, 2}, 3 * sizeof(int32_t));
    return convert_finish(converter, value_out);
}

/* A tensor that no operator makes and that only tells how something is quantised. */
static enum error_code describe(struct converter *converter, const struct flatbuffer_vector *tensors, uint32_t index, enum dtype dtype,
                                struct value *value_out)
{
    if (index >= tensors->count)
        return convert_fail(converter, ERROR_MODEL, "how its state is quantised is missing");
    TRY(tensor_describe(converter, flatbuffer_element_i32(tensors, index), value_out));
    if (value_out->dtype != dtype || value_out->quantization.count != 1)
        return convert_fail(converter, ERROR_UNSUPPORTED, "a state that is not %s with one scale", dtype_name(dtype));
    return ERROR_NONE;
}

/* Without a projection the hidden state is the output: their quantisation has to be the same. The cell state's scale is a power of two. */
static enum error_code read_states(struct converter *converter, struct value *output, int32_t *cell_power_out)
{
    struct value states[2], cell;
    TRY(describe(converter, &converter->outputs, 0, DTYPE_I8, output));
    TRY(describe(converter, &converter->inputs, LSTM_HIDDEN_STATE, DTYPE_I8, &states[0]));
    TRY(describe(converter, &converter->intermediates, LSTM_HIDDEN_INTERMEDIATE, DTYPE_I8, &states[1]));
    for (int i = 0; i < 2; i++) {
        const struct quantization *a = &states[i].quantization, *b = &output->quantization;
        if (a->scale[0] < b->scale[0] || a->scale[0] > b->scale[0] || a->zero_point[0] != b->zero_point[0])
            return convert_fail(converter, ERROR_UNSUPPORTED, "a hidden state and an output of different scales");
    }
    TRY(describe(converter, &converter->inputs, LSTM_CELL_STATE, DTYPE_I16, &cell));
    float power = log2f(cell.quantization.scale[0]);
    *cell_power_out = (int32_t)roundf(power);
    if (fabsf(power - roundf(power)) >= 1e-3f)
        return convert_fail(converter, ERROR_UNSUPPORTED, "a cell state whose scale is no power of two");
    return ERROR_NONE;
}

static enum error_code add_float(struct converter *converter, int32_t input, int32_t inputs, int32_t hidden, int32_t *result_out)
{
    int32_t operands[8] = {input, -1, -1, -1, -1, -1, -1, -1};
    TRY(make_stacked(converter, LSTM_INPUT_WEIGHTS, DTYPE_F32, &(struct shape){.rank = 3, .dims = {1, GATES * hidden, inputs}}, &operands[1]));
    TRY(make_stacked(converter, LSTM_RECURRENT_WEIGHTS, DTYPE_F32, &(struct shape){.rank = 3, .dims = {1, GATES * hidden, hidden}}, &operands[2]));
    TRY(make_stacked(converter, LSTM_BIASES, DTYPE_F32, &(struct shape){.rank = 2, .dims = {1, 2 * GATES * hidden}}, &operands[3]));
    struct node *node = graph_add_node(converter->graph, OPERATOR_LSTM, "lstm", 8, 3);
    if (node == NULL)
        return convert_fail(converter, ERROR_LIMIT, "the graph is larger than eddy takes");
    memcpy(node->inputs, operands, sizeof operands);
    node->attributes.recurrent.hidden = hidden;
    node->attributes.recurrent.cell_clip = flatbuffer_f32(&converter->options, 1, 0);
    TRY(convert_finish(converter, result_out));
    const struct shape made = convert_value(converter, *result_out)->shape; /* [T, 1, N, H] */
    return convert_reshape(converter, *result_out, &(struct shape){.rank = 3, .dims = {made.dims[0], made.dims[2], hidden}}, -1, result_out);
}

static enum error_code add_integer(struct converter *converter, int32_t input, int32_t inputs, int32_t hidden, int32_t *result_out)
{
    int32_t operands[4] = {input}, cell_power;
    struct value output;
    TRY(read_states(converter, &output, &cell_power));
    TRY(make_stacked(converter, LSTM_INPUT_WEIGHTS, DTYPE_I8, &(struct shape){.rank = 3, .dims = {GATES, hidden, inputs}}, &operands[1]));
    TRY(make_stacked(converter, LSTM_RECURRENT_WEIGHTS, DTYPE_I8, &(struct shape){.rank = 3, .dims = {GATES, hidden, hidden}}, &operands[2]));
    TRY(make_stacked(converter, LSTM_BIASES, DTYPE_I32, &(struct shape){.rank = 2, .dims = {GATES, hidden}}, &operands[3]));
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_LSTM_8, operands, 4, 0, &node));
    node->attributes.recurrent.hidden = hidden;
    node->attributes.recurrent.cell_power = cell_power;
    node->attributes.recurrent.cell_clip = flatbuffer_f32(&converter->options, 1, 0);
    return convert_finish(converter, result_out);
}

enum error_code convert_lstm(struct converter *converter, enum operator_kind kind)
{
    int32_t input, weights, result;
    bool time_major = flatbuffer_integer(&converter->options, 3, 1, 0) != 0;
    (void)kind;
    TRY(check_form(converter));
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, LSTM_RECURRENT_WEIGHTS, true, &weights));
    const struct value *x = convert_value(converter, input);
    bool integers = x->dtype == DTYPE_I8;
    int32_t hidden = convert_value(converter, weights)->shape.rank == 2 ? convert_value(converter, weights)->shape.dims[0] : 0, inputs = x->shape.dims[2];
    if (x->shape.rank != 3 || hidden < 1 || hidden > 1 << 16)
        return convert_fail(converter, ERROR_MODEL, "an input or weights of another rank");
    if (!time_major)
        TRY(swap_time_and_batch(converter, input, &input));
    TRY((integers ? add_integer : add_float)(converter, input, inputs, hidden, &result));
    if (!time_major)
        TRY(swap_time_and_batch(converter, result, &result));
    return convert_bind(converter, 0, result);
}

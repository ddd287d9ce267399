/* SPDX-License-Identifier: Apache-2.0
 *
 * GRU and RNN over time (ONNX GRU-14, RNN-14). X [T, N, I], W [D, GH, I], R [D, GH, H], B [D, 2GH] (optional), lengths i32 [N] (optional),
 * first state [D, N, H] (optional) -> Y [T, D, N, H], last state [D, N, H]. G: gates, 3 (update, reset, hidden) or 1. What lies behind the end
 * of a sequence is 0 in Y. */
#include "inference/operators/approximate.h"
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum { INPUT_LENGTHS = 4, INPUT_STATE = 5 };

static int32_t gate_count(const struct node *node)
{
    return node->kind == OPERATOR_GRU ? 3 : 1;
}

enum error_code recurrent_infer(struct graph *graph, struct node *node, struct error *error)
{
    int32_t hidden = node->attributes.recurrent.hidden, directions = node->attributes.recurrent.direction == 2 ? 2 : 1, gates = gate_count(node);
    const struct shape *x = &graph->values[node->inputs[0]].shape;
    if (x->rank != 3 || hidden < 1 || hidden > 1 << 16)
        return operator_fail(node, ERROR_MODEL, error, "expected an input of rank 3");
    const struct shape w = {.rank = 3, .dims = {directions, gates * hidden, x->dims[2]}}, r = {.rank = 3, .dims = {directions, gates * hidden, hidden}};
    const struct shape b = {.rank = 2, .dims = {directions, 2 * gates * hidden}}, state = {.rank = 3, .dims = {directions, x->dims[1], hidden}};
    const struct shape lengths = {.rank = 1, .dims = {x->dims[1]}};
    const struct shape *const expected[6] = {x, &w, &r, &b, &lengths, &state};
    for (int i = 0; i < 6; i++) {
        const struct value *operand = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (operand != NULL && (operand->dtype != (i == INPUT_LENGTHS ? DTYPE_I32 : DTYPE_F32) || !shape_equal(&operand->shape, expected[i])))
            return operator_fail(node, ERROR_MODEL, error, "an operand of another shape or type than the gates need");
    }
    graph->values[node->outputs[0]].dtype = graph->values[node->outputs[1]].dtype = DTYPE_F32;
    graph->values[node->outputs[0]].shape = (struct shape){.rank = 4, .dims = {x->dims[0], directions, x->dims[1], hidden}};
    graph->values[node->outputs[1]].shape = state;
    return ERROR_NONE;
}

struct cell {
    const float *w, *r, *b;
    int64_t inputs, hidden;
    float clip;
    bool linear_before_reset, relu;
};

static float dot(const float *a, const float *b, int64_t count)
{
    float sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static float sigmoid(float x)
{
    return 1 / (1 + approximate_exp(-x));
}

static float clip_to(float x, float limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

/* Row `row` of gate rows: what the input adds, and what the state adds, biases included. */
static float from_input(const struct cell *cell, const float *x, int64_t row)
{
    return dot(cell->w + row * cell->inputs, x, cell->inputs) + (cell->b != NULL ? cell->b[row] : 0);
}

static float from_state(const struct cell *cell, const float *h, int64_t row, int64_t rows)
{
    return dot(cell->r + row * cell->hidden, h, cell->hidden) + (cell->b != NULL ? cell->b[rows + row] : 0);
}

static void rnn_step(const struct cell *cell, const float *x, float *h, float *scratch)
{
    for (int64_t i = 0; i < cell->hidden; i++) {
        float sum = clip_to(from_input(cell, x, i) + from_state(cell, h, i, cell->hidden), cell->clip);
        scratch[i] = cell->relu ? (sum > 0 ? sum : 0) : tanhf(sum);
    }
    memcpy(h, scratch, (size_t)cell->hidden * sizeof *h);
}

static void gru_step(const struct cell *cell, const float *x, float *h, float *scratch)
{
    int64_t hidden = cell->hidden, rows = 3 * hidden;
    float *update = scratch, *reset = scratch + hidden, *candidate = scratch + 2 * hidden;
    for (int64_t i = 0; i < hidden; i++) {
        update[i] = sigmoid(clip_to(from_input(cell, x, i) + from_state(cell, h, i, rows), cell->clip));
        reset[i] = sigmoid(clip_to(from_input(cell, x, hidden + i) + from_state(cell, h, hidden + i, rows), cell->clip));
    }
    for (int64_t i = 0; i < hidden && cell->linear_before_reset; i++)
        candidate[i] = reset[i] * from_state(cell, h, 2 * hidden + i, rows);
    if (!cell->linear_before_reset) {
        for (int64_t i = 0; i < hidden; i++)
            reset[i] *= h[i];
        for (int64_t i = 0; i < hidden; i++)
            candidate[i] = from_state(cell, reset, 2 * hidden + i, rows);
    }
    for (int64_t i = 0; i < hidden; i++) {
        float next = tanhf(clip_to(from_input(cell, x, 2 * hidden + i) + candidate[i], cell->clip));
        h[i] = (1 - update[i]) * next + update[i] * h[i];
    }
}

/* How many steps sequence n has. */
static int64_t sequence_steps(const int32_t *lengths, int64_t n, int64_t steps)
{
    int64_t length = lengths != NULL ? lengths[n] : steps;
    return length < 0 ? 0 : length > steps ? steps : length;
}

static void run_sequence(const struct operation *operation, const struct cell *cell, bool backwards, int64_t d, int64_t n, int64_t length,
                         const float *x, float *y, float *state, float *scratch)
{
    const int32_t *dims = operation_output(operation, 0)->shape.dims; /* T, D, N, H */
    int64_t batch = dims[2];
    for (int64_t s = 0; s < dims[0]; s++) {
        int64_t t = backwards && s < length ? length - 1 - s : s;
        float *to = y + ((t * dims[1] + d) * batch + n) * cell->hidden;
        if (s >= length) {
            memset(to, 0, (size_t)cell->hidden * sizeof *to);
            continue;
        }
        (operation->node->kind == OPERATOR_GRU ? gru_step : rnn_step)(cell, x + (t * batch + n) * cell->inputs, state, scratch);
        memcpy(to, state, (size_t)cell->hidden * sizeof *to);
    }
}

static void recurrent_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct node *node = operation->node;
    const int32_t *dims = operation_output(operation, 0)->shape.dims;
    const float *x = operation_input_data(operation, data, 0), *bias = operation_input_data(operation, data, 3);
    const float *first = operation_input_data(operation, data, INPUT_STATE);
    const int32_t *lengths = operation_input_data(operation, data, INPUT_LENGTHS);
    float *y = operation_output_data(operation, data, 0), *state = operation_output_data(operation, data, 1);
    int64_t hidden = dims[3], inputs = operation_input(operation, 0)->shape.dims[2], gates = gate_count(node);
    size_t state_bytes = (size_t)dims[1] * (size_t)dims[2] * (size_t)hidden * sizeof *state;
    if (first != NULL)
        memcpy(state, first, state_bytes);
    else
        memset(state, 0, state_bytes);
    for (int64_t d = 0; d < dims[1]; d++) {
        struct cell cell = {.w = (const float *)operation_input_data(operation, data, 1) + d * gates * hidden * inputs,
                            .r = (const float *)operation_input_data(operation, data, 2) + d * gates * hidden * hidden,
                            .b = bias != NULL ? bias + d * 2 * gates * hidden : NULL, .inputs = inputs, .hidden = hidden,
                            .clip = node->attributes.recurrent.cell_clip > 0 ? node->attributes.recurrent.cell_clip : INFINITY,
                            .linear_before_reset = node->attributes.recurrent.linear_before_reset, .relu = node->attributes.recurrent.relu};
        bool backwards = node->attributes.recurrent.direction == 1 || d == 1;
        for (int64_t n = 0; n < dims[2]; n++)
            run_sequence(operation, &cell, backwards, d, n, sequence_steps(lengths, n, dims[0]), x, y, state + (d * dims[2] + n) * hidden, scratch);
    }
}

enum error_code recurrent_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *x = &operation_input(operation, 0)->shape, *y = &operation_output(operation, 0)->shape;
    int64_t hidden = operation->node->attributes.recurrent.hidden, gates = gate_count(operation->node);
    (void)arena, (void)error;
    operation->scratch_bytes = (size_t)(3 * hidden) * sizeof(float);
    operation->macs = (uint64_t)(x->dims[0] * (int64_t)x->dims[1] * y->dims[1] * gates * hidden) * (uint64_t)(x->dims[2] + hidden);
    operation->execute = recurrent_execute;
    return ERROR_NONE;
}

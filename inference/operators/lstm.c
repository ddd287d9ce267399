/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM in f32 (ONNX LSTM-14). X [T, N, I], W [D, 4H, I], R [D, 4H, H], B [D, 8H], lengths i32 [N], first h and c [D, N, H], peepholes [D, 3H]
 * -> Y [T, D, N, H], last h and c [D, N, H]. Gates in the order input, output, forget, cell. What lies behind the end of a sequence is 0 in Y. */
#include "inference/operators/approximate.h"
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum error_code lstm_infer(struct graph *graph, struct node *node, struct error *error)
{
    int32_t hidden = node->attributes.recurrent.hidden, directions = node->attributes.recurrent.direction == 2 ? 2 : 1;
    const struct shape *x = &graph->values[node->inputs[0]].shape;
    if (x->rank != 3 || hidden < 1 || hidden > 1 << 16)
        return operator_fail(node, ERROR_MODEL, error, "expected an input of rank 3");
    const struct shape w = {.rank = 3, .dims = {directions, 4 * hidden, x->dims[2]}}, r = {.rank = 3, .dims = {directions, 4 * hidden, hidden}};
    const struct shape b = {.rank = 2, .dims = {directions, 8 * hidden}}, state = {.rank = 3, .dims = {directions, x->dims[1], hidden}};
    const struct shape lengths = {.rank = 1, .dims = {x->dims[1]}}, peepholes = {.rank = 2, .dims = {directions, 3 * hidden}};
    const struct shape *const expected[8] = {x, &w, &r, &b, &lengths, &state, &state, &peepholes};
    for (int i = 0; i < 8; i++) {
        const struct value *operand = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (operand != NULL && (operand->dtype != (i == 4 ? DTYPE_I32 : DTYPE_F32) || !shape_equal(&operand->shape, expected[i])))
            return operator_fail(node, ERROR_MODEL, error, "an operand of another shape or type than the gates need");
    }
    graph->values[node->outputs[0]].shape = (struct shape){.rank = 4, .dims = {x->dims[0], directions, x->dims[1], hidden}};
    for (int i = 0; i < 3; i++) {
        graph->values[node->outputs[i]].dtype = DTYPE_F32;
        if (i > 0)
            graph->values[node->outputs[i]].shape = state;
    }
    return ERROR_NONE;
}

static float dot(const float *a, const float *b, int64_t count)
{
    float lanes[16] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (int k = 0; k < 16; k++)
            lanes[k] += a[i + k] * b[i + k];
    }
    for (; i < count; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < 16; k++)
        sum += lanes[k];
    return sum;
}

static float sigmoid(float x)
{
    return 1 / (1 + approximate_exp(-x));
}

struct lstm_weights {
    const float *w, *r, *b, *peepholes;
    int64_t inputs, hidden;
    float cell_clip;
};

/* One time step of one sequence; h and c are read and written. */
static void lstm_step(const struct lstm_weights *weights, const float *x, float *h, float *c, float *gates)
{
    int64_t hidden = weights->hidden;
    for (int64_t g = 0; g < 4 * hidden; g++) {
        float bias = weights->b != NULL ? weights->b[g] + weights->b[4 * hidden + g] : 0;
        gates[g] = bias + dot(weights->w + g * weights->inputs, x, weights->inputs) + dot(weights->r + g * hidden, h, hidden);
    }
    const float *peepholes = weights->peepholes;
    for (int64_t i = 0; i < hidden && peepholes != NULL; i++) {
        gates[i] += peepholes[i] * c[i];
        gates[2 * hidden + i] += peepholes[2 * hidden + i] * c[i];
    }
    for (int64_t i = 0; i < hidden; i++) {
        float input = sigmoid(gates[i]), forget = sigmoid(gates[2 * hidden + i]);
        c[i] = forget * c[i] + input * tanhf(gates[3 * hidden + i]);
        c[i] = c[i] > weights->cell_clip ? weights->cell_clip : c[i] < -weights->cell_clip ? -weights->cell_clip : c[i];
        h[i] = sigmoid(gates[hidden + i] + (peepholes != NULL ? peepholes[hidden + i] * c[i] : 0)) * tanhf(c[i]);
    }
}

static void lstm_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct shape *x_shape = &operation_input(operation, 0)->shape;
    int64_t steps = x_shape->dims[0], batch = x_shape->dims[1], inputs = x_shape->dims[2];
    int64_t hidden = operation->node->attributes.recurrent.hidden, directions = operation->node->attributes.recurrent.direction == 2 ? 2 : 1;
    const float *x = operation_input_data(operation, data, 0), *bias = operation_input_data(operation, data, 3);
    const float *h_start = operation_input_data(operation, data, 5), *c_start = operation_input_data(operation, data, 6);
    float *y = operation_output_data(operation, data, 0), *h = operation_output_data(operation, data, 1), *c = operation_output_data(operation, data, 2);
    const float *peepholes = operation_input_data(operation, data, 7);
    const int32_t *lengths = operation_input_data(operation, data, 4);
    float clip = operation->node->attributes.recurrent.cell_clip;
    size_t state_bytes = (size_t)(directions * batch * hidden) * sizeof(float);
    memset(h, 0, state_bytes);
    memset(c, 0, state_bytes);
    if (h_start != NULL)
        memcpy(h, h_start, state_bytes);
    if (c_start != NULL)
        memcpy(c, c_start, state_bytes);
    for (int64_t d = 0; d < directions; d++) {
        struct lstm_weights weights = {.w = (const float *)operation_input_data(operation, data, 1) + d * 4 * hidden * inputs,
                                       .r = (const float *)operation_input_data(operation, data, 2) + d * 4 * hidden * hidden,
                                       .b = bias != NULL ? bias + d * 8 * hidden : NULL, .inputs = inputs, .hidden = hidden,
                                       .peepholes = peepholes != NULL ? peepholes + d * 3 * hidden : NULL,
                                       .cell_clip = clip > 0 ? clip : INFINITY};
        bool backwards = operation->node->attributes.recurrent.direction == 1 || d == 1;
        for (int64_t s = 0; s < steps; s++) {
            for (int64_t n = 0; n < batch; n++) {
                int64_t length = lengths == NULL || lengths[n] > steps ? steps : lengths[n], t = backwards && s < length ? length - 1 - s : s;
                float *state = h + (d * batch + n) * hidden, *to = y + ((t * directions + d) * batch + n) * hidden;
                if (s < length) {
                    lstm_step(&weights, x + (t * batch + n) * inputs, state, c + (d * batch + n) * hidden, scratch);
                    memcpy(to, state, (size_t)hidden * sizeof *to);
                } else {
                    memset(to, 0, (size_t)hidden * sizeof *to);
                }
            }
        }
    }
}

enum error_code lstm_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *x = &operation_input(operation, 0)->shape;
    int64_t hidden = operation->node->attributes.recurrent.hidden;
    (void)arena, (void)error;
    operation->scratch_bytes = (size_t)(4 * hidden) * sizeof(float);
    operation->macs = (uint64_t)(x->dims[0] * (int64_t)x->dims[1] * 4 * hidden * (x->dims[2] + hidden));
    operation->execute = lstm_execute;
    return ERROR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM in f32 (ONNX LSTM-14). X [T, N, I], W [D, 4H, I], R [D, 4H, H], B [D, 8H], lengths i32 [N], first h and c [D, N, H], peepholes [D, 3H]
 * -> Y [T, D, N, H], last h and c [D, N, H]. Gates in the order input, output, forget, cell. What lies behind the end of a sequence is 0 in Y.
 *
 * Constant weights are packed for gemm_f32 and multiply as many sequences at once as it takes; weights that a run computes are multiplied where
 * they lie. A step of one sequence reads every weight once: it is as fast as they come from the cache. */
#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum { INPUT, OUTPUT, FORGET, CELL, GATES };
enum { X, W, R, B, LENGTHS, FIRST_H, FIRST_C, PEEPHOLES, OPERANDS };

enum error_code lstm_infer(struct graph *graph, struct node *node, struct error *error)
{
    int32_t hidden = node->attributes.recurrent.hidden, directions = node->attributes.recurrent.direction == 2 ? 2 : 1;
    const struct shape *x = &graph->values[node->inputs[X]].shape;
    if (x->rank != 3 || hidden < 1 || hidden > 1 << 16)
        return operator_fail(node, ERROR_MODEL, error, "expected an input of rank 3");
    const struct shape w = {.rank = 3, .dims = {directions, 4 * hidden, x->dims[2]}}, r = {.rank = 3, .dims = {directions, 4 * hidden, hidden}};
    const struct shape b = {.rank = 2, .dims = {directions, 8 * hidden}}, state = {.rank = 3, .dims = {directions, x->dims[1], hidden}};
    const struct shape lengths = {.rank = 1, .dims = {x->dims[1]}}, peepholes = {.rank = 2, .dims = {directions, 3 * hidden}};
    const struct shape *const expected[OPERANDS] = {x, &w, &r, &b, &lengths, &state, &state, &peepholes};
    for (int i = 0; i < OPERANDS; i++) {
        const struct value *operand = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (operand != NULL && (operand->dtype != (i == LENGTHS ? DTYPE_I32 : DTYPE_F32) || !shape_equal(&operand->shape, expected[i])))
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

/* One direction over all sequences. */
struct pass {
    const struct kernels *kernels;
    const struct panels_f32 *panels; /* of W and of R; NULL: weights are not constant */
    const float *x, *w, *r, *b, *peepholes;
    const int32_t *lengths;
    float *y, *h, *c;                /* y: of this direction; h, c: [batch][hidden] */
    float *gates;                    /* scratch: [kernels->rows][GATES * hidden] */
    int64_t steps, batch, inputs, hidden, y_step; /* y_step: from one time to the next */
    float cell_clip;
    bool backwards;
};

/* Where step s of sequence n lies in time; -1: behind its end. */
static int64_t time_of(const struct pass *pass, int64_t s, int64_t n)
{
    int64_t length = pass->lengths == NULL || pass->lengths[n] > pass->steps ? pass->steps : pass->lengths[n];
    return s >= length ? -1 : pass->backwards ? length - 1 - s : s;
}

static float dot(const float *a, const float *b, int64_t count)
{
    float sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void multiply_in_place(const struct pass *pass, const float *x, const float *h, float *gates)
{
    for (int64_t g = 0; g < GATES * pass->hidden; g++) {
        float bias = pass->b != NULL ? pass->b[g] + pass->b[GATES * pass->hidden + g] : 0;
        gates[g] = bias + dot(pass->w + g * pass->inputs, x, pass->inputs) + dot(pass->r + g * pass->hidden, h, pass->hidden);
    }
}

/* Gates before their activation, of `count` sequences from n on. What lies behind the end of one is computed, too, and not used. */
static void compute_gates(const struct pass *pass, int64_t s, int64_t n, int count)
{
    const float *x[KERNEL_ROWS_MAX], *h[KERNEL_ROWS_MAX];
    int64_t width = GATES * pass->hidden;
    for (int i = 0; i < count; i++) {
        int64_t t = time_of(pass, s, n + i);
        x[i] = pass->x + ((t < 0 ? s : t) * pass->batch + n + i) * pass->inputs;
        h[i] = pass->h + (n + i) * pass->hidden;
        if (pass->panels == NULL)
            multiply_in_place(pass, x[i], h[i], pass->gates + i * width);
    }
    if (pass->panels != NULL) {
        panels_f32_run(&pass->panels[0], 0, pass->panels[0].count, count, x, pass->gates, width, NULL);
        panels_f32_run(&pass->panels[1], 0, pass->panels[1].count, count, h, pass->gates, width, pass->gates);
    }
}

/* tanh(x) = 2 sigmoid(2x) - 1: within 1e-7 of it. */
static void apply_tanh(const struct kernels *kernels, int64_t count, const float *from, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = 2 * from[i];
    kernels->sigmoid_f32(count, to, to);
    for (int64_t i = 0; i < count; i++)
        to[i] = 2 * to[i] - 1;
}

static void add_peepholes(int64_t count, const float *weights, const float *c, float *gate)
{
    for (int64_t i = 0; i < count; i++)
        gate[i] += weights[i] * c[i];
}

/* h and c are read and written. */
static void update_state(const struct pass *pass, float *gates, float *h, float *c)
{
    int64_t hidden = pass->hidden;
    float *input = gates + INPUT * hidden, *output = gates + OUTPUT * hidden, *forget = gates + FORGET * hidden, *cell = gates + CELL * hidden;
    const float *peepholes = pass->peepholes;
    if (peepholes != NULL) {
        add_peepholes(hidden, peepholes + INPUT * hidden, c, input);
        add_peepholes(hidden, peepholes + FORGET * hidden, c, forget);
    }
    pass->kernels->sigmoid_f32(hidden, input, input);
    pass->kernels->sigmoid_f32(hidden, forget, forget);
    apply_tanh(pass->kernels, hidden, cell, cell);
    for (int64_t i = 0; i < hidden; i++) {
        float next = forget[i] * c[i] + input[i] * cell[i];
        c[i] = next > pass->cell_clip ? pass->cell_clip : next < -pass->cell_clip ? -pass->cell_clip : next;
    }
    if (peepholes != NULL)
        add_peepholes(hidden, peepholes + OUTPUT * hidden, c, output);
    pass->kernels->sigmoid_f32(hidden, output, output);
    apply_tanh(pass->kernels, hidden, c, cell);
    for (int64_t i = 0; i < hidden; i++)
        h[i] = output[i] * cell[i];
}

static void run_pass(const struct pass *pass)
{
    int64_t hidden = pass->hidden;
    for (int64_t s = 0; s < pass->steps; s++) {
        for (int64_t n = 0; n < pass->batch; n += pass->kernels->rows) {
            int count = (int)(pass->batch - n < pass->kernels->rows ? pass->batch - n : pass->kernels->rows);
            compute_gates(pass, s, n, count);
            for (int64_t i = n; i < n + count; i++) {
                int64_t t = time_of(pass, s, i);
                float *to = pass->y + (t < 0 ? s : t) * pass->y_step + i * hidden;
                if (t < 0) {
                    memset(to, 0, (size_t)hidden * sizeof *to);
                    continue;
                }
                update_state(pass, pass->gates + (i - n) * GATES * hidden, pass->h + i * hidden, pass->c + i * hidden);
                memcpy(to, pass->h + i * hidden, (size_t)hidden * sizeof *to);
            }
        }
    }
}

static void start_state(const float *given, float *state, size_t bytes)
{
    if (given != NULL)
        memcpy(state, given, bytes);
    else
        memset(state, 0, bytes);
}

static void lstm_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct node *node = operation->node;
    const int32_t *dims = operation_output(operation, 0)->shape.dims; /* T, D, N, H */
    const float *bias = operation_input_data(operation, data, B), *peepholes = operation_input_data(operation, data, PEEPHOLES);
    const float *w = operation_input_data(operation, data, W), *r = operation_input_data(operation, data, R);
    float *y = operation_output_data(operation, data, 0), *h = operation_output_data(operation, data, 1), *c = operation_output_data(operation, data, 2);
    const struct panels_f32 *panels = operation->prepared;
    float clip = node->attributes.recurrent.cell_clip;
    struct pass pass = {.kernels = operation->kernels, .x = operation_input_data(operation, data, X), .lengths = operation_input_data(operation, data, LENGTHS),
                        .steps = dims[0], .batch = dims[2], .inputs = operation_input(operation, X)->shape.dims[2], .hidden = dims[3],
                        .y_step = dims_product(&operation_output(operation, 0)->shape, 1, 4), .cell_clip = clip > 0 ? clip : INFINITY, .gates = scratch};
    int64_t inputs = pass.inputs, hidden = pass.hidden, state = pass.batch * hidden;
    start_state(operation_input_data(operation, data, FIRST_H), h, (size_t)(dims[1] * state) * sizeof *h);
    start_state(operation_input_data(operation, data, FIRST_C), c, (size_t)(dims[1] * state) * sizeof *c);
    for (int64_t d = 0; d < dims[1]; d++) {
        pass.panels = panels != NULL ? &panels[2 * d] : NULL;
        pass.w = w + d * GATES * hidden * inputs;
        pass.r = r + d * GATES * hidden * hidden;
        pass.b = bias != NULL ? bias + d * 2 * GATES * hidden : NULL;
        pass.peepholes = peepholes != NULL ? peepholes + d * 3 * hidden : NULL;
        pass.y = y + d * state;
        pass.h = h + d * state;
        pass.c = c + d * state;
        pass.backwards = node->attributes.recurrent.direction == 1 || d == 1;
        run_pass(&pass);
    }
}

/* The two halves of B, which are added to the same gates. */
static float *add_biases(struct arena *arena, const float *biases, int64_t rows)
{
    float *sums = arena_allocate_array(arena, (size_t)rows, sizeof *sums);
    for (int64_t i = 0; i < rows && sums != NULL; i++)
        sums[i] = biases != NULL ? biases[i] + biases[rows + i] : 0;
    return sums;
}

static enum error_code pack(struct operation *operation, struct arena *arena, const float *biases, struct error *error)
{
    const struct node *node = operation->node;
    static const int64_t no_offset[1];
    int64_t directions = operation_input(operation, W)->shape.dims[0], rows = operation_input(operation, W)->shape.dims[1];
    struct panels_f32 *panels = arena_allocate_array(arena, (size_t)(2 * directions), sizeof *panels);
    if (panels == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    for (int64_t d = 0; d < directions; d++) {
        const float *bias = add_biases(arena, biases != NULL ? biases + d * 2 * rows : NULL, rows);
        if (bias == NULL)
            return operator_fail(node, ERROR_LIMIT, error, "no memory");
        for (int i = 0; i < 2; i++) {
            const struct value *weights = operation_input(operation, W + i);
            int64_t depth = weights->shape.dims[2];
            const struct weight_layout layout = {.weights = (const float *)weights->data + d * rows * depth, .column_step = depth,
                                                 .tap_offsets = no_offset};
            TRY(panels_f32_pack(&panels[2 * d + i], operation->kernels, operation->graph->packed, arena, node, &layout, i == 0 ? bias : NULL, rows, 1,
                                depth, error));
        }
    }
    operation->prepared = panels;
    operation->weights_packed = 2;
    return ERROR_NONE;
}

enum error_code lstm_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct shape *x = &operation_input(operation, X)->shape;
    const struct value *bias = node->inputs[B] >= 0 ? operation_input(operation, B) : NULL;
    int64_t hidden = node->attributes.recurrent.hidden;
    if (operation_input(operation, W)->data != NULL && operation_input(operation, R)->data != NULL && (bias == NULL || bias->data != NULL))
        TRY(pack(operation, arena, bias != NULL ? bias->data : NULL, error));
    operation->scratch_bytes = (size_t)(operation->kernels->rows * GATES * hidden) * sizeof(float);
    operation->macs = (uint64_t)(x->dims[0] * (int64_t)x->dims[1] * GATES * hidden * (x->dims[2] + hidden));
    operation->execute = lstm_execute;
    return ERROR_NONE;
}

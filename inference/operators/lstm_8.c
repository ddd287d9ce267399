/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM in integers, as TFLite's lstm_eval.cc has it (EvalInteger8x8_16, "8x8_16"): input, weights and hidden state of 8 bits, cell state and
 * gates of 16. No peepholes, projection or layer normalisation.
 *
 * X i8 [T, N, I], W i8 [4, H, I], R i8 [4, H, H], B i32 [4, H] -> Y i8 [T, N, H]. Gates in the order input, output, forget, cell, each with a
 * scale of its own in W and R; weights have no zero point. The hidden state is Y of the step before, in Y's quantisation, zero at first.
 * Gates have three integer bits (fixed_activation.h), the cell state 15 + cell_power. Each product is rounded and cut to 16 bits before the
 * next is added:
 *   gate   = cut(cut(round(W x)) + round(R h))             B and what the zero points take off are in the sums
 *   cell   = cut(round(forget * cell) + round(input * tanh(cell gate)))
 *   hidden = cut(round(output * tanh(cell)) + zero point) */
#include "inference/kernels/fixed_activation.h"
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

#include <string.h>

enum { GATES = 4, INPUT = 0, OUTPUT = 1, FORGET = 2, CELL = 3, CELL_POWER_MIN = -15, CELL_POWER_MAX = -9 };

enum error_code lstm_8_infer(struct graph *graph, struct node *node, struct error *error)
{
    int32_t hidden = node->attributes.recurrent.hidden;
    const struct value *x = &graph->values[node->inputs[0]];
    struct value *y = &graph->values[node->outputs[0]];
    if (x->shape.rank != 3 || x->dtype != DTYPE_I8 || x->quantization.count != 1 || hidden < 1 || hidden > 1 << 16)
        return operator_fail(node, ERROR_MODEL, error, "expected an input of rank 3 and type i8 with one scale");
    if (y->dtype != DTYPE_I8 || y->quantization.count != 1)
        return operator_fail(node, ERROR_MODEL, error, "expected a result of type i8 with one scale");
    const struct shape expected[] = {{.rank = 3, .dims = {GATES, hidden, x->shape.dims[2]}}, {.rank = 3, .dims = {GATES, hidden, hidden}},
                                     {.rank = 2, .dims = {GATES, hidden}}};
    for (int i = 0; i < 3; i++) {
        const struct value *operand = &graph->values[node->inputs[i + 1]];
        if (operand->data == NULL || operand->dtype != (i == 2 ? DTYPE_I32 : DTYPE_I8) || !shape_equal(&operand->shape, &expected[i]) ||
            (i < 2 && operand->quantization.count != GATES))
            return operator_fail(node, ERROR_MODEL, error, "weights or biases of another shape or type than the gates need");
    }
    int32_t power = node->attributes.recurrent.cell_power;
    if (power < CELL_POWER_MIN || power > CELL_POWER_MAX)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a scale of the cell state outside 2^-15 .. 2^-9");
    y->shape = (struct shape){.rank = 3, .dims = {x->shape.dims[0], x->shape.dims[1], hidden}};
    return ERROR_NONE;
}

struct lstm_8 {
    struct fixed_multiplier from_input[GATES], from_hidden[GATES], to_hidden;
    const int32_t *input_bias, *hidden_bias; /* [GATES * hidden]: zero points taken off, the gates' biases in the first */
    int32_t zero_point, clip;                /* of the hidden state; of the cell state, 0: none */
    int power;
};

static int32_t dot(const int8_t *a, const int8_t *b, int64_t count, int32_t start)
{
    uint32_t sum = (uint32_t)start; /* wraps: a file's biases may be anything */
    for (int64_t i = 0; i < count; i++)
        sum += (uint32_t)(a[i] * b[i]);
    return (int32_t)sum;
}

static int32_t add_cut(int32_t a, int32_t b)
{
    int64_t sum = (int64_t)a + b;
    return sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : (int32_t)sum;
}

struct step {
    const int8_t *w, *r, *x, *h;
    int8_t *next;  /* hidden state after this step */
    int16_t *cell, *gates, *activated;
    int64_t inputs, hidden;
};

static void compute_gates(const struct lstm_8 *lstm, const struct step *step)
{
    for (int64_t g = 0, row = 0; g < GATES; g++) {
        for (int64_t i = 0; i < step->hidden; i++, row++) {
            int32_t input = dot(step->w + row * step->inputs, step->x, step->inputs, lstm->input_bias[row]);
            int32_t hidden = dot(step->r + row * step->hidden, step->h, step->hidden, lstm->hidden_bias[row]);
            int32_t gate = add_cut(fixed_multiply(input, lstm->from_input[g]), 0);
            step->gates[row] = (int16_t)add_cut(gate, fixed_multiply(hidden, lstm->from_hidden[g]));
        }
    }
}

static void activate(const struct step *step, int64_t count, int16_t *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (int16_t)fixed_16_sigmoid(values[i]);
    for (int64_t i = 0; i < step->hidden; i++)
        values[count + i] = (int16_t)fixed_16_tanh(values[count + i], 3);
}

static void run_step(const struct lstm_8 *lstm, const struct step *step)
{
    int64_t hidden = step->hidden;
    const int16_t *input = step->gates + INPUT * hidden, *output = step->gates + OUTPUT * hidden, *forget = step->gates + FORGET * hidden;
    const int16_t *candidate = step->gates + CELL * hidden;
    compute_gates(lstm, step);
    activate(step, CELL * hidden, step->gates);
    for (int64_t i = 0; i < hidden; i++) {
        int32_t kept = fixed_16_divide(forget[i] * step->cell[i], 15), added = fixed_divide_by_power(input[i] * candidate[i], 30 + lstm->power);
        int32_t cell = fixed_16_cut(kept + added);
        if (lstm->clip > 0)
            cell = cell > lstm->clip ? lstm->clip : cell < -lstm->clip ? -lstm->clip : cell;
        step->cell[i] = (int16_t)cell;
    }
    for (int64_t i = 0; i < hidden; i++)
        step->activated[i] = (int16_t)fixed_16_tanh(step->cell[i], 15 + lstm->power);
    for (int64_t i = 0; i < hidden; i++) {
        int32_t value = fixed_add(fixed_multiply(output[i] * step->activated[i], lstm->to_hidden), lstm->zero_point);
        step->next[i] = (int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value);
    }
}

static void lstm_8_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct lstm_8 *lstm = operation->prepared;
    const int32_t *dims = operation_output(operation, 0)->shape.dims; /* T, N, H */
    int64_t hidden = dims[2], batch = dims[1];
    struct step step = {.w = operation_input_data(operation, data, 1), .r = operation_input_data(operation, data, 2),
                        .inputs = operation_input(operation, 0)->shape.dims[2], .hidden = hidden};
    const int8_t *x = operation_input_data(operation, data, 0);
    int8_t *y = operation_output_data(operation, data, 0), *first;
    step.gates = scratch;
    step.activated = step.gates + GATES * hidden;
    step.cell = step.activated + hidden;
    first = (int8_t *)(step.cell + hidden);
    for (int64_t n = 0; n < batch; n++) {
        memset(step.cell, 0, (size_t)hidden * sizeof *step.cell);
        memset(first, lstm->zero_point, (size_t)hidden);
        for (int64_t t = 0; t < dims[0]; t++) {
            step.x = x + (t * batch + n) * step.inputs;
            step.h = t == 0 ? first : step.next;
            step.next = y + (t * batch + n) * hidden;
            run_step(lstm, &step);
        }
    }
}

/* Bias less zero point times the sum of each row of weights, modulo 2^32. */
static int32_t *fold_zero_point(struct arena *arena, const struct value *weights, const int32_t *bias, int32_t zero_point)
{
    int64_t rows = (int64_t)weights->shape.dims[0] * weights->shape.dims[1], columns = weights->shape.dims[2];
    const int8_t *row = weights->data;
    int32_t *folded = arena_allocate_array(arena, (size_t)rows, sizeof *folded);
    for (int64_t i = 0; i < rows && folded != NULL; i++, row += columns) {
        uint32_t sum = 0;
        for (int64_t k = 0; k < columns; k++)
            sum += (uint32_t)(int32_t)row[k];
        folded[i] = (int32_t)((bias != NULL ? (uint32_t)bias[i] : 0) - (uint32_t)zero_point * sum);
    }
    return folded;
}

/* In single precision where the reference has it so. */
static void choose_multipliers(struct lstm_8 *lstm, const struct value *x, const struct value *w, const struct value *r, const struct value *y)
{
    const float gate_scale = 1.0f / 4096, hidden_scale = y->quantization.scale[0];
    for (int g = 0; g < GATES; g++) {
        lstm->from_input[g] = fixed_multiplier_from((double)(w->quantization.scale[g] * x->quantization.scale[0] / gate_scale));
        lstm->from_hidden[g] = fixed_multiplier_from((double)(r->quantization.scale[g] * hidden_scale / gate_scale));
    }
    lstm->to_hidden = fixed_multiplier_from((double)(float)(1.0 / 32768 / (double)hidden_scale / 32768));
}

static int32_t clip_of(const struct node *node)
{
    float clip = node->attributes.recurrent.cell_clip;
    return clip > 0 ? (int32_t)fmin((double)(clip / ldexpf(1, node->attributes.recurrent.cell_power)), INT16_MAX) : 0;
}

enum error_code lstm_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *x = operation_input(operation, 0), *w = operation_input(operation, 1), *r = operation_input(operation, 2);
    const struct value *y = operation_output(operation, 0);
    int64_t hidden = node->attributes.recurrent.hidden;
    struct lstm_8 *lstm = arena_allocate(arena, sizeof *lstm);
    if (lstm == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    *lstm = (struct lstm_8){.zero_point = y->quantization.zero_point[0], .power = node->attributes.recurrent.cell_power, .clip = clip_of(node)};
    choose_multipliers(lstm, x, w, r, y);
    lstm->input_bias = fold_zero_point(arena, w, operation_input(operation, 3)->data, x->quantization.zero_point[0]);
    lstm->hidden_bias = fold_zero_point(arena, r, NULL, lstm->zero_point);
    if (lstm->input_bias == NULL || lstm->hidden_bias == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    operation->scratch_bytes = (size_t)hidden * ((GATES + 2) * sizeof(int16_t) + sizeof(int8_t));
    operation->macs = (uint64_t)(x->shape.dims[0] * (int64_t)x->shape.dims[1] * GATES * hidden) * (uint64_t)(x->shape.dims[2] + hidden);
    operation->prepared = lstm;
    operation->execute = lstm_8_execute;
    return ERROR_NONE;
}

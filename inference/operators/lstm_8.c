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
 *   hidden = cut(round(output * tanh(cell)) + zero point)
 *
 * Sums of EXACT_DEPTH products of bytes stay within 2^24: the float kernels compute them without rounding, in whatever order. */
#include "inference/kernels/fixed_activation.h"
#include "inference/kernels/fixed_point.h"
#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"

#include <stdlib.h>
#include <string.h>

enum { GATES = 4, INPUT = 0, OUTPUT = 1, FORGET = 2, CELL = 3, CELL_POWER_MIN = -15, CELL_POWER_MAX = -9, EXACT_DEPTH = 1024 };

enum error_code lstm_8_infer(struct graph *graph, struct node *node, struct error *error)
{
    int32_t hidden = node->attributes.recurrent.hidden;
    const struct value *x = &graph->values[node->inputs[0]];
    struct value *y = &graph->values[node->outputs[0]];
    if (x->shape.rank != 3 || x->dtype != DTYPE_I8 || x->quantization.count != 1 || x->shape.dims[2] < 1 || hidden < 1 || hidden > 1 << 16)
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

/* One of the two matrices, [GATES * hidden][depth]. */
struct product {
    struct panels_f32 *blocks;      /* each of EXACT_DEPTH columns, the last of what is left */
    const int32_t *bias;            /* [GATES * hidden]: a gate's bias (W), less what the zero point takes off */
    struct fixed_multiplier to_gate[GATES];
    int64_t depth, hidden;
};

struct lstm_8 {
    const struct kernels *kernels;
    struct product input, recurrent;
    struct fixed_multiplier to_hidden;
    int32_t zero_point, clip;       /* of the hidden state; of the cell state, 0: none */
    int power;
};

/* rows: kernels->rows */
struct scratch {
    float *x, *h, *part;            /* [rows][inputs], [hidden], [rows][GATES * hidden] */
    int32_t *sums;                  /* [rows][GATES * hidden] */
    int16_t *from_x, *cell, *shown; /* [rows][GATES * hidden], [hidden], [hidden]: tanh(cell) */
};

static int32_t add_cut(int32_t a, int32_t b)
{
    int64_t sum = (int64_t)a + b;
    return sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : (int32_t)sum;
}

/* Sums wrap: a file's biases may be anything. */
static void multiply(const struct product *product, int rows, const float *in, const struct scratch *scratch)
{
    int64_t width = GATES * product->hidden;
    for (int r = 0; r < rows; r++)
        memcpy(scratch->sums + r * width, product->bias, (size_t)width * sizeof *scratch->sums);
    for (int64_t first = 0; first < product->depth; first += EXACT_DEPTH) {
        const struct panels_f32 *panels = &product->blocks[first / EXACT_DEPTH];
        const float *inputs[KERNEL_ROWS_MAX];
        for (int r = 0; r < rows; r++)
            inputs[r] = in + r * product->depth + first;
        panels_f32_run(panels, 0, panels->count, rows, inputs, scratch->part, width, NULL);
        for (int64_t i = 0; i < rows * width; i++)
            scratch->sums[i] = fixed_add(scratch->sums[i], (int32_t)scratch->part[i]);
    }
}

/* What one row of sums gives to the gates; start: what the other matrix gave, NULL: nothing yet. */
static void add_to_gates(const struct product *product, const int32_t *sums, const int16_t *start, int16_t *gates)
{
    for (int64_t g = 0, i = 0; g < GATES; g++) {
        struct fixed_multiplier factor = product->to_gate[g];
        for (int64_t end = i + product->hidden; i < end; i++)
            gates[i] = (int16_t)add_cut(fixed_multiply(sums[i], factor), start != NULL ? start[i] : 0);
    }
}

static void widen(const int8_t *from, float *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* gates: [input, output, forget, cell][hidden], before their activation, which takes their place. */
static void activate(int16_t *gates, int64_t hidden)
{
    for (int64_t i = 0; i < CELL * hidden; i++)
        gates[i] = (int16_t)fixed_16_sigmoid(gates[i]);
    for (int64_t i = CELL * hidden; i < GATES * hidden; i++)
        gates[i] = (int16_t)fixed_16_tanh(gates[i], 3);
}

static void update_cell(const struct lstm_8 *lstm, const int16_t *gates, int16_t *cell, int64_t hidden)
{
    const int16_t *input = gates + INPUT * hidden, *forget = gates + FORGET * hidden, *candidate = gates + CELL * hidden;
    int shift = 30 + lstm->power;
    int32_t limit = lstm->clip > 0 ? lstm->clip : INT16_MAX, lowest = lstm->clip > 0 ? -limit : INT16_MIN;
    for (int64_t i = 0; i < hidden; i++) {
        int32_t next = fixed_16_divide(forget[i] * cell[i], 15) + fixed_16_divide(input[i] * candidate[i], shift);
        cell[i] = (int16_t)(next > limit ? limit : next < lowest ? lowest : next);
    }
}

static void show_cell(const struct lstm_8 *lstm, const int16_t *output, const struct scratch *scratch, int8_t *y, int64_t hidden)
{
    for (int64_t i = 0; i < hidden; i++)
        scratch->shown[i] = (int16_t)fixed_16_tanh(scratch->cell[i], 15 + lstm->power);
    for (int64_t i = 0; i < hidden; i++) {
        int32_t value = fixed_add(fixed_multiply(output[i] * scratch->shown[i], lstm->to_hidden), lstm->zero_point);
        y[i] = (int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value);
    }
}

/* A sequence whose steps lie x_step and y_step apart: several steps of x are multiplied at once, those of h one by one. */
static void run_sequence(const struct lstm_8 *lstm, const int8_t *x, int64_t x_step, int8_t *y, int64_t y_step, int64_t steps,
                         const struct scratch *scratch)
{
    int64_t hidden = lstm->input.hidden, inputs = lstm->input.depth, width = GATES * hidden;
    memset(scratch->cell, 0, (size_t)hidden * sizeof *scratch->cell);
    for (int64_t i = 0; i < hidden; i++)
        scratch->h[i] = (float)lstm->zero_point;
    for (int64_t first = 0; first < steps; first += lstm->kernels->rows) {
        int rows = (int)(steps - first < lstm->kernels->rows ? steps - first : lstm->kernels->rows);
        for (int r = 0; r < rows; r++)
            widen(x + (first + r) * x_step, scratch->x + r * inputs, inputs);
        multiply(&lstm->input, rows, scratch->x, scratch);
        for (int r = 0; r < rows; r++)
            add_to_gates(&lstm->input, scratch->sums + r * width, NULL, scratch->from_x + r * width);
        for (int r = 0; r < rows; r++, y += y_step) {
            int16_t *gates = scratch->from_x + r * width;
            multiply(&lstm->recurrent, 1, scratch->h, scratch);
            add_to_gates(&lstm->recurrent, scratch->sums, gates, gates);
            activate(gates, hidden);
            update_cell(lstm, gates, scratch->cell, hidden);
            show_cell(lstm, gates + OUTPUT * hidden, scratch, y, hidden);
            widen(y, scratch->h, hidden);
        }
    }
}

static void *place(char *memory, size_t at)
{
    return memory != NULL ? memory + at : NULL;
}

/* Places in the scratch memory, nowhere without it; the bytes they take. */
static size_t lay_out(struct scratch *scratch, char *memory, int rows, int64_t inputs, int64_t hidden)
{
    size_t wide = (size_t)rows * GATES * (size_t)hidden, at = 0;
    scratch->x = place(memory, at);
    at += (size_t)rows * (size_t)inputs * sizeof *scratch->x;
    scratch->h = place(memory, at);
    at += (size_t)hidden * sizeof *scratch->h;
    scratch->part = place(memory, at);
    at += wide * sizeof *scratch->part;
    scratch->sums = place(memory, at);
    at += wide * sizeof *scratch->sums;
    scratch->from_x = place(memory, at);
    at += wide * sizeof *scratch->from_x;
    scratch->cell = place(memory, at);
    at += (size_t)hidden * sizeof *scratch->cell;
    scratch->shown = place(memory, at);
    return at + (size_t)hidden * sizeof *scratch->shown;
}

static void lstm_8_execute(const struct operation *operation, void *const *data, void *memory)
{
    const struct lstm_8 *lstm = operation->prepared;
    const int32_t *dims = operation_output(operation, 0)->shape.dims; /* T, N, H */
    int64_t hidden = dims[2], batch = dims[1], inputs = lstm->input.depth;
    const int8_t *x = operation_input_data(operation, data, 0);
    int8_t *y = operation_output_data(operation, data, 0);
    struct scratch scratch;
    lay_out(&scratch, memory, lstm->kernels->rows, inputs, hidden);
    for (int64_t n = 0; n < batch; n++)
        run_sequence(lstm, x + n * inputs, batch * inputs, y + n * hidden, batch * hidden, dims[0], &scratch);
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

static enum error_code pack_block(struct product *product, const struct operation *operation, const int8_t *weights, int64_t first,
                                  struct arena *arena, float *wide, struct error *error)
{
    static const int64_t no_offset[1];
    int64_t rows = GATES * product->hidden, depth = product->depth - first < EXACT_DEPTH ? product->depth - first : EXACT_DEPTH;
    for (int64_t i = 0; i < rows; i++)
        widen(weights + i * product->depth + first, wide + i * depth, depth);
    const struct weight_layout layout = {.weights = wide, .column_step = depth, .tap_offsets = no_offset};
    return panels_f32_pack(&product->blocks[first / EXACT_DEPTH], operation->kernels, NULL, arena, operation->node, &layout, NULL, rows, 1, depth, error);
}

/* in_scale: of what the weights multiply. In single precision, as the reference has it; gates have a scale of 2^-12. */
static enum error_code prepare_product(struct product *product, const struct operation *operation, const struct value *weights, const int32_t *bias,
                                       const struct quantization *in, struct arena *arena, struct error *error)
{
    *product = (struct product){.hidden = weights->shape.dims[1], .depth = weights->shape.dims[2]};
    int64_t blocks = (product->depth + EXACT_DEPTH - 1) / EXACT_DEPTH, widest = product->depth < EXACT_DEPTH ? product->depth : EXACT_DEPTH;
    product->bias = fold_zero_point(arena, weights, bias, in->zero_point[0]);
    product->blocks = arena_allocate_array(arena, (size_t)blocks, sizeof *product->blocks);
    float *wide = malloc((size_t)(GATES * product->hidden * widest) * sizeof *wide);
    enum error_code code = ERROR_NONE;
    if (product->bias == NULL || product->blocks == NULL || wide == NULL)
        code = operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    for (int64_t first = 0; first < product->depth && code == ERROR_NONE; first += EXACT_DEPTH)
        code = pack_block(product, operation, weights->data, first, arena, wide, error);
    free(wide);
    for (int g = 0; g < GATES; g++)
        product->to_gate[g] = fixed_multiplier_from((double)(weights->quantization.scale[g] * in->scale[0] / (1.0f / 4096)));
    return code;
}

static int32_t clip_of(const struct node *node)
{
    float clip = node->attributes.recurrent.cell_clip;
    return clip > 0 ? (int32_t)fmin((double)(clip / ldexpf(1, node->attributes.recurrent.cell_power)), INT16_MAX) : 0;
}

enum error_code lstm_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *x = operation_input(operation, 0), *y = operation_output(operation, 0);
    int64_t hidden = node->attributes.recurrent.hidden;
    struct lstm_8 *lstm = arena_allocate(arena, sizeof *lstm);
    struct scratch scratch;
    if (lstm == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    *lstm = (struct lstm_8){.kernels = operation->kernels, .zero_point = y->quantization.zero_point[0], .clip = clip_of(node),
                            .to_hidden = fixed_multiplier_from((double)(float)(0x1p-30 / (double)y->quantization.scale[0])),
                            .power = node->attributes.recurrent.cell_power};
    TRY(prepare_product(&lstm->input, operation, operation_input(operation, 1), operation_input(operation, 3)->data, &x->quantization, arena, error));
    TRY(prepare_product(&lstm->recurrent, operation, operation_input(operation, 2), NULL, &y->quantization, arena, error));
    operation->scratch_bytes = lay_out(&scratch, NULL, operation->kernels->rows, x->shape.dims[2], hidden);
    operation->macs = (uint64_t)(x->shape.dims[0] * (int64_t)x->shape.dims[1] * GATES * hidden) * (uint64_t)(x->shape.dims[2] + hidden);
    operation->prepared = lstm;
    operation->weights_packed = 2;
    operation->execute = lstm_8_execute;
    return ERROR_NONE;
}

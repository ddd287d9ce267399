/* SPDX-License-Identifier: Apache-2.0
 *
 * The float LSTM against its formulas in double precision: random shapes, directions, lengths, peepholes and clips, with weights that are known
 * when the model is opened (packed) and with weights that a run computes, on every kernel variant. EDDY_SEED=N repeats a failure. */
#include "inference/operators/operators.h"

#include "tests/check.h"

#include <math.h>
#include <time.h>

enum { OPERANDS = 8, SHAPES = 120, BATCH_MAX = 30, GATES = 4 };
enum { X, W, R, B, LENGTHS, H, C, P };

struct layer {
    int32_t steps, batch, inputs, hidden, directions, direction;
    float clip;
    struct shape shapes[OPERANDS];
    float *data[OPERANDS];          /* NULL: absent; lengths are i32 in the same room */
};

static unsigned state;

static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)((uint32_t)rand_r(&state) % (uint32_t)(high - low + 1));
}

static void make_layer(struct layer *layer)
{
    *layer = (struct layer){.steps = between(1, 6), .batch = between(0, 1) ? 1 : between(1, BATCH_MAX), .inputs = between(1, 40), .hidden = between(1, 40),
                            .direction = between(0, 2), .clip = between(0, 3) ? 0 : 0.3f};
    int32_t d = layer->directions = layer->direction == 2 ? 2 : 1, h = layer->hidden;
    const struct shape shapes[OPERANDS] = {{3, {layer->steps, layer->batch, layer->inputs}}, {3, {d, GATES * h, layer->inputs}}, {3, {d, GATES * h, h}},
                                           {2, {d, 2 * GATES * h}}, {1, {layer->batch}}, {3, {d, layer->batch, h}}, {3, {d, layer->batch, h}}, {2, {d, 3 * h}}};
    memcpy(layer->shapes, shapes, sizeof shapes);
    for (int i = 0; i < OPERANDS; i++) {
        if (i > R && between(0, 1))
            continue;
        int64_t count = shape_elements(&shapes[i]);
        layer->data[i] = malloc((size_t)count * sizeof(float));
        CHECK(layer->data[i] != NULL);
        for (int64_t k = 0; k < count; k++) {
            if (i == LENGTHS)
                ((int32_t *)(void *)layer->data[i])[k] = between(0, layer->steps);
            else
                layer->data[i][k] = (float)between(-1000, 1000) / 1500;
        }
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gate(const struct layer *layer, int32_t d, int32_t row, const float *x, const double *h)
{
    const float *w = layer->data[W] + (int64_t)(d * GATES * layer->hidden + row) * layer->inputs;
    const float *r = layer->data[R] + (int64_t)(d * GATES * layer->hidden + row) * layer->hidden, *b = layer->data[B];
    double sum = b != NULL ? (double)b[d * 2 * GATES * layer->hidden + row] + (double)b[(d * 2 + 1) * GATES * layer->hidden + row] : 0;
    for (int32_t k = 0; k < layer->inputs; k++)
        sum += (double)w[k] * (double)x[k];
    for (int32_t k = 0; k < layer->hidden; k++)
        sum += (double)r[k] * h[k];
    return sum;
}

static double peephole(const struct layer *layer, int32_t d, int kind, int32_t i, double c)
{
    return layer->data[P] != NULL ? (double)layer->data[P][(d * 3 + kind) * layer->hidden + i] * c : 0;
}

static void define(const struct layer *layer, float *y)
{
    int32_t hidden = layer->hidden, batch = layer->batch;
    for (int32_t d = 0; d < layer->directions; d++) {
        for (int32_t n = 0; n < batch; n++) {
            double h[64] = {0}, c[64] = {0}, next[64];
            int32_t length = layer->data[LENGTHS] != NULL ? ((const int32_t *)(const void *)layer->data[LENGTHS])[n] : layer->steps;
            for (int32_t i = 0; i < hidden; i++) {
                h[i] = layer->data[H] != NULL ? (double)layer->data[H][(d * batch + n) * hidden + i] : 0;
                c[i] = layer->data[C] != NULL ? (double)layer->data[C][(d * batch + n) * hidden + i] : 0;
            }
            for (int32_t s = 0; s < layer->steps; s++) {
                int32_t t = s < length && (layer->direction == 1 || d == 1) ? length - 1 - s : s;
                const float *x = layer->data[X] + (t * batch + n) * layer->inputs;
                for (int32_t i = 0; i < hidden && s < length; i++) {
                    double input = sigmoid(gate(layer, d, i, x, h) + peephole(layer, d, 0, i, c[i]));
                    double forget = sigmoid(gate(layer, d, 2 * hidden + i, x, h) + peephole(layer, d, 2, i, c[i]));
                    c[i] = forget * c[i] + input * tanh(gate(layer, d, 3 * hidden + i, x, h));
                    if (layer->clip > 0)
                        c[i] = fmax(fmin(c[i], (double)layer->clip), -(double)layer->clip);
                    next[i] = sigmoid(gate(layer, d, hidden + i, x, h) + peephole(layer, d, 1, i, c[i])) * tanh(c[i]);
                }
                for (int32_t i = 0; i < hidden; i++) {
                    h[i] = s < length ? next[i] : h[i];
                    y[((t * layer->directions + d) * batch + n) * hidden + i] = s < length ? (float)next[i] : 0;
                }
            }
        }
    }
}

static void run_layer(const struct layer *layer, bool packed, const struct kernels *kernels, float *y)
{
    struct graph graph;
    struct operation operation;
    struct error error = {0};
    void *data[OPERANDS + 3] = {0};
    graph_init(&graph);
    struct node *node = graph_add_node(&graph, OPERATOR_LSTM, "lstm", OPERANDS, 3);
    CHECK(node != NULL);
    node->attributes.recurrent.hidden = layer->hidden;
    node->attributes.recurrent.direction = layer->direction;
    node->attributes.recurrent.cell_clip = layer->clip;
    for (int i = 0; i < OPERANDS; i++) {
        if (layer->data[i] == NULL)
            continue;
        node->inputs[i] = graph_add_constant(&graph, "operand", i == LENGTHS ? DTYPE_I32 : DTYPE_F32, &layer->shapes[i], layer->data[i]);
        data[node->inputs[i]] = layer->data[i];
        if (!packed)
            graph.values[node->inputs[i]].data = NULL;
    }
    CHECK_OK(operator_infer(&graph, node, &error), error);
    CHECK_OK(operator_prepare(&graph, node, kernels, &graph.arena, &operation, &error), error);
    CHECK_INTEGER(operation.weights_packed, packed ? 2 : 0);
    data[node->outputs[0]] = y;
    for (int i = 1; i < 3; i++) {
        data[node->outputs[i]] = malloc(tensor_bytes(&(struct tensor){.dtype = DTYPE_F32, .shape = graph.values[node->outputs[i]].shape}));
        CHECK(data[node->outputs[i]] != NULL);
    }
    void *scratch = aligned_alloc(ARENA_ALIGNMENT, (operation.scratch_bytes / ARENA_ALIGNMENT + 1) * ARENA_ALIGNMENT);
    CHECK(scratch != NULL);
    operation_execute(&operation, data, scratch);
    free(scratch);
    for (int i = 1; i < 3; i++)
        free(data[node->outputs[i]]);
    graph_deinit(&graph);
}

static void compare(const struct layer *layer, bool packed, const struct kernels *kernels, const float *expected, unsigned seed)
{
    int64_t count = (int64_t)layer->steps * layer->directions * layer->batch * layer->hidden;
    float *seen = malloc((size_t)count * sizeof *seen);
    double worst = 0;
    CHECK(seen != NULL);
    run_layer(layer, packed, kernels, seen);
    for (int64_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)seen[i] - (double)expected[i]));
    free(seen);
    if (!(worst < 2e-6))
        printf("%s, weights %s: off by %g; EDDY_SEED=%u\n", kernels->name, packed ? "packed" : "as they lie", worst, seed);
    CHECK(worst < 2e-6);
}

static void layers_of_random_form_follow_the_formulas(void)
{
    static float expected[6 * 2 * BATCH_MAX * 40];
    const char *given = getenv("EDDY_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    for (int i = 0; i < SHAPES; i++) {
        struct layer layer;
        state = seed + (unsigned)i;
        make_layer(&layer);
        define(&layer, expected);
        for (const struct kernels *const *kernels = kernels_list(); *kernels != NULL; kernels++) {
            compare(&layer, true, *kernels, expected, seed + (unsigned)i);
            compare(&layer, false, *kernels, expected, seed + (unsigned)i);
        }
        for (int k = 0; k < OPERANDS; k++)
            free(layer.data[k]);
    }
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(layers_of_random_form_follow_the_formulas), {0}});
}

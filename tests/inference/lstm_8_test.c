/* SPDX-License-Identifier: Apache-2.0
 *
 * The LSTM in integers against its definition, written here a second time: real numbers, with each rounding and cut spelled out.
 *   lstm_8_test [CASE]     the seed is printed where random shapes disagree; EDDY_SEED=N repeats it */
#include "inference/kernels/fixed_activation.h"
#include "inference/operators/operators.h"

#include "tests/check.h"

#include <math.h>
#include <time.h>

enum { GATES = 4, SHAPES = 200, HIDDEN_MAX = 40, INPUTS_MAX = 2100, STEPS_MAX = 6, BATCH_MAX = 3 };

static double cut(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static double cut_16(double x)
{
    return cut(x, INT16_MIN, INT16_MAX);
}

static double half_up(double x)
{
    return floor(x + 0.5);
}

/* Numbers below are integers that stand for a fraction; round() takes halves away from zero. */
static double product(double a, double b)
{
    return cut_16(half_up(a * b / 32768));
}

static double constant(double x)
{
    return round(x * 32768);
}

static double exponential(double a, int bits)
{
    double one = ldexp(1, 15 - bits), quarter = one / 4, eighth = 4096;
    if (a >= 0)
        return INT16_MAX;
    if (bits > 5 && a < -32 * one)
        return 0;
    double quarters = ceil(-a / quarter - 1), within = a + quarters * quarter; /* -1/4 <= within < 0 */
    if (within >= 0) {
        within -= quarter;
        quarters++;
    }
    double x = within * ldexp(1, bits) + eighth, x2 = product(x, x), x3 = product(x2, x), x4 = product(x2, x2);
    double rest = round((product(round(x4 / 4) + x3, constant(1.0 / 3)) + x2) / 2), centre = constant(exp(-0.125));
    double result = cut_16(centre + product(centre, x + rest));
    for (int i = 0; i < 7 && i < bits + 2; i++) {
        if (fmod(floor(quarters / ldexp(1, i)), 2) > 0.5)
            result = product(result, constant(exp(-ldexp(1, i - 2))));
    }
    return result;
}

static double inverse(double a) /* 2 / (1 + a), 13 bits of fraction */
{
    double half = round((a + INT16_MAX) / 2), x = round(48.0 / 17 * 8192) + product(half, round(-32.0 / 17 * 8192));
    for (int i = 0; i < 3; i++)
        x += cut_16(product(x, 8192 - product(half, x)) * 4);
    return x;
}

static double sigmoid(double a)
{
    double above = cut_16(inverse(exponential(-fabs(a), 3)) * 2);
    return a > 0 ? above : a < 0 ? INT16_MAX - above : 16384;
}

static double tangent(double a, int bits)
{
    double size = cut_16((inverse(exponential(-fabs(a), bits + 1)) - 8192) * 4); /* rounding leaves -4 beside 0 */
    return a < 0 ? -size : a > 0 ? size : 0;
}

static void sigmoid_and_tanh_follow_their_definition_for_all_numbers(void)
{
    for (int32_t a = INT16_MIN; a <= INT16_MAX; a++) {
        CHECK_INTEGER(fixed_16_sigmoid(a), sigmoid(a));
        for (int bits = 0; bits <= 6; bits++)
            CHECK_INTEGER(fixed_16_tanh(a, bits), tangent(a, bits));
    }
}

static void sigmoid_and_tanh_are_near_the_real_ones(void)
{
    double worst = 0;
    for (int32_t a = INT16_MIN; a <= INT16_MAX; a++) {
        worst = fmax(worst, fabs(fixed_16_sigmoid(a) / 32768.0 - 1 / (1 + exp(-a / 4096.0))));
        for (int bits = 0; bits <= 6; bits++)
            worst = fmax(worst, fabs(fixed_16_tanh(a, bits) / 32768.0 - tanh(a / ldexp(1, 15 - bits))));
    }
    if (worst > 4e-4)
        printf("worst difference %g\n", worst);
    CHECK(worst <= 4e-4);
}

/* One random layer. */
struct layer {
    int32_t steps, batch, inputs, hidden, x_zero, y_zero, power;
    float x_scale, y_scale, w_scale[GATES], r_scale[GATES], clip;
    int8_t x[STEPS_MAX * BATCH_MAX * INPUTS_MAX], w[GATES * HIDDEN_MAX * INPUTS_MAX], r[GATES * HIDDEN_MAX * HIDDEN_MAX];
    int32_t b[GATES * HIDDEN_MAX];
};

static unsigned state;

static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)((uint32_t)rand_r(&state) % (uint32_t)(high - low + 1));
}

static void make_layer(struct layer *layer)
{
    int inputs = between(0, 9) == 0 ? between(1000, INPUTS_MAX) : between(1, 70);
    *layer = (struct layer){.steps = between(1, STEPS_MAX), .batch = between(1, BATCH_MAX), .inputs = inputs,
                            .hidden = between(1, HIDDEN_MAX), .x_zero = between(-128, 127), .y_zero = between(-20, 20), .power = between(-15, -9),
                            .x_scale = 0.004f * (float)between(1, 9), .y_scale = 0.0078f, .clip = between(0, 2) == 0 ? 0.25f * (float)between(1, 5) : 0};
    bool extreme = between(0, 4) == 0;
    for (int g = 0; g < GATES; g++) {
        layer->w_scale[g] = (extreme ? 1 : 0.003f) * (float)between(1, 40) / 10;
        layer->r_scale[g] = 0.003f * (float)between(1, 40) / 10;
    }
    for (size_t i = 0; i < sizeof layer->x; i++)
        layer->x[i] = (int8_t)(extreme ? (between(0, 1) ? 127 : -128) : between(-128, 127));
    for (size_t i = 0; i < sizeof layer->w; i++)
        layer->w[i] = (int8_t)between(-127, 127);
    for (size_t i = 0; i < sizeof layer->r; i++)
        layer->r[i] = (int8_t)between(-127, 127);
    for (size_t i = 0; i < sizeof layer->b / sizeof layer->b[0]; i++)
        layer->b[i] = between(-40000, 40000);
}

/* x times a factor as TFLite takes it: a mantissa of 31 bits and a shift, each rounded once. */
static double scaled(double x, float factor)
{
    int exponent;
    double mantissa = round(frexp((double)factor, &exponent) * 0x1p31);
    return round(half_up(ldexp(x, exponent > 0 ? exponent : 0) * mantissa * 0x1p-31) * ldexp(1, exponent < 0 ? exponent : 0));
}

static double gate(const struct layer *layer, int g, int32_t i, const int8_t *x, const double *h)
{
    double from_x = layer->b[g * layer->hidden + i], from_h = 0;
    for (int32_t k = 0; k < layer->inputs; k++)
        from_x += (double)layer->w[(g * layer->hidden + i) * layer->inputs + k] * (x[k] - layer->x_zero);
    for (int32_t k = 0; k < layer->hidden; k++)
        from_h += (double)layer->r[(g * layer->hidden + i) * layer->hidden + k] * (h[k] - layer->y_zero);
    double sum = cut_16(scaled(from_x, layer->w_scale[g] * layer->x_scale * 4096));
    sum = cut_16(sum + scaled(from_h, layer->r_scale[g] * layer->y_scale * 4096));
    return g == 3 ? tangent(sum, 3) : sigmoid(sum);
}

static void define(const struct layer *layer, int8_t *y)
{
    float to_hidden = (float)(0x1p-30 / (double)layer->y_scale);
    for (int32_t n = 0; n < layer->batch; n++) {
        double h[HIDDEN_MAX], next[HIDDEN_MAX], cell[HIDDEN_MAX] = {0};
        for (int32_t i = 0; i < layer->hidden; i++)
            h[i] = layer->y_zero;
        for (int32_t t = 0; t < layer->steps; t++) {
            const int8_t *x = layer->x + (t * layer->batch + n) * layer->inputs;
            for (int32_t i = 0; i < layer->hidden; i++) {
                double input = gate(layer, 0, i, x, h), output = gate(layer, 1, i, x, h), forget = gate(layer, 2, i, x, h);
                cell[i] = cut_16(round(forget * cell[i] / 32768) + round(ldexp(input * gate(layer, 3, i, x, h), -30 - layer->power)));
                if (layer->clip > 0) {
                    double limit = fmin(floor((double)layer->clip / ldexp(1, layer->power)), INT16_MAX);
                    cell[i] = cut(cell[i], -limit, limit);
                }
                next[i] = cut(scaled(output * tangent(cell[i], 15 + layer->power), to_hidden) + layer->y_zero, -128, 127);
            }
            memcpy(h, next, sizeof h);
            for (int32_t i = 0; i < layer->hidden; i++)
                y[(t * layer->batch + n) * layer->hidden + i] = (int8_t)h[i];
        }
    }
}

static int32_t add_operand(struct graph *graph, enum dtype dtype, const struct shape *shape, const void *data, const struct quantization *quantization)
{
    int32_t value = graph_add_constant(graph, "operand", dtype, shape, data);
    CHECK(value >= 0);
    if (quantization != NULL)
        graph->values[value].quantization = *quantization;
    return value;
}

static struct node *build(struct graph *graph, const struct layer *layer)
{
    static const int32_t none[GATES];
    const struct shape x = {3, {layer->steps, layer->batch, layer->inputs}}, w = {3, {GATES, layer->hidden, layer->inputs}};
    const struct shape r = {3, {GATES, layer->hidden, layer->hidden}}, b = {2, {GATES, layer->hidden}};
    int32_t operands[4] = {
        add_operand(graph, DTYPE_I8, &x, layer->x, &(struct quantization){1, 0, &layer->x_scale, &layer->x_zero}),
        add_operand(graph, DTYPE_I8, &w, layer->w, &(struct quantization){GATES, 0, layer->w_scale, none}),
        add_operand(graph, DTYPE_I8, &r, layer->r, &(struct quantization){GATES, 0, layer->r_scale, none}),
        add_operand(graph, DTYPE_I32, &b, layer->b, NULL)};
    struct node *node = graph_add_node(graph, OPERATOR_LSTM_8, "lstm", 4, 1);
    CHECK(node != NULL);
    memcpy(node->inputs, operands, sizeof operands);
    node->attributes.recurrent.hidden = layer->hidden;
    node->attributes.recurrent.cell_power = layer->power;
    node->attributes.recurrent.cell_clip = layer->clip;
    graph->values[node->outputs[0]].dtype = DTYPE_I8;
    graph->values[node->outputs[0]].quantization = (struct quantization){1, 0, &layer->y_scale, &layer->y_zero};
    return node;
}

static void run_layer(const struct layer *layer, const struct kernels *kernels, int8_t *y)
{
    struct graph graph;
    struct operation operation;
    struct error error = {0};
    void *data[8];
    graph_init(&graph);
    struct node *node = build(&graph, layer);
    CHECK_OK(operator_infer(&graph, node, &error), error);
    CHECK_OK(operator_prepare(&graph, node, kernels, &graph.arena, &operation, &error), error);
    for (int i = 0; i < 4; i++)
        data[node->inputs[i]] = (void *)(uintptr_t)graph.values[node->inputs[i]].data;
    data[node->outputs[0]] = y;
    void *scratch = aligned_alloc(ARENA_ALIGNMENT, (operation.scratch_bytes / ARENA_ALIGNMENT + 1) * ARENA_ALIGNMENT);
    CHECK(scratch != NULL);
    memset(scratch, 0xA5, operation.scratch_bytes);
    operation_execute(&operation, data, scratch);
    free(scratch);
    graph_deinit(&graph);
}

static void layers_of_random_shape_follow_the_definition_on_every_kernel_variant(void)
{
    static struct layer layer;
    static int8_t seen[STEPS_MAX * BATCH_MAX * HIDDEN_MAX], expected[sizeof seen];
    const char *given = getenv("EDDY_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    for (int i = 0; i < SHAPES; i++) {
        state = seed + (unsigned)i;
        make_layer(&layer);
        define(&layer, expected);
        for (const struct kernels *const *kernels = kernels_list(); *kernels != NULL; kernels++) {
            run_layer(&layer, *kernels, seen);
            if (memcmp(seen, expected, (size_t)(layer.steps * layer.batch * layer.hidden)) != 0) {
                printf("differs on %s: EDDY_SEED=%u\n", (*kernels)->name, seed + (unsigned)i);
                CHECK(false);
            }
        }
    }
}

static void refuse(const struct layer *layer, void (*damage)(struct graph *graph, struct node *node), const char *expected)
{
    struct graph graph;
    struct error error = {0};
    graph_init(&graph);
    struct node *node = build(&graph, layer);
    damage(&graph, node);
    CHECK(operator_infer(&graph, node, &error) != ERROR_NONE);
    if (strstr(error.message, expected) == NULL)
        printf("said: %s\n", error.message);
    CHECK(strstr(error.message, expected) != NULL);
    graph_deinit(&graph);
}

static void narrow_weights(struct graph *graph, struct node *node)
{
    graph->values[node->inputs[1]].shape.dims[2]--;
}

static void lose_scales(struct graph *graph, struct node *node)
{
    graph->values[node->inputs[2]].quantization.count = 1;
}

static void compute_biases(struct graph *graph, struct node *node)
{
    graph->values[node->inputs[3]].data = NULL;
}

static void coarsen_cell(struct graph *graph, struct node *node)
{
    (void)graph;
    node->attributes.recurrent.cell_power = -8;
}

static void lose_result_scale(struct graph *graph, struct node *node)
{
    graph->values[node->outputs[0]].quantization.count = 0;
}

static void operands_that_do_not_fit_are_refused(void)
{
    static struct layer layer;
    state = 1;
    make_layer(&layer);
    refuse(&layer, narrow_weights, "weights or biases of another shape");
    refuse(&layer, lose_scales, "weights or biases of another shape");
    refuse(&layer, compute_biases, "weights or biases of another shape");
    refuse(&layer, coarsen_cell, "scale of the cell state");
    refuse(&layer, lose_result_scale, "result of type i8 with one scale");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(sigmoid_and_tanh_follow_their_definition_for_all_numbers),
                                                              CASE(sigmoid_and_tanh_are_near_the_real_ones),
                                                              CASE(layers_of_random_shape_follow_the_definition_on_every_kernel_variant),
                                                              CASE(operands_that_do_not_fit_are_refused), {0}});
}

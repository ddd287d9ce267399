/* SPDX-License-Identifier: Apache-2.0
 *
 * Float layers of random shapes on every variant of the kernels that this CPU runs: against their definition in double, by minimal filtering
 * within 1e-4 of the largest result, and with the same bits however many threads share the parts. */
#include "inference/kernels/winograd.h"
#include "inference/operators/operators.h"
#include "inference/threads.h"

#include "tests/check.h"

#include <math.h>

enum { TRIES = 150, THREADS_TRIED = 4 };

static uint32_t seed;

static int between(int low, int high)
{
    seed = seed * 1664525u + 1013904223u;
    return low + (int)((seed >> 8) % (uint32_t)(high - low + 1));
}

static float *random_floats(struct arena *arena, int64_t count)
{
    float *values = arena_allocate_array(arena, (size_t)count + 16, sizeof *values);
    CHECK(values != NULL);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)between(-1000, 1000) / 1000;
    return values;
}

struct layer {
    struct graph graph;
    struct node *node;
    const float *input, *weights, *bias, *residual; /* bias and residual may be NULL */
    double *expected;
    double largest;
    int64_t results;
};

static int32_t add_computed(struct graph *graph, const struct shape *shape)
{
    int32_t value = graph_add_value(graph, "x", DTYPE_F32);
    CHECK(value >= 0);
    graph->values[value].shape = *shape;
    graph->values[value].shape_known = true;
    return value;
}

/* operands: x, weights, bias, residual */
static void start_layer(struct layer *layer, enum operator_kind kind, const struct shape *input, const struct shape *weights, int32_t columns)
{
    memset(layer, 0, sizeof *layer);
    graph_init(&layer->graph);
    struct graph *graph = &layer->graph;
    layer->input = random_floats(&graph->arena, shape_elements(input));
    layer->weights = random_floats(&graph->arena, shape_elements(weights));
    layer->node = graph_add_node(graph, kind, "layer", 4, 1);
    int32_t *inputs = layer->node->inputs;
    inputs[0] = add_computed(graph, input);
    inputs[1] = graph_add_constant(graph, "w", DTYPE_F32, weights, layer->weights);
    if (between(0, 3) > 0) {
        layer->bias = random_floats(&graph->arena, columns);
        inputs[2] = graph_add_constant(graph, "b", DTYPE_F32, &(struct shape){.rank = 1, .dims = {columns}}, layer->bias);
    }
    layer->node->activation = (enum activation[]){ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU6, ACTIVATION_LEAKY_RELU}[between(0, 3)];
    layer->node->activation_low = layer->node->activation == ACTIVATION_LEAKY_RELU ? 0.1f : 0;
}

static void infer_layer(struct layer *layer, bool may_add)
{
    struct error error = {0};
    CHECK_OK(operator_infer(&layer->graph, layer->node, &error), error);
    const struct shape *shape = &layer->graph.values[layer->node->outputs[0]].shape;
    layer->results = shape_elements(shape);
    layer->expected = arena_allocate_array(&layer->graph.arena, (size_t)layer->results, sizeof *layer->expected);
    if (may_add && between(0, 1) == 1) {
        layer->residual = random_floats(&layer->graph.arena, layer->results);
        layer->node->inputs[3] = add_computed(&layer->graph, shape);
    } else {
        layer->node->input_count = 3;
    }
}

static double finish(const struct layer *layer, double sum, int64_t at, int32_t column)
{
    sum += (layer->bias != NULL ? (double)layer->bias[column] : 0) + (layer->residual != NULL ? (double)layer->residual[at] : 0);
    switch (layer->node->activation) {
    case ACTIVATION_RELU: return sum < 0 ? 0 : sum;
    case ACTIVATION_RELU6: return sum < 0 ? 0 : sum > 6 ? 6 : sum;
    case ACTIVATION_LEAKY_RELU: return sum < 0 ? sum * (double)0.1f : sum;
    default: return sum;
    }
}

static void expect_convolution(struct layer *layer, bool depthwise)
{
    const struct spatial *s = &layer->node->attributes.spatial;
    const int32_t *in = layer->graph.values[layer->node->inputs[0]].shape.dims, *out = layer->graph.values[layer->node->outputs[0]].shape.dims;
    int32_t depth = depthwise ? 1 : in[3] / s->groups, group_columns = depthwise ? 1 : out[3] / s->groups;
    for (int64_t i = 0; i < layer->results; i++) {
        int32_t c = (int32_t)(i % out[3]), x = (int32_t)(i / out[3] % out[2]), y = (int32_t)(i / out[3] / out[2] % out[1]);
        int64_t n = i / out[3] / out[2] / out[1];
        double sum = 0;
        for (int32_t t = 0; t < s->kernel[0] * s->kernel[1]; t++) {
            int32_t in_y = y * s->stride[0] - s->pad[0] + t / s->kernel[1] * s->dilation[0];
            int32_t in_x = x * s->stride[1] - s->pad[1] + t % s->kernel[1] * s->dilation[1];
            if (in_y < 0 || in_y >= in[1] || in_x < 0 || in_x >= in[2])
                continue;
            const float *pixel = layer->input + ((n * in[1] + in_y) * in[2] + in_x) * in[3] + c / group_columns * depth;
            for (int32_t k = 0; k < depth; k++) {
                int64_t w = depthwise ? (int64_t)t * out[3] + c : ((int64_t)c * s->kernel[0] * s->kernel[1] + t) * depth + k;
                sum += (double)pixel[k] * (double)layer->weights[w];
            }
        }
        layer->expected[i] = finish(layer, sum, i, c);
        layer->largest = fabs(layer->expected[i]) > layer->largest ? fabs(layer->expected[i]) : layer->largest;
    }
}

struct run {
    const struct operation *operation;
    void *const *data;
    char *scratch; /* of each participant, scratch_bytes apart */
};

static void run_parts(void *context, int64_t first, int64_t last, int participant)
{
    const struct run *run = context;
    run->operation->execute_parts(run->operation, run->data, run->scratch + (size_t)participant * run->operation->scratch_bytes, first, last);
}

static void check_layer(struct layer *layer, double tolerance, struct threads *const *pools, int try)
{
    struct error error = {0};
    struct graph *graph = &layer->graph;
    void **data = arena_allocate_array(&graph->arena, (size_t)graph->value_count, sizeof *data);
    float *first = arena_allocate_array(&graph->arena, (size_t)layer->results + 16, sizeof *first);
    data[layer->node->inputs[0]] = (void *)(uintptr_t)layer->input;
    if (layer->residual != NULL)
        data[layer->node->inputs[3]] = (void *)(uintptr_t)layer->residual;
    for (const struct kernels *const *one = kernels_list(); *one != NULL; one++) {
        struct operation operation;
        CHECK_OK(operator_prepare(graph, layer->node, *one, &graph->arena, &operation, &error), error);
        operation.scratch_bytes = (operation.scratch_bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
        char *scratch = arena_allocate_array(&graph->arena, THREADS_TRIED, operation.scratch_bytes + ARENA_ALIGNMENT);
        float *out = arena_allocate_array(&graph->arena, (size_t)layer->results + 16, sizeof *out);
        CHECK(scratch != NULL && out != NULL && operation.execute_parts != NULL);
        for (int count = 1; count <= THREADS_TRIED; count++) {
            for (int64_t i = 0; i < layer->results; i++)
                out[i] = NAN;
            data[layer->node->outputs[0]] = out;
            memset(scratch, 0xA5, THREADS_TRIED * operation.scratch_bytes);
            for (int i = 0; i < count; i++)
                operation_begin(&operation, scratch + (size_t)i * operation.scratch_bytes);
            threads_run(pools[count - 1], run_parts, &(struct run){&operation, data, scratch}, operation.parts);
            if (count == 1)
                memcpy(first, out, (size_t)layer->results * sizeof *out);
            CHECK(memcmp(first, out, (size_t)layer->results * sizeof *out) == 0);
        }
        for (int64_t i = 0; i < layer->results; i++) {
            if (!(fabs((double)out[i] - layer->expected[i]) <= tolerance * (layer->largest + 1e-3))) {
                printf("%s, try %d, result %lld: %.9g, expected %.9g\n", (*one)->name, try, (long long)i, (double)out[i], layer->expected[i]);
                CHECK(!"close");
            }
        }
    }
    graph_deinit(graph);
}

static void set_spatial(struct spatial *s, int kernel_y, int kernel_x, int stride, int dilation, int groups)
{
    *s = (struct spatial){.kernel = {kernel_y, kernel_x}, .stride = {stride, stride}, .dilation = {dilation, dilation}, .groups = groups};
    for (int side = 0; side < 4; side++)
        s->pad[side] = between(0, (s->kernel[side % 2] - 1) * dilation);
}

static void try_convolution(struct threads *const *pools, int try)
{
    static const int kernels[] = {1, 1, 3, 3, 5, 2, 7};
    struct layer layer;
    int groups = between(0, 4) == 0 ? between(2, 3) : 1, depth = between(1, between(0, 1) ? 5 : 40);
    int columns = between(1, between(0, 1) ? 16 : 70);
    int kernel_y = kernels[between(0, 6)], kernel_x = between(0, 3) == 0 ? kernels[between(0, 6)] : kernel_y, dilation = between(0, 3) == 0 ? 2 : 1;
    int height = between(1, 20) + (kernel_y - 1) * dilation, width = between(1, between(0, 2) ? 20 : 70) + (kernel_x - 1) * dilation;
    start_layer(&layer, OPERATOR_CONV, &(struct shape){.rank = 4, .dims = {between(1, 2), height, width, groups * depth}},
                &(struct shape){.rank = 4, .dims = {groups * columns, kernel_y, kernel_x, depth}}, groups * columns);
    set_spatial(&layer.node->attributes.spatial, kernel_y, kernel_x, between(1, 2), dilation, groups);
    infer_layer(&layer, true);
    expect_convolution(&layer, false);
    check_layer(&layer, 1e-5, pools, try);
}

/* A hostile picture: one column, far to the right of what most windows look at. */
static void try_wide_padding(struct threads *const *pools, int try)
{
    struct layer layer;
    int columns = between(1, 24), stride = between(1, 9);
    start_layer(&layer, OPERATOR_CONV, &(struct shape){.rank = 4, .dims = {1, 2, between(1, 2), 3}}, &(struct shape){.rank = 4, .dims = {columns, 1, 1, 3}},
                columns);
    set_spatial(&layer.node->attributes.spatial, 1, 1, stride, 1, 1);
    layer.node->attributes.spatial.pad[1] = between(90, 120);
    layer.node->attributes.spatial.pad[3] = between(0, 1) * between(0, 120);
    infer_layer(&layer, true);
    expect_convolution(&layer, false);
    check_layer(&layer, 1e-5, pools, try);
}

static void try_depthwise(struct threads *const *pools, int try)
{
    struct layer layer;
    int channels = between(1, between(0, 1) ? 20 : 100), kernel = between(1, 7), dilation = between(0, 3) == 0 ? 2 : 1;
    int height = between(1, 20) + (kernel - 1) * dilation, width = between(1, 20) + (kernel - 1) * dilation;
    start_layer(&layer, OPERATOR_DEPTHWISE_CONV, &(struct shape){.rank = 4, .dims = {between(1, 2), height, width, channels}},
                &(struct shape){.rank = 3, .dims = {kernel, kernel, channels}}, channels);
    set_spatial(&layer.node->attributes.spatial, kernel, kernel, between(1, 2), dilation, channels);
    infer_layer(&layer, false);
    expect_convolution(&layer, true);
    check_layer(&layer, 1e-5, pools, try);
}

static void try_winograd(struct threads *const *pools, int try)
{
    struct layer layer;
    int depth = between(1, 80), columns = between(1, 80), tile = 2 * between(1, 2);
    start_layer(&layer, OPERATOR_CONV, &(struct shape){.rank = 4, .dims = {between(1, 2), between(3, 24), between(3, 24), depth}},
                &(struct shape){.rank = 4, .dims = {columns, 3, 3, depth}}, columns);
    set_spatial(&layer.node->attributes.spatial, 3, 3, 1, 1, 1);
    layer.node->attributes.spatial.winograd = tile;
    infer_layer(&layer, true);
    expect_convolution(&layer, false);
    check_layer(&layer, 1e-4, pools, try);
}

static void try_fully_connected(struct threads *const *pools, int try)
{
    struct layer layer;
    int rows = between(0, 1) ? 1 : between(1, 30), depth = between(1, 300), columns = between(1, 200);
    start_layer(&layer, OPERATOR_FULLY_CONNECTED, &(struct shape){.rank = 2, .dims = {rows, depth}}, &(struct shape){.rank = 2, .dims = {columns, depth}},
                columns);
    infer_layer(&layer, true);
    for (int64_t i = 0; i < layer.results; i++) {
        double sum = 0;
        for (int k = 0; k < depth; k++)
            sum += (double)layer.input[i / columns * depth + k] * (double)layer.weights[i % columns * depth + k];
        layer.expected[i] = finish(&layer, sum, i, (int32_t)(i % columns));
        layer.largest = fabs(layer.expected[i]) > layer.largest ? fabs(layer.expected[i]) : layer.largest;
    }
    check_layer(&layer, 1e-5, pools, try);
}

static void try_all(void (*attempt)(struct threads *const *pools, int try))
{
    struct threads *pools[THREADS_TRIED];
    struct error error;
    for (int i = 0; i < THREADS_TRIED; i++)
        CHECK_OK(threads_new(i + 1, 1, &pools[i], &error), error);
    for (int try = 0; try < TRIES; try++) {
        seed = (uint32_t)try + 1;
        attempt(pools, try);
    }
    for (int i = 0; i < THREADS_TRIED; i++)
        threads_free(pools[i]);
}

static void convolutions_are_what_they_are_defined_as(void)
{
    try_all(try_convolution);
}

static void padding_may_be_wider_than_the_picture(void)
{
    try_all(try_wide_padding);
}

static void depthwise_convolutions_are_what_they_are_defined_as(void)
{
    try_all(try_depthwise);
}

static void minimal_filtering_stays_within_1e_4_of_the_direct_way(void)
{
    try_all(try_winograd);
}

static void fully_connected_layers_are_what_they_are_defined_as(void)
{
    try_all(try_fully_connected);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(convolutions_are_what_they_are_defined_as), CASE(padding_may_be_wider_than_the_picture),
                                            CASE(depthwise_convolutions_are_what_they_are_defined_as),
                                            CASE(minimal_filtering_stays_within_1e_4_of_the_direct_way),
                                            CASE(fully_connected_layers_are_what_they_are_defined_as), {0}});
}

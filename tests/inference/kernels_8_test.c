/* SPDX-License-Identifier: Apache-2.0
 *
 * Every variant of the 8-bit kernels that this CPU runs, through the layers that use them, against the same layers on the scalar reference:
 * the same bits for random shapes. Inputs end where a page ends that may not be touched, but for the slack that kernels/kernels.h allows.
 * KERNELS_SEED=N repeats a run. */
#include "inference/graph.h"
#include "inference/kernels/kernels.h"
#include "inference/operators/operators.h"

#include "tests/check.h"

#include <math.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LAYERS = 600, GUARDED_BYTES = 1 << 20 };

static int64_t parts_seen; /* most that a layer was cut into */

static uint64_t random_state;

static uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static int32_t random_between(int32_t low, int32_t high)
{
    return low + (int32_t)(random_bits() % (uint32_t)(high - low + 1));
}

static int32_t one_of(const int32_t *values, int32_t count)
{
    return values[random_bits() % (uint32_t)count];
}
#define ONE_OF(...) one_of((const int32_t[]){__VA_ARGS__}, (int32_t)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static uint64_t seed_from_environment(void)
{
    const char *given = getenv("KERNELS_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 2654435761u;
    printf("KERNELS_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Memory that ends `bytes` (and the allowed slack) before a page that may not be touched. */
static uint8_t *guarded(size_t bytes)
{
    static uint8_t *areas[4];
    static int next;
    uint8_t **area = &areas[next++ % 4];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (*area == NULL) {
        *area = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(*area != MAP_FAILED && mprotect(*area + GUARDED_BYTES, page, PROT_NONE) == 0);
    }
    CHECK(bytes + KERNEL_OVERREAD_BYTES <= GUARDED_BYTES);
    return *area + GUARDED_BYTES - KERNEL_OVERREAD_BYTES - bytes;
}

static float *constant_scale(struct graph *graph, int32_t count, float low, float high)
{
    float *scales = arena_allocate_array(&graph->arena, (size_t)count, sizeof *scales);
    CHECK(scales != NULL);
    for (int32_t i = 0; i < count; i++)
        scales[i] = low + (high - low) * (float)random_bits() * 0x1p-31f;
    return scales;
}

static int32_t *constant_zeros(struct graph *graph, int32_t count)
{
    int32_t *zeros = arena_allocate_array(&graph->arena, (size_t)count, sizeof *zeros);
    CHECK(zeros != NULL);
    return zeros;
}

static int32_t add_activation(struct graph *graph, const char *name, enum dtype dtype, float scale)
{
    int32_t index = graph_add_value(graph, name, dtype);
    struct value *value = &graph->values[index];
    float *scales = constant_scale(graph, 1, scale, scale);
    int32_t *zeros = constant_zeros(graph, 1), low = dtype == DTYPE_U8 ? 0 : -128;
    zeros[0] = ONE_OF(low, low + 255, low + 128, low + 3, random_between(low, low + 255));
    value->quantization = (struct quantization){.count = 1, .scale = scales, .zero_point = zeros};
    return index;
}

static enum dtype random_bytes(void)
{
    return random_bits() % 2 == 0 ? DTYPE_I8 : DTYPE_U8;
}

static void add_input(struct graph *graph, int32_t index, struct shape shape)
{
    graph->values[index].shape = shape;
    graph->values[index].shape_known = true;
}

/* Weights whose scales make most results fall into the range of the output; some channels are dead, some have a factor above 1. */
static int32_t add_weights(struct graph *graph, struct shape shape, int32_t channels, enum dtype dtype, float typical)
{
    int64_t count = shape_elements(&shape);
    uint8_t *data = arena_allocate(&graph->arena, (size_t)count);
    CHECK(data != NULL);
    int32_t extreme = random_between(0, 3);
    for (int64_t i = 0; i < count; i++)
        data[i] = extreme == 0 ? (uint8_t)ONE_OF(127, 128, 129, 0, 255) : (uint8_t)random_bits();
    int32_t index = graph_add_constant(graph, "weights", dtype, &shape, data);
    int32_t scales = random_bits() % 3 == 0 ? 1 : channels;
    float *scale = constant_scale(graph, scales, typical * 0.3f, typical * 2);
    for (int32_t i = 0; i < scales && random_bits() % 4 == 0; i++) {
        if (random_bits() % 16 == 0)
            scale[i] *= ONE_OF(1, 2) == 1 ? 0x1p-26f : 0x1p8f;
    }
    int32_t *zeros = constant_zeros(graph, scales);
    int32_t zero = dtype == DTYPE_U8 ? ONE_OF(128, 0, 255, 121, random_between(0, 255)) : ONE_OF(0, 0, 0, 5);
    for (int32_t i = 0; i < scales; i++)
        zeros[i] = zero;
    graph->values[index].quantization = (struct quantization){.count = scales, .scale = scale, .zero_point = zeros};
    return index;
}

static int32_t add_bias(struct graph *graph, int32_t channels)
{
    int32_t *data = arena_allocate_array(&graph->arena, (size_t)channels, sizeof *data);
    CHECK(data != NULL);
    bool huge = random_bits() % 8 == 0;
    for (int32_t i = 0; i < channels; i++)
        data[i] = huge && random_bits() % 4 == 0 ? ONE_OF(1 << 30, -(1 << 30), INT32_MAX, INT32_MIN + 1) : random_between(-3000, 3000);
    return graph_add_constant(graph, "bias", DTYPE_I32, &(struct shape){.rank = 1, .dims = {channels}}, data);
}

static enum activation random_activation(void)
{
    return (enum activation)ONE_OF(ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU6);
}

static struct node *add_layer(struct graph *graph, enum operator_kind kind, int32_t inputs)
{
    struct node *node = graph_add_node(graph, kind, "layer", inputs, 1);
    CHECK(node != NULL);
    return node;
}

static struct spatial random_spatial(int32_t kernel_height, int32_t kernel_width)
{
    struct spatial spatial = {.kernel = {kernel_height, kernel_width}, .groups = 1};
    for (int i = 0; i < 2; i++) {
        spatial.stride[i] = ONE_OF(1, 1, 1, 2, 2, 3);
        spatial.dilation[i] = ONE_OF(1, 1, 1, 1, 2);
    }
    for (int i = 0; i < 4; i++)
        spatial.pad[i] = ONE_OF(0, 1, 1, 2, random_between(0, 3));
    return spatial;
}

/* A size that the kernel fits into. */
static struct shape random_image(const struct spatial *s, int32_t channels)
{
    struct shape shape = {.rank = 4, .dims = {ONE_OF(1, 1, 2), 0, 0, channels}};
    for (int i = 0; i < 2; i++) {
        int32_t least = (s->kernel[i] - 1) * s->dilation[i] + 1 - s->pad[i] - s->pad[i + 2];
        shape.dims[1 + i] = random_between(least < 1 ? 1 : least, (least < 1 ? 1 : least) + ONE_OF(0, 3, 7, 14, 27));
    }
    return shape;
}

static void quantize_output(struct graph *graph, struct node *node)
{
    int32_t index = add_activation(graph, "result", random_bytes(), 0.05f);
    node->outputs[0] = index;
    node->activation = random_activation();
}

static void make_convolution(struct graph *graph)
{
    int32_t groups = ONE_OF(1, 1, 1, 1, 2, 3), depth = ONE_OF(1, 2, 3, 3, 4, 5, 7, 8, 16, 17, 24, 40, 64, 67);
    int32_t columns = ONE_OF(1, 2, 3, 5, 8, 10, 16, 17, 24, 31, 32, 33, 48, 49, 64, 67);
    struct spatial spatial = random_spatial(ONE_OF(1, 1, 2, 3, 3, 5, 7), ONE_OF(1, 1, 2, 3, 3, 5));
    if (random_bits() % 3 == 0)
        spatial = (struct spatial){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    spatial.groups = groups;
    int32_t input = add_activation(graph, "input", random_bytes(), 0.03f);
    add_input(graph, input, random_image(&spatial, groups * depth));
    struct shape shape = {.rank = 4, .dims = {groups * columns, spatial.kernel[0], spatial.kernel[1], depth}};
    float typical = 0.4f / sqrtf((float)(spatial.kernel[0] * spatial.kernel[1] * depth)) / 74;
    int32_t weights = add_weights(graph, shape, groups * columns, random_bytes(), typical);
    int32_t bias = random_bits() % 4 == 0 ? GRAPH_NO_VALUE : add_bias(graph, groups * columns);
    struct node *node = add_layer(graph, OPERATOR_CONV, 3);
    node->inputs[0] = input;
    node->inputs[1] = weights;
    node->inputs[2] = bias;
    node->attributes.spatial = spatial;
    quantize_output(graph, node);
}

static void make_depthwise(struct graph *graph)
{
    int32_t channels = ONE_OF(1, 2, 3, 5, 8, 16, 17, 24, 32, 40, 63, 64, 65, 67, 96, 128, 144, 192, 200);
    struct spatial spatial = random_spatial(ONE_OF(1, 2, 3, 3, 3, 5, 7), ONE_OF(1, 2, 3, 3, 3, 4, 5, 7));
    spatial.groups = channels;
    int32_t input = add_activation(graph, "input", random_bytes(), 0.03f);
    add_input(graph, input, random_image(&spatial, channels));
    struct shape shape = {.rank = 3, .dims = {spatial.kernel[0], spatial.kernel[1], channels}};
    int32_t weights = add_weights(graph, shape, channels, random_bytes(), 0.4f / sqrtf((float)(spatial.kernel[0] * spatial.kernel[1])) / 74);
    int32_t bias = random_bits() % 4 == 0 ? GRAPH_NO_VALUE : add_bias(graph, channels);
    struct node *node = add_layer(graph, OPERATOR_DEPTHWISE_CONV, 3);
    node->inputs[0] = input;
    node->inputs[1] = weights;
    node->inputs[2] = bias;
    node->attributes.spatial = spatial;
    quantize_output(graph, node);
}

static void make_fully_connected(struct graph *graph)
{
    int32_t rows = ONE_OF(1, 1, 2, 3, 4, 11, 12, 13, 25), depth = random_between(1, 200), columns = random_between(1, 100);
    int32_t input = add_activation(graph, "input", random_bytes(), 0.03f);
    add_input(graph, input, (struct shape){.rank = 2, .dims = {rows, depth}});
    int32_t weights = add_weights(graph, (struct shape){.rank = 2, .dims = {columns, depth}}, columns, random_bytes(), 0.4f / sqrtf((float)depth) / 74);
    int32_t bias = random_bits() % 4 == 0 ? GRAPH_NO_VALUE : add_bias(graph, columns);
    struct node *node = add_layer(graph, OPERATOR_FULLY_CONNECTED, 3);
    node->inputs[0] = input;
    node->inputs[1] = weights;
    node->inputs[2] = bias;
    quantize_output(graph, node);
}

static void make_add(struct graph *graph)
{
    enum dtype dtype = random_bytes();
    struct shape shape = {.rank = 4, .dims = {1, random_between(1, 9), random_between(1, 9), random_between(1, 70)}};
    float scale = ONE_OF(1, 2) == 1 ? 0.05f : 0.05f + (float)random_bits() * 0x1p-35f;
    int32_t a = add_activation(graph, "a", dtype, scale), b = add_activation(graph, "b", dtype, 0.05f * (float)ONE_OF(1, 2, 3));
    add_input(graph, a, shape);
    add_input(graph, b, shape);
    struct node *node = add_layer(graph, ONE_OF(1, 2) == 1 ? OPERATOR_ADD : OPERATOR_SUB, 2);
    node->inputs[0] = a;
    node->inputs[1] = b;
    node->outputs[0] = add_activation(graph, "result", dtype, ONE_OF(1, 2) == 1 ? 0.1f : 0.02f + (float)random_bits() * 0x1p-35f);
    node->activation = random_activation();
}

static void make_pool(struct graph *graph)
{
    int32_t channels = ONE_OF(1, 3, 16, 63, 64, 65, 130);
    struct spatial spatial = random_spatial(random_between(1, 5), random_between(1, 5));
    for (int i = 0; i < 4; i++)
        spatial.pad[i] = spatial.kernel[i % 2] > 1 ? random_between(0, 1) : 0;
    enum dtype dtype = random_bytes();
    int32_t input = add_activation(graph, "input", dtype, 0.03f);
    struct shape shape = random_image(&spatial, channels);
    add_input(graph, input, shape);
    struct node *node = add_layer(graph, (enum operator_kind)ONE_OF(OPERATOR_AVERAGE_POOL, OPERATOR_MAX_POOL, OPERATOR_GLOBAL_AVERAGE_POOL), 1);
    node->inputs[0] = input;
    if (node->kind != OPERATOR_GLOBAL_AVERAGE_POOL)
        node->attributes.spatial = spatial;
    node->outputs[0] = add_activation(graph, "result", dtype, ONE_OF(1, 2) == 1 ? 0.03f : 0.04f);
    if (random_bits() % 2 == 0)
        graph->values[node->outputs[0]].quantization = graph->values[input].quantization;
}

static void make_transpose(struct graph *graph)
{
    bool to_pixels = random_bits() % 2 == 0;
    int32_t channels = ONE_OF(1, 2, 3, 3, 3, 4, 17, 64), height = random_between(1, 20), width = random_between(1, 20);
    int32_t input = add_activation(graph, "input", random_bytes(), 0.03f);
    struct shape pixels = {.rank = 4, .dims = {2, height, width, channels}}, planes = {.rank = 4, .dims = {2, channels, height, width}};
    add_input(graph, input, to_pixels ? planes : pixels);
    struct node *node = add_layer(graph, OPERATOR_TRANSPOSE, 1);
    node->inputs[0] = input;
    static const int32_t orders[2][4] = {{0, 3, 1, 2}, {0, 2, 3, 1}};
    memcpy(node->attributes.transpose.order, orders[to_pixels], sizeof orders[0]);
}

static void execute(const struct graph *graph, struct graph *arena_owner, const struct kernels *kernels, void **data, bool *refused)
{
    struct error error = {0};
    struct operation operation;
    const struct node *node = &graph->nodes[0];
    *refused = operator_prepare(graph, node, kernels, &arena_owner->arena, &operation, &error) != ERROR_NONE;
    if (*refused) {
        CHECK(error.code == ERROR_UNSUPPORTED);
        return;
    }
    const struct shape *shape = &graph->values[node->outputs[0]].shape;
    if (operation.pixels_before != NULL)
        CHECK_INTEGER(operation.pixels_before(&operation, operation.parts), (int64_t)shape->dims[1] * shape->dims[2]);
    void *scratch = aligned_alloc(ARENA_ALIGNMENT, (operation.scratch_bytes / ARENA_ALIGNMENT + 1) * ARENA_ALIGNMENT);
    CHECK(scratch != NULL);
    if (operation.execute_parts == NULL || random_bits() % 2 == 0) {
        memset(scratch, 0xA5, operation.scratch_bytes);
        operation_execute(&operation, data, scratch);
    } else { /* as threads do: parts in any order, a few at a time, with scratch that another part has left */
        for (int64_t last = operation.parts, first; last > 0; last = first) {
            first = last - random_between(1, 3);
            first = first < 0 ? 0 : first;
            memset(scratch, 0xA5, operation.scratch_bytes);
            operation.execute_parts(&operation, data, scratch, first, last);
        }
    }
    parts_seen = operation.execute_parts != NULL && operation.parts > parts_seen ? operation.parts : parts_seen;
    free(scratch);
}

static void fill(uint8_t *bytes, size_t count)
{
    int32_t kind = random_between(0, 3);
    for (size_t i = 0; i < count; i++)
        bytes[i] = kind == 0 ? (uint8_t)ONE_OF(0, 255, 127, 128) : (uint8_t)random_bits();
}

static void compare_variants(const struct graph *graph, uint64_t seed, int layer)
{
    const struct node *node = &graph->nodes[0];
    const struct value *result = &graph->values[node->outputs[0]];
    size_t bytes = (size_t)shape_elements(&result->shape);
    void *data[16] = {0};
    for (int32_t v = 0; v < graph->value_count && v < 16; v++)
        data[v] = (void *)(uintptr_t)graph->values[v].data;
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && data[node->inputs[i]] == NULL) {
            size_t input_bytes = (size_t)shape_elements(&graph->values[node->inputs[i]].shape);
            data[node->inputs[i]] = guarded(input_bytes);
            fill(data[node->inputs[i]], input_bytes);
        }
    }
    uint8_t *expected = malloc(bytes + 1), *seen = guarded(bytes);
    CHECK(expected != NULL);
    for (const struct kernels *const *kernels = kernels_list(); *kernels != NULL; kernels++) {
        struct graph packed;
        bool refused;
        graph_init(&packed);
        data[node->outputs[0]] = kernels == kernels_list() ? expected : seen;
        memset(seen - 1, 0x5A, bytes + 1 + KERNEL_OVERREAD_BYTES);
        execute(graph, &packed, *kernels, data, &refused);
        graph_deinit(&packed);
        if (refused)
            break;
        bool kept_inside = seen[-1] == 0x5A && seen[bytes] == 0x5A;
        if (kernels != kernels_list() && (memcmp(seen, expected, bytes) != 0 || !kept_inside)) {
            size_t at = 0;
            while (at < bytes && seen[at] == expected[at])
                at++;
            printf("%s: layer %d (%s) differs at byte %zu of %zu: %d, reference %d%s; KERNELS_SEED=%llu\n", (*kernels)->name, layer,
                   operator_name(node->kind), at, bytes, at < bytes ? seen[at] : 0, at < bytes ? expected[at] : 0,
                   kept_inside ? "" : "; it wrote outside", (unsigned long long)seed);
            graph_print(graph, stdout);
            check_failed();
        }
    }
    free(expected);
}

static void try_layers(void (*make)(struct graph *graph), int count)
{
    uint64_t seed = seed_from_environment();
    random_state = seed;
    for (int layer = 0; layer < count; layer++) {
        struct graph graph;
        struct error error = {0};
        graph_init(&graph);
        make(&graph);
        CHECK_OK(operator_infer(&graph, &graph.nodes[0], &error), error);
        compare_variants(&graph, seed, layer);
        graph_deinit(&graph);
    }
    printf("at most %lld parts\n", (long long)parts_seen);
    parts_seen = 0;
}

static void convolutions_give_the_same_bytes(void)
{
    try_layers(make_convolution, LAYERS);
}

static void depthwise_convolutions_give_the_same_bytes(void)
{
    try_layers(make_depthwise, LAYERS);
}

static void fully_connected_layers_give_the_same_bytes(void)
{
    try_layers(make_fully_connected, LAYERS);
}

static void additions_give_the_same_bytes(void)
{
    try_layers(make_add, LAYERS / 10);
}

static void pools_give_the_same_bytes(void)
{
    try_layers(make_pool, LAYERS);
}

static void transpositions_give_the_same_bytes(void)
{
    try_layers(make_transpose, LAYERS);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(convolutions_give_the_same_bytes), CASE(depthwise_convolutions_give_the_same_bytes),
                                                              CASE(fully_connected_layers_give_the_same_bytes), CASE(additions_give_the_same_bytes),
                                                              CASE(pools_give_the_same_bytes), CASE(transpositions_give_the_same_bytes), {0}});
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Which float 3x3 convolutions of stride 1 are done by minimal filtering (kernels/winograd.h), by counting what each way costs in
 * multiply-accumulates of a matrix product: F(4x4) multiplies a quarter of what the direct way does, but its weights are four times as
 * large and have to be read; transforms cost a constant a tile and channel; and tiles stick out of small images. */
#include "inference/kernels/winograd.h"
#include "inference/passes/passes.h"

enum {
    CHANNELS_MIN = 8,
    PANEL = 32,
    WEIGHTS_FAST = 512 << 10,     /* bytes that stay in a core's cache while the layer runs */
    WEIGHTS_SHARED = 8 << 20,     /* bytes that a cache behind it may hold; beyond: main memory */
    FOUR_WEIGHTS_MAX = 4 << 20,   /* beyond, F(4x4) would make a large model much larger for little */
};

/* Costs in multiply-accumulates: of the transforms, by tile and channel; of a byte of weights; of beginning and ending a row of a product, in
 * depths. Measured with AVX-512, whose products are PANEL columns wide. */
static const double input_cost[] = {[2] = 70, [4] = 200}, output_cost[] = {[2] = 60, [4] = 160};
static const double shared_byte_cost = 1.3, memory_byte_cost = 3.2, product_overhead = 1.1, row_depths = 12, gain_wanted = 0.85;

static double weights_cost(double bytes)
{
    return bytes <= WEIGHTS_FAST ? 0 : bytes <= WEIGHTS_SHARED ? bytes * shared_byte_cost : bytes * memory_byte_cost;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double direct_cost(const int32_t *out, double depth, double columns)
{
    return larger((double)out[0] * out[1] * out[2] * 9 * depth * columns, weights_cost(9 * depth * columns * sizeof(float)));
}

static double tiled_cost(const int32_t *out, double depth, int32_t columns, int tile)
{
    double tiles = (double)out[0] * ((out[1] + tile - 1) / tile) * ((out[2] + tile - 1) / tile), window = (tile + 2) * (tile + 2);
    double wide = (columns + PANEL - 1) / PANEL * PANEL;
    double product = larger(window * tiles * (depth + row_depths) * wide * product_overhead, weights_cost(window * depth * columns * sizeof(float)));
    return product + tiles * (depth * input_cost[tile] + columns * output_cost[tile]);
}

static bool may_be_tiled(const struct graph *graph, const struct node *node)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct spatial *s = &node->attributes.spatial;
    return node->kind == OPERATOR_CONV && input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && weights->data != NULL && s->groups == 1 &&
           s->kernel[0] == 3 && s->kernel[1] == 3 && s->stride[0] == 1 && s->stride[1] == 1 && s->dilation[0] == 1 && s->dilation[1] == 1;
}

enum error_code pass_winograd(struct graph *graph, struct error *error)
{
    (void)error;
    for (int32_t n = 0; n < graph->node_count; n++) {
        struct node *node = &graph->nodes[n];
        if (!may_be_tiled(graph, node))
            continue;
        const int32_t *out = graph->values[node->outputs[0]].shape.dims;
        int32_t depth = graph->values[node->inputs[1]].shape.dims[3], columns = out[3];
        if (depth < CHANNELS_MIN || columns < CHANNELS_MIN)
            continue;
        double best = direct_cost(out, depth, columns) * gain_wanted;
        for (int tile = 2; tile <= WINOGRAD_TILE_MAX; tile += 2) {
            int64_t window = (tile + 2) * (tile + 2);
            if (tile == 4 && window * depth * columns * (int64_t)sizeof(float) > FOUR_WEIGHTS_MAX)
                continue;
            double cost = tiled_cost(out, depth, columns, tile);
            if (cost < best) {
                best = cost;
                node->attributes.spatial.winograd = tile;
            }
        }
    }
    return ERROR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Fully connected layer of bytes: rows of the flattened input times weights [O, I]. Threads share its panels. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

enum { PART_MACS_MIN = 300000 }; /* at most 60 bytes of weights a cycle: 2 us */

static const int64_t no_distance[1];

struct fully_connected_8 {
    struct packed_8 packed;
    int64_t rows, tiles, panels;
};

static void fully_connected_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first_part, int64_t last_part)
{
    const struct fully_connected_8 *layer = operation->prepared;
    const struct packed_8 *packed = &layer->packed;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0);
    int64_t first = 0, first_panel = 0, last_panel = layer->panels;
    const uint8_t *table[BYTE_ROWS_MAX];
    int32_t offsets[BYTE_ROWS_MAX];
    (void)scratch;
    if (last_part - first_part < operation->parts) {
        first_panel = layer->panels * first_part / operation->parts;
        last_panel = layer->panels * last_part / operation->parts;
    }
    for (int64_t t = 0; t < layer->tiles; t++) {
        int64_t last = layer->tiles > 1 ? layer->rows * (t + 1) / layer->tiles : layer->rows;
        struct byte_rows tile = {.inputs = table, .rows = (int)(last - first), .offsets = offsets, .out = output + first * packed->columns};
        for (int r = 0; r < tile.rows; r++, first++)
            table[r] = input + first * packed->depth;
        packed_8_run(packed, 1, &tile, packed->columns, first_panel, last_panel);
    }
}

enum error_code fully_connected_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    int64_t columns = weights->shape.dims[0], depth = weights->shape.dims[1];
    int32_t weight_zero;
    TRY(pack_8_check(node, input, weights, bias, output, columns, error));
    if (!pack_8_weight_zero(weights, &weight_zero))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights with a zero point for each row");
    struct fully_connected_8 *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    TRY(pack_8(&layer->packed, operation->kernels->bytes, operation->graph->packed, arena, node, input, weights, output, weights->data,
               bias != NULL ? bias->data : NULL, 0, columns, 1, depth, no_distance, error));
    operation->macs = (uint64_t)(output->shape.dims[0] * columns * depth);
    layer->rows = output->shape.dims[0];
    layer->tiles = (layer->rows + layer->packed.kernels->rows - 1) / layer->packed.kernels->rows;
    layer->panels = packed_8_panels(&layer->packed);
    int64_t parts = (int64_t)(operation->macs / PART_MACS_MIN);
    operation->parts = parts < 1 ? 1 : parts < layer->panels ? parts : layer->panels;
    operation->weights_packed = 1;
    operation->prepared = layer;
    operation->execute_parts = fully_connected_8_parts;
    return ERROR_NONE;
}

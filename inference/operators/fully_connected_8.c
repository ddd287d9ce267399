/* SPDX-License-Identifier: Apache-2.0
 *
 * Fully connected layer of bytes: rows of the flattened input times weights [O, I]. Threads share its panels. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

enum { PART_MACS_MIN = 300000 }; /* at most 60 bytes of weights a cycle: 2 us */

static const int64_t no_distance[1];

static void fully_connected_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first_part, int64_t last_part)
{
    const struct packed_8 *packed = operation->prepared;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0);
    int64_t rows = operation_output(operation, 0)->shape.dims[0], most = packed->kernels->rows;
    int64_t tiles = (rows + most - 1) / most, first = 0;
    int64_t panels = packed_8_panels(packed), first_panel = panels * first_part / operation->parts, last_panel = panels * last_part / operation->parts;
    const uint8_t *table[BYTE_ROWS_MAX];
    int32_t offsets[BYTE_ROWS_MAX];
    (void)scratch;
    for (int64_t t = 0; t < tiles; t++) {
        struct byte_rows tile = {.inputs = table, .rows = (int)(rows / tiles + (t < rows % tiles)), .offsets = offsets,
                                 .out = output + first * packed->columns};
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
    struct packed_8 *packed = arena_allocate(arena, sizeof *packed);
    if (packed == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    TRY(pack_8(packed, operation->kernels->bytes, arena, node, input, weights, output, weights->data, bias != NULL ? bias->data : NULL, 0, columns,
               1, depth, no_distance, error));
    operation->macs = (uint64_t)(output->shape.dims[0] * columns * depth);
    int64_t panels = packed_8_panels(packed), parts = (int64_t)(operation->macs / PART_MACS_MIN);
    operation->parts = parts < 1 ? 1 : parts < panels ? parts : panels;
    operation->prepared = packed;
    operation->execute_parts = fully_connected_8_parts;
    return ERROR_NONE;
}

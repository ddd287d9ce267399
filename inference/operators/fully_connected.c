/* SPDX-License-Identifier: Apache-2.0
 *
 * Fully connected layer: rows of the flattened input times weights [O, I]. */
#include "inference/kernels/pack.h"
#include "inference/operators/families.h"

struct fully_connected {
    struct packed packed;
    int64_t rows, depth;
    size_t element_bytes, out_element_bytes;
};

enum error_code fully_connected_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    int64_t elements = shape_elements(&input->shape);
    if (weights->shape.rank != 2 || weights->shape.dims[0] < 1 || weights->shape.dims[1] < 1 || elements % weights->shape.dims[1] != 0 ||
        (bias != NULL && shape_elements(&bias->shape) != weights->shape.dims[0]))
        return operator_fail(node, ERROR_MODEL, error, "weights, bias and input that do not fit together");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    output->shape = (struct shape){.rank = 2, .dims = {(int32_t)(elements / weights->shape.dims[1]), weights->shape.dims[0]}};
    return ERROR_NONE;
}

static void fully_connected_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct fully_connected *layer = operation->prepared;
    const char *input = operation_input_data(operation, data, 0);
    char *output = operation_output_data(operation, data, 0);
    const void *table[KERNEL_ROWS_MAX];
    int tile = packed_rows(&layer->packed);
    (void)scratch;
    for (int64_t first = 0; first < layer->rows; first += tile) {
        int rows = (int)(layer->rows - first < tile ? layer->rows - first : tile);
        for (int r = 0; r < rows; r++)
            table[r] = input + (size_t)((first + r) * layer->depth) * layer->element_bytes;
        packed_run(&layer->packed, rows, table, output + (size_t)(first * layer->packed.columns) * layer->out_element_bytes, layer->packed.columns);
    }
}

enum error_code fully_connected_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (!floats || (bias != NULL && bias->dtype != DTYPE_F32))
        return fully_connected_8_prepare(operation, arena, error);
    struct fully_connected *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    int64_t columns = weights->shape.dims[0], depth = weights->shape.dims[1];
    TRY(pack_f32(&layer->packed, operation->kernels, arena, node, weights->data, bias != NULL ? bias->data : NULL, columns, 1, depth, error));
    layer->rows = output->shape.dims[0];
    layer->depth = depth;
    layer->element_bytes = dtype_bytes(input->dtype);
    layer->out_element_bytes = dtype_bytes(output->dtype);
    operation->macs = (uint64_t)(layer->rows * columns * depth);
    operation->prepared = layer;
    operation->execute = fully_connected_execute;
    return ERROR_NONE;
}

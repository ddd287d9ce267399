/* SPDX-License-Identifier: Apache-2.0
 *
 * Transposition of bytes from planes to pixels (NCHW -> NHWC) and back. */
#include "inference/operators/families.h"

#include <string.h>

struct transpose_8 {
    const struct byte_kernels *kernels;
    int64_t batches, rows, columns; /* of the source */
};

static void transpose_8_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct transpose_8 *layer = operation->prepared;
    const uint8_t *from = operation_input_data(operation, data, 0);
    uint8_t *to = operation_output_data(operation, data, 0);
    (void)scratch;
    for (int64_t b = 0; b < layer->batches; b++, from += layer->rows * layer->columns, to += layer->rows * layer->columns)
        layer->kernels->interleave(to, from, layer->rows, layer->columns);
}

enum error_code transpose_8_prepare(struct operation *operation, struct arena *arena, const int64_t shape[3], struct error *error)
{
    struct transpose_8 *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *layer = (struct transpose_8){operation->kernels->bytes, shape[0], shape[1], shape[2]};
    operation->prepared = layer;
    operation->execute = transpose_8_execute;
    return ERROR_NONE;
}

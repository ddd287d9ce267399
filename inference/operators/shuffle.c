/* SPDX-License-Identifier: Apache-2.0
 *
 * OPERATOR_SHUFFLE_CHANNELS: a and b of equal shape [..., C] become a0 b0 a1 b1 ... along the last axis. With two outputs, the first takes the
 * first half of the 2 C channels, the second the other (C even). ShuffleNet's concat, shuffle and split in one pass over memory. */
#include "inference/operators/families.h"

enum { PARTS_WANTED = 16, PART_ELEMENTS_MIN = 16384 }; /* about 2 us: sharing less costs more than it brings */

enum error_code shuffle_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *a = &graph->values[node->inputs[0]], *b = &graph->values[node->inputs[1]];
    int last = a->shape.rank - 1;
    if (last < 0 || !shape_equal(&a->shape, &b->shape) || a->dtype != DTYPE_F32 || b->dtype != DTYPE_F32 ||
        (node->output_count == 2 && a->shape.dims[last] % 2 != 0) || a->shape.dims[last] > INT32_MAX / 2)
        return operator_fail(node, ERROR_MODEL, error, "operands that cannot be interleaved");
    for (int32_t i = 0; i < node->output_count; i++) {
        struct value *out = &graph->values[node->outputs[i]];
        out->dtype = DTYPE_F32;
        out->shape = a->shape;
        out->shape.dims[last] = 2 * a->shape.dims[last] / node->output_count;
    }
    return ERROR_NONE;
}

static void shuffle_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct shape *shape = &operation_input(operation, 0)->shape;
    int64_t channels = shape->dims[shape->rank - 1], pixels = dims_product(shape, 0, shape->rank - 1), outputs = operation->node->output_count;
    const float *a = operation_input_data(operation, data, 0), *b = operation_input_data(operation, data, 1);
    int64_t count = channels / outputs, stride = b - a; /* in one block of memory, so that a and b are two rows of a matrix */
    (void)scratch;
    for (int64_t p = pixels * first / operation->parts; p < pixels * last / operation->parts; p++) {
        for (int64_t i = 0; i < outputs; i++) {
            float *out = operation_output_data(operation, data, (int)i);
            operation->kernels->interleave_f32(2, count, a + p * channels + i * count, stride, out + p * 2 * count);
        }
    }
}

enum error_code shuffle_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *shape = &operation_input(operation, 0)->shape;
    int64_t parts = shape_elements(shape) / PART_ELEMENTS_MIN;
    (void)arena, (void)error;
    operation->parts = parts < 1 ? 1 : parts > PARTS_WANTED ? PARTS_WANTED : parts;
    operation->execute_parts = shuffle_parts;
    return ERROR_NONE;
}

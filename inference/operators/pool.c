/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling over windows and over whole images, NHWC: shapes, and which code computes it: floats (pool_f32.c) or bytes (pool_8.c). */
#include "inference/operators/families.h"

enum { WINDOW_MAX = 1 << 22 }; /* 2^22 bytes add up to less than 2^31 */

static void keep_quantization(const struct value *in, struct value *out)
{
    if (out->quantization.count == 0) {
        out->dtype = in->dtype;
        out->quantization = in->quantization;
    }
}

enum error_code pool_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->shape.rank != 4)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4");
    keep_quantization(in, out);
    return spatial_infer(node, &in->shape, in->shape.dims[3], &out->shape, error);
}

enum error_code global_pool_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->shape.rank != 4 || in->shape.dims[1] < 1 || in->shape.dims[2] < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4 that is not empty");
    keep_quantization(in, out);
    out->shape = (struct shape){.rank = 4, .dims = {in->shape.dims[0], 1, 1, in->shape.dims[3]}};
    return ERROR_NONE;
}

static enum error_code prepare(struct operation *operation, struct arena *arena, const struct spatial *spatial, bool average, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    int64_t window = (int64_t)spatial->kernel[0] * spatial->kernel[1];
    if (window > WINDOW_MAX)
        return operator_fail(operation->node, ERROR_LIMIT, error, "a window of more positions than eddy takes");
    operation->macs = (uint64_t)shape_elements(&out->shape) * (uint64_t)window;
    if (in->dtype != DTYPE_F32)
        return pool_8_prepare(operation, arena, spatial, average, error);
    if (out->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "not supported for this type");
    return pool_f32_prepare(operation, arena, spatial, average, error);
}

enum error_code pool_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    return prepare(operation, arena, &operation->node->attributes.spatial, operation->node->kind == OPERATOR_AVERAGE_POOL, error);
}

enum error_code global_pool_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims;
    struct spatial whole = {.kernel = {in[1], in[2]}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    return prepare(operation, arena, &whole, true, error);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/operators/families.h"

enum { EXTENT_MAX = 1 << 20 };

static enum error_code resolve_axis(struct node *node, int axis, int32_t in, int32_t *out, struct error *error)
{
    struct spatial *spatial = &node->attributes.spatial;
    int32_t *pad_before = &spatial->pad[axis], *pad_after = &spatial->pad[axis + 2];
    int32_t kernel = spatial->kernel[axis], stride = spatial->stride[axis], dilation = spatial->dilation[axis];
    if (kernel < 1 || stride < 1 || dilation < 1 || kernel > EXTENT_MAX || stride > EXTENT_MAX || dilation > EXTENT_MAX || in < 1 ||
        in > EXTENT_MAX || *pad_before < 0 || *pad_after < 0 || *pad_before > EXTENT_MAX || *pad_after > EXTENT_MAX)
        return operator_fail(node, ERROR_MODEL, error, "a kernel, stride, dilation, pad or extent that is not sensible");
    int64_t reach = (int64_t)(kernel - 1) * dilation + 1;
    if (spatial->same) {
        int64_t wanted = ((int64_t)in + stride - 1) / stride, total = (wanted - 1) * stride + reach - in;
        total = total > 0 ? total : 0;
        if (total > EXTENT_MAX)
            return operator_fail(node, ERROR_MODEL, error, "a dilated kernel far larger than its input");
        *pad_before = (int32_t)(spatial->same_lower ? total - total / 2 : total / 2);
        *pad_after = (int32_t)(total - *pad_before);
    }
    int64_t room = (int64_t)in + *pad_before + *pad_after - reach;
    if (room < 0)
        return operator_fail(node, ERROR_MODEL, error, "a kernel that is larger than its padded input");
    int64_t extent = (spatial->ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    if (spatial->ceil_mode && (extent - 1) * stride >= (int64_t)in + *pad_before) /* a window that begins in the padding does not count */
        extent--;
    *out = (int32_t)extent;
    return ERROR_NONE;
}

enum error_code spatial_infer(struct node *node, const struct shape *input, int32_t output_channels, struct shape *output, struct error *error)
{
    if (input->rank != 4)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4");
    struct shape shape = {.rank = 4, .dims = {input->dims[0], 0, 0, output_channels}};
    TRY(resolve_axis(node, 0, input->dims[1], &shape.dims[1], error));
    TRY(resolve_axis(node, 1, input->dims[2], &shape.dims[2], error));
    *output = shape;
    return ERROR_NONE;
}

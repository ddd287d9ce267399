/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution of bytes whose weights have a zero point of their own for each channel: weights less their zero point need nine bits, which
 * the byte kernels do not have, so they are kept as i16 and summed directly. */
#include "inference/kernels/pack_8.h"
#include "inference/operators/families.h"

struct wide_convolution {
    int16_t *weights;            /* [O][KH][KW][I/groups] */
    const int32_t *bias;         /* NULL: none */
    struct byte_results results;
};

static int32_t sum_pixel(const struct operation *operation, const struct wide_convolution *wide, const uint8_t *input, int32_t out_y, int32_t out_x,
                         int32_t channel)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct spatial *s = &operation->node->attributes.spatial;
    int32_t depth = in->shape.dims[3] / s->groups, group = channel / (out->shape.dims[3] / s->groups), zero = in->quantization.zero_point[0];
    const int16_t *w = wide->weights + (int64_t)channel * s->kernel[0] * s->kernel[1] * depth;
    uint32_t sum = wide->bias != NULL ? (uint32_t)wide->bias[channel] : 0; /* wraps, as the kernels' sums do */
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t y = out_y * s->stride[0] - s->pad[0] + ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++, w += depth) {
            int32_t x = out_x * s->stride[1] - s->pad[1] + kx * s->dilation[1];
            if (y < 0 || y >= in->shape.dims[1] || x < 0 || x >= in->shape.dims[2])
                continue;
            const uint8_t *pixel = input + ((int64_t)y * in->shape.dims[2] + x) * in->shape.dims[3] + (int64_t)group * depth;
            if (in->dtype == DTYPE_U8) {
                for (int32_t k = 0; k < depth; k++)
                    sum += (uint32_t)((pixel[k] - zero) * w[k]);
            } else {
                for (int32_t k = 0; k < depth; k++)
                    sum += (uint32_t)(((int8_t)pixel[k] - zero) * w[k]);
            }
        }
    }
    return (int32_t)sum;
}

static void wide_convolution_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct wide_convolution *wide = operation->prepared;
    const struct shape *in = &operation_input(operation, 0)->shape, *out = &operation_output(operation, 0)->shape;
    const uint8_t *input = operation_input_data(operation, data, 0);
    uint8_t *output = operation_output_data(operation, data, 0);
    (void)scratch;
    for (int32_t n = 0; n < in->dims[0]; n++, input += dims_product(in, 1, 4)) {
        for (int64_t p = 0; p < (int64_t)out->dims[1] * out->dims[2]; p++) {
            for (int32_t c = 0; c < out->dims[3]; c++) {
                int32_t sum = sum_pixel(operation, wide, input, (int32_t)(p / out->dims[2]), (int32_t)(p % out->dims[2]), c);
                output[c] = byte_result(&wide->results, c, sum);
            }
            output += operation_output_pitch(operation);
        }
    }
}

enum error_code wide_convolution_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    int64_t count = shape_elements(&weights->shape), columns = weights->shape.dims[0];
    struct wide_convolution *wide = arena_allocate(arena, sizeof *wide);
    int16_t *widened = arena_allocate_array(arena, (size_t)count, sizeof *widened);
    if (wide == NULL || widened == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    for (int64_t i = 0; i < count; i++) {
        int32_t zero = weights->quantization.zero_point[weights->quantization.count == 1 ? 0 : i / (count / columns)];
        int32_t stored = weights->dtype == DTYPE_U8 ? ((const uint8_t *)weights->data)[i] : ((const int8_t *)weights->data)[i];
        widened[i] = (int16_t)(stored - zero);
    }
    wide->weights = widened;
    wide->bias = bias != NULL ? bias->data : NULL;
    TRY(pack_8_results(&wide->results, arena, node, operation_input(operation, 0), weights, output, 0, columns, error));
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)(count / columns);
    operation->prepared = wide;
    operation->execute = wide_convolution_execute;
    return ERROR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, weights [KH, KW, O]. Result pixels whose window lies inside the row go through the row kernel; windows that
 * stick out left or right are done one by one with pointers to padding. */
#include "inference/kernels/pack.h"
#include "inference/operators/families.h"

#include <string.h>

enum { TAPS_MAX = 1024 };

struct depthwise {
    const void *weights, *bias;       /* f32 [taps][channels] */
    struct float_epilogue float_epilogue;
    int64_t taps, channels;
    int32_t first_inside, last_inside; /* result columns whose window lies inside: [first, last) */
    size_t padding_bytes, element_bytes, out_element_bytes;
};

enum error_code depthwise_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *input = &graph->values[node->inputs[0]], *weights = &graph->values[node->inputs[1]];
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? &graph->values[node->inputs[2]] : NULL;
    struct value *output = &graph->values[node->outputs[0]];
    if (input->shape.rank != 4 || weights->shape.rank != 3 || input->shape.dims[3] < 1 || weights->shape.dims[2] < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected an input of rank 4 and weights of rank 3");
    const int32_t *w = weights->shape.dims;
    if (w[2] % input->shape.dims[3] != 0 || w[0] != node->attributes.spatial.kernel[0] || w[1] != node->attributes.spatial.kernel[1] ||
        (int64_t)w[0] * w[1] > TAPS_MAX || (bias != NULL && shape_elements(&bias->shape) != w[2]))
        return operator_fail(node, ERROR_MODEL, error, "weights, bias and input channels that do not fit together");
    if (w[2] != input->shape.dims[3])
        return operator_fail(node, ERROR_UNSUPPORTED, error, "a channel multiplier above 1");
    if (output->quantization.count == 0)
        output->dtype = input->dtype;
    return spatial_infer(node, &input->shape, w[2], &output->shape, error);
}

static void run_pixels(const struct operation *operation, const struct depthwise *depthwise, int64_t pixels, const void *const *taps, void *out)
{
    int64_t step = operation->node->attributes.spatial.stride[1] * depthwise->channels;
    operation->kernels->depthwise_f32(pixels, depthwise->channels, depthwise->taps, step, (const float *const *)taps, depthwise->weights,
                                      depthwise->bias, out, &depthwise->float_epilogue);
}

/* Pointers of the window of result (y, x); outside the image they go to padding. */
static void point_window(const struct operation *operation, const struct depthwise *depthwise, const char *image, const char *padding, int32_t y,
                         int32_t x, const void **taps)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    const int32_t *in = operation_input(operation, 0)->shape.dims;
    int64_t pixel = depthwise->channels * (int64_t)depthwise->element_bytes;
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int32_t in_y = y * s->stride[0] - s->pad[0] + ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++) {
            int32_t in_x = x * s->stride[1] - s->pad[1] + kx * s->dilation[1];
            bool inside = in_y >= 0 && in_y < in[1] && in_x >= 0 && in_x < in[2];
            *taps++ = inside ? image + ((int64_t)in_y * in[2] + in_x) * pixel : padding;
        }
    }
}

/* A row of the window that lies above or below the image is padding for all pixels of the run: such runs go pixel by pixel. */
static bool rows_inside(const struct operation *operation, int32_t y)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    int32_t top = y * s->stride[0] - s->pad[0];
    return top >= 0 && top + (s->kernel[0] - 1) * s->dilation[0] < operation_input(operation, 0)->shape.dims[1];
}

static void depthwise_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct depthwise *depthwise = operation->prepared;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const char *image = operation_input_data(operation, data, 0);
    char *result = operation_output_data(operation, data, 0), *padding = scratch;
    size_t out_pixel = (size_t)depthwise->channels * depthwise->out_element_bytes;
    const void *taps[TAPS_MAX];
    memset(padding, 0, depthwise->padding_bytes);
    for (int32_t n = 0; n < in[0]; n++, image += (size_t)in[1] * (size_t)in[2] * (size_t)depthwise->channels * depthwise->element_bytes) {
        for (int32_t y = 0; y < out[1]; y++) {
            bool inside = rows_inside(operation, y);
            for (int32_t x = 0; x < out[2];) {
                bool run = inside && x >= depthwise->first_inside && x < depthwise->last_inside;
                int32_t count = run ? depthwise->last_inside - x : 1;
                point_window(operation, depthwise, image, padding, y, x, taps);
                run_pixels(operation, depthwise, count, taps, result);
                result += (size_t)count * out_pixel;
                x += count;
            }
        }
    }
}

static void find_inside(const struct operation *operation, struct depthwise *depthwise)
{
    const struct spatial *s = &operation->node->attributes.spatial;
    int32_t in = operation_input(operation, 0)->shape.dims[2], out = operation_output(operation, 0)->shape.dims[2];
    int32_t reach = (s->kernel[1] - 1) * s->dilation[1];
    depthwise->first_inside = (s->pad[1] + s->stride[1] - 1) / s->stride[1];
    int32_t last = in - 1 - reach + s->pad[1];
    depthwise->last_inside = last < 0 ? 0 : last / s->stride[1] + 1;
    if (depthwise->last_inside > out)
        depthwise->last_inside = out;
}

enum error_code depthwise_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const struct value *input = operation_input(operation, 0), *weights = operation_input(operation, 1), *output = operation_output(operation, 0);
    const struct value *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2) : NULL;
    if (weights->data == NULL || (bias != NULL && bias->data == NULL))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "weights or a bias that are not constant");
    bool floats = input->dtype == DTYPE_F32 && weights->dtype == DTYPE_F32 && output->dtype == DTYPE_F32;
    if (!floats || (bias != NULL && bias->dtype != DTYPE_F32))
        return depthwise_8_prepare(operation, arena, error);
    struct depthwise *depthwise = arena_allocate(arena, sizeof *depthwise);
    if (depthwise == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    *depthwise = (struct depthwise){.taps = weights->shape.dims[0] * (int64_t)weights->shape.dims[1], .channels = weights->shape.dims[2],
                                    .element_bytes = dtype_bytes(input->dtype), .out_element_bytes = dtype_bytes(output->dtype)};
    find_inside(operation, depthwise);
    float *zeros = bias == NULL ? arena_allocate_array(arena, (size_t)depthwise->channels, sizeof *zeros) : NULL;
    if (bias == NULL && zeros == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    depthwise->weights = weights->data;
    depthwise->bias = bias != NULL ? bias->data : zeros;
    depthwise->float_epilogue = pack_float_epilogue(node);
    depthwise->padding_bytes = (size_t)depthwise->channels * depthwise->element_bytes + KERNEL_OVERREAD_BYTES;
    operation->scratch_bytes = depthwise->padding_bytes;
    operation->macs = (uint64_t)shape_elements(&output->shape) * (uint64_t)depthwise->taps;
    operation->prepared = depthwise;
    operation->execute = depthwise_execute;
    return ERROR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize of height and width (NHWC), nearest or linear, with the coordinate rules of ONNX Resize. Positions and weights are computed once. */
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

struct axis_sample {
    int32_t low, high;
    float weight;         /* of high */
};

struct resize {
    struct axis_sample *rows, *columns;
};

enum error_code resize_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    const int32_t *size = node->attributes.resize.size;
    if (in->shape.rank != 4 || in->shape.dims[1] < 1 || in->shape.dims[2] < 1 || size[0] < 1 || size[1] < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected rank 4 and sizes above zero");
    out->shape = (struct shape){.rank = 4, .dims = {in->shape.dims[0], size[0], size[1], in->shape.dims[3]}};
    out->dtype = in->dtype;
    out->quantization = in->quantization;
    return ERROR_NONE;
}

static double source_position(const struct resize_attributes *resize, int i, int32_t in, int32_t out, float scale)
{
    double by = scale > 0 ? (double)scale : (double)out / in;
    switch (resize->coordinates) {
    case RESIZE_ALIGN_CORNERS: return out > 1 ? (double)i * (in - 1) / (out - 1) : 0;
    case RESIZE_ASYMMETRIC: return i / by;
    case RESIZE_PYTORCH_HALF_PIXEL: return out > 1 ? (i + 0.5) / by - 0.5 : 0;
    default: return (i + 0.5) / by - 0.5;
    }
}

static double nearest(const struct resize_attributes *resize, double x)
{
    switch (resize->rounding) {
    case RESIZE_FLOOR: return floor(x);
    case RESIZE_CEIL: return ceil(x);
    case RESIZE_ROUND_PREFER_CEIL: return floor(x + 0.5);
    default: return ceil(x - 0.5);
    }
}

/* A scale of the file may be anything: what lies outside, and what is no number, is the edge. */
static double clamp(double x, int32_t in)
{
    return !(x >= 0) ? 0 : x > in - 1 ? in - 1 : x;
}

static void fill_samples(const struct resize_attributes *resize, struct axis_sample *samples, int32_t in, int32_t out, float scale)
{
    for (int32_t i = 0; i < out; i++) {
        double x = source_position(resize, i, in, out, scale);
        if (resize->mode == RESIZE_NEAREST) {
            int32_t at = (int32_t)clamp(nearest(resize, x), in);
            samples[i] = (struct axis_sample){.low = at, .high = at};
            continue;
        }
        x = clamp(x, in);
        int32_t low = (int32_t)x;
        samples[i] = (struct axis_sample){.low = low, .high = low + 1 < in ? low + 1 : low, .weight = (float)(x - low)};
    }
}

static void nearest_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct resize *resize = operation->prepared;
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    size_t pixel = (size_t)in->shape.dims[3] * dtype_bytes(in->dtype), row = (size_t)in->shape.dims[2] * pixel;
    const char *from = operation_input_data(operation, data, 0);
    char *to = operation_output_data(operation, data, 0);
    (void)scratch;
    for (int32_t n = 0; n < in->shape.dims[0]; n++, from += (size_t)in->shape.dims[1] * row) {
        for (int32_t y = 0; y < out->shape.dims[1]; y++) {
            for (int32_t x = 0; x < out->shape.dims[2]; x++, to += pixel)
                memcpy(to, from + (size_t)resize->rows[y].low * row + (size_t)resize->columns[x].low * pixel, pixel);
        }
    }
}

static void linear_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct resize *resize = operation->prepared;
    const struct shape *in = &operation_input(operation, 0)->shape, *out = &operation_output(operation, 0)->shape;
    int64_t channels = in->dims[3], row = in->dims[2] * channels;
    const float *from = operation_input_data(operation, data, 0);
    float *to = operation_output_data(operation, data, 0);
    (void)scratch;
    for (int32_t n = 0; n < in->dims[0]; n++, from += in->dims[1] * row) {
        for (int32_t y = 0; y < out->dims[1]; y++) {
            const struct axis_sample *v = &resize->rows[y];
            const float *above = from + v->low * row, *below = from + v->high * row;
            for (int32_t x = 0; x < out->dims[2]; x++, to += channels) {
                const struct axis_sample *h = &resize->columns[x];
                int64_t left = h->low * channels, right = h->high * channels;
                for (int64_t c = 0; c < channels; c++) {
                    float top = above[left + c] + (above[right + c] - above[left + c]) * h->weight;
                    float bottom = below[left + c] + (below[right + c] - below[left + c]) * h->weight;
                    to[c] = top + (bottom - top) * v->weight;
                }
            }
        }
    }
}

enum error_code resize_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct resize_attributes *attributes = &operation->node->attributes.resize;
    const struct value *in = operation_input(operation, 0);
    struct resize *resize = arena_allocate(arena, sizeof *resize);
    if (resize != NULL) {
        resize->rows = arena_allocate_array(arena, (size_t)attributes->size[0], sizeof *resize->rows);
        resize->columns = arena_allocate_array(arena, (size_t)attributes->size[1], sizeof *resize->columns);
    }
    if (resize == NULL || resize->rows == NULL || resize->columns == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    if (attributes->mode == RESIZE_LINEAR && in->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "linear interpolation of this type");
    fill_samples(attributes, resize->rows, in->shape.dims[1], attributes->size[0], attributes->scale[0]);
    fill_samples(attributes, resize->columns, in->shape.dims[2], attributes->size[1], attributes->scale[1]);
    operation->prepared = resize;
    operation->execute = attributes->mode == RESIZE_NEAREST ? nearest_execute : linear_execute;
    return ERROR_NONE;
}

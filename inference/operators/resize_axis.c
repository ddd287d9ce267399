/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize of one axis of any tensor with every rule of ONNX Resize-19: nearest, linear, cubic (Keys), antialiased, cropped. A tensor is resized
 * one axis after the other, which is the same for all of them. Each result element is a weighted sum of a few source elements ("taps"), found
 * once per model. (Height and width of images by nearest or linear: resize.c, in one step.) */
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum { TAPS_TOTAL_MAX = 1 << 24 }; /* an antialiased shrink of a large axis: bounded memory */

struct taps {
    int32_t *first;      /* [out] first source element */
    float *weights;      /* [out][count]; all NaN: outside, the result is the extrapolation value */
    int32_t count;
};

static double source_position(const struct resize_axis_attributes *axis, int32_t i, int32_t in, int32_t out)
{
    double scale = (double)axis->rule.scale[0], resized = (double)in * scale;
    switch (axis->rule.coordinates) {
    case RESIZE_ALIGN_CORNERS: return resized > 1 ? (double)i * (in - 1) / (resized - 1) : 0;
    case RESIZE_ASYMMETRIC: return i / scale;
    case RESIZE_PYTORCH_HALF_PIXEL: return resized > 1 ? (i + 0.5) / scale - 0.5 : -0.5;
    case RESIZE_HALF_PIXEL_SYMMETRIC: return (double)in / 2 * (1 - out / resized) + (i + 0.5) / scale - 0.5;
    case RESIZE_REGION: {
        double begin = (double)axis->roi[0], end = (double)axis->roi[1];
        return out > 1 ? begin * (in - 1) + i * (end - begin) * (in - 1) / (resized - 1) : 0.5 * (begin + end) * (in - 1);
    }
    default: return (i + 0.5) / scale - 0.5;
    }
}

static double filter(const struct resize_axis_attributes *axis, double distance)
{
    double x = fabs(distance), a = (double)axis->cubic;
    if (axis->rule.mode == RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double nearest(const struct resize_axis_attributes *axis, double x)
{
    switch (axis->rule.rounding) {
    case RESIZE_FLOOR: return floor(x);
    case RESIZE_CEIL: return ceil(x);
    case RESIZE_ROUND_PREFER_CEIL: return floor(x + 0.5);
    default: return ceil(x - 0.5);
    }
}

/* A region of the file may reach far; what is no number is the first element. */
static int32_t clamp(double x, int32_t low, int32_t high)
{
    return !(x >= low) ? low : x > high ? high : (int32_t)x;
}

/* Antialiasing widens the filter by the factor of a shrink. */
static double stretch(const struct resize_axis_attributes *axis)
{
    double scale = (double)axis->rule.scale[0];
    return axis->antialias && scale < 1 ? 1 / scale : 1;
}

static int32_t tap_count(const struct resize_axis_attributes *axis)
{
    if (axis->rule.mode == RESIZE_NEAREST)
        return 1;
    double support = (axis->rule.mode == RESIZE_LINEAR ? 1 : 2) * stretch(axis);
    return 2 * (int32_t)ceil(support);
}

/* Taps beyond the edges repeat the edge, or do not count (exclude_outside). */
static void fill_taps(const struct resize_axis_attributes *axis, struct taps *taps, int32_t in, int32_t out)
{
    for (int32_t i = 0; i < out; i++) {
        double x = source_position(axis, i, in, out), sum = 0;
        float *weights = taps->weights + (int64_t)i * taps->count;
        bool outside = axis->rule.coordinates == RESIZE_REGION && (x < 0 || x > in - 1);
        if (axis->rule.mode == RESIZE_NEAREST) {
            taps->first[i] = clamp(nearest(axis, x), 0, in - 1);
            weights[0] = outside ? NAN : 1;
            continue;
        }
        int32_t first = taps->first[i] = clamp(floor(x) - taps->count / 2 + 1, -taps->count, in);
        for (int32_t k = 0; k < taps->count; k++) {
            bool inside = first + k >= 0 && first + k < in;
            double weight = axis->exclude_outside && !inside ? 0 : filter(axis, ((double)(first + k) - x) / stretch(axis));
            weights[k] = (float)weight;
            sum += weight;
        }
        for (int32_t k = 0; k < taps->count; k++)
            weights[k] = outside ? NAN : sum != 0 ? (float)((double)weights[k] / sum) : 0;
    }
}

enum error_code resize_axis_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    const struct resize_axis_attributes *axis = &node->attributes.resize_axis;
    if (axis->axis < 0 || axis->axis >= in->shape.rank || in->shape.dims[axis->axis] < 1 || axis->rule.size[0] < 1 ||
        !(axis->rule.scale[0] > 0) || !isfinite(axis->rule.scale[0]))
        return operator_fail(node, ERROR_MODEL, error, "an axis beyond the input's rank, an empty one, or a size or scale that is not above zero");
    if (in->dtype != DTYPE_F32 && axis->rule.mode != RESIZE_NEAREST)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "interpolation of this type");
    if ((double)in->shape.dims[axis->axis] * (double)axis->rule.scale[0] > 1e9 || !isfinite(axis->roi[0]) || !isfinite(axis->roi[1]) ||
        fabsf(axis->roi[0]) > 1024 || fabsf(axis->roi[1]) > 1024)
        return operator_fail(node, ERROR_MODEL, error, "a scale or region that is not sensible");
    out->dtype = in->dtype;
    out->quantization = in->quantization;
    out->shape = in->shape;
    out->shape.dims[axis->axis] = axis->rule.size[0];
    return ERROR_NONE;
}

static void copy_nearest(const struct value *in, const struct value *out, int axis, const struct taps *taps, const char *from, char *to)
{
    int64_t outer = dims_product(&in->shape, 0, axis);
    size_t run = (size_t)dims_product(&in->shape, axis + 1, in->shape.rank) * dtype_bytes(in->dtype);
    for (int64_t o = 0; o < outer; o++, from += (size_t)in->shape.dims[axis] * run) {
        for (int32_t i = 0; i < out->shape.dims[axis]; i++, to += run)
            memcpy(to, from + (size_t)taps->first[i] * run, run);
    }
}

static int64_t edge(int32_t at, int32_t last)
{
    return at < 0 ? 0 : at > last ? last : at;
}

static void weigh(const struct taps *taps, int32_t i, int32_t length, int64_t inner, float outside, const float *from, float *to)
{
    const float *weights = taps->weights + (int64_t)i * taps->count;
    bool is_outside = isnan(weights[0]);
    for (int64_t c = 0; c < inner; c++)
        to[c] = is_outside ? outside : 0;
    for (int32_t k = 0; k < taps->count && !is_outside; k++) {
        const float *row = from + edge(taps->first[i] + k, length - 1) * inner;
        for (int64_t c = 0; c < inner; c++)
            to[c] += weights[k] * row[c];
    }
}

static void resize_axis_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct resize_axis_attributes *axis = &operation->node->attributes.resize_axis;
    const struct taps *taps = operation->prepared;
    const float *from = operation_input_data(operation, data, 0);
    float *to = operation_output_data(operation, data, 0);
    int64_t outer = dims_product(&in->shape, 0, axis->axis), inner = dims_product(&in->shape, axis->axis + 1, in->shape.rank);
    int32_t length = in->shape.dims[axis->axis];
    (void)scratch;
    if (axis->rule.mode == RESIZE_NEAREST && axis->rule.coordinates != RESIZE_REGION) {
        copy_nearest(in, out, axis->axis, taps, (const char *)from, (char *)to);
        return;
    }
    for (int64_t o = 0; o < outer; o++, from += length * inner) {
        for (int32_t i = 0; i < out->shape.dims[axis->axis]; i++, to += inner)
            weigh(taps, i, length, inner, axis->extrapolation, from, to);
    }
}

enum error_code resize_axis_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *in = operation_input(operation, 0), *out = operation_output(operation, 0);
    const struct resize_axis_attributes *axis = &operation->node->attributes.resize_axis;
    struct taps *taps = arena_allocate(arena, sizeof *taps);
    int32_t size = out->shape.dims[axis->axis];
    double wanted = (axis->rule.mode == RESIZE_CUBIC ? 4 : 2) * (stretch(axis) + 1) * size;
    if (axis->rule.coordinates == RESIZE_REGION && in->dtype != DTYPE_F32)
        return operator_fail(operation->node, ERROR_UNSUPPORTED, error, "cropping of this type");
    if (taps == NULL || wanted > TAPS_TOTAL_MAX)
        return operator_fail(operation->node, ERROR_LIMIT, error, "a resize that needs more memory than eddy allows");
    taps->count = tap_count(axis);
    taps->first = arena_allocate_array(arena, (size_t)size, sizeof *taps->first);
    taps->weights = arena_allocate_array(arena, (size_t)size * (size_t)taps->count, sizeof *taps->weights);
    if (taps->first == NULL || taps->weights == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    fill_taps(axis, taps, in->shape.dims[axis->axis], size);
    operation->prepared = taps;
    operation->execute = resize_axis_execute;
    return ERROR_NONE;
}

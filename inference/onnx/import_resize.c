/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize and Upsample. Height and width of images by nearest or linear go through one operator in NHWC; everything else axis by axis. */
#include "inference/onnx/import.h"

#include <math.h>
#include <string.h>

enum { AXIS_SIZE_MAX = 1 << 20 };

struct resize {
    struct resize_attributes rule;
    float scale[TENSOR_RANK_MAX], roi[2][TENSOR_RANK_MAX];
    int32_t size[TENSOR_RANK_MAX];
    bool exclude_outside, antialias, early; /* early: before opset 11 */
};

static enum error_code choose(struct importer *importer, const char *attribute, const char *const *names, int count, int fallback, int *chosen)
{
    *chosen = fallback;
    if (import_attribute(importer, attribute) == NULL)
        return ERROR_NONE;
    for (int i = 0; i < count; i++) {
        if (names[i] != NULL && import_text_is(importer, attribute, names[i])) {
            *chosen = i;
            return ERROR_NONE;
        }
    }
    return import_fail(importer, ERROR_UNSUPPORTED, "this %s", attribute);
}

static enum error_code read_rule(struct importer *importer, struct resize *resize)
{
    static const char *const modes[] = {[RESIZE_NEAREST] = "nearest", [RESIZE_LINEAR] = "linear", [RESIZE_CUBIC] = "cubic"};
    static const char *const coordinates[] = {
        [RESIZE_HALF_PIXEL] = "half_pixel", [RESIZE_ALIGN_CORNERS] = "align_corners", [RESIZE_ASYMMETRIC] = "asymmetric",
        [RESIZE_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel", [RESIZE_HALF_PIXEL_SYMMETRIC] = "half_pixel_symmetric",
        [RESIZE_REGION] = "tf_crop_and_resize"};
    static const char *const roundings[] = {[RESIZE_ROUND_PREFER_FLOOR] = "round_prefer_floor", [RESIZE_FLOOR] = "floor", [RESIZE_CEIL] = "ceil",
                                            [RESIZE_ROUND_PREFER_CEIL] = "round_prefer_ceil"};
    int mode = RESIZE_LINEAR, place, rounding;
    resize->early = importer->model->opset < 11 || strcmp(importer->node->op, "Upsample") == 0;
    if (!import_text_is(importer, "mode", "bilinear")) /* Upsample-1 */
        TRY(choose(importer, "mode", modes, 3, RESIZE_NEAREST, &mode));
    TRY(choose(importer, "coordinate_transformation_mode", coordinates, 6, resize->early ? RESIZE_ASYMMETRIC : RESIZE_HALF_PIXEL, &place));
    TRY(choose(importer, "nearest_mode", roundings, 4, resize->early ? RESIZE_FLOOR : RESIZE_ROUND_PREFER_FLOOR, &rounding));
    memcpy(&resize->rule.mode, &mode, sizeof resize->rule.mode);
    memcpy(&resize->rule.coordinates, &place, sizeof resize->rule.coordinates);
    memcpy(&resize->rule.rounding, &rounding, sizeof resize->rule.rounding);
    resize->exclude_outside = import_int(importer, "exclude_outside", 0) != 0;
    resize->antialias = import_int(importer, "antialias", 0) != 0;
    return ERROR_NONE;
}

/* Which axes the lists speak of, in their order; none named: all. */
static enum error_code read_axes(struct importer *importer, int rank, int32_t *axes, int *count)
{
    struct integers given;
    TRY(import_integers_either(importer, "axes", -1, &given));
    *count = given.count > 0 ? given.count : rank;
    if (*count > rank)
        return import_fail(importer, ERROR_MODEL, "%d axes for rank %d", given.count, rank);
    for (int i = 0; i < *count; i++)
        TRY(import_axis(importer, given.count > 0 ? given.values[i] : i, rank, &axes[i]));
    return ERROR_NONE;
}

/* One scale for all axes, so that none becomes larger, or none smaller, than asked for. */
static enum error_code keep_aspect(struct importer *importer, const struct shape *shape, bool larger, const int32_t *axes, int count,
                                   struct resize *resize)
{
    double scale = 0;
    for (int i = 0; i < count; i++) {
        double one = (double)resize->size[axes[i]] / shape->dims[axes[i]];
        scale = i == 0 || (larger ? one > scale : one < scale) ? one : scale;
    }
    for (int i = 0; i < count; i++) {
        double size = floor(scale * shape->dims[axes[i]] + 0.5);
        if (!(size >= 1 && size <= AXIS_SIZE_MAX))
            return import_fail(importer, ERROR_MODEL, "a size of %g", size);
        resize->scale[axes[i]] = (float)scale;
        resize->size[axes[i]] = (int32_t)size;
    }
    return ERROR_NONE;
}

static enum error_code read_sizes(struct importer *importer, int32_t sizes, const struct shape *shape, const int32_t *axes, int count,
                                  struct resize *resize)
{
    struct integers list;
    TRY(import_integers(importer, sizes, &list));
    if (list.count != count)
        return import_fail(importer, ERROR_MODEL, "%d sizes for %d axes", list.count, count);
    for (int i = 0; i < count; i++) {
        if (list.values[i] < 1 || list.values[i] > AXIS_SIZE_MAX || shape->dims[axes[i]] < 1)
            return import_fail(importer, ERROR_MODEL, "a size of %lld", (long long)list.values[i]);
        resize->size[axes[i]] = (int32_t)list.values[i];
        resize->scale[axes[i]] = (float)list.values[i] / (float)shape->dims[axes[i]];
    }
    bool larger = import_text_is(importer, "keep_aspect_ratio_policy", "not_smaller");
    if (larger || import_text_is(importer, "keep_aspect_ratio_policy", "not_larger"))
        return keep_aspect(importer, shape, larger, axes, count, resize);
    return ERROR_NONE;
}

static enum error_code read_scales(struct importer *importer, int32_t scales, const struct shape *shape, const int32_t *axes, int count,
                                   struct resize *resize)
{
    const struct onnx_attribute *attribute = import_attribute(importer, "scales"); /* Upsample-7 */
    const float *list = attribute != NULL ? attribute->floats : NULL;
    int64_t entries = attribute != NULL ? attribute->float_count : 0;
    if (scales >= 0) {
        TRY(import_known(importer, scales));
        const struct value *value = import_value(importer, scales);
        if (value->dtype != DTYPE_F32)
            return import_fail(importer, ERROR_MODEL, "scales of type %s", dtype_name(value->dtype));
        list = value->data;
        entries = shape_elements(&value->shape);
    }
    if (entries != count)
        return import_fail(importer, ERROR_MODEL, "%lld scales for %d axes", (long long)entries, count);
    for (int i = 0; i < count; i++) {
        double size = floor((double)shape->dims[axes[i]] * (double)list[i]);
        if (!(size >= 1 && size <= AXIS_SIZE_MAX))
            return import_fail(importer, ERROR_MODEL, "a scale of %g", (double)list[i]);
        resize->scale[axes[i]] = list[i];
        resize->size[axes[i]] = (int32_t)size;
    }
    return ERROR_NONE;
}

static enum error_code read_region(struct importer *importer, const int32_t *axes, int count, struct resize *resize)
{
    int32_t roi;
    TRY(import_input(importer, 1, true, &roi));
    TRY(import_known(importer, roi));
    const struct value *value = import_value(importer, roi);
    if (shape_elements(&value->shape) != 2 * count)
        return import_fail(importer, ERROR_MODEL, "a region of %lld numbers for %d axes", (long long)shape_elements(&value->shape), count);
    for (int i = 0; i < count; i++) {
        resize->roi[0][axes[i]] = (float)element_read(value->dtype, value->data, i);
        resize->roi[1][axes[i]] = (float)element_read(value->dtype, value->data, count + i);
    }
    return ERROR_NONE;
}

static enum error_code read_extents(struct importer *importer, const struct shape *shape, struct resize *resize)
{
    int32_t axes[TENSOR_RANK_MAX], scales, sizes = GRAPH_NO_VALUE;
    int count;
    TRY(read_axes(importer, shape->rank, axes, &count));
    for (int i = 0; i < shape->rank; i++) {
        resize->scale[i] = resize->roi[1][i] = 1;
        resize->size[i] = shape->dims[i];
    }
    TRY(import_input(importer, resize->early ? 1 : 2, false, &scales));
    if (!resize->early)
        TRY(import_input(importer, 3, false, &sizes));
    if (resize->rule.coordinates == RESIZE_REGION)
        TRY(read_region(importer, axes, count, resize));
    if (sizes >= 0 && shape_elements(&import_value(importer, sizes)->shape) > 0)
        return read_sizes(importer, sizes, shape, axes, count, resize);
    return read_scales(importer, scales, shape, axes, count, resize);
}

static bool stays(const struct resize *resize, const struct shape *shape, int axis)
{
    return resize->size[axis] == shape->dims[axis] && resize->scale[axis] == 1 && resize->rule.coordinates != RESIZE_REGION;
}

/* One step is the same as two where the corners of the resized image are whole pixels. */
static bool is_image(const struct resize *resize, const struct shape *shape)
{
    bool fits = shape->rank == 4 && stays(resize, shape, 0) && stays(resize, shape, 1) && resize->rule.mode != RESIZE_CUBIC &&
                resize->rule.coordinates != RESIZE_REGION && resize->rule.coordinates != RESIZE_HALF_PIXEL_SYMMETRIC && !resize->antialias &&
                !resize->exclude_outside;
    for (int i = 2; fits && i < 4; i++)
        fits = (float)resize->size[i] == (float)shape->dims[i] * resize->scale[i] ||
               resize->rule.coordinates == RESIZE_HALF_PIXEL || resize->rule.coordinates == RESIZE_ASYMMETRIC;
    return fits;
}

static enum error_code resize_image(struct importer *importer, const struct resize *resize, int32_t *value)
{
    TRY(import_to_nhwc(importer, *value, value));
    struct node *node = import_node(importer, OPERATOR_RESIZE, value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.resize = resize->rule;
    memcpy(node->attributes.resize.scale, resize->scale + 2, sizeof node->attributes.resize.scale);
    memcpy(node->attributes.resize.size, resize->size + 2, sizeof node->attributes.resize.size);
    TRY(import_finish(importer, value));
    return import_to_nchw(importer, *value, value);
}

static enum error_code resize_one(struct importer *importer, const struct resize *resize, int axis, int32_t *value)
{
    struct node *node = import_node(importer, OPERATOR_RESIZE_AXIS, value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.resize_axis = (struct resize_axis_attributes){
        .rule = resize->rule, .axis = axis, .roi = {resize->roi[0][axis], resize->roi[1][axis]},
        .cubic = import_float(importer, "cubic_coeff_a", -0.75f), .extrapolation = import_float(importer, "extrapolation_value", 0),
        .exclude_outside = resize->exclude_outside, .antialias = resize->antialias};
    node->attributes.resize_axis.rule.scale[0] = resize->scale[axis];
    node->attributes.resize_axis.rule.size[0] = resize->size[axis];
    return import_finish(importer, value);
}

static enum error_code import_resize(struct importer *importer)
{
    int32_t value;
    struct resize resize = {0};
    TRY(import_input(importer, 0, true, &value));
    const struct shape shape = import_value(importer, value)->shape;
    TRY(read_rule(importer, &resize));
    TRY(read_extents(importer, &shape, &resize));
    if (is_image(&resize, &shape)) {
        TRY(resize_image(importer, &resize, &value));
        return import_bind(importer, 0, value);
    }
    for (int axis = 0; axis < shape.rank; axis++) {
        if (!stays(&resize, &shape, axis))
            TRY(resize_one(importer, &resize, axis, &value));
    }
    return import_bind(importer, 0, value);
}

const struct import_row import_resize_rows[] = {
    {"Resize", import_resize, OPERATOR_RESIZE, "nearest: all; linear, cubic: f32 f16", "scales, sizes and region known at open"},
    {"Upsample", import_resize, OPERATOR_RESIZE, "nearest: all; linear: f32 f16", "scales known at open"},
    {0},
};

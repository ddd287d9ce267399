/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows and pooling: NCHW in the file, NHWC here. */
#include "inference/onnx/import_window.h"
#include "inference/onnx/import_convolution.h"

#include <string.h>

static enum error_code read_list(struct importer *importer, const char *name, int count, int32_t fallback, int32_t *list_out)
{
    struct integers list;
    TRY(import_integers_either(importer, name, -1, &list));
    if (list.count != 0 && list.count != count)
        return import_fail(importer, ERROR_MODEL, "%s has %d entries for %d axes", name, list.count, count);
    for (int i = 0; i < count; i++) {
        int64_t entry = list.count > 0 ? list.values[i] : fallback;
        if (entry < 0 || entry > 1 << 20)
            return import_fail(importer, entry < 0 ? ERROR_UNSUPPORTED : ERROR_MODEL, "%s holds %lld", name, (long long)entry);
        list_out[i] = (int32_t)entry;
    }
    return ERROR_NONE;
}

enum error_code import_window(struct importer *importer, const struct shape *input, struct window *window_out)
{
    struct window window = {.axes = input->rank - 2};
    int32_t pads[2 * WINDOW_AXES_MAX];
    if (window.axes < 1 || window.axes > WINDOW_AXES_MAX)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d, expected 3 to 5", input->rank);
    TRY(read_list(importer, "kernel_shape", window.axes, 0, window.kernel));
    TRY(read_list(importer, "strides", window.axes, 1, window.stride));
    TRY(read_list(importer, "dilations", window.axes, 1, window.dilation));
    TRY(read_list(importer, "pads", 2 * window.axes, 0, pads));
    for (int i = 0; i < window.axes; i++) {
        window.before[i] = pads[i];
        window.after[i] = pads[window.axes + i];
    }
    window.same_lower = import_text_is(importer, "auto_pad", "SAME_LOWER");
    window.same = window.same_lower || import_text_is(importer, "auto_pad", "SAME_UPPER");
    window.ceil_mode = import_int(importer, "ceil_mode", 0) != 0;
    window.count_include_pad = import_int(importer, "count_include_pad", 0) != 0;
    int64_t groups = import_int(importer, "group", 1);
    if (groups < 1 || groups > 1 << 20)
        return import_fail(importer, ERROR_MODEL, "group is %lld", (long long)groups);
    window.groups = (int32_t)groups;
    *window_out = window;
    return ERROR_NONE;
}

struct spatial window_plane(const struct window *window, int vertical, int horizontal)
{
    const int axes[2] = {vertical, horizontal};
    struct spatial plane = {.groups = window->groups, .same = window->same, .same_lower = window->same_lower, .ceil_mode = window->ceil_mode,
                            .count_include_pad = window->count_include_pad};
    for (int i = 0; i < 2; i++) {
        plane.kernel[i] = axes[i] >= 0 ? window->kernel[axes[i]] : 1;
        plane.stride[i] = axes[i] >= 0 ? window->stride[axes[i]] : 1;
        plane.dilation[i] = axes[i] >= 0 ? window->dilation[axes[i]] : 1;
        plane.pad[i] = axes[i] >= 0 ? window->before[axes[i]] : 0;
        plane.pad[i + 2] = axes[i] >= 0 ? window->after[axes[i]] : 0;
    }
    return plane;
}

/* *value: [N, C, H, W], replaced by its pooled form. */
static enum error_code pool_plane(struct importer *importer, enum operator_kind kind, const struct spatial *spatial, int32_t *value)
{
    TRY(import_to_nhwc(importer, *value, value));
    struct node *node = import_node(importer, kind, value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = *spatial;
    TRY(import_finish(importer, value));
    return import_to_nchw(importer, *value, value);
}

/* Largest and average of a box are those of its planes' results along the depth: the divisors multiply. */
static enum error_code pool_volume(struct importer *importer, enum operator_kind kind, const struct window *window, int32_t *value)
{
    struct shape shape = import_value(importer, *value)->shape;
    const struct spatial plane = window_plane(window, 1, 2), depth = window_plane(window, 0, -1);
    int64_t slices = (int64_t)shape.dims[1] * shape.dims[2];
    struct shape planes = {.rank = 4, .dims = {shape.dims[0], (int32_t)slices, shape.dims[3], shape.dims[4]}};
    TRY(import_reshape(importer, *value, &planes, value));
    TRY(pool_plane(importer, kind, &plane, value));
    const struct shape pooled = import_value(importer, *value)->shape;
    struct shape columns = {.rank = 4, .dims = {shape.dims[0], shape.dims[1], shape.dims[2], pooled.dims[2] * pooled.dims[3]}};
    TRY(import_reshape(importer, *value, &columns, value));
    TRY(pool_plane(importer, kind, &depth, value));
    const struct shape result = {.rank = 5, .dims = {shape.dims[0], shape.dims[1], import_value(importer, *value)->shape.dims[2], pooled.dims[2],
                                                     pooled.dims[3]}};
    return import_reshape(importer, *value, &result, value);
}

static enum error_code pool_line(struct importer *importer, enum operator_kind kind, const struct window *window, int32_t *value)
{
    struct shape shape = import_value(importer, *value)->shape;
    const struct spatial plane = window_plane(window, -1, 0);
    TRY(import_reshape(importer, *value, &(struct shape){.rank = 4, .dims = {shape.dims[0], shape.dims[1], 1, shape.dims[2]}}, value));
    TRY(pool_plane(importer, kind, &plane, value));
    shape.dims[2] = import_value(importer, *value)->shape.dims[3];
    return import_reshape(importer, *value, &shape, value);
}

static enum error_code import_pool(struct importer *importer)
{
    int32_t value;
    struct window window;
    enum operator_kind kind = importer->row->kind;
    TRY(import_input(importer, 0, true, &value));
    const struct shape shape = import_value(importer, value)->shape;
    TRY(import_window(importer, &shape, &window));
    if (importer->node->output_count > 1 && importer->node->outputs[1][0] != '\0')
        return import_fail(importer, ERROR_UNSUPPORTED, "the indices of a maximum");
    if (window.axes == 1) {
        TRY(pool_line(importer, kind, &window, &value));
    } else if (window.axes == 3) {
        TRY(pool_volume(importer, kind, &window, &value));
    } else {
        const struct spatial plane = window_plane(&window, 0, 1);
        TRY(pool_plane(importer, kind, &plane, &value));
    }
    return import_bind(importer, 0, value);
}

/* Over all axes behind the channels: [N, C, 1, everything]. */
static enum error_code import_global_pool(struct importer *importer)
{
    int32_t value;
    TRY(import_input(importer, 0, true, &value));
    struct shape shape = import_value(importer, value)->shape;
    if (shape.rank < 3)
        return import_fail(importer, ERROR_MODEL, "an input of rank %d", shape.rank);
    struct shape plane = {.rank = 4, .dims = {shape.dims[0], shape.dims[1], 1, 1}};
    if (shape.rank == 4)
        plane = shape;
    for (int i = 2; i < shape.rank && shape.rank != 4; i++)
        plane.dims[3] *= shape.dims[i];
    const struct spatial whole = {.kernel = {plane.dims[2], plane.dims[3]}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    for (int i = 2; i < shape.rank; i++)
        shape.dims[i] = 1;
    if (shape.rank != 4)
        TRY(import_reshape(importer, value, &plane, &value));
    TRY(pool_plane(importer, importer->row->kind, &whole, &value));
    if (shape.rank != 4)
        TRY(import_reshape(importer, value, &shape, &value));
    return import_bind(importer, 0, value);
}

const struct import_row import_spatial_rows[] = {
    {"Conv", import_conv, OPERATOR_CONV, "f32 f16, i8 u8 (quantised)", "1 to 3 axes; weights and bias known at open"},
    {"ConvTranspose", import_conv_transpose, OPERATOR_CONV_TRANSPOSE, "f32 f16", "1 or 2 axes"},
    {"MaxPool", import_pool, OPERATOR_MAX_POOL, "f32 f16 i8 u8", "1 to 3 axes; without indices"},
    {"AveragePool", import_pool, OPERATOR_AVERAGE_POOL, "f32 f16, i8 u8 (quantised)", "1 to 3 axes"},
    {"GlobalAveragePool", import_global_pool, OPERATOR_GLOBAL_AVERAGE_POOL, "f32 f16, i8 u8 (quantised)", ""},
    {"GlobalMaxPool", import_global_pool, OPERATOR_MAX_POOL, "f32 f16 i8 u8", ""},
    {0},
};

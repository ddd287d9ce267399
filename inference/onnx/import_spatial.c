/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution, pooling, batch normalisation, resize: NCHW in the file, NHWC here. One-dimensional ones become height 1. */
#include "inference/onnx/import.h"
#include "inference/onnx/import_convolution.h"

#include <math.h>
#include <string.h>

/* [N, C, L] as [N, C, 1, L]; *added tells whether the result must lose the axis again. */
static enum error_code widen_rank(struct importer *importer, int32_t value, int32_t *value_out, bool *added)
{
    struct shape shape = import_value(importer, value)->shape;
    *added = shape.rank == 3;
    *value_out = value;
    if (shape.rank == 4)
        return ERROR_NONE;
    if (shape.rank != 3)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d, expected 3 or 4", shape.rank);
    shape = (struct shape){.rank = 4, .dims = {shape.dims[0], shape.dims[1], 1, shape.dims[2]}};
    return import_reshape(importer, value, &shape, value_out);
}

static enum error_code bind_spatial(struct importer *importer, int32_t value, bool narrow)
{
    TRY(import_to_nchw(importer, value, &value));
    if (narrow) {
        struct shape shape = import_value(importer, value)->shape;
        shape = (struct shape){.rank = 3, .dims = {shape.dims[0], shape.dims[1], shape.dims[3]}};
        TRY(import_reshape(importer, value, &shape, &value));
    }
    return import_bind(importer, 0, value);
}

static enum error_code read_pair(struct importer *importer, const char *name, int fallback, int32_t pair[2])
{
    struct integers list;
    TRY(import_integers_either(importer, name, -1, &list));
    pair[0] = pair[1] = fallback;
    if (list.count == 1) {
        pair[0] = 1;
        pair[1] = (int32_t)list.values[0];
    } else if (list.count == 2) {
        pair[0] = (int32_t)list.values[0];
        pair[1] = (int32_t)list.values[1];
    } else if (list.count != 0) {
        return import_fail(importer, ERROR_UNSUPPORTED, "%s has %d entries, expected 1 or 2", name, list.count);
    }
    for (int i = 0; i < list.count; i++) {
        if (list.values[i] < 0 || list.values[i] > 1 << 20)
            return import_fail(importer, ERROR_MODEL, "%s holds %lld", name, (long long)list.values[i]);
    }
    return ERROR_NONE;
}

static enum error_code import_read_spatial(struct importer *importer, struct spatial *spatial, bool one_dimensional)
{
    struct integers pads;
    memset(spatial, 0, sizeof *spatial);
    TRY(read_pair(importer, "kernel_shape", 0, spatial->kernel));
    TRY(read_pair(importer, "strides", 1, spatial->stride));
    TRY(read_pair(importer, "dilations", 1, spatial->dilation));
    TRY(import_integers_either(importer, "pads", -1, &pads));
    for (int i = 0; i < pads.count; i++) {
        if (pads.values[i] < 0 || pads.values[i] > 1 << 20)
            return import_fail(importer, ERROR_UNSUPPORTED, "pads holds %lld", (long long)pads.values[i]);
    }
    if (pads.count == 4) {
        for (int i = 0; i < 4; i++)
            spatial->pad[i] = (int32_t)pads.values[i];
    } else if (pads.count == 2 && one_dimensional) {
        spatial->pad[1] = (int32_t)pads.values[0];
        spatial->pad[3] = (int32_t)pads.values[1];
    } else if (pads.count != 0) {
        return import_fail(importer, ERROR_MODEL, "pads has %d entries", pads.count);
    }
    spatial->same = import_text_is(importer, "auto_pad", "SAME_UPPER") || import_text_is(importer, "auto_pad", "SAME_LOWER");
    spatial->same_lower = import_text_is(importer, "auto_pad", "SAME_LOWER");
    spatial->ceil_mode = import_int(importer, "ceil_mode", 0) != 0;
    spatial->count_include_pad = import_int(importer, "count_include_pad", 0) != 0;
    int64_t groups = import_int(importer, "group", 1);
    if (groups < 1 || groups > 1 << 20)
        return import_fail(importer, ERROR_MODEL, "group is %lld", (long long)groups);
    spatial->groups = (int32_t)groups;
    return ERROR_NONE;
}

/* OIHW to [O, KH, KW, I], or to [KH, KW, O] where each group is one channel. */
static enum error_code arrange_weights(struct importer *importer, int32_t weights, bool depthwise, int32_t *value_out)
{
    struct quantization quantization = import_value(importer, weights)->quantization;
    struct shape shape = import_value(importer, weights)->shape;
    if (import_value(importer, weights)->data == NULL && graph_producer(importer->graph, weights) == NULL)
        return import_fail(importer, ERROR_UNSUPPORTED, "weights that are a model input");
    if (depthwise) {
        struct shape flat = {.rank = 3, .dims = {shape.dims[0], shape.dims[2], shape.dims[3]}};
        TRY(import_reshape(importer, weights, &flat, &weights));
        TRY(import_transpose(importer, weights, (int32_t[]){1, 2, 0}, value_out));
        quantization.axis = 2;
    } else {
        TRY(import_transpose(importer, weights, (int32_t[]){0, 2, 3, 1}, value_out));
        quantization.axis = 0;
    }
    importer->graph->values[*value_out].quantization = quantization;
    return ERROR_NONE;
}

/* The weights of QDQ files come out of a DequantizeLinear: what is rearranged is the integer constant behind it. */
static enum error_code import_convolution_weights(struct importer *importer, int32_t weights, bool depthwise, int32_t *value_out)
{
    const struct node *producer = graph_producer(importer->graph, weights);
    if (producer == NULL || producer->kind != OPERATOR_DEQUANTIZE || import_value(importer, producer->inputs[0])->data == NULL)
        return arrange_weights(importer, weights, depthwise, value_out);
    int32_t integers;
    TRY(arrange_weights(importer, producer->inputs[0], depthwise, &integers));
    struct node *dequantize = import_node(importer, OPERATOR_DEQUANTIZE, &integers, 1, 1);
    return dequantize == NULL ? importer->error->code : import_finish(importer, value_out);
}

enum error_code import_convolution(struct importer *importer, int32_t input, int32_t weights, int32_t bias, const struct quantization *output_quantization,
                                   enum dtype output_dtype)
{
    struct spatial spatial;
    bool narrow, narrow_weights;
    TRY(widen_rank(importer, input, &input, &narrow));
    struct shape weight_shape = import_value(importer, weights)->shape;
    if (narrow) {
        struct quantization quantization = import_value(importer, weights)->quantization;
        TRY(widen_rank(importer, weights, &weights, &narrow_weights));
        importer->graph->values[weights].quantization = quantization;
        weight_shape = import_value(importer, weights)->shape;
    }
    if (weight_shape.rank != 4)
        return import_fail(importer, ERROR_UNSUPPORTED, "weights of rank %d", weight_shape.rank);
    TRY(import_read_spatial(importer, &spatial, narrow));
    spatial.kernel[0] = weight_shape.dims[2];
    spatial.kernel[1] = weight_shape.dims[3];
    struct shape input_shape = import_value(importer, input)->shape;
    bool depthwise = spatial.groups > 1 && spatial.groups == input_shape.dims[1] && weight_shape.dims[1] == 1 &&
                     weight_shape.dims[0] % spatial.groups == 0;
    TRY(import_convolution_weights(importer, weights, depthwise, &weights));
    TRY(import_to_nhwc(importer, input, &input));
    int32_t operands[3] = {input, weights, bias};
    struct node *node = import_node(importer, depthwise ? OPERATOR_DEPTHWISE_CONV : OPERATOR_CONV, operands, 3, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = spatial;
    if (output_quantization != NULL) {
        importer->graph->values[node->outputs[0]].quantization = *output_quantization;
        importer->graph->values[node->outputs[0]].dtype = output_dtype;
    }
    int32_t output;
    TRY(import_finish(importer, &output));
    return bind_spatial(importer, output, narrow);
}

static enum error_code import_conv(struct importer *importer)
{
    int32_t input, weights, bias;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input_in_place(importer, 1, true, &weights)); /* arrange_weights transposes them */
    TRY(import_input(importer, 2, false, &bias));
    return import_convolution(importer, input, weights, bias, NULL, DTYPE_F32);
}

static enum error_code import_pool(struct importer *importer)
{
    int32_t input, output;
    bool narrow;
    struct spatial spatial;
    TRY(import_input(importer, 0, true, &input));
    TRY(widen_rank(importer, input, &input, &narrow));
    TRY(import_read_spatial(importer, &spatial, narrow));
    if (narrow)
        spatial.kernel[0] = 1;
    bool average = strcmp(importer->node->op, "AveragePool") == 0;
    if (importer->node->output_count > 1 && importer->node->outputs[1][0] != '\0')
        return import_fail(importer, ERROR_UNSUPPORTED, "the indices of a maximum");
    TRY(import_to_nhwc(importer, input, &input));
    struct node *node = import_node(importer, average ? OPERATOR_AVERAGE_POOL : OPERATOR_MAX_POOL, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = spatial;
    TRY(import_finish(importer, &output));
    return bind_spatial(importer, output, narrow);
}

static enum error_code import_global_pool(struct importer *importer)
{
    int32_t input, output;
    bool narrow;
    TRY(import_input(importer, 0, true, &input));
    TRY(widen_rank(importer, input, &input, &narrow));
    TRY(import_to_nhwc(importer, input, &input));
    bool average = strcmp(importer->node->op, "GlobalAveragePool") == 0;
    struct shape shape = import_value(importer, input)->shape;
    struct node *node = import_node(importer, average ? OPERATOR_GLOBAL_AVERAGE_POOL : OPERATOR_MAX_POOL, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = (struct spatial){.kernel = {shape.dims[1], shape.dims[2]}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
    TRY(import_finish(importer, &output));
    return bind_spatial(importer, output, narrow);
}

/* As scale and shift along the channels; batch_norm folds it into a convolution where one precedes. */
static enum error_code import_batch_norm(struct importer *importer)
{
    int32_t input, operands[5], output;
    TRY(import_input(importer, 0, true, &input));
    int rank = import_value(importer, input)->shape.rank;
    bool narrow = false;
    if (rank == 3)
        TRY(widen_rank(importer, input, &input, &narrow));
    if (rank != 2)
        TRY(import_to_nhwc(importer, input, &operands[0]));
    else
        operands[0] = input;
    for (int i = 1; i < 5; i++)
        TRY(import_input(importer, i, true, &operands[i]));
    struct node *node = import_node(importer, OPERATOR_BATCH_NORM, operands, 5, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.batch_norm.epsilon = import_float(importer, "epsilon", 1e-5f);
    TRY(import_finish(importer, &output));
    return rank == 2 ? import_bind(importer, 0, output) : bind_spatial(importer, output, narrow);
}

static enum error_code read_resize_mode(struct importer *importer, struct resize_attributes *resize)
{
    if (import_text_is(importer, "mode", "linear") || import_text_is(importer, "mode", "bilinear"))
        resize->mode = RESIZE_LINEAR;
    else if (import_attribute(importer, "mode") != NULL && !import_text_is(importer, "mode", "nearest"))
        return import_fail(importer, ERROR_UNSUPPORTED, "this mode of interpolation");
    bool old = importer->model->opset < 11 || strcmp(importer->node->op, "Upsample") == 0;
    resize->coordinates = old ? RESIZE_ASYMMETRIC : RESIZE_HALF_PIXEL;
    if (import_text_is(importer, "coordinate_transformation_mode", "asymmetric"))
        resize->coordinates = RESIZE_ASYMMETRIC;
    else if (import_text_is(importer, "coordinate_transformation_mode", "align_corners"))
        resize->coordinates = RESIZE_ALIGN_CORNERS;
    else if (import_text_is(importer, "coordinate_transformation_mode", "pytorch_half_pixel"))
        resize->coordinates = RESIZE_PYTORCH_HALF_PIXEL;
    else if (import_attribute(importer, "coordinate_transformation_mode") != NULL &&
             !import_text_is(importer, "coordinate_transformation_mode", "half_pixel"))
        return import_fail(importer, ERROR_UNSUPPORTED, "this coordinate_transformation_mode");
    resize->rounding = old ? RESIZE_FLOOR : RESIZE_ROUND_PREFER_FLOOR;
    if (import_text_is(importer, "nearest_mode", "floor"))
        resize->rounding = RESIZE_FLOOR;
    else if (import_text_is(importer, "nearest_mode", "ceil"))
        resize->rounding = RESIZE_CEIL;
    else if (import_text_is(importer, "nearest_mode", "round_prefer_ceil"))
        resize->rounding = RESIZE_ROUND_PREFER_CEIL;
    return ERROR_NONE;
}

static enum error_code read_resize_size(struct importer *importer, const struct shape *shape, struct resize_attributes *resize)
{
    int32_t scales, sizes = GRAPH_NO_VALUE;
    bool early = importer->model->opset < 11 || strcmp(importer->node->op, "Upsample") == 0;
    TRY(import_input(importer, early ? 1 : 2, false, &scales));
    if (!early)
        TRY(import_input(importer, 3, false, &sizes));
    if (sizes >= 0 && shape_elements(&import_value(importer, sizes)->shape) == 4) {
        struct integers list;
        TRY(import_integers(importer, sizes, &list));
        for (int i = 0; i < 2; i++) {
            if (list.values[2 + i] < 1 || list.values[2 + i] > 1 << 16)
                return import_fail(importer, ERROR_MODEL, "a size of %lld", (long long)list.values[2 + i]);
            resize->size[i] = (int32_t)list.values[2 + i];
            resize->scale[i] = (float)resize->size[i] / (float)shape->dims[2 + i];
        }
        return ERROR_NONE;
    }
    if (scales < 0 || import_value(importer, scales)->data == NULL || import_value(importer, scales)->dtype != DTYPE_F32 ||
        shape_elements(&import_value(importer, scales)->shape) != 4)
        return import_fail(importer, ERROR_UNSUPPORTED, "neither four constant scales nor four constant sizes");
    const float *scale = import_value(importer, scales)->data;
    for (int i = 0; i < 2; i++) {
        double size = floor((double)shape->dims[2 + i] * (double)scale[2 + i]);
        if (!(size >= 1 && size <= 1 << 16))
            return import_fail(importer, ERROR_MODEL, "a scale of %g", (double)scale[2 + i]);
        resize->scale[i] = scale[2 + i];
        resize->size[i] = (int32_t)size;
    }
    return scale[0] == 1 && scale[1] == 1 ? ERROR_NONE : import_fail(importer, ERROR_UNSUPPORTED, "resizing of batch or channels");
}

static enum error_code import_resize(struct importer *importer)
{
    int32_t input, output;
    struct resize_attributes resize = {0};
    TRY(import_input(importer, 0, true, &input));
    struct shape shape = import_value(importer, input)->shape;
    if (shape.rank != 4)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d", shape.rank);
    TRY(read_resize_mode(importer, &resize));
    TRY(read_resize_size(importer, &shape, &resize));
    TRY(import_to_nhwc(importer, input, &input));
    struct node *node = import_node(importer, OPERATOR_RESIZE, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.resize = resize;
    TRY(import_finish(importer, &output));
    return bind_spatial(importer, output, false);
}

const struct import_row import_spatial_rows[] = {
    {"Conv", import_conv, OPERATOR_CONV},
    {"MaxPool", import_pool, OPERATOR_MAX_POOL},
    {"AveragePool", import_pool, OPERATOR_AVERAGE_POOL},
    {"GlobalAveragePool", import_global_pool, OPERATOR_GLOBAL_AVERAGE_POOL},
    {"GlobalMaxPool", import_global_pool, OPERATOR_MAX_POOL},
    {"BatchNormalization", import_batch_norm, OPERATOR_BATCH_NORM},
    {"Resize", import_resize, OPERATOR_RESIZE},
    {"Upsample", import_resize, OPERATOR_RESIZE},
    {NULL, NULL, OPERATOR_COUNT},
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Conv, ConvTranspose, ConvInteger: NCHW in the file, NHWC here. A line is a plane of height 1; a volume is a sum of planes, one for each slice
 * of the kernel. */
#include "inference/onnx/import_convolution.h"
#include "inference/onnx/import_window.h"

#include <string.h>

/* Constant weights are rearranged when they are packed, and not at all where they are found packed (packed.h). */
static enum error_code arrange_later(struct importer *importer, int32_t weights, int32_t *value_out)
{
    const struct value *source = import_value(importer, weights);
    const int32_t *dims = source->shape.dims;
    const struct shape shape = {.rank = 4, .dims = {dims[0], dims[2], dims[3], dims[1]}};
    *value_out = graph_add_constant(importer->graph, source->name, source->dtype, &shape, source->data);
    if (*value_out < 0)
        return import_fail(importer, ERROR_LIMIT, "the graph is larger than eddy takes");
    importer->graph->values[*value_out].arranged_from = weights + 1;
    return ERROR_NONE;
}

/* OIHW to [O, KH, KW, I], or to [KH, KW, O] where each group is one channel. */
static enum error_code arrange_weights(struct importer *importer, int32_t weights, bool depthwise, int32_t *value_out)
{
    struct quantization quantization = import_value(importer, weights)->quantization;
    struct shape shape = import_value(importer, weights)->shape;
    if (depthwise) {
        struct shape flat = {.rank = 3, .dims = {shape.dims[0], shape.dims[2], shape.dims[3]}};
        TRY(import_reshape(importer, weights, &flat, &weights));
        TRY(import_transpose(importer, weights, (int32_t[]){1, 2, 0}, value_out));
        quantization.axis = 2;
    } else {
        if (import_value(importer, weights)->data != NULL && shape.rank == 4)
            TRY(arrange_later(importer, weights, value_out));
        else
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

/* What a layer packs must be known; integers behind a DequantizeLinear already are. */
static enum error_code know_operand(struct importer *importer, int32_t value)
{
    const struct node *producer = value >= 0 ? graph_producer(importer->graph, value) : NULL;
    bool dequantized = producer != NULL && producer->kind == OPERATOR_DEQUANTIZE && import_value(importer, producer->inputs[0])->data != NULL;
    return value < 0 || dequantized ? ERROR_NONE : import_known(importer, value);
}

struct layer {
    int32_t weights, bias;                  /* weights: OIHW */
    const struct quantization *quantization; /* of the result; NULL: float */
    enum dtype dtype;
};

/* *value: [N, C, H, W], replaced by its convolution. */
static enum error_code convolve_plane(struct importer *importer, const struct layer *layer, struct spatial spatial, int32_t *value)
{
    const struct shape weight_shape = import_value(importer, layer->weights)->shape, shape = import_value(importer, *value)->shape;
    int32_t operands[3] = {0, 0, layer->bias};
    spatial.kernel[0] = weight_shape.dims[2];
    spatial.kernel[1] = weight_shape.dims[3];
    bool depthwise = spatial.groups > 1 && spatial.groups == shape.dims[1] && weight_shape.dims[1] == 1 && weight_shape.dims[0] == spatial.groups;
    TRY(import_convolution_weights(importer, layer->weights, depthwise, &operands[1]));
    TRY(import_to_nhwc(importer, *value, &operands[0]));
    struct node *node = import_node(importer, depthwise ? OPERATOR_DEPTHWISE_CONV : OPERATOR_CONV, operands, 3, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = spatial;
    if (layer->quantization != NULL) {
        importer->graph->values[node->outputs[0]].quantization = *layer->quantization;
        importer->graph->values[node->outputs[0]].dtype = layer->dtype;
    }
    TRY(import_finish(importer, value));
    return import_to_nchw(importer, *value, value);
}

/* The same values with an axis of 1 before the last; quantisation stays. */
static enum error_code heighten(struct importer *importer, int32_t *value)
{
    struct shape shape = import_value(importer, *value)->shape;
    struct quantization quantization = import_value(importer, *value)->quantization;
    shape = (struct shape){.rank = 4, .dims = {shape.dims[0], shape.dims[1], 1, shape.dims[2]}};
    TRY(import_reshape(importer, *value, &shape, value));
    importer->graph->values[*value].quantization = quantization;
    return ERROR_NONE;
}

static enum error_code convolve_line(struct importer *importer, struct layer *layer, const struct window *window, int32_t *value)
{
    TRY(heighten(importer, value));
    TRY(heighten(importer, &layer->weights));
    TRY(convolve_plane(importer, layer, window_plane(window, -1, 0), value));
    const struct shape shape = import_value(importer, *value)->shape;
    return import_reshape(importer, *value, &(struct shape){.rank = 3, .dims = {shape.dims[0], shape.dims[1], shape.dims[3]}}, value);
}

/* Along the depth: padding, and how many results there are. */
static enum error_code depth_of(struct importer *importer, const struct window *window, int32_t extent, int32_t kernel, int32_t pad[2], int32_t *count)
{
    int64_t reach = (int64_t)(kernel - 1) * window->dilation[0] + 1, stride = window->stride[0];
    pad[0] = window->before[0];
    pad[1] = window->after[0];
    if (stride < 1 || kernel < 1 || window->dilation[0] < 1)
        return import_fail(importer, ERROR_MODEL, "a kernel, stride or dilation of 0");
    if (window->same) {
        int64_t total = ((extent + stride - 1) / stride - 1) * stride + reach - extent;
        total = total > 0 ? total : 0;
        if (total > 1 << 20)
            return import_fail(importer, ERROR_MODEL, "a dilated kernel far larger than its input");
        pad[0] = (int32_t)(window->same_lower ? total - total / 2 : total / 2);
        pad[1] = (int32_t)(total - pad[0]);
    }
    int64_t room = (int64_t)extent + pad[0] + pad[1] - reach;
    if (room < 0)
        return import_fail(importer, ERROR_MODEL, "a kernel that is larger than its padded input");
    *count = (int32_t)(room / stride + 1);
    return ERROR_NONE;
}

static enum error_code pad_depth(struct importer *importer, const int32_t pad[2], int32_t *value)
{
    if (pad[0] == 0 && pad[1] == 0)
        return ERROR_NONE;
    struct node *node = import_node(importer, OPERATOR_PAD, value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.pad.before[1] = pad[0];
    node->attributes.pad.after[1] = pad[1];
    return import_finish(importer, value);
}

/* [N, C, D, H, W] as [N, D, C, H, W]: each slice of the kernel sees every stride-th plane from its place on. */
static enum error_code convolve_volume(struct importer *importer, const struct layer *layer, const struct window *window, int32_t *value)
{
    const struct shape from = import_value(importer, *value)->shape, kernel = import_value(importer, layer->weights)->shape;
    const int32_t swap[5] = {0, 2, 1, 3, 4}, ones[5] = {1, 1, 1, 1, 1};
    int32_t pad[2], planes, sum = GRAPH_NO_VALUE;
    if (layer->quantization != NULL || import_value(importer, layer->weights)->data == NULL)
        return import_fail(importer, ERROR_UNSUPPORTED, "a quantised convolution of volumes");
    TRY(depth_of(importer, window, from.dims[2], kernel.dims[2], pad, &planes));
    TRY(import_transpose(importer, *value, swap, value));
    TRY(pad_depth(importer, pad, value));
    for (int32_t k = 0; k < kernel.dims[2]; k++) {
        int32_t begin[5] = {0, k * window->dilation[0]}, step[5] = {1, window->stride[0], 1, 1, 1}, slice, product;
        int32_t count[5] = {from.dims[0], planes, from.dims[1], from.dims[3], from.dims[4]};
        struct layer part = *layer;
        TRY(import_slice_of(importer, *value, begin, step, count, &slice));
        TRY(import_reshape(importer, slice, &(struct shape){.rank = 4, .dims = {count[0] * planes, count[2], count[3], count[4]}}, &slice));
        TRY(import_slice_of(importer, layer->weights, (int32_t[]){0, 0, k, 0, 0}, ones,
                            (int32_t[]){kernel.dims[0], kernel.dims[1], 1, kernel.dims[3], kernel.dims[4]}, &part.weights));
        TRY(import_reshape(importer, part.weights, &(struct shape){.rank = 4, .dims = {kernel.dims[0], kernel.dims[1], kernel.dims[3], kernel.dims[4]}},
                           &part.weights));
        part.bias = k == 0 ? layer->bias : GRAPH_NO_VALUE;
        product = slice;
        TRY(convolve_plane(importer, &part, window_plane(window, 1, 2), &product));
        if (k == 0)
            sum = product;
        else
            TRY(import_binary_of(importer, OPERATOR_ADD, sum, product, &sum));
    }
    const struct shape plane = import_value(importer, sum)->shape;
    TRY(import_reshape(importer, sum, &(struct shape){.rank = 5, .dims = {from.dims[0], planes, plane.dims[1], plane.dims[2], plane.dims[3]}}, &sum));
    return import_transpose(importer, sum, swap, value);
}

enum error_code import_convolution(struct importer *importer, int32_t input, int32_t weights, int32_t bias,
                                   const struct quantization *output_quantization, enum dtype output_dtype)
{
    struct window window;
    struct layer layer = {.weights = weights, .bias = bias, .quantization = output_quantization, .dtype = output_dtype};
    TRY(know_operand(importer, weights));
    TRY(know_operand(importer, bias));
    const struct shape shape = import_value(importer, input)->shape, kernel = import_value(importer, weights)->shape;
    TRY(import_window(importer, &shape, &window));
    if (kernel.rank != shape.rank)
        return import_fail(importer, ERROR_MODEL, "weights of rank %d for an input of rank %d", kernel.rank, shape.rank);
    if (window.axes == 1)
        TRY(convolve_line(importer, &layer, &window, &input));
    else if (window.axes == 3)
        TRY(convolve_volume(importer, &layer, &window, &input));
    else
        TRY(convolve_plane(importer, &layer, window_plane(&window, 0, 1), &input));
    return import_bind(importer, 0, input);
}

enum error_code import_conv(struct importer *importer)
{
    int32_t input, weights, bias;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input_in_place(importer, 1, true, &weights)); /* of rank 4: arrange_weights transposes them, and nothing else reads them */
    if (import_value(importer, weights)->shape.rank != 4)
        TRY(import_input(importer, 1, true, &weights));
    TRY(import_input(importer, 2, false, &bias));
    return import_convolution(importer, input, weights, bias, NULL, DTYPE_F32);
}

/* x, w, zero point of x, zero points of w -> i32 */
enum error_code import_conv_integer(struct importer *importer)
{
    int32_t operands[5] = {0, 0, GRAPH_NO_VALUE, 0, 0}, output;
    struct window window;
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, true, &operands[1]));
    TRY(import_input(importer, 2, false, &operands[3]));
    TRY(import_input(importer, 3, false, &operands[4]));
    const struct shape shape = import_value(importer, operands[0])->shape, kernel = import_value(importer, operands[1])->shape;
    TRY(import_window(importer, &shape, &window));
    if (window.axes != 2 || kernel.rank != 4)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d, expected 4", shape.rank);
    struct spatial spatial = window_plane(&window, 0, 1);
    spatial.kernel[0] = kernel.dims[2];
    spatial.kernel[1] = kernel.dims[3];
    TRY(import_to_nhwc(importer, operands[0], &operands[0]));
    TRY(import_to_nhwc(importer, operands[1], &operands[1]));
    struct node *node = import_node(importer, OPERATOR_CONV_INTEGER, operands, 5, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = spatial;
    TRY(import_finish(importer, &output));
    TRY(import_to_nchw(importer, output, &output));
    return import_bind(importer, 0, output);
}

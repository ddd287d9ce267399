/* SPDX-License-Identifier: Apache-2.0
 *
 * ConvTranspose: weights [I, O/groups, KH, KW] in the file, [O, KH, KW, I/groups] here; the result's size is found here. */
#include "inference/onnx/import_convolution.h"
#include "inference/onnx/import_window.h"

#include <string.h>

static enum error_code arrange_weights(struct importer *importer, int32_t weights, int32_t groups, int32_t *value_out)
{
    const int32_t *w = import_value(importer, weights)->shape.dims;
    struct shape split = {.rank = 5, .dims = {groups, w[0] / groups, w[1], w[2], w[3]}};
    int64_t outputs = (int64_t)w[1] * groups;
    if (w[0] < 1 || w[0] % groups != 0 || outputs > 1 << 20)
        return import_fail(importer, ERROR_MODEL, "weights that do not fit %d groups", groups);
    struct shape flat = {.rank = 4, .dims = {(int32_t)outputs, w[2], w[3], w[0] / groups}};
    TRY(import_reshape(importer, weights, &split, &weights));
    TRY(import_transpose(importer, weights, (int32_t[]){0, 2, 3, 4, 1}, &weights));
    return import_reshape(importer, weights, &flat, value_out);
}

/* Extent of the result along one axis, and what is cut before it. */
static enum error_code resolve_axis(struct importer *importer, const struct window *window, int axis, int32_t in, int64_t extra, int64_t wanted,
                                    int32_t *cut, int32_t *extent)
{
    int64_t reach = (int64_t)(window->kernel[axis] - 1) * window->dilation[axis] + 1;
    int64_t full = (int64_t)window->stride[axis] * (in - 1) + extra + reach, before = window->before[axis];
    int64_t out = full - before - window->after[axis];
    if (window->same)
        wanted = (int64_t)in * window->stride[axis];
    if (wanted > 0) {
        int64_t total = full - wanted;
        out = wanted;
        before = window->same && !window->same_lower ? total / 2 : total - total / 2;
    }
    if (out < 1 || out > 1 << 20 || before < -(1 << 20) || before > 1 << 20)
        return import_fail(importer, ERROR_MODEL, "a result of %lld along axis %d", (long long)out, axis);
    *cut = (int32_t)before;
    *extent = (int32_t)out;
    return ERROR_NONE;
}

static enum error_code add_height(struct importer *importer, int32_t *value)
{
    const struct shape shape = import_value(importer, *value)->shape;
    return import_reshape(importer, *value, &(struct shape){.rank = 4, .dims = {shape.dims[0], shape.dims[1], 1, shape.dims[2]}}, value);
}

enum error_code import_conv_transpose(struct importer *importer)
{
    int32_t operands[3], value;
    struct window window;
    struct integers extra, wanted;
    for (int i = 0; i < 3; i++)
        TRY(import_input(importer, i, i < 2, &operands[i]));
    const struct shape shape = import_value(importer, operands[0])->shape, kernel = import_value(importer, operands[1])->shape;
    TRY(import_window(importer, &shape, &window));
    TRY(import_integers_either(importer, "output_padding", -1, &extra));
    TRY(import_integers_either(importer, "output_shape", -1, &wanted));
    if (window.axes > 2 || kernel.rank != shape.rank)
        return import_fail(importer, ERROR_UNSUPPORTED, "an input of rank %d with weights of rank %d", shape.rank, kernel.rank);
    if ((extra.count != 0 && extra.count != window.axes) || (wanted.count != 0 && wanted.count < window.axes))
        return import_fail(importer, ERROR_MODEL, "output_padding or output_shape for another number of axes");
    struct shape result = {.rank = 4, .dims = {shape.dims[0], 1, 1, (int32_t)((int64_t)kernel.dims[1] * window.groups)}};
    struct spatial spatial;
    for (int i = 0; i < window.axes; i++) {
        int64_t more = extra.count > 0 ? extra.values[i] : 0, size = wanted.count > 0 ? wanted.values[wanted.count - window.axes + i] : 0;
        if (more < 0 || more > 1 << 20 || size < 0 || size > 1 << 20)
            return import_fail(importer, ERROR_MODEL, "output_padding or output_shape beyond 2^20");
        window.kernel[i] = kernel.dims[2 + i];
        TRY(resolve_axis(importer, &window, i, shape.dims[2 + i], more, size, &window.before[i], &result.dims[1 + i + (2 - window.axes)]));
    }
    spatial = window_plane(&window, window.axes == 2 ? 0 : -1, window.axes - 1);
    if (window.axes == 1) {
        TRY(add_height(importer, &operands[0]));
        TRY(add_height(importer, &operands[1]));
    }
    TRY(arrange_weights(importer, operands[1], window.groups, &operands[1]));
    TRY(import_to_nhwc(importer, operands[0], &operands[0]));
    struct node *node = import_node(importer, OPERATOR_CONV_TRANSPOSE, operands, 3, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.spatial = spatial;
    importer->graph->values[node->outputs[0]].shape = result;
    importer->graph->values[node->outputs[0]].shape_known = true;
    TRY(import_finish(importer, &value));
    TRY(import_to_nchw(importer, value, &value));
    if (window.axes == 1)
        TRY(import_reshape(importer, value, &(struct shape){.rank = 3, .dims = {result.dims[0], result.dims[3], result.dims[2]}}, &value));
    return import_bind(importer, 0, value);
}

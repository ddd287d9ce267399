/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that move elements or compute shapes. Their operands must be known when the model is loaded. */
#include "inference/onnx/import.h"

#include <math.h>
#include <string.h>

static enum error_code bind_reshaped(struct importer *importer, int32_t input, const struct shape *shape)
{
    struct quantization quantization = import_value(importer, input)->quantization;
    int32_t output;
    if (shape_elements(shape) != shape_elements(&import_value(importer, input)->shape))
        return import_fail(importer, ERROR_MODEL, "the new shape has another number of elements");
    TRY(import_reshape(importer, input, shape, &output));
    importer->graph->values[output].quantization = quantization;
    return import_bind(importer, 0, output);
}

static enum error_code check_rank(struct importer *importer, int rank)
{
    return rank <= TENSOR_RANK_MAX ? ERROR_NONE : import_fail(importer, ERROR_UNSUPPORTED, "a result of rank %d", rank);
}

static enum error_code import_reshape_node(struct importer *importer)
{
    int32_t input;
    struct integers target;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "shape", 1, &target));
    TRY(check_rank(importer, target.count));
    const struct shape from = import_value(importer, input)->shape;
    int64_t known = 1, total = shape_elements(&from);
    struct shape shape = {.rank = target.count};
    int open = -1;
    for (int i = 0; i < target.count; i++) {
        int64_t dim = target.values[i];
        if (dim == 0 && import_int(importer, "allowzero", 0) == 0 && i < from.rank)
            dim = from.dims[i];
        if (dim == -1 && open < 0) {
            open = i;
            dim = 1;
        }
        if (dim < 0 || dim > INT32_MAX || (known *= dim) > TENSOR_ELEMENTS_MAX)
            return import_fail(importer, ERROR_MODEL, "a dimension of %lld", (long long)target.values[i]);
        shape.dims[i] = (int32_t)dim;
    }
    if (open >= 0) {
        if (known == 0 || total % known != 0)
            return import_fail(importer, ERROR_MODEL, "%lld elements do not fit the new shape", (long long)total);
        shape.dims[open] = (int32_t)(total / known);
    }
    return bind_reshaped(importer, input, &shape);
}

static enum error_code import_flatten(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    const struct shape from = import_value(importer, input)->shape;
    int64_t axis = import_int(importer, "axis", 1), rows = 1;
    axis = axis < 0 ? axis + from.rank : axis;
    if (axis < 0 || axis > from.rank)
        return import_fail(importer, ERROR_MODEL, "axis %lld", (long long)axis);
    for (int i = 0; i < axis; i++)
        rows *= from.dims[i];
    int64_t total = shape_elements(&from);
    struct shape shape = {.rank = 2, .dims = {(int32_t)rows, (int32_t)(rows > 0 ? total / rows : 0)}};
    return bind_reshaped(importer, input, &shape);
}

static enum error_code import_squeeze(struct importer *importer)
{
    int32_t input, axis;
    struct integers axes;
    bool drop[TENSOR_RANK_MAX] = {false};
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "axes", 1, &axes));
    const struct shape from = import_value(importer, input)->shape;
    for (int i = 0; i < axes.count; i++) {
        TRY(import_axis(importer, axes.values[i], from.rank, &axis));
        drop[axis] = true;
    }
    struct shape shape = {0};
    for (int i = 0; i < from.rank; i++) {
        if (axes.count == 0 ? from.dims[i] != 1 : !drop[i])
            shape.dims[shape.rank++] = from.dims[i];
    }
    return bind_reshaped(importer, input, &shape);
}

static enum error_code import_unsqueeze(struct importer *importer)
{
    int32_t input, axis;
    struct integers axes;
    bool added[TENSOR_RANK_MAX] = {false};
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "axes", 1, &axes));
    const struct shape from = import_value(importer, input)->shape;
    struct shape shape = {.rank = from.rank + axes.count};
    TRY(check_rank(importer, shape.rank));
    for (int i = 0; i < axes.count; i++) {
        TRY(import_axis(importer, axes.values[i], shape.rank, &axis));
        if (added[axis])
            return import_fail(importer, ERROR_MODEL, "axis %d twice", axis);
        added[axis] = true;
    }
    for (int i = 0, k = 0; i < shape.rank; i++)
        shape.dims[i] = added[i] ? 1 : from.dims[k++];
    return bind_reshaped(importer, input, &shape);
}

static enum error_code import_transpose_node(struct importer *importer)
{
    int32_t input, output, order[TENSOR_RANK_MAX];
    TRY(import_input(importer, 0, true, &input));
    int rank = import_value(importer, input)->shape.rank;
    struct integers given;
    TRY(import_integers_either(importer, "perm", -1, &given));
    if (given.count != 0 && given.count != rank)
        return import_fail(importer, ERROR_MODEL, "perm has %d entries for rank %d", given.count, rank);
    for (int i = 0; i < rank; i++) {
        if (given.count > 0)
            TRY(import_axis(importer, given.values[i], rank, &order[i]));
        else
            order[i] = rank - 1 - i;
    }
    TRY(import_transpose(importer, input, order, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_concat(struct importer *importer)
{
    int32_t inputs[256];
    int count = importer->node->input_count;
    if (count < 1 || count > 256)
        return import_fail(importer, ERROR_UNSUPPORTED, "%d inputs", count);
    for (int i = 0; i < count; i++)
        TRY(import_input(importer, i, true, &inputs[i]));
    int rank = import_value(importer, inputs[0])->shape.rank;
    struct node *node = import_node(importer, OPERATOR_CONCAT, inputs, count, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_axis(importer, import_int(importer, "axis", 1), rank, &node->attributes.axis.axis));
    return import_finish_bind(importer);
}

static enum error_code import_split(struct importer *importer)
{
    int32_t input, axis, output;
    struct integers parts;
    TRY(import_input(importer, 0, true, &input));
    const struct shape from = import_value(importer, input)->shape;
    TRY(import_axis(importer, import_int(importer, "axis", 0), from.rank, &axis));
    TRY(import_integers_either(importer, "split", 1, &parts));
    int count = importer->node->output_count;
    if (count < 1 || (parts.count != 0 && parts.count != count))
        return import_fail(importer, ERROR_MODEL, "%d lengths for %d outputs", parts.count, count);
    int32_t even = (from.dims[axis] + count - 1) / count, begin[TENSOR_RANK_MAX] = {0}, step[TENSOR_RANK_MAX];
    for (int i = 0; i < TENSOR_RANK_MAX; i++)
        step[i] = 1;
    for (int i = 0; i < count; i++) {
        int64_t length = parts.count > 0 ? parts.values[i] : even;
        int64_t left = from.dims[axis] - begin[axis];
        if (parts.count == 0 && length > left)
            length = left;
        if (length < 0 || length > left)
            return import_fail(importer, ERROR_MODEL, "part %d of length %lld", i, (long long)length);
        struct shape shape = from;
        shape.dims[axis] = (int32_t)length;
        TRY(import_slice_of(importer, input, begin, step, shape.dims, &output)); /* a part is a view of its input's rows */
        TRY(import_bind(importer, i, output));
        begin[axis] += (int32_t)length;
    }
    return ERROR_NONE;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static enum error_code import_slice(struct importer *importer)
{
    int32_t input, axis, output, begin[TENSOR_RANK_MAX] = {0}, step[TENSOR_RANK_MAX];
    struct integers starts, ends, axes, steps;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "starts", 1, &starts));
    TRY(import_integers_either(importer, "ends", 2, &ends));
    TRY(import_integers_either(importer, "axes", 3, &axes));
    TRY(import_integers_either(importer, "steps", 4, &steps));
    struct shape shape = import_value(importer, input)->shape;
    if (starts.count != ends.count || starts.count > shape.rank || (axes.count != 0 && axes.count != starts.count) ||
        (steps.count != 0 && steps.count != starts.count))
        return import_fail(importer, ERROR_MODEL, "starts, ends, axes and steps of different lengths");
    for (int i = 0; i < TENSOR_RANK_MAX; i++)
        step[i] = 1;
    for (int i = 0; i < starts.count; i++) {
        TRY(import_axis(importer, axes.count > 0 ? axes.values[i] : i, shape.rank, &axis));
        int64_t dim = import_value(importer, input)->shape.dims[axis], by = steps.count > 0 ? steps.values[i] : 1;
        if (by == 0 || by < -INT32_MAX || by > INT32_MAX)
            return import_fail(importer, ERROR_MODEL, "a step of %lld", (long long)by);
        int64_t start = clamp(starts.values[i], -dim, dim), end = clamp(ends.values[i], -dim - 1, dim);
        start = start < 0 ? start + dim : start;
        end = ends.values[i] < -dim ? -1 : end < 0 ? end + dim : end;
        start = by > 0 ? clamp(start, 0, dim) : clamp(start, 0, dim - 1);
        end = by > 0 ? clamp(end, 0, dim) : clamp(end, -1, dim - 1);
        int64_t extent = by > 0 ? (end - start + by - 1) / by : (start - end - by - 1) / -by;
        begin[axis] = (int32_t)(extent > 0 ? start : 0);
        step[axis] = (int32_t)by;
        shape.dims[axis] = (int32_t)(extent > 0 ? extent : 0);
    }
    TRY(import_slice_of(importer, input, begin, step, shape.dims, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_shape_of(struct importer *importer)
{
    int32_t input, output;
    TRY(import_input(importer, 0, true, &input));
    const struct shape from = import_value(importer, input)->shape;
    int64_t *dims = arena_allocate_array(&importer->graph->arena, TENSOR_RANK_MAX, sizeof *dims);
    if (dims == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    int64_t start = import_int(importer, "start", 0), end = import_int(importer, "end", from.rank);
    start = clamp(start < 0 ? start + from.rank : start, 0, from.rank);
    end = clamp(end < 0 ? end + from.rank : end, start, from.rank);
    for (int64_t i = start; i < end; i++)
        dims[i - start] = from.dims[i];
    TRY(import_constant(importer, DTYPE_I64, &(struct shape){.rank = 1, .dims = {(int32_t)(end - start)}}, dims, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_constant_node(struct importer *importer)
{
    const struct onnx_attribute *value = import_attribute(importer, "value"), *number = import_attribute(importer, "value_float"),
                                *integer = import_attribute(importer, "value_int"), *list = import_attribute(importer, "value_ints");
    int32_t output;
    if (value != NULL && value->tensor != NULL)
        TRY(import_constant(importer, value->tensor->dtype, &value->tensor->shape, value->tensor->data, &output));
    else if (number != NULL)
        TRY(import_constant(importer, DTYPE_F32, &(struct shape){.rank = 0}, &number->f, &output));
    else if (integer != NULL)
        TRY(import_constant(importer, DTYPE_I64, &(struct shape){.rank = 0}, &integer->i, &output));
    else if (list != NULL)
        TRY(import_constant(importer, DTYPE_I64, &(struct shape){.rank = 1, .dims = {list->int_count}}, list->ints, &output));
    else
        return import_fail(importer, ERROR_UNSUPPORTED, "a constant that is no tensor or number");
    if (import_value(importer, output)->dtype == DTYPE_F16)
        TRY(import_cast(importer, output, DTYPE_F32, &output));
    return import_bind(importer, 0, output);
}

static enum error_code shape_from(struct importer *importer, const struct integers *list, struct shape *shape)
{
    TRY(check_rank(importer, list->count));
    shape->rank = list->count;
    for (int i = 0; i < list->count; i++) {
        if (list->values[i] < 0 || list->values[i] > TENSOR_ELEMENTS_MAX)
            return import_fail(importer, ERROR_MODEL, "a dimension of %lld", (long long)list->values[i]);
        shape->dims[i] = (int32_t)list->values[i];
    }
    return shape_elements(shape) >= 0 ? ERROR_NONE : import_fail(importer, ERROR_LIMIT, "a tensor of more elements than eddy takes");
}

/* data[0 .. total) is zero. What stays zero is not touched: it takes no memory. */
static void fill_with(char *data, size_t total, const char *element, size_t bytes)
{
    if (total == 0 || memcmp(data, element, bytes) == 0)
        return;
    memcpy(data, element, bytes);
    for (size_t done = bytes, part; done < total; done += part) {
        part = done < total - done ? done : total - done;
        memcpy(data + done, data, part);
    }
}

static enum error_code import_constant_of_shape(struct importer *importer)
{
    struct integers target;
    struct shape shape;
    int32_t output;
    TRY(import_integers_either(importer, "", 0, &target));
    TRY(shape_from(importer, &target, &shape));
    const struct onnx_attribute *value = import_attribute(importer, "value");
    const struct tensor *fill = value != NULL ? value->tensor : NULL;
    enum dtype dtype = fill != NULL ? fill->dtype : DTYPE_F32;
    int64_t count = shape_elements(&shape);
    size_t bytes = dtype_bytes(dtype);
    if (fill != NULL && shape_elements(&fill->shape) != 1)
        return import_fail(importer, ERROR_MODEL, "a value of more than one element");
    size_t total = (size_t)count * bytes;
    char *data = graph_take_work(importer->graph, total) ? arena_allocate(&importer->graph->arena, total) : NULL;
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "%lld elements: more memory than eddy allows", (long long)count);
    if (fill != NULL)
        fill_with(data, total, fill->data, bytes);
    TRY(import_constant(importer, dtype, &shape, data, &output));
    return import_bind(importer, 0, output);
}

/* Broadcasting both ways, as numpy: the result's shape of input and target. */
static enum error_code import_expand(struct importer *importer)
{
    int32_t input;
    struct integers list;
    struct shape target;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "", 1, &list));
    TRY(shape_from(importer, &list, &target));
    const struct shape from = import_value(importer, input)->shape;
    struct shape shape = {.rank = from.rank > target.rank ? from.rank : target.rank};
    for (int i = 0; i < shape.rank; i++) {
        int32_t a = i < from.rank ? from.dims[from.rank - 1 - i] : 1, b = i < target.rank ? target.dims[target.rank - 1 - i] : 1;
        if (a != b && a != 1 && b != 1)
            return import_fail(importer, ERROR_MODEL, "%d does not broadcast to %d", a, b);
        shape.dims[shape.rank - 1 - i] = a == 1 ? b : a;
    }
    struct node *node = import_node(importer, OPERATOR_EXPAND, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    importer->graph->values[node->outputs[0]].shape = shape;
    importer->graph->values[node->outputs[0]].shape_known = true;
    return import_finish_bind(importer);
}

static enum error_code read_pad_mode(struct importer *importer, enum pad_mode *mode_out)
{
    static const char *const names[] = {[PAD_CONSTANT] = "constant", [PAD_EDGE] = "edge", [PAD_REFLECT] = "reflect", [PAD_WRAP] = "wrap"};
    *mode_out = PAD_CONSTANT;
    if (import_attribute(importer, "mode") == NULL)
        return ERROR_NONE;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (import_text_is(importer, "mode", names[i])) {
            *mode_out = (enum pad_mode)i;
            return ERROR_NONE;
        }
    }
    return import_fail(importer, ERROR_UNSUPPORTED, "this mode of padding");
}

/* Pads of every axis, before and after; those not named stay 0. */
static enum error_code read_pads(struct importer *importer, int rank, int64_t before[TENSOR_RANK_MAX], int64_t after[TENSOR_RANK_MAX])
{
    struct integers pads, axes;
    int32_t axis;
    TRY(import_integers_either(importer, importer->model->opset < 2 ? "paddings" : "pads", 1, &pads));
    TRY(import_integers_either(importer, "", 3, &axes));
    int count = axes.count > 0 ? axes.count : rank;
    if (pads.count != 2 * count)
        return import_fail(importer, ERROR_MODEL, "%d pads for %d axes", pads.count, count);
    memset(before, 0, TENSOR_RANK_MAX * sizeof *before);
    memset(after, 0, TENSOR_RANK_MAX * sizeof *after);
    for (int i = 0; i < count; i++) {
        TRY(import_axis(importer, axes.count > 0 ? axes.values[i] : i, rank, &axis));
        before[axis] = pads.values[i];
        after[axis] = pads.values[count + i];
        if (before[axis] < -(1 << 20) || before[axis] > 1 << 20 || after[axis] < -(1 << 20) || after[axis] > 1 << 20)
            return import_fail(importer, ERROR_MODEL, "a pad beyond 2^20");
    }
    return ERROR_NONE;
}

/* Negative pads cut: a slice before the pad. */
static enum error_code cut_edges(struct importer *importer, int64_t *before, int64_t *after, int32_t *value)
{
    const struct shape shape = import_value(importer, *value)->shape;
    int32_t begin[TENSOR_RANK_MAX], step[TENSOR_RANK_MAX], count[TENSOR_RANK_MAX];
    bool cuts = false;
    for (int i = 0; i < shape.rank; i++) {
        int64_t first = before[i] < 0 ? -before[i] : 0, last = after[i] < 0 ? -after[i] : 0;
        if (first + last > shape.dims[i])
            return import_fail(importer, ERROR_MODEL, "pads that cut more than there is");
        cuts = cuts || first + last > 0;
        begin[i] = (int32_t)first;
        step[i] = 1;
        count[i] = (int32_t)(shape.dims[i] - first - last);
        before[i] = before[i] < 0 ? 0 : before[i];
        after[i] = after[i] < 0 ? 0 : after[i];
    }
    return cuts ? import_slice_of(importer, *value, begin, step, count, value) : ERROR_NONE;
}

static enum error_code import_pad(struct importer *importer)
{
    int32_t input, fill;
    int64_t before[TENSOR_RANK_MAX], after[TENSOR_RANK_MAX];
    enum pad_mode mode;
    double value = (double)import_float(importer, "value", 0);
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 2, false, &fill));
    TRY(read_pad_mode(importer, &mode));
    if (fill >= 0)
        TRY(import_scalar(importer, fill, &value));
    int rank = import_value(importer, input)->shape.rank;
    TRY(read_pads(importer, rank, before, after));
    TRY(cut_edges(importer, before, after, &input));
    struct node *node = import_node(importer, OPERATOR_PAD, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.pad.value = (float)value;
    node->attributes.pad.mode = mode;
    for (int i = 0; i < rank; i++) {
        node->attributes.pad.before[i] = (int32_t)before[i];
        node->attributes.pad.after[i] = (int32_t)after[i];
    }
    return import_finish_bind(importer);
}

/* Each repeated axis: [outer, 1, inner] broadcast to [outer, times, inner]. */
static enum error_code repeat(struct importer *importer, int axis, int64_t times, int32_t *value)
{
    const struct shape from = import_value(importer, *value)->shape;
    struct shape split = {.rank = 3, .dims = {1, 1, 1}}, result = from;
    for (int i = 0; i < from.rank; i++)
        split.dims[i < axis ? 0 : 2] *= from.dims[i];
    if (times < 0 || times > TENSOR_ELEMENTS_MAX || shape_elements(&from) * times > TENSOR_ELEMENTS_MAX)
        return import_fail(importer, ERROR_LIMIT, "%lld repeats", (long long)times);
    TRY(import_reshape(importer, *value, &split, value));
    struct node *node = import_node(importer, OPERATOR_EXPAND, value, 1, 1);
    if (node == NULL)
        return importer->error->code;
    split.dims[1] = (int32_t)times;
    importer->graph->values[node->outputs[0]].shape = split;
    importer->graph->values[node->outputs[0]].shape_known = true;
    TRY(import_finish(importer, value));
    result.dims[axis] *= (int32_t)times;
    return import_reshape(importer, *value, &result, value);
}

static enum error_code import_tile(struct importer *importer)
{
    int32_t value;
    struct integers repeats;
    TRY(import_input(importer, 0, true, &value));
    TRY(import_integers_either(importer, "", 1, &repeats));
    if (repeats.count != import_value(importer, value)->shape.rank)
        return import_fail(importer, ERROR_MODEL, "%d repeats for rank %d", repeats.count, import_value(importer, value)->shape.rank);
    for (int i = 0; i < repeats.count; i++) {
        if (repeats.values[i] != 1)
            TRY(repeat(importer, i, repeats.values[i], &value));
    }
    return import_bind(importer, 0, value);
}

/* [N, C, H, W] cut into blocks: reshape to six axes, transpose, reshape. */
static enum error_code import_depth_space(struct importer *importer)
{
    int32_t value;
    TRY(import_input(importer, 0, true, &value));
    const struct shape from = import_value(importer, value)->shape;
    int64_t size = import_int(importer, "blocksize", 0);
    bool to_space = strcmp(importer->node->op, "DepthToSpace") == 0, crd = import_text_is(importer, "mode", "CRD");
    if (from.rank != 4 || size < 1 || size > 1 << 10 || (to_space ? from.dims[1] % (size * size) != 0 : from.dims[2] % size != 0 || from.dims[3] % size != 0))
        return import_fail(importer, ERROR_MODEL, "a block size that does not divide the input");
    int32_t b = (int32_t)size, n = from.dims[0], c = from.dims[1], h = from.dims[2], w = from.dims[3];
    struct shape split = {.rank = 6, .dims = {n, c, h / b, b, w / b, b}}, result = {.rank = 4, .dims = {n, c * b * b, h / b, w / b}};
    static const int32_t to_depth[6] = {0, 3, 5, 1, 2, 4}, columns_first[6] = {0, 1, 4, 2, 5, 3}, depth_first[6] = {0, 3, 4, 1, 5, 2};
    const int32_t *order = to_depth;
    if (to_space) {
        split = crd ? (struct shape){.rank = 6, .dims = {n, c / (b * b), b, b, h, w}} : (struct shape){.rank = 6, .dims = {n, b, b, c / (b * b), h, w}};
        order = crd ? columns_first : depth_first;
        result = (struct shape){.rank = 4, .dims = {n, c / (b * b), h * b, w * b}};
    }
    if (shape_elements(&split) != shape_elements(&from) || shape_elements(&result) != shape_elements(&from))
        return import_fail(importer, ERROR_LIMIT, "more elements than eddy takes");
    TRY(import_reshape(importer, value, &split, &value));
    TRY(import_transpose(importer, value, order, &value));
    TRY(import_reshape(importer, value, &result, &value));
    return import_bind(importer, 0, value);
}

/* Start, limit and step known when the model is opened: the result is a constant. */
static enum error_code import_range(struct importer *importer)
{
    enum { RANGE_ELEMENTS_MAX = 1 << 24 };
    int32_t operand, output;
    double limits[3];
    enum dtype dtype = DTYPE_F32;
    for (int i = 0; i < 3; i++) {
        TRY(import_input(importer, i, true, &operand));
        TRY(import_scalar(importer, operand, &limits[i]));
        dtype = import_value(importer, operand)->dtype;
    }
    double count = ceil((limits[1] - limits[0]) / limits[2]);
    if (limits[2] == 0 || !(count <= RANGE_ELEMENTS_MAX) || fabs(limits[0]) > 9e15 || fabs(limits[1]) > 9e15)
        return import_fail(importer, ERROR_LIMIT, "from %g to %g by %g", limits[0], limits[1], limits[2]);
    int32_t elements = count > 0 ? (int32_t)count : 0;
    void *data = arena_allocate_array(&importer->graph->arena, (size_t)elements, dtype_bytes(dtype));
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    for (int32_t i = 0; i < elements; i++)
        element_write(dtype, data, i, limits[0] + i * limits[2]);
    TRY(import_constant(importer, dtype, &(struct shape){.rank = 1, .dims = {elements}}, data, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_size(struct importer *importer)
{
    int32_t input, output;
    TRY(import_input(importer, 0, true, &input));
    int64_t *data = arena_allocate(&importer->graph->arena, sizeof *data);
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    *data = shape_elements(&import_value(importer, input)->shape);
    TRY(import_constant(importer, DTYPE_I64, &(struct shape){.rank = 0}, data, &output));
    return import_bind(importer, 0, output);
}

const struct import_row import_shape_rows[] = {
    {"Reshape", import_reshape_node, OPERATOR_RESHAPE, "all", "target known at open"},
    {"Flatten", import_flatten, OPERATOR_RESHAPE, "all", ""},
    {"Squeeze", import_squeeze, OPERATOR_RESHAPE, "all", "axes known at open"},
    {"Unsqueeze", import_unsqueeze, OPERATOR_RESHAPE, "all", "axes known at open"},
    {"Transpose", import_transpose_node, OPERATOR_TRANSPOSE, "all", ""},
    {"Concat", import_concat, OPERATOR_CONCAT, "all", "up to 256 inputs"},
    {"Split", import_split, OPERATOR_SLICE, "all", "lengths known at open"},
    {"Slice", import_slice, OPERATOR_SLICE, "all", "bounds known at open"},
    {"Shape", import_shape_of, OPERATOR_SHAPE, "all", ""},
    {"Size", import_size, OPERATOR_SHAPE, "all", ""},
    {"Constant", import_constant_node, OPERATOR_SHAPE, "all", "no strings, no sparse tensors"},
    {"ConstantOfShape", import_constant_of_shape, OPERATOR_CONSTANT_OF_SHAPE, "all", "shape known at open"},
    {"Expand", import_expand, OPERATOR_EXPAND, "all", "shape known at open"},
    {"Tile", import_tile, OPERATOR_EXPAND, "all", "repeats known at open"},
    {"Pad", import_pad, OPERATOR_PAD, "all", "pads and value known at open"},
    {"DepthToSpace", import_depth_space, OPERATOR_TRANSPOSE, "all", ""},
    {"SpaceToDepth", import_depth_space, OPERATOR_TRANSPOSE, "all", ""},
    {"Range", import_range, OPERATOR_SHAPE, "f32, all integers", "operands known at open"},
    {0},
};

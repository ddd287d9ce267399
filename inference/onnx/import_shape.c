/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that move elements or compute shapes. Their operands must be known when the model is loaded. */
#include "inference/onnx/import.h"

#include <string.h>

static enum error_code finish_bind(struct importer *importer)
{
    int32_t output;
    TRY(import_finish(importer, &output));
    return import_bind(importer, 0, output);
}

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
    return finish_bind(importer);
}

/* One slice per part: a part is a view of its input's rows. */
static enum error_code slice(struct importer *importer, int32_t input, const int32_t *begin, const int32_t *step, const struct shape *shape,
                             int32_t *value_out)
{
    struct node *node = import_node(importer, OPERATOR_SLICE, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    memcpy(node->attributes.slice.begin, begin, TENSOR_RANK_MAX * sizeof *begin);
    memcpy(node->attributes.slice.step, step, TENSOR_RANK_MAX * sizeof *step);
    struct value *output = &importer->graph->values[node->outputs[0]];
    output->shape = *shape;
    output->shape_known = true;
    return import_finish(importer, value_out);
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
        TRY(slice(importer, input, begin, step, &shape, &output));
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
    TRY(slice(importer, input, begin, step, &shape, &output));
    return import_bind(importer, 0, output);
}

static enum error_code import_gather(struct importer *importer)
{
    int32_t operands[2];
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, true, &operands[1]));
    int rank = import_value(importer, operands[0])->shape.rank;
    struct node *node = import_node(importer, OPERATOR_GATHER, operands, 2, 1);
    if (node == NULL)
        return importer->error->code;
    TRY(import_axis(importer, import_int(importer, "axis", 0), rank, &node->attributes.axis.axis));
    return finish_bind(importer);
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

static enum error_code import_constant_of_shape(struct importer *importer)
{
    enum { FILL_ELEMENTS_MAX = 64 << 20 }; /* a few bytes of file must not buy gigabytes */
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
    char *data = count <= FILL_ELEMENTS_MAX ? arena_allocate_array(&importer->graph->arena, (size_t)count, bytes) : NULL;
    if (data == NULL)
        return import_fail(importer, ERROR_LIMIT, "%lld elements: more memory than eddy allows", (long long)count);
    for (int64_t i = 0; fill != NULL && i < count; i++)
        memcpy(data + (size_t)i * bytes, fill->data, bytes);
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
    return finish_bind(importer);
}

static enum error_code import_one_hot(struct importer *importer)
{
    int32_t operands[2], depth_value, axis;
    double depth;
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, true, &depth_value));
    TRY(import_input(importer, 2, true, &operands[1]));
    TRY(import_scalar(importer, depth_value, &depth));
    const struct shape from = import_value(importer, operands[0])->shape;
    TRY(check_rank(importer, from.rank + 1));
    TRY(import_axis(importer, import_int(importer, "axis", -1), from.rank + 1, &axis));
    if (!(depth >= 1 && depth <= 1 << 20))
        return import_fail(importer, ERROR_MODEL, "a depth of %g", depth);
    struct node *node = import_node(importer, OPERATOR_ONE_HOT, operands, 2, 1);
    if (node == NULL)
        return importer->error->code;
    struct shape shape = {.rank = from.rank + 1};
    for (int i = 0, k = 0; i < shape.rank; i++)
        shape.dims[i] = i == axis ? (int32_t)depth : from.dims[k++];
    node->attributes.axis.axis = axis;
    importer->graph->values[node->outputs[0]].shape = shape;
    importer->graph->values[node->outputs[0]].shape_known = true;
    return finish_bind(importer);
}

static enum error_code import_pad(struct importer *importer)
{
    int32_t input, fill;
    struct integers pads;
    double value = import_float(importer, "value", 0);
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "pads", 1, &pads));
    if (import_attribute(importer, "mode") != NULL && !import_text_is(importer, "mode", "constant"))
        return import_fail(importer, ERROR_UNSUPPORTED, "a mode that is not constant");
    TRY(import_input(importer, 2, false, &fill));
    if (fill >= 0)
        TRY(import_scalar(importer, fill, &value));
    int rank = import_value(importer, input)->shape.rank;
    struct node *node = import_node(importer, OPERATOR_PAD, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    if (pads.count != 2 * rank)
        return import_fail(importer, ERROR_MODEL, "%d pads for rank %d", pads.count, rank);
    node->attributes.pad.value = (float)value;
    for (int i = 0; i < rank; i++) {
        if (pads.values[i] < 0 || pads.values[i] > 1 << 20 || pads.values[rank + i] < 0 || pads.values[rank + i] > 1 << 20)
            return import_fail(importer, ERROR_UNSUPPORTED, "a pad that is negative or too large");
        node->attributes.pad.before[i] = (int32_t)pads.values[i];
        node->attributes.pad.after[i] = (int32_t)pads.values[rank + i];
    }
    return finish_bind(importer);
}

static enum error_code import_reduce(struct importer *importer)
{
    int32_t input;
    struct integers axes;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_integers_either(importer, "axes", 1, &axes));
    int rank = import_value(importer, input)->shape.rank;
    enum operator_kind kind = OPERATOR_REDUCE_MEAN;
    for (const struct import_row *row = import_shape_rows; row->op != NULL; row++) {
        if (strcmp(row->op, importer->node->op) == 0)
            kind = row->kind;
    }
    if (axes.count > TENSOR_RANK_MAX)
        return import_fail(importer, ERROR_MODEL, "%d axes", axes.count);
    struct node *node = import_node(importer, kind, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.reduce.count = axes.count;
    node->attributes.reduce.keep_dims = import_int(importer, "keepdims", 1) != 0;
    for (int i = 0; i < axes.count; i++)
        TRY(import_axis(importer, axes.values[i], rank, &node->attributes.reduce.axes[i]));
    return finish_bind(importer);
}

static enum error_code import_arg_max(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    int rank = import_value(importer, input)->shape.rank;
    struct node *node = import_node(importer, OPERATOR_ARG_MAX, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.arg.keep_dims = import_int(importer, "keepdims", 1) != 0;
    node->attributes.arg.last = import_int(importer, "select_last_index", 0) != 0;
    TRY(import_axis(importer, import_int(importer, "axis", 0), rank, &node->attributes.arg.axis));
    return finish_bind(importer);
}

const struct import_row import_shape_rows[] = {
    {"Reshape", import_reshape_node, OPERATOR_RESHAPE},
    {"Flatten", import_flatten, OPERATOR_RESHAPE},
    {"Squeeze", import_squeeze, OPERATOR_RESHAPE},
    {"Unsqueeze", import_unsqueeze, OPERATOR_RESHAPE},
    {"Transpose", import_transpose_node, OPERATOR_TRANSPOSE},
    {"Concat", import_concat, OPERATOR_CONCAT},
    {"Split", import_split, OPERATOR_SLICE},
    {"Slice", import_slice, OPERATOR_SLICE},
    {"Gather", import_gather, OPERATOR_GATHER},
    {"Shape", import_shape_of, OPERATOR_SHAPE},
    {"Constant", import_constant_node, OPERATOR_SHAPE},
    {"ConstantOfShape", import_constant_of_shape, OPERATOR_CONSTANT_OF_SHAPE},
    {"Expand", import_expand, OPERATOR_EXPAND},
    {"OneHot", import_one_hot, OPERATOR_ONE_HOT},
    {"Pad", import_pad, OPERATOR_PAD},
    {"ReduceMean", import_reduce, OPERATOR_REDUCE_MEAN},
    {"ReduceSum", import_reduce, OPERATOR_REDUCE_SUM},
    {"ReduceMax", import_reduce, OPERATOR_REDUCE_MAX},
    {"ReduceMin", import_reduce, OPERATOR_REDUCE_MIN},
    {"ArgMax", import_arg_max, OPERATOR_ARG_MAX},
    {NULL, NULL, OPERATOR_COUNT},
};

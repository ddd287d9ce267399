/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that move, cut, join or reduce. */
#include "inference/tflite/convert.h"

#include <stdlib.h>
#include <string.h>

static const int32_t ones[TENSOR_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};

/* RESHAPE: the shape is an operand, else an option; one -1 is what is left over. */
enum error_code convert_reshape_to(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand, result;
    struct convert_integers dims = {0};
    (void)kind;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, false, &operand));
    struct flatbuffer_vector option = flatbuffer_list(&converter->options, 0, 4);
    if (operand >= 0) {
        TRY(convert_integers(converter, operand, &dims));
    } else if (option.count <= TENSOR_RANK_MAX) {
        dims.count = (int)option.count;
        for (uint32_t i = 0; i < option.count; i++)
            dims.values[i] = flatbuffer_element_i32(&option, i);
    } else {
        return convert_fail(converter, ERROR_UNSUPPORTED, "a shape of %u dimensions", option.count);
    }
    int64_t elements = shape_elements(&convert_value(converter, input)->shape), known = 1;
    struct shape shape = {.rank = dims.count};
    int open = -1;
    for (int i = 0; i < dims.count; i++) {
        shape.dims[i] = dims.values[i];
        if (dims.values[i] == -1 && open < 0)
            open = i;
        else if (dims.values[i] < 0 || (known *= dims.values[i]) > TENSOR_ELEMENTS_MAX)
            return convert_fail(converter, ERROR_MODEL, "a dimension of %d", dims.values[i]);
    }
    if (open >= 0)
        shape.dims[open] = known > 0 ? (int32_t)(elements / known) : 0;
    TRY(convert_reshape(converter, input, &shape, 0, &result));
    return convert_bind(converter, 0, result);
}

/* SQUEEZE, EXPAND_DIMS: the same elements, dimensions of one dropped or added. */
enum error_code convert_same_elements(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand, result, axis;
    (void)kind;
    TRY(convert_input(converter, 0, true, &input));
    struct shape shape = convert_value(converter, input)->shape, made = {0};
    bool drop[TENSOR_RANK_MAX] = {false};
    if (strcmp(converter->op, "EXPAND_DIMS") == 0) {
        struct convert_integers where;
        TRY(convert_input(converter, 1, true, &operand));
        TRY(convert_integers(converter, operand, &where));
        if (where.count != 1 || shape.rank == TENSOR_RANK_MAX)
            return convert_fail(converter, ERROR_UNSUPPORTED, "more than one axis or too many dimensions");
        TRY(convert_axis(converter, where.values[0], shape.rank + 1, &axis));
        made.rank = shape.rank + 1;
        for (int i = 0; i < made.rank; i++)
            made.dims[i] = i == axis ? 1 : shape.dims[i > axis ? i - 1 : i];
    } else {
        struct flatbuffer_vector dims = flatbuffer_list(&converter->options, 0, 4);
        for (uint32_t i = 0; i < dims.count; i++) {
            TRY(convert_axis(converter, flatbuffer_element_i32(&dims, i), shape.rank, &axis));
            drop[axis] = true;
        }
        for (int i = 0; i < shape.rank; i++) {
            if (dims.count == 0 ? shape.dims[i] != 1 : !drop[i])
                made.dims[made.rank++] = shape.dims[i];
        }
    }
    TRY(convert_reshape(converter, input, &made, 0, &result));
    return convert_bind(converter, 0, result);
}

static enum error_code join(struct converter *converter, const int32_t *parts, uint32_t count, int32_t axis, int32_t *value_out)
{
    struct node *node;
    TRY(convert_begin(converter, OPERATOR_CONCAT, parts, (int)count, 0, &node));
    node->attributes.axis.axis = axis;
    return convert_finish(converter, value_out);
}

/* The operator's inputs. */
static enum error_code read_parts(struct converter *converter, int32_t **parts_out)
{
    uint32_t count = converter->inputs.count;
    if (count < 1 || count > NODE_INPUTS_MAX)
        return convert_fail(converter, ERROR_MODEL, "%u inputs", count);
    int32_t *parts = arena_allocate_array(&converter->graph->arena, count, sizeof *parts);
    if (parts == NULL)
        return convert_fail(converter, ERROR_LIMIT, "no memory");
    for (uint32_t i = 0; i < count; i++)
        TRY(convert_input(converter, i, true, &parts[i]));
    *parts_out = parts;
    return ERROR_NONE;
}

enum error_code convert_concatenation(struct converter *converter, enum operator_kind kind)
{
    int32_t *parts, axis, result;
    (void)kind;
    TRY(read_parts(converter, &parts));
    if (flatbuffer_integer(&converter->options, 1, 1, 0) != 0)
        return convert_fail(converter, ERROR_UNSUPPORTED, "a fused activation");
    TRY(convert_axis(converter, flatbuffer_integer(&converter->options, 0, 4, 0), convert_value(converter, parts[0])->shape.rank, &axis));
    TRY(join(converter, parts, converter->inputs.count, axis, &result));
    return convert_bind(converter, 0, result);
}

/* PACK: each part gets a dimension of one, along which they are joined. */
enum error_code convert_pack(struct converter *converter, enum operator_kind kind)
{
    int32_t *parts, axis, result;
    (void)kind;
    TRY(read_parts(converter, &parts));
    struct shape shape = convert_value(converter, parts[0])->shape, wide = {.rank = shape.rank + 1};
    if (wide.rank > TENSOR_RANK_MAX)
        return convert_fail(converter, ERROR_UNSUPPORTED, "too many dimensions");
    TRY(convert_axis(converter, flatbuffer_integer(&converter->options, 1, 4, 0), wide.rank, &axis));
    for (int i = 0; i < wide.rank; i++)
        wide.dims[i] = i == axis ? 1 : shape.dims[i > axis ? i - 1 : i];
    for (uint32_t i = 0; i < converter->inputs.count; i++)
        TRY(convert_reshape(converter, parts[i], &wide, -1, &parts[i]));
    if (converter->inputs.count == 1)
        return convert_bind(converter, 0, parts[0]);
    TRY(join(converter, parts, converter->inputs.count, axis, &result));
    return convert_bind(converter, 0, result);
}

enum error_code convert_unpack(struct converter *converter, enum operator_kind kind)
{
    int32_t input, axis, begin[TENSOR_RANK_MAX] = {0}, part;
    (void)kind;
    TRY(convert_input(converter, 0, true, &input));
    struct shape cut = convert_value(converter, input)->shape, narrow = {.rank = cut.rank - 1};
    TRY(convert_axis(converter, flatbuffer_integer(&converter->options, 1, 4, 0), cut.rank, &axis));
    if ((uint32_t)cut.dims[axis] != converter->outputs.count)
        return convert_fail(converter, ERROR_MODEL, "%u outputs of an axis of %d", converter->outputs.count, cut.dims[axis]);
    for (int i = 0; i < narrow.rank; i++)
        narrow.dims[i] = cut.dims[i >= axis ? i + 1 : i];
    cut.dims[axis] = 1;
    for (uint32_t i = 0; i < converter->outputs.count; i++) {
        begin[axis] = (int32_t)i;
        TRY(convert_slice(converter, input, begin, ones, &cut, &part));
        TRY(convert_reshape(converter, part, &narrow, (int)i, &part));
        TRY(convert_bind(converter, i, part));
    }
    return ERROR_NONE;
}

enum error_code convert_split(struct converter *converter, enum operator_kind kind)
{
    int32_t where, input, axis, begin[TENSOR_RANK_MAX] = {0}, part;
    struct convert_integers axes;
    (void)kind;
    TRY(convert_input(converter, 0, true, &where));
    TRY(convert_input(converter, 1, true, &input));
    TRY(convert_integers(converter, where, &axes));
    struct shape cut = convert_value(converter, input)->shape;
    uint32_t count = converter->outputs.count;
    if (axes.count != 1 || count < 1)
        return convert_fail(converter, ERROR_MODEL, "expected one axis and at least one output");
    TRY(convert_axis(converter, axes.values[0], cut.rank, &axis));
    if ((uint32_t)cut.dims[axis] % count != 0)
        return convert_fail(converter, ERROR_MODEL, "an axis of %d in %u equal parts", cut.dims[axis], count);
    cut.dims[axis] /= (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        begin[axis] = (int32_t)i * cut.dims[axis];
        TRY(convert_slice(converter, input, begin, ones, &cut, &part));
        TRY(convert_bind(converter, i, part));
    }
    return ERROR_NONE;
}

static int32_t clamp(int64_t number, int32_t low, int32_t high)
{
    return number < low ? low : number > high ? high : (int32_t)number;
}

enum error_code convert_strided_slice(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operands[3], begin[TENSOR_RANK_MAX] = {0}, step[TENSOR_RANK_MAX], result;
    struct convert_integers parts[3];
    (void)kind;
    TRY(convert_input(converter, 0, true, &input));
    for (uint32_t i = 0; i < 3; i++) {
        TRY(convert_input(converter, i + 1, true, &operands[i]));
        TRY(convert_integers(converter, operands[i], &parts[i]));
    }
    const struct shape shape = convert_value(converter, input)->shape;
    int64_t begin_mask = flatbuffer_integer(&converter->options, 0, 4, 0), end_mask = flatbuffer_integer(&converter->options, 1, 4, 0);
    int64_t shrink = flatbuffer_integer(&converter->options, 4, 4, 0);
    if (flatbuffer_integer(&converter->options, 2, 4, 0) != 0 || flatbuffer_integer(&converter->options, 3, 4, 0) != 0 ||
        parts[0].count != shape.rank || parts[1].count != shape.rank || parts[2].count != shape.rank)
        return convert_fail(converter, ERROR_UNSUPPORTED, "ellipsis, new axes or fewer axes than the input has");
    struct shape cut = shape, narrow = {0};
    memcpy(step, ones, sizeof step);
    for (int i = 0; i < shape.rank; i++) {
        int32_t extent = shape.dims[i], stride = parts[2].values[i];
        int64_t first = parts[0].values[i], last = parts[1].values[i];
        if (stride < 1)
            return convert_fail(converter, ERROR_UNSUPPORTED, "a stride of %d", stride);
        first = begin_mask >> i & 1 ? 0 : clamp(first < 0 ? first + extent : first, 0, extent);
        last = end_mask >> i & 1 ? extent : clamp(last < 0 ? last + extent : last, 0, extent);
        if (shrink >> i & 1)
            last = first + 1;
        begin[i] = (int32_t)first;
        step[i] = stride;
        cut.dims[i] = last > first ? (int32_t)((last - first + stride - 1) / stride) : 0;
        if (!(shrink >> i & 1))
            narrow.dims[narrow.rank++] = cut.dims[i];
    }
    TRY(convert_slice(converter, input, begin, step, &cut, &result));
    TRY(convert_reshape(converter, result, &narrow, 0, &result));
    return convert_bind(converter, 0, result);
}

enum error_code convert_slice_to(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operands[2], begin[TENSOR_RANK_MAX] = {0}, result;
    struct convert_integers parts[2];
    (void)kind;
    TRY(convert_input(converter, 0, true, &input));
    for (uint32_t i = 0; i < 2; i++) {
        TRY(convert_input(converter, i + 1, true, &operands[i]));
        TRY(convert_integers(converter, operands[i], &parts[i]));
    }
    struct shape cut = convert_value(converter, input)->shape;
    if (parts[0].count != cut.rank || parts[1].count != cut.rank)
        return convert_fail(converter, ERROR_MODEL, "begins and sizes of another number than dimensions");
    for (int i = 0; i < cut.rank; i++) {
        begin[i] = parts[0].values[i];
        if (begin[i] < 0 || begin[i] > cut.dims[i])
            return convert_fail(converter, ERROR_MODEL, "a slice that begins at %d of %d", begin[i], cut.dims[i]);
        cut.dims[i] = parts[1].values[i] == -1 ? cut.dims[i] - begin[i] : parts[1].values[i];
    }
    TRY(convert_slice(converter, input, begin, ones, &cut, &result));
    return convert_bind(converter, 0, result);
}

enum error_code convert_pad(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, true, &operand));
    const struct value *pads = convert_value(converter, operand);
    int rank = convert_value(converter, input)->shape.rank;
    if (pads->data == NULL || pads->dtype != DTYPE_I32 || shape_elements(&pads->shape) != 2 * (int64_t)rank)
        return convert_fail(converter, ERROR_UNSUPPORTED, "paddings that are not constant i32 [rank, 2]");
    const int32_t *pairs = pads->data;
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    for (int i = 0; i < rank; i++) {
        node->attributes.pad.before[i] = pairs[2 * i];
        node->attributes.pad.after[i] = pairs[2 * i + 1];
    }
    return convert_finish_and_bind(converter);
}

enum error_code convert_transpose(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand;
    struct convert_integers order;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, true, &operand));
    TRY(convert_integers(converter, operand, &order));
    if (order.count != convert_value(converter, input)->shape.rank)
        return convert_fail(converter, ERROR_MODEL, "an order of %d axes", order.count);
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    memcpy(node->attributes.transpose.order, order.values, (size_t)order.count * sizeof order.values[0]);
    return convert_finish_and_bind(converter);
}

/* The mean over height and width is the pooling that the engine has in integers too. */
static enum error_code convert_global_mean(struct converter *converter, int32_t input, bool keep)
{
    struct node *node;
    int32_t result;
    TRY(convert_begin(converter, OPERATOR_GLOBAL_AVERAGE_POOL, &input, 1, 0, &node));
    TRY(convert_finish(converter, &result));
    const struct shape pooled = convert_value(converter, result)->shape;
    const struct shape narrow = {.rank = 2, .dims = {pooled.dims[0], pooled.dims[3]}};
    if (!keep)
        TRY(convert_reshape(converter, result, &narrow, 0, &result));
    return convert_bind(converter, 0, result);
}

enum error_code convert_reduce(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand;
    struct convert_integers axes;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, true, &operand));
    TRY(convert_integers(converter, operand, &axes));
    int rank = convert_value(converter, input)->shape.rank;
    bool keep = flatbuffer_integer(&converter->options, 0, 1, 0) != 0;
    for (int i = 0; i < axes.count; i++)
        TRY(convert_axis(converter, axes.values[i], rank, &axes.values[i]));
    bool spatial = rank == 4 && axes.count == 2 && ((axes.values[0] == 1 && axes.values[1] == 2) || (axes.values[0] == 2 && axes.values[1] == 1));
    if (kind == OPERATOR_REDUCE_MEAN && spatial)
        return convert_global_mean(converter, input, keep);
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.reduce.count = axes.count;
    node->attributes.reduce.keep_dims = keep;
    memcpy(node->attributes.reduce.axes, axes.values, sizeof axes.values);
    return convert_finish_and_bind(converter);
}

enum error_code convert_resize(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand;
    struct convert_integers size;
    struct node *node;
    bool linear = strcmp(converter->op, "RESIZE_BILINEAR") == 0;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, true, &operand));
    TRY(convert_integers(converter, operand, &size));
    if (size.count != 2)
        return convert_fail(converter, ERROR_MODEL, "a size of %d numbers", size.count);
    int first = linear ? 2 : 0; /* RESIZE_BILINEAR has two fields more, no longer used */
    bool corners = flatbuffer_integer(&converter->options, first, 1, 0) != 0;
    bool half_pixel = flatbuffer_integer(&converter->options, first + 1, 1, 0) != 0;
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.resize = (struct resize_attributes){
        .mode = linear ? RESIZE_LINEAR : RESIZE_NEAREST, .rounding = corners ? RESIZE_ROUND_PREFER_CEIL : RESIZE_FLOOR,
        .coordinates = corners ? RESIZE_ALIGN_CORNERS : half_pixel ? RESIZE_HALF_PIXEL : RESIZE_ASYMMETRIC,
        .size = {size.values[0], size.values[1]}};
    return convert_finish_and_bind(converter);
}

enum error_code convert_arg_max(struct converter *converter, enum operator_kind kind)
{
    int32_t input, operand, axis;
    struct convert_integers axes;
    struct node *node;
    TRY(convert_input(converter, 0, true, &input));
    TRY(convert_input(converter, 1, true, &operand));
    TRY(convert_integers(converter, operand, &axes));
    TRY(convert_axis(converter, axes.count == 1 ? axes.values[0] : INT32_MAX, convert_value(converter, input)->shape.rank, &axis));
    TRY(convert_begin(converter, kind, &input, 1, 0, &node));
    node->attributes.arg.axis = axis;
    return convert_finish_and_bind(converter);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that pick, order, reduce or accumulate along axes. */
#include "inference/onnx/import.h"

#include <string.h>

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
    return import_finish_bind(importer);
}

static enum error_code read_reduction(struct importer *importer, int32_t *reduction)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    *reduction = 0;
    if (import_attribute(importer, "reduction") == NULL)
        return ERROR_NONE;
    for (int32_t i = 0; i < 5; i++) {
        if (import_text_is(importer, "reduction", names[i])) {
            *reduction = i;
            return ERROR_NONE;
        }
    }
    return import_fail(importer, ERROR_UNSUPPORTED, "this reduction");
}

/* GatherElements, GatherND: data, indices. ScatterElements, ScatterND: updates, too. */
static enum error_code import_indexed(struct importer *importer)
{
    int32_t operands[3], axis = 0, reduction;
    enum operator_kind kind = importer->row->kind;
    bool scatter = kind == OPERATOR_SCATTER_ELEMENTS || kind == OPERATOR_SCATTER_ND;
    for (int i = 0; i < 2 + scatter; i++)
        TRY(import_input(importer, i, true, &operands[i]));
    if (kind == OPERATOR_GATHER_ELEMENTS || kind == OPERATOR_SCATTER_ELEMENTS)
        TRY(import_axis(importer, import_int(importer, "axis", 0), import_value(importer, operands[0])->shape.rank, &axis));
    TRY(read_reduction(importer, &reduction));
    int64_t batch = import_int(importer, "batch_dims", 0);
    if (batch < 0 || batch >= TENSOR_RANK_MAX)
        return import_fail(importer, ERROR_MODEL, "batch_dims is %lld", (long long)batch);
    struct node *node = import_node(importer, kind, operands, 2 + scatter, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.index.axis = axis;
    node->attributes.index.batch = (int32_t)batch;
    node->attributes.index.reduction = reduction;
    return import_finish_bind(importer);
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
    if (from.rank + 1 > TENSOR_RANK_MAX)
        return import_fail(importer, ERROR_UNSUPPORTED, "a result of rank %d", from.rank + 1);
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
    return import_finish_bind(importer);
}

static enum error_code import_top_k(struct importer *importer)
{
    int32_t input, axis;
    struct integers k;
    TRY(import_input(importer, 0, true, &input));
    const struct shape shape = import_value(importer, input)->shape;
    TRY(import_axis(importer, import_int(importer, "axis", -1), shape.rank, &axis));
    if (import_attribute(importer, "k") != NULL) {
        k = (struct integers){.values = {import_int(importer, "k", 0)}, .count = 1};
    } else {
        TRY(import_integers_either(importer, "", 1, &k));
    }
    if (k.count != 1 || k.values[0] < 0 || k.values[0] > shape.dims[axis])
        return import_fail(importer, ERROR_MODEL, "a k that is not one number from 0 to %d", shape.dims[axis]);
    struct node *node = import_node(importer, OPERATOR_TOP_K, &input, 1, 2);
    if (node == NULL)
        return importer->error->code;
    node->attributes.top_k.axis = axis;
    node->attributes.top_k.k = (int32_t)k.values[0];
    node->attributes.top_k.largest = import_int(importer, "largest", 1) != 0;
    return import_finish_bind(importer);
}

static enum error_code import_cumulative_sum(struct importer *importer)
{
    int32_t input, axis_value, axis;
    double given;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 1, true, &axis_value));
    TRY(import_scalar(importer, axis_value, &given));
    TRY(import_axis(importer, given >= -TENSOR_RANK_MAX && given <= TENSOR_RANK_MAX ? (int64_t)given : TENSOR_RANK_MAX + 1,
                    import_value(importer, input)->shape.rank, &axis));
    struct node *node = import_node(importer, OPERATOR_CUMULATIVE_SUM, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.index.axis = axis;
    node->attributes.index.reverse = import_int(importer, "reverse", 0) != 0;
    node->attributes.index.exclusive = import_int(importer, "exclusive", 0) != 0;
    return import_finish_bind(importer);
}

static enum error_code import_trilu(struct importer *importer)
{
    int32_t input, diagonal_value;
    double diagonal = 0;
    TRY(import_input(importer, 0, true, &input));
    TRY(import_input(importer, 1, false, &diagonal_value));
    if (diagonal_value >= 0)
        TRY(import_scalar(importer, diagonal_value, &diagonal));
    struct node *node = import_node(importer, OPERATOR_TRILU, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.trilu.diagonal = (int32_t)real_to_integer(diagonal, INT32_MIN, INT32_MAX);
    node->attributes.trilu.upper = import_int(importer, "upper", 1) != 0;
    return import_finish_bind(importer);
}

/* Boxes, scores, how many boxes a class may have (known at open), overlap and score thresholds. */
static enum error_code import_non_max_suppression(struct importer *importer)
{
    int32_t inputs[5];
    double most = 0;
    for (int i = 0; i < 5; i++)
        TRY(import_input(importer, i, i < 2, &inputs[i]));
    if (inputs[2] >= 0)
        TRY(import_scalar(importer, inputs[2], &most));
    struct node *node = import_node(importer, OPERATOR_NON_MAX_SUPPRESSION, (int32_t[]){inputs[0], inputs[1], inputs[3], inputs[4]}, 4, 2);
    if (node == NULL)
        return importer->error->code;
    node->attributes.suppression.boxes_max = (int32_t)real_to_integer(most, 0, INT32_MAX);
    node->attributes.suppression.centered = import_int(importer, "center_point_box", 0) != 0;
    return import_finish_bind(importer);
}

static enum error_code import_non_zero(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    return import_node(importer, OPERATOR_NON_ZERO, &input, 1, 2) == NULL ? importer->error->code : import_finish_bind(importer);
}

/* axes from the attribute or the second input; none there: all, or nothing at all with noop_with_empty_axes. */
static enum error_code read_axes(struct importer *importer, int32_t input, struct integers *axes, bool *nothing)
{
    TRY(import_integers_either(importer, "axes", 1, axes));
    *nothing = axes->count == 0 && import_int(importer, "noop_with_empty_axes", 0) != 0;
    int rank = import_value(importer, input)->shape.rank;
    if (axes->count > TENSOR_RANK_MAX)
        return import_fail(importer, ERROR_MODEL, "%d axes", axes->count);
    for (int i = 0; i < axes->count; i++) {
        int32_t axis;
        TRY(import_axis(importer, axes->values[i], rank, &axis));
        axes->values[i] = axis;
    }
    return ERROR_NONE;
}

static enum error_code reduce(struct importer *importer, enum operator_kind kind, int32_t input, const struct integers *axes, bool keep,
                              int32_t *value_out)
{
    struct node *node = import_node(importer, kind, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.reduce.count = axes->count;
    node->attributes.reduce.keep_dims = keep;
    for (int i = 0; i < axes->count; i++)
        node->attributes.reduce.axes[i] = (int32_t)axes->values[i];
    return import_finish(importer, value_out);
}

static enum error_code import_reduce(struct importer *importer)
{
    int32_t value;
    struct integers axes;
    bool nothing;
    TRY(import_input(importer, 0, true, &value));
    TRY(read_axes(importer, value, &axes, &nothing));
    if (!nothing)
        TRY(reduce(importer, importer->row->kind, value, &axes, import_int(importer, "keepdims", 1) != 0, &value));
    if (strcmp(importer->node->op, "ReduceLogSum") == 0)
        TRY(import_unary_of(importer, OPERATOR_LOG, value, &value));
    return import_bind(importer, 0, value);
}

/* log(sum(exp(x))) = m + log(sum(exp(x - m))), m the largest: nothing overflows. */
static enum error_code import_log_sum_exp(struct importer *importer)
{
    int32_t value, largest, shifted;
    struct integers axes;
    bool nothing, keep = import_int(importer, "keepdims", 1) != 0;
    TRY(import_input(importer, 0, true, &value));
    TRY(read_axes(importer, value, &axes, &nothing));
    if (nothing)
        return import_bind(importer, 0, value);
    TRY(reduce(importer, OPERATOR_REDUCE_MAX, value, &axes, true, &largest));
    TRY(import_binary_of(importer, OPERATOR_SUB, value, largest, &shifted));
    TRY(import_unary_of(importer, OPERATOR_EXP, shifted, &shifted));
    TRY(reduce(importer, OPERATOR_REDUCE_SUM, shifted, &axes, keep, &shifted));
    TRY(import_unary_of(importer, OPERATOR_LOG, shifted, &shifted));
    const struct shape shape = import_value(importer, shifted)->shape;
    TRY(import_reshape(importer, largest, &shape, &largest));
    TRY(import_binary_of(importer, OPERATOR_ADD, shifted, largest, &value));
    return import_bind(importer, 0, value);
}

static enum error_code import_arg(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    int rank = import_value(importer, input)->shape.rank;
    struct node *node = import_node(importer, importer->row->kind, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.arg.keep_dims = import_int(importer, "keepdims", 1) != 0;
    node->attributes.arg.last = import_int(importer, "select_last_index", 0) != 0;
    TRY(import_axis(importer, import_int(importer, "axis", 0), rank, &node->attributes.arg.axis));
    return import_finish_bind(importer);
}

const struct import_row import_index_rows[] = {
    {"Gather", import_gather, OPERATOR_GATHER, "all", "an index beyond the axis is pulled to its edge"},
    {"GatherElements", import_indexed, OPERATOR_GATHER_ELEMENTS, "all", "an index beyond the axis is pulled to its edge"},
    {"GatherND", import_indexed, OPERATOR_GATHER_ND, "all", "an index beyond the axis is pulled to its edge"},
    {"ScatterElements", import_indexed, OPERATOR_SCATTER_ELEMENTS, "all", "an index beyond the axis is pulled to its edge"},
    {"ScatterND", import_indexed, OPERATOR_SCATTER_ND, "all", "an index beyond the axis is pulled to its edge"},
    {"OneHot", import_one_hot, OPERATOR_ONE_HOT, "all", "depth known at open"},
    {"TopK", import_top_k, OPERATOR_TOP_K, "f32 f16, all integers", "k known at open; always sorted"},
    {"NonMaxSuppression", import_non_max_suppression, OPERATOR_NON_MAX_SUPPRESSION, "f32 f16", "most boxes known at open; its result is bounded"},
    {"NonZero", import_non_zero, OPERATOR_NON_ZERO, "all", "its result is bounded"},
    {"CumSum", import_cumulative_sum, OPERATOR_CUMULATIVE_SUM, "f32 f16, all integers", "axis known at open"},
    {"Trilu", import_trilu, OPERATOR_TRILU, "all", "diagonal known at open"},
    {"ReduceMean", import_reduce, OPERATOR_REDUCE_MEAN, "f32 f16, all integers, i8 u8 (quantised)", "axes known at open"},
    {"ReduceSum", import_reduce, OPERATOR_REDUCE_SUM, "f32 f16, all integers", "axes known at open"},
    {"ReduceMax", import_reduce, OPERATOR_REDUCE_MAX, "f32 f16, all integers, bool", "axes known at open; no u64"},
    {"ReduceMin", import_reduce, OPERATOR_REDUCE_MIN, "f32 f16, all integers, bool", "axes known at open; no u64"},
    {"ReduceProd", import_reduce, OPERATOR_REDUCE_PROD, "f32 f16, all integers", "axes known at open"},
    {"ReduceL1", import_reduce, OPERATOR_REDUCE_L1, "f32 f16, all integers", "axes known at open"},
    {"ReduceL2", import_reduce, OPERATOR_REDUCE_L2, "f32 f16, all integers", "axes known at open"},
    {"ReduceSumSquare", import_reduce, OPERATOR_REDUCE_SUM_SQUARE, "f32 f16, all integers", "axes known at open"},
    {"ReduceLogSum", import_reduce, OPERATOR_REDUCE_SUM, "f32 f16", "axes known at open"},
    {"ReduceLogSumExp", import_log_sum_exp, OPERATOR_REDUCE_SUM, "f32 f16", "axes known at open"},
    {"ArgMax", import_arg, OPERATOR_ARG_MAX, "f32 f16, all integers", ""},
    {"ArgMin", import_arg, OPERATOR_ARG_MIN, "f32 f16, all integers", ""},
    {0},
};

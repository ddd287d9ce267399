/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisations. Instance and group normalisation are a layer normalisation over [batch, group, everything else]. */
#include "inference/onnx/import.h"

/* As scale and shift along the channels; the batch-norm pass folds it into a convolution where one precedes. */
static enum error_code import_batch_norm(struct importer *importer)
{
    int32_t operands[5], output;
    TRY(import_input(importer, 0, true, &operands[0]));
    const struct shape shape = import_value(importer, operands[0])->shape;
    if (import_int(importer, "training_mode", 0) != 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "training_mode");
    bool image = shape.rank != 2;
    if (image && shape.rank != 4) {
        struct shape flat = {.rank = 4, .dims = {shape.rank > 0 ? shape.dims[0] : 0, shape.rank > 1 ? shape.dims[1] : 0, 1, 1}};
        for (int i = 2; i < shape.rank; i++)
            flat.dims[3] *= shape.dims[i];
        TRY(import_reshape(importer, operands[0], &flat, &operands[0]));
    }
    if (image)
        TRY(import_to_nhwc(importer, operands[0], &operands[0]));
    for (int i = 1; i < 5; i++) {
        TRY(import_input(importer, i, true, &operands[i]));
        TRY(import_known(importer, operands[i]));
    }
    struct node *node = import_node(importer, OPERATOR_BATCH_NORM, operands, 5, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.batch_norm.epsilon = import_float(importer, "epsilon", 1e-5f);
    TRY(import_finish(importer, &output));
    if (image)
        TRY(import_to_nchw(importer, output, &output));
    if (image && shape.rank != 4)
        TRY(import_reshape(importer, output, &shape, &output));
    return import_bind(importer, 0, output);
}

static enum error_code normalize(struct importer *importer, const int32_t operands[3], int axis, bool center, int outputs)
{
    struct node *node = import_node(importer, OPERATOR_LAYER_NORM, operands, 3, outputs);
    if (node == NULL)
        return importer->error->code;
    node->attributes.norm.axis = axis;
    node->attributes.norm.epsilon = import_float(importer, "epsilon", 1e-5f);
    node->attributes.norm.center = center;
    return ERROR_NONE;
}

/* LayerNormalization; RMSNormalization does not centre. */
static enum error_code import_layer_norm(struct importer *importer)
{
    int32_t operands[3], axis;
    bool center = importer->node->op[0] == 'L';
    TRY(import_input(importer, 0, true, &operands[0]));
    TRY(import_input(importer, 1, false, &operands[1]));
    TRY(import_input(importer, 2, false, &operands[2]));
    const struct shape shape = import_value(importer, operands[0])->shape;
    TRY(import_axis(importer, import_int(importer, "axis", -1), shape.rank, &axis));
    int64_t length = 1;
    bool simple = true;
    for (int i = axis; i < shape.rank; i++)
        length *= shape.dims[i];
    for (int i = 1; i < 3; i++)
        simple = simple && (operands[i] < 0 || shape_elements(&import_value(importer, operands[i])->shape) == length);
    int outputs = importer->node->output_count > 1 ? 3 : 1;
    if (simple || outputs > 1) {
        TRY(normalize(importer, operands, axis, center, outputs));
        return import_finish_bind(importer);
    }
    int32_t value, bare[3] = {operands[0], GRAPH_NO_VALUE, GRAPH_NO_VALUE}; /* a scale or bias that broadcasts */
    TRY(normalize(importer, bare, axis, center, 1));
    TRY(import_finish(importer, &value));
    if (operands[1] >= 0)
        TRY(import_binary_of(importer, OPERATOR_MUL, value, operands[1], &value));
    if (operands[2] >= 0)
        TRY(import_binary_of(importer, OPERATOR_ADD, value, operands[2], &value));
    return import_bind(importer, 0, value);
}

/* groups: of channels that share their statistics. scale and bias: one a channel, or one a group (GroupNormalization before opset 21). */
static enum error_code import_group_norm(struct importer *importer)
{
    int32_t value, scale, bias;
    TRY(import_input(importer, 0, true, &value));
    TRY(import_input(importer, 1, true, &scale));
    TRY(import_input(importer, 2, true, &bias));
    const struct shape shape = import_value(importer, value)->shape;
    int64_t groups = importer->node->op[0] == 'I' ? (shape.rank > 1 ? shape.dims[1] : 0) : import_int(importer, "num_groups", 0);
    if (shape.rank < 2 || groups < 1 || shape.dims[1] % groups != 0)
        return import_fail(importer, ERROR_MODEL, "%lld groups of the channels", (long long)groups);
    int64_t count = shape_elements(&shape), lines = (int64_t)shape.dims[0] * groups;
    struct shape grouped = {.rank = 3, .dims = {shape.dims[0], (int32_t)groups, (int32_t)(lines > 0 ? count / lines : 0)}};
    bool per_group = shape_elements(&import_value(importer, scale)->shape) == groups;
    TRY(import_reshape(importer, value, &grouped, &value));
    TRY(normalize(importer, (int32_t[]){value, GRAPH_NO_VALUE, GRAPH_NO_VALUE}, 2, true, 1));
    TRY(import_finish(importer, &value));
    if (!per_group)
        TRY(import_reshape(importer, value, &shape, &value));
    int rank = per_group ? 3 : shape.rank;
    TRY(import_along(importer, scale, 1, rank, &scale));
    TRY(import_along(importer, bias, 1, rank, &bias));
    TRY(import_binary_of(importer, OPERATOR_MUL, value, scale, &value));
    TRY(import_binary_of(importer, OPERATOR_ADD, value, bias, &value));
    if (per_group)
        TRY(import_reshape(importer, value, &shape, &value));
    return import_bind(importer, 0, value);
}

static enum error_code import_lrn(struct importer *importer)
{
    int32_t input;
    TRY(import_input(importer, 0, true, &input));
    int64_t size = import_int(importer, "size", 0);
    if (size < 1 || size > 1 << 16)
        return import_fail(importer, ERROR_MODEL, "size is %lld", (long long)size);
    struct node *node = import_node(importer, OPERATOR_LRN, &input, 1, 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.norm.size = (int32_t)size;
    node->attributes.norm.alpha = import_float(importer, "alpha", 1e-4f);
    node->attributes.norm.beta = import_float(importer, "beta", 0.75f);
    node->attributes.norm.bias = import_float(importer, "bias", 1);
    return import_finish_bind(importer);
}

const struct import_row import_normalize_rows[] = {
    {"BatchNormalization", import_batch_norm, OPERATOR_BATCH_NORM, "f32 f16", "statistics known at open; inference only"},
    {"LayerNormalization", import_layer_norm, OPERATOR_LAYER_NORM, "f32 f16", ""},
    {"SimplifiedLayerNormalization", import_layer_norm, OPERATOR_LAYER_NORM, "f32 f16", "as ONNX Runtime writes it"},
    {"RMSNormalization", import_layer_norm, OPERATOR_LAYER_NORM, "f32 f16", ""},
    {"InstanceNormalization", import_group_norm, OPERATOR_LAYER_NORM, "f32 f16", ""},
    {"GroupNormalization", import_group_norm, OPERATOR_LAYER_NORM, "f32 f16", ""},
    {"LRN", import_lrn, OPERATOR_LRN, "f32 f16", ""},
    {0},
};

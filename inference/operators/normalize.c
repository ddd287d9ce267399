/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisations: by stored statistics (batch), by those of the last axes (layer; instance and group normalisation are layers after a
 * reshape), by neighbouring channels (LRN). Statistics are summed in double, so that the order does not show. */
#include "inference/operators/families.h"

#include <math.h>

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias along the last axis, as one factor and one term a channel. */
struct batch_norm {
    float *factor, *term;
    int64_t channels;
};

enum error_code batch_norm_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    if (in->dtype != DTYPE_F32 || in->shape.rank < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32");
    for (int i = 1; i < 5; i++) {
        const struct value *operand = &graph->values[node->inputs[i]];
        if (operand->data == NULL || operand->dtype != DTYPE_F32 || shape_elements(&operand->shape) != in->shape.dims[in->shape.rank - 1])
            return operator_fail(node, ERROR_UNSUPPORTED, error, "statistics that are not one constant f32 a channel");
    }
    out->dtype = DTYPE_F32;
    out->shape = in->shape;
    return ERROR_NONE;
}

static void batch_norm_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct batch_norm *norm = operation->prepared;
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t rows = norm->channels > 0 ? shape_elements(&operation_output(operation, 0)->shape) / norm->channels : 0;
    (void)scratch;
    for (int64_t r = 0; r < rows; r++, in += norm->channels, out += norm->channels) {
        for (int64_t c = 0; c < norm->channels; c++)
            out[c] = in[c] * norm->factor[c] + norm->term[c];
    }
}

enum error_code batch_norm_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *shape = &operation_input(operation, 0)->shape;
    struct batch_norm *norm = arena_allocate(arena, sizeof *norm);
    int64_t channels = shape->dims[shape->rank - 1];
    float *factors = arena_allocate_array(arena, (size_t)channels * 2 + 1, sizeof *factors);
    if (norm == NULL || factors == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *norm = (struct batch_norm){.factor = factors, .term = factors + channels, .channels = channels};
    const float *scale = operation_input(operation, 1)->data, *bias = operation_input(operation, 2)->data;
    const float *mean = operation_input(operation, 3)->data, *variance = operation_input(operation, 4)->data;
    for (int64_t c = 0; c < channels; c++) {
        norm->factor[c] = scale[c] / sqrtf(variance[c] + operation->node->attributes.batch_norm.epsilon);
        norm->term[c] = bias[c] - mean[c] * norm->factor[c];
    }
    operation->prepared = norm;
    operation->execute = batch_norm_execute;
    operation->in_place = true;
    return ERROR_NONE;
}

/* x, scale, bias (both optional, as many elements as one line) -> y, mean, 1/deviation (both optional). */
enum error_code layer_norm_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    int axis = node->attributes.norm.axis;
    if (in->dtype != DTYPE_F32 || axis < 0 || axis > in->shape.rank)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32 and an axis within its rank");
    for (int i = 1; i < 3; i++) {
        const struct value *operand = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (operand != NULL && (operand->dtype != DTYPE_F32 || shape_elements(&operand->shape) != dims_product(&in->shape, axis, in->shape.rank)))
            return operator_fail(node, ERROR_UNSUPPORTED, error, "a scale or bias that is not one f32 for each element of a line");
    }
    for (int32_t i = 0; i < node->output_count; i++) {
        struct value *out = &graph->values[node->outputs[i]];
        out->dtype = DTYPE_F32;
        out->shape = in->shape;
        for (int k = axis; i > 0 && k < in->shape.rank; k++)
            out->shape.dims[k] = 1;
    }
    return ERROR_NONE;
}

static void layer_norm_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct node *node = operation->node;
    const struct shape *shape = &operation_input(operation, 0)->shape;
    const float *in = operation_input_data(operation, data, 0), *scale = operation_input_data(operation, data, 1);
    const float *bias = operation_input_data(operation, data, 2);
    float *out = operation_output_data(operation, data, 0);
    int64_t lines = dims_product(shape, 0, node->attributes.norm.axis), length = dims_product(shape, node->attributes.norm.axis, shape->rank);
    (void)scratch;
    for (int64_t line = 0; line < lines; line++, in += length, out += length) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; node->attributes.norm.center && i < length; i++)
            mean += (double)in[i];
        mean /= (double)length;
        for (int64_t i = 0; i < length; i++)
            squares += ((double)in[i] - mean) * ((double)in[i] - mean);
        float middle = (float)mean, factor = (float)(1 / sqrt(squares / (double)length + (double)node->attributes.norm.epsilon));
        for (int64_t i = 0; i < length; i++)
            out[i] = (in[i] - middle) * factor * (scale != NULL ? scale[i] : 1) + (bias != NULL ? bias[i] : 0);
        if (node->output_count > 1)
            ((float *)operation_output_data(operation, data, 1))[line] = middle;
        if (node->output_count > 2)
            ((float *)operation_output_data(operation, data, 2))[line] = factor;
    }
}

enum error_code layer_norm_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = layer_norm_execute;
    return ERROR_NONE;
}

/* [N, C, inner]: y = x / (bias + alpha / size * sum of squares of `size` channels around it) ^ beta */
enum error_code lrn_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *in = &graph->values[node->inputs[0]];
    if (in->dtype != DTYPE_F32 || in->shape.rank < 2 || node->attributes.norm.size < 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32 of rank 2 or more, and a size");
    graph->values[node->outputs[0]].dtype = DTYPE_F32;
    graph->values[node->outputs[0]].shape = in->shape;
    return ERROR_NONE;
}

static void lrn_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct node *node = operation->node;
    const struct shape *shape = &operation_input(operation, 0)->shape;
    const float *in = operation_input_data(operation, data, 0);
    float *out = operation_output_data(operation, data, 0);
    int64_t channels = shape->dims[1], inner = dims_product(shape, 2, shape->rank), size = node->attributes.norm.size;
    (void)scratch;
    for (int64_t n = 0; n < shape->dims[0]; n++, in += channels * inner, out += channels * inner) {
        for (int64_t c = 0; c < channels; c++) {
            int64_t first = c - (size - 1) / 2 > 0 ? c - (size - 1) / 2 : 0, last = c + size / 2 < channels ? c + size / 2 : channels - 1;
            for (int64_t i = 0; i < inner; i++) {
                float sum = 0;
                for (int64_t k = first; k <= last; k++)
                    sum += in[k * inner + i] * in[k * inner + i];
                float base = node->attributes.norm.bias + node->attributes.norm.alpha / (float)size * sum;
                out[c * inner + i] = in[c * inner + i] / powf(base, node->attributes.norm.beta);
            }
        }
    }
}

enum error_code lrn_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = lrn_execute;
    return ERROR_NONE;
}

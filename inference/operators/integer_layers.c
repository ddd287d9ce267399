/* SPDX-License-Identifier: Apache-2.0
 *
 * MatMulInteger and ConvInteger: sums of (x - x_zero) * (w - w_zero) in i32 without a scale; zero points are operands and may come with a run.
 * i32 wraps, as ONNX has it. (Quantised layers with known scales: fully_connected.c, convolution.c.) */
#include "inference/operators/families.h"

#include <string.h>

static bool is_byte(const struct value *value)
{
    return (value->dtype == DTYPE_I8 || value->dtype == DTYPE_U8) && value->quantization.count == 0;
}

static int32_t byte_at(const struct value *value, const void *data, int64_t i)
{
    return value->dtype == DTYPE_U8 ? ((const uint8_t *)data)[i] : ((const int8_t *)data)[i];
}

/* Zero point of line i; one serves all. */
static int32_t zero_at(const struct operation *operation, void *const *data, int input, int64_t i)
{
    const void *zeros = operation_input_data(operation, data, input);
    if (zeros == NULL)
        return 0;
    const struct value *value = operation_input(operation, input);
    return byte_at(value, zeros, shape_elements(&value->shape) == 1 ? 0 : i);
}

static enum error_code check_operands(const struct graph *graph, const struct node *node, int first_zero, const int64_t lines[2], struct error *error)
{
    for (int i = 0; i < 2; i++) {
        const struct value *operand = &graph->values[node->inputs[i]];
        const struct value *zero = node->inputs[first_zero + i] >= 0 ? &graph->values[node->inputs[first_zero + i]] : NULL;
        if (!is_byte(operand) || (zero != NULL && zero->dtype != operand->dtype))
            return operator_fail(node, ERROR_UNSUPPORTED, error, "expected i8 or u8, and zero points of the same type");
        if (zero != NULL && shape_elements(&zero->shape) != 1 && shape_elements(&zero->shape) != lines[i])
            return operator_fail(node, ERROR_UNSUPPORTED, error, "zero points that are neither one nor one for each row, column or channel");
    }
    return ERROR_NONE;
}

enum error_code matmul_integer_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct shape *a = &graph->values[node->inputs[0]].shape, *b = &graph->values[node->inputs[1]].shape;
    struct value *out = &graph->values[node->outputs[0]];
    TRY(matmul_shape(node, a, b, &out->shape, error));
    int64_t lines[2] = {a->dims[a->rank - 2], b->dims[b->rank - 1]};
    TRY(check_operands(graph, node, 2, lines, error));
    out->dtype = DTYPE_I32;
    return ERROR_NONE;
}

/* out[c] += x * row[c] */
static void add_row(bool is_unsigned, const void *row, uint32_t x, int64_t columns, uint32_t *out)
{
    if (is_unsigned) {
        for (int64_t c = 0; c < columns; c++)
            out[c] += x * ((const uint8_t *)row)[c];
    } else {
        for (int64_t c = 0; c < columns; c++)
            out[c] += x * (uint32_t)((const int8_t *)row)[c];
    }
}

static void multiply(const struct operation *operation, void *const *data, const uint8_t *a, const uint8_t *b, uint32_t *out)
{
    const struct value *a_value = operation_input(operation, 0), *b_value = operation_input(operation, 1);
    int64_t rows = a_value->shape.dims[a_value->shape.rank - 2], depth = a_value->shape.dims[a_value->shape.rank - 1];
    int64_t columns = b_value->shape.dims[b_value->shape.rank - 1];
    for (int64_t r = 0; r < rows; r++, a += depth, out += columns) {
        int32_t a_zero = zero_at(operation, data, 2, r);
        uint32_t sum = 0;
        memset(out, 0, (size_t)columns * sizeof *out);
        for (int64_t k = 0; k < depth; k++) {
            uint32_t x = (uint32_t)(byte_at(a_value, a, k) - a_zero);
            sum += x;
            add_row(b_value->dtype == DTYPE_U8, b + k * columns, x, columns, out);
        }
        for (int64_t c = 0; c < columns; c++)
            out[c] -= sum * (uint32_t)zero_at(operation, data, 3, c);
    }
}

static void matmul_integer_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct shape *a = &operation_input(operation, 0)->shape, *b = &operation_input(operation, 1)->shape;
    const struct shape *out = &operation_output(operation, 0)->shape;
    const uint8_t *a_data = operation_input_data(operation, data, 0), *b_data = operation_input_data(operation, data, 1);
    uint32_t *to = operation_output_data(operation, data, 0);
    int64_t batches = dims_product(out, 0, out->rank - 2), each = dims_product(out, out->rank - 2, out->rank);
    (void)scratch;
    for (int64_t i = 0; i < batches; i++, to += each) {
        int64_t a_at, b_at;
        matmul_batch(a, b, out, i, &a_at, &b_at);
        multiply(operation, data, a_data + a_at, b_data + b_at, to);
    }
}

enum error_code matmul_integer_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *a = &operation_input(operation, 0)->shape;
    (void)arena, (void)error;
    operation->macs = (uint64_t)shape_elements(&operation_output(operation, 0)->shape) * (uint64_t)a->dims[a->rank - 1];
    operation->execute = matmul_integer_execute;
    return ERROR_NONE;
}

/* x NHWC, weights [O, KH, KW, I/groups], no bias, zero point of x, zero points of the weights */
enum error_code conv_integer_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *weights = &graph->values[node->inputs[1]];
    TRY(convolution_infer(graph, node, error));
    int64_t lines[2] = {1, weights->shape.dims[0]};
    TRY(check_operands(graph, node, 3, lines, error));
    graph->values[node->outputs[0]].dtype = DTYPE_I32;
    return ERROR_NONE;
}

static uint32_t sum_window(const struct operation *operation, const uint8_t *image, const uint8_t *weights, const int64_t at[3], int32_t x_zero,
                           int32_t w_zero)
{
    const struct value *in = operation_input(operation, 0), *w = operation_input(operation, 1);
    const struct spatial *s = &operation->node->attributes.spatial;
    int64_t depth = w->shape.dims[3], group = at[2] / (w->shape.dims[0] / s->groups);
    uint32_t sum = 0;
    weights += at[2] * dims_product(&w->shape, 1, 4);
    for (int32_t ky = 0; ky < s->kernel[0]; ky++) {
        int64_t y = at[0] * s->stride[0] - s->pad[0] + (int64_t)ky * s->dilation[0];
        for (int32_t kx = 0; kx < s->kernel[1]; kx++, weights += depth) {
            int64_t x = at[1] * s->stride[1] - s->pad[1] + (int64_t)kx * s->dilation[1];
            if (y < 0 || y >= in->shape.dims[1] || x < 0 || x >= in->shape.dims[2])
                continue;
            const uint8_t *pixel = image + (y * in->shape.dims[2] + x) * in->shape.dims[3] + group * depth;
            for (int64_t i = 0; i < depth; i++)
                sum += (uint32_t)((byte_at(in, pixel, i) - x_zero) * (byte_at(w, weights, i) - w_zero));
        }
    }
    return sum;
}

static void conv_integer_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct shape *in = &operation_input(operation, 0)->shape, *shape = &operation_output(operation, 0)->shape;
    const uint8_t *image = operation_input_data(operation, data, 0), *weights = operation_input_data(operation, data, 1);
    uint32_t *out = operation_output_data(operation, data, 0);
    int32_t x_zero = zero_at(operation, data, 3, 0);
    (void)scratch;
    for (int32_t n = 0; n < in->dims[0]; n++, image += dims_product(in, 1, 4)) {
        for (int64_t p = 0; p < (int64_t)shape->dims[1] * shape->dims[2]; p++) {
            for (int64_t c = 0; c < shape->dims[3]; c++) {
                const int64_t at[3] = {p / shape->dims[2], p % shape->dims[2], c};
                *out++ = sum_window(operation, image, weights, at, x_zero, zero_at(operation, data, 4, c));
            }
        }
    }
}

enum error_code conv_integer_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->macs = (uint64_t)shape_elements(&operation_output(operation, 0)->shape) *
                      (uint64_t)dims_product(&operation_input(operation, 1)->shape, 1, 4);
    operation->execute = conv_integer_execute;
    return ERROR_NONE;
}

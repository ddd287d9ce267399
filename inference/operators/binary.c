/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators of two operands with numpy broadcasting. The innermost run of elements goes through a loop that gcc turns into vectors; each
 * operand moves by 1 or stays (0) along it. */
#include "inference/operators/binary_runs.h"
#include "inference/operators/families.h"
#include "inference/kernels/fixed_point.h"
#include "inference/operators/wide.h"

#include <math.h>
#include <string.h>

struct quantized_add { /* TFLite reference_ops::Add: both inputs to a common scale, 20 bits up, then to the output's */
    int32_t a_offset, b_offset, out_offset, low, high, sign_b;
    struct fixed_multiplier a, b, out;
    bool is_unsigned;
};

struct binary {
    run_function *run;
    int64_t outer, inner;                     /* runs and their length */
    struct shape shape;                       /* of the outer part */
    int64_t a_strides[TENSOR_RANK_MAX], b_strides[TENSOR_RANK_MAX];
    int64_t a_step, b_step;
    size_t in_bytes, out_bytes;
    float low, high;                          /* fused activation, f32 */
    bool clamp, wide;
    enum dtype in_dtype, out_dtype;
    struct quantized_add add;
};

DEFINE_RUN(add_f32, float, float, x + y)
DEFINE_RUN(sub_f32, float, float, x - y)
DEFINE_RUN(mul_f32, float, float, x *y)
DEFINE_RUN(div_f32, float, float, x / y)
DEFINE_RUN(pow_f32, float, float, powf(x, y))
DEFINE_RUN(min_f32, float, float, x < y ? x : y)
DEFINE_RUN(max_f32, float, float, x > y ? x : y)
DEFINE_RUN(prelu_f32, float, float, x >= 0 ? x : x * y)
DEFINE_RUN(fmod_f32, float, float, fmodf(x, y))
DEFINE_RUN(mod_f32, float, float, x - y * floorf(x / y))

static int32_t add_one(const struct quantized_add *add, int32_t x, int32_t y)
{
    int32_t scaled_x = fixed_multiply((x + add->a_offset) * (1 << 20), add->a);
    int32_t scaled_y = fixed_multiply((y + add->b_offset) * (1 << 20), add->b);
    int32_t sum = fixed_add(fixed_multiply(scaled_x + add->sign_b * scaled_y, add->out), add->out_offset);
    return sum < add->low ? add->low : sum > add->high ? add->high : sum;
}

static void add_quantized(const void *a_data, int64_t a_step, const void *b_data, int64_t b_step, void *out_data, int64_t count,
                          const void *extra)
{
    const struct quantized_add *add = extra;
    for (int64_t i = 0; i < count; i++) {
        int32_t x = add->is_unsigned ? ((const uint8_t *)a_data)[i * a_step] : ((const int8_t *)a_data)[i * a_step];
        int32_t y = add->is_unsigned ? ((const uint8_t *)b_data)[i * b_step] : ((const int8_t *)b_data)[i * b_step];
        ((uint8_t *)out_data)[i] = (uint8_t)add_one(add, x, y);
    }
}

/* TFLite reference_ops::Mul; the fields of quantized_add serve: a_offset, b_offset, out. */
static void mul_quantized(const void *a_data, int64_t a_step, const void *b_data, int64_t b_step, void *out_data, int64_t count,
                          const void *extra)
{
    const struct quantized_add *mul = extra;
    for (int64_t i = 0; i < count; i++) {
        int32_t x = mul->is_unsigned ? ((const uint8_t *)a_data)[i * a_step] : ((const int8_t *)a_data)[i * a_step];
        int32_t y = mul->is_unsigned ? ((const uint8_t *)b_data)[i * b_step] : ((const int8_t *)b_data)[i * b_step];
        int32_t product = fixed_add(fixed_multiply((x + mul->a_offset) * (y + mul->b_offset), mul->out), mul->out_offset);
        product = product < mul->low ? mul->low : product > mul->high ? mul->high : product;
        ((uint8_t *)out_data)[i] = (uint8_t)product;
    }
}

static const struct binary_run runs[] = {
    {OPERATOR_ADD, DTYPE_F32, add_f32}, {OPERATOR_SUB, DTYPE_F32, sub_f32}, {OPERATOR_MUL, DTYPE_F32, mul_f32},
    {OPERATOR_DIV, DTYPE_F32, div_f32}, {OPERATOR_POW, DTYPE_F32, pow_f32}, {OPERATOR_MIN, DTYPE_F32, min_f32},
    {OPERATOR_MAX, DTYPE_F32, max_f32}, {OPERATOR_PRELU, DTYPE_F32, prelu_f32}, {OPERATOR_MOD, DTYPE_F32, mod_f32},
    {OPERATOR_FMOD, DTYPE_F32, fmod_f32}, {OPERATOR_ADD, DTYPE_I8, add_quantized}, {OPERATOR_ADD, DTYPE_U8, add_quantized},
    {OPERATOR_SUB, DTYPE_I8, add_quantized}, {OPERATOR_SUB, DTYPE_U8, add_quantized}, {OPERATOR_MUL, DTYPE_I8, mul_quantized},
    {OPERATOR_MUL, DTYPE_U8, mul_quantized},
};

static run_function *find_run(enum operator_kind kind, enum dtype dtype)
{
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        if (runs[i].kind == kind && runs[i].dtype == dtype)
            return runs[i].run;
    }
    return binary_rare_run(kind, dtype);
}

static bool choose_run(struct binary *binary, enum operator_kind kind, enum dtype dtype, bool quantized)
{
    binary->wide = dtype_is_integer(dtype) && !quantized;
    binary->run = find_run(kind, !binary->wide || dtype == DTYPE_U64 ? dtype : DTYPE_I64);
    if (binary->run == NULL && dtype == DTYPE_U64)
        binary->run = find_run(kind, DTYPE_I64);
    return binary->run != NULL;
}

enum error_code broadcast_shapes(const struct node *node, const struct shape *a, const struct shape *b, struct shape *result, struct error *error)
{
    result->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= result->rank; i++) {
        int32_t x = i <= a->rank ? a->dims[a->rank - i] : 1, y = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return operator_fail(node, ERROR_MODEL, error, "shapes that do not broadcast");
        result->dims[result->rank - i] = x == 1 ? y : x;
    }
    return ERROR_NONE;
}

enum error_code binary_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *a = &graph->values[node->inputs[0]], *b = &graph->values[node->inputs[1]];
    struct value *out = &graph->values[node->outputs[0]];
    bool quantized = a->quantization.count > 0 || b->quantization.count > 0;
    if (a->dtype != b->dtype)
        return operator_fail(node, ERROR_MODEL, error, "operands of different types");
    if (quantized && a->dtype != DTYPE_I8 && a->dtype != DTYPE_U8)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "quantised operands that are not of 8 bits");
    bool compares = node->kind >= OPERATOR_LESS && node->kind <= OPERATOR_OR;
    if (!quantized)
        out->dtype = compares ? DTYPE_BOOL : a->dtype;
    else if (out->dtype != a->dtype || a->quantization.count != 1 || b->quantization.count != 1 || out->quantization.count != 1)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "quantised operands of different types");
    return broadcast_shapes(node, &a->shape, &b->shape, &out->shape, error);
}

void broadcast_strides(const struct shape *operand, const struct shape *result, int64_t strides[TENSOR_RANK_MAX])
{
    int64_t stride = 1;
    for (int i = 1; i <= result->rank; i++) {
        int32_t dim = i <= operand->rank ? operand->dims[operand->rank - i] : 1;
        strides[result->rank - i] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

/* Merges axes from the inside while both operands go on the same way, so that the inner run is as long as can be. */
static void merge_axes(struct binary *binary, const struct shape *result)
{
    int axis = result->rank - 1;
    binary->inner = axis >= 0 ? result->dims[axis] : 1;
    binary->a_step = axis >= 0 && binary->a_strides[axis] != 0 ? 1 : 0;
    binary->b_step = axis >= 0 && binary->b_strides[axis] != 0 ? 1 : 0;
    for (axis--; axis >= 0; axis--) {
        bool one = result->dims[axis] == 1;
        bool a_goes_on = binary->a_strides[axis] == (binary->a_step != 0 ? binary->inner : 0);
        bool b_goes_on = binary->b_strides[axis] == (binary->b_step != 0 ? binary->inner : 0);
        if (!one && (!a_goes_on || !b_goes_on || (binary->inner == 1 && (binary->a_step == 0) != (binary->b_step == 0))))
            break;
        binary->inner *= result->dims[axis];
    }
    binary->shape = (struct shape){.rank = axis + 1};
    binary->outer = 1;
    for (int i = 0; i <= axis; i++) {
        binary->shape.dims[i] = result->dims[i];
        binary->outer *= result->dims[i];
    }
}

static void run_wide(const struct binary *binary, const char *a, const char *b, char *out)
{
    int64_t x[WIDE_BLOCK], y[WIDE_BLOCK], z[WIDE_BLOCK];
    bool compares = binary->out_dtype == DTYPE_BOOL;
    for (int64_t done = 0; done < binary->inner; done += WIDE_BLOCK) {
        int64_t count = binary->inner - done < WIDE_BLOCK ? binary->inner - done : WIDE_BLOCK;
        wide_load(binary->in_dtype, a + (size_t)(done * binary->a_step) * binary->in_bytes, binary->a_step, x, count);
        wide_load(binary->in_dtype, b + (size_t)(done * binary->b_step) * binary->in_bytes, binary->b_step, y, count);
        binary->run(x, 1, y, 1, compares ? (void *)(out + done) : (void *)z, count, NULL);
        if (!compares)
            wide_store(binary->out_dtype, out + (size_t)done * binary->out_bytes, z, count);
    }
}

static void binary_execute(const struct operation *operation, void *const *data, void *scratch)
{
    (void)scratch;
    const struct binary *binary = operation->prepared;
    const char *a = operation_input_data(operation, data, 0), *b = operation_input_data(operation, data, 1);
    char *out = operation_output_data(operation, data, 0);
    int32_t position[TENSOR_RANK_MAX] = {0};
    int64_t a_at = 0, b_at = 0;
    for (int64_t i = 0; i < binary->outer; i++) {
        char *out_run = out + (size_t)(i * binary->inner) * binary->out_bytes;
        const char *a_run = a + (size_t)a_at * binary->in_bytes, *b_run = b + (size_t)b_at * binary->in_bytes;
        if (binary->wide)
            run_wide(binary, a_run, b_run, out_run);
        else
            binary->run(a_run, binary->a_step, b_run, binary->b_step, out_run, binary->inner, &binary->add);
        if (binary->clamp) {
            float *values = (float *)(void *)out_run;
            for (int64_t k = 0; k < binary->inner; k++)
                values[k] = values[k] < binary->low ? binary->low : values[k] > binary->high ? binary->high : values[k];
        }
        for (int axis = binary->shape.rank - 1; axis >= 0; axis--) {
            a_at += binary->a_strides[axis];
            b_at += binary->b_strides[axis];
            if (++position[axis] < binary->shape.dims[axis])
                break;
            a_at -= binary->a_strides[axis] * binary->shape.dims[axis];
            b_at -= binary->b_strides[axis] * binary->shape.dims[axis];
            position[axis] = 0;
        }
    }
}

static void prepare_quantized(const struct operation *operation, struct binary *binary)
{
    const struct value *a = operation_input(operation, 0), *b = operation_input(operation, 1), *out = operation_output(operation, 0);
    struct quantized_add *add = &binary->add;
    double a_scale = (double)a->quantization.scale[0], b_scale = (double)b->quantization.scale[0], out_scale = (double)out->quantization.scale[0];
    add->is_unsigned = a->dtype == DTYPE_U8;
    add->a_offset = -a->quantization.zero_point[0];
    add->b_offset = -b->quantization.zero_point[0];
    add->out_offset = out->quantization.zero_point[0];
    add->sign_b = operation->node->kind == OPERATOR_SUB ? -1 : 1;
    if (operation->node->kind == OPERATOR_MUL) {
        add->out = fixed_multiplier_from(a_scale * b_scale / out_scale);
    } else {
        double twice_max = 2 * (a_scale > b_scale ? a_scale : b_scale);
        add->a = fixed_multiplier_from(a_scale / twice_max);
        add->b = fixed_multiplier_from(b_scale / twice_max);
        add->out = fixed_multiplier_from(twice_max / ((1 << 20) * out_scale));
    }
    fixed_activation_range(operation->node->activation, out, &add->low, &add->high);
}

enum error_code binary_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    if (add_8_fits(operation))
        return add_8_prepare(operation, arena, error);
    struct binary *binary = arena_allocate(arena, sizeof *binary);
    const struct node *node = operation->node;
    const struct value *a = operation_input(operation, 0), *b = operation_input(operation, 1), *out = operation_output(operation, 0);
    if (binary == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    bool quantized = a->quantization.count > 0;
    if (!choose_run(binary, node->kind, a->dtype, quantized))
        return operator_fail(node, ERROR_UNSUPPORTED, error, "not supported for this type");
    broadcast_strides(&a->shape, &out->shape, binary->a_strides);
    broadcast_strides(&b->shape, &out->shape, binary->b_strides);
    merge_axes(binary, &out->shape);
    binary->in_dtype = a->dtype;
    binary->out_dtype = out->dtype;
    binary->in_bytes = dtype_bytes(a->dtype);
    binary->out_bytes = dtype_bytes(out->dtype);
    if (quantized)
        prepare_quantized(operation, binary);
    else if (node->activation != ACTIVATION_NONE)
        binary->clamp = fixed_float_range(node, &binary->low, &binary->high);
    if (binary->clamp && out->dtype != DTYPE_F32)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "an activation of results that are not f32");
    operation->prepared = binary;
    operation->execute = binary_execute;
    operation->in_place = a->dtype == out->dtype && shape_equal(&a->shape, &out->shape);
    return ERROR_NONE;
}

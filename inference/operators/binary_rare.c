/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/operators/binary_runs.h"

static int64_t integer_power(int64_t base, int64_t exponent)
{
    uint64_t result = 1, factor = (uint64_t)base;
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    for (; exponent > 0; exponent >>= 1, factor *= factor)
        result *= exponent & 1 ? factor : 1;
    return (int64_t)result;
}

static int64_t floor_modulo(int64_t x, int64_t y) /* the sign of y, as Python */
{
    int64_t rest = y == 0 || y == -1 ? 0 : x % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

#define DEFINE_BLOCK(name, in_type, out_type, expression)                                                                        \
    static void name(const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count, const void *extra)    \
    {                                                                                                                             \
        (void)a_step, (void)b_step, (void)extra;                                                                                  \
        for (int64_t i = 0; i < count; i++) {                                                                                     \
            in_type x = ((const in_type *)a)[i], y = ((const in_type *)b)[i];                                                     \
            ((out_type *)out)[i] = (out_type)(expression);                                                                        \
        }                                                                                                                         \
    }

DEFINE_RUN(less_f32, float, uint8_t, x < y)
DEFINE_RUN(greater_f32, float, uint8_t, x > y)
DEFINE_RUN(less_or_equal_f32, float, uint8_t, x <= y)
DEFINE_RUN(greater_or_equal_f32, float, uint8_t, x >= y)
DEFINE_RUN(equal_f32, float, uint8_t, x == y)
/* integers wrap, as two's complement does */
DEFINE_BLOCK(add_i64, int64_t, int64_t, (uint64_t)x + (uint64_t)y)
DEFINE_BLOCK(sub_i64, int64_t, int64_t, (uint64_t)x - (uint64_t)y)
DEFINE_BLOCK(mul_i64, int64_t, int64_t, (uint64_t)x * (uint64_t)y)
DEFINE_BLOCK(div_i64, int64_t, int64_t, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y)
DEFINE_BLOCK(min_i64, int64_t, int64_t, x < y ? x : y)
DEFINE_BLOCK(max_i64, int64_t, int64_t, x > y ? x : y)
DEFINE_BLOCK(less_i64, int64_t, uint8_t, x < y)
DEFINE_BLOCK(less_or_equal_i64, int64_t, uint8_t, x <= y)
DEFINE_BLOCK(greater_i64, int64_t, uint8_t, x > y)
DEFINE_BLOCK(greater_or_equal_i64, int64_t, uint8_t, x >= y)
DEFINE_BLOCK(equal_i64, int64_t, uint8_t, x == y)
DEFINE_BLOCK(pow_i64, int64_t, int64_t, integer_power(x, y))
DEFINE_BLOCK(mod_i64, int64_t, int64_t, floor_modulo(x, y))
DEFINE_BLOCK(fmod_i64, int64_t, int64_t, y == 0 || y == -1 ? 0 : x % y)
DEFINE_BLOCK(and_i64, int64_t, int64_t, x &y)
DEFINE_BLOCK(or_i64, int64_t, int64_t, x | y)
DEFINE_BLOCK(xor_i64, int64_t, int64_t, x ^ y)
DEFINE_BLOCK(shift_left_i64, uint64_t, uint64_t, y < 64 ? x << y : 0)
DEFINE_BLOCK(shift_right_i64, uint64_t, uint64_t, y < 64 ? x >> y : 0)
/* where the sign bit counts as a digit */
DEFINE_BLOCK(div_u64, uint64_t, uint64_t, y == 0 ? 0 : x / y)
DEFINE_BLOCK(mod_u64, uint64_t, uint64_t, y == 0 ? 0 : x % y)
DEFINE_BLOCK(min_u64, uint64_t, uint64_t, x < y ? x : y)
DEFINE_BLOCK(max_u64, uint64_t, uint64_t, x > y ? x : y)
DEFINE_BLOCK(less_u64, uint64_t, uint8_t, x < y)
DEFINE_BLOCK(less_or_equal_u64, uint64_t, uint8_t, x <= y)
DEFINE_BLOCK(greater_u64, uint64_t, uint8_t, x > y)
DEFINE_BLOCK(greater_or_equal_u64, uint64_t, uint8_t, x >= y)
DEFINE_RUN(and_bool, uint8_t, uint8_t, x && y)
DEFINE_RUN(or_bool, uint8_t, uint8_t, x || y)
DEFINE_RUN(xor_bool, uint8_t, uint8_t, !x != !y)
DEFINE_RUN(equal_bool, uint8_t, uint8_t, !x == !y)

static const struct binary_run runs[] = {
    {OPERATOR_LESS, DTYPE_F32, less_f32}, {OPERATOR_LESS_OR_EQUAL, DTYPE_F32, less_or_equal_f32},
    {OPERATOR_GREATER, DTYPE_F32, greater_f32}, {OPERATOR_GREATER_OR_EQUAL, DTYPE_F32, greater_or_equal_f32},
    {OPERATOR_EQUAL, DTYPE_F32, equal_f32}, {OPERATOR_ADD, DTYPE_I64, add_i64}, {OPERATOR_SUB, DTYPE_I64, sub_i64},
    {OPERATOR_MUL, DTYPE_I64, mul_i64}, {OPERATOR_DIV, DTYPE_I64, div_i64}, {OPERATOR_POW, DTYPE_I64, pow_i64},
    {OPERATOR_MIN, DTYPE_I64, min_i64}, {OPERATOR_MAX, DTYPE_I64, max_i64}, {OPERATOR_LESS, DTYPE_I64, less_i64},
    {OPERATOR_LESS_OR_EQUAL, DTYPE_I64, less_or_equal_i64}, {OPERATOR_GREATER, DTYPE_I64, greater_i64},
    {OPERATOR_GREATER_OR_EQUAL, DTYPE_I64, greater_or_equal_i64}, {OPERATOR_EQUAL, DTYPE_I64, equal_i64},
    {OPERATOR_MOD, DTYPE_I64, mod_i64}, {OPERATOR_FMOD, DTYPE_I64, fmod_i64}, {OPERATOR_BITWISE_AND, DTYPE_I64, and_i64},
    {OPERATOR_BITWISE_OR, DTYPE_I64, or_i64}, {OPERATOR_BITWISE_XOR, DTYPE_I64, xor_i64}, {OPERATOR_SHIFT_LEFT, DTYPE_I64, shift_left_i64},
    {OPERATOR_SHIFT_RIGHT, DTYPE_I64, shift_right_i64}, {OPERATOR_DIV, DTYPE_U64, div_u64}, {OPERATOR_MOD, DTYPE_U64, mod_u64},
    {OPERATOR_MIN, DTYPE_U64, min_u64}, {OPERATOR_MAX, DTYPE_U64, max_u64}, {OPERATOR_LESS, DTYPE_U64, less_u64},
    {OPERATOR_LESS_OR_EQUAL, DTYPE_U64, less_or_equal_u64}, {OPERATOR_GREATER, DTYPE_U64, greater_u64},
    {OPERATOR_GREATER_OR_EQUAL, DTYPE_U64, greater_or_equal_u64}, {OPERATOR_FMOD, DTYPE_U64, mod_u64}, {OPERATOR_AND, DTYPE_BOOL, and_bool},
    {OPERATOR_OR, DTYPE_BOOL, or_bool}, {OPERATOR_XOR, DTYPE_BOOL, xor_bool}, {OPERATOR_EQUAL, DTYPE_BOOL, equal_bool},
};

run_function *binary_rare_run(enum operator_kind kind, enum dtype dtype)
{
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        if (runs[i].kind == kind && runs[i].dtype == dtype)
            return runs[i].run;
    }
    return NULL;
}

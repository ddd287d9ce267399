/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_elements.h: pools, sums and functions, element by element. */
#include <math.h>

INLINE floats limit(floats x, float low, float high)
{
    return at_most(at_least(x, splat(low)), splat(high));
}

INLINE floats max_vector(int64_t count, const float *const *inputs, int64_t c, const bool part, int64_t used)
{
    floats most = part ? load_part(inputs[0] + c, used) : load(inputs[0] + c);
    for (int64_t i = 1; i < count; i++)
        most = at_least(part ? load_part(inputs[i] + c, used) : load(inputs[i] + c), most);
    return most;
}

static void max_f32(int64_t count, int64_t channels, const float *const *inputs, float low, float high, float *to)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= channels; c += VECTOR_FLOATS)
        store(to + c, limit(max_vector(count, inputs, c, false, VECTOR_FLOATS), low, high));
    if (c < channels)
        store_part(to + c, limit(max_vector(count, inputs, c, true, channels - c), low, high), channels - c);
}

INLINE floats sum_vector(int64_t count, const float *const *inputs, int64_t c, const bool part, int64_t used)
{
    floats sum = {0};
    for (int64_t i = 0; i < count; i++)
        sum += part ? load_part(inputs[i] + c, used) : load(inputs[i] + c);
    return sum;
}

static void sum_f32(int64_t count, int64_t channels, const float *const *inputs, float factor, float low, float high, float *to)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= channels; c += VECTOR_FLOATS)
        store(to + c, limit(sum_vector(count, inputs, c, false, VECTOR_FLOATS) * factor, low, high));
    if (c < channels)
        store_part(to + c, limit(sum_vector(count, inputs, c, true, channels - c) * factor, low, high), channels - c);
}

static void add_f32(int64_t count, const float *a, const float *b, float low, float high, float *to)
{
    int64_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS)
        store(to + i, limit(load(a + i) + load(b + i), low, high));
    if (i < count)
        store_part(to + i, limit(load_part(a + i, count - i) + load_part(b + i, count - i), low, high), count - i);
}

/* Two to the power n times a polynomial: approximate.h's exp, a vector at a time, of what lies in [low, high]: [-87.3365, 88.7228] or less. */
INLINE floats exp_vector(floats x, float low, float high)
{
    const floats magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to whole numbers */
    x = limit(x, low, high);
    floats shifted = x * 1.44269504088896341f + magic, n = shifted - magic, r = x - n * 0.693359375f - n * -2.12194440e-4f;
    floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (floats)((lanes)p + (((lanes)shifted - (lanes)magic) << 23));
}

INLINE floats sigmoid_vector(floats x)
{
    return 1.0f / (1.0f + exp_vector(-x, -87.0f, 88.0f));
}

/* Of all numbers: zero where it would be less than a normal number. */
INLINE floats exp_all(floats x)
{
    const float low = -87.3365f, high = 88.7228f;
    floats y = choose(x < low, splat(0), exp_vector(x, low, high));
    return choose(x > high, splat(INFINITY), y);
}

#define DEFINE_EACH(name, vector)                                                                                                \
    static void name(int64_t count, const float *from, float *to)                                                                \
    {                                                                                                                            \
        for (int64_t i = 0; i < count; i += VECTOR_FLOATS) {                                                                     \
            if (count - i >= VECTOR_FLOATS)                                                                                      \
                store(to + i, vector(load(from + i)));                                                                           \
            else                                                                                                                 \
                store_part(to + i, vector(load_part(from + i, count - i)), count - i);                                           \
        }                                                                                                                        \
    }
DEFINE_EACH(sigmoid_f32, sigmoid_vector)
DEFINE_EACH(exp_f32, exp_all)

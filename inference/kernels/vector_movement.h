/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_movement.h: a few long rows interleaved into one, the transposition of an image's planes or of shuffled channels. */

/* Lane i of the result: lane places[i] of a with b behind it. */
INLINE floats shuffle(floats a, floats b, lanes places)
{
#ifdef __clang__ /* builds the fuzzers; it has no shuffle by places that are not literals */
    floats result;
    for (int i = 0; i < VECTOR_FLOATS; i++)
        result[i] = places[i] < VECTOR_FLOATS ? a[places[i]] : b[places[i] - VECTOR_FLOATS];
    return result;
#else
    return __builtin_shuffle(a, b, places);
#endif
}

/* Where the lanes of a result come from: for three rows a and b, then c between them; else two rows, low and high half. */
struct interleave_order {
    lanes first[3], second[3];
};

INLINE struct interleave_order interleave_order(const int rows)
{
    struct interleave_order order;
    for (int v = 0; v < 3; v++) {
        for (int i = 0; i < VECTOR_FLOATS; i++) {
            int element = v * VECTOR_FLOATS + i;
            if (rows == 3) {
                order.first[v][i] = element % 3 == 1 ? VECTOR_FLOATS + element / 3 : element / 3;
                order.second[v][i] = element % 3 == 2 ? VECTOR_FLOATS + element / 3 : i;
            } else {
                order.first[v][i] = i / 2 + (i % 2) * VECTOR_FLOATS + (v == 1 ? VECTOR_FLOATS / 2 : 0);
                order.second[v][i] = i;
            }
        }
    }
    return order;
}

INLINE void interleave_rows(const int rows, int64_t count, const float *from, int64_t stride, float *to)
{
    const struct interleave_order order = interleave_order(rows);
    int64_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS, from += VECTOR_FLOATS, to += rows * VECTOR_FLOATS) {
        floats a = load(from), b = load(from + stride);
        if (rows == 2) {
            store(to, shuffle(a, b, order.first[0]));
            store(to + VECTOR_FLOATS, shuffle(a, b, order.first[1]));
        } else if (rows == 3) {
            floats c = load(from + 2 * stride);
            for (int v = 0; v < 3; v++)
                store(to + v * VECTOR_FLOATS, shuffle(shuffle(a, b, order.first[v]), c, order.second[v]));
        } else {
            floats c = load(from + 2 * stride), d = load(from + 3 * stride);
            for (int v = 0; v < 2; v++) {
                floats even = shuffle(a, c, order.first[v]), odd = shuffle(b, d, order.first[v]);
                store(to + 2 * v * VECTOR_FLOATS, shuffle(even, odd, order.first[0]));
                store(to + (2 * v + 1) * VECTOR_FLOATS, shuffle(even, odd, order.first[1]));
            }
        }
    }
    if (rows == 2 && i < count) {
        int64_t left = count - i, low = 2 * left < VECTOR_FLOATS ? 2 * left : VECTOR_FLOATS;
        floats a = load_part(from, left), b = load_part(from + stride, left);
        store_part(to, shuffle(a, b, order.first[0]), low);
        store_part(to + low, shuffle(a, b, order.first[1]), 2 * left - low);
        return;
    }
    for (; i < count; i++, from++) {
        for (int r = 0; r < rows; r++)
            *to++ = from[r * stride];
    }
}

static void interleave_f32(int rows, int64_t count, const float *from, int64_t stride, float *to)
{
    if (rows == 2)
        interleave_rows(2, count, from, stride, to);
    else if (rows == 3)
        interleave_rows(3, count, from, stride, to);
    else
        interleave_rows(4, count, from, stride, to);
}

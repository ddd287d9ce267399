/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h: the kernels of 8-bit layers, one table per instruction set (struct kernels -> bytes).
 *
 * Inside a kernel every activation is u8: i8 inputs and results are turned by xor 0x80 (`flip`, `out_flip`) where they are read and
 * written, and zero points and ranges are those of the u8 form (`+ 128`), so that the two types cost the same.
 *
 * All variants give the same bits: fixed_point.h's arithmetic. Fast paths need factors below 1 and sums that stay half a step of the result
 * away from overflow; packing sees where that is not sure (byte_results.exact) and such layers go result by result through fixed_multiply. */
#ifndef EDDY_INFERENCE_BYTES_H
#define EDDY_INFERENCE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BYTE_ROWS_MAX = 16,      /* no variant computes more rows at once */
    BYTE_COLUMNS_MAX = 32,   /* no variant has wider panels */
    BYTE_LINES_MAX = 4,      /* depthwise: result rows at once */
};

/* How sums become results; one for a layer. */
struct byte_results {
    const int32_t *multiplier, *shift;   /* fixed_point.h's factor, one a column (channel) */
    int32_t zero_point, low, high;       /* u8 form */
    uint8_t out_flip;                    /* 0x80: results are i8 */
    bool exact;                          /* only fixed_multiply is sure to be right */
    bool positive;                       /* low >= zero_point: how negative results are rounded cannot be seen */
};

/* The columns of one panel, in order, as packing knows them. */
struct byte_columns {
    int count;                           /* <= the panel's width */
    int32_t zero_point;                  /* of the result, u8 form */
    const int32_t *bias, *multiplier, *shift;
};

/* A tile of a matrix product whose rows are windows of an image: each row has a pointer, all rows have their taps at the same distances.
 * out[r * out_stride + c] = result(bias[c] + row_offsets[r] + sum over taps t, k of (inputs[r][distances[t] + k] ^ flip) * w[c][t][k]).
 * Rows are read up to KERNEL_OVERREAD_BYTES behind their depth. The assembly reads this by offset: see x86/avx512vnni.c. */
struct byte_tile {
    const uint8_t *const *inputs;        /* [rows] */
    int64_t taps, depth;                 /* depth: a multiple of byte_kernels.depth */
    const char *panel;                   /* header, then [taps][depth / d][width][d] i8 weights, d = byte_kernels.depth */
    uint8_t *out;
    int64_t out_stride;                  /* bytes */
    const int32_t *row_offsets;          /* [rows]; NULL: none */
    int32_t *sums;                       /* the variant's own */
    uint64_t mask;                       /* the variant's own */
    uint32_t flips, lows, highs, out_flips, positive; /* of byte_results, repeated in all four bytes */
    const int64_t *distances;            /* [taps], in bytes */
    int32_t rows, columns, width;        /* columns of this panel that exist, of its width */
    int32_t panels;                      /* 1; or so many full panels that follow each other (byte_kernels.row_of_panels, rows 1, not exact) */
    const struct byte_results *results;
    int64_t first_column;                /* of the panel, in results->multiplier */
};

/* Depthwise: a line is `length` = pixels * channels results. Taps come in groups of four ("quads"): quads[(r * quad_step + g) * 4 + j]
 * points to the input of result 0 of line r under tap j of group g; lines are dense, so result i reads [i]. */
struct byte_depthwise {
    const void *packed;
    int lines, groups, quad_step;        /* lines: 1, 2 or BYTE_LINES_MAX */
    int quad_taps;                       /* of each group: the weights of those behind are zero */
    int sets;                            /* 2: weights of nine bits, as the sum of two sets of i8 */
    int64_t length, channels;
    const uint8_t *const *quads;         /* u8 form already */
    uint8_t *out;
    int64_t out_stride;
    const struct byte_results *results;
};

struct byte_depthwise_weights {
    int64_t channels;
    int groups, sets;
    int32_t zero_point;                  /* of the result, u8 form */
    const int16_t *weights;              /* [groups * 4][channels], zero point taken off, 0 where a group has no tap */
    const int32_t *bias;                 /* accounts for the input's zero point */
    const int32_t *multiplier, *shift;
};

/* Sum of two tensors: both inputs to a common scale, 20 bits up, then to the result's (TFLite's reference_ops::Add):
 * ((a - zero) << 20) * factor + ((b - zero) << 20) * factor, times the result's factor, each step by fixed_multiply. In u8 form. */
struct byte_add {
    int32_t a_zero, b_zero, out_zero, low, high;
    int32_t a_multiplier, a_shift, b_multiplier, b_shift, out_multiplier, out_shift;
    int32_t sign_b;                      /* -1: b is subtracted */
    uint8_t a_flip, b_flip, out_flip;
    /* Taken where `linear`, which the caller has proved for all 65,536 pairs: with a factor of 30 bits for each input, in two digits,
     * ((start + a * a_lower + b * b_lower) >> 15) + a * a_upper + b * b_upper, >> shift, + whole is the result before it is clamped. */
    int16_t a_lower, b_lower, a_upper, b_upper; /* lower: 0 .. 2^15 - 1 */
    int32_t start, whole, shift;                /* start: 0 .. 2^(15 + shift) - 1, shift <= 14 */
    bool linear;
};

struct byte_kernels {
    int rows;                            /* of a tile */
    int columns, narrow_columns;         /* width of a panel; of the last one, where no more columns are left */
    int depth;                           /* depth of a tap is padded to a multiple of this, with zero weights: 1, 2 or 4 */
    bool row_of_panels;                  /* one row takes several panels in one call */
    size_t header_bytes;                 /* for each column of a panel's width */
    void (*pack_header)(char *panel, int width, const struct byte_columns *columns);
    int (*place)(int width, int column); /* where in a panel's row a column's weights lie */
    void (*gemm)(struct byte_tile *tile);

    size_t (*depthwise_bytes)(int64_t channels, int groups, int sets);
    void (*pack_depthwise)(void *packed, const struct byte_depthwise_weights *weights);
    void (*depthwise)(const struct byte_depthwise *lines);

    /* target[p * bytes + i] = source[p * step + i] ^ flip for p < pixels, i < bytes */
    void (*copy)(uint8_t *target, const uint8_t *source, int64_t pixels, int64_t bytes, int64_t step, uint8_t flip);
    /* sums[r] = factor * the sum of a row's inputs, as the product reads them, modulo 2^32; depth without padding */
    void (*sum_rows)(const uint8_t *const *inputs, int rows, const int64_t *distances, int64_t taps, int64_t depth, uint8_t flip, int32_t factor,
                     int32_t *sums);
    /* Windows of `count` pixels at first + distances[n]. out[p * channels + c]: the largest of (first[p * step + distances[n] + c] ^ flip),
     * turned back by flip, for p < pixels. sums[c]: the sum of (first[distances[n] + c] ^ flip). */
    void (*window_max)(const uint8_t *first, const int64_t *distances, int64_t count, int64_t pixels, int64_t step, int64_t channels, uint8_t flip,
                       uint8_t *out);
    void (*window_sum)(const uint8_t *first, const int64_t *distances, int64_t count, int64_t channels, uint8_t flip, int32_t *sums);
    /* target[i * planes + p] = source[p * count + i] */
    void (*interleave)(uint8_t *target, const uint8_t *source, int64_t planes, int64_t count);
    void (*add)(const uint8_t *a, const uint8_t *b, uint8_t *out, int64_t count, const struct byte_add *add);
    bool adds_linear;                    /* `add` has a path for byte_add.linear */
};

extern const struct byte_kernels byte_kernels_scalar, byte_kernels_avx2, byte_kernels_avxvnni, byte_kernels_avx512vnni,
    byte_kernels_neon;

/* The definitions: sum to stored byte; two stored bytes to a stored byte. */
uint8_t byte_add_result(const struct byte_add *add, uint8_t a, uint8_t b);
uint8_t byte_result(const struct byte_results *results, int64_t column, int32_t sum);

#endif

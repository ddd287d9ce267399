/* SPDX-License-Identifier: Apache-2.0
 *
 * pack_8.h: weights of a byte layer in the order of bytes.h's matrix product, and the loop over panels.
 *
 * Weights are [columns][taps][depth], dense. Weights with a zero point (the older uint8 TFLite models) are kept as i8 too: what the zero
 * point takes off is -weight_zero times the sum of a row's inputs, which is added to each of its results (byte_tile.row_offsets). */
#ifndef EDDY_INFERENCE_PACK_8_H
#define EDDY_INFERENCE_PACK_8_H

#include "inference/graph.h"
#include "inference/kernels/bytes.h"

struct packed_8 {
    const struct byte_kernels *kernels;
    const char *panels;
    size_t panel_bytes;              /* of all but perhaps the last, which may be narrow */
    int64_t columns, taps, depth;    /* depth as it is, without padding */
    int32_t weight_zero;             /* of the weights as i8; 0: none */
    struct byte_results results;
    struct byte_tile tile;           /* what all tiles have in common */
};

/* Rows of results that are computed together. */
struct byte_rows {
    const uint8_t *const *inputs;    /* [rows] */
    int rows;                        /* <= kernels->rows */
    int32_t *offsets;                /* [rows], room for what the weights' zero point takes off */
    uint8_t *out;
};

/* distances: [taps], kept by the caller. stored, bias: of column `first` of the layer on (groups). kept may be NULL.
 * ERROR_LIMIT: no memory. */
MUST_CHECK enum error_code pack_8(struct packed_8 *packed, const struct byte_kernels *kernels, struct packed_weights *kept, struct arena *arena,
                                  const struct node *node, const struct value *input, const struct value *weights, const struct value *output,
                                  const int8_t *stored, const int32_t *bias, int64_t first, int64_t columns, int64_t taps, int64_t depth,
                                  const int64_t *distances, struct error *error);

/* The columns of panels first .. last - 1 of `count` tiles: a panel's weights serve all of them in turn. */
void packed_8_run(const struct packed_8 *packed, int count, const struct byte_rows *tiles, int64_t out_stride, int64_t first, int64_t last);
static inline int64_t packed_8_panels(const struct packed_8 *packed)
{
    return (packed->columns + packed->kernels->columns - 1) / packed->kernels->columns;
}

/* Results of a layer: factors of channels first .. first + channels - 1, range and zero point in u8 form. Neither exact nor bounded yet. */
MUST_CHECK enum error_code pack_8_results(struct byte_results *results, struct arena *arena, const struct node *node, const struct value *input,
                                          const struct value *weights, const struct value *output, int64_t first, int64_t channels,
                                          struct error *error);
/* For a channel whose sums stay in low .. high: marks results as exact where no fast path may be taken. Where no fast path may be taken but
 * all sums give the same result (channels that training has left dead have tiny scales and huge biases): true, and a factor and the sum
 * *constant that give it; the caller then leaves the weights zero. */
bool pack_8_bound(struct byte_results *results, int64_t channel, int64_t low, int64_t high, bool may_be_constant, int32_t *constant);

/* What pack_8_bound found, as it stands in a kept block behind the weights; channels as given to pack_8_results. take: results point into it. */
size_t pack_8_bounds_bytes(int64_t channels);
void pack_8_keep_bounds(const struct byte_results *results, int64_t channels, void *kept);
void pack_8_take_bounds(struct byte_results *results, int64_t channels, const void *kept);

/* Checks that types and quantisations of a byte layer are what the kernels compute with. */
MUST_CHECK enum error_code pack_8_check(const struct node *node, const struct value *input, const struct value *weights, const struct value *bias,
                                        const struct value *output, int64_t columns, struct error *error);
/* The zero point that all channels' weights share, of the i8 form; false: they differ. */
bool pack_8_weight_zero(const struct value *weights, int32_t *zero);

#endif

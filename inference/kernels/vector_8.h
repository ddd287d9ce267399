/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_8.h: the 8-bit kernels for any instruction set, in loops that gcc turns into vectors. A file per set defines BYTE_KERNELS_SYMBOL,
 * includes this and is compiled for that set. */
#include "inference/kernels/vector_elements_8.h"
#include "inference/kernels/vector_gemm_8.h"

enum { DEPTHWISE_BLOCK = 64 };

/* `count` results of one channel each from channel `first` on. */
INLINE_8 void depthwise_block(const struct byte_depthwise *lines, const uint8_t *const *taps, int64_t at, int64_t first, int64_t count, uint8_t *out)
{
    _Alignas(64) int32_t sums[DEPTHWISE_BLOCK];
    const int32_t *bias = lines->packed;
    const int16_t *weights = (const int16_t *)(const void *)(bias + lines->channels) + first;
    memcpy(sums, bias + first, (size_t)count * sizeof *sums);
    for (int t = 0; t < lines->groups * 4; t++) {
        const uint8_t *row = taps[t] + at;
        const int16_t *w = weights + t * lines->channels;
        for (int64_t c = 0; c < count; c++)
            sums[c] = wrapping_add(sums[c], (int16_t)row[c] * w[c]);
    }
    requantize_columns(sums, out, count, lines->results, lines->results->multiplier + first, lines->results->shift + first);
}

static void depthwise_8(const struct byte_depthwise *lines)
{
    for (int r = 0; r < lines->lines; r++) {
        const uint8_t *const *taps = lines->quads + r * lines->quad_step * 4;
        for (int64_t x = 0; x < lines->length; x += lines->channels) {
            for (int64_t c = 0; c < lines->channels; c += DEPTHWISE_BLOCK) {
                int64_t count = lines->channels - c < DEPTHWISE_BLOCK ? lines->channels - c : DEPTHWISE_BLOCK;
                uint8_t *out = lines->out + r * lines->out_stride + x + c;
                if (count == DEPTHWISE_BLOCK)
                    depthwise_block(lines, taps, x + c, c, DEPTHWISE_BLOCK, out);
                else
                    depthwise_block(lines, taps, x + c, c, count, out);
            }
        }
    }
}

const struct byte_kernels BYTE_KERNELS_SYMBOL = {
    .rows = BYTE_ROWS, .columns = BYTE_COLUMNS, .narrow_columns = BYTE_COLUMNS, .depth = BYTE_DEPTH, .header_bytes = PLAIN_HEADER_BYTES,
    .pack_header = plain_pack_header, .place = plain_place, .gemm = gemm_8, .depthwise_bytes = plain_depthwise_bytes,
    .pack_depthwise = plain_pack_depthwise, .depthwise = depthwise_8, .copy = copy_8, .sum_rows = sum_rows_8, .window_max = window_max_8,
    .window_sum = window_sum_8, .interleave = interleave_8, .add = add_8,
};

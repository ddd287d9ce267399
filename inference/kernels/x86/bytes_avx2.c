/* SPDX-License-Identifier: Apache-2.0
 *
 * 8-bit kernels with AVX2, and with AVX-VNNI, of which only the matrix product differs. */
#include "inference/kernels/x86/bytes_avx2.h"

#include "inference/kernels/vector_elements_8.h"
#include "inference/kernels/x86/interleave_8_x86.h"
#include "inference/kernels/x86/tile_8_avx2.h"

static void gemm(struct byte_tile *tile)
{
    gemm_tile(tile);
}

static void pack_header(char *panel, int width, const struct byte_columns *columns)
{
    (void)width;
    for (int c = 0; c < columns->count; c++)
        byte_header_write((struct byte_header *)(void *)panel, c, columns->bias[c], columns->multiplier[c], columns->shift[c], columns->zero_point);
}

#define TABLE(tile_rows, group, product)                                                                                                       \
    {                                                                                                                                          \
        .rows = tile_rows, .columns = BYTE_COLUMNS, .narrow_columns = BYTE_COLUMNS, .depth = group,                                              \
        .header_bytes = sizeof(struct byte_header) / BYTE_COLUMNS, .pack_header = pack_header, .place = plain_place, .gemm = product,              \
        .depthwise_bytes = avx2_depthwise_bytes, .pack_depthwise = avx2_pack_depthwise, .depthwise = avx2_depthwise, .copy = avx2_copy,            \
        .sum_rows = sum_rows_8, .window_max = avx2_window_max, .window_sum = window_sum_8, .interleave = interleave_8_x86, .add = avx2_add,              \
        .adds_linear = true                                                                                                                        \
    }

const struct byte_kernels byte_kernels_avx2 = TABLE(BYTE_ROWS, BYTE_DEPTH, gemm), byte_kernels_avxvnni = TABLE(AVXVNNI_ROWS, AVXVNNI_DEPTH, gemm_8_avxvnni);

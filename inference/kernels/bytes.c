/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/kernels/bytes_plain.h"
#include "inference/kernels/fixed_point.h"

#include <string.h>

uint8_t byte_result(const struct byte_results *results, int64_t column, int32_t sum)
{
    struct fixed_multiplier factor = {results->multiplier[column], results->shift[column]};
    int64_t x = (int64_t)fixed_multiply(sum, factor) + results->zero_point;
    return (uint8_t)(x < results->low ? results->low : x > results->high ? results->high : x) ^ results->out_flip;
}

uint8_t byte_add_result(const struct byte_add *add, uint8_t a, uint8_t b)
{
    int32_t scaled_a = fixed_multiply(((a ^ add->a_flip) - add->a_zero) * (1 << 20), (struct fixed_multiplier){add->a_multiplier, add->a_shift});
    int32_t scaled_b = fixed_multiply(((b ^ add->b_flip) - add->b_zero) * (1 << 20), (struct fixed_multiplier){add->b_multiplier, add->b_shift});
    int32_t sum = (int32_t)((uint32_t)scaled_a + (uint32_t)(add->sign_b * scaled_b));
    int64_t x = (int64_t)fixed_multiply(sum, (struct fixed_multiplier){add->out_multiplier, add->out_shift}) + add->out_zero;
    return (uint8_t)(x < add->low ? add->low : x > add->high ? add->high : x) ^ add->out_flip;
}

void plain_pack_header(char *panel, int width, const struct byte_columns *columns)
{
    int32_t *header = (int32_t *)(void *)panel;
    memcpy(header, columns->bias, (size_t)columns->count * sizeof *header);
    memcpy(header + width, columns->multiplier, (size_t)columns->count * sizeof *header);
    memcpy(header + 2 * width, columns->shift, (size_t)columns->count * sizeof *header);
}

int plain_place(int width, int column)
{
    (void)width;
    return column;
}

size_t plain_depthwise_bytes(int64_t channels, int groups, int sets)
{
    (void)sets;
    return (size_t)channels * (sizeof(int32_t) + 4 * (size_t)groups * sizeof(int16_t));
}

void plain_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights)
{
    int32_t *bias = packed;
    memcpy(bias, weights->bias, (size_t)weights->channels * sizeof *bias);
    memcpy(bias + weights->channels, weights->weights, (size_t)weights->channels * (size_t)weights->groups * 4 * sizeof *weights->weights);
}

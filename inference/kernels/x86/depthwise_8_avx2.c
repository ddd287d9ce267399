/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution of bytes with AVX2, 16 results at a time: inputs of two taps are widened to words and interleaved, so that vpmaddwd adds
 * both taps of 8 results. Weights are words too: those of nine bits need nothing of their own.
 *
 * What blocks are: depthwise_blocks.h. Block: struct byte_header of positions 8 L + 4 v + k, for vector v, lane L, element k (the order that
 * unpacks give), then weights [groups][2 pairs of taps][2 vectors][8][2] i16. */
#include "inference/kernels/x86/bytes_avx2.h"
#include "inference/kernels/x86/depthwise_blocks.h"
#include "inference/kernels/x86/requantize_avx2.h"

#include <string.h>

enum { BLOCK = 16, PAIR_WORDS = 2 * BLOCK };

static struct byte_blocks plan_blocks(int64_t channels, int groups)
{
    return byte_blocks_plan(channels, BLOCK, sizeof(struct byte_header) + (size_t)groups * 2 * PAIR_WORDS * sizeof(int16_t));
}

size_t avx2_depthwise_bytes(int64_t channels, int groups, int sets)
{
    (void)sets;
    struct byte_blocks blocks = plan_blocks(channels, groups);
    return (size_t)blocks.count * blocks.bytes;
}

static int element_of(int position)
{
    return position / 4 % 2 * 8 + position / 8 * 4 + position % 4;
}

void avx2_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights)
{
    struct byte_blocks blocks = plan_blocks(weights->channels, weights->groups);
    for (int64_t i = 0; i < blocks.count * BLOCK; i++) {
        if (!blocks.flat && i >= weights->channels)
            break;
        char *block = (char *)packed + (size_t)(i / BLOCK) * blocks.bytes;
        struct byte_header *header = (struct byte_header *)(void *)block;
        int16_t *words = (int16_t *)(void *)(header + 1);
        int64_t channel = i % weights->channels;
        int element = element_of((int)(i % BLOCK));
        byte_header_write(header, element, weights->bias[channel], weights->multiplier[channel], weights->shift[channel], weights->zero_point);
        for (int tap = 0; tap < weights->groups * 4; tap++)
            words[tap / 2 * PAIR_WORDS + element * 2 + tap % 2] = weights->weights[tap * weights->channels + channel];
    }
}

struct sums {
    __m256i v[2];
};

/* A group whose fourth tap has no weight (three) takes the third instead. */
INLINE_AVX2 struct sums sum_chunk(const struct byte_depthwise *call, int line, const bool three, const char *block, int64_t at)
{
    const struct byte_header *header = (const struct byte_header *)(const void *)block;
    const int16_t *words = (const int16_t *)(const void *)(header + 1);
    const uint8_t *const *quads = call->quads + 4 * line * call->quad_step;
    struct sums sums = {{load(header->bias), load(header->bias + 8)}};
    for (int n = 0; n < call->groups; n++, quads += 4) {
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; pair++, words += PAIR_WORDS) {
            __m256i a = load_widened(quads[2 * pair] + at), b = pair == 1 && three ? a : load_widened(quads[2 * pair + 1] + at);
            sums.v[0] = _mm256_add_epi32(sums.v[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), load(words)));
            sums.v[1] = _mm256_add_epi32(sums.v[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), load(words + BLOCK)));
        }
    }
    return sums;
}

INLINE_AVX2 void finish_chunk(struct sums sums, const bool positive, const char *block, const struct finish *finish, uint8_t *out, int64_t left)
{
    const struct byte_header *header = (const struct byte_header *)(const void *)block;
    __m256i words = _mm256_packs_epi32(requantize(sums.v[0], header, 0, positive), requantize(sums.v[1], header, 1, positive));
    __m256i bytes = finish_bytes(_mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0xD8), finish);
    if (left >= BLOCK) {
        _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(bytes));
        return;
    }
    uint8_t all[BLOCK];
    _mm_storeu_si128((__m128i *)(void *)all, _mm256_castsi256_si128(bytes));
    memcpy(out, all, (size_t)left);
}

#define FOR_EACH_CHUNK(body) BYTE_BLOCKS_EACH(call, plan_blocks(call->channels, call->groups), BLOCK, body)

#define DEFINE_LINE(name, three, positive)                                                                                     \
    static void name(const struct byte_depthwise *call, int line, uint8_t *out)                                                 \
    {                                                                                                                          \
        const struct finish finish = finish_of(call->results);                                                                 \
        FOR_EACH_CHUNK(finish_chunk(sum_chunk(call, line, three, block, at), positive, block, &finish, out + at, left));         \
    }

DEFINE_LINE(three_positive, true, true)
DEFINE_LINE(three_signed, true, false)
DEFINE_LINE(any_positive, false, true)
DEFINE_LINE(any_signed, false, false)

static void chunk_exact(const struct byte_depthwise *call, const struct sums *sums, int64_t at, uint8_t *out, int64_t left)
{
    uint32_t stored[BLOCK];
    memcpy(stored, sums, sizeof stored);
    for (int i = 0; i < BLOCK && i < left; i++)
        out[i] = byte_result(call->results, (at + i) % call->channels, (int32_t)(stored[element_of(i)] - BYTE_BIAS));
}

static void any_exact(const struct byte_depthwise *call, int line, uint8_t *out)
{
    FOR_EACH_CHUNK({
        struct sums sums = sum_chunk(call, line, false, block, at);
        chunk_exact(call, &sums, at, out + at, left);
    });
}

void avx2_depthwise(const struct byte_depthwise *call)
{
    static void (*const functions[2][2])(const struct byte_depthwise *, int, uint8_t *) = {{any_signed, any_positive}, {three_signed, three_positive}};
    const struct byte_results *results = call->results;
    for (int line = 0; line < call->lines; line++)
        (results->exact ? any_exact : functions[call->quad_taps <= 3][results->positive])(call, line, call->out + line * call->out_stride);
}

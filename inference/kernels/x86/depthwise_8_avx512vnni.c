/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution of bytes with AVX-512 VNNI, 64 results at a time: the 64 inputs of four taps are interleaved once, so that
 * vpdpbusd adds all four taps of 16 results. Where lines of results overlap in their inputs (quad_step 1), the interleaved inputs serve
 * up to four lines.
 *
 * What blocks are: depthwise_blocks.h.
 * Block: 4 struct byte_header (of positions 16 L + 4 g + k, for vector g, lane L, element k: the order that unpacks give), then weights
 * [sets][groups][4 vectors][64] i8. */
#include "inference/kernels/x86/bytes_avx512vnni.h"
#include "inference/kernels/x86/depthwise_blocks.h"

#include <immintrin.h>

enum { BLOCK = 64 };

static struct byte_blocks plan_blocks(int64_t channels, int groups, int sets)
{
    return byte_blocks_plan(channels, BLOCK, 4 * sizeof(struct byte_header) + (size_t)sets * (size_t)groups * 4 * 64);
}

size_t vnni_depthwise_bytes(int64_t channels, int groups, int sets)
{
    struct byte_blocks blocks = plan_blocks(channels, groups, sets);
    return (size_t)blocks.count * blocks.bytes;
}

static int position_of(int vector, int element)
{
    return element / 4 * 16 + vector * 4 + element % 4;
}

static void pack_position(char *block, int vector, int element, const struct byte_depthwise_weights *weights, int64_t channel)
{
    byte_header_write((struct byte_header *)(void *)block + vector, element, weights->bias[channel], weights->multiplier[channel],
                      weights->shift[channel], weights->zero_point);
    int8_t *target = (int8_t *)block + 4 * sizeof(struct byte_header) + vector * 64 + element * 4;
    for (int tap = 0; tap < weights->groups * 4; tap++) {
        int32_t rest = weights->weights[tap * weights->channels + channel];
        for (int set = 0; set < weights->sets; set++) {
            int32_t part = rest > 127 ? 127 : rest < -128 ? -128 : rest;
            target[((size_t)set * (size_t)weights->groups + (size_t)tap / 4) * 256 + (size_t)tap % 4] = (int8_t)part;
            rest -= part;
        }
    }
}

void vnni_pack_depthwise(void *packed, const struct byte_depthwise_weights *weights)
{
    struct byte_blocks blocks = plan_blocks(weights->channels, weights->groups, weights->sets);
    for (int64_t b = 0; b < blocks.count; b++) {
        for (int i = 0; i < BLOCK; i++) {
            int vector = i % 16 / 4, element = i / 16 * 4 + i % 4;
            int64_t position = b * BLOCK + position_of(vector, element);
            if (blocks.flat || position < weights->channels)
                pack_position((char *)packed + (size_t)b * blocks.bytes, vector, element, weights, position % weights->channels);
        }
    }
}

#define INLINE static inline __attribute__((always_inline))

/* Four bytes, one of each input, of 16 positions in each of four vectors. */
INLINE void interleave(const uint8_t *const *quad, int64_t at, const bool three, __m512i four[4])
{
    __m512i a = _mm512_loadu_si512(quad[0] + at), b = _mm512_loadu_si512(quad[1] + at);
    __m512i c = _mm512_loadu_si512(quad[2] + at), d = three ? c : _mm512_loadu_si512(quad[3] + at);
    __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
    four[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    four[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    four[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    four[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

INLINE __m512i odd_lanes(__m512i x)
{
    return (__m512i)_mm512_movehdup_ps((__m512)x);
}

/* See gemm_8_avx512vnni.S. */
INLINE __m512i requantize(__m512i y, const struct byte_header *h, const bool positive)
{
    __m512i factor = _mm512_loadu_si512(h->factor), upper = _mm512_loadu_si512(h->constant), shift = _mm512_loadu_si512(h->shift);
    __m512i even = _mm512_or_si512(_mm512_slli_epi64(upper, 32), _mm512_set1_epi64(1ll << 31));
    __m512i odd = _mm512_mask_mov_epi32(upper, 0x5555, _mm512_set1_epi32((int)(1u << 31)));
    even = _mm512_add_epi64(_mm512_mul_epu32(y, factor), even);
    odd = _mm512_add_epi64(_mm512_mul_epu32(odd_lanes(y), odd_lanes(factor)), odd);
    __m512i high = (__m512i)_mm512_mask_movehdup_ps((__m512)odd, 0x5555, (__m512)even);
    if (!positive) {
        __mmask16 negative = _mm512_cmplt_epu32_mask(y, _mm512_set1_epi32((int)BYTE_BIAS));
        high = _mm512_mask_sub_epi32(high, negative, high, _mm512_min_epu32(shift, _mm512_set1_epi32(1)));
    }
    return _mm512_srav_epi32(high, shift);
}

struct finish {
    __m512i low, high, flip;
};

INLINE __m512i pack_bytes(const __m512i v[4], const struct finish *finish)
{
    __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
    return _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(bytes, finish->low), finish->high), finish->flip);
}

INLINE void finish_lines(__m512i sums[][4], const int lines, const bool positive, const struct byte_header *headers, const struct finish *finish,
                         uint8_t *out, int64_t out_stride, __mmask64 mask)
{
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
#pragma GCC unroll 4
        for (int r = 0; r < lines; r++)
            sums[r][g] = requantize(sums[r][g], &headers[g], positive);
    }
#pragma GCC unroll 4
    for (int r = 0; r < lines; r++)
        _mm512_mask_storeu_epi8(out + r * out_stride, mask, pack_bytes(sums[r], finish));
}

INLINE void start_lines(__m512i sums[][4], const int lines, const struct byte_header *headers)
{
#pragma GCC unroll 4
    for (int g = 0; g < 4; g++) {
#pragma GCC unroll 4
        for (int r = 0; r < lines; r++)
            sums[r][g] = _mm512_loadu_si512(headers[g].bias);
    }
}

/* 64 results of `lines` lines, `step` input lines apart, of a kernel of three groups of up to three taps; each interleaved input line serves
 * up to three of them. */
INLINE void chunk_of_three(const struct byte_depthwise *call, const int lines, const int step, const bool positive, const int sets, const char *block,
                           const struct finish *finish, int64_t at, __mmask64 mask)
{
    const struct byte_header *headers = (const struct byte_header *)(const void *)block;
    const char *weights = block + 4 * sizeof *headers;
    __m512i sums[BYTE_LINES_MAX][4];
    start_lines(sums, lines, headers);
#pragma GCC unroll 9
    for (int i = 0; i < (lines - 1) * step + 3; i++) {
        __m512i four[4];
        interleave(call->quads + 4 * i, at, true, four);
#pragma GCC unroll 3
        for (int k = 0; k < 3; k++) {
            int r = (i - k) / step;
            if (i < k || (i - k) % step != 0 || r >= lines)
                continue;
#pragma GCC unroll 8
            for (int n = 0; n < 4 * sets; n++)
                sums[r][n % 4] = _mm512_dpbusd_epi32(sums[r][n % 4], four[n % 4], _mm512_loadu_si512(weights + (n / 4 * 3 + k) * 256 + n % 4 * 64));
        }
    }
    finish_lines(sums, lines, positive, headers, finish, call->out + at, call->out_stride, mask);
}

INLINE void sum_chunk(const struct byte_depthwise *call, const uint8_t *const *quads, const char *block, int64_t at, __m512i sums[4])
{
    const char *weights = block + 4 * sizeof(struct byte_header);
    for (int n = 0; n < call->groups; n++, weights += 256) {
        __m512i four[4];
        interleave(quads + 4 * n, at, false, four);
        for (int set = 0; set < call->sets; set++) {
#pragma GCC unroll 4
            for (int g = 0; g < 4; g++)
                sums[g] = _mm512_dpbusd_epi32(sums[g], four[g], _mm512_loadu_si512(weights + (set * call->groups) * 256 + g * 64));
        }
    }
}

/* 64 results of one line, any kernel. */
INLINE void chunk_of_any(const struct byte_depthwise *call, int line, const bool positive, const char *block, const struct finish *finish, int64_t at,
                         __mmask64 mask)
{
    const struct byte_header *headers = (const struct byte_header *)(const void *)block;
    __m512i sums[1][4];
    start_lines(sums, 1, headers);
    sum_chunk(call, call->quads + 4 * line * call->quad_step, block, at, sums[0]);
    finish_lines(sums, 1, positive, headers, finish, call->out + line * call->out_stride + at, call->out_stride, mask);
}

static void chunk_exact(const struct byte_depthwise *call, int line, const char *block, int64_t at, __mmask64 mask)
{
    const struct byte_header *headers = (const struct byte_header *)(const void *)block;
    _Alignas(64) int32_t stored[4][16];
    __m512i sums[1][4];
    start_lines(sums, 1, headers);
    sum_chunk(call, call->quads + 4 * line * call->quad_step, block, at, sums[0]);
    for (int g = 0; g < 4; g++)
        _mm512_store_si512(stored[g], sums[0][g]);
    for (int i = 0; i < BLOCK; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        int32_t sum = (int32_t)((uint32_t)stored[i % 16 / 4][i / 16 * 4 + i % 4] - BYTE_BIAS);
        call->out[line * call->out_stride + at + i] = byte_result(call->results, (at + i) % call->channels, sum);
    }
}

static inline __mmask64 chunk_mask(int64_t left)
{
    return left >= BLOCK ? ~0ull : (1ull << left) - 1;
}

/* body sees block, at, mask besides */
#define FOR_EACH_CHUNK(call, body)                                                                   \
    BYTE_BLOCKS_EACH(call, plan_blocks(call->channels, call->groups, call->sets), BLOCK, {           \
        __mmask64 mask = chunk_mask(left);                                                           \
        body;                                                                                        \
    })

#define DEFINE_LINES(name, body)                                                               \
    static void name(const struct byte_depthwise *call, const struct finish *finish)            \
    {                                                                                          \
        FOR_EACH_CHUNK(call, body);                                                            \
    }

DEFINE_LINES(three_4_positive, chunk_of_three(call, 4, 1, true, 1, block, finish, at, mask))
DEFINE_LINES(three_4_signed, chunk_of_three(call, 4, 1, false, 1, block, finish, at, mask))
DEFINE_LINES(three_2_signed, chunk_of_three(call, 2, 1, false, 1, block, finish, at, mask))
DEFINE_LINES(three_1_positive, chunk_of_three(call, 1, 1, true, 1, block, finish, at, mask))
DEFINE_LINES(three_1_signed, chunk_of_three(call, 1, 1, false, 1, block, finish, at, mask))
DEFINE_LINES(three_4_wide, chunk_of_three(call, 4, 1, false, 2, block, finish, at, mask))
DEFINE_LINES(three_2_wide, chunk_of_three(call, 2, 1, false, 2, block, finish, at, mask))
DEFINE_LINES(three_1_wide, chunk_of_three(call, 1, 1, false, 2, block, finish, at, mask))
DEFINE_LINES(strided_4_positive, chunk_of_three(call, 4, 2, true, 1, block, finish, at, mask))
DEFINE_LINES(strided_4_signed, chunk_of_three(call, 4, 2, false, 1, block, finish, at, mask))
DEFINE_LINES(strided_2_signed, chunk_of_three(call, 2, 2, false, 1, block, finish, at, mask))

typedef void lines_function(const struct byte_depthwise *call, const struct finish *finish);

/* By distance of the lines, form (results that need no care for their sign, others, weights of nine bits) and number of lines: 1, 2, 4. NULL: the
 * lines one by one. */
static lines_function *const three_functions[2][3][3] = {
    {{three_1_positive, three_2_signed, three_4_positive}, {three_1_signed, three_2_signed, three_4_signed}, {three_1_wide, three_2_wide, three_4_wide}},
    {{three_1_positive, strided_2_signed, strided_4_positive}, {three_1_signed, strided_2_signed, strided_4_signed}, {three_1_wide, NULL, NULL}},
};

static void run_three(const struct byte_depthwise *call, const struct finish *finish)
{
    lines_function *const *functions = three_functions[call->quad_step != 1][call->sets == 2 ? 2 : call->results->positive ? 0 : 1];
    lines_function *together = call->quad_step <= 2 ? functions[call->lines / 2] : NULL;
    if (together != NULL) {
        together(call, finish);
        return;
    }
    struct byte_depthwise one = *call;
    for (int line = 0; line < call->lines; line++) {
        functions[0](&one, finish);
        one.quads += 4 * call->quad_step;
        one.out += call->out_stride;
    }
}

static __attribute__((noinline)) void any_positive(const struct byte_depthwise *call, const struct finish *finish)
{
    for (int line = 0; line < call->lines; line++)
        FOR_EACH_CHUNK(call, chunk_of_any(call, line, true, block, finish, at, mask));
}

static __attribute__((noinline)) void any_signed(const struct byte_depthwise *call, const struct finish *finish)
{
    for (int line = 0; line < call->lines; line++)
        FOR_EACH_CHUNK(call, chunk_of_any(call, line, false, block, finish, at, mask));
}

static __attribute__((noinline)) void any_exact(const struct byte_depthwise *call)
{
    for (int line = 0; line < call->lines; line++)
        FOR_EACH_CHUNK(call, chunk_exact(call, line, block, at, mask));
}

void vnni_depthwise(const struct byte_depthwise *call)
{
    const struct byte_results *results = call->results;
    if (results->exact) {
        any_exact(call);
        return;
    }
    struct finish finish = {_mm512_set1_epi8((char)results->low), _mm512_set1_epi8((char)results->high), _mm512_set1_epi8((char)results->out_flip)};
    if (call->groups == 3 && call->sets <= 2 && call->quad_taps <= 3)
        run_three(call, &finish);
    else if (results->positive)
        any_positive(call, &finish);
    else
        any_signed(call, &finish);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_f32.h: the float kernels of vector.h. A set with a matrix product of its own defines GEMM_F32,
 * its function's name; DEPTHWISE_F32 names one that does some shapes and says whether it did. */
typedef float floats __attribute__((vector_size(VECTOR_FLOATS * 4), aligned(4), may_alias));
typedef int32_t lanes __attribute__((vector_size(VECTOR_FLOATS * 4), aligned(4), may_alias));

enum { PANEL = 2 * VECTOR_FLOATS };

INLINE floats splat(float x)
{
    return (floats){0} + x;
}

INLINE floats load(const float *from)
{
    return *(const floats *)from;
}

INLINE void store(float *to, floats x)
{
    *(floats *)to = x;
}

INLINE floats choose(lanes mask, floats yes, floats no)
{
    return (floats)((mask & (lanes)yes) | (~mask & (lanes)no));
}

/* The first `count` lanes; the others are zero, their memory is not touched. */
INLINE floats load_part(const float *from, int64_t count)
{
#ifdef VECTOR_LOAD_PART
    return VECTOR_LOAD_PART(from, count);
#else
    floats x = {0};
    memcpy(&x, from, (size_t)count * sizeof *from);
    return x;
#endif
}

INLINE void store_part(float *to, floats x, int64_t count)
{
#ifdef VECTOR_STORE_PART
    VECTOR_STORE_PART(to, x, count);
#else
    memcpy(to, &x, (size_t)count * sizeof *to);
#endif
}

/* The larger and the smaller; x where it is no number. */
INLINE floats at_least(floats x, floats low)
{
#ifdef VECTOR_MAX
    return VECTOR_MAX(low, x);
#else
    return choose(x < low, low, x);
#endif
}

INLINE floats at_most(floats x, floats high)
{
#ifdef VECTOR_MIN
    return VECTOR_MIN(high, x);
#else
    return choose(x > high, high, x);
#endif
}

INLINE floats finish(floats x, const struct float_epilogue *epilogue)
{
    if (epilogue->slope != 1)
        x = choose(x < 0, x * epilogue->slope, x);
    return at_most(at_least(x, splat(epilogue->low)), splat(epilogue->high));
}

INLINE float finish_one(float x, const struct float_epilogue *epilogue)
{
    x = x < 0 ? x * epilogue->slope : x;
    return x < epilogue->low ? epilogue->low : x > epilogue->high ? epilogue->high : x;
}

#ifndef GEMM_F32
/* rows and vectors are constants wherever this is inlined, so that the accumulators live in registers. */
INLINE void gemm_tile(const int rows, const int vectors, const struct gemm_f32 *gemm)
{
    floats sums[VECTOR_ROWS][2];
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++)
            sums[r][v] = load(gemm->panel + v * VECTOR_FLOATS);
    }
    const float *weights = gemm->panel + vectors * VECTOR_FLOATS;
    for (int64_t t = 0; t < gemm->taps; t++) {
        const float *rows_at[VECTOR_ROWS];
        for (int r = 0; r < rows; r++)
            rows_at[r] = gemm->inputs[t * KERNEL_ROWS_MAX + r];
        for (int64_t k = 0; k < gemm->depth; k++, weights += vectors * VECTOR_FLOATS) {
            floats w[2];
            for (int v = 0; v < vectors; v++)
                w[v] = load(weights + v * VECTOR_FLOATS);
            for (int r = 0; r < rows; r++) {
                for (int v = 0; v < vectors; v++)
                    sums[r][v] += rows_at[r][k] * w[v];
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        float *target = gemm->out + r * gemm->out_stride;
        const float *residual = gemm->residual != NULL ? gemm->residual + r * gemm->out_stride : NULL;
        if (gemm->columns == vectors * VECTOR_FLOATS) {
            for (int v = 0; v < vectors; v++) {
                floats sum = sums[r][v];
                if (residual != NULL)
                    sum += load(residual + v * VECTOR_FLOATS);
                store(target + v * VECTOR_FLOATS, finish(sum, &gemm->epilogue));
            }
        } else {
            float done[2 * VECTOR_FLOATS];
            memcpy(done, sums[r], (size_t)vectors * sizeof sums[r][0]);
            for (int c = 0; c < gemm->columns; c++)
                target[c] = finish_one(residual != NULL ? done[c] + residual[c] : done[c], &gemm->epilogue);
        }
    }
}

#define TILE_CASE(count)                          \
    case count:                                   \
        if (gemm->columns > VECTOR_FLOATS)        \
            gemm_tile(count, 2, gemm);            \
        else                                      \
            gemm_tile(count, 1, gemm);            \
        break;

static void gemm_f32(int rows, const struct gemm_f32 *gemm)
{
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if VECTOR_ROWS > 6
        TILE_CASE(7)
        TILE_CASE(8)
#endif
    default: break;
    }
}
#define GEMM_F32 gemm_f32
#endif

/* `pixels` results of one vector of channels (or the first `lanes_used` of it). A kernel row's inputs are loaded once for all of them where
 * the next pixel's begin `stride` taps further on (0: they do not). All but lanes_used are constants where this is inlined. */
INLINE void depthwise_vector(const struct depthwise_f32 *job, const int pixels, const int columns, const int stride, const bool part, int64_t lanes_used,
                            int64_t x, int64_t c)
{
    floats sums[4], start = part ? load_part(job->bias + c, lanes_used) : load(job->bias + c);
    for (int p = 0; p < pixels; p++)
        sums[p] = start;
    for (int64_t r = 0; r < job->rows; r++) {
        const float *in = job->inputs[r] + x * job->step + c, *weights = job->weights[r] + c;
        floats taps[5], inputs[3 * 2 + 5];
        for (int k = 0; k < columns; k++)
            taps[k] = part ? load_part(weights + k * job->weight_step, lanes_used) : load(weights + k * job->weight_step);
        for (int i = 0; stride > 0 && i < (pixels - 1) * stride + columns; i++)
            inputs[i] = part ? load_part(in + i * job->tap_step, lanes_used) : load(in + i * job->tap_step);
        for (int k = 0; k < columns; k++) {
            for (int p = 0; p < pixels; p++) {
                const float *at = in + p * job->step + k * job->tap_step;
                floats input;
                if (stride > 0)
                    input = inputs[p * stride + k];
                else
                    input = part ? load_part(at, lanes_used) : load(at);
                sums[p] += input * taps[k];
            }
        }
    }
    for (int p = 0; p < pixels; p++) {
        float *out = job->out + (x + p) * job->out_step + c;
        if (part)
            store_part(out, finish(sums[p], &job->epilogue), lanes_used);
        else
            store(out, finish(sums[p], &job->epilogue));
    }
}

INLINE void depthwise_pixels(const struct depthwise_f32 *job, const int pixels, const int columns, const int stride, int64_t x)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= job->channels; c += VECTOR_FLOATS)
        depthwise_vector(job, pixels, columns, stride, false, VECTOR_FLOATS, x, c);
    if (c < job->channels)
        depthwise_vector(job, pixels, columns, stride, true, job->channels - c, x, c);
}

INLINE void depthwise_run(const struct depthwise_f32 *job, const int columns, const int stride)
{
    enum { TOGETHER = 4 };
    int64_t x = 0;
    for (; x < job->pixels && job->pixels >= TOGETHER; x += TOGETHER) /* the last ones overlap with those before: the same again */
        depthwise_pixels(job, TOGETHER, columns, stride, x + TOGETHER <= job->pixels ? x : job->pixels - TOGETHER);
    for (; x < job->pixels; x++)
        depthwise_pixels(job, 1, columns, stride, x);
}

/* Any number of columns. */
static void depthwise_wide(const struct depthwise_f32 *job)
{
    for (int64_t x = 0; x < job->pixels; x++) {
        for (int64_t c = 0; c < job->channels; c += VECTOR_FLOATS) {
            int64_t count = job->channels - c < VECTOR_FLOATS ? job->channels - c : VECTOR_FLOATS;
            floats sum = load_part(job->bias + c, count);
            for (int64_t r = 0; r < job->rows; r++) {
                for (int64_t k = 0; k < job->columns; k++)
                    sum += load_part(job->inputs[r] + x * job->step + k * job->tap_step + c, count) *
                           load_part(job->weights[r] + k * job->weight_step + c, count);
            }
            store_part(job->out + x * job->out_step + c, finish(sum, &job->epilogue), count);
        }
    }
}

static void depthwise_f32(const struct depthwise_f32 *job)
{
#ifdef DEPTHWISE_F32
    if (DEPTHWISE_F32(job))
        return;
#endif
    bool next = job->step == job->tap_step, next_but_one = job->step == 2 * job->tap_step;
    if (job->columns == 3 && next)
        depthwise_run(job, 3, 1);
    else if (job->columns == 3 && next_but_one)
        depthwise_run(job, 3, 2);
    else if (job->columns == 5 && next)
        depthwise_run(job, 5, 1);
    else if (job->columns == 5 && next_but_one)
        depthwise_run(job, 5, 2);
    else if (job->columns == 2)
        depthwise_run(job, 2, 0);
    else if (job->columns == 3)
        depthwise_run(job, 3, 0);
    else
        depthwise_wide(job);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * vector_winograd.h: winograd.h's transforms over a vector of channels, each first along columns, then along rows. */

INLINE void winograd_input_line(const int tile, const floats d[WINOGRAD_WINDOW_MAX], floats out[WINOGRAD_WINDOW_MAX])
{
    if (tile == 2) {
        out[0] = d[0] - d[2];
        out[1] = d[1] + d[2];
        out[2] = d[2] - d[1];
        out[3] = d[1] - d[3];
        return;
    }
    floats even = d[4] - d[2] * 4.0f, odd = d[3] - d[1] * 4.0f, outer = d[4] - d[2], twice = (d[3] - d[1]) * 2.0f;
    out[0] = d[0] * 4.0f - d[2] * 5.0f + d[4];
    out[1] = even + odd;
    out[2] = even - odd;
    out[3] = outer + twice;
    out[4] = outer - twice;
    out[5] = d[1] * 4.0f - d[3] * 5.0f + d[5];
}

INLINE void winograd_output_line(const int tile, const floats m[WINOGRAD_WINDOW_MAX], floats out[WINOGRAD_TILE_MAX])
{
    if (tile == 2) {
        out[0] = m[0] + m[1] + m[2];
        out[1] = m[1] - m[2] - m[3];
        return;
    }
    floats sum = m[1] + m[2], difference = m[1] - m[2], far_sum = m[3] + m[4], far_difference = m[3] - m[4];
    out[0] = m[0] + sum + far_sum;
    out[1] = difference + far_difference * 2.0f;
    out[2] = sum + far_sum * 4.0f;
    out[3] = difference + far_difference * 8.0f + m[5];
}

INLINE void winograd_input_vector(const int tile, const bool part, const struct winograd_input *job, int64_t c, int64_t count)
{
    const int n = tile + 2;
    floats rows[WINOGRAD_WINDOW_MAX][WINOGRAD_WINDOW_MAX];
    for (int x = 0; x < n; x++) {
        floats column[WINOGRAD_WINDOW_MAX], done[WINOGRAD_WINDOW_MAX];
        for (int y = 0; y < n; y++)
            column[y] = part ? load_part(job->inputs[y * n + x] + c, count) : load(job->inputs[y * n + x] + c);
        winograd_input_line(tile, column, done);
        for (int y = 0; y < n; y++)
            rows[y][x] = done[y];
    }
    for (int y = 0; y < n; y++) {
        floats done[WINOGRAD_WINDOW_MAX];
        winograd_input_line(tile, rows[y], done);
        for (int x = 0; x < n; x++) {
            float *out = job->out + (y * n + x) * job->out_stride + c;
            if (part)
                store_part(out, done[x], count);
            else
                store(out, done[x]);
        }
    }
}

INLINE void winograd_input_tile(const int tile, const struct winograd_input *job)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= job->channels; c += VECTOR_FLOATS)
        winograd_input_vector(tile, false, job, c, VECTOR_FLOATS);
    if (c < job->channels)
        winograd_input_vector(tile, true, job, c, job->channels - c);
}

static void winograd_input(const struct winograd_input *job)
{
    if (job->tile == 2)
        winograd_input_tile(2, job);
    else
        winograd_input_tile(4, job);
}

INLINE void winograd_output_vector(const int tile, const bool part, const struct winograd_output *job, int64_t c, int64_t count)
{
    const int n = tile + 2;
    floats rows[WINOGRAD_TILE_MAX][WINOGRAD_WINDOW_MAX], bias = part ? load_part(job->bias + c, count) : load(job->bias + c);
    for (int x = 0; x < n; x++) {
        floats column[WINOGRAD_WINDOW_MAX], done[WINOGRAD_TILE_MAX];
        for (int y = 0; y < n; y++)
            column[y] = load(job->inputs + (y * n + x) * job->in_stride + c); /* rows of whole vectors */
        winograd_output_line(tile, column, done);
        for (int y = 0; y < tile; y++)
            rows[y][x] = done[y];
    }
    for (int y = 0; y < tile; y++) {
        floats done[WINOGRAD_TILE_MAX];
        winograd_output_line(tile, rows[y], done);
        for (int x = 0; x < tile; x++) {
            floats sum = done[x] + bias;
            if (job->residuals != NULL)
                sum += part ? load_part(job->residuals[y * tile + x] + c, count) : load(job->residuals[y * tile + x] + c);
            float *out = job->outputs[y * tile + x] + c;
            if (part)
                store_part(out, finish(sum, &job->epilogue), count);
            else
                store(out, finish(sum, &job->epilogue));
        }
    }
}

INLINE void winograd_output_tile(const int tile, const struct winograd_output *job)
{
    int64_t c = 0;
    for (; c + VECTOR_FLOATS <= job->channels; c += VECTOR_FLOATS)
        winograd_output_vector(tile, false, job, c, VECTOR_FLOATS);
    if (c < job->channels)
        winograd_output_vector(tile, true, job, c, job->channels - c);
}

static void winograd_output(const struct winograd_output *job)
{
    if (job->tile == 2)
        winograd_output_tile(2, job);
    else
        winograd_output_tile(4, job);
}

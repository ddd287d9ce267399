/* SPDX-License-Identifier: Apache-2.0
 *
 * Every float kernel that this CPU can run, on random shapes, against its definition computed in double. */
#include "inference/kernels/panels_f32.h"

#include "base/arena.h"
#include "tests/check.h"

#include <float.h>
#include <math.h>

enum { TRIES = 400, GUARD = 64 };

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static int between(int low, int high)
{
    return low + (int)(next_random() % (uint32_t)(high - low + 1));
}

static float real(void)
{
    return (float)next_random() / (float)(1 << 23) - 1.0f;
}

static float *random_floats(struct arena *arena, int64_t count)
{
    float *values = arena_allocate_array(arena, (size_t)count, sizeof *values);
    CHECK(values != NULL);
    for (int64_t i = 0; i < count; i++)
        values[i] = real();
    return values;
}

static struct float_epilogue random_epilogue(void)
{
    switch (between(0, 3)) {
    case 0: return (struct float_epilogue){.low = 0, .high = FLT_MAX, .slope = 1};
    case 1: return (struct float_epilogue){.low = 0, .high = 0.5f, .slope = 1};
    case 2: return (struct float_epilogue){.low = -FLT_MAX, .high = FLT_MAX, .slope = 0.25f};
    default: return (struct float_epilogue){.low = -FLT_MAX, .high = FLT_MAX, .slope = 1};
    }
}

static double finish(double x, const struct float_epilogue *epilogue)
{
    x = x < 0 ? x * (double)epilogue->slope : x;
    return x < (double)epilogue->low ? (double)epilogue->low : x > (double)epilogue->high ? (double)epilogue->high : x;
}

#define CHECK_CLOSE(seen, expected, terms)                                                                                               \
    do {                                                                                                                                 \
        double seen_ = (double)(seen), expected_ = (expected);                                                                           \
        if (!(fabs(seen_ - expected_) <= 1e-6 * (double)((terms) + 4))) {                                                                \
            printf("%s, try %d: %.9g, expected %.9g\n", kernels->name, try, seen_, expected_);                                            \
            CHECK(!"close");                                                                                                             \
        }                                                                                                                                \
    } while (0)

static void try_gemm(const struct kernels *kernels, int try)
{
    struct arena arena;
    arena_init(&arena, 64 << 20);
    int rows = between(1, kernels->rows), columns = between(1, kernels->panel_columns), taps = between(1, 9), depth = between(1, 70);
    int width = (int)panel_width(kernels->panel_columns, columns), stride = columns + between(0, 5);
    const float **inputs = arena_allocate_array(&arena, (size_t)(taps * KERNEL_ROWS_MAX), sizeof *inputs);
    for (int i = 0; i < taps * KERNEL_ROWS_MAX; i++)
        inputs[i] = i % KERNEL_ROWS_MAX < rows ? random_floats(&arena, depth) : NULL;
    float *panel = random_floats(&arena, (int64_t)(1 + taps * depth) * width), *out = random_floats(&arena, rows * stride + GUARD);
    float *untouched = arena_allocate_array(&arena, (size_t)(rows * stride + GUARD), sizeof *untouched);
    memcpy(untouched, out, (size_t)(rows * stride + GUARD) * sizeof *out);
    struct gemm_f32 gemm = {.inputs = inputs, .panel = panel, .out = out, .taps = taps, .depth = depth, .out_stride = stride,
                            .epilogue = random_epilogue(), .columns = columns};
    gemm.residual = between(0, 1) == 1 ? random_floats(&arena, (rows - 1) * stride + columns) : NULL;
    kernels->gemm_f32(rows, &gemm);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < stride; c++) {
            if (c >= columns) {
                CHECK(out[r * stride + c] == untouched[r * stride + c]);
                continue;
            }
            double sum = (double)panel[c] + (gemm.residual != NULL ? (double)gemm.residual[r * stride + c] : 0);
            for (int t = 0; t < taps; t++) {
                for (int k = 0; k < depth; k++)
                    sum += (double)inputs[t * KERNEL_ROWS_MAX + r][k] * (double)panel[(1 + t * depth + k) * width + c];
            }
            CHECK_CLOSE(out[r * stride + c], finish(sum, &gemm.epilogue), taps * depth);
        }
    }
    CHECK(memcmp(out + rows * stride, untouched + rows * stride, GUARD * sizeof *out) == 0);
    arena_deinit(&arena);
}

/* Weights [columns][taps * depth] as narrow_f32 reads them. */
static float *narrow_panel(struct arena *arena, const struct narrow_f32 *job, int width, const float *bias, const float *weights)
{
    int together = narrow_together(width, job->columns);
    int64_t steps = (job->depth + together - 1) / together;
    float *panel = arena_allocate_array(arena, (size_t)((1 + job->taps * steps) * width), sizeof *panel);
    CHECK(panel != NULL);
    for (int c = 0; c < job->columns; c++) {
        panel[c * together] = bias[c];
        for (int64_t i = 0; i < job->taps * job->depth; i++) {
            int64_t tap = i / job->depth, k = i % job->depth;
            panel[(1 + tap * steps + k / together) * width + c * together + k % together] = weights[c * job->taps * job->depth + i];
        }
    }
    return panel;
}

/* Inputs end where the last row's last tap ends, so that a sanitizer sees what is read beyond. */
static void try_narrow(const struct kernels *kernels, int try)
{
    if (kernels->narrow_columns == 0)
        return;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    int columns = between(1, kernels->narrow_columns), taps = between(1, 9), depth = between(1, 40), step = between(1, 50), stride = columns + between(0, 5);
    int rows = try < 64 ? NARROW_ROWS_MIN + try : between(NARROW_ROWS_MIN, 500), reach = 0;
    int64_t distances[9];
    for (int t = 0; t < taps; t++) {
        int at = between(0, 200);
        distances[t] = at * (int64_t)sizeof(float);
        reach = at > reach ? at : reach;
    }
    const float *input = random_floats(&arena, reach + (rows - 1) * step + depth), *bias = random_floats(&arena, columns);
    const float *weights = random_floats(&arena, columns * taps * depth);
    float *out = random_floats(&arena, rows * stride + GUARD), *untouched = arena_allocate_array(&arena, (size_t)(rows * stride + GUARD), sizeof *out);
    memcpy(untouched, out, (size_t)(rows * stride + GUARD) * sizeof *out);
    struct narrow_f32 job = {.input = input, .distances = distances, .out = out, .taps = taps, .depth = depth, .rows = rows, .in_stride = step,
                             .out_stride = stride, .epilogue = random_epilogue(), .columns = columns};
    job.panel = narrow_panel(&arena, &job, kernels->narrow_columns, bias, weights);
    job.residual = between(0, 1) == 1 ? random_floats(&arena, (rows - 1) * stride + columns) : NULL;
    kernels->narrow_f32(&job);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < stride; c++) {
            if (c >= columns) {
                CHECK(out[r * stride + c] == untouched[r * stride + c]);
                continue;
            }
            double sum = (double)bias[c] + (job.residual != NULL ? (double)job.residual[r * stride + c] : 0);
            for (int i = 0; i < taps * depth; i++)
                sum += (double)input[r * step + distances[i / depth] / (int64_t)sizeof(float) + i % depth] * (double)weights[c * taps * depth + i];
            CHECK_CLOSE(out[r * stride + c], finish(sum, &job.epilogue), taps * depth);
        }
    }
    CHECK(memcmp(out + rows * stride, untouched + rows * stride, GUARD * sizeof *out) == 0);
    arena_deinit(&arena);
}

/* The same rows in two runs, cut anywhere. */
static void try_narrow_cut(const struct kernels *kernels, int try)
{
    enum { STEP = 3, DEPTH = 11, ROWS_MOST = 120 };
    if (kernels->narrow_columns == 0)
        return;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    int columns = between(1, kernels->narrow_columns), rows = between(2 * NARROW_ROWS_MIN, ROWS_MOST), cut = between(NARROW_ROWS_MIN, rows - NARROW_ROWS_MIN);
    float once[ROWS_MOST * 16], twice[ROWS_MOST * 16];
    struct narrow_f32 job = {.input = random_floats(&arena, rows * STEP + DEPTH), .distances = (const int64_t[]){0}, .out = once, .taps = 1, .depth = DEPTH,
                             .rows = rows, .in_stride = STEP, .out_stride = columns, .epilogue = random_epilogue(), .columns = columns};
    job.panel = narrow_panel(&arena, &job, kernels->narrow_columns, random_floats(&arena, columns), random_floats(&arena, columns * DEPTH));
    kernels->narrow_f32(&job);
    job.out = twice;
    job.rows = cut;
    kernels->narrow_f32(&job);
    job.out += cut * columns;
    job.input += cut * STEP;
    job.rows = rows - cut;
    kernels->narrow_f32(&job);
    if (memcmp(once, twice, (size_t)(rows * columns) * sizeof *once) != 0) {
        printf("%s, try %d: %d rows of %d columns, cut at %d\n", kernels->name, try, rows, columns, cut);
        CHECK(!"the same bits");
    }
    arena_deinit(&arena);
}

static void try_depthwise(const struct kernels *kernels, int try)
{
    static const int sizes[] = {1, 2, 3, 5, 7};
    struct arena arena;
    arena_init(&arena, 64 << 20);
    int rows = sizes[between(0, 4)], columns = sizes[between(0, 4)], channels = between(1, 80), pixels = between(1, 20);
    int tap_step = channels + between(0, 1) * 3, stride = between(1, 3), step = tap_step * stride + (stride == 3), out_step = channels + between(0, 3);
    int weight_step = channels + between(0, 1) * 5;
    const float **inputs = arena_allocate_array(&arena, (size_t)rows, sizeof *inputs);
    const float **weights = arena_allocate_array(&arena, (size_t)rows, sizeof *weights);
    for (int r = 0; r < rows; r++) {
        inputs[r] = random_floats(&arena, (pixels - 1) * step + (columns - 1) * tap_step + channels);
        weights[r] = random_floats(&arena, (columns - 1) * weight_step + channels);
    }
    float *out = random_floats(&arena, pixels * out_step);
    float *untouched = arena_allocate_array(&arena, (size_t)(pixels * out_step), sizeof *untouched);
    memcpy(untouched, out, (size_t)(pixels * out_step) * sizeof *out);
    struct depthwise_f32 job = {.inputs = inputs, .weights = weights, .bias = random_floats(&arena, channels), .out = out, .rows = rows,
                                .columns = columns, .pixels = pixels, .channels = channels, .step = step, .tap_step = tap_step,
                                .weight_step = weight_step, .out_step = out_step, .epilogue = random_epilogue()};
    kernels->depthwise_f32(&job);
    for (int x = 0; x < pixels; x++) {
        for (int c = 0; c < out_step; c++) {
            if (c >= channels) {
                CHECK(out[x * out_step + c] == untouched[x * out_step + c]);
                continue;
            }
            double sum = (double)job.bias[c];
            for (int r = 0; r < rows; r++) {
                for (int k = 0; k < columns; k++)
                    sum += (double)inputs[r][x * step + k * tap_step + c] * (double)weights[r][k * weight_step + c];
            }
            CHECK_CLOSE(out[x * out_step + c], finish(sum, &job.epilogue), rows * columns);
        }
    }
    arena_deinit(&arena);
}

/* Lines end where the last tap ends, so that a sanitizer sees what is read beyond. */
static void try_depthwise_3x3(const struct kernels *kernels, int try)
{
    if (kernels->depthwise_3x3_f32 == NULL)
        return;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    int pixels = between(1, 20), channels = between(1, 80), stride = between(1, 2), left = between(0, 1), right = between(0, 1);
    int width = (pixels - 1) * stride + 3 - left - right;
    float *out = random_floats(&arena, pixels * channels + GUARD), *untouched = arena_allocate_array(&arena, (size_t)(pixels * channels + GUARD), sizeof *out);
    memcpy(untouched, out, (size_t)(pixels * channels + GUARD) * sizeof *out);
    struct depthwise_3x3_f32 job = {.out = out, .weights = random_floats(&arena, 9 * channels), .bias = random_floats(&arena, channels), .pixels = pixels,
                                    .channels = channels, .left = left, .right = right, .epilogue = random_epilogue(), .stride = stride};
    for (int r = 0; r < 3; r++)
        job.inputs[r] = random_floats(&arena, width * channels);
    kernels->depthwise_3x3_f32(&job);
    for (int i = 0; i < pixels * channels; i++) {
        int c = i % channels;
        double sum = (double)job.bias[c];
        for (int tap = 0; tap < 9; tap++) {
            int x = i / channels * stride + tap % 3 - left;
            if (x >= 0 && x < width)
                sum += (double)job.inputs[tap / 3][x * channels + c] * (double)job.weights[tap * channels + c];
        }
        CHECK_CLOSE(out[i], finish(sum, &job.epilogue), 9);
    }
    CHECK(memcmp(out + pixels * channels, untouched + pixels * channels, GUARD * sizeof *out) == 0);
    arena_deinit(&arena);
}

/* Within two units in the last place where the result is a normal number; below it may be zero. */
static void try_exp(const struct kernels *kernels, int try)
{
    static const float ends[] = {0, -0.0f, 88.72f, 88.7228f, 88.73f, -87.3f, -87.3365f, -87.34f, -104, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
    enum { ENDS = sizeof ends / sizeof ends[0], MOST = 100 };
    float in[MOST], out[MOST + 1];
    int count = try == 0 ? ENDS : between(1, MOST);
    for (int i = 0; i < count; i++)
        in[i] = try == 0 ? ends[i] : real() * (float)(try % 90);
    out[count] = 7;
    kernels->exp_f32(count, in, out);
    CHECK(out[count] == 7);
    for (int i = 0; i < count; i++) {
        double expected = exp((double)in[i]), off = fabs((double)out[i] - expected);
        double most = fmax((double)FLT_MIN, 2 * (double)FLT_EPSILON * expected);
        bool fits = isnan(in[i]) ? isnan(out[i]) : expected > (double)FLT_MAX ? isinf(out[i]) : off <= most;
        if (!fits)
            printf("%s, try %d: exp(%.9g) = %.9g, expected %.9g\n", kernels->name, try, (double)in[i], (double)out[i], expected);
        CHECK(fits);
    }
}

static void each_variant(void (*attempt)(const struct kernels *kernels, int try))
{
    for (const struct kernels *const *one = kernels_list(); *one != NULL; one++) {
        seed = 1;
        for (int try = 0; try < TRIES; try++)
            attempt(*one, try);
    }
}

static void matrix_products_are_what_they_are_defined_as(void)
{
    each_variant(try_gemm);
}

static void narrow_products_are_what_they_are_defined_as(void)
{
    each_variant(try_narrow);
}

static void narrow_products_have_the_same_bits_wherever_they_are_cut(void)
{
    each_variant(try_narrow_cut);
}

static void depthwise_rows_are_what_they_are_defined_as(void)
{
    each_variant(try_depthwise);
}

static void depthwise_lines_of_3_x_3_taps_are_what_they_are_defined_as(void)
{
    each_variant(try_depthwise_3x3);
}

static void exponentials_stay_within_two_units_in_the_last_place(void)
{
    each_variant(try_exp);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(matrix_products_are_what_they_are_defined_as), CASE(narrow_products_are_what_they_are_defined_as),
                                             CASE(narrow_products_have_the_same_bits_wherever_they_are_cut),
                                             CASE(depthwise_rows_are_what_they_are_defined_as),
                                             CASE(depthwise_lines_of_3_x_3_taps_are_what_they_are_defined_as),
                                             CASE(exponentials_stay_within_two_units_in_the_last_place), {0}});
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/ceilings.h"

#include "base/arena.h"
#include "inference/kernels/kernels.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TILE_DEPTH = 128, READ_DEPTH = 1024, TRIES = 12, CALLS_PER_TRY = 2000, BYTES_MAX = 64 << 20 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One row table for all: rows may share their inputs, which then are in the first-level cache like everything else. */
struct memory {
    char *weights;   /* BYTES_MAX and a panel */
    float *inputs;   /* [READ_DEPTH] */
    float *out;
    const float *rows[KERNEL_ROWS_MAX];
};

static struct gemm_f32 floats_of(const struct memory *memory, const struct kernels *kernels, int64_t depth)
{
    return (struct gemm_f32){.inputs = memory->rows, .panel = (const float *)(void *)memory->weights, .out = memory->out, .taps = 1, .depth = depth,
                             .out_stride = kernels->panel_columns, .epilogue = {-FLT_MAX, FLT_MAX, 1}, .columns = kernels->panel_columns};
}

static double measure_floats(const struct memory *memory, const struct kernels *kernels)
{
    const struct gemm_f32 gemm = floats_of(memory, kernels, TILE_DEPTH);
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        double start = now_s();
        for (int i = 0; i < CALLS_PER_TRY; i++)
            kernels->gemm_f32(kernels->rows, &gemm);
        double rate = (double)kernels->rows * kernels->panel_columns * TILE_DEPTH * CALLS_PER_TRY / (now_s() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

static double measure_bytes(const struct memory *memory, const struct byte_kernels *kernels)
{
    static const int64_t no_distance = 0;
    enum { DEPTH = 4 * TILE_DEPTH };
    int32_t multipliers[BYTE_COLUMNS_MAX], shifts[BYTE_COLUMNS_MAX], bias[BYTE_COLUMNS_MAX] = {0};
    for (int c = 0; c < BYTE_COLUMNS_MAX; c++) {
        multipliers[c] = 1 << 30;
        shifts[c] = -8;
    }
    const struct byte_results results = {.multiplier = multipliers, .shift = shifts, .high = 255, .positive = true};
    kernels->pack_header(memory->weights, kernels->columns,
                         &(struct byte_columns){.count = kernels->columns, .bias = bias, .multiplier = multipliers, .shift = shifts});
    struct byte_tile tile = {.inputs = (const uint8_t *const *)memory->rows, .taps = 1, .depth = DEPTH, .panel = memory->weights,
                             .out = (uint8_t *)memory->out, .out_stride = kernels->columns, .highs = 0xFFFFFFFF, .positive = 1,
                             .distances = &no_distance, .rows = kernels->rows, .columns = kernels->columns, .width = kernels->columns, .panels = 1,
                             .results = &results};
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        double start = now_s();
        for (int i = 0; i < CALLS_PER_TRY; i++)
            kernels->gemm(&tile);
        double rate = (double)kernels->rows * kernels->columns * DEPTH * CALLS_PER_TRY / (now_s() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

static double measure_reading(const struct memory *memory, const struct kernels *kernels, size_t bytes)
{
    struct gemm_f32 gemm = floats_of(memory, kernels, READ_DEPTH);
    const size_t panel_floats = (size_t)kernels->panel_columns * (READ_DEPTH + 1), panels = bytes / (panel_floats * sizeof(float));
    const int passes = (int)(BYTES_MAX / bytes);
    double best = 0;
    for (int try = 0; try < TRIES; try++) {
        double start = now_s();
        for (int pass = 0; pass < passes; pass++) {
            gemm.panel = (const float *)(void *)memory->weights;
            for (size_t p = 0; p < panels; p++, gemm.panel += panel_floats)
                kernels->gemm_f32(1, &gemm);
        }
        double rate = (double)passes * (double)panels * (double)panel_floats * sizeof(float) / (now_s() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

enum error_code ceilings_measure(const char *cpu, struct ceilings *ceilings_out, struct error *error)
{
    static const size_t read_bytes[CEILINGS_READ] = {512 << 10, 4 << 20, BYTES_MAX};
    const struct kernels *kernels;
    TRY(kernels_select(cpu, &kernels, error));
    struct memory memory = {.weights = aligned_alloc(ARENA_ALIGNMENT, BYTES_MAX),
                            .inputs = aligned_alloc(ARENA_ALIGNMENT, READ_DEPTH * sizeof(float) + ARENA_ALIGNMENT),
                            .out = aligned_alloc(ARENA_ALIGNMENT, KERNEL_ROWS_MAX * KERNEL_COLUMNS_MAX * sizeof(float))};
    const bool complete = memory.weights != NULL && memory.inputs != NULL && memory.out != NULL;
    if (complete) {
        memset(memory.weights, 0, BYTES_MAX);
        memset(memory.inputs, 0, READ_DEPTH * sizeof(float) + ARENA_ALIGNMENT);
        for (int r = 0; r < KERNEL_ROWS_MAX; r++)
            memory.rows[r] = memory.inputs;
        ceilings_out->f32_gmac_s = measure_floats(&memory, kernels);
        for (int i = 0; i < CEILINGS_READ; i++) {
            ceilings_out->read[i].bytes = read_bytes[i];
            ceilings_out->read[i].gb_s = measure_reading(&memory, kernels, read_bytes[i]);
        }
        ceilings_out->i8_gmac_s = measure_bytes(&memory, kernels->bytes);
    }
    free(memory.out);
    free(memory.inputs);
    free(memory.weights);
    return complete ? ERROR_NONE : error_set(error, ERROR_LIMIT, "no memory to measure this machine with");
}

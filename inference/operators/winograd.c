/* SPDX-License-Identifier: Apache-2.0
 *
 * Float 3x3 convolution of stride 1 by minimal filtering (kernels/winograd.h). For a block of tiles: their windows are transformed
 * (n * n matrices of tiles x channels), then for each panel of 32 result channels n * n small matrix products are made and transformed
 * back into pixels, with bias, residual and activation. Nothing larger than a block's matrices is kept. */
#include "inference/kernels/winograd.h"

#include "inference/kernels/panels_f32.h"
#include "inference/operators/convolution_f32.h"
#include "inference/operators/families.h"
#include "inference/packed.h"

#include <float.h>
#include <string.h>

enum {
    BLOCK_BYTES_MAX = 512 << 10, /* of transformed input: stays in the second-level cache */
    BLOCK_TILES_MAX = 48,
    PARTS_WANTED = 12,
    PART_MACS_MIN = 500000,
};

struct winograd {
    const float *panels;         /* [panel][n * n][1 + channels][panel_columns] */
    const float *bias, *zeros;   /* [panels * panel_columns]; [channels] */
    struct float_epilogue epilogue;
    int tile, window;            /* m; n * n */
    int32_t height, width, out_height, out_width, pad_top, pad_left;
    int64_t channels, columns, out_pitch, panel_count, panel_columns, tiles_across, tiles; /* tiles: of an image */
    int64_t block_tiles, blocks, panel_blocks;
    size_t input_floats, product_floats; /* of scratch */
};

/* The pixels under a tile's window; outside the image: zeros. */
static void point_window(const struct winograd *layer, const float *image, int64_t tile, const float **inputs)
{
    int n = layer->tile + 2;
    int32_t top = (int32_t)(tile / layer->tiles_across) * layer->tile - layer->pad_top;
    int32_t left = (int32_t)(tile % layer->tiles_across) * layer->tile - layer->pad_left;
    for (int32_t y = top; y < top + n; y++) {
        const float *row = image + (int64_t)y * layer->width * layer->channels;
        bool inside = y >= 0 && y < layer->height;
        for (int32_t x = left; x < left + n; x++)
            *inputs++ = inside && x >= 0 && x < layer->width ? row + x * layer->channels : layer->zeros;
    }
}

/* The pixels that a tile makes, from channel `column` on; those beyond the image's edge go to `spare`. residuals alike. */
static void point_results(const struct winograd *layer, float *image, int64_t tile, int64_t column, float *spare, float **outputs)
{
    int32_t top = (int32_t)(tile / layer->tiles_across) * layer->tile, left = (int32_t)(tile % layer->tiles_across) * layer->tile;
    for (int32_t y = top; y < top + layer->tile; y++) {
        for (int32_t x = left; x < left + layer->tile; x++) {
            bool inside = y < layer->out_height && x < layer->out_width;
            *outputs++ = inside ? image + ((int64_t)y * layer->out_width + x) * layer->out_pitch + column : spare;
        }
    }
}

/* One panel's products: out[window][tiles][panel_columns]. */
static void multiply(const struct operation *operation, const struct winograd *layer, int64_t panel, const float *windows, int64_t tiles, float *out)
{
    int64_t rows_max = operation->kernels->rows, groups = (tiles + rows_max - 1) / rows_max, width = layer->panel_columns;
    const float *inputs[KERNEL_ROWS_MAX];
    struct gemm_f32 gemm = {.inputs = inputs, .taps = 1, .depth = layer->channels, .out_stride = width, .columns = (int32_t)width,
                            .epilogue = {-FLT_MAX, FLT_MAX, 1}};
    gemm.panel = layer->panels + panel * layer->window * (1 + layer->channels) * width;
    for (int i = 0; i < layer->window; i++, gemm.panel += (1 + layer->channels) * width) {
        for (int64_t g = 0; g < groups; g++) {
            int64_t first = tiles * g / groups, last = tiles * (g + 1) / groups;
            for (int64_t r = first; r < last; r++)
                inputs[r - first] = windows + (i * tiles + r) * layer->channels;
            gemm.out = out + (i * tiles + first) * width;
            operation->kernels->gemm_f32((int)(last - first), &gemm);
        }
    }
}

static void run_block(const struct operation *operation, const struct winograd *layer, const float *image, const float *residual, float *result,
                      float *scratch, bool transformed, int64_t block, int64_t first_panel, int64_t last_panel)
{
    const float *inputs[WINOGRAD_WINDOW_MAX * WINOGRAD_WINDOW_MAX];
    float *outputs[WINOGRAD_TILE_MAX * WINOGRAD_TILE_MAX], *residuals[WINOGRAD_TILE_MAX * WINOGRAD_TILE_MAX];
    float *windows = scratch, *products = windows + layer->input_floats, *spare = products + layer->product_floats;
    int64_t first = layer->tiles * block / layer->blocks, tiles = layer->tiles * (block + 1) / layer->blocks - first;
    for (int64_t t = 0; t < tiles && !transformed; t++) {
        point_window(layer, image, first + t, inputs);
        operation->kernels->winograd_input(&(struct winograd_input){.tile = layer->tile, .channels = layer->channels, .inputs = inputs,
                                                                    .out = windows + t * layer->channels, .out_stride = tiles * layer->channels});
    }
    for (int64_t panel = first_panel; panel < last_panel; panel++) {
        int64_t column = panel * layer->panel_columns;
        multiply(operation, layer, panel, windows, tiles, products);
        struct winograd_output output = {.tile = layer->tile, .bias = layer->bias + column, .in_stride = tiles * layer->panel_columns, .outputs = outputs,
                                         .residuals = residual != NULL ? (const float *const *)residuals : NULL, .epilogue = layer->epilogue};
        output.channels = layer->columns - column < layer->panel_columns ? layer->columns - column : layer->panel_columns;
        for (int64_t t = 0; t < tiles; t++) {
            point_results(layer, result, first + t, column, spare, outputs);
            if (residual != NULL)
                point_results(layer, (float *)(uintptr_t)residual, first + t, column, spare, residuals);
            output.inputs = products + t * layer->panel_columns;
            operation->kernels->winograd_output(&output);
        }
    }
}

/* Parts lie in the order image, block of tiles, block of panels. The transformed tiles of the block that was last are still there. */
static void winograd_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct winograd *layer = operation->prepared;
    const float *input = operation_input_data(operation, data, 0);
    const float *residual = operation->node->input_count > 3 ? operation_input_data(operation, data, 3) : NULL;
    float *output = operation_output_data(operation, data, 0);
    int64_t *kept = scratch; /* the block's number from 1 on */
    for (int64_t part = first, next; part < last; part = next) {
        int64_t block = part / layer->panel_blocks, image = block / layer->blocks, panel_block = part % layer->panel_blocks;
        next = (block + 1) * layer->panel_blocks < last ? (block + 1) * layer->panel_blocks : last;
        int64_t out_at = image * layer->out_height * layer->out_width * layer->out_pitch;
        run_block(operation, layer, input + image * layer->height * layer->width * layer->channels, residual != NULL ? residual + out_at : NULL,
                  output + out_at, (float *)(void *)((char *)scratch + ARENA_ALIGNMENT), *kept == block + 1, block % layer->blocks,
                  layer->panel_count * panel_block / layer->panel_blocks,
                  layer->panel_count * (panel_block + next - part) / layer->panel_blocks);
        *kept = block + 1;
    }
}

/* G g Gt of one input and result channel; kernel: 3 x 3, `step` floats apart. */
static void transform_kernel(int tile, const float *kernel, int64_t step, float *out, int64_t out_step)
{
    const struct winograd_matrices *matrices = winograd_matrices(tile);
    int n = tile + 2;
    double half[WINOGRAD_WINDOW_MAX][3];
    for (int y = 0; y < n; y++) {
        for (int x = 0; x < 3; x++) {
            half[y][x] = 0;
            for (int k = 0; k < 3; k++)
                half[y][x] += matrices->kernel[y][k] * (double)kernel[(k * 3 + x) * step];
        }
    }
    for (int i = 0; i < n * n; i++) {
        const double *row = half[i / n], *factors = matrices->kernel[i % n];
        out[i * out_step] = (float)(row[0] * factors[0] + row[1] * factors[1] + row[2] * factors[2]);
    }
}

static void pack(const struct winograd *layer, const float *weights, float *panels)
{
    int64_t width = layer->panel_columns, matrix = (1 + layer->channels) * width;
    for (int64_t p = 0; p < layer->panel_count; p++) {
        float *panel = panels + p * layer->window * matrix + width; /* behind the row of bias, which stays zero */
        int64_t last = (p + 1) * width < layer->columns ? (p + 1) * width : layer->columns;
        for (int64_t i = 0; i < layer->channels; i++) {
            for (int64_t o = p * width; o < last; o++)
                transform_kernel(layer->tile, weights + o * 9 * layer->channels + i, layer->channels, panel + i * width + o % width, matrix);
        }
    }
}

static void choose_blocks(struct operation *operation, struct winograd *layer, int64_t batch)
{
    int64_t fitting = BLOCK_BYTES_MAX / (layer->window * layer->channels * (int64_t)sizeof(float));
    fitting = fitting > BLOCK_TILES_MAX ? BLOCK_TILES_MAX : fitting < operation->kernels->rows ? operation->kernels->rows : fitting;
    if (batch == 0)
        return;
    int64_t parts_max = (int64_t)operation->macs / batch / PART_MACS_MIN;
    layer->blocks = (layer->tiles + fitting - 1) / fitting;
    layer->blocks += layer->blocks > 1 ? layer->blocks % 2 : 0; /* as many for each of two threads */
    int64_t wanted = PARTS_WANTED / (layer->blocks * batch);
    wanted = wanted * layer->blocks > parts_max ? parts_max / layer->blocks : wanted;
    layer->panel_blocks = wanted < 1 ? 1 : wanted < layer->panel_count ? wanted : layer->panel_count;
    layer->blocks += layer->blocks == 1 && layer->panel_blocks % 2 != 0 && layer->panel_blocks > 1 && layer->tiles > 1;
    layer->block_tiles = (layer->tiles + layer->blocks - 1) / layer->blocks;
    operation->parts = batch * layer->blocks * layer->panel_blocks;
    layer->input_floats = (size_t)(layer->window * layer->block_tiles * layer->channels);
    layer->product_floats = (size_t)(layer->window * layer->block_tiles * layer->panel_columns);
    operation->scratch_kept = true;
    operation->scratch_bytes = ARENA_ALIGNMENT + (layer->input_floats + layer->product_floats + KERNEL_COLUMNS_MAX) * sizeof(float);
}

enum error_code winograd_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const float *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2)->data : NULL;
    const struct spatial *s = &node->attributes.spatial;
    struct winograd *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    *layer = (struct winograd){.tile = s->winograd, .window = (s->winograd + 2) * (s->winograd + 2), .epilogue = panels_f32_epilogue(node),
                               .height = in[1], .width = in[2], .out_height = out[1], .out_width = out[2], .pad_top = s->pad[0], .pad_left = s->pad[1],
                               .channels = in[3], .columns = out[3], .out_pitch = operation_output_pitch(operation),
                               .panel_columns = operation->kernels->panel_columns};
    layer->panel_count = (layer->columns + layer->panel_columns - 1) / layer->panel_columns;
    layer->tiles_across = (out[2] + layer->tile - 1) / layer->tile;
    layer->tiles = layer->tiles_across * ((out[1] + layer->tile - 1) / layer->tile);
    size_t bytes;
    bool filled = false;
    bool fits = !__builtin_mul_overflow((size_t)(layer->panel_count * layer->window),
                                        (size_t)((1 + layer->channels) * layer->panel_columns) * sizeof *layer->panels, &bytes);
    float *panels = fits ? packed_place(operation->graph->packed, arena, bytes, &filled) : NULL;
    float *padded_bias = arena_allocate_array(arena, (size_t)(layer->panel_count * layer->panel_columns), sizeof *padded_bias);
    layer->zeros = arena_allocate_array(arena, (size_t)layer->channels, sizeof *layer->zeros);
    if (panels == NULL || padded_bias == NULL || layer->zeros == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "its weights need more memory than eddy allows");
    if (bias != NULL)
        memcpy(padded_bias, bias, (size_t)layer->columns * sizeof *bias);
    if (!filled)
        pack(layer, operation_input(operation, 1)->data, panels);
    layer->panels = panels;
    layer->bias = padded_bias;
    operation->macs = (uint64_t)(shape_elements(&operation_output(operation, 0)->shape) * 9 * layer->channels);
    choose_blocks(operation, layer, in[0]);
    operation->weights_packed = 1;
    operation->prepared = layer;
    operation->execute_parts = winograd_parts;
    return ERROR_NONE;
}

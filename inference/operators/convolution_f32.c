/* SPDX-License-Identifier: Apache-2.0
 *
 * A tile is some result pixels (rows of the matrix product); for each kernel position ("tap") it has a pointer to each pixel's input, and
 * padding is a pointer to zeros. Where few channels make taps short, a whole kernel row is one tap, and pixels whose window sticks out to
 * the left or right get a copy of their rows.
 *
 * Order of the work: weights that fit the second-level cache are passed over for each tile, larger ones once for a block of tiles whose
 * inputs fit. A part (what threads share) is a block of tiles times a block of panels; its bounds depend on shapes alone. */
#include "inference/operators/convolution_f32.h"

#include "inference/kernels/panels_f32.h"
#include "inference/operators/families.h"

#include <string.h>

enum {
    FEW_CHANNELS = 4,                 /* up to here a kernel row is one tap */
    WEIGHTS_RESIDENT_MAX = 384 << 10, /* bytes that stay in the second-level cache beside a tile's inputs and results */
    BLOCK_INPUT_MAX = 256 << 10,      /* bytes of input of a block of tiles, where weights are larger */
    PARTS_WANTED = 16,                /* enough for threads to end at about the same time */
    SHORTEST_TILE = 6,                /* rows: fewer would wait for weights */
    PART_MACS_MIN = 200000,           /* about 2 us: sharing less costs more than it brings */
};

struct convolution_f32 {
    struct panels_f32 *groups;        /* [group_count] */
    int64_t group_count, group_depth, group_columns;
    int32_t height, width, channels, out_width, out_channels, out_pitch;
    struct spatial spatial;
    int64_t batch, pixels;            /* images, and result pixels of one */
    bool direct;                      /* 1x1, stride 1, no padding: rows follow each other */
    int32_t run;                      /* kernel columns that one tap covers: 1, or all */
    int64_t taps, depth;
    int64_t *tap_offsets;             /* [taps], from the first float under the window */
    int32_t *tap_rows, *tap_columns;  /* [taps], dilated */
    const float *zeros;               /* [depth] */
    int32_t first_inside, last_inside; /* result columns whose window lies inside: [first, last) */
    int64_t tile_rows, longer_tiles;  /* the first longer_tiles tiles have one row more than tile_rows */
    int64_t tiles, block_tiles, blocks, block_panels, panel_blocks;
    bool panels_first;                /* weights once for a block of tiles, not once for a tile */
};

/* Taps of a pixel whose window sticks out. A tap that covers a whole row is copied into `edges` where its ends are missing. */
static void point_edge(const struct convolution_f32 *layer, const float *window, int32_t top, int32_t left, const float **table, float *edges)
{
    for (int64_t t = 0; t < layer->taps; t++, table += KERNEL_ROWS_MAX, edges += layer->depth) {
        int32_t y = top + layer->tap_rows[t], x = left + layer->tap_columns[t];
        const float *source = window + layer->tap_offsets[t];
        if (y < 0 || y >= layer->height || x + layer->run <= 0 || x >= layer->width) {
            *table = layer->zeros;
        } else if (x >= 0 && x + layer->run <= layer->width) {
            *table = source;
        } else {
            int32_t from = x < 0 ? -x : 0, to = x + layer->run > layer->width ? layer->width - x : layer->run;
            memset(edges, 0, (size_t)layer->depth * sizeof *edges);
            memcpy(edges + from * layer->channels, source + from * layer->channels, (size_t)((to - from) * layer->channels) * sizeof *edges);
            *table = edges;
        }
    }
}

static void point_tile(const struct convolution_f32 *layer, const float *input, int64_t first, int rows, const float **table, float *edges)
{
    const struct spatial *s = &layer->spatial;
    if (layer->direct) {
        for (int r = 0; r < rows; r++)
            table[r] = input + (first + r) * layer->channels;
        return;
    }
    int32_t out_y = (int32_t)first / layer->out_width, out_x = (int32_t)first % layer->out_width;
    int32_t reach_y = (s->kernel[0] - 1) * s->dilation[0];
    int64_t step = s->stride[1] * layer->channels;
    for (int r = 0, count; r < rows; r += count) {
        int32_t top = out_y * s->stride[0] - s->pad[0], left = out_x * s->stride[1] - s->pad[1];
        const float *window = input + ((int64_t)top * layer->width + left) * layer->channels;
        count = 1;
        if (top >= 0 && top + reach_y < layer->height && out_x >= layer->first_inside && out_x < layer->last_inside) {
            count = layer->last_inside - out_x < rows - r ? layer->last_inside - out_x : rows - r;
            for (int64_t t = 0; t < layer->taps; t++) {
                const float *at = window + layer->tap_offsets[t], **entry = table + t * KERNEL_ROWS_MAX + r;
                for (int i = 0; i < count; i++)
                    entry[i] = at + i * step;
            }
        } else {
            point_edge(layer, window, top, left, table + r, edges + r * layer->taps * layer->depth);
        }
        out_x += count;
        if (out_x == layer->out_width) {
            out_x = 0;
            out_y++;
        }
    }
}

struct place {
    const float *input, *residual; /* of the image and group; residual may be NULL */
    float *output;
    const float **table;           /* a tile's pointers, [taps][KERNEL_ROWS_MAX] */
    float *edges;
};

static int64_t tile_start(const struct convolution_f32 *layer, int64_t tile)
{
    return tile * layer->tile_rows + (tile < layer->longer_tiles ? tile : layer->longer_tiles);
}

static void run_tile(const struct convolution_f32 *layer, const struct panels_f32 *panels, const struct place *place, int64_t tile,
                     const float *const *table, int64_t first_panel, int64_t last_panel)
{
    int64_t first = tile_start(layer, tile), at = first * layer->out_pitch;
    panels_f32_run(panels, first_panel, last_panel, (int)(tile_start(layer, tile + 1) - first), table, place->output + at, layer->out_pitch,
                   place->residual != NULL ? place->residual + at : NULL);
}

static void run_block(const struct convolution_f32 *layer, const struct panels_f32 *panels, const struct place *place, int64_t block, int64_t panel_block)
{
    int64_t first = block * layer->block_tiles, last = first + layer->block_tiles < layer->tiles ? first + layer->block_tiles : layer->tiles;
    int64_t first_panel = panel_block * layer->block_panels;
    int64_t last_panel = first_panel + layer->block_panels < panels->count ? first_panel + layer->block_panels : panels->count;
    int64_t tables = layer->panels_first ? last - first : 1, table_size = layer->taps * KERNEL_ROWS_MAX;
    int64_t edge_size = layer->taps * layer->depth * KERNEL_ROWS_MAX;
    for (int64_t tile = first; tile < last; tile++) {
        int64_t slot = layer->panels_first ? tile - first : 0;
        const float **table = place->table + slot * table_size;
        int64_t start = tile_start(layer, tile);
        point_tile(layer, place->input, start, (int)(tile_start(layer, tile + 1) - start), table, place->edges + slot * edge_size);
        if (!layer->panels_first)
            run_tile(layer, panels, place, tile, table, first_panel, last_panel);
    }
    if (!layer->panels_first)
        return;
    for (int64_t panel = first_panel; panel < last_panel; panel++) {
        for (int64_t slot = 0; slot < tables; slot++)
            run_tile(layer, panels, place, first + slot, place->table + slot * table_size, panel, panel + 1);
    }
}

static size_t align(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static size_t table_bytes(const struct convolution_f32 *layer)
{
    return align((size_t)((layer->panels_first ? layer->block_tiles : 1) * layer->taps * KERNEL_ROWS_MAX) * sizeof(float *));
}

/* Parts lie in the order image, group, block of tiles, block of panels. */
static void convolution_f32_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct convolution_f32 *layer = operation->prepared;
    const float *input = operation_input_data(operation, data, 0);
    const float *residual = operation->node->input_count > 3 ? operation_input_data(operation, data, 3) : NULL;
    float *output = operation_output_data(operation, data, 0);
    struct place place = {.table = scratch, .edges = (float *)(void *)((char *)scratch + table_bytes(layer))};
    for (int64_t part = first; part < last; part++) {
        int64_t panel_block = part % layer->panel_blocks, block = part / layer->panel_blocks % layer->blocks;
        int64_t group = part / (layer->panel_blocks * layer->blocks) % layer->group_count;
        int64_t image = part / (layer->panel_blocks * layer->blocks * layer->group_count);
        int64_t out_at = image * layer->pixels * layer->out_pitch + group * layer->group_columns;
        place.input = input + image * layer->height * layer->width * layer->channels + group * layer->group_depth;
        place.output = output + out_at;
        place.residual = residual != NULL ? residual + out_at : NULL;
        run_block(layer, &layer->groups[group], &place, block, panel_block);
    }
}

static int64_t convolution_f32_pixels(const struct operation *operation, int64_t part)
{
    const struct convolution_f32 *layer = operation->prepared;
    return part < layer->blocks ? tile_start(layer, part * layer->block_tiles) : layer->pixels;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void choose_blocks(struct operation *operation, struct convolution_f32 *layer)
{
    const struct panels_f32 *panels = &layer->groups[0];
    int64_t rows = operation->kernels->rows, weight_bytes = panels->count * panels->panel_floats * (int64_t)sizeof(float);
    if (layer->batch * layer->pixels == 0) /* an empty batch: no parts */
        return;
    layer->tiles = divide_up(layer->pixels, rows);
    layer->panels_first = weight_bytes > WEIGHTS_RESIDENT_MAX && layer->tiles > 1;
    int64_t others = layer->batch * layer->group_count, blocks = divide_up(PARTS_WANTED, others);
    int64_t image_bytes = (int64_t)layer->height * layer->width * layer->group_depth * (int64_t)sizeof(float);
    if (layer->panels_first) {
        blocks = divide_up(image_bytes, BLOCK_INPUT_MAX);
        blocks += blocks > 1 ? blocks % 2 : 0;
    }
    int64_t parts_max = (int64_t)(operation->macs / (uint64_t)others) / PART_MACS_MIN; /* of an image and group */
    parts_max = parts_max < 1 ? 1 : parts_max;
    if (blocks > parts_max && !layer->panels_first)
        blocks = parts_max;
    if (!layer->panels_first)
        blocks = parts_for_bands(blocks, layer->pixels * layer->out_channels * (int64_t)sizeof(float));
    if (layer->panels_first && divide_up(layer->tiles, blocks) * blocks * SHORTEST_TILE <= layer->pixels)
        layer->tiles = divide_up(layer->tiles, blocks) * blocks; /* blocks of the same size */
    layer->tile_rows = layer->pixels / layer->tiles;
    layer->longer_tiles = layer->pixels % layer->tiles;
    layer->block_tiles = divide_up(layer->tiles, blocks);
    layer->blocks = divide_up(layer->tiles, layer->block_tiles);
    int64_t panel_blocks = divide_up(PARTS_WANTED, others * layer->blocks);
    panel_blocks = panel_blocks * layer->blocks > parts_max ? parts_max / layer->blocks : panel_blocks;
    panel_blocks = panel_blocks < 1 ? 1 : panel_blocks > panels->count ? panels->count : panel_blocks;
    layer->block_panels = divide_up(panels->count, panel_blocks);
    layer->panel_blocks = divide_up(panels->count, layer->block_panels);
    operation->parts = others * layer->blocks * layer->panel_blocks;
    if (operation->parts == layer->blocks)
        operation->pixels_before = convolution_f32_pixels;
    size_t slots = layer->panels_first ? (size_t)layer->block_tiles : 1;
    bool edges = layer->run > 1;
    operation->scratch_bytes = table_bytes(layer) + (edges ? slots * (size_t)(layer->taps * layer->depth) * KERNEL_ROWS_MAX * sizeof(float) : 0);
}

static enum error_code point_taps(struct convolution_f32 *layer, const struct operation *operation, struct arena *arena, int64_t *weight_offsets,
                                  struct error *error)
{
    const struct spatial *s = &layer->spatial;
    layer->tap_offsets = arena_allocate_array(arena, (size_t)layer->taps, sizeof *layer->tap_offsets);
    layer->tap_rows = arena_allocate_array(arena, (size_t)layer->taps * 2, sizeof *layer->tap_rows);
    float *zeros = arena_allocate_array(arena, (size_t)layer->depth, sizeof *zeros);
    if (layer->tap_offsets == NULL || layer->tap_rows == NULL || zeros == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    int32_t last = layer->width - 1 - (s->kernel[1] - 1) * s->dilation[1] + s->pad[1];
    layer->first_inside = (s->pad[1] + s->stride[1] - 1) / s->stride[1];
    layer->last_inside = last < 0 ? 0 : last / s->stride[1] + 1;
    layer->last_inside = layer->last_inside < layer->out_width ? layer->last_inside : layer->out_width;
    layer->tap_columns = layer->tap_rows + layer->taps;
    layer->zeros = zeros;
    for (int32_t ky = 0, t = 0; ky < s->kernel[0]; ky++) {
        for (int32_t kx = 0; kx < s->kernel[1]; kx += layer->run, t++) {
            layer->tap_rows[t] = ky * s->dilation[0];
            layer->tap_columns[t] = kx * s->dilation[1];
            layer->tap_offsets[t] = ((int64_t)layer->tap_rows[t] * layer->width + layer->tap_columns[t]) * layer->channels;
            weight_offsets[t] = ((int64_t)ky * s->kernel[1] + kx) * layer->group_depth;
        }
    }
    return ERROR_NONE;
}

/* The layer is filled but for what follows from it; weights [out_channels][weight_floats]. */
static enum error_code finish_layer(struct operation *operation, struct convolution_f32 *layer, struct arena *arena, struct error *error)
{
    const struct node *node = operation->node;
    const float *weights = operation_input(operation, 1)->data;
    const float *bias = node->input_count > 2 && node->inputs[2] >= 0 ? operation_input(operation, 2)->data : NULL;
    int64_t window = (int64_t)layer->spatial.kernel[0] * layer->spatial.kernel[1], column_step = window * layer->group_depth;
    layer->taps = window / layer->run;
    layer->depth = layer->run * layer->group_depth;
    int64_t *weight_offsets = arena_allocate_array(arena, (size_t)layer->taps, sizeof *weight_offsets);
    layer->groups = arena_allocate_array(arena, (size_t)layer->group_count, sizeof *layer->groups);
    if (weight_offsets == NULL || layer->groups == NULL)
        return operator_fail(node, ERROR_LIMIT, error, "no memory");
    TRY(point_taps(layer, operation, arena, weight_offsets, error));
    for (int64_t g = 0; g < layer->group_count; g++) {
        struct weight_layout layout = {.weights = weights + g * layer->group_columns * column_step, .column_step = column_step,
                                       .tap_offsets = weight_offsets};
        TRY(panels_f32_pack(&layer->groups[g], operation->kernels, operation->graph->packed, arena, node, &layout,
                            bias != NULL ? bias + g * layer->group_columns : NULL, layer->group_columns, layer->taps, layer->depth, error));
    }
    operation->macs = (uint64_t)(layer->batch * layer->pixels * layer->out_channels) * (uint64_t)column_step;
    choose_blocks(operation, layer);
    operation->weights_packed = 1;
    operation->prepared = layer;
    operation->execute_parts = convolution_f32_parts;
    return ERROR_NONE;
}

enum error_code convolution_f32_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *in = operation_input(operation, 0)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    const struct spatial *s = &operation->node->attributes.spatial;
    if (s->winograd != 0)
        return winograd_prepare(operation, arena, error);
    if (narrow_convolution_fits(operation))
        return narrow_convolution_prepare(operation, arena, error);
    struct convolution_f32 *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *layer = (struct convolution_f32){.group_count = s->groups, .batch = in[0], .height = in[1], .width = in[2], .channels = in[3],
                                      .out_width = out[2], .out_channels = out[3], .spatial = *s, .pixels = (int64_t)out[1] * out[2]};
    layer->out_pitch = operation_output_pitch(operation);
    layer->group_depth = layer->channels / s->groups;
    layer->group_columns = layer->out_channels / s->groups;
    bool unpadded = (s->pad[0] | s->pad[1] | s->pad[2] | s->pad[3]) == 0, one = s->kernel[0] == 1 && s->kernel[1] == 1;
    layer->direct = one && s->stride[0] == 1 && s->stride[1] == 1 && unpadded;
    layer->run = layer->channels <= FEW_CHANNELS && s->groups == 1 && s->dilation[1] == 1 ? s->kernel[1] : 1;
    return finish_layer(operation, layer, arena, error);
}

enum error_code fully_connected_f32_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const int32_t *weights = operation_input(operation, 1)->shape.dims, *out = operation_output(operation, 0)->shape.dims;
    struct convolution_f32 *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *layer = (struct convolution_f32){.group_count = 1, .batch = 1, .height = 1, .width = out[0], .channels = weights[1], .out_width = out[0],
                                      .out_channels = weights[0], .out_pitch = weights[0], .pixels = out[0],
                                      .group_depth = weights[1], .group_columns = weights[0],
                                      .direct = true, .run = 1, .spatial = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
    return finish_layer(operation, layer, arena, error);
}

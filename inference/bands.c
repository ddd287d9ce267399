/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/bands.h"

#include "inference/operators/families.h"

#include <assert.h>
#include <string.h>
#include <time.h>

enum {
    LAYERS_MAX = 16,
    BANDS_WANTED = 16,              /* enough for threads to end at about the same time */
    CACHE_BYTES = 448 << 10,        /* of windows and weights: they stay in the second-level cache beside what the first layer reads */
    LAPS_MAX = 4,
};

struct band_layer {
    struct operation operation;
    int64_t pixel_bytes;            /* of its result */
    int64_t held_bytes;             /* most that is needed of it at once; of the last layer's: 0 */
    int64_t window_bytes;           /* the window on it: some times as much, so that what is held moves to its front now and then only */
    size_t window;                  /* where it lies in the scratch */
};

struct bands {
    struct band_layer layers[LAYERS_MAX];
    int32_t count;
    int64_t bands;
    int64_t *goals;                 /* [bands][count]: parts of each layer that are done when a band is */
    size_t table, layer_scratch;    /* where they lie in the scratch */
};

/* At the scratch's begin; behind it the table of values, windows, the layers' own scratch. */
struct progress {
    int64_t next;                   /* band that may follow on what the windows hold; -1: none */
    bool timed;
    int64_t done[LAYERS_MAX];       /* parts */
    int64_t front[LAYERS_MAX];      /* result pixel at the window's front */
    int64_t spent_ns[LAYERS_MAX];
};

static size_t align(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static int64_t pixels_before(const struct band_layer *layer, int64_t part)
{
    return layer->operation.pixels_before(&layer->operation, part);
}

/* Input pixels above the row that lies `reach` below the first one under result row `row`'s window. */
static int64_t pixels_above(const struct band_layer *layer, int64_t row, int64_t reach)
{
    const struct spatial *s = &layer->operation.node->attributes.spatial;
    const int32_t *in = operation_input(&layer->operation, 0)->shape.dims;
    int64_t above = row * s->stride[0] - s->pad[0] + reach;
    return (above < 0 ? 0 : above < in[1] ? above : in[1]) * in[2];
}

/* The first input pixel that parts from this one on read. */
static int64_t first_read(const struct band_layer *layer, int64_t part)
{
    return pixels_above(layer, pixels_before(layer, part) / operation_output(&layer->operation, 0)->shape.dims[2], 0);
}

/* The first input pixel that parts before this one, of which there are some, do not read. */
static int64_t first_unread(const struct band_layer *layer, int64_t part)
{
    const struct spatial *s = &layer->operation.node->attributes.spatial;
    int64_t last_row = (pixels_before(layer, part) - 1) / operation_output(&layer->operation, 0)->shape.dims[2];
    return pixels_above(layer, last_row, (int64_t)(s->kernel[0] - 1) * s->dilation[0] + 1);
}

/* The first result pixel that is still needed where parts before `done` are done, and of the next layer those before `next_done`. */
static int64_t first_held(const struct band_layer *layer, int64_t done, int64_t next_done)
{
    int64_t made = pixels_before(layer, done), needed = first_read(layer + 1, next_done);
    return needed < made ? needed : made;
}

static void **table_of(const struct bands *bands, struct progress *progress)
{
    return (void **)(void *)((char *)progress + bands->table);
}

/* To operators a value lies where it would lie as a whole, of which only what is in the window is touched. */
static void set_front(const struct bands *bands, struct progress *progress, int32_t i, int64_t pixel)
{
    const struct band_layer *layer = &bands->layers[i];
    progress->front[i] = pixel;
    table_of(bands, progress)[layer->operation.node->outputs[0]] = (void *)((uintptr_t)progress + layer->window - (uintptr_t)(pixel * layer->pixel_bytes));
}

/* Where parts up to `goal` would not fit into the window any more, what is still needed moves to its front. */
static void make_room(const struct bands *bands, struct progress *progress, int32_t i, int64_t goal)
{
    const struct band_layer *layer = &bands->layers[i];
    if ((pixels_before(layer, goal) - progress->front[i]) * layer->pixel_bytes <= layer->window_bytes)
        return;
    char *window = (char *)progress + layer->window;
    int64_t held = first_held(layer, progress->done[i], progress->done[i + 1]), made = pixels_before(layer, progress->done[i]);
    assert((pixels_before(layer, goal) - held) * layer->pixel_bytes <= layer->window_bytes);
    memmove(window, window + (held - progress->front[i]) * layer->pixel_bytes, (size_t)((made - held) * layer->pixel_bytes));
    set_front(bands, progress, i, held);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Nothing is made yet, and of the results only those from a band on are wanted: of each layer the parts are found with which that begins. */
static void start_at(const struct bands *bands, struct progress *progress, int64_t band)
{
    const struct band_layer *layers = bands->layers;
    int32_t last = bands->count - 1;
    progress->done[last] = band > 0 ? bands->goals[(band - 1) * bands->count + last] : 0;
    for (int32_t i = last - 1; i >= 0; i--) {
        int64_t needed = first_read(&layers[i + 1], progress->done[i + 1]), part = 0;
        while (part < layers[i].operation.parts - 1 && pixels_before(&layers[i], part + 1) <= needed)
            part++;
        progress->done[i] = part;
        set_front(bands, progress, i, pixels_before(&layers[i], part));
    }
}

static void run_band(const struct bands *bands, struct progress *progress, int64_t band)
{
    for (int32_t i = 0; i < bands->count; i++) {
        const struct band_layer *layer = &bands->layers[i];
        int64_t goal = bands->goals[band * bands->count + i];
        if (progress->done[i] >= goal)
            continue;
        int64_t start = progress->timed ? now_ns() : 0;
        if (i + 1 < bands->count)
            make_room(bands, progress, i, goal);
        layer->operation.execute_parts(&layer->operation, table_of(bands, progress), (char *)progress + bands->layer_scratch, progress->done[i], goal);
        progress->done[i] = goal;
        progress->spent_ns[i] += progress->timed ? now_ns() - start : 0;
    }
}

static void bands_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct bands *bands = operation->prepared;
    struct progress *progress = scratch;
    int64_t band = first;
    if (progress->next != first) {
        memcpy(table_of(bands, progress), data, (size_t)operation->graph->value_count * sizeof *data);
        start_at(bands, progress, first);
        band = 0;
    }
    for (; band < last; band++)
        run_band(bands, progress, band);
    progress->next = last;
}

void bands_begin(void *scratch, bool timed)
{
    struct progress *progress = scratch;
    progress->next = -1;
    progress->timed = timed;
    memset(progress->spent_ns, 0, sizeof progress->spent_ns);
}

const int64_t *bands_spent_ns(const void *scratch)
{
    const struct progress *progress = scratch;
    return progress->spent_ns;
}

/* The layers' parts for each of so many bands, and what is held of their results. Returns the bytes of all. */
static int64_t cut_bands(struct bands *bands)
{
    struct band_layer *layers = bands->layers;
    int64_t *goals = bands->goals, done[LAYERS_MAX] = {0}, bytes = 0;
    int32_t last = bands->count - 1;
    for (int32_t i = 0; i < last; i++)
        layers[i].held_bytes = 0;
    for (int64_t band = 0; band < bands->bands; band++, goals += bands->count) {
        goals[last] = layers[last].operation.parts * (band + 1) / bands->bands;
        for (int32_t i = last - 1; i >= 0; i--) {
            int64_t unread = first_unread(&layers[i + 1], goals[i + 1]);
            for (goals[i] = done[i]; pixels_before(&layers[i], goals[i]) < unread;)
                goals[i]++;
        }
        for (int32_t i = 0; i < last; i++) {
            int64_t held = (pixels_before(&layers[i], goals[i]) - first_held(&layers[i], done[i], done[i + 1])) * layers[i].pixel_bytes;
            layers[i].held_bytes = held > layers[i].held_bytes ? held : layers[i].held_bytes;
            done[i] = goals[i];
        }
        done[last] = goals[last];
    }
    for (int32_t i = 0; i < last; i++)
        bytes += layers[i].held_bytes;
    return bytes;
}

/* As many bands as it takes for what they need to fit; false: no number is enough. */
static bool fit_bands(struct bands *bands, const struct operation *operations, int32_t count)
{
    int64_t room = CACHE_BYTES, most = operations[count - 1].parts, held;
    bands->count = count;
    for (int32_t i = 0; i < count; i++) {
        const struct operation *operation = &operations[i];
        const struct value *output = operation_output(operation, 0);
        bands->layers[i] = (struct band_layer){.operation = *operation, .pixel_bytes = output->shape.dims[3] * (int64_t)dtype_bytes(output->dtype)};
        if (operation->node->input_count > 1)
            room -= shape_elements(&operation_input(operation, 1)->shape) * (int64_t)dtype_bytes(operation_input(operation, 1)->dtype);
    }
    bands->bands = most < BANDS_WANTED ? most : BANDS_WANTED;
    while ((held = cut_bands(bands)) > room) {
        if (bands->bands == most)
            return false;
        bands->bands = bands->bands * 3 / 2 < most ? bands->bands * 3 / 2 : most;
    }
    double laps = (double)room / (double)held < LAPS_MAX ? (double)room / (double)held : LAPS_MAX;
    for (int32_t i = 0; i < count - 1; i++)
        bands->layers[i].window_bytes = (int64_t)((double)bands->layers[i].held_bytes * laps);
    return true;
}

static void nothing(const struct operation *operation, void *const *data, void *scratch)
{
    (void)operation;
    (void)data;
    (void)scratch;
}

static void lay_out_scratch(struct bands *bands, struct operation *chain)
{
    size_t scratch = 0;
    bands->table = align(sizeof(struct progress));
    size_t at = bands->table + align((size_t)chain->graph->value_count * sizeof(void *));
    for (int32_t i = 0; i < bands->count; i++) {
        struct band_layer *layer = &bands->layers[i];
        if (i + 1 < bands->count) {
            layer->window = at;
            at += align((size_t)layer->window_bytes + KERNEL_OVERREAD_BYTES);
        }
        scratch = layer->operation.scratch_bytes > scratch ? layer->operation.scratch_bytes : scratch;
    }
    bands->layer_scratch = at;
    chain->scratch_bytes = at + scratch;
}

/* Layers from node n on, as many as are banded and can be: 1 where that is none. */
static int32_t count_layers(const struct graph *graph, const struct operation *operations, int32_t n)
{
    int32_t count = 1;
    while (count < LAYERS_MAX && n + count < graph->node_count && operations[n + count - 1].pixels_before != NULL &&
           operations[n + count].pixels_before != NULL && graph->values[graph->nodes[n + count - 1].outputs[0]].banded &&
           graph->nodes[n + count].inputs[0] == graph->nodes[n + count - 1].outputs[0])
        count++;
    return count;
}

/* The longest chain that begins with node n and fits; count_out: its layers, 1: there is none. */
static enum error_code make_chain(struct graph *graph, struct operation *operations, int32_t n, int32_t *count_out, struct error *error)
{
    int32_t count = count_layers(graph, operations, n);
    int64_t parts = 0;
    for (int32_t i = 0; i < count; i++)
        parts = operations[n + i].parts > parts ? operations[n + i].parts : parts;
    *count_out = 1;
    if (count == 1)
        return ERROR_NONE;
    struct bands *bands = arena_allocate(&graph->arena, sizeof *bands);
    int64_t *goals = arena_allocate_array(&graph->arena, (size_t)(parts * count), sizeof *goals);
    if (bands == NULL || goals == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    bands->goals = goals;
    while (count > 1 && !fit_bands(bands, operations + n, count))
        count--;
    if (count == 1)
        return ERROR_NONE;
    struct operation *chain = &operations[n + count - 1];
    lay_out_scratch(bands, chain);
    chain->execute_parts = bands_parts;
    chain->parts = bands->bands;
    chain->prepared = bands;
    chain->chained = count;
    for (int32_t i = 0; i < count - 1; i++) {
        operations[n + i].execute_parts = NULL;
        operations[n + i].execute = nothing;
        operations[n + i].chained = -1;
    }
    *count_out = count;
    return ERROR_NONE;
}

enum error_code bands_make(struct graph *graph, struct operation *operations, struct error *error)
{
    for (int32_t n = 0, count; n < graph->node_count; n += count) {
        TRY(make_chain(graph, operations, n, &count, error));
        graph->values[graph->nodes[n + count - 1].outputs[0]].banded = false;
    }
    return ERROR_NONE;
}

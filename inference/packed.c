/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/packed.h"

#include "base/file.h"
#include "base/hash.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PACKED_BYTES_MAX ((size_t)4 << 30)

static const char magic[8] = "eddypk01";

struct header {
    char magic[8];
    uint64_t key, checksum; /* checksum: of all behind the header */
    uint64_t block_count;
};

struct block {
    const void *data;
    uint64_t bytes;
};

struct packed_weights {
    char path[PATH_MAX];
    uint64_t key;
    struct file_map map;        /* of a file that fits; else zeroed */
    const uint64_t *lengths;    /* of its blocks */
    uint64_t mapped_count;
    size_t at;                  /* where the next block lies */
    struct block *blocks;       /* asked for so far */
    uint64_t count, capacity;
    bool differs;               /* from here on the file has not what is asked for */
    bool lost;                  /* no memory to remember all blocks */
};

static size_t round_up(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return hash_bytes(text, strlen(text) + 1, seed);
}

/* Which file it is, and in which state. */
static bool hash_file(const char *path, uint64_t *hash)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    int64_t state[] = {(int64_t)status.st_dev, (int64_t)status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                       status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
    *hash = hash_bytes(state, sizeof state, *hash);
    return true;
}

static uint64_t hash_layers(const struct graph *graph, uint64_t seed)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        int32_t choice[] = {node->kind, node->activation, node->kind == OPERATOR_CONV ? node->attributes.spatial.winograd : 0};
        seed = hash_bytes(choice, sizeof choice, seed);
        for (int32_t i = 0; i < node->input_count; i++) {
            const struct value *value = node->inputs[i] < 0 ? NULL : &graph->values[node->inputs[i]];
            if (value != NULL)
                seed = hash_bytes(value->shape.dims, (size_t)value->shape.rank * sizeof value->shape.dims[0], seed + value->dtype);
        }
    }
    return seed;
}

static uint64_t hash_given(const struct model_options *options, uint64_t seed)
{
    for (int i = 0; options != NULL && i < options->input_shape_count; i++) {
        const struct input_shape *given = &options->input_shapes[i];
        seed = hash_text(given->name != NULL ? given->name : "", seed + (uint64_t)i);
        seed = hash_bytes(given->shape.dims, (size_t)given->shape.rank * sizeof given->shape.dims[0], seed);
        if (given->data != NULL)
            seed = hash_bytes(given->data, (size_t)shape_elements(&given->shape) * dtype_bytes(given->dtype), seed);
    }
    return seed;
}

/* The map is what a file for `key` has to be: header, lengths, blocks, and a checksum that says so. */
static bool fits(const struct file_map *map, uint64_t key)
{
    struct header header;
    if (map->bytes < sizeof header)
        return false;
    memcpy(&header, map->data, sizeof header);
    const uint64_t *lengths = (const uint64_t *)(const void *)(map->data + sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.key != key || header.block_count > (map->bytes - sizeof header) / sizeof *lengths ||
        hash_bytes(lengths, map->bytes - sizeof header, 0) != header.checksum)
        return false;
    size_t at = round_up(sizeof header + (size_t)header.block_count * sizeof *lengths);
    for (uint64_t i = 0; i < header.block_count; i++) {
        if (at > map->bytes || lengths[i] > map->bytes - at)
            return false;
        at += round_up((size_t)lengths[i]);
    }
    return at <= map->bytes && map->bytes - at == ARENA_ALIGNMENT;
}

static void map_file(struct packed_weights *packed)
{
    struct header header;
    struct error ignored;
    if (file_map_open_own(packed->path, PACKED_BYTES_MAX, &packed->map, &ignored) != ERROR_NONE)
        return;
    if (!fits(&packed->map, packed->key)) {
        file_map_close(&packed->map);
        return;
    }
    memcpy(&header, packed->map.data, sizeof header);
    packed->mapped_count = header.block_count;
    packed->lengths = (const uint64_t *)(const void *)(packed->map.data + sizeof header);
    packed->at = round_up(sizeof header + (size_t)header.block_count * sizeof *packed->lengths);
}

static bool is_wanted(const struct model_options *options)
{
    const char *variable = getenv("EDDY_PACKED");
    if (variable != NULL && strcmp(variable, "off") == 0)
        return false;
    return (options != NULL && options->keep_packed) || (variable != NULL && strcmp(variable, "on") == 0);
}

struct packed_weights *packed_open(const struct graph *graph, const char *model_path, const char *cpu, const struct model_options *options, bool anew)
{
    struct packed_weights *packed = is_wanted(options) && graph->mapped_bytes >= PACKED_BYTES_MIN / 2 ? calloc(1, sizeof *packed) : NULL;
    if (packed == NULL)
        return NULL;
    packed->key = hash_given(options, hash_layers(graph, hash_text(cpu, hash_text(PACKING_DIGEST, 0))));
    if ((size_t)snprintf(packed->path, sizeof packed->path, "%s.%s.packed", model_path, cpu) >= sizeof packed->path ||
        !hash_file(model_path, &packed->key)) {
        free(packed);
        return NULL;
    }
    if (!anew)
        map_file(packed);
    return packed;
}

void packed_close(struct packed_weights *packed)
{
    if (packed == NULL)
        return;
    file_map_close(&packed->map);
    free(packed->blocks);
    free(packed);
}

bool packed_is_mapped(const struct packed_weights *packed)
{
    return packed != NULL && packed->mapped_count > 0 && !packed->differs && !packed->lost;
}

bool packed_is_contradicted(const struct packed_weights *packed)
{
    return packed != NULL && packed->mapped_count > 0 && (packed->differs || packed->lost || packed->count != packed->mapped_count);
}

static void remember(struct packed_weights *packed, const void *data, size_t bytes)
{
    if (packed->count == packed->capacity) {
        uint64_t larger = packed->capacity == 0 ? 64 : 2 * packed->capacity;
        struct block *grown = realloc(packed->blocks, (size_t)larger * sizeof *grown);
        if (grown == NULL) {
            packed->lost = true;
            return;
        }
        packed->blocks = grown;
        packed->capacity = larger;
    }
    packed->blocks[packed->count++] = (struct block){data, bytes};
}

void *packed_place(struct packed_weights *packed, struct arena *arena, size_t bytes, bool *filled)
{
    *filled = false;
    if (packed == NULL || packed->lost)
        return arena_allocate(arena, bytes);
    packed->differs |= packed->count >= packed->mapped_count || packed->lengths[packed->count] != bytes;
    void *data = packed->differs ? arena_allocate(arena, bytes) : (void *)(uintptr_t)(packed->map.data + packed->at);
    *filled = !packed->differs || packed_is_contradicted(packed); /* then all of it is done again, and weights may not be arranged for packing */
    packed->at += round_up(bytes);
    if (data != NULL)
        remember(packed, data, bytes);
    return data;
}

/* The file in pieces: header, lengths, then each block and what is between it and the next. */
static void write_file(const struct packed_weights *packed, uint64_t *lengths, struct file_piece *pieces)
{
    static const char zeros[2 * ARENA_ALIGNMENT];
    struct header header = {.key = packed->key, .block_count = packed->count};
    struct error error;
    size_t used = 0, head = sizeof header + (size_t)packed->count * sizeof *lengths;
    memcpy(header.magic, magic, sizeof magic);
    pieces[used++] = (struct file_piece){&header, sizeof header};
    pieces[used++] = (struct file_piece){lengths, (size_t)packed->count * sizeof *lengths};
    pieces[used++] = (struct file_piece){zeros, round_up(head) - head};
    for (uint64_t i = 0; i < packed->count; i++) {
        size_t bytes = (size_t)packed->blocks[i].bytes;
        lengths[i] = bytes;
        pieces[used++] = (struct file_piece){packed->blocks[i].data, bytes};
        pieces[used++] = (struct file_piece){zeros, round_up(bytes) - bytes + (i + 1 == packed->count ? ARENA_ALIGNMENT : 0)};
    }
    struct hash hash;
    hash_begin(&hash, 0);
    for (size_t i = 1; i < used; i++)
        hash_add(&hash, pieces[i].data, pieces[i].bytes);
    header.checksum = hash_end(&hash);
    if (file_replace_pieces(packed->path, pieces, used, &error) != ERROR_NONE)
        return; /* the next start packs again */
}

void packed_keep(struct packed_weights *packed)
{
    uint64_t bytes = 0;
    if (packed == NULL || packed->lost || packed_is_mapped(packed))
        return;
    for (uint64_t i = 0; i < packed->count; i++)
        bytes += packed->blocks[i].bytes;
    uint64_t *lengths = calloc((size_t)packed->count + 1, sizeof *lengths);
    struct file_piece *pieces = calloc(2 * (size_t)packed->count + 3, sizeof *pieces);
    if (bytes >= PACKED_BYTES_MIN && lengths != NULL && pieces != NULL)
        write_file(packed, lengths, pieces);
    free(pieces);
    free(lengths);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_cost MODEL FRAME.jpg: what the cache costs where it does not help, and what it spares where it does.
 *
 * At 0, 10,000 and 1,000,000 results on disk: opening the file, the look-up of a new input (bytes and tensor, as the predictor asks), a hit in
 * memory and on disk. Then with the real model: unique inputs with and without the cache, an exact repeat. Prints Markdown. */
#include "agent/flash.h"
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RESULT_BYTES = 65536, VALUE_BYTES = 180, UNIQUES = 20000, ROUNDS = 6, TRIALS = 4, FRAMES_A_ROUND = 20, MEMORY_BYTES = 8 << 20, KEPT = 40000,
       KEPT_A_FLUSH = 256 };

static char folder[] = "/var/tmp/eddy-cache-cost-XXXXXX", path[64];

static void fail(const struct error *error)
{
    fprintf(stderr, "cache_cost: %s\n", error->message);
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct cache *open_cache(struct cache_space **space_out, const char *settings)
{
    struct cache *cache;
    struct error error;
    bool set_aside;
    struct cache_space_options options = {.name = "bench", .settings = settings, .disk_bytes_max = (int64_t)1 << 40};
    if (cache_open(path, MEMORY_BYTES, &cache, &set_aside, &error) != ERROR_NONE ||
        cache_add_space(cache, &options, space_out, &error) != ERROR_NONE)
        fail(&error);
    return cache;
}

static struct cache_key numbered_key(const struct cache_space *space, uint64_t number)
{
    return cache_key(space, CACHE_LEVEL_BYTES, &number, sizeof number);
}

static int by_bytes(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct cache_key));
}

/* As cache_flush would have written them, but in the table's order, which is quicker. */
static void fill_disk(long entries, const char *settings)
{
    struct cache_space *space;
    struct disk_cache *disk;
    struct error error;
    bool set_aside;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    unlink(path);
    struct cache *cache = open_cache(&space, settings); /* for its keys */
    if (disk_cache_open(path, DISK_OPEN_AS_IT_IS, &disk, &set_aside, &error) != ERROR_NONE)
        fail(&error);
    int64_t id = disk_cache_space(disk, "bench", settings);
    struct cache_key *keys = calloc((size_t)entries + 1, sizeof *keys);
    if (keys == NULL)
        abort();
    for (long i = 0; i < entries; i++)
        keys[i] = numbered_key(space, (uint64_t)i);
    qsort(keys, (size_t)entries, sizeof *keys, by_bytes);
    for (long i = 0; i < entries; i++) {
        if (i % 10000 == 0)
            disk_cache_begin(disk);
        struct disk_row row = {.key = keys[i], .value = value, .length = sizeof value, .created_us = clock_wall_us(),
                               .saving_us = 1000};
        disk_cache_put(disk, id, &row);
        if (i % 10000 == 9999 || i + 1 == entries)
            disk_cache_commit(disk);
    }
    free(keys);
    disk_cache_close(disk);
    for (long i = 0; i <= entries / 20000 + 2; i++)
        cache_flush(cache); /* notices the rows, builds its filter, leaves it behind */
    cache_close(cache);
}

/* What a predictor does around an inference. */
static void ask_for_new(struct cache_space *space, uint64_t number, char *value)
{
    struct cache_found found;
    struct cache_key bytes = numbered_key(space, number), tensor = cache_key(space, CACHE_LEVEL_TENSOR, &number, sizeof number);
    if (cache_claim(space, bytes, value, VALUE_BYTES, &found) || cache_claim(space, tensor, value, VALUE_BYTES, &found))
        abort();
    cache_put(space, tensor, value, VALUE_BYTES, 1000);
    cache_put(space, bytes, value, VALUE_BYTES, 1000);
}

static void reach_disk(const char *ending)
{
    char file_path[80];
    snprintf(file_path, sizeof file_path, "%s%s", path, ending);
    int file = open(file_path, O_WRONLY | O_CLOEXEC);
    if (file >= 0 && fdatasync(file) == 0)
        close(file);
}

/* Results that are asked for again, so that they are kept, written behind as they come; the last close with its checkpoint included. Each batch is made
 * to reach the disk before the next, which is the most that may be written: the kernel waits for up to 30 s by itself. */
static void measure_flash(void)
{
    struct cache_space *space;
    struct cache_found found;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    unlink(path);
    struct cache *cache = open_cache(&space, "settings");
    int64_t written = flash_bytes_written();
    for (uint64_t number = 1; number <= KEPT; number++) {
        cache_put(space, numbered_key(space, number), value, sizeof value, 1000);
        cache_put(space, numbered_key(space, number), value, sizeof value, 1000);
        cache_find(space, numbered_key(space, number), value, sizeof value, &found);
        if (number % KEPT_A_FLUSH == 0) {
            cache_flush(cache);
            reach_disk("");
            reach_disk("-wal");
        }
    }
    struct cache_statistics statistics;
    cache_get_statistics(cache, &statistics);
    cache_close(cache);
    printf("\n%d results of %d bytes kept, %d at a time: %.1f KB written for each (%llu of them)\n\n", KEPT, VALUE_BYTES, KEPT_A_FLUSH,
           (double)(flash_bytes_written() - written) / 1e3 / (double)statistics.flushed, (unsigned long long)statistics.flushed);
}

static void measure_store(long entries)
{
    struct cache_space *space;
    struct cache_found found;
    char value[VALUE_BYTES];
    fill_disk(entries, "settings");
    double opened = now_us(), opening = cpu_us();
    struct cache *cache = open_cache(&space, "settings");
    opened = now_us() - opened;
    opening = cpu_us() - opening;

    uint64_t number = 1ull << 40;
    double lookups = 1e12;
    for (int round = 0; round < ROUNDS; round++) {
        double took = cpu_us();
        for (int i = 0; i < UNIQUES; i++)
            ask_for_new(space, ++number, value);
        took = (cpu_us() - took) / UNIQUES;
        lookups = took < lookups ? took : lookups;
    }

    double memory = cpu_us();
    for (int i = 0; i < UNIQUES; i++)
        cache_find(space, numbered_key(space, number), value, sizeof value, &found);
    memory = (cpu_us() - memory) / UNIQUES;

    long sample = entries < 5000 ? entries : 5000, found_count = 0;
    double disk = cpu_us();
    for (long i = 0; i < sample; i++)
        found_count += cache_find(space, numbered_key(space, (uint64_t)(i * (entries / (sample > 0 ? sample : 1)))), value, sizeof value, &found);
    disk = sample > 0 ? (cpu_us() - disk) / (double)sample : 0;
    if (found_count != sample) {
        fprintf(stderr, "cache_cost: %ld of %ld found\n", found_count, sample);
        exit(1);
    }
    printf("| %ld | %.1f ms | %.1f ms | %.2f us | %.2f us | %.2f us |\n", entries, opened / 1e3, opening / 1e3, lookups, memory, disk);
    fflush(stdout);
    cache_close(cache);
}

/* The frame with a number in a comment segment: other bytes, the same picture. */
static size_t numbered_frame(const struct file_map *frame, uint32_t number, uint8_t *out)
{
    memcpy(out, frame->data, 2);
    const uint8_t comment[] = {0xff, 0xfe, 0, 6};
    memcpy(out + 2, comment, 4);
    memcpy(out + 6, &number, 4);
    memcpy(out + 10, frame->data + 2, frame->bytes - 2);
    return frame->bytes + 8;
}

struct cost {
    double wall_us, cpu_us;
};

enum way { OFF, UNIQUE, REPEAT, WAYS };

/* One round; every frame of OFF and UNIQUE has other bytes. Their picture is the same: UNIQUE's results live for a microsecond. */
static struct cost ask_round(struct predictor *predictor, const struct file_map *frame, uint8_t *buffer, enum way way)
{
    static uint32_t number;
    double wall = now_us(), cpu = cpu_us();
    for (int i = 0; i < FRAMES_A_ROUND; i++) {
        struct answer answer;
        size_t length = numbered_frame(frame, way == REPEAT ? 0 : ++number, buffer);
        struct predictor_input input = {.source = "bench", .bytes = buffer, .length = length, .arrived_us = clock_monotonic_us()};
        predictor_answer(predictor, &input, &answer);
    }
    return (struct cost){(now_us() - wall) / FRAMES_A_ROUND, (cpu_us() - cpu) / FRAMES_A_ROUND};
}

static struct predictor *make_predictor(struct cache *cache, const struct bundle *bundle, const struct config_pipeline *pipeline, enum way way,
                                        int trial)
{
    char name[32];
    struct error error;
    struct cache_space *space = NULL;
    struct predictor *predictor;
    snprintf(name, sizeof name, "%d-%d", way, trial);
    struct cache_space_options options = {.name = name, .settings = "s", .ttl_us = way == UNIQUE};
    if ((way != OFF && cache_add_space(cache, &options, &space, &error) != ERROR_NONE) ||
        predictor_new(pipeline, bundle, space, RESULT_BYTES, &predictor, &error) != ERROR_NONE)
        fail(&error);
    return predictor;
}

static void measure_model(const char *model, const char *frame_path)
{
    static const char *const names[WAYS] = {"cache off", "unique input", "exact repeat"};
    const struct config_pipeline pipeline = {.name = "bench", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}, .max_message_bytes = 1 << 28};
    struct error error;
    struct bundle bundle;
    struct file_map frame;
    struct cache *cache;
    struct predictor *predictors[WAYS];
    bool set_aside;
    if (bundle_open(model, NULL, &bundle, &error) != ERROR_NONE || file_map_open(frame_path, 1 << 28, &frame, &error) != ERROR_NONE ||
        cache_open(NULL, MEMORY_BYTES, &cache, &set_aside, &error) != ERROR_NONE)
        fail(&error);
    uint8_t *buffer = malloc(frame.bytes + 8);
    if (buffer == NULL)
        abort();
    struct cost least[WAYS] = {{1e12, 1e12}, {1e12, 1e12}, {1e12, 1e12}};
    /* in turn: what disturbs one disturbs all; and made anew in another order: where its memory lies is worth 5 % to a predictor */
    for (int trial = 0; trial < WAYS * TRIALS; trial++) {
        for (int i = 0; i < WAYS; i++)
            predictors[(trial + i) % WAYS] = make_predictor(cache, &bundle, &pipeline, (enum way)((trial + i) % WAYS), trial);
        for (int round = 0; round < WAYS * ROUNDS; round++) {
            enum way way = round % WAYS;
            struct cost cost = ask_round(predictors[way], &frame, buffer, way);
            least[way].wall_us = cost.wall_us < least[way].wall_us ? cost.wall_us : least[way].wall_us;
            least[way].cpu_us = cost.cpu_us < least[way].cpu_us ? cost.cpu_us : least[way].cpu_us;
        }
        for (int way = 0; way < WAYS; way++)
            predictor_free(predictors[way]);
    }
    printf("\n%s, a frame of %zu bytes:\n\n| | wall | CPU | of a miss |\n|---|---|---|---|\n", bundle.label, frame.bytes);
    for (int way = 0; way < WAYS; way++)
        printf("| %s | %.1f us | %.1f us | %.2f %% |\n", names[way], least[way].wall_us, least[way].cpu_us, 100 * least[way].cpu_us / least[OFF].cpu_us);
    free(buffer);
    cache_close(cache);
    file_map_close(&frame);
    bundle_close(&bundle);
}

static void remove_folder(void)
{
    char file[384];
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
        unlink(file);
    }
    closedir(directory);
    rmdir(folder);
}

int main(int count, char **arguments)
{
    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: cache_cost MODEL FRAME.jpg [most results on disk, default 1000000]\n");
        return 2;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/cache.db", folder);
    printf("CPU time, but for the first column of times.\n\n"
           "| on disk | open to ready, wall | CPU | new input, both levels, put | hit in memory | hit on disk |\n"
           "|---|---|---|---|---|---|\n");
    const long sizes[] = {0, 10000, 1000000};
    for (int i = 0; i < 3; i++) {
        if (count == 3 || sizes[i] <= atol(arguments[3]))
            measure_store(sizes[i]);
    }
    measure_flash();
    remove_folder();
    measure_model(arguments[1], arguments[2]);
    return 0;
}
